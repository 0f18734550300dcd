"""The shop as an environment of OpenEnv: one per WebSocket, its steps on the event loop, which
is the cheaper of the two ways that the framework has."""

import sys

import uvicorn
from openenv.core.env_server.http_server import create_fastapi_app
from openenv.core.env_server.interfaces import Environment
from openenv.core.env_server.mcp_types import CallToolAction, CallToolObservation
from openenv.core.env_server.types import Observation, State

from shop import Shop


class ShopEnvironment(Environment):
    SUPPORTS_CONCURRENT_SESSIONS = True

    def __init__(self):
        super().__init__()
        self._state = State()
        self._shop = None

    def reset(self, seed=None, episode_id=None, **kwargs):
        self._state = State(episode_id=episode_id, step_count=0)
        self._shop = Shop(seed)
        return Observation(done=False, reward=None)

    async def reset_async(self, seed=None, episode_id=None, **kwargs):
        return self.reset(seed, episode_id)

    def step(self, action, timeout_s=None, **kwargs):
        self._state.step_count += 1
        result = getattr(self._shop, action.tool_name)(**action.arguments)
        return CallToolObservation(tool_name=action.tool_name, result=result, done=False, reward=None)

    async def step_async(self, action, timeout_s=None, **kwargs):
        return self.step(action)

    @property
    def state(self):
        return self._state


if __name__ == "__main__":
    app = create_fastapi_app(ShopEnvironment, CallToolAction, CallToolObservation, max_concurrent_envs=100_000)
    uvicorn.run(app, host="127.0.0.1", port=int(sys.argv[1]), log_level="warning", access_log=False)
