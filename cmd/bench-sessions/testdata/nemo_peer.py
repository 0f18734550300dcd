"""The shop as a resources server of NeMo Gym, on its own base class and with what its own
run_webserver puts around an app and asks of uvicorn."""

import sys
from functools import partial
from typing import Any, Optional

import uvicorn
from fastapi import FastAPI, Request
from nemo_gym.base_resources_server import (
    BaseResourcesServerConfig,
    BaseSeedSessionRequest,
    BaseSeedSessionResponse,
    BaseVerifyRequest,
    BaseVerifyResponse,
    SimpleResourcesServer,
)
from nemo_gym.server_utils import SESSION_ID_KEY, GlobalAIOHTTPAsyncClientConfig, KeepaliveHttpToolsProtocol, ServerClient
from omegaconf import OmegaConf
from pydantic import BaseModel, ConfigDict, Field

from shop import Shop


class SeedRequest(BaseSeedSessionRequest):
    model_config = ConfigDict(extra="allow")

    seed: int = 0


class FindItems(BaseModel):
    query: str = ""
    category: Optional[str] = None


class ShopServer(SimpleResourcesServer):
    ray_enabled = False
    config: BaseResourcesServerConfig
    shops: dict[str, Any] = Field(default_factory=dict)

    def setup_webserver(self) -> FastAPI:
        app = super().setup_webserver()
        app.post("/find_items")(self.find_items)
        return app

    async def seed_session(self, request: Request, body: SeedRequest) -> BaseSeedSessionResponse:
        self.shops[request.session[SESSION_ID_KEY]] = Shop(body.seed)
        return BaseSeedSessionResponse()

    async def find_items(self, request: Request, body: FindItems) -> dict:
        return self.shops[request.session[SESSION_ID_KEY]].find_items(body.query, body.category)

    async def close_resources_session(self, request: Request) -> dict:
        self.shops.pop(request.session[SESSION_ID_KEY], None)
        return {}

    async def verify(self, body: BaseVerifyRequest) -> BaseVerifyResponse:
        return BaseVerifyResponse(**body.model_dump(), reward=0.0)


def keepalive():
    c = GlobalAIOHTTPAsyncClientConfig()
    return (
        c.global_aiohttp_tcp_keepalive_idle_seconds,
        c.global_aiohttp_tcp_keepalive_interval_seconds,
        c.global_aiohttp_tcp_keepalive_probes,
    )


if __name__ == "__main__":
    config = BaseResourcesServerConfig(host="127.0.0.1", port=int(sys.argv[1]), entrypoint="nemo_peer.py", name="shop", domain="other")
    client = ServerClient(head_server_config=config, global_config_dict=OmegaConf.create({}))
    server = ShopServer(config=config, server_client=client)
    app = server.setup_webserver()
    server.setup_liveness(app)
    server.setup_exception_middleware(app)
    server.setup_cancellation_middleware(app)
    uvicorn.run(
        app,
        host=config.host,
        port=config.port,
        timeout_keep_alive=30,
        http=partial(KeepaliveHttpToolsProtocol, keepalive=keepalive()),
        access_log=False,
        log_level="warning",
        proxy_headers=False,
    )
