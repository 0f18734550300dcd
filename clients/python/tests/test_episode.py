"""Episodes over the control side, against the gold agent over MCP."""

from __future__ import annotations

import json
import pickle
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from conftest import Serve, Server, astra
from gold import ARENAS, BANK, Gold
from relay import Relay

import astra_arenas as astra_
from astra_arenas import Arena, Control

INVENTORY = ARENAS[0]


@pytest.fixture(scope="session")
def golds(server: Server) -> dict[str, float]:
    """What astra's own gold agent comes to over MCP, by task."""
    where = ["--dir", str(server.store), "--arenas", str(INVENTORY.parent)]
    done = subprocess.run(
        [astra(), "run", "inventory", "--agent", "gold", "--mode", "eval", *where], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    episodes = server.control().get("/v1/episodes", arena="inventory", limit=1000)["episodes"]
    return {e["task"]: e["reward"] for e in episodes if e.get("policy") == "gold"}


def tasks_of(arena: str) -> list[str]:
    return [json.loads(line)["id"] for line in (INVENTORY.parent / arena / "tasks.jsonl").read_text().splitlines()]


@pytest.mark.parametrize("task", tasks_of("inventory"))
def test_gold_comes_to_what_it_comes_to_over_mcp(inventory: Arena, golds: dict[str, float], task: str) -> None:
    gold = Gold(INVENTORY, task)
    with inventory.open(task) as episode:
        for turn in range(1, gold.messages + 1):
            gold.play(turn, lambda tool, args: episode.call(tool, args).value)
            told = episode.turn("Done." if turn < gold.messages else gold.answer)
        assert told.done
        score = episode.submit(gold.answer)
    assert score.reward == golds[task]
    assert episode.score() == score
    assert episode.record()["mode"] == ("train" if inventory.task(task).split == "train" else "eval")


def test_left_episodes_are_aborted(inventory: Arena) -> None:
    with inventory.open("hinge-price") as left:
        left.call("find_items", {"query": "hinge"})
    assert left.record()["status"] == "aborted"
    with pytest.raises(astra_.Unscored):
        left.score()
    with pytest.raises(RuntimeError), inventory.open("hinge-price") as broken:
        raise RuntimeError("no model")
    assert broken.record()["ended"]["reason"] == "RuntimeError: no model"


def test_steps_tell_what_agents_read(inventory: Arena, bank: Arena) -> None:
    with inventory.open("hinge-price") as episode:
        found = episode.call("find_items", {"query": "brass hinge"})
        assert not found.failed
        assert json.loads(found.text) == found.value
        assert '"price":2.35,' in found.text
        unknown = episode.call("no_such_tool")
        assert unknown.failed
        assert unknown.fault == "agent"
        assert "find_items" in unknown.text
        assert episode.call("find_items", '{"query":').text == "the arguments must be a JSON object"
        assert episode.call("find_items", '{"query": "brass hinge"}').text == found.text


def test_forks_go_their_own_ways(bank: Arena) -> None:
    with bank.open("pay", mode="practice") as episode:
        episode.call("deposit", {"account": "ada", "amount": 1})
        episode.call("deposit", {"account": "ada", "amount": 2})
        first, second = episode.fork(2, at=1)
        first.call("deposit", {"account": "ada", "amount": 10})
        assert second.record()["steps"][0]["args"] == {"account": "ada", "amount": 1}
        assert len(first.record()["steps"]) == 2
        assert len(second.record()["steps"]) == 1
        assert episode.rewind(0).record()["steps"] is None
        assert first.state()["state"] != second.state()["state"]
        for fork in (first, second):
            fork.abort()


def test_turns_add_tools(bank: Arena) -> None:
    assert bank.task("pay").grows
    with bank.open("pay") as episode:
        before = {t.name for t in episode.tools()}
        told = episode.turn("250.")
        assert told.tools_added == ("transfer",)
        assert episode.message == told.message == "Pay all of it to Bob."
        assert {t.name for t in episode.tools()} == {*before, "transfer"}
        assert episode.turn_number == 2


def test_what_cannot_be_judged_is_invalid_and_never_zero(bank: Arena) -> None:
    with bank.open("broken") as episode, pytest.raises(astra_.Invalid) as caught:
        episode.submit()
    assert caught.value.fault == "verifier"
    with pytest.raises(astra_.Invalid):
        episode.score()


def test_a_simulated_user_says_what_the_task_does_not(bank: Arena) -> None:
    task = bank.task("talk")
    assert task.own < task.turns
    heard: list[str] = []

    def agent(episode: astra_.Episode, message: str) -> str:
        heard.append(message)
        return f"reply {len(heard)}"

    with bank.open(task) as episode:
        score = astra_.converse(episode, task, agent, lambda said: f"more, after {said[-1][1]}")
    assert len(heard) == task.turns
    assert heard[task.own] == f"more, after reply {task.own}"
    assert score.reward >= 0
    with bank.open(task) as episode, pytest.raises(astra_.Refused, match="simulated user"):
        astra_.converse(episode, task, agent)


def test_free_play_has_no_score(inventory: Arena) -> None:
    episode = inventory.open()
    assert episode.message == ""
    with pytest.raises(astra_.Unscored):
        episode.submit()


def test_messages_must_agree(inventory: Arena) -> None:
    with inventory.open("hinge-price") as episode, pytest.raises(astra_.Disagrees) as caught:
        asked = {"id": "c", "type": "function", "function": {"name": "find_items", "arguments": "{}"}}
        told = {"role": "tool", "tool_call_id": "c", "content": "{}"}
        messages: list[dict[str, Any]] = [
            {"role": "user", "content": episode.message},
            {"role": "assistant", "tool_calls": [asked]},
            told,
        ]
        episode.submit("2.35", messages=messages)
    assert caught.value.message > 0


def test_episodes_travel_to_other_processes(inventory: Arena) -> None:
    episode = inventory.open("hinge-price")
    other = pickle.loads(pickle.dumps(episode))
    step = other.call("find_items")
    assert pickle.loads(pickle.dumps(step)) == step
    assert pickle.loads(pickle.dumps(step)).text == step.text
    other.abort()
    error = pickle.loads(pickle.dumps(astra_.Invalid("no", fault="sandbox", step=3)))
    assert (str(error), error.fault, error.step) == ("no", "sandbox", 3)


def test_many_threads_share_a_control(inventory: Arena) -> None:
    def play(_: int) -> float:
        with inventory.open("hinge-price") as episode:
            price = episode.call("find_items", {"query": "brass hinge"}).value["items"][0]["price"]
            return episode.submit(price).reward

    with ThreadPoolExecutor(8) as threads:
        assert list(threads.map(play, range(64))) == [1.0] * 64


@pytest.fixture
def relay(control: Control) -> Iterator[Relay]:
    relay = Relay(control)
    yield relay
    relay.close()


TOO_LONG = {"ascii": "x" * (65 << 10), "euro": "x" + "\u20ac" * (22 << 10), "half pairs": "\ud83d" * (22 << 10)}


@pytest.mark.parametrize("said", TOO_LONG.values(), ids=TOO_LONG)
def test_who_says_too_much_is_scored(relay: Relay, inventory: Arena, said: str) -> None:
    with Arena("inventory", relay.control).open("hinge-price") as episode:
        episode.call("find_items", {"query": "brass hinge"})
        relay.lose["turns"] = 1
        assert episode.turn(said).done  # and is known again, though it was cut
        assert 0 < episode.submit(said).reward < 1
        assert episode.submit(said) == episode.score()
        cut = episode.record()["turns"][0]["reply"]
        assert (64 << 10) - 3 < len(cut.encode()) <= 64 << 10
        assert said.replace("\ud83d", "\ufffd").startswith(cut)
        assert episode.record()["submission"]["answer"] == cut


def test_long_answers_that_are_no_texts_are_refused(inventory: Arena) -> None:
    with inventory.open("hinge-price") as episode:
        with pytest.raises(astra_.Refused, match="at most 65536 bytes"):
            episode.submit(["x" * (64 << 10)])
        assert episode.submit(["x"]).reward < 1


def test_lost_answers_are_asked_for_again(relay: Relay, bank: Arena) -> None:
    arena = Arena("bank", relay.control)
    relay.lose["episodes"] = 1
    episode = arena.open("pay", group="lost-answers")
    opened = bank.control.get("/v1/episodes", group="lost-answers")["episodes"]
    assert [e["episode"] for e in opened] == [episode.id]

    relay.lose["calls"] = 2
    assert episode.call("deposit", {"account": "ada", "amount": 5}).index == 1
    assert len(episode.record()["steps"]) == 1

    relay.lose["turns"] = 1
    assert episode.turn("255.").message == "Pay all of it to Bob."
    relay.lose["turns"] = 1
    assert episode.turn("Paid.").done
    assert relay.seen["turns"] == 2

    relay.lose["submit"] = 1
    assert episode.submit().reward == episode.score().reward


def test_half_answers_are_asked_for_again(relay: Relay, bank: Arena) -> None:
    arena = Arena("bank", relay.control)
    relay.cut["episodes"] = 1
    episode = arena.open("pay", group="half-answers")
    assert len(bank.control.get("/v1/episodes", group="half-answers")["episodes"]) == 1
    relay.cut["calls"] = 1
    assert episode.call("deposit", {"account": "ada", "amount": 5}).index == 1
    assert len(episode.record()["steps"]) == 1
    relay.cut["turns"] = 1
    assert episode.turn("255.").message == "Pay all of it to Bob."
    assert relay.seen["turns"] == 1
    relay.cut["submit"] = 1
    assert episode.submit().reward == episode.score().reward


def test_half_a_problem_is_none(relay: Relay, inventory: Arena) -> None:
    episode = Arena("inventory", relay.control).open("hinge-price")
    episode.abort()
    relay.cut["calls"] = 1
    with pytest.raises(astra_.Ended):
        episode.call("list_warehouses")
    assert relay.seen["calls"] == 2


def test_lost_forks_are_found_again(relay: Relay, bank: Arena) -> None:
    episode = Arena("bank", relay.control).open("read")
    relay.lose["fork"] = 1
    forks = episode.fork(2, group="lost-forks")
    assert relay.seen["fork"] == 2
    made = bank.control.get("/v1/episodes", group="lost-forks")["episodes"]
    assert {e["episode"] for e in made} == {f.id for f in forks} and len(forks) == 2
    relay.lose["rewind"] = 1
    assert episode.rewind(0).id not in {f.id for f in forks}
    assert relay.seen["rewind"] == 2
    episode.abort()


def open_in(group: str, arena: Arena) -> int:
    return len(arena.control.get("/v1/episodes", group=group, status="open")["episodes"])


def test_forks_that_have_no_room_for_all_leave_none(serve: Serve) -> None:
    arena = Arena("bank", serve("--max-open", "3").control(patience=0))
    with arena.open("read") as episode:
        with pytest.raises(astra_.Full) as caught:
            episode.fork(4, group="no-room")
        assert not hasattr(caught.value, "__notes__")
        made = arena.control.get("/v1/episodes", group="no-room")["episodes"]
        assert [e["status"] for e in made] == ["aborted"] * 2
        assert len(episode.fork(2)) == 2


def test_forks_that_nobody_heard_of_are_aborted(relay: Relay, bank: Arena) -> None:
    relay.control.patience = 0
    episode = Arena("bank", relay.control).open("read")
    relay.lose["fork"] = 1
    with pytest.raises(astra_.Unreachable):
        episode.fork(2, group="unheard")
    assert relay.seen["abort"] == 2
    assert open_in("unheard", bank) == 0
    relay.lose["fork"] = relay.lose["resolve"] = 1
    with pytest.raises(astra_.Unreachable, match="fork") as caught:
        episode.fork(2, group="unheard")
    assert "could not be aborted, and end by themselves" in caught.value.__notes__[0]
    assert relay.seen["resolve"] == 3  # it does not go on where nobody answers
    assert open_in("unheard", bank) == 2
    with pytest.raises(astra_.Refused):
        episode.fork(65)
    assert relay.seen["resolve"] == 4  # that the first was not made is enough
    episode.abort()


def test_episodes_outlive_their_server(serve: Serve) -> None:
    server = serve()
    episode = Arena("inventory", server.control()).open("hinge-price")
    episode.call("find_items", {"query": "brass hinge"})
    before = episode.mcp_url
    server.kill()
    server.start()
    assert episode.call("find_items", {"query": "brass hinge"}).index == 2
    assert episode.submit("2.35").reward > 0
    assert episode.mcp_url != before  # the doors are found anew


def test_bank_is_what_these_tests_think_it_is() -> None:
    assert {"broken", "pay", "read", "talk"} <= {json.loads(t)["id"] for t in (BANK / "tasks.jsonl").open()}
