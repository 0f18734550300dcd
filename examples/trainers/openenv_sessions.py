"""Episodes of an arena as sessions of OpenEnv's harness, for trainers that take a factory of them.

TRL (AsyncGRPOTrainer, vLLM and a GPU or two):

    from functools import partial
    from openenv.core.harness import MCPHarnessAdapter
    from trl.experimental.async_grpo.openenv_harness import HarnessRolloutWorker

    worker = HarnessRolloutWorker(
        ...,
        harness_session_factory=partial(ArenaSessions, "http://127.0.0.1:8082/openenv/inventory"),
        harness_adapter=MCPHarnessAdapter(),
    )

Needs openenv 0.10.0 and a server: astra serve --faces 127.0.0.1:8082 ARENA
"""

from openenv.core import GenericEnvClient
from openenv.core.env_server.mcp_types import Tool
from openenv.core.harness import ResourceSession, ResourceSessionFactory, ToolResult, VerifyResult


class ArenaSession(ResourceSession):
    """One episode. It ends with episode_submit, or else with the model's last message as answer."""

    def __init__(self, base_url, **reset):
        self._client = GenericEnvClient(base_url=base_url).sync()
        try:
            self._start = self._client.reset(**reset)
        except Exception:
            self._client.close()
            raise
        self._last = self._start

    def _call(self, name, arguments):
        self._last = self._client.step({"type": "call_tool", "tool_name": name, "arguments": arguments})
        return self._last

    def initial_messages(self):
        return [{"role": "user", "content": self._start.observation["prompt"]}]

    def list_tools(self):
        return [Tool(**tool) for tool in self._client.step({"type": "list_tools"}).observation["tools"]]

    def call_tool(self, name, arguments):
        """What the model is told is the call's text, and nothing of the reward."""
        step = self._call(name, arguments)
        error = step.observation["error"]
        text = error["message"] if error else step.observation["result"]["content"][0]["text"]
        return ToolResult(data=text, done=step.done, metadata={"reward": step.reward}, error=error and text)

    def verify(self, transcript, final_state=None):
        if not self._last.done:
            said = [m["content"] for m in transcript if m["role"] == "assistant" and m.get("content")]
            self._call("episode_submit", {"answer": said[-1]} if said else {})
        return VerifyResult(env_reward=self._last.reward, done=self._last.done)

    def close(self):
        self._client.close()


class ArenaSessions(ResourceSessionFactory):
    """Makes sessions in the arena of a base URL. Equal seeds play the same task of the split."""

    def __init__(self, base_url, split="train"):
        self.base_url, self.split = base_url, split

    def create(self, task=None, seed=None, episode_id=None):
        return ArenaSession(self.base_url, split=self.split, seed=seed or 0, episode_id=episode_id)
