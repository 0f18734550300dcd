"""MCP clients of other people, at an episode's address: they come to what the gold agent comes to."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

import pytest
from gold import ARENAS, Gold

from astra_arenas import Arena, Episode

Call = Callable[[str, dict[str, Any]], Awaitable[Any]]


async def play(episode: Episode, gold: Gold, call: Call) -> None:
    for turn in range(1, gold.messages + 1):
        for step in gold.turns[turn - 1]:
            gold.values.append(await call(step["tool"], gold.filled(step.get("args", {}))))
        await asyncio.to_thread(episode.turn, "Done." if turn < gold.messages else gold.answer)


async def with_mcp(episode: Episode, gold: Gold) -> set[str]:
    from mcp import Client

    async with Client(episode.mcp_url) as client:

        async def call(tool: str, args: dict[str, Any]) -> Any:
            result = await client.call_tool(tool, args)
            assert not result.is_error, result
            return result.structured_content

        await play(episode, gold, call)
        return {tool.name for tool in (await client.list_tools()).tools}


async def with_fastmcp(episode: Episode, gold: Gold) -> set[str]:
    from fastmcp import Client

    async with Client(episode.mcp_url) as client:

        async def call(tool: str, args: dict[str, Any]) -> Any:
            return json.loads((await client.call_tool_mcp(tool, args)).content[0].text)

        await play(episode, gold, call)
        return {tool.name for tool in await client.list_tools()}


@pytest.mark.parametrize("task", ["hinge-price", "restock-lowest", "change-of-mind", "electrical-range"])
@pytest.mark.parametrize("client", [with_mcp, with_fastmcp], ids=["mcp", "fastmcp"])
def test_gold(inventory: Arena, client: Callable[[Episode, Gold], Coroutine[Any, Any, set[str]]], task: str) -> None:
    pytest.importorskip(client.__name__.removeprefix("with_"))
    gold = Gold(ARENAS[0], task)
    with inventory.open(task) as episode:
        tools = asyncio.run(client(episode, gold))
        assert tools == {tool.name for tool in episode.tools()}
        assert episode.submit(gold.answer).reward == 1.0


def test_text_is_what_agents_read(parcels: Arena) -> None:
    """Byte for byte, small numbers and other alphabets too."""
    mcp = pytest.importorskip("mcp")
    sends = {"from": "Ulm", "to": "Łódź", "content": [{"thing": 'a "key" <&>'}], "note": None}

    calls: list[tuple[str, dict[str, Any]]] = [
        ("send", sends),
        ("find_parcel", {"parcel": "P1"}),
        ("find_parcel", {"parcel": "P9"}),
    ]

    async def over_mcp(url: str) -> list[str]:
        async with mcp.Client(url) as client:
            return [(await client.call_tool(tool, args)).content[0].text for tool, args in calls]

    with parcels.open("two-parcels") as one, parcels.open("two-parcels") as other:
        steps = [one.call(tool, args) for tool, args in calls]
        assert [step.text for step in steps] == asyncio.run(over_mcp(other.mcp_url))
    assert '"cost":0.00001,' in steps[0].text
    assert steps[0].value["cost"] == 0.00001
    assert steps[1].text == "between Ulm and Łódź: slow"
    assert steps[2].text == "RangeError: there is no parcel P9"
