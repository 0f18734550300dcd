"""What models write, made fit for the server."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from typing import Any

__all__ = ["fitting", "parse"]

_MAX_SAID = 64 << 10  # bytes of UTF-8: what the server takes of a reply and of an answer
_MAX_LEVELS = 256  # of JSON: the server takes 64 and says so; Python gives up as its version and its stack have it


def fitting(text: str) -> str:
    """Cut a text to what the server takes; who says more must still be scored.

    Half a surrogate pair becomes U+FFFD, as the server reads it.
    """
    whole = text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    return whole.encode()[:_MAX_SAID].decode(errors="ignore")


def parse(text: str, constant: Callable[[str], Any] | None = None) -> Any:
    """Read JSON.

    Args:
        text: that a model wrote.
        constant: makes values of NaN, Infinity and -Infinity, or refuses them.

    Raises:
        ValueError: it is none, or is nested too deep to be sent.
    """
    try:
        value = json.loads(text, parse_constant=constant)
    except RecursionError as e:
        raise ValueError("it is nested too deep") from e
    level = [value]
    for _ in range(_MAX_LEVELS):
        level = [inner for outer in level for inner in _inside(outer)]
    if level:
        raise ValueError(f"it is nested deeper than {_MAX_LEVELS} levels")
    return value


def _inside(value: Any) -> Iterable[Any]:
    if isinstance(value, dict):
        return value.values()
    return value if isinstance(value, list) else ()
