"""Arenas by name: their tools, their tasks, and episodes of them."""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any
from urllib.parse import quote

from .control import Control, connected
from .episode import Episode
from .errors import NotFound, Refused
from .records import Task, Tool

__all__ = ["Arena", "arenas"]


def arenas(control: Control | None = None) -> list[Arena]:
    """List the newest version of each arena that is served, by name."""
    control = connected(control)
    return [Arena(raw["name"], control) for raw in control.get("/v1/arenas")["arenas"]]


class Arena:
    """An environment: tools and tasks.

    The version is decided when this is made, so that all episodes of a run are of one; ref says which.

    Attributes:
        name: of the arena.
        ref: name@digest.
        title: of the arena.
        description: for people.
        control: where it is served.
    """

    def __init__(self, name: str, control: Control | None = None) -> None:
        """Look up an arena.

        Args:
            name: or name@digest for another version than the newest.
            control: where it is served; default is what connect() finds.

        Raises:
            NotFound: no such arena is served; arenas() lists those that are.
            NoServer: no server was found.
        """
        if not isinstance(name, str) or not name:
            raise TypeError(f"{name!r} is no name of an arena; arenas() lists those that are served")
        self.control = connected(control)
        raw = self.control.get("/v1/arenas/" + quote(name, safe=""))
        self.name: str = raw["name"]
        self.ref = f"{raw['name']}@{raw['digest']}"
        self.title: str = raw["title"]
        self.description: str = raw["description"]
        self._tools = [Tool.read(t) for t in raw["tools"] or ()]

    def __repr__(self) -> str:
        return f"Arena({self.ref!r})"

    @property
    def tools(self) -> list[Tool]:
        """All tools of the arena; a task may have fewer in view."""
        return list(self._tools)

    def tasks(self, split: str | None = None) -> list[Task]:
        """List tasks in their author's order: all, or those of train, validation or test.

        Raises:
            Refused: there is no split of that name.
        """
        if split not in (None, "train", "validation", "test"):
            raise Refused(f"there is no split {split!r}: say train, validation or test, or nothing for all")
        return [t for t in self._tasks.values() if split is None or t.split == split]

    def task(self, name: str) -> Task:
        """Find a task by its id."""
        try:
            return self._tasks[name]
        except KeyError:
            raise NotFound(f"task {name!r} of arena {self.name}: not found; tasks() lists them") from None

    @cached_property
    def _tasks(self) -> dict[str, Task]:
        raw = self.control.get(f"/v1/arenas/{quote(self.ref, safe='')}/catalog")
        sets = [tuple(map(Tool.read, tools)) for tools in raw["tool_sets"]]
        return {
            t["id"]: Task(
                t["id"],
                t.get("title", ""),
                t.get("difficulty", 0.0),
                t["split"],
                t["turns"],
                t["own"],
                t["grows"],
                sets[t["tool_set"]],
                t["tool_set"],
            )
            for t in raw["tasks"]
        }

    def open(
        self,
        task: Task | str | None = None,
        *,
        mode: str | None = None,
        group: str = "",
        policy: str = "",
        seed: int | None = None,
        distractors: Sequence[str] | None = None,
        failures: Mapping[str, Any] | None = None,
        ttl: int = 0,
    ) -> Episode:
        """Open an episode. If the connection breaks, it is asked for again, and is the same one.

        Args:
            task: to be played; None is free play, which has no score.
            mode: train, eval or practice; default is train for tasks of the train split, eval for
                others, practice for free play. Only train reaches trainers and exports.
            group: episodes of one group are compared with each other.
            policy: version of what plays, for the record.
            seed: of the world; default the task's, or 0.
            distractors: tools of other arenas as arena/tool, instead of the task's; () is none.
            failures: a plan of failing calls, such as {"rate": 0.2}, instead of the task's.
            ttl: seconds until it ends by itself; 0 is the server's default.

        Raises:
            Full: no more episodes can be opened now, for longer than the control's patience.
            Refused: the text says what to change.
            NotFound: there is no such task.
        """
        if isinstance(task, str):
            task = self.task(task)
        if not isinstance(task, Task | None):
            raise TypeError(f"{task!r} is no task: give one of tasks(), or its id")
        if isinstance(distractors, str):
            raise TypeError(f"distractors={distractors!r}: give a list of them")
        if not isinstance(failures, Mapping | None):
            raise TypeError(f'failures={failures!r}: give a plan such as {{"rate": 0.2}}')
        body: dict[str, Any] = {
            "arena": self.ref,
            "mode": mode or _mode(task),
            "key": secrets.token_hex(16),
            "task": task.id if task else "",
            "group": group,
            "policy": policy,
            "ttl": ttl,
        }
        if seed is not None:
            body["seed"] = seed
        if distractors is not None:
            body["distractors"] = list(distractors)
        if failures is not None:
            body["failures"] = dict(failures)
        return Episode(self.control, self.control.post("/v1/episodes", body))


def _mode(task: Task | None) -> str:
    if task is None:
        return "practice"
    return "train" if task.split == "train" else "eval"
