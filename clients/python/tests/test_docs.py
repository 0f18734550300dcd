"""docs/trainers.md and the recipes say what is there."""

from __future__ import annotations

import ast
import re
import subprocess
import textwrap
import tomllib
from pathlib import Path

import pytest
import yaml
from gold import ROOT

TEXT = (ROOT / "docs/trainers.md").read_text(encoding="utf-8")
BLOCKS = [
    pytest.param(m["kind"], textwrap.dedent(m["body"]), id=f"{m['kind']}-{TEXT.count(chr(10), 0, m.start()) + 1}")
    for m in re.finditer(r"^ *```(?P<kind>\w+)\n(?P<body>.*?)^ *```$", TEXT, re.DOTALL | re.MULTILINE)
]
PARSERS = {"python": ast.parse, "toml": tomllib.loads, "yaml": yaml.safe_load}
RECIPES = sorted((ROOT / "examples/trainers").glob("*.py"))


@pytest.mark.parametrize(("kind", "body"), BLOCKS)
def test_blocks_parse(kind: str, body: str) -> None:
    assert PARSERS[kind](body)


def declared(files: str) -> set[str]:
    """Tests that code under version control declares."""
    listed = subprocess.run(["git", "ls-files", files], cwd=ROOT, capture_output=True, text=True, check=True)
    found: set[str] = set()
    for name in listed.stdout.split():
        found.update(re.findall(r"^(?:func|def) (\w+)", (ROOT / name).read_text(encoding="utf-8"), re.MULTILINE))
    return found


def test_tests_exist() -> None:
    named = set(re.findall(r"`((?:Test|test_)\w+)`", TEXT))
    assert len(named) > 8
    assert named - declared("*_test.go") - declared("*test_*.py") == set()


def test_files_exist() -> None:
    links = re.findall(r"\]\((?!#|https?:)([^)#]+)", TEXT)
    paths = re.findall(r"`((?:httpapi|trainer|clients|examples|docs)/[\w./-]+)`", TEXT)
    assert links and paths
    missing = [p for p in [*links] if not (ROOT / "docs" / p).exists()] + [p for p in paths if not (ROOT / p).exists()]
    assert missing == []


def test_sections_exist() -> None:
    heads = {re.sub(r"[^\w -]", "", h).lower().replace(" ", "-") for h in re.findall(r"^#+ (.*)$", TEXT, re.MULTILINE)}
    assert set(re.findall(r"\]\(#([\w-]+)\)", TEXT)) - heads == set()


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: str(path.name))
def test_recipes_are_told_of(path: Path) -> None:
    ast.parse(path.read_text(encoding="utf-8"))
    assert f"(../examples/trainers/{path.name})" in TEXT
