"""Trainers with environments of their own: each runs in a process, for it has needs of its own."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest
from conftest import Server
from gold import ROOT

TRL = ROOT / ".venv-trl"


def run(python: Path, script: str, *args: str) -> Any:
    """Run a script of this directory, and return what it says of its result."""
    here = Path(__file__).parent
    environment = {**os.environ, "PYTHONPATH": str(here.parent / "src"), "TRL_EXPERIMENTAL_SILENCE": "1"}
    done = subprocess.run(
        [python, here / script, *args], env=environment, capture_output=True, text=True, timeout=900, check=False
    )
    assert done.returncode == 0, done.stderr[-4000:]
    return json.loads(done.stdout.rpartition("result ")[2])


@pytest.mark.skipif(not (TRL / ".ready").exists(), reason="`make peers-trl` fetches TRL")
def test_trl(server: Server, tmp_path: Path) -> None:
    """Two steps of GRPOTrainer: what the script plays is worth 1, what a random model says is worth 0."""
    told = run(TRL / "bin/python", "train_trl.py", str(server.store), str(tmp_path))
    assert told["steps"] == 2
    assert told["changed"]
    for log in told["logs"]:
        assert log["rewards/inventory.1/mean"] == log["rewards/parcels/mean"] == 0.5
        assert log["grad_norm"] > 0
        assert log["tools/failure_frequency"] == 0
        assert log["tools/call_frequency"] == 1.5  # of two and four calls, for two of four episodes
