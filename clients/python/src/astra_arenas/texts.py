"""What models write, made fit for the server."""

from __future__ import annotations

__all__ = ["MAX_SAID", "fitting"]

MAX_SAID = 64 << 10  # bytes of UTF-8: what the server takes of a reply and of an answer


def fitting(text: str) -> str:
    """Cut a text to what the server takes; who says more must still be scored.

    Half a surrogate pair becomes U+FFFD, as the server reads it.
    """
    whole = text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    return whole.encode()[:MAX_SAID].decode(errors="ignore")
