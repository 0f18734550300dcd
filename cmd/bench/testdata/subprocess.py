# What published environment synthesizers do: an interpreter per episode, calls by line.
import json
import sys

sys.path.insert(0, sys.argv[1])
import tools

for line in sys.stdin:
    call = json.loads(line)
    print(json.dumps(getattr(tools, call["tool"])(**call["args"])), flush=True)
