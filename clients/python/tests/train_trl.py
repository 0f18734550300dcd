"""GRPOTrainer plays arenas: two steps of a tiny model with random weights, on the CPU.

Run by test_trainers.py in the environment of `make peers-trl`. Of each group one episode is
played by a script that stands in for a model that can, the other by the tiny model, which cannot.
The model, the tokeniser and the trainer are real.

    python train_trl.py STORE-DIRECTORY
"""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import Any

import torch
import trl.chat_template_utils
from datasets import Dataset
from gold import Gold
from scripted import TASKS, small_tokenizer
from transformers import PreTrainedTokenizerFast, Qwen3Config, Qwen3ForCausalLM
from transformers.utils import get_json_schema
from trl import GRPOConfig, GRPOTrainer

import astra_arenas
from astra_arenas.trl import Environments


def tiny(tokenizer: PreTrainedTokenizerFast) -> Qwen3ForCausalLM:
    torch.manual_seed(1)
    sizes = {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 2, "head_dim": 8}
    heads = {"num_attention_heads": 2, "num_key_value_heads": 2, "max_position_embeddings": 32768}
    return Qwen3ForCausalLM(Qwen3Config(vocab_size=len(tokenizer), **sizes, **heads))


class Script:
    """Plays gold by what a prompt tells, as a model would."""

    def __init__(self, prompt: str) -> None:
        tasks = {t: Gold(arena, t) for t, arena in TASKS.items()}
        self.gold = next(g for g in tasks.values() if g.task["turns"][0]["prompt"] in prompt)
        told = prompt[prompt.index(self.gold.task["turns"][0]["prompt"]) :]
        self.results = re.findall(r"<tool_response>\n(.*?)\n</tool_response>", told, re.DOTALL)

    def say(self) -> str:
        """The next call, or the last word."""
        done = 0
        for turn, calls in enumerate(self.gold.turns, 1):
            for call in calls:
                if done == len(self.results):
                    return self.asks(call["tool"], self.gold.filled(call.get("args", {})))
                self.gold.values.append(json.loads(self.results[done]))
                done += 1
            if turn < self.gold.messages:
                if done == len(self.results):
                    return self.asks("episode_turn", {"reply": "Done."})
                done += 1
        return self.asks("episode_submit", {"answer": self.gold.answer}) if done == len(self.results) else "Done."

    def asks(self, tool: str, args: Any) -> str:
        call = json.dumps({"name": tool, "arguments": args}, ensure_ascii=False)
        return f"<tool_call>\n{call}\n</tool_call>"


class Scripted(GRPOTrainer):  # type: ignore[misc]
    """Has the script say what the first of each pair says. The other calls no tool, so it does not come again."""

    def _generate_single_turn(self, prompt_ids: Any, *args: Any, **kwargs: Any) -> tuple[list[list[int]], None]:
        self.generation_config.max_new_tokens = 16  # noise is noise
        sampled, _ = super()._generate_single_turn(prompt_ids, *args, **kwargs)
        scripts = [Script(self.processing_class.decode(ids)) for ids in prompt_ids]
        for n, script in enumerate(scripts):
            if script.results or n % 2 == 0:
                sampled[n] = self.processing_class.encode(script.say() + "<|im_end|>")
        return sampled, None


def main(store: str, out: str) -> None:
    control = astra_arenas.connect(directory=store)
    environments = Environments([astra_arenas.Arena(name, control) for name in ("inventory", "parcels")])
    rows = [row for row in environments.rows if row["task"] in TASKS]
    check_schemas(environments)
    tokenizer = small_tokenizer(trl.chat_template_utils.qwen3_chat_template)
    model = tiny(tokenizer)
    before = {n: p.detach().clone() for n, p in model.named_parameters()}
    config = GRPOConfig(
        output_dir=out,
        use_cpu=True,
        bf16=False,
        report_to="none",
        save_strategy="no",
        logging_steps=1,
        max_steps=2,
        learning_rate=1e-2,
        num_generations=2,
        per_device_train_batch_size=4,
        max_completion_length=4096,
        disable_tqdm=True,
    )
    trainer = Scripted(
        model=model,
        args=config,
        processing_class=tokenizer,
        train_dataset=Dataset.from_list(rows),
        environment_factory=environments.factories,
        reward_funcs=[],
    )
    trainer.train()
    logs = [log for log in trainer.state.log_history if "reward" in log]
    changed = any(not torch.equal(before[n], p) for n, p in model.named_parameters())
    print("result " + json.dumps({"logs": logs, "changed": changed, "steps": trainer.state.global_step}))


def check_schemas(environments: Environments) -> None:
    """Every method is a tool to transformers, with the arguments of the arena's own schema."""
    for factory in environments.factories.values():
        own = {t.name: t for t in factory._arena.tools}
        for name in dir(factory):
            if name in own:
                described = get_json_schema(getattr(factory(), name))["function"]
                assert described["description"] == " ".join(own[name].description.split()).replace(
                    "Returns:", "Returns :"
                ), described
                assert set(described["parameters"]["properties"]) == set(own[name].input["properties"])


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parent))
    main(*sys.argv[1:])
