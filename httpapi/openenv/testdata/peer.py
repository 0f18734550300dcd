"""OpenEnv's own clients, told what to do line by line.

usage: peer.py generic|sync|mcp BASE_URL

A line in is {"do": "reset", "with": {...}}, {"do": "step", "with": <action>}, {"do": "state"},
{"do": "tools"}, {"do": "call", "tool": ..., "with": {...}} or {"do": "close"}; the line out is
what the client returned, or {"error": ...}. `call` is the client's own where it has one.
"""

import asyncio
import inspect
import json
import sys

from openenv.core import GenericEnvClient
from openenv.core.env_server.mcp_types import CallToolAction, ListToolsAction
from openenv.core.mcp_client import MCPToolClient


def plain(value):
    """What a client returned, as JSON has it."""
    if hasattr(value, "model_dump"):
        return value.model_dump(mode="json")
    if isinstance(value, list):
        return [plain(item) for item in value]
    return value


def told(result):
    return {"observation": plain(result.observation), "reward": result.reward, "done": result.done}


def action(mode, fields):
    if mode != "mcp":
        return fields
    if fields["type"] == "list_tools":
        return ListToolsAction()
    return CallToolAction(tool_name=fields["tool_name"], arguments=fields["arguments"])


async def do(env, mode, line):
    async def wait(value):
        return await value if inspect.isawaitable(value) else value

    match line["do"]:
        case "reset":
            return told(await wait(env.reset(**line["with"])))
        case "step":
            return told(await wait(env.step(action(mode, line["with"]))))
        case "state":
            return plain(await wait(env.state()))
        case "tools":
            return plain(await wait(env.list_tools(use_cache=False)))
        case "call":
            return plain(await wait(env.call_tool(line["tool"], **line["with"])))
        case "close":
            await wait(env.close())
            return {}


async def main(mode, base):
    client = MCPToolClient(base_url=base) if mode == "mcp" else GenericEnvClient(base_url=base)
    env = client.sync() if mode == "sync" else client
    for line in sys.stdin:
        try:
            reply = await do(env, mode, json.loads(line))
        except Exception as e:
            reply = {"error": f"{type(e).__name__}: {e}"}
        print(json.dumps(reply), flush=True)


asyncio.run(main(*sys.argv[1:]))
