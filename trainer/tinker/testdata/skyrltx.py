"""SkyRL tx on a CPU, over a random Qwen3 of a few thousand weights.

    skyrltx.py serve DIR PORT     the API, which starts
    skyrltx.py engine ARGUMENTS   the engine, beside it

Its code is as it was installed, but for what it wants and a CPU test does not have: uv,
which would start the engine; Python 3.12, for typing.TypedDict; and torch, of which its JAX
backend has in what renders images, and through peft what writes one small file beside
saved weights.
"""

import json
import sys
import types
import typing
from pathlib import Path

import typing_extensions

typing.TypedDict = typing_extensions.TypedDict


class LoraConfig:
    """What is used of peft's."""

    def __init__(self, **settings):
        self.settings = settings

    def save_pretrained(self, directory):
        (Path(directory) / "adapter_config.json").write_text(json.dumps(self.settings))


from transformers.utils import is_torch_available

is_torch_available()  # and remember that it is not, before something has its name
sys.modules["torch"] = types.ModuleType("torch")
sys.modules["torch"].Tensor = object
sys.modules["peft"] = types.ModuleType("peft")
sys.modules["peft"].LoraConfig = LoraConfig

VOCABULARY = 64


def write_model(directory: Path) -> None:
    import numpy
    from safetensors.numpy import save_file
    from tokenizers import Tokenizer, models
    from transformers import PreTrainedTokenizerFast, Qwen3Config

    hidden, heads, head, inner = 32, 2, 16, 64
    config = Qwen3Config(
        vocab_size=VOCABULARY, hidden_size=hidden, intermediate_size=inner, num_hidden_layers=2,
        num_attention_heads=heads, num_key_value_heads=heads, head_dim=head, max_position_embeddings=256,
        tie_word_embeddings=False, dtype="float32", eos_token_id=1,
    )
    config.architectures = ["Qwen3ForCausalLM"]
    config.save_pretrained(directory)
    words = {f"w{i}": i for i in range(VOCABULARY)}
    PreTrainedTokenizerFast(
        tokenizer_object=Tokenizer(models.WordLevel(words, unk_token="w0")), eos_token="w1", unk_token="w0"
    ).save_pretrained(directory)
    shapes = {"model.embed_tokens": (VOCABULARY, hidden), "lm_head": (VOCABULARY, hidden), "model.norm": (hidden,)}
    for i in range(2):
        layer = f"model.layers.{i}."
        for name in "qkvo":
            shapes[f"{layer}self_attn.{name}_proj"] = (hidden, hidden)
        for name in ("q_norm", "k_norm"):
            shapes[f"{layer}self_attn.{name}"] = (head,)
        shapes[layer + "mlp.gate_proj"] = shapes[layer + "mlp.up_proj"] = (inner, hidden)
        shapes[layer + "mlp.down_proj"] = (hidden, inner)
        shapes[layer + "input_layernorm"] = shapes[layer + "post_attention_layernorm"] = (hidden,)
    dice = numpy.random.default_rng(7)
    weights = {
        name + ".weight": (numpy.ones(s) if len(s) == 1 else dice.normal(0, 0.2, s)).astype("float32")
        for name, s in shapes.items()
    }
    save_file(weights, directory / "model.safetensors")


def serve(directory: Path, port: int) -> None:
    import uvicorn
    from skyrl.tinker import api
    from skyrl.tinker.config import EngineConfig, config_to_argv

    model = directory / "model"
    if not model.exists():
        model.mkdir(parents=True)
        write_model(model)
    api._build_uv_run_cmd_engine = lambda _, config: [sys.executable, __file__, "engine", *config_to_argv(config)]
    api.app.state.engine_config = EngineConfig(
        base_model=str(model), checkpoints_base=directory / "checkpoints",
        database_url=f"sqlite:///{directory / 'tinker.db'}",
        backend_config={"max_lora_adapters": 6, "max_lora_rank": 4, "train_micro_batch_size": 2, "sample_max_num_sequences": 2},
    )
    uvicorn.run(api.app, host="127.0.0.1", port=port, log_level="warning")


if sys.argv[1] == "engine":
    sys.argv = sys.argv[:1] + sys.argv[2:]
    from skyrl.tinker import engine

    engine.main()
else:
    serve(Path(sys.argv[2]), int(sys.argv[3]))
