"""Whose data a node holds decides what is done with it, not the address it answers at."""

from __future__ import annotations

import pytest

from tests.sim.cluster import NAME, Cluster
from tests.sim.nodes import History, SimNode
from tests.sim.plan import Shape
from tests.sim.sentinels import SimSentinel
from vedette.types import Address


def started(seed: int, shape: Shape | None = None) -> Cluster:
    """A cluster whose sentinels all know one another and have read every INFO again."""
    cluster = Cluster(seed, shape or Shape())
    cluster.start_up()
    cluster.run_for(12_000)
    return cluster


def stranger_at(cluster: Cluster, address: Address, *, is_following: bool = False) -> SimNode:
    """Another deployment's node comes up at an address that was one of ours."""
    other = None
    if is_following:
        other = Address("10.7.7.7", 7000)
        master = SimNode(cluster.world, other, None)
        master.history = History("b" * 40, key_count=500)
    stranger = SimNode(cluster.world, address, other)
    stranger.run_id = "c" * 40
    stranger.history = History("b" * 40, key_count=500)
    stranger.has_aof = True
    return stranger


def events(sentinels: list[SimSentinel], name: bytes) -> list[str]:
    """Payloads of one event, of all sentinels."""
    return [
        notice.payload.decode()
        for sentinel in sentinels
        for notice in sentinel.published
        if notice.event == name
    ]


@pytest.mark.parametrize("is_following", [False, True])
def test_stranger_at_the_address_of_a_replica_is_never_promoted_nor_touched(
    is_following: bool,
) -> None:
    """Promoting it would serve another's data to our clients; ordering it about would wipe them."""
    cluster = started(1, Shape(failover_timeout_ms=3_000))
    gone = next(node for node in cluster.nodes if node is not cluster.master)
    gone.crash()
    stranger = stranger_at(cluster, gone.address, is_following=is_following)
    stranger.priority = 1
    follows = stranger.master
    cluster.run_for(20_000)

    cluster.master.crash()
    cluster.run_for(20_000)

    addresses = {cluster.view(sentinel).address for sentinel in cluster.sentinels}
    assert len(addresses) == 1
    assert stranger.address not in addresses
    assert cluster.judge.failovers == 1
    assert stranger.master == follows
    assert len(events(cluster.sentinels, b"+foreign-node")) >= 3


def test_no_failover_rather_than_one_to_a_stranger() -> None:
    """With nobody left who has the data the name stays where it is."""
    cluster = started(2, Shape(nodes=2))
    replica = next(node for node in cluster.nodes if node is not cluster.master)
    replica.crash()
    stranger = stranger_at(cluster, replica.address)
    cluster.run_for(3_000)

    cluster.master.crash()
    cluster.run_for(30_000)

    assert cluster.judge.failovers == 0
    assert stranger.history.key_count >= 500


def test_stranger_at_the_old_masters_address_is_not_demoted() -> None:
    """It is no returning master: it never was ours."""
    cluster = started(3)
    old = cluster.master
    old.crash()
    cluster.run_for(3_000)
    stranger = stranger_at(cluster, old.address)

    cluster.run_for(30_000)

    assert stranger.master is None
    assert stranger.history.replid == "b" * 40
    assert events(cluster.sentinels, b"+convert-to-slave") == []


@pytest.mark.parametrize("seed", range(4))
def test_old_master_that_comes_back_empty_is_demoted_at_first_contact(seed: int) -> None:
    """It shares nothing with anybody, and has nothing to lose."""
    cluster = started(seed)
    old = cluster.master
    old.loses_data = True
    old.crash()
    cluster.run_for(6_000)
    old.restart()

    cluster.run_for(1_000)

    assert old.master == cluster.master.address


@pytest.mark.parametrize("seed", range(4))
def test_old_master_that_comes_back_from_its_append_only_file_is_demoted(seed: int) -> None:
    """Such a file keeps no replication id: the node is known by what it held before."""
    cluster = Cluster(seed, Shape())
    for node in cluster.nodes:
        node.has_aof = True
    cluster.start_up()
    cluster.run_for(12_000)
    old = cluster.master
    old.crash()
    cluster.run_for(6_000)
    old.restart()
    old.history = History("e" * 40, key_count=old.history.key_count - 40)

    cluster.run_for(1_000)

    assert old.master == cluster.master.address
    assert events(cluster.sentinels, b"+foreign-node") == []


@pytest.mark.parametrize("seed", range(4))
def test_replica_that_came_back_empty_is_passed_over_for_one_with_the_data(seed: int) -> None:
    """Redis goes by its priority, and the data are gone."""
    cluster = started(seed)
    empty, full = (node for node in cluster.nodes if node is not cluster.master)
    empty.saved.priority = 1
    empty.loses_data = True
    cluster.master.crash()
    empty.crash()
    empty.restart()
    cluster.run_for(6_000)

    assert cluster.master is full
    assert full.history.key_count > 10_000


def test_bytes_lost_are_estimated_recorded_and_announced() -> None:
    """A replica cut off before the master died lacks what was written in between."""
    cluster = started(5, Shape(nodes=2, down_after_ms=2_000))
    old = cluster.master
    (replica,) = (node for node in cluster.nodes if node is not old)
    cluster.world.cut(old.address, replica.address)
    cluster.world.cut(replica.address, old.address)
    cluster.run_for(11_000)
    behind = old.offsets.offset - replica.offsets.offset
    old.crash()
    cluster.run_for(4_000)

    (notice,) = events(cluster.sentinels, b"+estimated-loss")
    (record,) = [
        record
        for sentinel in cluster.sentinels
        for record in sentinel.core.state.masters[NAME].history
        if record.estimated_lost_bytes is not None
    ]
    assert notice == f"slave {replica.address} {replica.address.host} {replica.address.port} @ " + (
        f"{NAME} {old.address.host} {old.address.port} bytes {record.estimated_lost_bytes}"
    )
    # The last INFO of the master is some seconds old when it dies.
    assert record.estimated_lost_bytes is not None
    assert 0 < record.estimated_lost_bytes <= behind + 60


def test_failover_that_lost_nothing_says_so() -> None:
    """Zero is a figure as well."""
    cluster = started(6)
    sentinel = cluster.sentinels[0]
    assert cluster.master.offsets.offset > 0
    cluster.master.pause()
    cluster.run_for(4_000)

    losses = events(cluster.sentinels, b"+estimated-loss")
    assert len(losses) == 1
    assert losses[0].endswith(" bytes 0"), (losses, sentinel)
