"""The control side over HTTP: connections that are kept, and requests that are made again where that is safe."""

from __future__ import annotations

import http.client
import json
import os
import random
import time
from collections.abc import Callable, Mapping
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import quote, urlsplit

from .doors import Doors, find_doors, server_url, sound_token
from .errors import AstraError, Busy, NoServer, ServerError, Unreachable, problem_error

__all__ = ["Control", "connect"]

_MAX_REPLY = 256 << 20  # bytes: a record with its longest log; the server's own client reads as much
_IDLE = 30.0  # seconds that a connection is kept unused; the server closes it much later
_PAUSES = (0.05, 2.0)  # seconds before the second try, and at most


def connect(
    control: str | None = None,
    token: str | None = None,
    *,
    agents: str = "",
    directory: str | os.PathLike[str] | None = None,
    timeout: float = 300.0,
    patience: float = 30.0,
) -> Control:
    """Connect to an astra.

    Args:
        control: URL of its control side, or host:port; default is what find_doors finds.
        token: that it wants.
        agents: URL of its agents' door, for mcp_url and base_url of episodes.
        directory: of its store, on this machine.
        timeout: seconds that one answer may take.
        patience: seconds for which a request is made again when the connection breaks, or the
            server is full or busy. 0 gives up at once.

    Raises:
        NoServer: none was found, or the address is none.
        Unauthorized: the token cannot be one.
    """
    if control is None:
        doors = find_doors(directory)
        again = None if directory is None and os.environ.get("ASTRA_CONTROL") else directory or ""
        return Control(doors, directory=again, timeout=timeout, patience=patience)
    if not token:
        raise NoServer(f"the control side {control} wants a token: it is in control.token of its store's directory")
    doors = Doors(server_url(control), sound_token(token), server_url(agents))
    return Control(doors, timeout=timeout, patience=patience)


def connected(control: Control | None) -> Control:
    """Take what somebody connected to, or connect to what is found."""
    if not isinstance(control, Control | None):
        raise TypeError(f"{control!r} is no Control: connect(url, token) makes one")
    return control or connect()


class Control:
    """One control side. It may be used by many threads, may be pickled, and stays usable after a fork.

    Each thread waits for its own answers; in asyncio, use `asyncio.to_thread`.
    """

    def __init__(
        self,
        doors: Doors,
        *,
        directory: str | os.PathLike[str] | None = None,
        timeout: float = 300.0,
        patience: float = 30.0,
    ) -> None:
        """Use doors; if a directory is given ("" is the default one), they are found there anew when they break."""
        if not timeout > 0:
            raise ValueError(f"timeout={timeout}: no answer comes in that; give seconds above 0")
        self.doors, self.timeout, self.patience = doors, timeout, patience
        self._directory = directory
        self._connections = _Connections()

    def __reduce__(self) -> tuple[Any, ...]:
        return _control, (self.doors, self._directory, self.timeout, self.patience)

    def __repr__(self) -> str:
        return f"Control({self.doors.control!r})"

    def get(self, path: str, **query: str | int | None) -> Any:
        """Ask for JSON; None in the query is left out."""
        asked = [f"{name}={quote(str(value), safe='')}" for name, value in query.items() if value is not None]
        return json.loads(self.send("GET", path + ("?" + "&".join(asked) if asked else "")).body or b"null")

    def post(self, path: str, body: Mapping[str, Any], *, repeat: bool = True) -> Any:
        """Send JSON and return JSON; None where there is no answer."""
        return json.loads(self.send("POST", path, body, repeat=repeat).body or b"null")

    def send(
        self,
        method: str,
        path: str,
        body: Mapping[str, Any] | None = None,
        *,
        repeat: bool = True,
        patience: float | None = None,
    ) -> Reply:
        """Send a request, and again while that may help.

        A request that a server refused for want of room did nothing, so it is made again in any
        case; one whose connection broke, only if a repeat does no harm.

        Args:
            method: of HTTP.
            path: with its query.
            body: is sent as JSON.
            repeat: whether the request may reach the server twice.
            patience: seconds instead of the control's.
        """
        patience = self.patience if patience is None else patience
        data = None if body is None else _encode(body)
        pause, end = _PAUSES[0], 0.0
        while True:
            wait = 0.0
            try:
                return self._once(method, path, data, fresh=not repeat)
            except Busy as e:
                failed: AstraError = e
                wait = e.retry_after
            except _Broken as e:
                failed = Unreachable(f"{method} {path} at {self.doors.control}: {e}; does astra serve there?")
                failed.__cause__ = e.__cause__
                if e.sent and not repeat:
                    raise failed from e.__cause__
            wait = max(wait, pause) * random.uniform(1, 1.25)  # so that many do not come back together
            end = end or time.monotonic() + patience  # from the first failure: an answer may take long
            if time.monotonic() + wait > end:
                raise failed
            time.sleep(wait)
            pause = min(2 * pause, _PAUSES[1])
            if isinstance(failed, Unreachable):
                self._find_again()

    def _find_again(self) -> None:
        """A server that was started again may serve elsewhere."""
        if self._directory is None:
            return
        try:
            self.doors = find_doors(self._directory or None)
        except NoServer:
            return  # not yet; what is asked of the old doors tells

    def _once(self, method: str, path: str, data: bytes | None, *, fresh: bool) -> Reply:
        headers = {"Authorization": f"Bearer {self.doors.token}", "Accept": "application/json"}
        if data is not None:
            headers["Content-Type"] = "application/json"
        reply = self._connections.exchange(self.doors.control, self.timeout, method, path, data, headers, fresh)
        if reply.status < 300:
            return reply
        raise _problem(reply, method, path)


def _control(doors: Doors, directory: str | os.PathLike[str] | None, timeout: float, patience: float) -> Control:
    return Control(doors, directory=directory, timeout=timeout, patience=patience)


def _encode(body: Mapping[str, Any]) -> bytes:
    try:
        return json.dumps(body, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode()
    except UnicodeEncodeError:  # half a surrogate pair, which models write as \ud800; the server judges it
        return json.dumps(body, allow_nan=False, separators=(",", ":")).encode()


def _problem(reply: Reply, method: str, path: str) -> AstraError:
    try:
        error = problem_error(json.loads(reply.body), reply.retry_after)
    except (ValueError, TypeError, AttributeError):
        error = None
    return error or ServerError(
        f"{method} {path}: the answer {reply.status} is not astra's: is the control address the right one?"
    )


class Reply:
    """An answer, read to its end."""

    def __init__(self, status: int, headers: http.client.HTTPMessage, body: bytes) -> None:
        self.status, self.body, self._headers = status, body, headers

    @property
    def retry_after(self) -> float:
        """Seconds that the server asks to wait; 1 if it names none."""
        try:
            return max(0.0, float(self._headers.get("Retry-After", "1")))
        except ValueError:
            return 1.0

    @property
    def date(self) -> float | None:
        """The server's clock, in seconds since 1970; None if it told none."""
        try:
            return parsedate_to_datetime(self._headers["Date"]).timestamp()
        except (TypeError, ValueError):
            return None


class _Broken(Exception):
    """A connection broke; sent says whether the request may have arrived."""

    def __init__(self, text: str, sent: bool) -> None:
        super().__init__(text)
        self.sent = sent


class _Connections:
    """Connections that wait for their next request.

    There is no lock, which a fork could copy while it is held: list.append and list.pop are
    whole. A connection that went through a fork is the parent's, and is left alone.
    """

    def __init__(self) -> None:
        self._pid = os.getpid()
        self._idle: list[tuple[str, float, http.client.HTTPConnection]] = []

    def exchange(
        self,
        base: str,
        timeout: float,
        method: str,
        path: str,
        data: bytes | None,
        headers: dict[str, str],
        fresh: bool,
    ) -> Reply:
        """Send one request. A kept connection may have been closed meanwhile, so a fresh one can be asked for."""
        connection = None if fresh else self._take(base)
        if connection is None:
            connection = _open(base, timeout)
        done = False
        try:
            connection.request(method, urlsplit(base).path + path, data, headers)
            response = connection.getresponse()
            body = response.read(_MAX_REPLY + 1)
            if len(body) > _MAX_REPLY:
                raise ServerError(f"{method} {path}: the answer has more than {_MAX_REPLY} bytes")
            if response.length:  # of Content-Length; read says nothing when the connection ends before
                raise http.client.IncompleteRead(body, response.length)
            done = not response.will_close
            return Reply(response.status, response.headers, body)
        except (OSError, http.client.HTTPException) as e:
            raise _Broken(f"{type(e).__name__}: {e}", sent=True) from e
        finally:
            if done:
                self._idle.append((base, time.monotonic(), connection))
            else:
                connection.close()

    def _take(self, base: str) -> http.client.HTTPConnection | None:
        if self._pid != os.getpid():
            self._pid, self._idle = os.getpid(), []
        while True:
            try:
                at, since, connection = self._idle.pop()
            except IndexError:
                return None
            if at == base and time.monotonic() - since < _IDLE:
                return connection
            connection.close()


def _open(base: str, timeout: float) -> http.client.HTTPConnection:
    url = urlsplit(base)
    kinds: dict[str, Callable[..., http.client.HTTPConnection]] = {
        "http": http.client.HTTPConnection,
        "https": http.client.HTTPSConnection,
    }
    if url.scheme not in kinds or not url.hostname:
        raise NoServer(f"{base!r} is no address of a control side: give one such as http://127.0.0.1:8081")
    connection = kinds[url.scheme](url.hostname, url.port, timeout=timeout)
    try:
        connection.connect()
    except OSError as e:
        raise _Broken(f"{type(e).__name__}: {e}", sent=False) from e
    return connection
