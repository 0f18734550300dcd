"""Has verl read a run directory as its trainer and its workers do, up to what needs a GPU.

    verl_reads.py DIR COMMAND

Prints the policy, the batch, the epochs and the tools that it reads.
"""

import json
import pathlib
import shlex
import sys

import verl
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf
from verl.tools.schemas import OpenAIFunctionToolSchema
from verl.utils.config import omega_conf_to_dataclass, validate_config

folder, command = pathlib.Path(sys.argv[1]), shlex.split(sys.argv[2])
assert command[:3] == ["python3", "-m", "verl.trainer.main_ppo"]
with initialize_config_dir(str(pathlib.Path(verl.__file__).parent / "trainer/config"), version_base=None):
    config = compose("ppo_trainer", overrides=command[3:])
validate_config(config, use_reference_policy=False, use_critic=False)
omega_conf_to_dataclass(config.actor_rollout_ref.rollout)
path = config.actor_rollout_ref.rollout.multi_turn.tool_config_path
listed = OmegaConf.to_container(OmegaConf.load(folder / path), resolve=True)["tools"]
tools = [OpenAIFunctionToolSchema.model_validate(tool["tool_schema"]).model_dump(exclude_none=True) for tool in listed]
print(json.dumps({"model": config.actor_rollout_ref.model.path, "batch": config.data.train_batch_size, "epochs": config.trainer.total_epochs, "tools": tools}))
