"""Batches, from groups of episodes that were played over the control side."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from conftest import Serve, Server
from relay import Relay

import astra_arenas as astra
from astra_arenas import Arena, Batches, Control


@pytest.fixture
def control(serve: Serve) -> Control:
    return serve("--batch", "2", "--lease", "600ms", "--max-lag", "3").control()


def play(control: Control, group: str) -> list[str]:
    """Play one episode that is solved, and one that is not."""
    arena = Arena("inventory", control)
    played = []
    for answer in ("2.35", "no idea"):
        with arena.open("hinge-price", group=group, policy="0") as episode:
            if answer == "2.35":
                episode.call("find_items", {"query": "brass hinge"})
            episode.submit(answer)
            played.append(episode.id)
    return played


def test_samples(control: Control) -> None:
    batches = Batches(control)
    assert batches.lease() is None
    played = play(control, "g1")
    assert batches.add_group("g1")
    assert batches.status()["ready"] == 1
    with batches.lease(5) or pytest.fail("no batch") as batch:
        assert {s.episode for s in batch.samples} == set(played)
        best, worst = sorted(batch.samples, key=lambda s: -s.reward)
        assert best.reward == 1.0 > worst.reward
        assert best.advantage > 0 > worst.advantage
        assert best.group == "g1"
        assert best.task == "hinge-price"
        assert best.trajectory is not None
        assert best.trajectory.messages[0]["role"] == "user"
        assert batch.groups[0].members == tuple(s.episode for s in batch.samples)
    batch.ack()  # as who did not hear that it was taken down
    assert batches.status()["done"] == 1


def test_loops_settle_what_they_took(control: Control) -> None:
    batches = Batches(control, wait=5)
    for group in ("g1", "g2", "g3"):
        play(control, group)
        batches.add_group(group)
    with pytest.raises(RuntimeError):
        for _ in batches:
            raise RuntimeError("out of memory")
    assert (batches.status()["done"], batches.status()["leased"], batches.status()["ready"]) == (0, 0, 3)
    for batch in batches:
        assert batch.tries == 2
        break
    assert (batches.status()["done"], batches.status()["leased"]) == (0, 0)
    seen = []
    for batch in batches:
        seen.append(batch.groups[0].name)
        if len(seen) == 3:
            batch.ack()
            break
    assert seen == ["g1", "g2", "g3"]
    assert (batches.status()["done"], batches.status()["leased"]) == (3, 0)


def test_old_batches_are_dropped(control: Control) -> None:
    batches = Batches(control)
    play(control, "g1")
    batches.add_group("g1")
    batches.publish(9, "policy-9")
    assert batches.lease() is None
    assert batches.status()["dropped"] == 1
    with pytest.raises(astra.Refused, match="comes after"):
        batches.publish(8)


@pytest.fixture
def relay(control: Control) -> Iterator[Relay]:
    relay = Relay(control)
    yield relay
    relay.close()


def test_leases_are_renewed(relay: Relay, control: Control) -> None:
    batches = Batches(relay.control)
    play(control, "g1")
    batches.add_group("g1")
    with batches.lease() or pytest.fail("no batch") as batch:
        relay.wait("extend", 5)  # each after a third of a lease
        assert not batch.lost
    assert batches.status()["done"] == 1


def test_a_lease_whose_answer_was_lost_is_another(relay: Relay, control: Control) -> None:
    batches = Batches(relay.control)
    for group in ("g1", "g2"):
        play(control, group)
        batches.add_group(group)
    relay.lose["lease"] = 1
    with batches.lease() or pytest.fail("no batch") as batch:
        assert batch.groups[0].name == "g2"
    with batches.lease(30) or pytest.fail("no batch") as batch:  # when the first lease has run out
        assert (batch.groups[0].name, batch.tries) == ("g1", 2)


def test_a_lost_lease_is_told(relay: Relay, control: Control) -> None:
    batches = Batches(relay.control)
    play(control, "g1")
    batches.add_group("g1")
    batch = batches.lease()
    assert batch is not None
    Batches(control)._control.post("/v1/batches/nack", {"lease": batch._lease})  # as if it had run out
    relay.wait("extend", 1)
    with pytest.raises(astra.LeaseLost):
        batch.ack()


def test_not_every_server_has_batches(server: Server) -> None:
    with pytest.raises(astra.Unsupported, match="hands out no batches"):
        Batches(server.control()).lease()
