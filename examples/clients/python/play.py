#!/usr/bin/env python3
"""Plays one episode of astra with the MCP SDK for Python.

    pip install -r requirements.txt
    python play.py                                     # the built-in policy, on inventory/hinge-price
    python play.py ARENA TASK --call 'find_items {"query": "M8 bolt"}' --reply Done. --answer W3

Two doors are used, as in training. Control, REST with a token, opens the episode, hands out its
turns and scores it; it belongs to whoever runs the episodes. The agent's door, MCP, is an address
that holds the episode's key, and all that an agent needs.

Environment:
    ASTRA_CONTROL  address of the control listener (default http://127.0.0.1:8081)
    ASTRA_AGENTS   address of the agents' listener (default http://127.0.0.1:8080)
    ASTRA_TOKEN    control token (default: what is in .astra/control.token)

Needs Python 3.11 or later. Exit status: 0 if the episode was scored, 1 if something failed, 2 if the arguments are wrong.
"""

import argparse
import asyncio
import json
import os
import pathlib
import sys
import urllib.error
import urllib.request

from mcp import Client


class Trouble(Exception):
    """What went wrong, in words for whoever runs this."""


def address(variable, default):
    value = os.environ.get(variable) or default
    return (value if "://" in value else f"http://{value}").rstrip("/")


def token():
    if os.environ.get("ASTRA_TOKEN"):
        return os.environ["ASTRA_TOKEN"].strip()
    try:
        return pathlib.Path(".astra/control.token").read_text(encoding="utf-8").strip()
    except OSError as e:
        raise Trouble("there is no token: set ASTRA_TOKEN, or run this where astra keeps .astra") from e


def control(path, body):
    """Posts to the control side and returns its answer. Refusals are problem documents (RFC 9457)."""
    request = urllib.request.Request(
        address("ASTRA_CONTROL", "http://127.0.0.1:8081") + path,
        data=json.dumps(body).encode(),
        headers={"Authorization": f"Bearer {token()}", "Content-Type": "application/json"},
    )
    try:
        with urllib.request.urlopen(request, timeout=60) as response:
            return json.load(response)
    except urllib.error.HTTPError as e:
        try:
            problem = json.load(e)
        except ValueError:
            problem = {}
        raise Trouble(f"{path}: {problem.get('detail') or problem.get('title') or e}") from e
    except urllib.error.URLError as e:
        raise Trouble(f"{path}: {e.reason}; is astra serving?") from e


class Episode:
    """One episode: its turns on the control side, its tools at the agent's door."""

    def __init__(self, opening, client):
        self.id = opening["episode"]
        self.client = client

    async def call(self, tool, args):
        """Calls a tool and returns its value. A tool that fails returns None: the agent may go on."""
        print(f"call {tool} {json.dumps(args, ensure_ascii=False, separators=(',', ':'))}")
        result = await self.client.call_tool(tool, args)
        text = "".join(part.text for part in result.content if part.type == "text")
        print(f"  {'failed: ' if result.is_error else ''}{text}")
        return None if result.is_error else result.structured_content

    def reply(self, text):
        """Closes the turn and prints the next message."""
        print(f"reply {text}")
        turn = control(f"/v1/episodes/{self.id}/turns", {"reply": text})
        print("no more turns" if turn["done"] else f"user {turn['message']}")


async def price_of_a_hinge(episode):
    """A policy for the task inventory/hinge-price; a model would stand here."""
    found = await episode.call("find_items", {"query": "brass hinge"})
    return str(found["items"][0]["price"])


async def play(options):
    opening = control("/v1/episodes", {"arena": options.arena, "task": options.task, "mode": "train"})
    print(f"task {options.arena}/{options.task}")
    print(f"user {opening['message']}")
    door = f"{address('ASTRA_AGENTS', 'http://127.0.0.1:8080')}/episodes/{opening['key']}/mcp"
    async with Client(door) as client:
        episode = Episode(opening, client)
        print("tools " + ", ".join(tool.name for tool in (await client.list_tools()).tools))
        answer = options.answer
        if options.policy:
            answer = await options.policy(episode)
        for kind, move in options.moves:
            if kind == "call":
                await episode.call(*move)
            else:
                episode.reply(move)
    submission = {} if answer is None else {"answer": answer}
    if answer is not None:
        print(f"answer {answer}")
    score = control(f"/v1/episodes/{episode.id}/submit", submission)["score"]
    print(f"reward {score['reward']:.4f}")
    for part in score["parts"]:
        print(f"  {part['name']} {part['value']:.4f}")


def move_call(text):
    tool, _, args = text.strip().partition(" ")
    args = json.loads(args or "{}")
    if not tool or not isinstance(args, dict):
        raise ValueError
    return "call", (tool, args)


move_call.__name__ = "TOOL {JSON object}"  # argparse names it when the text is wrong


def arguments():
    parser = argparse.ArgumentParser(description="Plays one episode of astra over MCP.")
    parser.add_argument("arena", nargs="?")
    parser.add_argument("task", nargs="?")
    parser.add_argument("--call", dest="moves", action="append", type=move_call, metavar="'TOOL {JSON}'", help="call a tool")
    parser.add_argument("--reply", dest="moves", action="append", type=lambda text: ("reply", text), metavar="TEXT", help="end the turn")
    parser.add_argument("--answer", help="submit this answer")
    options = parser.parse_args()
    if options.arena and not options.task:
        parser.error("name a task of the arena as well")
    options.policy, options.moves = None, options.moves or []
    if not options.arena:
        options.arena, options.task, options.policy = "inventory", "hinge-price", price_of_a_hinge
    return options


def causes(error):
    """The errors inside a group of errors: the SDK's tasks fail in groups."""
    if isinstance(error, BaseExceptionGroup):
        return [cause for inner in error.exceptions for cause in causes(inner)]
    return [error]


def main():
    options = arguments()
    try:
        asyncio.run(play(options))
    except Exception as error:  # whatever it is, whoever runs this wants one line about it
        for cause in causes(error):
            print(f"play: {cause}" if isinstance(cause, Trouble) else f"play: {type(cause).__name__}: {cause}", file=sys.stderr)
        sys.exit(1)


if __name__ == "__main__":
    main()
