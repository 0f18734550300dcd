"""Drives a server of the Tinker API with the SDK, as a training script would, and tells as
JSON what came of it.

    sdk.py URL KEY BASE_MODEL
"""

import json
import os
import sys

import tinker
from tinker import types

url, key, base = sys.argv[1:]
service = tinker.ServiceClient(base_url=url, api_key=key)
training = service.create_lora_training_client(base_model=base, rank=4, seed=1)
if hasattr(training, "result"):
    training = training.result()

tokens = [3, 4, 5, 6]
datum = types.Datum(
    model_input=types.ModelInput.from_ints(tokens[:-1]),
    loss_fn_inputs={"target_tokens": tokens[1:], "weights": [0.0, 1.0, 1.0]},
)
losses = []
for _ in range(3):
    passes = training.forward_backward([datum, datum], "cross_entropy")
    step = training.optim_step(types.AdamParams(learning_rate=0.01))
    losses.append(passes.result().loss_fn_outputs[0]["logprobs"].data)
    step.result()
policy = types.Datum(
    model_input=types.ModelInput.from_ints(tokens[:-1]),
    loss_fn_inputs={"target_tokens": tokens[1:], "logprobs": [0.0, -1.0, -1.0], "advantages": [0.0, 0.5, 0.5]},
)
training.forward_backward([policy], "ppo", {"clip_low_threshold": 0.8, "clip_high_threshold": 1.2}).result()
training.optim_step(types.AdamParams(learning_rate=0.01)).result()
saved = training.save_state("one").result().path
sampler = training.save_weights_for_sampler("one").result().path


def sample(client):
    client = client.result() if hasattr(client, "result") else client
    params = types.SamplingParams(max_tokens=2, seed=1, temperature=0.0)
    response = client.sample(types.ModelInput.from_ints(tokens[:1]), 2, params).result()
    return [[s.tokens, s.logprobs, s.stop_reason] for s in response.sequences]


print(json.dumps({
    "base": training.get_info().model_data.model_name,
    "logprobs": losses,
    "saved": saved,
    "sampler": sampler,
    "of weights": sample(service.create_sampling_client(model_path=sampler)),
    "of the model": sample(training.save_weights_and_get_sampling_client()),
}), flush=True)
os._exit(0)  # an interpreter that ends stops the SDK's own thread, which aborts in native code now and then
