"""Tasks in which a user goes on talking, as in tau2-bench."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from .episode import Episode
from .errors import Refused
from .records import Score, Task

__all__ = ["converse"]

Agent = Callable[[Episode, str], str]
User = Callable[[Sequence[tuple[str, str]]], str | None]


def converse(episode: Episode, task: Task, agent: Agent, user: User | None = None) -> Score:
    """Play all turns of a task, and submit the agent's last reply as the answer.

    The task's own messages come first. Where the task has a simulated user, that says what
    comes after: its brief is with whoever wrote the task, since no door shows it.

    Args:
        episode: just opened.
        task: that it is an episode of.
        agent: calls tools of the episode as it likes, and replies to a message.
        user: is told the messages and replies so far, and says the next one; None when it has
            nothing more to say.

    Raises:
        Invalid: the episode cannot be judged.
    """
    if task.turns > task.own and user is None:
        raise Refused(f"task {task.id} has a simulated user: bring one that says what it says")
    said: list[tuple[str, str]] = []
    while True:
        reply = agent(episode, episode.message)
        said.append((episode.message, reply))
        message = user(said) if user and task.own <= len(said) < task.turns else None
        if episode.turn(reply, message).done:
            return episode.submit(reply)
