"""SkyRL plays arenas by examples/trainers/skyrl_env.py, with a scripted model.

Run by test_trainers.py in the environment of `make peers-trainers`. Rows go through SkyRL's own
data set and generator; only the inference engine is a script.

    python play_skyrl.py DIRECTORY
"""

from __future__ import annotations

import asyncio
import json
import re
import sys
import typing
from pathlib import Path
from typing import Any

import pandas
import skyrl_gym
import typing_extensions
from scripted import Script, small_tokenizer
from skyrl_env import rows
from trl.chat_template_utils import qwen3_chat_template

# skyrl 0.3.0 has models with typing's own, which pydantic refuses before Python 3.12.
typing.TypedDict = typing_extensions.TypedDict

from skyrl.backends.skyrl_train.inference_servers.base import InferenceEngineInterface  # noqa: E402
from skyrl.train.config import GeneratorConfig, SkyRLGymConfig  # noqa: E402
from skyrl.train.dataset.dataset import PromptDataset  # noqa: E402
from skyrl.train.generators.skyrl_gym_generator import SkyRLGymGenerator  # noqa: E402
from skyrl.train.generators.utils import prepare_generator_input  # noqa: E402

TOKENIZER = small_tokenizer(qwen3_chat_template)


class Engine:
    """Says what the script says, after some thought. Before that it calls a tool, if it is to dither."""

    dither = False

    async def generate(self, input_batch: Any, model: str | None = None) -> dict[str, Any]:
        (prompt,) = input_batch["prompt_token_ids"]
        said = "<think>\nWell.\n</think>\n\n" + Script(marked(TOKENIZER.decode(prompt))).say()
        if self.dither:
            said = '<tool_call>{"name": "find_items", "arguments": {"query": "hinge"}}</tool_call>'
        ids = TOKENIZER.encode(said + "<|im_end|>")
        logprobs = [[-1.0] * len(ids)]
        return {"responses": [said], "response_ids": [ids], "stop_reasons": ["stop"], "response_logprobs": logprobs}

    async def finish_session(self, session_id: str) -> None:
        pass


InferenceEngineInterface.register(Engine)


def marked(prompt: str) -> str:
    """Mark results as other trainers' chats do: to SkyRL they are what a user says."""
    return re.sub(r"<\|im_start\|>user\n(\{.*?\})<\|im_end\|>", r"<tool_response>\n\1\n</tool_response>", prompt)


def batch(directory: Path, arena: str, tasks: list[str]) -> dict[str, Any]:
    """What SkyRL makes of rows in a file."""
    path = directory / f"{arena}.parquet"
    pandas.DataFrame([row for row in rows(arena) if row["task"] in tasks]).to_parquet(path)
    data = PromptDataset(str(path), TOKENIZER, max_prompt_length=6000, num_workers=1)
    items = data.collate_fn([data[n] for n in range(len(data))])
    assert sorted(item["env_extras"]["task"] for item in items) == sorted(tasks)
    made: dict[str, Any] = prepare_generator_input(items, 1, None, "arena", "train", 0)[0]
    return made


async def main(directory: Path) -> None:
    skyrl_gym.register(id="arena", entry_point="skyrl_env:ArenaTextEnv")
    config = GeneratorConfig(max_turns=8, max_input_length=20000)
    engine = Engine()
    generator = SkyRLGymGenerator(config, SkyRLGymConfig(), engine, TOKENIZER)
    told: dict[str, Any] = {}
    for arena, tasks in (("inventory", ["hinge-price", "most-bolts"]), ("parcels", ["two-parcels"])):
        asked = batch(directory, arena, tasks)
        played = await generator.generate(asked, disable_tqdm=True)
        for n, extras in enumerate(asked["env_extras"]):
            said = [t for t, m in zip(played["response_ids"][n], played["loss_masks"][n], strict=True) if m]
            reward = played["rewards"][n]
            last = {"reward": sum(reward), "at_the_end": reward[-1] == sum(reward), "said": TOKENIZER.decode(said)}
            told[extras["task"]] = last
    broken = ""
    try:
        await generator.generate(batch(directory, "bank", ["broken"]), disable_tqdm=True)
    except Exception as error:
        broken = type(error).__name__
    engine.dither = True
    dithered = await generator.generate(batch(directory, "inventory", ["hinge-price"]), disable_tqdm=True)
    print("result " + json.dumps({"played": told, "broken": broken, "dithered": sum(dithered["rewards"][0])}))


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1])))
