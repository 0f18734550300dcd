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
TRAINERS = ROOT / ".venv-trainers"
recipes = pytest.mark.skipif(not (TRAINERS / ".ready").exists(), reason="`make peers-trainers` fetches the trainers")


def run(python: Path, script: str, *args: str, store: Path | None = None) -> Any:
    """Run a script of this directory, and return what it says of its result."""
    here = Path(__file__).parent
    path = os.pathsep.join(map(str, (here.parent / "src", ROOT / "examples/trainers")))
    environment = {**os.environ, "PYTHONPATH": path, "TRL_EXPERIMENTAL_SILENCE": "1", "HF_HUB_OFFLINE": "1"}
    if store:
        environment["ASTRA_DIR"] = str(store)
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


@recipes
def test_tinker_cookbook(server: Server) -> None:
    """Groups of rollouts: gold is worth 1, what cannot be read is mended, and what cannot be judged fails its group.

    Rollouts that wait for room keep none from making it.
    """
    told = run(TRAINERS / "bin/python", "play_tinker.py", store=server.store)
    assert told == {
        "rewards": {"hinge-price": [1, 1], "two-parcels": [1, 1], "most-bolts": [0, 0]},
        "mended": [1],
        "broken": "Invalid",
        "waited": [1, 1, 1],
    }


@recipes
def test_verl(server: Server, tmp_path: Path) -> None:
    """A batch of verl's; an episode that cannot be judged is tried three times, and one may wait for another's room."""
    told = run(TRAINERS / "bin/python", "play_verl.py", str(tmp_path), store=server.store)
    check_batch(told)
    assert told["tries"] == 3
    assert told["waited"] == 1  # of two, as above


@recipes
def test_skyrl(server: Server, tmp_path: Path) -> None:
    """A batch of SkyRL's."""
    check_batch(run(TRAINERS / "bin/python", "play_skyrl.py", str(tmp_path), store=server.store))


def check_batch(told: Any) -> None:
    """Gold is worth 1, at its last token; only the model's words are trained on; invalid is no 0."""
    played = told["played"]
    rewards = {task: p["reward"] for task, p in played.items()}
    assert rewards == {"hinge-price": 1, "most-bolts": 0, "two-parcels": 1}
    assert all(p["at_the_end"] for p in played.values())
    assert played["hinge-price"]["said"].endswith("</tool_call><|im_end|><think>\nWell.\n</think>\n\n2.35<|im_end|>")
    assert played["two-parcels"]["said"].count("<|im_end|>") == 4
    assert "Linz to Ulm" not in played["two-parcels"]["said"]
    assert told["broken"] == "Invalid"
    assert 0 < told["dithered"] < 1  # of what was called before it was cut off; there was no answer
