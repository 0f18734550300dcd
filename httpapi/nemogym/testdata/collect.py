"""Collects rollouts with NeMo Gym's own agent and its own collection code.

    collect.py CONFIG ROWS OUT MODEL_PORT REPEATS

CONFIG is what `astra export nemo-gym --config` wrote, read by NeMo Gym's configuration
loader with its checks. Each server with an entrypoint but the policy's runs in a process of
its own, as `gym env start` has it run, in this environment instead of one made with uv; there
is no head server and no Ray, since everybody is handed the resolved configuration as NeMo Gym
hands it to its child processes.
"""

import asyncio
import importlib
import json
import os
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

from omegaconf import OmegaConf

from nemo_gym.global_config import GlobalConfigDictParser, GlobalConfigDictParserConfig, get_first_server_config_dict
from nemo_gym.rollout_collection import RolloutCollectionConfig, RolloutCollectionHelper

CONFIG, NAME = "NEMO_GYM_CONFIG_DICT", "NEMO_GYM_CONFIG_PATH"
CLASSES = {
    "simple_agent": "SimpleAgent",
    "gymnasium_agent": "GymnasiumAgent",
    "legacy_agent": "LegacyAgentEnvironmentServer",
}


def resolve(config: str, model_port: int):
    initial = {
        "config_paths": [str(Path(config).resolve())],
        "policy_base_url": "",
        "policy_api_key": "none",
        "policy_model_name": "gold",
        "policy_model": {
            "responses_api_models": {
                "openai_model": {"entrypoint": "app.py", "host": "127.0.0.1", "port": model_port}
            }
        },
    }
    return GlobalConfigDictParser().parse(
        GlobalConfigDictParserConfig(
            initial_global_config_dict=OmegaConf.create(initial),
            skip_load_from_cli=True,
            skip_load_from_dotenv=True,
        )
    )


def serve(name: str, folder: str, kind: str) -> None:
    server = getattr(importlib.import_module(f"{folder}.{kind}.app"), CLASSES[kind])
    server.ray_enabled = False  # the relay does not say that it needs none, and would start a cluster
    server.run_webserver()


def start(resolved, name: str) -> subprocess.Popen:
    """Starts what the first block under a name says."""
    folder, block = next(iter(resolved[name].items()))
    command = [sys.executable, __file__, "serve", name, folder, next(iter(block))]
    return subprocess.Popen(command, env=os.environ | {NAME: name})


def await_answer(resolved, name: str, process: subprocess.Popen) -> None:
    server = get_first_server_config_dict(resolved, name)
    while process.poll() is None:
        try:
            urllib.request.urlopen(f"http://{server.host}:{server.port}/", timeout=5).close()
            return
        except OSError:
            time.sleep(0.1)
    raise RuntimeError(f"{name} does not start")


def collect(config: str, rows: str, out: str, model_port: str, repeats: str) -> None:
    resolved = resolve(config, int(model_port))
    os.environ[CONFIG] = json.dumps(OmegaConf.to_container(resolved, resolve=True))
    launched = [
        name
        for name, block in resolved.items()
        if OmegaConf.is_dict(block) and {"responses_api_agents", "environment_servers"} & set(block)
    ]
    processes = {name: start(resolved, name) for name in launched}
    try:
        for name, process in processes.items():
            await_answer(resolved, name, process)
        settings = RolloutCollectionConfig(
            input_jsonl_fpath=rows,
            output_jsonl_fpath=out,
            num_repeats=int(repeats),
            num_samples_in_parallel=4,
        )
        asyncio.run(RolloutCollectionHelper().run_from_config(settings))
    finally:
        for process in processes.values():
            process.kill()
            process.wait()


if __name__ == "__main__":
    if sys.argv[1] == "serve":
        serve(*sys.argv[2:])
    else:
        collect(*sys.argv[1:])
