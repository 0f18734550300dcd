"""Loads datasets with the packages that trainers use, and compares with the trajectories.

peers.py TRAJECTORIES DIRECTORY: in DIRECTORY is a dataset FORMAT-CONTAINER for each. Each
row is read back into messages by what its format says, and must be the trajectory's.
"""

import json
import os
import sys
import tempfile
import types

os.environ.update(HF_HUB_OFFLINE="1", HF_DATASETS_OFFLINE="1", HF_HUB_DISABLE_TELEMETRY="1", TRANSFORMERS_VERBOSITY="error",
                  HF_HOME=tempfile.mkdtemp(), HF_DATASETS_DISABLE_PROGRESS_BARS="1")

import atif
import datasets
import pyarrow.parquet
import tokenizers
import transformers
import trl.data_utils


def normal(messages):
    """Messages without what formats are free to write otherwise: key order, absent or empty."""
    out = []
    for m in messages:
        calls = [(c["id"], c["function"]["name"], arguments(c["function"]["arguments"])) for c in m.get("tool_calls") or []]
        out.append((m["role"], m.get("content") or "", m.get("reasoning_content") or "", calls, m.get("tool_call_id") or ""))
    return out


def arguments(a):
    return json.loads(a) if isinstance(a, str) else a


def without_ids(messages):
    """Results in the order of the calls, ids by position: for formats without ids."""
    out, renamed, number = [], {}, 0
    for role, content, reasoning, calls, answers in messages:
        named = []
        for id, name, args in calls:
            number += 1
            renamed[id] = f"call_{number}"
            named.append((renamed[id], name, args))
        out.append((role, content, reasoning, named, renamed.get(answers, "")))
    i = 0
    while i < len(out):
        j = i
        while j < len(out) and out[j][0] == "tool":
            j += 1
        out[i:j] = sorted(out[i:j], key=lambda m: int(m[4].removeprefix("call_")))
        i = max(i + 1, j)
    return out


# From a row to (messages, tools), by the words of each format's documentation.

def from_chat(row):
    for m in row["messages"]:
        if m["role"] == "tool" and "name" in m:
            names = [c["function"]["name"] for n in row["messages"] for c in n.get("tool_calls") or [] if c["id"] == m["tool_call_id"]]
            assert m["name"] in names, m
    tools = row["tools"]
    return normal(row["messages"]), json.loads(tools) if isinstance(tools, str) else tools


def from_llama_factory(row):
    out, number = [], 0
    if row["system"]:
        out.append(("system", row["system"], "", [], ""))
    for turn in row["conversations"]:
        value = turn["value"]
        if turn["from"] == "observation":
            ids = [c[0] for c in out[-1][3]]
            results = json.loads(value) if len(ids) > 1 else [value]
            out += [("tool", r, "", [], id) for id, r in zip(ids, results, strict=True)]
            continue
        reasoning, calls = "", []
        if value.startswith("<think>\n"):
            reasoning, value = value.removeprefix("<think>\n").split("\n</think>\n\n", 1)
        if turn["from"] == "function_call":
            if "<tool_call>" in value:
                value, text = value.removesuffix("</tool_call>").split("<tool_call>")
            else:
                value, text = "", value
            made = json.loads(text)
            for call in made if isinstance(made, list) else [made]:
                number += 1
                calls.append((f"call_{number}", call["name"], call["arguments"]))
        out.append(({"human": "user"}.get(turn["from"], "assistant"), value, reasoning, calls, ""))
    return out, json.loads(row["tools"] or "[]")


def from_astra(row):
    out, open_calls, number = [], [], 0
    for m in json.loads(row["trajectory"]):
        if m["role"] == "function":
            id, name = open_calls.pop(0)
            assert m["name"] == name
            out.append(("tool", m["content"], "", [], id))
        elif call := m.get("function_call"):
            number += 1
            if not out or out[-1][0] != "assistant":
                out.append(("assistant", "", "", [], ""))
            out[-1][3].append((f"call_{number}", call["name"], json.loads(call["arguments"])))
            open_calls.append((f"call_{number}", call["name"]))
        else:
            out.append((m["role"], m["content"], m.get("reasoning_content", ""), [], ""))
    tools = json.loads(row["mcp_info"])["base_info"]["tool_list"]
    return out, [{"type": "function", "function": t} for t in tools]


def from_atif(row):
    atif.Trajectory.model_validate(row)
    out = []
    for step in row["steps"]:
        calls = [(c["tool_call_id"], c["function_name"], c["arguments"]) for c in step.get("tool_calls", [])]
        role = {"agent": "assistant"}.get(step["source"], step["source"])
        out.append((role, step["message"], step.get("reasoning_content", ""), calls, ""))
        for r in step.get("observation", {}).get("results", []):
            out.append(("tool", r["content"], "", [], r["source_call_id"]))
    return out, row["agent"].get("tool_definitions", [])


READERS = {"openai": from_chat, "trl": from_chat, "trl_string": from_chat, "nemo_rl": from_chat,
           "llama_factory": from_llama_factory, "astra": from_astra, "atif": from_atif}


TEMPLATE = """\
{%- if tools %}<tools>{% for t in tools %}{{ t | tojson }}
{% endfor %}</tools>{% endif %}
{%- for m in messages %}
<|{{ m.role }}|>
{%- if m.role == "assistant" %}{% if m.weight is defined and m.weight == 0 %}{{ body(m) }}{% else %}{% generation %}{{ body(m) }}{% endgeneration %}{% endif %}
{%- else %}{{ m.content }}{% endif %}<|end|>
{%- endfor %}"""

BODY = """\
{%- macro body(m) %}{% if m.reasoning_content %}<think>{{ m.reasoning_content }}</think>{% endif %}{{ m.content }}
{%- for c in m.tool_calls or [] %}<call>{"name": "{{ c.function.name }}", "arguments": {% if c.function.arguments is string %}{{ c.function.arguments }}{% else %}{{ c.function.arguments | tojson }}{% endif %}}</call>{% endfor %}{% endmacro %}"""


def tiny_tokenizer():
    t = tokenizers.Tokenizer(tokenizers.models.BPE(unk_token=None))
    t.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False)
    t.decoder = tokenizers.decoders.ByteLevel()
    t.train_from_iterator([], tokenizers.trainers.BpeTrainer(initial_alphabet=tokenizers.pre_tokenizers.ByteLevel.alphabet(), vocab_size=256))
    return transformers.PreTrainedTokenizerFast(tokenizer_object=t, chat_template=BODY + TEMPLATE)


def check_template(tokenizer, row, tools, messages):
    """What a chat template makes of a row has every call, as it was made, and every tool."""
    rows = dict(row, tools=tools)
    text = tokenizer.apply_chat_template(row["messages"], tools=tools or None, tokenize=False)
    assert text == trl.data_utils.apply_chat_template(rows, tokenizer, tools=tools)["text"]
    rendered = [json.loads(part.split("</call>")[0]) for part in text.split("<call>")[1:]]
    assert rendered == [{"name": name, "arguments": args} for m in messages for _, name, args in m[3]], text
    told = text.split("<tools>")[1].split("</tools>")[0] if tools else ""
    assert [json.loads(line) for line in told.splitlines()] == tools


def check_mask(tokenizer, row, weights):
    """Tokens of assistants with weight 1, and no others, are learned from."""
    made = tokenizer.apply_chat_template(row["messages"], tokenize=True, return_dict=True, return_assistant_tokens_mask=True)
    learned = tokenizer.decode([t for t, m in zip(made["input_ids"], made["assistant_masks"]) if m])
    for m, weight in zip(row["messages"], weights, strict=True):
        if m["role"] == "assistant" and m["content"]:
            assert (m["content"] in learned) == (weight == 1), (m, learned)
    masked = [c["function"]["name"] for m, w in zip(row["messages"], weights) if w == 0 for c in m.get("tool_calls") or []]
    assert all(f'"name": "{name}"' not in learned for name in masked) or not masked, learned


def llama_factory():
    """LLaMA-Factory's own converter and formatters. Its packages bring torch when they are
    imported whole, so these modules are imported past them, with a logger of ours."""
    root = next(p for p in (os.path.join(s, "llamafactory") for s in sys.path) if os.path.isdir(p))
    for name in ("", ".data", ".extras"):
        package = types.ModuleType("llamafactory" + name)
        package.__path__ = [os.path.join(root, *name.split(".")[1:])]
        sys.modules["llamafactory" + name] = package

    class Logger:
        def __getattr__(self, name):
            return lambda text, *a: sys.exit(f"LLaMA-Factory says: {text}")
    logging = types.ModuleType("llamafactory.extras.logging")
    logging.get_logger = lambda name: Logger()
    sys.modules["llamafactory.extras.logging"] = sys.modules["llamafactory.extras"].logging = logging
    from llamafactory.data import converter, formatter
    return converter, formatter


def check_llama_factory(directory, rows, messages_of):
    converter, formatter = llama_factory()
    with open(os.path.join(directory, "dataset_info.json")) as f:
        info = json.load(f)["astra_train"]
    assert os.path.isdir(os.path.join(directory, info["file_name"])) and info["formatting"] == "sharegpt"
    attr = types.SimpleNamespace(load_from="file", ranking=False, kto_tag=None, images=None, videos=None, audios=None, **info["columns"], **info["tags"])
    convert = converter.get_dataset_converter("sharegpt", attr, types.SimpleNamespace(media_dir=""))
    calls = formatter.FunctionFormatter(slots=["{{content}}"], tool_format="qwen")
    for row, messages in zip(rows, messages_of, strict=True):
        made = convert(row)
        turns = made["_prompt"] + made["_response"]
        assert len(turns) == len(row["conversations"]), row
        assert made["_system"] == row["system"]
        for tool_format in ("default", "qwen", "llama3", "glm4"):
            formatter.ToolFormatter(tool_format=tool_format).apply(content=made["_tools"])
        functions = [m for m in messages if m[3]]
        for turn, m in zip([t for t in turns if t["role"] == "function"], functions, strict=True):
            text = calls.apply(content=turn["content"], thought_words=("<think>\n", "\n</think>\n\n"), tool_call_words=("<tool_call>", "</tool_call>"))[0]
            read = formatter.get_tool_utils("qwen").tool_extractor(text)
            assert [(c.name, json.loads(c.arguments)) for c in read] == [(n, a) for _, n, a in m[3]], text
            assert m[1] in text and m[2] in text


def rows_of(directory):
    """The rows as the datasets package loads them, and where each came from."""
    loaded = datasets.load_dataset(directory, cache_dir=tempfile.mkdtemp())
    with open(os.path.join(directory, "rows.jsonl")) as f:
        index = [json.loads(line) for line in f]
    assert len(index) == sum(len(split) for split in loaded.values())
    for split, part in loaded.items():
        for entry, row in zip([e for e in index if e["split"] == split], part, strict=True):
            yield entry, row


def as_written(directory, container, loaded):
    """The rows as parsers that know nothing of datasets read them."""
    rows = []
    for split in ("train", "eval"):
        folder = os.path.join(directory, split)
        for name in sorted(os.listdir(folder)) if os.path.isdir(folder) else []:
            path = os.path.join(folder, name)
            if container == "parquet":
                rows += pyarrow.parquet.read_table(path).to_pylist()
                continue
            with open(path) as f:
                rows += [json.loads(line) for line in f]
    for row in rows if container == "parquet" else []:
        for column, like in loaded.items():
            if isinstance(row[column], str) and not isinstance(like, str):
                row[column] = json.loads(row[column])
            elif isinstance(row[column], list):
                row[column] = [json.loads(v) if isinstance(v, str) else v for v in row[column]]
    return rows


def rounded(v):
    if isinstance(v, float):
        return round(v, 9)
    if isinstance(v, list):
        return [rounded(x) for x in v]
    return {k: rounded(x) for k, x in v.items()} if isinstance(v, dict) else v


def check(directory, format, container, source, tokenizer):
    pairs = list(rows_of(directory))
    twin = as_written(directory, container, pairs[0][1])
    if container == "jsonl" and format not in ("trl", "trl_string"):  # numbers are for other parsers
        assert rounded([row for _, row in pairs]) == rounded(twin), "the datasets package reads other rows than were written"
        pairs = [(entry, row) for (entry, _), row in zip(pairs, twin)]
    assert [row for _, row in pairs] == twin, "the datasets package reads other rows than were written"
    if container == "parquet":  # and from the files alone
        files = [os.path.join(directory, "train", n) for n in sorted(os.listdir(os.path.join(directory, "train")))]
        alone = datasets.load_dataset("parquet", data_files=files, cache_dir=tempfile.mkdtemp())["train"]
        assert list(alone) == twin[:len(alone)], "the files alone are read otherwise"
    told = []
    for entry, row in pairs:
        want, tools = normal(source[entry["id"]]["messages"]), source[entry["id"]]["tools"]
        got, got_tools = READERS[format](row)
        if format == "openai":  # the card says that it is left out
            want = [(r, c, "", calls, a) for r, c, _, calls, a in want]
        if format in ("llama_factory", "astra", "atif"):
            want, got = (without_ids(want), without_ids(got)) if format != "atif" else (sort_results(want), sort_results(got))
        assert got == want, f"{entry['id']}:\n{got}\nwant\n{want}"
        if format == "llama_factory":
            for t in tools:
                t["function"]["parameters"].setdefault("properties", {})
        assert got_tools == tools, (got_tools, tools)
        if READERS[format] is from_chat:
            check_template(tokenizer, row, tools, got)
        if format in ("openai", "trl", "trl_string", "nemo_rl"):
            check_mask(tokenizer, row, entry["weights"])
        told.append(want)
    if format == "llama_factory":
        check_llama_factory(directory, [row for _, row in pairs], told)
    return len(pairs)


def sort_results(messages):
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


def main(trajectories, directory):
    tokenizer = tiny_tokenizer()
    for name in sorted(os.listdir(directory)):
        format, container = name.rsplit("-", 1)
        with open(trajectories) as f:
            source = {t["metadata"]["id"]: t for t in map(json.loads, f)}
        try:
            print(name, check(os.path.join(directory, name), format, container, source, tokenizer), "rows")
        except AssertionError as e:
            raise SystemExit(f"{name}: {e or repr(e)}") from e


main(*sys.argv[1:])
