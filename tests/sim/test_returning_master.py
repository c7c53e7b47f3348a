"""Whoever comes back as a master that it is not is demoted at first contact: within a second.

Redis needs 10 to 18 s, and every write in that time is lost.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.sim.cluster import Cluster
from tests.sim.network import Process
from tests.sim.nodes import SimNode
from tests.sim.plan import Shape

WINDOW_MS = 1_000


def failed_over(
    seed: int, fault: Callable[[Process], None], away_ms: int
) -> tuple[Cluster, SimNode]:
    """A cluster that has replaced its master, which has been away for so long."""
    cluster = Cluster(seed, Shape())
    cluster.start_up()
    cluster.run_for(200 + 77 * seed)
    old = cluster.master
    fault(old)
    cluster.run_for(away_ms)
    assert cluster.master is not old
    return cluster, old


def check_demoted(cluster: Cluster, old: SimNode) -> None:
    cluster.run_for(WINDOW_MS)
    assert old.master == cluster.master.address


@pytest.mark.parametrize("away_ms", [3_000, 60_000])
@pytest.mark.parametrize("seed", range(4))
def test_a_master_that_crashed_comes_back_as_a_replica(seed: int, away_ms: int) -> None:
    """Its own configuration still says master."""
    cluster, old = failed_over(seed, Process.crash, away_ms)
    old.restart()

    check_demoted(cluster, old)


@pytest.mark.parametrize("away_ms", [3_000, 60_000])
@pytest.mark.parametrize("seed", range(4))
def test_a_master_that_was_stopped_comes_back_as_a_replica(seed: int, away_ms: int) -> None:
    """SIGSTOP and SIGCONT: it knows of no time in between."""
    cluster, old = failed_over(seed, Process.pause, away_ms)
    old.resume()

    check_demoted(cluster, old)


@pytest.mark.parametrize("seed", range(4))
def test_a_master_that_was_cut_off_comes_back_as_a_replica(seed: int) -> None:
    """It served its side all the while."""
    cluster = Cluster(seed, Shape())
    cluster.start_up()
    old = cluster.master
    for address in cluster.world.processes:
        if address != old.address:
            cluster.world.cut(old.address, address)
            cluster.world.cut(address, old.address)
    cluster.run_for(10_000)
    assert cluster.master is not old
    cluster.world.heal()

    # Retransmission of what was held back takes up to 0.4 s here.
    cluster.run_for(400)
    check_demoted(cluster, old)


@pytest.mark.parametrize("seed", range(4))
def test_while_all_sentinels_have_just_been_restarted(seed: int) -> None:
    """They have seen neither the failover nor the node before."""
    cluster, old = failed_over(seed, Process.crash, 5_000)
    for sentinel in cluster.sentinels:
        sentinel.crash()
        sentinel.restart()
    old.restart()

    check_demoted(cluster, old)


@pytest.mark.parametrize("seed", range(4))
def test_replica_that_is_started_as_a_master_by_hand(seed: int) -> None:
    """Without the line that made it a replica; its sentinels saw it follow a moment ago."""
    cluster = Cluster(seed, Shape())
    cluster.start_up()
    replica = next(node for node in cluster.nodes if node is not cluster.master)
    replica.crash()
    replica.saved.master = None
    cluster.run_for(300)
    replica.restart()
    assert replica.master is None

    check_demoted(cluster, replica)
