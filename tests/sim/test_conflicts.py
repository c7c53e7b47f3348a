"""Sentinels that name different masters in one epoch notice, say so, and end up with one.

Redis' ignore each other's configuration at an equal epoch, for ever.
"""

from __future__ import annotations

from dataclasses import replace

import pytest

from sentinel.core.durable import DurableMaster
from sentinel.core.events import FailoverRequested, RequestId
from tests.sim.cluster import NAME, Cluster
from tests.sim.plan import Shape
from tests.sim.sentinels import SimSentinel


def order_failover(sentinel: SimSentinel) -> None:
    """SENTINEL FAILOVER."""
    sentinel.step(FailoverRequested(sentinel.clock_ms(), RequestId(900_000), NAME))


def events(cluster: Cluster, name: bytes) -> list[str]:
    """Payloads of one event, of all sentinels."""
    return [
        notice.payload.decode()
        for sentinel in cluster.sentinels
        for notice in sentinel.published
        if notice.event == name
    ]


def order_two_failovers(cluster: Cluster) -> None:
    """At two sentinels at once, of which each reaches nobody but one replica."""
    one, other, _ = cluster.sentinels
    replicas = list(cluster.view(one).replicas)
    for sentinel, replica in zip((one, other), replicas, strict=False):
        for address in cluster.world.processes:
            if address not in (sentinel.address, replica):
                cluster.world.cut(sentinel.address, address)
                cluster.world.cut(address, sentinel.address)
    cluster.run_for(1_500)
    order_failover(one)
    order_failover(other)
    cluster.run_for(cluster.world.random.randint(30, 200))
    cluster.world.heal()


@pytest.mark.parametrize("seed", range(12))
def test_failovers_ordered_at_two_sentinels_at_once_end_in_one_master(seed: int) -> None:
    """Both mint the same epoch, for nobody is asked, and each promotes another replica."""
    cluster = Cluster(seed, Shape(nodes=4, failover_timeout_ms=20_000))
    cluster.start_up()

    order_two_failovers(cluster)

    assert cluster.run_until_agreed(15_000), cluster.disagreement()
    cluster.run_for(3_000)
    assert cluster.disagreement() is None
    assert events(cluster, b"+config-conflict")
    assert len(events(cluster, b"+config-conflict")) == len(events(cluster, b"-config-conflict"))
    assert {cluster.view(sentinel).config_epoch for sentinel in cluster.sentinels} != {1}


@pytest.mark.parametrize("seed", range(4))
def test_sentinels_told_different_masters_end_up_with_the_one_that_is(seed: int) -> None:
    """One of three was given a replica's address: at epoch 0 nothing would ever correct it."""
    cluster = Cluster(seed, Shape())
    cluster.start_up()
    wrong = cluster.sentinels[0]
    replica = next(node for node in cluster.nodes if node is not cluster.master)
    wrong.crash()
    (record,) = wrong.disk.state.masters
    misled = DurableMaster(name=NAME, address=replica.address, options=record.options)
    wrong.disk.put(replace(wrong.disk.state, current_epoch=0, masters=(misled,)))
    wrong.restart()
    cluster.run_for(15_000)

    masters = {cluster.view(sentinel).address for sentinel in cluster.sentinels}
    assert masters == {cluster.nodes[0].address}
    assert cluster.judge.failovers == 0
    assert events(cluster, b"+config-conflict")
