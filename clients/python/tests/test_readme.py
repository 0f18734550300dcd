"""The README does what it says."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from conftest import Serve
from gold import ROOT

README = Path(__file__).resolve().parents[1] / "README.md"


def test_blocks_run_in_their_order(
    serve: Serve, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for package in ("gymnasium", "mcp", "skyrl_gym"):
        pytest.importorskip(package)
    (tmp_path / ".astra").symlink_to(serve("--batch", "2").store)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(ROOT / "examples/trainers")
    names: dict[str, object] = {"__name__": "readme"}
    text = README.read_text(encoding="utf-8")
    blocks = [(m.start(1), m[1]) for m in re.finditer(r"^```python\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)]
    assert len(blocks) > 8
    for at, block in blocks:
        above = "\n" * text.count("\n", 0, at)  # so that a trace tells the README's line
        exec(compile(above + block, README, "exec"), names)
    printed = capsys.readouterr().out
    assert "hinge-price" in printed
    assert "'content': '{" in printed  # SkyRL's observation
