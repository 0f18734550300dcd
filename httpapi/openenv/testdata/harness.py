"""OpenEnv's harness plays an arena's first task with a scripted model: harness.py BASE_URL SUBMITS.

SUBMITS is yes if the model submits by itself. Prints {"reward", "messages"}.
"""

import json
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parents[3] / "examples" / "trainers"))

from openenv.core.harness import MCPHarnessAdapter, ModelStepResult  # noqa: E402
from openenv.core.llm_client import LLMResponse, ToolCall  # noqa: E402
from openenv_sessions import ArenaSessions  # noqa: E402


def main(base_url, submits):
    replies = [LLMResponse("", [ToolCall("1", "stock", {"item": "nut"})]), LLMResponse("7")]
    if submits == "yes":
        replies[1] = LLMResponse("", [ToolCall("2", "episode_submit", {"answer": "7"})])
    session = ArenaSessions(base_url).create(seed=1, episode_id="first")
    try:
        rollout = MCPHarnessAdapter().run_white_box(lambda messages, tools, sampling: ModelStepResult(replies.pop(0)), session)
        verified = session.verify(rollout.messages)
        print(json.dumps({"reward": verified.env_reward, "messages": rollout.messages}))
    finally:
        session.close()


main(*sys.argv[1:])
