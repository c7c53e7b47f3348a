"""Single days in the life of a deployment, each with one fault and what must come of it.

Random days are in `test_seeds.py`.
"""

from __future__ import annotations

import statistics

import pytest

from sentinel.core.events import FailoverRequested, ForgetRequested, RequestId
from tests.sim.cluster import NAME, Cluster, configuration
from tests.sim.invariants import Judge
from tests.sim.network import Life, World
from tests.sim.nodes import SimNode
from tests.sim.plan import Shape
from tests.sim.sentinels import SimSentinel
from vedette.types import Address


@pytest.mark.parametrize(("fault", "limit_ms"), [("crash", 1_060), ("pause", 1_200)])
def test_failover_is_quick_and_happens_once(fault: str, limit_ms: int) -> None:
    """With down-after 1 s all sentinels name the new master well within 1.3 s of the fault."""
    times_ms = []
    for seed in range(20):
        cluster = started(seed)
        cluster.run_for(300 + 37 * seed)
        old = cluster.master
        begun_ms = cluster.world.now_ms
        getattr(old, fault)()
        while any(cluster.view(sentinel).address == old.address for sentinel in cluster.sentinels):
            cluster.run_for(1)
            assert cluster.world.now_ms - begun_ms < 5_000
        times_ms.append(cluster.world.now_ms - begun_ms)
        cluster.run_for(5_000)
        assert cluster.judge.failovers == 1, "a second failover was not needed"

    assert max(times_ms) <= limit_ms, times_ms
    assert statistics.median(times_ms) < 1_100


def test_healthy_deployment_is_left_alone() -> None:
    """A minute of nothing: no suspicion, no epoch."""
    cluster = started(3, Shape(delay_max_us=20_000))
    before = len(cluster.world.trace)

    cluster.run_for(60_000)

    assert cluster.world.trace[before:] == []
    assert all(sentinel.core.state.current_epoch == 0 for sentinel in cluster.sentinels)


def test_short_pause_of_the_master_is_no_failover() -> None:
    """Down-after is a promise to the operator as well."""
    cluster = started(4)

    for _ in range(5):
        cluster.master.pause()
        cluster.run_for(900)
        cluster.master.resume()
        cluster.run_for(700)

    assert cluster.judge.failovers == 0
    assert cluster.disagreement() is None


def test_stopped_master_obeys_before_it_serves_again() -> None:
    """A process that wakes up finds the order to follow in its socket: no second master."""
    cluster = started(5)
    old = cluster.master
    old.pause()
    cluster.run_for(4_000)
    assert old.master is None

    old.resume()

    assert old.master == cluster.master.address
    assert cluster.run_until_agreed(2_000)


@pytest.mark.parametrize("seed", range(6))
def test_crashed_master_is_demoted_soon_after_its_return(seed: int) -> None:
    """Redis leaves it as a second master for 10 to 18 s."""
    cluster = started(seed)
    old = cluster.master
    old.crash()
    cluster.run_for(6_000)
    old.restart()
    assert old.master is None

    cluster.run_for(1_000)

    assert old.master == cluster.master.address


def test_minority_does_not_promote_and_mints_no_epochs() -> None:
    """A sentinel alone with a dead master waits; when the others are back it follows them."""
    cluster = started(6)
    alone = cluster.sentinels[0]
    for other in cluster.sentinels[1:]:
        other.crash()
    cluster.master.crash()

    cluster.run_for(20_000)

    assert alone.core.state.current_epoch == 0
    assert cluster.judge.failovers == 0
    for other in cluster.sentinels[1:]:
        other.restart()
    cluster.run_for(3_000)
    assert cluster.judge.failovers == 1


def test_leader_that_dies_is_replaced_soon() -> None:
    """Redis' voters wait 6 minutes for it."""
    cluster = started(7)
    cluster.master.crash()
    while not cluster.judge.leaders:
        cluster.run_for(1)
    leader = next(iter(cluster.judge.leaders.values()))
    for sentinel in cluster.sentinels:
        if sentinel.run_id == leader:
            sentinel.crash()
    for node in cluster.nodes:
        node.follow(cluster.nodes[0].address if node.life is Life.RUNNING else None)

    cluster.run_for(3_000)

    running = [entry for entry in cluster.sentinels if entry.life is Life.RUNNING]
    assert {cluster.view(entry).address for entry in running} != {cluster.nodes[0].address}
    assert len({cluster.view(entry).address for entry in running}) == 1


def test_ordered_failover_demotes_the_old_master_at_once() -> None:
    """SENTINEL FAILOVER on a healthy deployment leaves no second master behind."""
    cluster = started(8)
    old = cluster.master
    sentinel = cluster.sentinels[1]

    sentinel.step(FailoverRequested(sentinel.clock_ms(), RequestId(77), NAME))
    cluster.run_for(100)

    assert old.master == cluster.master.address != old.address
    assert cluster.run_until_agreed(3_000)
    assert cluster.judge.failovers == 1


def test_masters_that_die_together_are_replaced_in_one_round() -> None:
    """They share the epoch; with Redis, elections at the same time void each other."""
    count = 50
    world = World(9)
    judge = Judge(3, 2)
    masters = {}
    for index in range(count):
        first, second = (Address(f"10.0.{index}.{last}", 6379) for last in (1, 2))
        SimNode(world, first, None)
        SimNode(world, second, first)
        masters[f"m{index}"] = first
    sentinels = [
        SimSentinel(
            world,
            Address("10.9.9.9", 26001 + number),
            configuration(world, 26001 + number, masters, Shape()),
            judge,
        )
        for number in range(3)
    ]
    world.run_until(8_000_000)
    for address in masters.values():
        world.processes[address].crash()

    # Down-after, up to a period of PINGs before the first that nobody answers, and 150 ms.
    world.run_until(world.now_us + 1_250_000)

    for sentinel in sentinels:
        views = sentinel.core.state.masters.values()
        assert all(view.address.host.endswith(".2") for view in views)
    assert judge.failovers == count
    stood = [
        entry
        for sentinel in sentinels
        for entry in sentinel.published
        if entry.event == b"+try-failover"
    ]
    assert len(stood) <= 1.1 * count, "one sentinel stands for each, the others wait for it"
    world.run_until(world.now_us + 10_000_000)
    assert judge.failovers == count


@pytest.mark.parametrize("are_forgotten", [True, False])
def test_forgetting_the_dead_brings_back_the_majority(are_forgotten: bool) -> None:
    """Of five sentinels two are gone for good: once they are forgotten one more may be lost."""
    cluster = started(10, Shape(sentinels=5))
    *staying, first, second = cluster.sentinels
    first.crash()
    second.crash()
    cluster.run_for(1_500)
    if are_forgotten:
        asker, gone = staying[0], (first.run_id, second.run_id)
        asker.step(ForgetRequested(asker.clock_ms(), RequestId(78), NAME, sentinels=gone))
        cluster.run_for(100)
        assert [cluster.view(entry).known_sentinels for entry in staying] == [3, 3, 3]
    staying.pop().crash()
    cluster.master.crash()

    cluster.run_for(2_000)

    assert cluster.judge.failovers == int(are_forgotten)
    for sentinel in cluster.sentinels:
        sentinel.restart()
    cluster.run_for(3_000)
    assert len({cluster.view(entry).address for entry in cluster.sentinels}) == 1


def started(seed: int, shape: Shape | None = None) -> Cluster:
    """A cluster whose sentinels all know one another, also after a restart."""
    cluster = Cluster(seed, shape or Shape())
    cluster.start_up()
    cluster.run_for(100)
    return cluster
