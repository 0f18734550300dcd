"""Arenas as Gymnasium environments: text in, text out. Needs `pip install astra-arenas[gymnasium]`."""

from __future__ import annotations

import copy
import json
import re
import string
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any

try:
    import gymnasium
    from numpy.typing import NDArray
except ModuleNotFoundError as e:
    raise ModuleNotFoundError("astra_arenas.gym needs Gymnasium: pip install gymnasium", name=e.name) from e

from .arena import Arena
from .episode import Episode
from .errors import Ended, Invalid, NotFound, Refused
from .records import Score, Task, Tool
from .texts import parse

__all__ = ["AnyText", "ArenaEnv"]

_Call = tuple[str, Any]  # a tool, and its arguments
_MARKED = re.compile(r"<tool_call>(.*?)</tool_call>", re.DOTALL)
_MAX_TEXT = 8 << 20  # characters: what the server's largest result has


class AnyText(gymnasium.Space[str]):
    """All texts. Gymnasium's own Text space wants to be told the characters, and users write in any language."""

    def __init__(self, max_length: int = _MAX_TEXT, seed: int | None = None) -> None:
        """Take texts of at most so many characters."""
        super().__init__(dtype=str, seed=seed)
        self.max_length = max_length

    def sample(self, mask: Any = None, probability: Any = None) -> str:
        """Make a short text of letters."""
        letters = string.ascii_letters + " "
        picked: NDArray[Any] = self.np_random.integers(len(letters), size=int(self.np_random.integers(1, 40)))
        return "".join(letters[i] for i in picked)

    def contains(self, x: Any) -> bool:
        """Tell whether x is a text that is not too long."""
        return isinstance(x, str) and len(x) <= self.max_length

    @property
    def is_np_flattenable(self) -> bool:
        """Texts are no arrays."""
        return False

    def __repr__(self) -> str:
        return f"AnyText({self.max_length})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, AnyText) and other.max_length == self.max_length


class ArenaEnv(gymnasium.Env[str, str]):
    """Tasks of an arena, one after another.

    An action is a text. A JSON object {"name": tool, "arguments": {...}}, or several, each in
    <tool_call> and </tool_call> as Qwen's and Hermes's models write them, calls tools, and is
    observed as their results, one a line. Any other text is the reply to the user, and is observed
    as the next message. The reply to the last message is the answer too: it ends the episode, and
    the step carries the reward, in [0, 1]; all other rewards are 0.

    `reset` and `step` tell in info the task, and under "tools" the functions in view, in the
    form that chat APIs take.

    A step of an episode that cannot be judged raises Invalid: there is no number to return that
    would not be trained on. Catch it, and reset.

    Attributes:
        episode: that is being played; None before the first reset.
    """

    metadata: dict[str, Any] = {"render_modes": []}  # noqa: RUF012 (Gymnasium's own name and type)

    def __init__(
        self,
        arena: Arena | str,
        *,
        split: str | None = "train",
        tasks: Sequence[Task | str] | None = None,
        group: Callable[[Task], str] | None = None,
    ) -> None:
        """Play tasks of an arena.

        Args:
            arena: or its name.
            split: whose tasks; None is all.
            tasks: these alone.
            group: names the group of an episode, where a trainer takes batches of them.
        """
        self._arena = arena if isinstance(arena, Arena) else Arena(arena)
        self._tasks = _chosen(self._arena, split, tasks)
        self._group = group
        self.episode: Episode | None = None
        self.task: Task | None = None
        self._tools: list[Tool] = []
        self._answer: str | None = None  # closed the last turn, and is not known to be scored
        self.observation_space = AnyText()
        self.action_space = AnyText()

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[str, dict[str, Any]]:
        """Open an episode, of a task drawn by the seed.

        Args:
            seed: of what tasks are drawn.
            options: {"task": id} plays that task; {"seed": n} is the world's seed.

        Raises:
            Refused: there is no such option.
            NotFound: there is no such task.
        """
        options = options or {}
        if unknown := options.keys() - {"task", "seed"}:
            raise Refused(f"there is no option {', '.join(map(repr, sorted(unknown)))}: options are task and seed")
        super().reset(seed=seed)
        self.close()
        if "task" in options:
            self.task = self._arena.task(options["task"])
        else:
            self.task = self._tasks[int(self.np_random.integers(len(self._tasks)))]
        group = self._group(self.task) if self._group else ""
        self._answer = None
        self.episode = self._arena.open(self.task, group=group, seed=options.get("seed"))
        self._tools = self.episode.tools()
        return self.episode.message, self._info()

    def step(self, action: str) -> tuple[str, float, bool, bool, dict[str, Any]]:
        """Call a tool, or reply.

        Raises:
            Invalid: the episode cannot be judged; it has no reward, which is not 0.
            AstraError: nobody could be asked. After the last reply the same step finds its score.
        """
        if self.episode is None:
            raise gymnasium.error.ResetNeeded("call reset before step: there is no open episode")
        calls = _calls(action)
        if not calls:
            return self._reply(action)
        observed = "\n".join([self._called(call) for call in calls])
        return observed, 0.0, False, False, self._info()

    def _called(self, call: _Call | None) -> str:
        assert self.episode is not None
        if call is None:
            return "a tool call must be a JSON object with name and arguments"
        tool, args = call
        return self.episode.observe(tool, args if isinstance(args, dict) else json.dumps(args))

    def _reply(self, text: str) -> tuple[str, float, bool, bool, dict[str, Any]]:
        episode = self.episode
        assert episode is not None
        if self._answer is None:
            told = episode.turn(text)
            if not told.done:
                self._tools = episode.tools()  # a turn may add some
                return told.message, 0.0, False, False, self._info()
            self._answer = text
        score = self._score(episode, self._answer)
        parts = {part.name: part.value for part in score.parts}
        info = {"task": episode.task, "recall": score.recall, "precision": score.precision, "parts": parts}
        return "", score.reward, True, False, info

    def _score(self, episode: Episode, answer: str) -> Score:
        """Submit, and forget the episode once its outcome is known: until then close aborts it."""
        try:
            score = episode.submit(answer)
        except (Invalid, Ended):
            self.episode = None
            raise
        self.episode = None
        return score

    def _info(self) -> dict[str, Any]:
        assert self.episode is not None
        functions = [tool.function() for tool in self._tools]
        return {"task": self.episode.task, "tools": copy.deepcopy(functions)}  # what is done to one info stays in it

    def close(self) -> None:
        """Abort the episode that is being played, if there is one."""
        if self.episode is not None:
            with suppress(NotFound):
                self.episode.abort("the environment was reset or closed")
        self.episode = None


def _chosen(arena: Arena, split: str | None, tasks: Sequence[Task | str] | None) -> list[Task]:
    if isinstance(tasks, str):
        raise TypeError(f"tasks={tasks!r}: give a list of them")
    if tasks is not None:
        chosen = [t if isinstance(t, Task) else arena.task(t) for t in tasks]
    else:
        chosen = [t for t in arena.tasks(split) if t.turns == t.own]  # others need a simulated user
    if not chosen:
        raise Refused(f"arena {arena.name} has no task of the split {split} without a simulated user: choose others")
    return chosen


def _calls(action: str) -> list[_Call | None]:
    """Read the tool calls of an action, None for what is none; there are none in a reply."""
    marked = _MARKED.findall(action)
    if marked:
        return [_call(text) for text in marked]
    alone = _call(action)
    return [alone] if alone else []


def _call(text: str) -> _Call | None:
    try:
        value = parse(text)
    except ValueError:
        return None
    if not isinstance(value, dict) or not isinstance(value.get("name"), str):
        return None
    return (value["name"], value.get("arguments", {})) if value.keys() <= {"name", "arguments"} else None
