"""What can go wrong, one class for each kind of problem that the server tells (RFC 9457)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

__all__ = [
    "AstraError",
    "BudgetSpent",
    "Busy",
    "Conflict",
    "Disagrees",
    "Ended",
    "Full",
    "Invalid",
    "LeaseLost",
    "NoServer",
    "NotFound",
    "Refused",
    "ServerError",
    "TimedOut",
    "Unauthorized",
    "Unreachable",
    "Unscored",
    "Unsupported",
]


class AstraError(Exception):
    """What astra refused or could not do; its text says what, and the remedy where there is one.

    Attributes:
        kind: how the server calls the problem, such as "not-found"; "" if it told none.
        fault: whose doing it was: agent, tool, sandbox, verifier, upstream or gateway; "" if nobody knows.
        step: the number of the call that could not be completed; 0 if it was none.
    """

    kind: str = ""

    def __init__(self, text: str, *, fault: str = "", step: int = 0) -> None:
        super().__init__(text)
        self.fault, self.step = fault, step

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (str(self),), self.__dict__


class NoServer(AstraError):
    """No astra was found to talk to."""


class Unreachable(AstraError):
    """The server did not answer, or the connection broke, for longer than patience."""


class NotFound(AstraError):
    """There is no such arena, task or episode."""


class Refused(AstraError):
    """The request asks for what cannot be; the text says what to change."""


class Conflict(AstraError):
    """A key was used before with other arguments."""


class Ended(AstraError):
    """The episode is over; its text says how it ended. One that expired wants a longer ttl when it is opened."""


class BudgetSpent(AstraError):
    """The task allows no more calls; submit the episode."""


class Invalid(AstraError):
    """The episode cannot be judged, and it was not the agent's doing: see fault.

    It has no reward. Leave it out of training or play it again; never count it as 0.
    """


class Unscored(AstraError):
    """The episode has no score: it is open, was aborted, expired, or was free play."""


class Disagrees(AstraError):
    """Submitted messages do not tell what the log tells; message is the first that does not, from 0."""

    message: int = 0


class Busy(AstraError):
    """Too many calls are waiting; the same call may be made again after retry_after seconds."""

    retry_after: float = 1.0


class Full(Busy):
    """No more episodes can be opened now; open again after retry_after seconds."""


class LeaseLost(AstraError):
    """The lease of a batch has run out, or was settled before: somebody else may have the batch."""


class Unauthorized(AstraError):
    """The token is missing or wrong, or the server does not serve this host name."""


class Unsupported(AstraError):
    """The server, as it was started, does not do this."""


class TimedOut(AstraError):
    """The server gave up: a tool or a request took too long."""


class ServerError(AstraError):
    """The server failed, or what answered is no astra."""


# By the last word of a problem's type; the server's table is httpapi/errors.go.
_KINDS: dict[str, type[AstraError]] = {
    "invalid": Invalid,
    "not-found": NotFound,
    "ended": Ended,
    "budget": BudgetSpent,
    "busy": Busy,
    "idempotency": Conflict,
    "unscored": Unscored,
    "full": Full,
    "disagrees": Disagrees,
    "lease": LeaseLost,
    "refused": Refused,
    "unsupported": Unsupported,
    "tool-timeout": TimedOut,
    "timeout": TimedOut,
    "malformed": Refused,
    "too-large": Refused,
    "media-type": Refused,
    "method": Refused,
    "unauthorized": Unauthorized,
    "forbidden": Unauthorized,
}

_PREFIX = "urn:astra:problem:"


def problem_error(problem: Mapping[str, Any], retry_after: float) -> AstraError | None:
    """Make the exception that a problem document stands for; None if it is no problem of astra's."""
    full = problem.get("type")
    if not isinstance(full, str) or not full.startswith(_PREFIX):
        return None
    kind = full.removeprefix(_PREFIX)
    text = str(problem.get("detail") or problem.get("title") or kind)
    error = _KINDS.get(kind, ServerError)(text, fault=str(problem.get("fault", "")), step=int(problem.get("step", 0)))
    error.kind = kind
    if isinstance(error, Busy):
        error.retry_after = retry_after
    if isinstance(error, Disagrees):
        error.message = int(problem.get("message", 0))
    return error
