"""The Tinker cookbook plays arenas by examples/trainers/tinker_messages.py, with a scripted model.

Run by test_trainers.py in the environment of `make peers-trainers`. Renderer, rollouts and their
strategies are the cookbook's; only what samples tokens is a script.

    python play_tinker.py
"""

from __future__ import annotations

import asyncio
import json
from typing import Any

from scripted import Script, crowded, small_tokenizer
from tinker_cookbook.completers import TokenCompleter, TokensWithLogprobs
from tinker_cookbook.renderers import get_renderer
from tinker_cookbook.rl.rollout_strategy import RetryOnFailure
from tinker_cookbook.rl.rollouts import do_group_rollout
from tinker_messages import ArenaGroup

TOKENIZER = small_tokenizer()


class Scripted(TokenCompleter):  # type: ignore[misc]
    """Says what the script says; first something that cannot be read, if asked to."""

    def __init__(self, first: str = "") -> None:
        self.first = first

    async def __call__(self, model_input: Any, stop: Any, *, max_tokens: int | None = None) -> TokensWithLogprobs:
        said, self.first = self.first or Script(TOKENIZER.decode(model_input.to_ints())).say(), ""
        tokens = TOKENIZER.encode(said + "<|im_end|>")
        return TokensWithLogprobs(tokens, [0.0] * len(tokens))


async def main() -> None:
    renderer = get_renderer("qwen3_instruct", TOKENIZER)
    rewards = {}
    for arena, task in (
        ("inventory", "hinge-price"),
        ("parcels", "two-parcels"),
        ("inventory", "most-bolts"),
    ):
        group = await do_group_rollout(ArenaGroup(arena, task, renderer, size=2), Scripted())
        rewards[task] = group.get_total_rewards()
    mended = await do_group_rollout(
        ArenaGroup("inventory", "hinge-price", renderer, size=1), Scripted("<tool_call>{</tool_call>")
    )
    broken = ""
    try:
        await do_group_rollout(
            ArenaGroup("bank", "broken", renderer, size=2), Scripted(), RetryOnFailure(max_retries=1)
        )
    except Exception as error:
        broken = type(error).__name__
    with crowded():
        waited = await do_group_rollout(ArenaGroup("inventory", "hinge-price", renderer, size=3), Scripted())
    totals = {"mended": mended.get_total_rewards(), "waited": waited.get_total_rewards()}
    print("result " + json.dumps({"rewards": rewards, "broken": broken, **totals}))


asyncio.run(main())
