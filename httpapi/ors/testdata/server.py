"""Serves the arena of tests, or what of it the protocol's own server can have, by that server:
on a port of its own, which it prints."""

import socket

import uvicorn
from openreward.environments import Environment, Server, TextBlock, ToolOutput, tool
from pydantic import BaseModel, ConfigDict


class Find(BaseModel):
    model_config = ConfigDict(extra="forbid")
    word: str


class Submit(BaseModel):
    model_config = ConfigDict(extra="forbid")
    answer: str | None = None


class Terms(Environment):
    @classmethod
    def list_splits(cls):
        return ["train"]

    @classmethod
    def list_tasks(cls, split):
        return [{"arena": "terms", "task": "clause", "split": "train"}, {"arena": "terms", "task": "more", "split": "train"}]

    def get_prompt(self):
        return [TextBlock(text="Sign it, and say 'done'.")]

    @tool
    def find(self, params: Find) -> ToolOutput:
        """Finds what a contract says about a word."""
        return ToolOutput(blocks=[TextBlock(text="x" * 10000)])

    @tool
    def episode_submit(self, params: Submit) -> ToolOutput:
        """End the task with your final answer."""
        return ToolOutput(blocks=[TextBlock(text="The task is over.")], reward=1.0, finished=True)


s = socket.socket()
s.bind(("127.0.0.1", 0))
s.listen()  # who is told the port may connect at once
print(s.getsockname()[1], flush=True)
uvicorn.Server(uvicorn.Config(Server([Terms]).app, log_level="error")).run(sockets=[s])
