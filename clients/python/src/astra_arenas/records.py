"""What astra tells, as values: tools, tasks, steps, scores and samples."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

__all__ = [
    "Group",
    "NextTurn",
    "Part",
    "Sample",
    "Score",
    "Sequence",
    "Step",
    "Subtask",
    "Task",
    "Tool",
    "Trajectory",
]


class Number(float):
    """A float that knows how it was written: 1e-05 is not what an agent reads where a tool said 0.00001."""

    __slots__ = ("text",)
    text: str

    def __new__(cls, text: str | float) -> Number:
        """Read a number."""
        number = super().__new__(cls, text)
        number.text = str(text)
        return number


def compact(value: Any) -> str:
    """Write JSON without spaces, with numbers as they were read."""
    if isinstance(value, Number):
        return value.text
    if isinstance(value, dict):
        return "{" + ",".join(f"{compact(k)}:{compact(v)}" for k, v in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ",".join(map(compact, value)) + "]"
    return json.dumps(value, ensure_ascii=False)


@dataclass(frozen=True, slots=True)
class Tool:
    """A function that an agent may call.

    Attributes:
        name: an identifier.
        description: for the model.
        input: JSON Schema of its arguments, an object.
        output: JSON Schema of what it returns; None if it names none.
        annotations: read_only, destructive, idempotent and open_world.
    """

    name: str
    title: str
    description: str
    input: dict[str, Any]
    output: dict[str, Any] | None
    annotations: dict[str, bool]

    @classmethod
    def read(cls, raw: Mapping[str, Any]) -> Tool:
        """Read a tool as the server writes it."""
        return cls(
            raw["name"], raw.get("title", ""), raw["description"], raw["input"], raw.get("output"), raw["annotations"]
        )

    def function(self) -> dict[str, Any]:
        """Describe the tool as chat APIs take it (OpenAI's form)."""
        described = {"name": self.name, "description": self.description, "parameters": self.input}
        return {"type": "function", "function": described}


@dataclass(frozen=True, slots=True)
class Task:
    """One problem in an arena, as much of it as may be known before it is played.

    Attributes:
        split: train, validation or test.
        turns: user messages that it hands out at most.
        own: of these, those of its own; what comes after a simulated user says.
        grows: whether a turn adds tools.
        tools: that an episode of it begins with, distractors too.
        tool_set: tasks of an arena with the same number begin with the same tools.
    """

    id: str
    title: str
    difficulty: float
    split: str
    turns: int
    own: int
    grows: bool
    tools: tuple[Tool, ...]
    tool_set: int


@dataclass(frozen=True, slots=True)
class Step:
    """One tool call and what came back. A failing tool is a step too.

    Attributes:
        index: from 1.
        turn: from 1.
        value: what the tool returned, as JSON; None if it failed.
        error: why it failed; "" if it did not.
        fault: whose doing a failure was: agent or tool.
        breach: whether a limit was hit.
    """

    index: int
    turn: int
    tool: str
    args: Any
    value: Any
    error: str
    fault: str
    breach: bool

    @classmethod
    def read(cls, raw: Mapping[str, Any]) -> Step:
        """Read a step as the server writes it."""
        result = raw["result"]
        return cls(
            raw["index"],
            raw["turn"],
            raw["tool"],
            raw["args"],
            result.get("value"),
            result.get("error", ""),
            result.get("fault", ""),
            result.get("breach", False),
        )

    @property
    def failed(self) -> bool:
        """Whether the call failed."""
        return bool(self.error or self.fault)

    @property
    def text(self) -> str:
        """What a model is to be told: an agent reads the same, byte for byte, over MCP."""
        if self.failed:
            return self.error
        return self.value if isinstance(self.value, str) else compact(self.value)


@dataclass(frozen=True, slots=True)
class NextTurn:
    """What came of a reply.

    Attributes:
        turn: its number.
        message: of the user; "" when done.
        tools_added: names of tools that are in view from now on.
        done: there are no more turns; submit.
    """

    turn: int
    message: str
    tools_added: tuple[str, ...]
    done: bool

    @classmethod
    def read(cls, raw: Mapping[str, Any]) -> NextTurn:
        """Read a turn as the server writes it."""
        return cls(raw["turn"], raw["message"], tuple(raw.get("tools_added") or ()), raw["done"])


@dataclass(frozen=True, slots=True)
class Part:
    """One component of a reward, in [0, 1]. A gate is not averaged: unless it is 1, the reward is 0."""

    name: str
    value: float
    weight: float
    gate: bool
    reasons: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Subtask:
    """Whether a sub-task was solved; step is the one that solved it, 0 if none did."""

    id: str
    solved: bool
    step: int
    reason: str


@dataclass(frozen=True, slots=True)
class Score:
    """The reward of an episode, in [0, 1], and what decided it.

    An episode that cannot be judged has none: `submit` and `score` raise Invalid, which is never 0.
    """

    reward: float
    recall: float
    precision: float
    parts: tuple[Part, ...]
    subtasks: tuple[Subtask, ...]
    verifier: str

    @classmethod
    def read(cls, raw: Mapping[str, Any]) -> Score:
        """Read a score as the server writes it."""
        return cls(
            float(raw["reward"]),
            float(raw["recall"]),
            float(raw["precision"]),
            tuple(_part(p) for p in raw.get("parts") or ()),
            tuple(_subtask(s) for s in raw.get("subtasks") or ()),
            raw["verifier"],
        )


def _part(raw: Mapping[str, Any]) -> Part:
    reasons = tuple(r["text"] for r in raw.get("reasons") or ())
    return Part(raw["name"], float(raw["value"]), float(raw["weight"]), raw.get("gate", False), reasons)


def _subtask(raw: Mapping[str, Any]) -> Subtask:
    return Subtask(raw["id"], raw["solved"], raw.get("step", 0), (raw.get("reason") or {}).get("text", ""))


@dataclass(frozen=True, slots=True)
class Trajectory:
    """An episode as chat messages; tools and metadata as the server writes them."""

    messages: list[dict[str, Any]]
    tools: list[dict[str, Any]]
    metadata: dict[str, Any]

    @classmethod
    def read(cls, raw: Mapping[str, Any]) -> Trajectory:
        """Read a trajectory as the server writes it."""
        return cls(raw["messages"], raw.get("tools") or [], raw["metadata"])


@dataclass(frozen=True, slots=True)
class Sequence:
    """Tokens that one policy saw and sampled, in one row.

    Attributes:
        mask: of tokens; True where sampled, which is what is trained on.
        logprobs: of tokens, natural, 0 where mask is False; None if the policy's server told none.
        oldest: the least version of the policy that sampled any of it.
    """

    tokens: list[int]
    mask: list[bool]
    logprobs: list[float] | None
    oldest: int

    @classmethod
    def read(cls, raw: Mapping[str, Any]) -> Sequence:
        """Read a sequence as the server writes it."""
        return cls(raw["tokens"], raw["mask"], raw.get("logprobs"), raw["oldest"])


@dataclass(frozen=True, slots=True)
class Sample:
    """One episode of a group, ready to be trained on.

    Attributes:
        arena: name@digest.
        policy: version that it was sampled from.
        sequences: what was recorded of its completions; empty if nothing was.
        left: completions that are in no sequence, each with why.
        trajectory: None if it cannot be told as messages.
    """

    episode: str
    arena: str
    task: str
    seed: int
    group: str
    policy: int
    reward: float
    advantage: float
    sequences: list[Sequence]
    left: list[dict[str, Any]] = field(default_factory=list)
    trajectory: Trajectory | None = None

    @classmethod
    def read(cls, raw: Mapping[str, Any]) -> Sample:
        """Read a sample as the server writes it."""
        told = raw.get("trajectory")
        return cls(
            raw["episode"],
            raw["arena"],
            raw["task"],
            raw["seed"],
            raw["group"],
            raw["policy"],
            float(raw["reward"]),
            float(raw["advantage"]),
            [Sequence.read(s) for s in raw.get("sequences") or ()],
            raw.get("left") or [],
            Trajectory.read(told) if told else None,
        )


@dataclass(frozen=True, slots=True)
class Group:
    """Episodes that may be compared with each other.

    Attributes:
        members: episodes with a reward, in the order of rewards.
        invalid: episodes that ended without one, and are not counted as 0.
        policy: version that all of them were sampled from.
    """

    name: str
    members: tuple[str, ...]
    rewards: tuple[float, ...]
    invalid: int
    policy: int

    @classmethod
    def read(cls, raw: Mapping[str, Any]) -> Group:
        """Read a group as the server writes it."""
        return cls(
            raw["name"], tuple(raw["members"]), tuple(map(float, raw["rewards"])), raw.get("invalid", 0), raw["policy"]
        )
