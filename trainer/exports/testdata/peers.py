"""Reads exports with the packages of trainers, and compares with the samples.

peers.py SAMPLES DIRECTORY: SAMPLES has a sample a line, by which an export was made in
DIRECTORY/FORMAT for each format.
"""

import contextlib
import copy
import json
import logging
import os
import re
import sys
import tempfile
import types
import typing
from unittest import mock

os.environ.update(HF_HUB_OFFLINE="1", HF_DATASETS_OFFLINE="1", HF_HUB_DISABLE_TELEMETRY="1", TRANSFORMERS_VERBOSITY="error",
                  HF_HOME=tempfile.mkdtemp(), HF_DATASETS_DISABLE_PROGRESS_BARS="1")

import atif
import datasets
import msgspec
import numpy as np
import pydantic
import tokenizers
import transformers
import trl.data_utils
from definitions import definitions

logging.disable(logging.INFO)


def chat(messages):
    """Messages without what formats are free to write otherwise."""
    out = []
    for m in messages:
        calls = [(c["id"], c["function"]["name"], arguments(c["function"]["arguments"])) for c in m.get("tool_calls") or []]
        out.append((m["role"], m.get("content") or "", m.get("reasoning_content") or "", calls, m.get("tool_call_id") or ""))
    return by_call(out)


def arguments(a):
    return json.loads(a) if isinstance(a, str) else a


def by_call(messages):
    """Results in the order of the calls before them."""
    order = {id: n for n, id in enumerate(c[0] for m in messages for c in m[3])}
    out, i = list(messages), 0
    while i < len(out):
        j = i
        while j < len(out) and out[j][0] == "tool":
            j += 1
        out[i:j] = sorted(out[i:j], key=lambda m: order[m[4]])
        i = max(i + 1, j)
    return out


def merged(prompts):
    """Sequences of completions (prompt, sampled, log-probabilities) by prefix extension."""
    out = []
    for prompt, sampled, logprobs in prompts:
        if not out or prompt[:len(out[-1][0])] != out[-1][0]:
            out.append(([], [], []))
        tokens, mask, kept = out[-1]
        context = len(prompt) - len(tokens)
        out[-1] = (prompt + sampled, mask + [False] * context + [True] * len(sampled), kept + [0.0] * context + logprobs)
    return out


def sequences(sample):
    return [(q["tokens"], q["mask"], q["logprobs"]) for q in sample["sequences"]]


def lines(path):
    with open(path) as f:
        return [json.loads(line) for line in f]


def parquet(directory):
    """The rows as the datasets package loads them."""
    return datasets.load_dataset("parquet", data_files=os.path.join(directory, "rows.parquet"), cache_dir=tempfile.mkdtemp())["train"]


def joined(directory, rows, source):
    """Each row with its samples."""
    index = lines(os.path.join(directory, "samples.jsonl"))
    return [(row, [source[line["episode"]] for line in index if n in line["rows"]]) for n, row in enumerate(rows)]


def nemo_gym(directory, source):
    """NeMo Gym's request and response of a verifier."""
    sys.modules["nemo_gym.server_utils"] = mock.MagicMock()  # its HTTP clients
    from nemo_gym import openai_utils
    base = definitions("nemo_gym.base_resources_server", ["BaseRunRequest", "BaseVerifyRequest", "BaseVerifyResponse"],
                       {**vars(openai_utils), **vars(pydantic), **vars(typing), "validate_failure_kind": None}, lazy=False)
    trained = (openai_utils.NeMoGymResponseOutputMessageForTraining, openai_utils.NeMoGymResponseFunctionToolCallForTraining,
               openai_utils.NeMoGymResponseReasoningItemForTraining)
    pairs = joined(directory, lines(os.path.join(directory, "rows.jsonl")), source)
    rollouts = {(row["_ng_task_index"], row["_ng_rollout_index"]): sample["group"] for row, (sample,) in pairs}
    assert len(rollouts) == len(pairs) and len({task for task, _ in rollouts}) == len(set(rollouts.values())) == len({(t, g) for (t, _), g in rollouts.items()})
    for row, (sample,) in pairs:
        made = base.BaseVerifyResponse.model_validate(row)
        assert made.reward == sample["reward"] and made.mask_sample is False
        said = [i for i in made.response.output if isinstance(i, trained)]
        known = all(q["logprobs"] is not None for q in sample["sequences"])
        assert bool(said) == known, (len(said), sample["episode"])
        if known:
            got = merged([(i.prompt_token_ids, i.generation_token_ids, i.generation_log_probs) for i in said])
            assert got == sequences(sample), (got, sequences(sample))
        called = [(i.call_id, i.name, json.loads(i.arguments)) for i in made.response.output if i.type == "function_call"]
        assert called == [c for m in chat(sample["trajectory"]["messages"]) for c in m[3]]
        told = {i.call_id: i.output for i in made.response.output if i.type == "function_call_output"}
        assert told == {m[4]: m[1] for m in chat(sample["trajectory"]["messages"]) if m[0] == "tool"}
        assert [t["name"] for t in made.responses_create_params.tools] == [t["function"]["name"] for t in sample["trajectory"]["tools"]]
        openai_utils.NeMoGymResponseCreateParamsNonStreaming.model_validate(
            {"input": row["responses_create_params"]["input"] + [i.model_dump(exclude_unset=True) for i in made.response.output]})  # said again
    return len(pairs)


class TrainingSample(msgspec.Struct, array_like=True, omit_defaults=True):
    """prime-rl's own, as its transport has it; prime-rl itself is on no package index."""
    token_ids: list[int]
    mask: list[bool]
    logprobs: list[float]
    temperatures: list[float]
    env_name: str
    ref_logprobs: list[float] | None = None
    mm_kwargs: dict | None = None
    routed_experts: list | None = None
    mm_token_type_ids: list[int] | None = None
    rl_weights: list[float] | None = None
    ce_weights: list[float] | None = None
    ref_kl_weights: list[float] | None = None
    advantages: list[float] | None = None


def token_rows(pairs):
    """Samples with the (tokens, mask, logprobs) of their rows."""
    told = {}
    for sample, tokens in pairs:
        told.setdefault(sample["episode"], (sample, []))[1].append(tokens)
    for sample, got in told.values():
        assert got == sequences(sample), (got, sequences(sample))


def prime_rl(directory, source):
    with open(os.path.join(directory, "rows.jsonl"), "rb") as f:
        rows = [msgspec.json.decode(line, type=TrainingSample) for line in f]
    pairs = joined(directory, rows, source)
    for r, (sample,) in pairs:
        assert r.env_name == "inventory" and r.temperatures == [1.0] * len(r.token_ids)
        assert r.advantages == [sample["advantage"] if m else 0 for m in r.mask]
        assert msgspec.msgpack.decode(msgspec.msgpack.encode(r), type=TrainingSample) == r
    token_rows((sample, (r.token_ids, r.mask, r.logprobs)) for r, (sample,) in pairs)
    return len(pairs)


def tinker(directory, source):
    from tinker import types as t
    pairs, told = joined(directory, lines(os.path.join(directory, "rows.jsonl")), source), []
    for row, (sample,) in pairs:
        d = t.Datum(model_input=t.ModelInput(chunks=[t.EncodedTextChunk(tokens=c["tokens"]) for c in row["model_input"]["chunks"]]),
                    loss_fn_inputs={k: t.TensorData(data=v["data"], dtype=v["dtype"], shape=v["shape"]) for k, v in row["loss_fn_inputs"].items()})
        at = {k: v.to_numpy() for k, v in d.loss_fn_inputs.items()}
        tokens = d.model_input.to_ints()
        assert tokens[1:] == list(at["target_tokens"][:-1]) and all(len(v) == len(tokens) for v in at.values())
        assert np.array_equal(at["advantages"], np.float32(sample["advantage"]) * at["mask"])
        assert not at["logprobs"][at["mask"] == 0].any()
        told.append((sample, (tokens[:1] + [int(i) for i in at["target_tokens"]], [False] + [bool(m) for m in at["mask"]], [0.0] + [float(p) for p in at["logprobs"]])))
    token_rows(told)
    return len(pairs)


def verl(directory, source):
    """RLHFDataset reads the file; its rows are AgentLoopOutputs."""
    torch = types.SimpleNamespace(tensor=np.array, zeros_like=np.zeros_like, uint8=np.uint8, int64=np.int64, float32=np.float32)  # of lists
    world = {**vars(typing), "torch": torch, "np": np, "copy": copy, "os": os, "re": re, "datasets": datasets, "logger": logging.getLogger("verl"),
             "Dataset": object, "ListConfig": tuple, "BaseModel": pydantic.BaseModel}
    reader = definitions("verl.utils.dataset.rl_dataset", ["RLHFDataset"], world)
    reader.RLHFDataset._download = lambda self: None  # the file is here
    loop = definitions("verl.experimental.agent_loop.agent_loop", ["AgentLoopMetrics", "AgentLoopOutput"], world, lazy=False)
    rows = reader.RLHFDataset(os.path.join(directory, "rows.parquet"), None, {"filter_overlong_prompts": False, "cache_dir": tempfile.mkdtemp()})
    pairs, told = joined(directory, [rows[i] for i in range(len(rows.dataframe))], source), []
    for row, (sample,) in pairs:
        messages = sample["trajectory"]["messages"]
        first = next(i for i, m in enumerate(messages) if m["role"] == "assistant")
        assert row["raw_prompt"] == [{"role": m["role"], "content": m["content"]} for m in messages[:first]]
        assert row["uid"] == sample["group"] and row["advantage"] == sample["advantage"]
        fields = {k: row[k] for k in loop.AgentLoopOutput.model_fields if k in row}
        out = loop.AgentLoopOutput(metrics=loop.AgentLoopMetrics(), **fields)
        assert out.reward_score == sample["reward"] and out.num_turns == len(messages)
        made = out.as_dict()
        assert set(made) >= {"prompts", "responses", "response_mask", "rollout_log_probs"} and made["rm_scores"].sum() == sample["reward"]
        context = len(out.prompt_ids)
        told.append((sample, (out.prompt_ids + out.response_ids, [False] * context + [bool(m) for m in out.response_mask], [0.0] * context + out.response_logprobs)))
    token_rows(told)
    return len(pairs)


def skyrl(directory, source):
    """SkyRL puts the rows together and validates what comes of it."""
    world = {**vars(typing), "np": np, "logger": logging.getLogger("skyrl"), "SAMPLE_SUPPORT_FIELD": "rollout_sample_support"}
    valid = definitions("skyrl.train.utils.trainer_utils", ["validate_generator_output", "_validate_per_token_side_channels", "_validate_step_wise_fields"], world)
    put = definitions("skyrl.train.generators.utils", ["concatenate_generator_outputs", "_flatten_field", "_concat_optional_field", "_last_step_only"],
                      {**world, "get_rollout_metrics": lambda *a, **k: {}, "validate_generator_output": valid.validate_generator_output})
    names = set(definitions("skyrl.train.generators.base", ["GeneratorOutput"], {**world, "torch": None}).GeneratorOutput.__annotations__)
    sys.modules["skyrl.train.utils.trainer_utils"] = valid  # it is imported from there
    for name in ("skyrl", "skyrl.train", "skyrl.train.utils"):
        sys.modules.setdefault(name, types.ModuleType(name))
    rows = lines(os.path.join(directory, "rows.jsonl"))
    pairs, told = joined(directory, rows, source), []
    assert all(set(row) <= names for row in rows), (set(rows[0]), names)
    for row in rows:
        valid.validate_generator_output(1, row, step_wise=True)
    whole = put.concatenate_generator_outputs(copy.deepcopy(rows), step_wise=True)
    assert len(whole["response_ids"]) == sum(len(row["response_ids"]) for row in rows)
    for row, (sample,) in pairs:
        assert row["rewards"][-1] == sample["reward"] and {i["instance_id"] for i in row["trajectory_ids"]} == {sample["group"]}
        for prompt, response, mask, logprobs in zip(row["prompt_token_ids"], row["response_ids"], row["loss_masks"], row["rollout_logprobs"], strict=True):
            told.append((sample, (prompt + response, [False] * len(prompt) + [bool(m) for m in mask], [0.0] * len(prompt) + logprobs)))
    token_rows(told)
    return len(pairs)


TEMPLATE = """\
{%- macro body(m) %}{% if m.reasoning_content %}<think>{{ m.reasoning_content }}</think>{% endif %}{{ m.content }}
{%- for c in m.tool_calls or [] %}<call>{{ c.function | tojson }}</call>{% endfor %}{% endmacro %}
{%- if tools %}<tools>{% for t in tools %}{{ t | tojson }}
{% endfor %}</tools>{% endif %}
{%- for m in messages %}<|{{ m.role }}|>{{ body(m) }}<|end|>{% endfor %}
{%- if add_generation_prompt %}<|assistant|>{% endif %}"""


def tokenizer():
    t = tokenizers.Tokenizer(tokenizers.models.BPE(unk_token=None))
    t.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False)
    t.decoder = tokenizers.decoders.ByteLevel()
    t.train_from_iterator([], tokenizers.trainers.BpeTrainer(initial_alphabet=tokenizers.pre_tokenizers.ByteLevel.alphabet(), vocab_size=256))
    return transformers.PreTrainedTokenizerFast(tokenizer_object=t, chat_template=TEMPLATE)


def prepared(trainer, directory, ours):
    """The rows, with what a trainer of TRL makes of them: token ids of prompts and completions.
    Messages are taken as they were before it: map writes them anew, and 0.7 otherwise."""
    world = {**vars(trl.data_utils), **vars(datasets), "json": json, "global_then_local_main_first": contextlib.nullcontext}
    module = "trl.trainer." + {"DPOTrainer": "dpo_trainer", "KTOTrainer": "kto_trainer"}[trainer]
    prepare = definitions(module, [f"{trainer}._prepare_dataset"], world)._prepare_dataset
    it = types.SimpleNamespace(_tokenizer=ours, calculate_KL=False, desirable_weight=1.0, undesirable_weight=1.0)
    args = types.SimpleNamespace(dataset_num_proc=None, max_length=None, truncation_mode="keep_start")
    made = prepare(it, parquet(directory), ours, args, "test")
    return [{**row, **{k: ids for k, ids in told.items() if k.endswith("_ids")}} for row, told in zip(parquet(directory), made, strict=True)]


def spoken(text):
    """The calls in a completion, and all that it says."""
    return [json.loads(part.split("</call>")[0]) for part in text.split("<call>")[1:]]


def check_completion(ours, row, ids, which, sample):
    """A completion is what the sample's messages say after the prompt, and so are its tokens."""
    want = chat(sample["trajectory"]["messages"])
    assert chat(row["prompt"] + row[which]) == want, (chat(row["prompt"] + row[which]), want)
    assert row["tools"] == sample["trajectory"]["tools"]
    text = ours.decode(ids)
    assert spoken(text) == [{"name": name, "arguments": args} for m in want for _, name, args in m[3]], text
    assert all(m[1] in text for m in want[len(row["prompt"]):])
    assert "<|user|>" in ours.decode(row["prompt_ids"]) and ours.decode(row["prompt_ids"]).endswith("<|assistant|>")


def dpo(directory, source):
    ours = tokenizer()
    pairs = joined(directory, prepared("DPOTrainer", directory, ours), source)
    for row, of in pairs:
        rejected, chosen = sorted(of, key=lambda s: s["reward"])
        check_completion(ours, row, row["chosen_ids"], "chosen", chosen)
        check_completion(ours, row, row["rejected_ids"], "rejected", rejected)
        texts = trl.data_utils.maybe_apply_chat_template({k: row[k] for k in ("prompt", "chosen", "rejected")}, ours, row["tools"])
        assert texts["chosen"] == ours.decode(row["chosen_ids"]) and texts["chosen"] != texts["rejected"]
    return len(pairs)


def kto(directory, source):
    ours = tokenizer()
    pairs = joined(directory, prepared("KTOTrainer", directory, ours), source)
    for row, (sample,) in pairs:
        check_completion(ours, row, row["completion_ids"], "completion", sample)
        assert row["label"] == (sample["advantage"] > 0)
        trl.data_utils.maybe_apply_chat_template({k: row[k] for k in ("prompt", "completion", "label")}, ours, row["tools"])
    return len(pairs)


def atif_(directory, source):
    pairs = joined(directory, lines(os.path.join(directory, "rows.jsonl")), source)
    for row, (sample,) in pairs:
        made = atif.Trajectory.model_validate(row)
        metrics = [s.metrics for s in made.steps if s.metrics]
        if all(q["logprobs"] is not None for q in sample["sequences"]):
            got = merged([(m.prompt_token_ids, m.completion_token_ids, m.logprobs) for m in metrics])
            assert got == sequences(sample), (got, sequences(sample))
        else:
            assert metrics and all(m.prompt_token_ids and m.logprobs is None for m in metrics)
    return len(pairs)


READERS = {"nemo-gym": nemo_gym, "prime-rl": prime_rl, "tinker": tinker, "verl": verl, "skyrl": skyrl, "dpo": dpo, "kto": kto, "atif": atif_}


def main(samples, directory):
    source = {s["episode"]: s for s in lines(samples)}
    for s in source.values():
        s["trajectory"]["messages"] = [{**m, "content": m.get("content") or ""} for m in s["trajectory"]["messages"]]
    for name in sorted(os.listdir(directory)):
        try:
            print(name, READERS[name](os.path.join(directory, name), source), "rows")
        except AssertionError as e:
            raise SystemExit(f"{name}: {str(e)[:2000] or repr(e)}") from e


main(*sys.argv[1:])
