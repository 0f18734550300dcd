"""Each problem is an exception of its own, and its text says what to do."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from conftest import Serve, Server

import astra_arenas as astra
from astra_arenas import Arena, Control
from astra_arenas.doors import Doors, find_doors
from astra_arenas.errors import _KINDS, problem_error
from astra_arenas.trl import Environments


def test_not_found(control: Control, inventory: Arena) -> None:
    with pytest.raises(astra.NotFound, match="no-such-arena"):
        Arena("no-such-arena", control)
    with pytest.raises(astra.NotFound, match="tasks\\(\\) lists them"):
        inventory.open("no-such-task")


def test_refused(inventory: Arena) -> None:
    with pytest.raises(astra.Refused, match="say practice, train or eval"):
        inventory.open("hinge-price", mode="exam")
    with inventory.open("hinge-price") as episode:
        with pytest.raises(astra.Refused, match="no simulated user"):
            episode.turn("x", "y")
        with pytest.raises(astra.Refused, match="1 to 64"):
            episode.fork(0)


def test_what_a_model_may_write_is_a_step(inventory: Arena) -> None:
    with inventory.open("hinge-price") as episode:
        for args in ({"query": float("nan")}, [["query", "hinge"]], 7):
            assert episode.observe("find_items", args) == "the arguments must be a JSON object"  # type: ignore[arg-type]
        assert "items" in episode.call("find_items", {"query": "hinge \ud83d"}).value  # half an emoji
        assert "items" in episode.call("find_items", '{"query": "hinge \\ud83d"}').value
        episode.turn("It costs 2.35 \ud83d")
        assert episode.submit("2.35 \ud83d").reward < 1


@pytest.mark.parametrize("levels", [900, 960, 990, 20000, 100000])
def test_what_is_nested_too_deep_is_a_failed_step(inventory: Arena, levels: int) -> None:
    nested: dict[str, object] = {}
    for _ in range(levels - 1):
        nested = {"a": nested}
    with inventory.open("hinge-price") as episode:
        for args in ('{"a":' * levels, '{"a":' * levels + "1" + "}" * levels, "[" * levels, nested):
            assert episode.call("find_items", args).failed
        assert "nested more than 64 deep" in episode.observe("find_items", '{"a":' * 255 + "1" + "}" * 255)


def test_wrong_arguments_say_what_is_right(control: Control, inventory: Arena) -> None:
    with pytest.raises(TypeError, match="connect\\(url, token\\) makes one"):
        Arena("inventory", "http://127.0.0.1:8081")  # type: ignore[arg-type]
    for name in ("", None, 3):
        with pytest.raises(TypeError, match="arenas\\(\\) lists"):
            Arena(name, control)  # type: ignore[arg-type]
    for make in (astra.arenas, astra.Batches):
        with pytest.raises(TypeError, match="makes one"):
            make("http://127.0.0.1:8081")  # type: ignore[arg-type]
    for ask in (inventory.tasks, lambda split: Environments([inventory], split=split)):
        with pytest.raises(astra.Refused, match="say train, validation or test"):
            ask("trian")
    for one in (inventory, "inventory"):
        with pytest.raises(TypeError, match="list of arenas"):
            Environments(one)  # type: ignore[arg-type]
    with inventory.open("hinge-price") as episode, pytest.raises(astra.Refused, match="a reply is a text"):
        episode.turn(None)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="give one of tasks"):
        inventory.open(3)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="give a list"):
        inventory.open("hinge-price", distractors="travel/find")
    with pytest.raises(TypeError, match="give a plan"):
        inventory.open("hinge-price", failures=0.2)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="above 0"):
        astra.connect("http://127.0.0.1:9", "token", timeout=0)


def test_the_end_says_how(inventory: Arena) -> None:
    with inventory.open("hinge-price") as episode:
        episode.abort()
    with pytest.raises(astra.Ended, match="it is aborted"):
        episode.call("list_warehouses")
    with inventory.open("hinge-price", ttl=1) as expired, pytest.raises(astra.Ended, match="its time to live ran out"):
        while True:
            expired.observe("list_warehouses")


def test_who_leaves_by_an_error_waits_for_nobody(serve: Serve) -> None:
    server = serve()
    arena = Arena("inventory", server.control(patience=600))
    with pytest.raises(KeyboardInterrupt) as caught, arena.open("hinge-price"):
        server.kill()
        raise KeyboardInterrupt
    assert "could not be aborted either, and ends at" in caught.value.__notes__[0]


def test_budget_and_end(inventory: Arena) -> None:
    with inventory.open("hinge-price") as episode:
        with pytest.raises(astra.BudgetSpent):
            for _ in range(50):
                episode.call("list_warehouses")
        episode.submit()
        with pytest.raises(astra.Ended):
            episode.call("list_warehouses")
        with pytest.raises(astra.Ended):
            episode.submit("another answer")


def test_full_waits_and_then_says_so(serve: Serve) -> None:
    server = serve("--max-open", "1")
    arena = Arena("inventory", server.control(patience=0))
    with arena.open("hinge-price"):
        with pytest.raises(astra.Full) as caught:
            arena.open("hinge-price")
        assert caught.value.retry_after >= 1
    with arena.open("hinge-price"):
        pass


def test_tokens_are_needed(server: Server) -> None:
    right = find_doors(server.store)
    with pytest.raises(astra.Unauthorized):
        Arena("inventory", Control(Doors(right.control, "wrong")))
    assert right.token not in repr(right) + repr(server.control())
    arena = Arena("inventory", astra.connect(right.control.removeprefix("http://") + "/v1", right.token + "\n"))
    assert arena.name == "inventory"
    with pytest.raises(astra.Unauthorized, match=r"control\.token"):
        Arena("inventory", astra.connect(right.control, "wrong"))
    with pytest.raises(astra.Unauthorized, match="characters"):
        astra.connect(right.control, "wr\nong")


def test_somebody_else_answers(server: Server) -> None:
    right = find_doors(server.store)
    with pytest.raises(astra.ServerError, match="is the control address the right one"):
        Arena("inventory", Control(Doors(right.agents, right.token)))


def test_nobody_answers() -> None:
    with pytest.raises(astra.Unreachable, match="does astra serve there"):
        Arena("inventory", astra.connect("http://127.0.0.1:9", "token", patience=0))
    with pytest.raises(astra.NoServer, match="give one such as"):
        Arena("inventory", astra.connect("ftp://127.0.0.1", "token", patience=0))
    for wrong in ("http://127.0.0.1:port", "127.0.0.1:99999", "a host:8081", "http://"):
        with pytest.raises(astra.NoServer, match="give one such as"):
            astra.connect(wrong, "token")
    with pytest.raises(astra.NoServer, match="wants a token"):
        astra.connect("http://127.0.0.1:9")


def test_doors_are_found(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(astra.NoServer, match="run `astra serve"):
        astra.connect()
    (tmp_path / ".astra").symlink_to(server.store)
    found = astra.connect().doors
    assert found == find_doors(server.store)
    monkeypatch.setenv("ASTRA_CONTROL", "elsewhere:8081")
    assert find_doors() == Doors("http://elsewhere:8081", found.token)
    monkeypatch.setenv("ASTRA_TOKEN", "t")
    monkeypatch.setenv("ASTRA_AGENTS", "http://elsewhere:8080/")
    assert find_doors() == Doors("http://elsewhere:8081", "t", "http://elsewhere:8080")
    monkeypatch.delenv("ASTRA_TOKEN")
    monkeypatch.setenv("ASTRA_DIR", str(tmp_path / "none"))
    with pytest.raises(astra.NoServer, match="set ASTRA_TOKEN"):
        astra.connect()


def test_records_of_dead_owners_are_not_believed(serve: Serve) -> None:
    server = serve()
    assert find_doors(server.store).control
    server.kill()
    assert (server.store / "owner.json").exists()
    with pytest.raises(astra.NoServer, match="no astra serves"):
        find_doors(server.store)


def test_agents_door_is_asked_for(server: Server) -> None:
    doors = find_doors(server.store)
    arena = Arena("inventory", astra.connect(doors.control, doors.token))
    with arena.open("hinge-price") as episode, pytest.raises(astra.NoServer, match="ASTRA_AGENTS"):
        _ = episode.mcp_url


def test_every_problem_of_the_server_has_a_class(control: Control) -> None:
    table = (Path(__file__).resolve().parents[3] / "httpapi/errors.go").read_text()
    named = {line.split('"')[1] for line in table.splitlines() if line.startswith("\t{") and "http.Status" in line}
    assert len(named) > 15
    assert named - set(_KINDS) == {"store-corrupt", "internal"}  # of the server: ServerError


def test_problems_are_read() -> None:
    error = problem_error({"type": "urn:astra:problem:invalid", "detail": "d", "fault": "sandbox", "step": 2}, 1)
    assert isinstance(error, astra.Invalid)
    assert (str(error), error.kind, error.fault, error.step) == ("d", "invalid", "sandbox", 2)
    assert isinstance(problem_error({"type": "urn:astra:problem:of-tomorrow"}, 1), astra.ServerError)
    assert problem_error({"type": "about:blank"}, 1) is None
    assert problem_error(json.loads("{}"), 1) is None
