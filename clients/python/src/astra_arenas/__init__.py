"""Play and train on astra's arenas.

    arena = Arena("inventory")
    with arena.open("hinge-price") as episode:
        step = episode.call("find_items", {"query": "brass hinge"})
        score = episode.submit(step.value["items"][0]["price"])

`astra_arenas.gym` has arenas as Gymnasium environments, `astra_arenas.trl` as environments of
TRL's GRPOTrainer.
"""

from .arena import Arena, arenas
from .batches import Batch, Batches
from .control import Control, connect
from .conversation import converse
from .doors import Doors, find_doors
from .episode import Episode
from .errors import (
    AstraError,
    BudgetSpent,
    Busy,
    Conflict,
    Disagrees,
    Ended,
    Full,
    Invalid,
    LeaseLost,
    NoServer,
    NotFound,
    Refused,
    ServerError,
    TimedOut,
    Unauthorized,
    Unreachable,
    Unscored,
    Unsupported,
)
from .records import Group, NextTurn, Part, Sample, Score, Sequence, Step, Subtask, Task, Tool, Trajectory

__version__ = "0.1.0"

__all__ = [
    "Arena",
    "AstraError",
    "Batch",
    "Batches",
    "BudgetSpent",
    "Busy",
    "Conflict",
    "Control",
    "Disagrees",
    "Doors",
    "Ended",
    "Episode",
    "Full",
    "Group",
    "Invalid",
    "LeaseLost",
    "NextTurn",
    "NoServer",
    "NotFound",
    "Part",
    "Refused",
    "Sample",
    "Score",
    "Sequence",
    "ServerError",
    "Step",
    "Subtask",
    "Task",
    "TimedOut",
    "Tool",
    "Trajectory",
    "Unauthorized",
    "Unreachable",
    "Unscored",
    "Unsupported",
    "arenas",
    "connect",
    "converse",
    "find_doors",
]
