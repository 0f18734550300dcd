"""What NeMo Gym itself says of a resources server.

    base.py metrics < BODY     what the base class answers to aggregate_metrics
    base.py contract URL       its conformance check of sessions, against the server at URL
    base.py kinds KIND...      which of these kinds of failure are none of its own
"""

import json
import sys


def metrics() -> None:
    from nemo_gym.reward_profile import compute_aggregate_metrics

    print(compute_aggregate_metrics(json.load(sys.stdin)["verify_responses"]).model_dump_json())


def contract(url: str) -> None:
    import httpx
    from fastapi import FastAPI, Request, Response

    from nemo_gym.base_resources_server import ResourcesSeedSessionRequest
    from nemo_gym.testing.session_conformance import check_resources_session_contract

    app = FastAPI()  # the check takes an app: one that passes everything on

    @app.post("/{path:path}")
    async def forward(path: str, request: Request) -> Response:
        async with httpx.AsyncClient() as client:
            answer = await client.post(f"{url}/{path}", content=await request.body())
        return Response(answer.content, answer.status_code, media_type=answer.headers["content-type"])

    seed = ResourcesSeedSessionRequest(
        resources_session_id="resources-session-1",
        episode_id={"rollout_id": "r1"},
        task_id={"taskset": "astra:train", "task_id": "inventory/hinge-price"},
        task_data={},
    )
    check_resources_session_contract(app, seed, keeps_state=True)
    print("kept")


def kinds(*names: str) -> None:
    from nemo_gym.failure_kinds import is_registered

    print(*(name for name in names if not is_registered(name)))


if __name__ == "__main__":
    {"metrics": metrics, "contract": contract, "kinds": kinds}[sys.argv[1]](*sys.argv[2:])
