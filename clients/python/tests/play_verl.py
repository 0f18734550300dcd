"""verl plays arenas by examples/trainers/verl_loop.py, with a scripted model.

Run by test_trainers.py in the environment of `make peers-trainers`. Rows go through verl's own
configuration, data set, agent loop worker and parser of tool calls into its batch; only what
samples tokens is a script, in place of the client of its inference servers.

    python play_verl.py DIRECTORY
"""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path
from typing import Any

import pandas
import verl.trainer
from hydra import compose, initialize_config_dir
from scripted import TASKS, Script, crowded, small_tokenizer
from transformers import Qwen3Config
from trl.chat_template_utils import qwen3_chat_template
from verl.experimental.agent_loop.agent_loop import AgentLoopWorker
from verl.protocol import DataProto
from verl.utils.dataset.rl_dataset import RLHFDataset, collate_fn
from verl.workers.rollout.replica import TokenOutput
from verl_loop import rows

TOKENIZER = small_tokenizer(qwen3_chat_template)


class Scripted:
    """Stands where verl has the client of its inference servers. It may dither: call a tool for ever."""

    asked, dither = 0, False

    async def generate(self, request_id: str, *, prompt_ids: list[int], **_: Any) -> TokenOutput:
        self.asked += 1
        said = '<tool_call>{"name": "find_items", "arguments": {"query": "hinge"}}</tool_call>'
        if not self.dither:
            said = "<think>\nWell.\n</think>\n\n" + Script(TOKENIZER.decode(prompt_ids)).say()
        ids = TOKENIZER.encode(said + "<|im_end|>")
        return TokenOutput(token_ids=ids, log_probs=[-1.0] * len(ids), stop_reason="completed")


def configured(directory: Path) -> Any:
    TOKENIZER.save_pretrained(directory / "model")
    Qwen3Config(vocab_size=len(TOKENIZER), architectures=["Qwen3ForCausalLM"]).save_pretrained(directory / "model")
    (directory / "loops.yaml").write_text("[{name: arena, _target_: verl_loop.ArenaLoop}]")
    settings = [
        f"actor_rollout_ref.model.path={directory}/model",
        f"actor_rollout_ref.rollout.agent.agent_loop_config_path={directory}/loops.yaml",
        "actor_rollout_ref.rollout.name=vllm",
        "actor_rollout_ref.rollout.multi_turn.format=hermes",
        "actor_rollout_ref.rollout.calculate_log_probs=true",
        "data.max_prompt_length=6000",
        "data.max_response_length=3000",
    ]
    with initialize_config_dir(str(Path(verl.trainer.__path__[0]) / "config"), version_base=None):
        return compose("ppo_trainer", settings)


def batch(directory: Path, config: Any, arena: str, tasks: list[str]) -> DataProto:
    """What verl makes of rows in a file."""
    chosen = [row for row in rows(arena) if row["extra_info"]["task"] in tasks]
    assert len(chosen) == len(tasks)
    path = directory / f"{arena}.parquet"
    pandas.DataFrame(chosen).to_parquet(path)
    data = RLHFDataset(str(path), TOKENIZER, config.data)
    return DataProto.from_single_dict(collate_fn([data[n] for n in range(len(data))]))


async def main(directory: Path) -> None:
    config = configured(directory)
    model = Scripted()
    worker = AgentLoopWorker(config, model)
    told: dict[str, Any] = {}
    for arena, tasks in (("inventory", ["hinge-price", "most-bolts"]), ("parcels", ["two-parcels"])):
        asked = batch(directory, config, arena, tasks)
        played = await worker.generate_sequences(asked)
        for n, task in enumerate(i["task"] for i in asked.non_tensor_batch["extra_info"]):
            scores, mask = played.batch["rm_scores"][n], played.batch["response_mask"][n]
            said = TOKENIZER.decode(played.batch["responses"][n][mask.bool()])
            last = int(played.batch["attention_mask"][n][6000:].sum()) - 1
            told[task] = {"reward": float(scores.sum()), "at_the_end": bool(scores[last] == scores.sum()), "said": said}
            assert (task in TASKS) == ("<tool_call>" in said), said
    broken, model.asked = "", 0
    try:
        await worker.generate_sequences(batch(directory, config, "bank", ["broken"]))
    except Exception as error:
        broken = type(error).__name__
    tries, model.dither = model.asked, True
    dithered = await worker.generate_sequences(batch(directory, config, "inventory", ["hinge-price"]))
    reward = float(dithered.batch["rm_scores"].sum())
    model.dither = False
    with crowded():
        waited = await worker.generate_sequences(batch(directory, config, "inventory", ["hinge-price", "most-bolts"]))
    result = {"played": told, "broken": broken, "tries": tries, "dithered": reward}
    print("result " + json.dumps({**result, "waited": float(waited.batch["rm_scores"].sum())}))


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1])))
