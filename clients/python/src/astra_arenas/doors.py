"""Where an astra serves, and the token that its control side wants."""

from __future__ import annotations

import fcntl
import json
import os
from dataclasses import dataclass, field
from pathlib import Path

from .errors import NoServer

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
        return Doors(_url(control), _token(store), _url(os.environ.get("ASTRA_AGENTS", "")))
    return _owner(store)


def _url(address: str) -> str:
    if address and "://" not in address:
        address = "http://" + address
    return address.rstrip("/")


def _token(store: Path) -> str:
    token = os.environ.get("ASTRA_TOKEN", "").strip()
    if token:
        return token
    try:
        return (store / "control.token").read_text(encoding="utf-8").strip()
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
        return Doors(_url(owner["control"]), owner["token"], _url(owner["agents"]))
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
