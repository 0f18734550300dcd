"""Trains a tiny model for two steps with TRL's GRPOTrainer and its OpenReward spec.

    python train.py BASE ENV PLAYS    with the variable OPENREWARD_SESSION_URL set to BASE

What is real: the trainer with its loop of tools, the spec, the client, the loss and the update.
The model is small and random, and would never call a tool: what it is taken to have sampled
is written in PLAYS, a JSON object from a task's first message to the [tool, arguments] of a
solution. Every other rollout of a group ends at once, without a call, so that rewards differ and
there is something to learn. Prints the rewards of each step, and then whether weights have changed.
"""

import json
import pathlib
import sys

import torch
import trl
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast, Qwen3Config, Qwen3ForCausalLM
from trl import GRPOConfig, GRPOTrainer
from trl.experimental.openreward import OpenRewardSpec

base, env, plays = sys.argv[1], sys.argv[2], json.loads(sys.argv[3])
torch.manual_seed(7)


def make_tokenizer():
    """Bytes, and the words of Qwen3's template."""
    special = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
    t = Tokenizer(models.BPE())
    t.pre_tokenizer, t.decoder = pre_tokenizers.ByteLevel(add_prefix_space=False), decoders.ByteLevel()
    t.train_from_iterator([], trainers.BpeTrainer(special_tokens=special, initial_alphabet=pre_tokenizers.ByteLevel.alphabet()))
    template = pathlib.Path(trl.__file__).parent / "chat_templates" / "qwen3.jinja"
    return PreTrainedTokenizerFast(tokenizer_object=t, eos_token="<|im_end|>", pad_token="<|endoftext|>", chat_template=template.read_text())


tokenizer = make_tokenizer()


class Scripted(Qwen3ForCausalLM):
    def generate(self, input_ids=None, **_):
        said = [self.next(i, tokenizer.decode(ids)) for i, ids in enumerate(input_ids)]
        ids = [tokenizer.encode(text + "<|im_end|>") for text in said]
        longest = max(map(len, ids))
        rows = [row + [tokenizer.pad_token_id] * (longest - len(row)) for row in ids]
        return torch.cat([input_ids, torch.tensor(rows)], dim=1)

    def next(self, row, text):
        calls = next(calls for prompt, calls in plays.items() if prompt in text)
        done = text.count("<tool_response>")
        if row % 2 == 1:
            calls = []
        elif done > 0 and '"name": "episode_submit"' in text.split("<|im_start|>assistant", 1)[1]:
            calls = []
        if done >= len(calls):
            return "Done."
        name, args = calls[done]
        return "<tool_call>\n" + json.dumps({"name": name, "arguments": args}) + "\n</tool_call>"


spec = OpenRewardSpec(base, env_name=env)


def rewards(environments, **rows):
    for e in environments:
        if not e.finished:
            e.episode_submit()
    got = [e.reward for e in environments]
    print(json.dumps({"tasks": rows["task"], "rewards": got, "finished": [e.finished for e in environments]}), flush=True)
    return got


size = len(tokenizer)
model = Scripted(Qwen3Config(vocab_size=size, hidden_size=16, intermediate_size=32, num_hidden_layers=1, num_attention_heads=2, num_key_value_heads=1,
                             head_dim=8, max_position_embeddings=32768, tie_word_embeddings=True))
before = [p.detach().clone() for p in model.parameters()]
trainer = GRPOTrainer(
    model=model,
    processing_class=tokenizer,
    args=GRPOConfig(output_dir=sys.argv[4], max_steps=2, per_device_train_batch_size=2, num_generations=2, max_completion_length=16384,
                    use_cpu=True, bf16=False, learning_rate=1e-3, report_to="none", save_strategy="no", disable_tqdm=True, logging_steps=1,
                    shuffle_dataset=False, seed=7),
    train_dataset=spec.train_dataset,
    environment_factory=spec.environment_factory,
    reward_funcs=rewards,
)
trainer.train()
changed = any(not torch.equal(a, b) for a, b in zip(before, model.parameters()))
steps = [{k: h[k] for k in ("reward", "reward_std", "grad_norm", "tools/failure_frequency") if k in h} for h in trainer.state.log_history if "reward" in h]
print(json.dumps({"changed": changed, "steps": steps}), flush=True)
