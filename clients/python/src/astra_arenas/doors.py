"""Where an astra serves, and the token that its control side wants."""

from __future__ import annotations

import fcntl
import json
import os
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from .errors import NoServer, Unauthorized

__all__ = ["Doors", "find_doors"]


@dataclass(frozen=True)
class Doors:
    """The addresses of one astra.

    Attributes:
        control: URL of the control side.
        token: what the control side wants as bearer token.
        agents: URL of the agents' door; "" if nobody said.
    """

    control: str
    token: str = field(repr=False)
    agents: str = ""


def find_doors(directory: str | os.PathLike[str] | None = None) -> Doors:
    """Find an astra: by the environment, else by the store in a directory, whose owner tells where it serves.

    Args:
        directory: of the store; default is ASTRA_DIR, or .astra where this runs. If one is
            given, ASTRA_CONTROL is not looked at.

    Raises:
        NoServer: nobody serves there; the text says what to do.
    """
    store = Path(directory if directory is not None else os.environ.get("ASTRA_DIR") or ".astra")
    control = os.environ.get("ASTRA_CONTROL", "")
    if directory is None and control:
        return Doors(server_url(control), _token(store), server_url(os.environ.get("ASTRA_AGENTS", "")))
    return _owner(store)


def server_url(address: str) -> str:
    """Write an address as a URL. One that is as `astra serve` prints it, with /v1, means the same.

    Raises:
        NoServer: it is no address.
    """
    if not address:
        return ""
    if "://" not in address:
        address = "http://" + address
    url = address.rstrip("/").removesuffix("/v1")
    try:
        parts = urlsplit(url)
        sound = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0 and url.isprintable()
    except ValueError:  # of the port
        sound = False
    if not sound or " " in url:
        raise NoServer(f"{address!r} is no address of a server: give one such as http://127.0.0.1:8081")
    return url


def sound_token(token: str) -> str:
    """Take the white space off a token, which is there when it was read from a file.

    Raises:
        Unauthorized: it cannot be one.
    """
    token = token.strip()
    if not token.isascii() or not token.isprintable():
        raise Unauthorized("the token has characters that none has: it is the one line in control.token of the store")
    return token


def _token(store: Path) -> str:
    token = os.environ.get("ASTRA_TOKEN", "").strip()
    if token:
        return sound_token(token)
    try:
        return sound_token((store / "control.token").read_text(encoding="utf-8"))
    except OSError as e:
        raise NoServer(
            f"ASTRA_CONTROL is set and there is no token: set ASTRA_TOKEN to what {store / 'control.token'} "
            "has where astra serves"
        ) from e


def _owner(store: Path) -> Doors:
    remedy = f"run `astra serve --dir {store}`, or set ASTRA_CONTROL and ASTRA_TOKEN to those of a server elsewhere"
    if not _owned(store):
        raise NoServer(f"no astra serves the store {store}: {remedy}")
    try:
        owner = json.loads((store / "owner.json").read_text(encoding="utf-8"))
        return Doors(server_url(owner["control"]), owner["token"], server_url(owner["agents"]))
    except FileNotFoundError as e:
        raise NoServer(f"the astra that has the store {store} is still starting, or is a command: {remedy}") from e
    except (OSError, ValueError, KeyError, TypeError) as e:
        raise NoServer(f"{store / 'owner.json'} cannot be read ({e}): {remedy}") from e


def _owned(store: Path) -> bool:
    """Ownership is a lock, which the kernel gives back however its process dies; the record may be a dead one's."""
    try:
        with open(store / "owner.lock", "rb") as lock:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    return False
