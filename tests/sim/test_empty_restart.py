"""A master that is restarted without its data loses its office before it costs the replicas theirs.

Redis' sentinels see a master that answers again in good time, and the replicas copy the empty one.
"""

from __future__ import annotations

from dataclasses import replace

import pytest

from sentinel.core.history import Cause
from tests.sim.cluster import NAME, Cluster
from tests.sim.nodes import SimNode
from tests.sim.plan import Shape
from tests.sim.test_datasets import events, started


def started_without_data(seed: int) -> Cluster:
    """Return a cluster that holds nothing, as its sentinels have read."""
    cluster = started(seed)
    for node in cluster.nodes:
        node.history.key_count = 0
        node.is_idle = True
    cluster.run_for(11_000)
    return cluster


def restart_empty(cluster: Cluster, *, down_ms: int = 200) -> SimNode:
    """Kill -9 and a quick supervisor, with nothing saved."""
    old = cluster.master
    old.loses_data = True
    old.crash()
    cluster.run_for(down_ms)
    old.restart()
    return old


def data_survived(cluster: Cluster) -> bool:
    """Whether the sentinels' master has what was there."""
    return cluster.master.history.key_count > 10_000


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("down_ms", [0, 200, 800])
def test_master_that_comes_back_empty_within_down_after_is_failed_over(
    seed: int, down_ms: int
) -> None:
    """The data are with the replicas, for as long as their next attempt to connect takes."""
    cluster = started(seed, Shape(nodes=4))
    old = restart_empty(cluster, down_ms=down_ms)
    cluster.run_for(3_000)

    assert data_survived(cluster)
    assert cluster.master is not old
    assert cluster.judge.failovers == 1
    assert len(events(cluster.sentinels, b"+empty-restart")) >= 2
    assert cluster.run_until_agreed(20_000), cluster.disagreement()
    assert all(node.history.key_count > 10_000 for node in cluster.nodes)


def test_data_survive_nearly_always() -> None:
    """The race is won unless each replica's second ends within a sentinel's tenth of one."""
    survived = 0
    for seed in range(20):
        cluster = started(100 + seed, Shape(nodes=3))
        restart_empty(cluster, down_ms=100 + 17 * seed)
        cluster.run_for(3_000)
        survived += data_survived(cluster)

    assert survived >= 19


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("kept_share", [0.0005, 0.4, 0.9])
def test_master_that_comes_back_with_an_old_snapshot_has_lost_what_it_lacks(
    seed: int, kept_share: float
) -> None:
    """It is of the same history, but of a past in which it had few keys; the replicas have all."""
    cluster = started(40 + seed, Shape(nodes=4))
    old = cluster.master
    old.crash()
    old.history.key_count = int(old.history.key_count * kept_share)
    old.offsets.offset = int(old.offsets.offset * kept_share)
    cluster.run_for(200)
    old.restart()
    cluster.run_for(3_000)

    has_lost = kept_share < 0.5
    assert (cluster.master is old) is not has_lost
    assert cluster.judge.failovers == int(has_lost)
    if has_lost:
        assert data_survived(cluster)
        assert cluster.run_until_agreed(20_000), cluster.disagreement()


def test_data_written_since_the_last_regular_info_count_as_well() -> None:
    """A deployment that was filled a moment ago has no less to lose than one that was long ago."""
    cluster = started_without_data(6)
    for node in cluster.nodes:
        node.history.key_count = 20_000
    old = restart_empty(cluster)
    cluster.run_for(3_000)

    assert data_survived(cluster)
    assert cluster.master is not old


def test_history_says_why() -> None:
    """An operator who sees a failover of a master that answered wants a reason."""
    cluster = started(1)
    restart_empty(cluster)
    cluster.run_for(3_000)

    causes = [
        record.cause
        for sentinel in cluster.sentinels
        for record in sentinel.core.state.masters[NAME].history
        if record.attempts
    ]
    assert set(causes) == {Cause.EMPTY_RESTART}


@pytest.mark.parametrize("seed", range(4))
def test_master_that_comes_back_with_its_data_keeps_its_office(seed: int) -> None:
    """An ordinary restart, quick enough, is no failover."""
    cluster = started(seed)
    old = cluster.master
    old.crash()
    cluster.run_for(300)
    old.restart()
    cluster.run_for(5_000)

    assert cluster.master is old
    assert cluster.judge.failovers == 0
    assert cluster.run_until_agreed(5_000), cluster.disagreement()


def test_guard_can_be_switched_off() -> None:
    """Then it is as with Redis: the replicas follow into the void."""
    cluster = started(3)
    for sentinel in cluster.sentinels:
        view = cluster.view(sentinel)
        view.options = replace(view.options, guards_empty_restart=False)
    old = restart_empty(cluster)
    cluster.run_for(5_000)

    assert cluster.master is old
    assert not data_survived(cluster)
    assert events(cluster.sentinels, b"+empty-restart") == []


def test_flushed_and_restarted_master_is_left_alone() -> None:
    """With nothing to save there is nothing to guard."""
    cluster = started_without_data(4)
    restart_empty(cluster)
    cluster.run_for(3_000)

    assert cluster.judge.failovers == 0


def test_empty_master_is_accepted_once_nobody_has_anything_better() -> None:
    """To hold it down any longer would be an outage for nothing."""
    cluster = started(5)
    old = cluster.master
    # Without a quorum that saw it nothing is done in time.
    first, *others = cluster.sentinels
    for sentinel in others:
        view = cluster.view(sentinel)
        view.options = replace(view.options, guards_empty_restart=False)
    restart_empty(cluster)
    cluster.run_for(5_000)

    assert cluster.master is old
    assert not cluster.view(first).is_s_down
    assert cluster.run_until_agreed(5_000), cluster.disagreement()
