"""Redis' sentinels, as modelled, in one quorum with ours: either may lead, and all agree."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.sim.cluster import Cluster
from tests.sim.network import Life
from tests.sim.plan import Shape
from tests.sim.stock import StockSentinel
from vedette.types import Address


def mixed(seed: int, own: int, stock: int, shape: Shape) -> tuple[Cluster, list[StockSentinel]]:
    """A started deployment with `own` sentinels of ours and `stock` modelled ones."""
    cluster = Cluster(seed, replace(shape, sentinels=own + stock, stock=stock))
    others = cluster.stock
    cluster.run_for(25_000)
    for sentinel in cluster.sentinels:
        assert len(cluster.view(sentinel).peers) == own + stock - 1
    for other in others:
        assert len(other.fellows) == own + stock - 1
    return cluster, others


def addresses(cluster: Cluster, others: list[StockSentinel]) -> set[Address]:
    """The masters that sentinels of both kinds name."""
    own = {cluster.view(entry).address for entry in cluster.sentinels if is_running(entry.life)}
    return own | {other.address_of_master for other in others if is_running(other.life)}


def is_running(life: Life) -> bool:
    return life is Life.RUNNING


def standing(cluster: Cluster, others: list[StockSentinel]) -> StockSentinel:
    """Let time pass until one of the modelled sentinels stands for election; return it."""
    for _ in range(5_000):
        for other in others:
            if other.state == "votes":
                return other
        cluster.run_for(1)
    raise AssertionError("nobody stands")


SHAPE = Shape(nodes=4, down_after_ms=1_000, failover_timeout_ms=5_000, write_gap_ms=0)


@pytest.mark.parametrize(("own", "stock"), [(1, 2), (2, 1), (2, 3), (3, 2)])
@pytest.mark.parametrize("fault", ["crash", "pause", "lose_power"])
@pytest.mark.parametrize("seed", range(3))
def test_all_agree_on_one_new_master(seed: int, fault: str, own: int, stock: int) -> None:
    """Whoever led, with one failover, and the old master is demoted when it returns."""
    cluster, others = mixed(seed, own, stock, SHAPE)
    old = cluster.master
    getattr(old, fault)()
    cluster.run_for(8_000)

    assert len(addresses(cluster, others)) == 1
    assert addresses(cluster, others) != {old.address}
    assert cluster.judge.failovers == 1
    old.resume()
    old.restart()
    cluster.run_for(12_000)
    assert old.master in addresses(cluster, others)


@pytest.mark.parametrize("seed", range(20))
def test_random_crashes_and_partitions_end_in_agreement(seed: int) -> None:
    """Three of ours and two of Redis', of whom any two are crashed or cut off at a time."""
    cluster, others = mixed(seed, 3, 2, SHAPE)
    world = cluster.world
    everybody = [*cluster.sentinels, *others, *cluster.nodes]
    for _ in range(6):
        for victim in world.random.sample(everybody, 2):
            if world.chance(0.5):
                victim.crash()
            else:
                for process in everybody:
                    world.cut(victim.address, process.address)
                    world.cut(process.address, victim.address)
        cluster.master.crash() if world.chance(0.5) else cluster.master.pause()
        cluster.run_for(world.between(200, 4_000))
        world.heal()
        for process in everybody:
            process.resume()
            process.restart()
        cluster.run_for(world.between(0, 2_000))

    def is_agreed() -> bool:
        named = addresses(cluster, others)
        master = cluster.node_at(next(iter(named)))
        followers = {node.master for node in cluster.nodes if node is not master}
        return len(named) == 1 and master.master is None and followers == {master.address}

    for _ in range(120):
        if is_agreed():
            break
        cluster.run_for(1_000)
    assert is_agreed(), addresses(cluster, others)


@pytest.mark.parametrize("seed", range(4))
def test_redis_sentinel_that_gives_up_is_not_waited_for(seed: int) -> None:
    """It finds no replica fit, as while its links are made anew, and rests for long."""
    cluster, others = mixed(seed, 1, 2, SHAPE)
    (own,) = cluster.sentinels
    own.pause()
    cluster.master.pause()
    leader = standing(cluster, others)
    own.resume()
    ran_ms = 0
    while cluster.view(own).failover.awaited_leader != leader.run_id:
        cluster.run_for(1)
        ran_ms += 1
        assert ran_ms < 5_000, "nobody is voted for"
    leader.give_up()
    gave_up_ms = cluster.world.now_ms
    while not cluster.judge.failovers:
        cluster.run_for(10)
        assert cluster.world.now_ms - gave_up_ms <= 2_000, "waited all the same"


@pytest.mark.parametrize("seed", range(4))
def test_redis_sentinel_that_is_never_elected_is_not_waited_for(seed: int) -> None:
    """It reaches one voter of four, stands for ten seconds, and says so when it is asked."""
    cluster, others = mixed(seed, 1, 4, SHAPE)
    (voter,) = cluster.sentinels
    voter.pause()
    cluster.master.pause()
    candidate = standing(cluster, others)
    for other in others:
        if other is not candidate:
            cluster.world.cut(candidate.address, other.address)
            other.started_us = cluster.world.now_us  # it stood itself a moment ago, and rests
    voter.resume()
    while cluster.view(voter).failover.awaited_leader != candidate.run_id:
        cluster.run_for(1)
        assert candidate.state == "votes"
    voted_ms = cluster.world.now_ms
    while not cluster.judge.failovers:
        cluster.run_for(10)
        assert cluster.world.now_ms - voted_ms <= 2_500, "waited all the same"


def test_model_alone_takes_its_time() -> None:
    """What it is compared with: with nobody of ours among them it takes over a second more."""
    cluster, others = mixed(5, 1, 2, SHAPE)
    cluster.sentinels[0].crash()
    cluster.master.crash()
    cluster.run_for(SHAPE.down_after_ms + 600)

    assert {other.address_of_master for other in others} == {cluster.nodes[0].address}
    cluster.run_for(60_000)  # a split election is repeated after twice the failover timeout
    assert cluster.nodes[0].address not in {other.address_of_master for other in others}
