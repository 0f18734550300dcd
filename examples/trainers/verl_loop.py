"""Rollouts of verl that are episodes of arenas (verl 0.9.1).

Write the rows, and name the loop in a file:

    python verl_loop.py inventory train.parquet
    echo '[{name: arena, _target_: verl_loop.ArenaLoop}]' > loops.yaml

Start verl's trainer as ever, with this file on PYTHONPATH, and

    data.train_files=train.parquet
    actor_rollout_ref.rollout.agent.agent_loop_config_path=loops.yaml
    actor_rollout_ref.rollout.multi_turn.format=hermes

data.max_prompt_length holds the tools and the first message, data.max_response_length all that follows.
Tools answer in full: multi_turn.max_tool_response_length is for verl's own tools. Of several calls in one
message verl makes multi_turn.max_parallel_calls (1), and it does not read the last of
multi_turn.max_assistant_turns: set it to one more than an answer may take. An episode that did not come to
an answer is scored as it is.

The loop stands on verl's ToolAgentLoop, of which it replaces what is private there: _call_tool,
_handle_pending_state and _handle_generating_state. Look at these when verl changes. Formats whose parser
reads the tools' schemas (qwen3_coder and others) see none here.

Needs the Python package (pip install ./clients/python) wherever Ray runs the workers of agent loops, and
a server that these find as the package does: ASTRA_CONTROL and ASTRA_TOKEN, where it is on another machine.
"""

import asyncio
import sys
from concurrent.futures import ThreadPoolExecutor

from astra_arenas import Arena, Invalid
from verl.experimental.agent_loop.tool_agent_loop import AgentState, ToolAgentLoop
from verl.tools.schemas import ToolResponse

TRIES = 3  # of an episode; verl ends the whole step when one rollout fails
OPENING = ThreadPoolExecutor(thread_name_prefix="opening")  # may wait for room, and keeps no call from making it


class ArenaLoop(ToolAgentLoop):
    """One episode of the row's task."""

    async def run(self, sampling_params, **row):
        """Play it, and anew if it cannot be judged: such an episode has no reward, which is not 0."""
        for left in reversed(range(TRIES)):
            try:
                return await self.play(sampling_params, **row)
            except Invalid:
                if not left:
                    raise

    async def play(self, sampling_params, **row):
        asked, self.answer = row["extra_info"], None
        opened = OPENING.submit(lambda: Arena(asked["arena"]).open(asked["task"]))
        self.episode = await asyncio.wrap_future(opened)
        with self.episode:
            self.functions = [tool.function() for tool in await asyncio.to_thread(self.episode.tools)]
            output = await super().run(sampling_params, **row)
            score = await asyncio.to_thread(self.episode.submit, self.answer)
        output.reward_score = score.reward
        return output

    async def _handle_pending_state(self, data, sampling_params):
        data.messages.append({"role": "user", "content": self.episode.message})
        data._active_tool_schemas = self.functions
        return await super()._handle_pending_state(data, sampling_params)

    async def _handle_generating_state(self, data, sampling_params, **kwargs):
        """Close the turn when the model calls nothing. A reply that was cut off is none."""
        before = len(data.messages)
        state = await super()._handle_generating_state(data, sampling_params, **kwargs)
        if len(data.messages) == before or state is not AgentState.TERMINATED:
            return state
        text = self.tokenizer.decode(data.response_ids, skip_special_tokens=True)
        reply = text.rpartition("</think>")[2].strip()
        told = await asyncio.to_thread(self.episode.turn, reply)
        if not told.done:
            return await self.hear(data, told.message)
        self.answer = reply
        return AgentState.TERMINATED

    async def hear(self, data, message):
        """Append the user's next message, which is not trained on."""
        before = list(data.messages)
        data.messages.append({"role": "user", "content": message})
        merged, mask, logprobs = await self.ct_merge_context_msg(
            before, data.messages, data.prompt_ids, data.response_mask, data.response_logprobs or None, self.functions
        )
        if len(mask) >= self.response_length:
            return AgentState.TERMINATED
        data.prompt_ids, data.response_mask, data.response_logprobs = merged.token_ids, mask, logprobs or []
        data.user_turns += 1
        return AgentState.GENERATING

    async def _call_tool(self, call, tools_kwargs, data):
        text = await asyncio.to_thread(self.episode.observe, call.name, call.arguments)
        return ToolResponse(text=text), None, {}


def rows(arena, split="train", system="Call tools to do what the user asks."):
    """One for each task. Left out are those with a simulated user, and those to which a turn adds tools, as
    verl says once what tools there are."""
    tasks = [t for t in Arena(arena).tasks(split) if not t.grows and t.turns == t.own]
    return [
        {
            "data_source": arena,
            "agent_name": "arena",
            "prompt": [{"role": "system", "content": system}],
            "extra_info": {"index": n, "arena": arena, "task": task.id},
        }
        for n, task in enumerate(tasks)
    ]


if __name__ == "__main__":
    import pandas

    pandas.DataFrame(rows(sys.argv[1])).to_parquet(sys.argv[2])
