"""A relay in front of a server, which loses requests, answers and halves of answers when it is told to."""

from __future__ import annotations

import http.client
import threading
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit

from astra_arenas import Control
from astra_arenas.doors import Doors


class Relay:
    """Hands requests on. Of those that end with a word, it loses so many answers: they arrive, and nobody hears.

    Of others it cuts so many answers in the middle, or drops so many requests, which do not arrive.
    """

    def __init__(self, control: Control) -> None:
        to = urlsplit(control.doors.control)
        relay = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def handle_any(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                if relay.spends(relay.drop, self.path):
                    self.close_connection = True
                    return
                connection = http.client.HTTPConnection(str(to.hostname), to.port)
                connection.request(self.command, self.path, body, dict(self.headers))
                answer = connection.getresponse()
                told = answer.read()
                connection.close()
                relay.count(self.path)
                if relay.spends(relay.lose, self.path):
                    self.close_connection = True
                    return
                self.send_response(answer.status)
                for name in ("Content-Type", "Retry-After"):
                    if answer.headers[name]:
                        self.send_header(name, answer.headers[name])
                self.send_header("Content-Length", str(len(told)))
                self.end_headers()
                if relay.spends(relay.cut, self.path):
                    self.close_connection = True
                    told = told[: len(told) // 2]
                self.wfile.write(told)

            do_GET = do_POST = handle_any

            def log_message(self, *_: Any) -> None:
                pass

        self.lock = threading.Condition()
        self.lose: Counter[str] = Counter()
        self.cut: Counter[str] = Counter()
        self.drop: Counter[str] = Counter()
        self.seen: Counter[str] = Counter()
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{self.server.server_address[1]}"
        self.control = Control(Doors(url, control.doors.token, control.doors.agents))

    def count(self, path: str) -> None:
        with self.lock:
            self.seen[last_word(path)] += 1
            self.lock.notify_all()

    def spends(self, what: Counter[str], path: str) -> bool:
        with self.lock:
            if what[last_word(path)] == 0:
                return False
            what[last_word(path)] -= 1
            return True

    def wait(self, word: str, n: int) -> None:
        """Wait until n requests that end with a word were handed on."""
        with self.lock:
            assert self.lock.wait_for(lambda: self.seen[word] >= n, timeout=60), f"{self.seen[word]} of {n} {word}"

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()


def last_word(path: str) -> str:
    return path.split("?")[0].rsplit("/", 1)[-1]
