"""A model that can: it plays the reference solution by what its prompt tells, and so needs no memory.

What stands in for a model's server in the tests of trainers says its words. The tokeniser is
small and made here, with the marks of Qwen3's chats.
"""

from __future__ import annotations

import asyncio
import json
import re
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any
from unittest import mock

from gold import ARENAS, PARCELS, Gold
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast

from astra_arenas import Arena, Episode, Score

TASKS = {"hinge-price": ARENAS[0], "two-parcels": PARCELS}


def small_tokenizer(template: str = "") -> PreTrainedTokenizerFast:
    """Say what arenas are made of in a few tokens."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    letters = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(vocab_size=2000, initial_alphabet=letters, show_progress=False)
    tokenizer.train([str(arena / "arena.yaml") for arena in TASKS.values()], trainer)
    fast = PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token="<|im_end|>", pad_token="<|endoftext|>")
    fast.add_special_tokens({"additional_special_tokens": ["<|im_start|>"]})
    fast.chat_template = template
    return fast


class Script:
    """What is said next after a prompt."""

    def __init__(self, prompt: str) -> None:
        tasks = [Gold(arena, t) for t, arena in TASKS.items()]
        self.gold = next((g for g in tasks if g.task["turns"][0]["prompt"] in prompt), None)
        self.told = prompt[prompt.index(self.gold.task["turns"][0]["prompt"]) :] if self.gold else ""
        told = re.findall(r"<tool_response>\n(.*?)\n</tool_response>", self.told, re.DOTALL)
        self.results = [json.loads(text) for text in told if text.startswith("{")]  # else it was no call

    def say(self) -> str:
        """The next call, the reply to a message, or the answer; for other tasks, that it does not know."""
        if self.gold is None:
            return "I do not know."
        for turn, calls in enumerate(self.gold.turns, 1):
            for call in calls:
                done = len(self.gold.values)
                if done == len(self.results):
                    return self.asks(call["tool"], self.gold.filled(call.get("args", {})))
                self.gold.values.append(self.results[done])
            if turn < self.gold.messages and self.gold.task["turns"][turn]["prompt"] not in self.told:
                return "Done."
        return self.gold.answer

    def asks(self, tool: str, args: Any) -> str:
        call = json.dumps({"name": tool, "arguments": args}, ensure_ascii=False)
        return f"<tool_call>\n{call}\n</tool_call>"


@contextmanager
def crowded() -> Iterator[None]:
    """Have room for one episode at a time, and in asyncio one thread: who waits for room there lets nobody make it."""
    room, opens, submits = threading.Semaphore(1), Arena.open, Episode.submit

    def opening(arena: Arena, *args: Any, **options: Any) -> Episode:
        assert room.acquire(timeout=30), "nobody made room"
        return opens(arena, *args, **options)

    def submitting(episode: Episode, *args: Any) -> Score:
        score = submits(episode, *args)
        room.release()
        return score

    asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(1))
    with mock.patch.object(Arena, "open", opening), mock.patch.object(Episode, "submit", submitting):
        yield
