"""Episodes of an arena as message environments of the Tinker cookbook (tinker-cookbook 0.6.1).

    from tinker_cookbook.renderers import get_renderer
    from tinker_cookbook.rl.rollout_strategy import RetryOnFailure
    from tinker_cookbook.tokenizer_utils import get_tokenizer

    model = "Qwen/Qwen3-30B-A3B-Instruct-2507"
    renderer = get_renderer("qwen3_instruct", get_tokenizer(model))
    groups = [ArenaGroup("inventory", task.id, renderer) for task in Arena("inventory").tasks("train") if not task.grows]

An RLDataset hands such groups to the cookbook's loop. Give that RetryOnFailure() as rollout strategy: an
episode that cannot be judged then is played anew, and fails its group when that was in vain. A rollout
that is cut off, or has more tokens than the group allows, gets the cookbook's own reward
(context_overflow_reward), one whose message cannot be read another (failed_parse_reward, below 0),
and its episode is aborted.

Needs the Python package (pip install ./clients/python) and a server, which it finds as the package does.
"""

import asyncio
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from astra_arenas import Arena, AstraError
from tinker_cookbook.renderers import get_text_content
from tinker_cookbook.rl.message_env import EnvFromMessageEnv, MessageEnv, MessageStepResult
from tinker_cookbook.rl.types import EnvGroupBuilder

OPENING = ThreadPoolExecutor(thread_name_prefix="opening")  # may wait for room, and keeps no call from making it


class ArenaMessages(MessageEnv):
    """One episode: tools are called until the model says something else, which is the reply."""

    def __init__(self, arena, task, renderer):
        self.arena, self.task, self.renderer, self.episode = arena, task, renderer, None

    async def initial_observation(self):
        self.episode = await asyncio.wrap_future(OPENING.submit(self.arena.open, self.task))
        tools = await asyncio.to_thread(self.episode.tools)
        functions = [tool.function()["function"] for tool in tools]
        self.messages = self.renderer.create_conversation_prefix_with_tools(functions)
        self.messages.append({"role": "user", "content": self.episode.message})
        return self.messages

    async def step(self, message):
        self.messages.append(message)
        calls = [*message.get("tool_calls", []), *message.get("unparsed_tool_calls", [])]
        for call in calls:
            self.messages.append(await self.call(call))
        return self.goes_on() if calls else await self.reply(get_text_content(message))

    async def call(self, call):
        """Make a call as the model wrote it. One that cannot be read is answered too, so that it is written anew."""
        if not hasattr(call, "function"):
            return {"role": "tool", "content": f"this tool call cannot be read: {call.error}"}
        name, arguments = call.function.name, call.function.arguments
        text = await asyncio.to_thread(self.episode.observe, name, arguments)
        return {"role": "tool", "content": text, "tool_call_id": call.id or "", "name": name}

    async def reply(self, text):
        """Close the turn. The reply to the last message is the answer. Invalid is raised, and is no 0."""
        told = await asyncio.to_thread(self.episode.turn, text)
        if not told.done:
            self.messages.append({"role": "user", "content": told.message})
            return self.goes_on()
        score = await asyncio.to_thread(self.episode.submit, text)
        return MessageStepResult(reward=score.reward, episode_done=True, next_messages=self.messages)

    def goes_on(self):
        return MessageStepResult(reward=0.0, episode_done=False, next_messages=self.messages)


@dataclass
class ArenaGroup(EnvGroupBuilder):
    """Episodes of one task that are compared with each other."""

    arena: str
    task: str
    renderer: object
    size: int = 8
    tokens: int = 32768  # of one rollout, at most
    opened: list = field(default_factory=list, init=False, repr=False)

    async def make_envs(self):
        arena = Arena(self.arena)
        played = [ArenaMessages(arena, self.task, self.renderer) for _ in range(self.size)]
        self.opened += played
        return [EnvFromMessageEnv(self.renderer, messages, max_trajectory_tokens=self.tokens) for messages in played]

    async def cleanup(self):
        """Abort what was not submitted; it would stay open until it expires. Of one that has ended this is no error."""
        for messages in self.opened:
            if messages.episode is not None:
                try:
                    await asyncio.to_thread(messages.episode.abort, "its rollout was left")
                except AstraError as error:
                    print(f"episode {messages.episode.id} was not aborted: {error}")
        self.opened.clear()

    def logging_tags(self):
        return [self.arena]
