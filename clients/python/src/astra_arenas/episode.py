"""One attempt at one task."""

from __future__ import annotations

import json
import secrets
from collections.abc import Mapping
from datetime import datetime
from types import TracebackType
from typing import Any
from urllib.parse import quote

from .control import Control
from .errors import (
    AstraError,
    BudgetSpent,
    Conflict,
    Ended,
    Invalid,
    NoServer,
    NotFound,
    Refused,
    Unreachable,
    Unscored,
)
from .records import NextTurn, Number, Score, Step, Tool, Trajectory
from .texts import fitting, parse

__all__ = ["Episode"]


class Episode:
    """An episode that is open, or was.

    As a context manager it is aborted at the end, unless it was submitted:

        with arena.open("hinge-price") as episode:
            ...
            score = episode.submit("2.35")

    Attributes:
        id: names it in records and exports.
        key: whoever has it can call its tools, and cannot see its score.
        arena: name@digest.
        task: id of the task; "" in free play.
        message: what the user said last.
        turn_number: of that message, from 1.
        expires: when it ends by itself.
    """

    def __init__(self, control: Control, opening: Mapping[str, Any]) -> None:
        """Take up what the server opened; `Arena.open`, `fork` and `rewind` do."""
        self._control = control
        self.id: str = opening["episode"]
        self.key: str = opening["key"]
        self.arena: str = opening["arena"]
        self.task: str = opening["task"]["id"]
        self.message: str = opening["message"]
        self.turn_number = max(1, len(opening["task"].get("turns") or ()))
        self.expires = datetime.fromisoformat(opening["expires"])
        self._over = False

    def __repr__(self) -> str:
        return f"Episode({self.id!r}, task={self.task!r})"

    def __enter__(self) -> Episode:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._over:
            return
        if error is None:
            self.abort("left without submitting")
            return
        try:  # once: who pressed ^C, or has no server, has waited enough, and an episode ends by itself
            reason = f"{type(error).__name__}: {error}"
            self._control.send("POST", self._path("/abort"), {"reason": reason}, patience=0)
        except AstraError as e:
            error.add_note(f"the episode could not be aborted either, and ends at {self.expires}: {e}")

    @property
    def mcp_url(self) -> str:
        """Where an agent finds the tools over MCP. It holds the key, and shows no score."""
        return f"{self._door()}/mcp"

    @property
    def base_url(self) -> str:
        """Where an agent finds the policy (an OpenAI-compatible API) and what it is asked is recorded in tokens."""
        return f"{self._door()}/v1"

    def _door(self) -> str:
        agents = self._control.doors.agents
        if not agents:
            raise NoServer("nobody said where the agents' door is: set ASTRA_AGENTS, or connect(agents=...)")
        return f"{agents}/episodes/{self.key}"

    def _path(self, rest: str = "") -> str:
        return _path(self.id, rest)

    def tools(self) -> list[Tool]:
        """List the tools in view, distractors too. A turn may add some."""
        return [Tool.read(t) for t in self._control.get(self._path("/tools"))["tools"] or ()]

    def call(self, tool: str, args: Mapping[str, Any] | str | None = None) -> Step:
        """Call a tool. If the connection breaks, the same call is asked about again, and is made once.

        Args:
            tool: its name. One that is not in view is a failed step.
            args: its arguments, or the text that a model wrote for them; what is no JSON object is a failed step.

        Raises:
            BudgetSpent: the task allows no more calls; submit.
            Ended: the episode is over.
            Invalid: the call could not be completed, and the episode is over without a score.
        """
        body = {"tool": tool, "args": _arguments(args), "idempotency_key": secrets.token_hex(16)}
        try:
            reply = self._control.send("POST", self._path("/calls"), body)
        except (Ended, Invalid):
            self._over = True
            raise
        return Step.read(json.loads(reply.body, parse_float=Number))

    def observe(self, tool: str, args: Mapping[str, Any] | str | None = None) -> str:
        """Call a tool, and return what a model is to be told: a result, why there is none, or that the budget is spent.

        Raises:
            Ended: the episode is over.
            Invalid: the call could not be completed, and the episode is over without a score.
        """
        try:
            return self.call(tool, args).text
        except BudgetSpent as e:
            return str(e)

    def turn(self, reply: str, message: str | None = None) -> NextTurn:
        """Close the turn with the agent's reply, and get the user's next message.

        Args:
            reply: of the agent. Of one that is too long the first 64 KiB of UTF-8 are said.
            message: what a simulated user says next, where the task has one and no message of its own is left.

        Raises:
            Refused: the last turn was closed already, or the task has no such user.
        """
        if not isinstance(reply, str):
            raise Refused(f"reply={reply!r}: a reply is a text")
        reply = fitting(reply)
        body = {"reply": reply} if message is None else {"reply": reply, "message": message}
        try:
            told = NextTurn.read(self._control.post(self._path("/turns"), body, repeat=False))
        except Unreachable:
            told = self._turned(reply)
        if not told.done:
            self.message, self.turn_number = told.message, told.turn
        return told

    def _turned(self, reply: str) -> NextTurn:
        """Find out what came of a reply whose answer was lost: made twice, it would close two turns."""
        task = self._control.get(self._path("/task"))
        now = task["turns"][self.turn_number - 1]
        if now.get("reply") is None:
            raise Unreachable(f"episode {self.id}: the reply to turn {self.turn_number} did not arrive; say it again")
        if now["reply"] != reply:
            raise Conflict(f"episode {self.id}: turn {self.turn_number} was closed with another reply")
        if len(task["turns"]) == self.turn_number:
            return NextTurn(self.turn_number, "", (), True)
        return NextTurn(self.turn_number + 1, task["turns"][self.turn_number]["prompt"], (), False)

    def submit(self, answer: Any = None, messages: list[dict[str, Any]] | None = None) -> Score:
        """End the agent's part, and have it scored. A repeat with the same answer tells the same score.

        Args:
            answer: text, of which the first 64 KiB of UTF-8 are handed in; or any JSON; None is no answer.
            messages: the conversation in OpenAI's form, if it is to be kept; it must agree with the log.

        Raises:
            Invalid: the episode cannot be judged. It has no reward, which is not 0.
            Unscored: free play has no score.
            Disagrees: messages tell of other calls than the log.
            Refused: the answer is no text, and has more than 64 KiB as JSON.
        """
        body: dict[str, Any] = {"answer": fitting(answer) if isinstance(answer, str) else answer}
        if messages is not None:
            body["messages"] = messages
        try:
            raw = self._control.post(self._path("/submit"), body)["score"]
        except (Ended, Invalid):
            self._over = True
            raise
        self._over = True
        if raw is None:
            raise Unscored(f"episode {self.id} was free play, which has no score")
        return Score.read(raw)

    def score(self) -> Score:
        """Tell the score again.

        Raises:
            Unscored: it was not submitted.
            Invalid: it could not be judged.
        """
        return Score.read(self._control.get(self._path("/score")))

    def abort(self, reason: str = "") -> None:
        """End the episode without a score. To abort one that has ended is no error."""
        self._control.post(self._path("/abort"), {"reason": reason})
        self._over = True

    def fork(self, n: int = 1, *, at: int | None = None, group: str = "", ttl: int = 0) -> list[Episode]:
        """Make episodes that share the history up to a step and go their own ways from there.

        There are all of them or none: when one cannot be made, those that were are aborted.

        Args:
            n: how many, from 1 to 64.
            at: the step, 0 being before the first; default is as the episode is now.
            group: of the forks; they do not inherit this one's.
            ttl: seconds until they end by themselves.

        Raises:
            Full: there is no room for all of them, for longer than the control's patience.
            Refused: there cannot be so many, or there is no such step.
        """
        if n < 1:  # 0 is 1 to the server, as for who does not say
            raise Refused(f"{n} forks: 1 to 64 can be made at once")
        keys = [secrets.token_hex(16) for _ in range(n)]
        body: dict[str, Any] = {"keys": keys, "group": group, "ttl": ttl}
        if at is not None:
            body["at"] = at
        try:
            raw = self._control.post(self._path("/fork"), body)
        except BaseException as error:
            self._unmake(keys, error)
            raise
        return [Episode(self._control, opening) for opening in raw["episodes"]]

    def _unmake(self, keys: list[str], error: BaseException) -> None:
        """Abort the forks that were made before the error: the server keeps them for a repeat, and nobody has them."""
        reason = {"reason": f"its siblings could not be made: {type(error).__name__}"}
        try:
            for key in keys:
                found = self._control.send("POST", "/v1/keys/resolve", {"key": key}, patience=0)
                path = _path(json.loads(found.body)["episode"], "/abort")
                self._control.send("POST", path, reason, patience=0)
        except NotFound:
            return  # they are made in the order of their keys
        except AstraError as e:
            error.add_note(f"forks that were made could not be aborted, and end by themselves: {e}")

    def rewind(self, step: int, *, ttl: int = 0) -> Episode:
        """Take the episode up again after a step, 0 being before the first, as a fork; it stays as it is itself."""
        raw = self._control.post(self._path("/rewind"), {"step": step, "ttl": ttl, "key": secrets.token_hex(16)})
        return Episode(self._control, raw)

    def state(self, at: int | None = None) -> Any:
        """Tell the state of the world after a step; default the last. Agents must not see it."""
        return self._control.get(self._path("/state"), at=at)

    def record(self) -> dict[str, Any]:
        """Tell the whole record, as the server writes it."""
        record: dict[str, Any] = self._control.get(self._path())
        return record

    def trajectory(self) -> Trajectory:
        """Tell the episode as chat messages."""
        return Trajectory.read(self._control.get(self._path("/trajectory")))


def _path(episode: str, rest: str) -> str:
    return f"/v1/episodes/{quote(episode, safe='')}{rest}"


def _arguments(args: Mapping[str, Any] | str | None) -> Any:
    if args is None:
        return {}
    text = ""
    try:
        text = args if isinstance(args, str) else json.dumps(dict(args) if isinstance(args, Mapping) else args)
        return parse(text, _no_number) if text.strip() else {}
    except (ValueError, RecursionError):
        return text  # where an object is due: the step fails, and says why


def _no_number(name: str) -> Any:
    raise ValueError(f"{name} is no JSON")
