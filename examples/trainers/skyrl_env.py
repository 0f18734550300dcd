"""Episodes of an arena as an environment of SkyRL-Gym (skyrl-gym 0.4.0, SkyRL 0.3.0).

    python skyrl_env.py inventory train.parquet

writes rows. Before SkyRL's main function, in the process that generates (see its examples of own environments):

    import skyrl_gym
    skyrl_gym.register(id="arena", entry_point="skyrl_env:ArenaTextEnv")

with this file on PYTHONPATH, and in its configuration

    data.train_data=['train.parquet'] environment.env_class=arena generator.max_turns=20 generator.batched=false

generator.max_turns is the turns of the model, of which the last should be an answer: what is said in it
that calls nothing is scored, and an episode that did not come to an answer is scored as it is.
Set generator.max_input_length too, to what tools, messages and results may have in tokens: it is
trainer.max_prompt_length by default, and a rollout that outgrows it is aborted, with SkyRL's own reward of 0.

An episode that cannot be judged has no reward, and SkyRL no way to leave one rollout out: Invalid is raised,
and ends the step. Needs the Python package with Gymnasium (pip install './clients/python[gymnasium]') and a server,
which it finds as the package does.
"""

import json
import sys

from astra_arenas import Arena
from astra_arenas.gym import ArenaEnv
from skyrl_gym.envs.base_text_env import BaseTextEnv, BaseTextEnvStepOutput


class ArenaTextEnv(BaseTextEnv):
    """One episode of a row's task. Rows name arena and task."""

    def __init__(self, env_config=None, extras=None):
        super().__init__()
        self.env, self.task = ArenaEnv(extras["arena"], split=None), extras["task"]
        self.max_turns = extras.get("max_turns", 0)  # 0 is no limit

    def init(self, prompt):
        message, info = self.env.reset(options={"task": self.task})
        functions = "\n".join(json.dumps(tool) for tool in info["tools"])
        system = f'Call tools as <tool_call>{{"name": ..., "arguments": ...}}</tool_call>.\n{functions}'
        return [{"role": "system", "content": system}, *prompt, {"role": "user", "content": message}], {}

    def step(self, action):
        self.turns += 1
        said = action.rpartition("</think>")[2].strip()  # of a model that thinks
        observed, reward, done, _, _ = self.env.step(said)
        if not done and self.turns == self.max_turns:
            reward, done = self.env.episode.submit().reward, True
        observations = [] if done else [{"role": "user", "content": observed}]
        return BaseTextEnvStepOutput(observations=observations, reward=reward, done=done, metadata={})

    def close(self):
        self.env.close()


def rows(arena, split="train", prompt="You have tools. Do what I ask with them."):
    """One for each task. SkyRL measures prompts with the chat template, and most templates take no empty one."""
    tasks = [task for task in Arena(arena).tasks(split) if not task.grows and task.turns == task.own]
    said = [{"role": "user", "content": prompt}]
    return [{"prompt": said, "env_class": "arena", "arena": arena, "task": task.id} for task in tasks]


if __name__ == "__main__":
    import pandas

    pandas.DataFrame(rows(sys.argv[1])).to_parquet(sys.argv[2])
