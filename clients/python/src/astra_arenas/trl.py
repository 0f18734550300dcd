"""Arenas as environments of TRL's GRPOTrainer. TRL itself is not imported."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from typing import Any

from .arena import Arena
from .episode import Episode
from .errors import AstraError, Ended, Invalid, NotFound, Refused
from .records import Task, Tool
from .signatures import dressed, parameters

__all__ = ["Environments", "ToolEnvironment"]

_SUBMIT = Tool(
    "episode_submit",
    "",
    "Ends the task, with the answer if one was asked for. No tool can be called after it.",
    {"type": "object", "properties": {"answer": {"type": "string", "description": "The answer, in full."}}},
    None,
    {},
)
_TURN = Tool(
    "episode_turn",
    "",
    "Replies to the user when what was asked is done, and returns the user's next message.",
    {"type": "object", "properties": {"reply": {"type": "string", "description": "What to tell the user."}}},
    None,
    {},
)


class Environments:
    """What GRPOTrainer takes of arenas: one environment for each set of tools, and rows that choose among them.

        environments = Environments([Arena("inventory")])
        GRPOTrainer(
            ...,
            train_dataset=Dataset.from_list(environments.rows),
            environment_factory=environments.factories,
        )

    TRL asks each environment for its tools once, so tasks to which a turn adds tools are left
    out, and so are those with a simulated user; skipped names them.

    Attributes:
        rows: one for each task.
        factories: by the name in a row's column environment.
        skipped: why a task is in no row, by arena/task.
    """

    def __init__(self, arenas: Iterable[Arena | str], *, split: str | None = "train", prompt: str = "") -> None:
        """Make environments.

        Args:
            arenas: whose tasks are played, or their names.
            split: whose tasks; None is all. Only those of train are opened as train.
            prompt: what every task begins with, before the user's message.

        Raises:
            Refused: no task can be served, or an arena is given twice.
        """
        if isinstance(arenas, str | Arena):
            raise TypeError(f"{arenas!r}: give a list of arenas")
        self.rows: list[dict[str, Any]] = []
        self.factories: dict[str, type[ToolEnvironment]] = {}
        self.skipped: dict[str, str] = {}
        given = [arena if isinstance(arena, Arena) else Arena(arena) for arena in arenas]
        if len({arena.name for arena in given}) < len(given):
            raise Refused("an arena is given twice; environments are named by arenas")
        for arena in given:
            self._add(arena, split, prompt)
        if not self.rows:
            raise Refused(f"no task of the split {split} can be served to TRL: {self.skipped or 'there is none'}")

    def _add(self, arena: Arena, split: str | None, prompt: str) -> None:
        tasks = [t for t in arena.tasks() if not self._skips(arena, t)]
        names = _names(arena, tasks)
        chosen = {task.id for task in arena.tasks(split)}
        for task in tasks:
            if task.id not in chosen:
                continue
            name = names[_key(task)]
            if name not in self.factories:
                self.factories[name] = environment(name, arena, task.tools, turns=task.turns > 1)
            row = {"prompt": [{"role": "user", "content": prompt}], "environment": name, "arena": arena.ref}
            self.rows.append({**row, "task": task.id})

    def _skips(self, arena: Arena, task: Task) -> bool:
        if task.grows:
            self.skipped[f"{arena.name}/{task.id}"] = "a turn adds tools, and TRL asks for tools once"
        elif task.turns > task.own:
            self.skipped[f"{arena.name}/{task.id}"] = "it has a simulated user"
        else:
            return False
        return True


def _key(task: Task) -> tuple[int, bool]:
    return task.tool_set, task.turns > 1


def _names(arena: Arena, tasks: Sequence[Task]) -> dict[tuple[int, bool], str]:
    """Name tool sets as ORS does: by the arena, and by number where it has several."""
    keys = list(dict.fromkeys(map(_key, tasks)))
    if len(keys) == 1:
        return {keys[0]: arena.name}
    return {key: f"{arena.name}.{n}" for n, key in enumerate(keys, 1)}


class ToolEnvironment:
    """An environment of TRL. Public methods of its subclasses are the tools; see environment."""

    _arena: Arena

    def __init__(self) -> None:
        self._episode: Episode | None = None
        self._answer: str | None = None
        self._answered = False  # the model's part is over
        self._reward: float | None = None
        self._known = False  # the reward, or that there is none

    def reset(self, *, task: str, **row: Any) -> str:
        """Open an episode of a row's task, and return the user's message."""
        if self._episode is not None and not self._known:
            with suppress(NotFound):
                self._episode.abort("the environment was reset")
        ToolEnvironment.__init__(self)
        self._episode = self._arena.open(task)
        return self._episode.message

    def get_reward(self) -> float | None:
        """Tell the reward, in [0, 1]; None if there is none, which TRL leaves out of the group and counts as no 0.

        Raises:
            AstraError: it could not be found out, which ends TRL's training. None would leave out what a server
                that is away may well have scored, and TRL would go on with what is left.
        """
        if self._episode is not None and not self._known:
            self._answered = True
            self._score(self._episode)
        return self._reward

    def _score(self, episode: Episode) -> None:
        try:
            self._reward = episode.submit(self._answer).reward
        except (Invalid, Ended):
            self._reward = None
        self._known = True

    def _submit(self, answer: Any) -> str:
        if not self._answered and self._episode is not None:
            self._answered, self._answer = True, _text(answer)
            with suppress(AstraError):  # no doing of the model's: get_reward asks again, with this answer
                self._score(self._episode)
        return "the episode is over"

    def _turn(self, reply: str) -> str:
        if self._answered or self._episode is None:
            return "the episode is over"
        try:
            told = self._episode.turn(reply)
        except (Ended, Refused) as e:
            return str(e)
        return told.message or "there are no more messages: call episode_submit"

    def _call(self, tool: str, args: Mapping[str, Any]) -> str:
        if self._answered or self._episode is None:
            return "the episode is over"
        try:
            return self._episode.observe(tool, args)
        except (Ended, Invalid) as e:
            return str(e)


def _text(answer: Any) -> str | None:
    """Write what is no text, as models hand in, as the server does: a text is never refused."""
    if isinstance(answer, str | None):
        return answer
    return json.dumps(answer, ensure_ascii=False, separators=(",", ":"))


def environment(name: str, arena: Arena, tools: Sequence[Tool], *, turns: bool) -> type[ToolEnvironment]:
    """Make the class for one set of tools, each a method; episode_submit is one too, and episode_turn with turns.

    Raises:
        Refused: a tool has a name or an argument that no method of TRL's can have.
    """
    members: dict[str, Any] = {"_arena": arena, "__module__": __name__, "__doc__": f"Tasks of {arena.ref}."}
    for tool in tools:
        if tool.name.startswith("_") or hasattr(ToolEnvironment, tool.name):
            raise Refused(f"tool {tool.name} of arena {arena.name}: TRL gives that name another meaning")
        members[tool.name] = _method(tool, _calling(tool.name))
    members[_SUBMIT.name] = _method(_SUBMIT, lambda self, args: self._submit(args.get("answer")))
    if turns:
        members[_TURN.name] = _method(_TURN, lambda self, args: self._turn(args.get("reply", "")))
    return type(name, (ToolEnvironment,), members)


def _calling(name: str) -> Callable[[Any, Mapping[str, Any]], str]:
    return lambda self, args: self._call(name, args)


def _method(tool: Tool, do: Callable[[Any, Mapping[str, Any]], str]) -> Callable[..., Any]:
    listed = parameters(tool)
    absent = {p.name for p in listed if not p.required and not p.nullable}

    def method(self: Any, /, **args: Any) -> str:
        return do(self, {k: v for k, v in args.items() if v is not None or k not in absent})

    return dressed(method, tool.name, tool.description, listed)
