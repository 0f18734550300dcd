"""The reference solutions of example arenas, played over any door."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[3]
ARENAS = [ROOT / "examples/arenas/inventory", ROOT / "examples/arenas/travel", ROOT / "examples/arenas/files"]
PARCELS = (
    Path(__file__).resolve().parent / "arenas/parcels"
)  # what is hard to say in Python, and turns that add no tools
BANK = ROOT / "gateway/testdata/bank"  # tasks that go wrong, and one with a simulated user

REFERENCE = re.compile(r"\$([1-9]\d*)\.value((?:\.[^.]+)*)")


class Gold:
    """The solution of one task: calls by turn, and the answer."""

    def __init__(self, arena: Path, task: str) -> None:
        lines = (arena / "tasks.jsonl").read_text(encoding="utf-8").splitlines()
        self.task: dict[str, Any] = next(t for t in map(json.loads, lines) if t["id"] == task)
        self.turns: list[list[dict[str, Any]]] = self.task.get("gold", [])
        self.values: list[Any] = []

    @property
    def messages(self) -> int:
        return len(self.task["turns"])

    @property
    def answer(self) -> str:
        """What is replied last: an answer that tests know, or the word of somebody who is done."""
        expected = (self.task.get("answer") or {}).get("expected")
        if expected is None:
            return "Done."
        return expected if isinstance(expected, str) else json.dumps(expected)

    def play(self, turn: int, call: Callable[[str, Any], Any]) -> None:
        """Make the calls of a turn, from 1; call returns a tool's value."""
        for step in self.turns[turn - 1] if turn <= len(self.turns) else []:
            self.values.append(call(step["tool"], self.filled(step.get("args", {}))))

    def filled(self, value: Any) -> Any:
        """Put what earlier calls returned where $n.value stands."""
        if isinstance(value, dict):
            return {k: self.filled(v) for k, v in value.items()}
        if isinstance(value, list):
            return [self.filled(v) for v in value]
        found = REFERENCE.fullmatch(value) if isinstance(value, str) else None
        if found is None:
            return value
        at = self.values[int(found[1]) - 1]
        for key in found[2].split(".")[1:]:
            at = at[int(key)] if isinstance(at, list) else at[key]
        return at
