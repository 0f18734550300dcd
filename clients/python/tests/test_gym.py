"""Arenas as Gymnasium environments."""

from __future__ import annotations

import json
import warnings
from collections.abc import Iterator

import pytest
from gold import ARENAS, Gold
from relay import Relay

import astra_arenas as astra
from astra_arenas import Arena, Control

gymnasium = pytest.importorskip("gymnasium")

from gymnasium.utils.env_checker import check_env  # noqa: E402

from astra_arenas.gym import ArenaEnv  # noqa: E402


def test_gymnasium_finds_nothing_wrong(inventory: Arena) -> None:
    env = ArenaEnv(inventory)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.filterwarnings("ignore", message=".*spec.*")  # it was not registered under a name
        check_env(env)
    env.close()


@pytest.mark.parametrize("task", ["hinge-price", "restock-lowest", "change-of-mind"])
def test_gold(inventory: Arena, task: str) -> None:
    env = ArenaEnv(inventory, split=None)
    gold = Gold(ARENAS[0], task)
    message, info = env.reset(options={"task": task})
    rewards = []
    for turn in range(1, gold.messages + 1):
        assert message == gold.task["turns"][turn - 1]["prompt"]

        def call(tool: str, args: object) -> object:
            text, reward, terminated, truncated, info = env.step(json.dumps({"name": tool, "arguments": args}))
            assert (reward, terminated, truncated) == (0.0, False, False)
            assert tool in {t["function"]["name"] for t in info["tools"]}
            return json.loads(text)

        gold.play(turn, call)
        message, reward, terminated, _, info = env.step("Done." if turn < gold.messages else gold.answer)
        rewards.append(reward)
    assert terminated
    assert rewards == [0.0] * (gold.messages - 1) + [1.0]
    assert info["recall"] == 1.0
    with pytest.raises(gymnasium.error.ResetNeeded):
        env.step("more")


def test_seeds_draw_tasks(inventory: Arena) -> None:
    env = ArenaEnv(inventory)
    first = [env.reset(seed=7)[1]["task"], *(env.reset()[1]["task"] for _ in range(8))]
    again = [env.reset(seed=7)[1]["task"], *(env.reset()[1]["task"] for _ in range(8))]
    env.close()
    assert first == again
    assert len(set(first)) > 1
    assert {inventory.task(t).split for t in first} == {"train"}


def test_failing_tools_are_observed(inventory: Arena) -> None:
    env = ArenaEnv(inventory, tasks=["hinge-price"])
    env.reset(seed=1)
    text, _, terminated, *_ = env.step('{"name": "no_such_tool"}')
    assert "there is no tool" in text
    told = env.step('{"name": "find_items"}')[4]["tools"]
    told.clear()  # what is done to one info stays in it
    assert env.step('{"name": "find_items"}')[4]["tools"]
    described = env.step('{"name": "find_items"}')[4]["tools"][0]["function"]["parameters"]
    described.clear()
    assert env.step('{"name": "find_items"}')[4]["tools"][0]["function"]["parameters"]
    env.reset(seed=1)
    assert "must be a JSON object" in env.step('{"name": "find_items", "arguments": [1]}')[0]
    for _ in range(8):
        text = env.step('{"name": "find_items", "arguments": {}}')[0]
    assert text == "the call budget is spent"
    assert not terminated
    env.close()


def test_calls_as_models_write_them(inventory: Arena) -> None:
    env = ArenaEnv(inventory, tasks=["hinge-price"])
    env.reset(seed=1)
    call = '<tool_call>\n{"name": "find_items", "arguments": {"query": "hinge"}}\n</tool_call>'
    first, second, third = env.step(f"I look.\n{call}\n{call}<tool_call>find</tool_call>")[0].split("\n")
    assert first == second
    assert json.loads(first)["total"] > 0
    assert third == "a tool call must be a JSON object with name and arguments"
    assert env.episode is not None
    assert len(env.episode.record()["steps"]) == 2
    assert env.step('{"price": 2.35}')[2]  # JSON that calls nothing is an answer
    env.close()


@pytest.mark.parametrize("text", ["[" * 100000, '{"name":"find_items","arguments":' + '{"a":' * 100000])
def test_what_is_nested_too_deep_is_no_call(inventory: Arena, text: str) -> None:
    env = ArenaEnv(inventory, tasks=["hinge-price"])
    env.reset(seed=1)
    assert env.step(f"<tool_call>{text}</tool_call>")[0] == "a tool call must be a JSON object with name and arguments"
    assert env.step(text)[2]


def test_who_says_too_much_is_scored(inventory: Arena) -> None:
    env = ArenaEnv(inventory, tasks=["hinge-price"])
    env.reset(seed=1)
    assert env.step("x" * (65 << 10))[2]


def test_invalid_is_no_reward(bank: Arena) -> None:
    env = ArenaEnv(bank, tasks=["broken"])
    env.reset(seed=1)
    with pytest.raises(astra.Invalid):
        env.step("Done.")
    env.reset()
    env.close()


@pytest.fixture
def relayed(control: Control) -> Iterator[tuple[Relay, ArenaEnv]]:
    relay = Relay(control)
    relay.control.patience = 0
    env = ArenaEnv(Arena("inventory", relay.control), tasks=["hinge-price"])
    env.reset(seed=1)
    yield relay, env
    env.close()
    relay.close()


@pytest.mark.parametrize("lost", ["drop", "lose"])
def test_a_score_that_was_lost_is_found_by_the_same_step(relayed: tuple[Relay, ArenaEnv], lost: str) -> None:
    relay, env = relayed
    for _ in range(2):
        env.step('{"name": "find_items", "arguments": {"query": "brass hinge"}}')
        getattr(relay, lost)["submit"] = 1
        with pytest.raises(astra.Unreachable):
            env.step("2.35")
        _, reward, terminated, *_ = env.step("2.35")
        assert (reward, terminated) == (1.0, True)
        assert env.episode is None
        env.reset()


def test_what_was_not_scored_is_aborted(relayed: tuple[Relay, ArenaEnv]) -> None:
    relay, env = relayed
    left = env.episode
    relay.drop["submit"] = 1
    with pytest.raises(astra.Unreachable):
        env.step("2.35")
    relay.drop["abort"] = 1
    with pytest.raises(astra.Unreachable):
        env.close()
    env.close()
    assert left is not None
    assert left.record()["status"] == "aborted"
    with pytest.raises(gymnasium.error.ResetNeeded):
        env.step("2.35")


def test_turns_add_tools(bank: Arena) -> None:
    env = ArenaEnv(bank, tasks=["pay"])
    _, before = env.reset(seed=1)
    _, _, _, _, after = env.step("250.")
    assert {t["function"]["name"] for t in after["tools"]} - {t["function"]["name"] for t in before["tools"]} == {
        "transfer"
    }
    env.close()


def test_what_is_misspelt_draws_no_other_task(inventory: Arena) -> None:
    env = ArenaEnv(inventory)
    env.reset(options={"task": "hinge-price"})
    playing = env.episode
    with pytest.raises(astra.Refused, match="no option 'tsk': options are task and seed"):
        env.reset(options={"tsk": "hinge-price"})
    assert env.episode is playing
    with pytest.raises(TypeError, match="give a list"):
        ArenaEnv(inventory, tasks="hinge-price")
    env.close()
