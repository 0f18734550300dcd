"""The environments that TRL is given, looked at as TRL looks at them."""

from __future__ import annotations

import inspect
import json
import typing
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from gold import ARENAS, PARCELS, Gold
from relay import Relay

from astra_arenas import Arena, Control, Refused, Tool, Unreachable
from astra_arenas.signatures import parameters
from astra_arenas.trl import Environments, ToolEnvironment, environment


def tools_of(instance: object) -> dict[str, Callable[..., Any]]:
    """As trl/trainer/grpo_trainer.py finds them."""
    found = inspect.getmembers(type(instance), predicate=inspect.isfunction)
    methods = [getattr(instance, name) for name, _ in found if not name.startswith("_")]
    return {m.__name__: m for m in methods if m.__name__ not in ("reset", "get_reward")}


def test_one_environment_for_each_tool_set(inventory: Arena) -> None:
    made = Environments([inventory])
    assert {f"inventory/{row['task']}" for row in made.rows} | set(made.skipped) >= {
        f"inventory/{task.id}" for task in inventory.tasks("train")
    }
    assert {row["environment"] for row in made.rows} == set(made.factories)
    assert all(name.startswith("inventory.") for name in made.factories)
    for row in made.rows:
        task = inventory.task(row["task"])
        names = {t.name for t in task.tools} | {"episode_submit"} | ({"episode_turn"} if task.turns > 1 else set())
        assert set(tools_of(made.factories[row["environment"]]())) == names
    assert len({f.__name__ for f in made.factories.values()}) == len(made.factories)


@pytest.mark.parametrize("task", ["inventory/hinge-price", "inventory/northern-warehouses", "parcels/two-parcels"])
def test_gold(inventory: Arena, parcels: Arena, task: str) -> None:
    made = Environments([inventory, parcels], prompt="You work with goods.\n\n")
    arena, name = task.split("/")
    row = next(r for r in made.rows if r["task"] == name)
    instance = made.factories[row["environment"]]()
    for _ in range(2):  # instances are reset and used again
        gold = Gold(ARENAS[0].parent / "inventory" if arena == "inventory" else PARCELS, name)
        message = instance.reset(**{k: v for k, v in row.items() if k != "environment"})
        tools = tools_of(instance)

        def call(tool: str, args: dict[str, Any], tools: dict[str, Callable[..., Any]] = tools) -> Any:
            return json.loads(tools[tool](**args))

        for turn in range(1, gold.messages + 1):
            assert message == gold.task["turns"][turn - 1]["prompt"]
            gold.play(turn, call)
            if turn < gold.messages:
                message = tools["episode_turn"](reply="Done.")
        if gold.messages > 1:
            assert "no more messages" in tools["episode_turn"](reply=gold.answer)
        assert tools["episode_submit"](answer=gold.answer) == "the episode is over"
        assert tools[gold.turns[0][0]["tool"]]() == "the episode is over"
        assert instance.get_reward() == 1.0
        assert instance.get_reward() == 1.0


def test_null_is_absent_where_it_is_no_value(parcels: Arena) -> None:
    made = Environments([parcels])
    instance = made.factories["parcels"]()
    instance.reset(**made.rows[0])
    send = tools_of(instance)["send"]
    told = json.loads(send(**{"from": "Ulm"}, to="Linz", content=[{"thing": "key"}], speed=None, note=None))
    assert told["note"] is None
    assert json.loads(send(**{"from": "Ulm"}, to="Linz", content=[]))["note"] == "none"


def test_no_answer_is_scored_all_the_same(inventory: Arena) -> None:
    made = Environments([inventory])
    row = next(r for r in made.rows if r["task"] == "hinge-price")
    instance = made.factories[row["environment"]]()
    instance.reset(**row)
    tools_of(instance)["find_items"](query="brass hinge", category=None)  # null, as models write what is optional
    assert instance.get_reward() == pytest.approx(0.8)


def played(arena: Arena, name: str) -> ToolEnvironment:
    made = Environments([arena])
    row = next(r for r in made.rows if r["task"] == name)
    instance = made.factories[row["environment"]]()
    instance.reset(**row)
    return instance


def test_who_says_too_much_is_scored(inventory: Arena) -> None:
    tools = tools_of(instance := played(inventory, "hinge-price"))
    tools["find_items"](query="brass hinge")
    assert tools["episode_submit"](answer="x" * (65 << 10)) == "the episode is over"
    assert instance.get_reward() == pytest.approx(0.8)


def test_invalid_is_no_reward(bank: Arena) -> None:
    made = Environments([bank])
    row = next(r for r in made.rows if r["task"] == "broken")
    instance = made.factories[row["environment"]]()
    instance.reset(**row)
    assert instance.get_reward() is None  # which TRL counts as no 0


@pytest.fixture
def relay(control: Control) -> Iterator[Relay]:
    relay = Relay(control)
    relay.control.patience = 0
    yield relay
    relay.close()


def test_a_score_whose_answer_was_lost_is_asked_for_again(relay: Relay) -> None:
    instance = played(Arena("inventory", relay.control), "hinge-price")
    tools = tools_of(instance)
    tools["find_items"](query="brass hinge")
    relay.lose["submit"] = 1
    assert tools["episode_submit"](answer="2.35") == "the episode is over"  # what broke is nothing to tell a model
    assert tools["find_items"](query="brass hinge") == "the episode is over"
    relay.lose["submit"] = 2
    assert tools["episode_submit"](answer="9") == "the episode is over"  # there is one answer
    for _ in range(2):
        with pytest.raises(Unreachable):
            instance.get_reward()
    assert instance.get_reward() == 1.0
    assert relay.seen["submit"] == 4
    assert instance.get_reward() == 1.0
    assert relay.seen["submit"] == 4


def test_no_answer_whose_score_was_lost_is_asked_for_again(relay: Relay, bank: Arena) -> None:
    instance = played(Arena("inventory", relay.control), "hinge-price")
    relay.lose["submit"] = 1
    with pytest.raises(Unreachable):
        instance.get_reward()
    assert instance.get_reward() == 0.0
    instance = played(Arena("bank", relay.control), "broken")
    relay.lose["submit"] = 1
    tools_of(instance)["episode_submit"](answer="Done.")
    assert instance.get_reward() is None


def test_reset_aborts_what_was_not_scored(relay: Relay, inventory: Arena) -> None:
    instance = played(Arena("inventory", relay.control), "hinge-price")
    relay.drop["submit"] = 1
    tools_of(instance)["episode_submit"](answer="2.35")
    assert instance._episode is not None
    left = instance._episode
    relay.lose["abort"] = 1
    with pytest.raises(Unreachable):
        instance.reset(task="hinge-price")
    instance.reset(task="hinge-price")
    assert relay.seen["abort"] == 2
    assert left.record()["status"] == "aborted"
    assert instance.get_reward() == 0.0


@pytest.mark.parametrize(
    ("answer", "reward"), [(2.35, 1.0), ({"price": float("nan")}, 0.8), (["x" * (65 << 10)], 0.8), (True, 0.8)]
)
def test_answers_that_are_no_texts_are_scored(inventory: Arena, answer: Any, reward: float) -> None:
    tools = tools_of(instance := played(inventory, "hinge-price"))
    tools["find_items"](query="brass hinge")
    tools["episode_submit"](answer=answer)
    assert instance.get_reward() == pytest.approx(reward)


def test_what_trl_cannot_play_is_left_out_and_told(bank: Arena) -> None:
    made = Environments([bank])
    assert "asks for tools once" in made.skipped["bank/pay"]
    assert "simulated user" in made.skipped["bank/talk"]
    assert not {"pay", "talk"} & {row["task"] for row in made.rows}


def test_arenas_are_given_once(inventory: Arena) -> None:
    with pytest.raises(Refused, match="given twice"):
        Environments([inventory, inventory])


def tool(properties: dict[str, Any], name: str = "t") -> Tool:
    return Tool(name, "", "Does it.", {"type": "object", "properties": properties, "required": ["a"]}, None, {})


def test_schemas_become_hints() -> None:
    listed = parameters(
        tool(
            {
                "b": {"type": ["string", "null"], "description": "Two\n  lines. Args: none (choices: x)"},
                "a": {"type": "array", "items": {"type": "integer"}, "description": "Numbers."},
                "c": {"enum": ["x", "y"]},
                "d": {"type": "object", "properties": {"x": {"type": "number"}}},
                "e": {"anyOf": [{"type": "integer"}, {"type": "null"}]},
                "f": {},
            }
        )
    )
    hints = {p.name: p.hint for p in listed}
    assert [p.name for p in listed] == ["a", "b", "c", "d", "e", "f"]  # what is required comes first
    assert hints["a"] == list[int]
    assert hints["b"] == str | None
    assert hints["c"] == typing.Literal["x", "y"]
    assert hints["d"] == dict[str, Any]
    assert hints["e"] == int | None
    assert hints["f"] is Any
    about = {p.name: p.about for p in listed}
    assert about["b"] == "Two lines. Args : none (choices : x)"
    assert about["d"].endswith('As JSON Schema: {"type":"object","properties":{"x":{"type":"number"}}}')
    assert [p.name for p in listed if p.nullable] == ["b", "e", "f"]


def test_names_that_python_reserves(inventory: Arena) -> None:
    made = environment("x", inventory, [tool({"a": {"type": "string"}, "from": {"type": "string"}})], turns=False)
    method = tools_of(made())["t"]
    assert list(inspect.signature(method).parameters) == ["a"]
    assert set(typing.get_type_hints(method)) == {"a", "from", "return"}
    assert "from: from" in (method.__doc__ or "")


@pytest.mark.parametrize("name", ["reset", "get_reward", "_private"])
def test_names_that_trl_reserves(inventory: Arena, name: str) -> None:
    with pytest.raises(Refused, match=name):
        environment("x", inventory, [tool({}, name)], turns=False)
    with pytest.raises(Refused, match="no Python function"):
        environment("x", inventory, [tool({"return": {}})], turns=False)


def test_before_the_first_reset(inventory: Arena) -> None:
    class Some(ToolEnvironment):
        _arena = inventory

    assert Some().get_reward() is None
