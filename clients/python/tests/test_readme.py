"""The README does what it says."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from conftest import Serve

README = Path(__file__).resolve().parents[1] / "README.md"


def test_blocks_run_in_their_order(
    serve: Serve, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for package in ("gymnasium", "mcp", "skyrl_gym"):
        pytest.importorskip(package)
    (tmp_path / ".astra").symlink_to(serve("--batch", "2").store)
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {"__name__": "readme"}
    text = README.read_text(encoding="utf-8")
    blocks = [(m.start(1), m[1]) for m in re.finditer(r"^```python\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)]
    assert len(blocks) > 8
    for at, block in blocks:
        above = "\n" * text.count("\n", 0, at)  # so that a trace tells the README's line
        exec(compile(above + block, README, "exec"), names)
    check_skyrl(names["ArenaTextEnv"])
    assert "hinge-price" in capsys.readouterr().out


def check_skyrl(made: object) -> None:
    import skyrl_gym

    skyrl_gym.register(id="arena", entry_point=made)
    env = skyrl_gym.make("arena", extras={"arena": "inventory", "task": "hinge-price"})
    prompt, _ = env.init([{"role": "user", "content": "You work in a warehouse."}])
    assert prompt[0]["role"] == "system"
    assert "find_items" in prompt[0]["content"]
    told = env.step('<tool_call>{"name": "find_items", "arguments": {"query": "brass hinge"}}</tool_call>')
    assert '"price":2.35' in told["observations"][0]["content"]
    told = env.step("2.35")
    assert (told["reward"], told["done"]) == (1.0, True)
    env.close()
