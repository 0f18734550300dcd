"""A real `astra serve`, on ports of its own, for all tests."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from gold import ARENAS, BANK, PARCELS, ROOT

import astra_arenas
from astra_arenas import Arena, Control


class Server:
    """An astra process and its store."""

    def __init__(self, store: Path, *flags: str) -> None:
        self.store, self.flags = store, flags
        self.start()

    def start(self) -> None:
        where = ["--agents", "127.0.0.1:0", "--control", "127.0.0.1:0", "--dir", str(self.store)]
        self.process = subprocess.Popen(
            [astra(), "serve", *where, *self.flags, *map(str, [*ARENAS, BANK, PARCELS])],
            cwd=self.store.parent,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        assert self.process.stdout is not None
        assert self.process.stdout.readline(), "astra did not start"

    def kill(self) -> None:
        """End it as kill -9 does."""
        self.process.kill()
        self.process.wait()

    def control(self, patience: float = 30) -> Control:
        return astra_arenas.connect(directory=self.store, patience=patience)


def astra() -> str:
    found = os.environ.get("ASTRA_BIN") or str(ROOT / "bin/astra")
    path = shutil.which(found)
    assert path, f"{found} is no program: run `make build`, or set ASTRA_BIN"
    return path


Serve = Callable[..., Server]


@pytest.fixture(scope="session")
def serve(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serve]:
    servers: list[Server] = []

    def start(*flags: str) -> Server:
        servers.append(Server(tmp_path_factory.mktemp("astra") / "store", *flags))
        return servers[-1]

    yield start
    for server in servers:
        server.kill()


@pytest.fixture(scope="session")
def server(serve: Serve) -> Server:
    return serve()


@pytest.fixture
def control(server: Server) -> Control:
    return server.control()


@pytest.fixture
def inventory(control: Control) -> Arena:
    return Arena("inventory", control)


@pytest.fixture
def bank(control: Control) -> Arena:
    return Arena("bank", control)


@pytest.fixture
def parcels(control: Control) -> Arena:
    return Arena("parcels", control)


@pytest.fixture(autouse=True)
def no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("ASTRA_DIR", "ASTRA_CONTROL", "ASTRA_AGENTS", "ASTRA_TOKEN"):
        monkeypatch.delenv(name, raising=False)
