"""Batches of samples, for trainers that come by themselves."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from datetime import datetime
from types import TracebackType
from typing import Any

from .control import Control, connected
from .errors import AstraError, LeaseLost
from .records import Group, Sample

__all__ = ["Batch", "Batches"]


class Batch:
    """Samples that are leased to this trainer; the lease is renewed until the batch is settled.

    As a context manager it is acknowledged when the block ends, and given back when it fails.

    Attributes:
        id: of the batch.
        samples: what is trained on, in the order of groups and their members.
        groups: of the samples.
        policy: the least version of the policy that they were sampled from.
        tries: how often the batch was handed out, this time included.
    """

    def __init__(self, control: Control, raw: dict[str, Any], now: float) -> None:
        """Take over a lease; now is the server's clock."""
        self._control, self._lease = control, raw["lease"]
        self.id: str = raw["id"]
        self.policy: int = raw["policy"]
        self.tries: int = raw["tries"]
        self.samples = [Sample.read(s) for s in raw["samples"]]
        self.groups = [Group.read(g) for g in raw["groups"]]
        self._settled = threading.Event()
        self._lost: AstraError | None = None
        until = datetime.fromisoformat(raw["until"])
        if until.year > 1:  # else it does not run out
            every = max(0.2, (until.timestamp() - now) / 3)
            threading.Thread(target=self._renew, args=(every,), name=f"lease of {self.id}", daemon=True).start()

    def _renew(self, every: float) -> None:
        while not self._settled.wait(every):
            try:
                self._post("extend")
            except LeaseLost as e:
                if not self._settled.is_set():  # else it was settled meanwhile
                    self._lost = e
                return
            except AstraError:
                continue  # the lease lasts three tries

    def _post(self, what: str, patience: float | None = None) -> None:
        self._control.send("POST", f"/v1/batches/{what}", {"lease": self._lease}, patience=patience)

    @property
    def lost(self) -> bool:
        """Whether the lease ran out: somebody else may train on the batch."""
        return self._lost is not None

    def ack(self) -> None:
        """Say that the update was made: the batch is done.

        Raises:
            LeaseLost: the lease ran out before.
        """
        self._settle("ack")

    def nack(self) -> None:
        """Give the batch back: it is ready again, at its place."""
        self._settle("nack")

    def _settle(self, how: str, patience: float | None = None) -> None:
        if self._lost is not None:
            raise self._lost
        self._settled.set()
        self._post(how, patience)

    def __enter__(self) -> Batch:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._settled.is_set():
            return
        if error is None:
            self.ack()
            return
        try:
            self._settle("nack", patience=0)  # once, as who pressed ^C has waited enough
        except AstraError as e:
            error.add_note(f"batch {self.id} could not be given back either, so its lease must run out: {e}")


class Batches:
    """The server's queue of batches (`astra serve --batch N`).

    It can be iterated over, without end. A batch is acknowledged when its turn of the loop is
    over; when the loop is left, by break or by an exception, it is given back unless it was
    acknowledged:

        for batch in Batches():
            update(batch.samples)
            batches.publish(version)
    """

    def __init__(self, control: Control | None = None, *, wait: int = 60) -> None:
        """Use a queue.

        Args:
            control: where it is; default is what connect() finds.
            wait: seconds that one question waits for a batch, at most 60.
        """
        self._control, self._wait = connected(control), wait

    def __iter__(self) -> Iterator[Batch]:
        while True:
            batch = self.lease(self._wait)
            if batch is not None:
                with batch:
                    yield batch

    def lease(self, wait: int = 0) -> Batch | None:
        """Take the oldest batch that is ready; None if none is within so many seconds.

        Where the answer is lost, another batch is asked for; that one is handed out again when its
        lease has run out.

        Raises:
            Unsupported: the server hands out none.
        """
        reply = self._control.send("POST", "/v1/batches/lease", {"wait": wait})
        if not reply.body:
            return None
        return Batch(self._control, json.loads(reply.body), reply.date or time.time())

    def publish(self, version: int, model: str = "") -> None:
        """Tell of a policy version: batches too far behind it are not handed out any more.

        Args:
            version: a number that grows.
            model: as the policy's server names it; "" is as before.
        """
        self._control.post("/v1/batches/publish", {"version": version, "model": model})

    def add_group(self, name: str) -> bool:
        """Have a group, all of whose train episodes have ended, wait for a batch.

        Returns:
            whether its rewards differ enough to tell something; a group that tells nothing is not kept.
        """
        kept: bool = self._control.post("/v1/batches/groups", {"group": name})["kept"]
        return kept

    def status(self) -> dict[str, Any]:
        """Count batches, and samples missing until the next."""
        status: dict[str, Any] = self._control.get("/v1/batches/status")
        return status
