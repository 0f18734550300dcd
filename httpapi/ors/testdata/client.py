"""Does with a client of the protocol what it is told to: a JSON list a line, an answer a line.

    python client.py openreward|ors BASE    with the variable OPENREWARD_SESSION_URL set to BASE
"""

import dataclasses
import json
import sys

library, base = sys.argv[1:]
if library == "openreward":
    from openreward import OpenReward as Client

    secrets = {"HF_TOKEN": "CANARY-secret"}
else:
    from ors.client import ORS as Client

    secrets = {"token": "CANARY-secret"}
client = Client(base_url=base)
env = session = None


def enter(**choice):
    global session
    leave()
    session = env.session(**choice, secrets=secrets)
    session.__enter__()
    return session.sid


def leave():
    global session
    if session is not None:
        session.__exit__(None, None, None)
    session = None


def call(tool, args):
    try:
        return dataclasses.asdict(session.call_tool(tool, args))
    except Exception as e:
        return {"error": str(e), "kind": type(e).__name__, "reason": getattr(e, "reason", None)}


def use(name, variant):
    global env
    env = client.environments.get(name, variant=variant) if library == "openreward" else client.environments.get(name)
    return env.list_splits()


commands = {
    "use": use,
    "tasks": lambda split: [t.task_spec for t in env.list_tasks(split)],
    "count": lambda split: env.num_tasks(split),
    "range": lambda split, start, stop: [t.task_spec for t in env.get_task_range(split, start, stop)],
    "tools": lambda: [t.name for t in env.list_tools()],
    "index": lambda split, index: enter(split=split, index=index),
    "task": lambda split, index: enter(task=env.get_task(split, index)),
    "prompt": lambda: [b.text for b in session.get_prompt()],
    "messages": lambda: session.get_messages(format="openai"),
    "session_tools": lambda: [t.name for t in session.list_tools()],
    "terminal": lambda: dataclasses.asdict(session.terminal_tool()),
    "final": lambda message: dataclasses.asdict(session.call_terminal_tool(message)),
    "call": call,
    "leave": leave,
}

for line in sys.stdin:
    command, *args = json.loads(line)
    print(json.dumps(commands[command](*args)), flush=True)
client.close()
