"""A coordinated failover loses nothing that was acknowledged, whoever dies in the middle of it.

The writer of these tests does not wait for replicas, so an ordinary failover loses its last writes.
"""

from __future__ import annotations

import pytest

from sentinel.core.events import FailoverRequested, RequestId
from sentinel.core.history import Cause, Result
from sentinel.core.model import FailoverState
from tests.sim.clients import SimClient
from tests.sim.cluster import NAME, Cluster
from tests.sim.network import Life
from tests.sim.nodes import SimNode
from tests.sim.plan import Shape
from tests.sim.sentinels import SimSentinel, Trap
from vedette.types import Address

SLOW_US = 60_000


class Scene:
    """A cluster at work, with a writer."""

    def __init__(self, seed: int, shape: Shape | None = None) -> None:
        self.cluster = Cluster(seed, shape or Shape(nodes=3))
        self.cluster.start_up()
        self.old = self.cluster.master
        self.writer = SimClient(
            self.cluster.world,
            Address("10.0.2.2", 50_001),
            self.cluster.sentinels,
            name=NAME,
            replicas=0,
            gap_ms=3,
        )
        # Long enough for the INFO that tells whether the master knows FAILOVER.
        self.cluster.run_for(500 + 37 * seed)

    @property
    def leader(self) -> SimSentinel:
        """Where the order is given."""
        return self.cluster.sentinels[0]

    def order(self, sentinel: SimSentinel | None = None) -> None:
        """SENTINEL FAILOVER mymaster COORDINATED, at the leader if not elsewhere."""
        asked = sentinel or self.leader
        asked.step(
            FailoverRequested(asked.clock_ms(), RequestId(900_000), NAME, is_coordinated=True)
        )

    def events(self) -> list[str]:
        return self.cluster.events(self.leader)

    def check_nothing_lost(self) -> None:
        """All agree again, nobody waits, and the one master has all that was acknowledged."""
        cluster = self.cluster
        assert cluster.run_until_agreed(40_000), cluster.disagreement()
        acknowledged = set(self.writer.safe)
        count = len(acknowledged)
        cluster.run_for(3_000)
        assert cluster.disagreement() is None
        assert acknowledged <= set(cluster.master.writes)
        assert len(self.writer.safe) > count, "writes go on"
        assert all(node.handover is None for node in cluster.nodes)

    def handing_over(self) -> SimNode:
        """Let time pass until the master keeps its writers waiting."""
        for _ in range(2_000):
            if self.old.handover is not None:
                return self.old
            self.cluster.run_for(1)
        raise AssertionError("the master was not told to hand over")


@pytest.mark.parametrize("seed", range(10))
def test_nothing_acknowledged_is_lost(seed: int) -> None:
    """And writers are kept waiting for the time of two copies and some round trips."""
    scene = Scene(seed)
    scene.order()
    scene.check_nothing_lost()

    record = scene.cluster.view(scene.leader).history[-1]
    assert scene.cluster.master is not scene.old
    assert (record.cause, record.result) == (Cause.COORDINATED, Result.COMPLETED)
    assert record.pause_ms is not None
    assert 0 < record.pause_ms < 200
    assert record.votes >= 2
    assert record.estimated_lost_bytes in (0, None)
    assert "+coordinated-pause" in scene.events()
    assert "+sdown" not in scene.events()


def test_the_new_master_is_one_after_a_restart() -> None:
    """FAILOVER writes no file, and the node's still says whom it followed."""
    scene = Scene(1)
    scene.order()
    assert scene.cluster.run_until_agreed(10_000), scene.cluster.disagreement()
    new = scene.cluster.master
    new.crash()
    new.restart()
    scene.cluster.run_for(5_000)

    assert scene.cluster.master is new
    assert new.master is None


@pytest.mark.parametrize("step", range(60))
def test_the_leader_may_die_at_any_step(step: int) -> None:
    """Before each of the actions from the order on. It stays away for long."""
    scene = Scene(step % 7)
    scene.leader.traps.append(Trap("any", step, 30_000))
    scene.order()
    scene.cluster.run_for(12_000)
    others = scene.cluster.sentinels[1:]
    addresses = {scene.cluster.view(other).address for other in others}
    masters = [node for node in scene.cluster.nodes if node.master is None]

    assert [node.address for node in masters] == [*addresses]
    assert all(node.handover is None for node in scene.cluster.nodes)
    scene.check_nothing_lost()


@pytest.mark.parametrize("delay_ms", range(0, 60, 4))
def test_the_target_may_die_at_any_time(delay_ms: int) -> None:
    """The master stays, or another takes over: it comes back or not, nothing is lost."""
    scene = Scene(delay_ms % 5)
    scene.order()
    handover = scene.handing_over().handover
    assert handover is not None
    target = scene.cluster.node_at(handover.target)
    scene.cluster.run_for(delay_ms)
    target.crash()
    was_promoted = target.master is None
    scene.cluster.run_for(9_000)

    assert all(node.handover is None for node in scene.cluster.nodes)
    target.restart()
    if not was_promoted:
        scene.check_nothing_lost()
    else:
        assert scene.cluster.run_until_agreed(40_000), scene.cluster.disagreement()


@pytest.mark.parametrize("delay_ms", range(0, 60, 4))
@pytest.mark.parametrize("nodes", [2, 3])
def test_leader_and_target_may_die_together(delay_ms: int, nodes: int) -> None:
    """Nobody is left who knows: the other sentinels find a master that waits, and free it."""
    scene = Scene(delay_ms % 5, Shape(nodes=nodes))
    scene.order()
    handover = scene.handing_over().handover
    assert handover is not None
    target = scene.cluster.node_at(handover.target)
    scene.cluster.run_for(delay_ms)
    scene.leader.crash()
    target.crash()
    if target.master is None:
        return  # it was a master, and may have acknowledged what nobody else has
    scene.cluster.run_for(9_000)

    assert all(node.handover is None for node in scene.cluster.nodes)
    assert any(node.master is None for node in scene.cluster.nodes if node is not target)
    scene.leader.restart()
    target.restart()
    scene.check_nothing_lost()


@pytest.mark.parametrize("delay_ms", range(0, 60, 4))
def test_the_master_may_die_at_any_time(delay_ms: int) -> None:
    """What it acknowledged before the pause, every replica gets during it or not, as ever; the
    failover itself goes on.
    """
    scene = Scene(delay_ms % 5)
    scene.order()
    scene.handing_over()
    scene.cluster.run_for(delay_ms)
    scene.old.crash()
    scene.cluster.run_for(4_000)

    assert scene.cluster.master is not scene.old
    assert scene.cluster.master.master is None
    scene.old.restart()
    assert scene.cluster.run_until_agreed(30_000), scene.cluster.disagreement()


@pytest.mark.parametrize("seed", range(8))
def test_a_target_that_cannot_catch_up_lets_the_master_stay(seed: int) -> None:
    """Writers wait until the limit and go on at the same master; the sentinels say why."""
    scene = Scene(seed)
    for node in scene.cluster.nodes:
        node.lag_us = 20_000_000 if node is not scene.old else node.lag_us
    scene.cluster.run_for(100)
    scene.order()
    scene.handing_over()
    scene.cluster.run_for(6_000)

    assert "-failover-abort-master-timeout" in scene.events()
    assert scene.old.handover is None
    assert scene.cluster.master is scene.old
    assert scene.cluster.view(scene.leader).failover.state is FailoverState.NONE
    for other in scene.cluster.sentinels:
        assert "+sdown" not in scene.cluster.events(other)


@pytest.mark.parametrize("is_old", [False, True])
def test_a_master_that_refuses_stays_as_it_is(is_old: bool) -> None:
    """No permission, or a node from before FAILOVER: said at once, and nobody waits."""
    scene = Scene(3)
    scene.old.refuses_handover = True
    scene.old.is_old = is_old
    scene.order()
    scene.cluster.run_for(500)

    assert "-failover-abort-master-refused" in scene.events()
    assert scene.old.handover is None
    scene.check_nothing_lost()
    assert scene.cluster.master is scene.old


@pytest.mark.parametrize("seed", range(6))
def test_without_a_majority_nobody_is_told_anything(seed: int) -> None:
    """An order is no licence: the election comes first."""
    scene = Scene(seed)
    for other in scene.cluster.sentinels[1:]:
        other.crash()
    scene.order()
    scene.cluster.run_for(4_000)

    assert "-failover-abort-not-elected" in scene.events()
    assert scene.old.handover is None
    assert scene.old.master is None


def test_an_order_whose_election_is_split_is_carried_out_all_the_same() -> None:
    """Two operators at two of four sentinels: votes may go two and two, and both were told OK."""
    splits = 0
    for seed in range(20):
        scene = Scene(seed, Shape(nodes=3, sentinels=4, quorum=2))
        scene.order()
        scene.order(scene.cluster.sentinels[1])
        scene.check_nothing_lost()

        trace = scene.cluster.world.trace
        stood = [float(line.split()[0]) for line in trace if "+try-failover" in line]
        switched = [float(line.split()[0]) for line in trace if "+promoted-slave" in line]
        splits += len(stood) > 2
        assert scene.cluster.master is not scene.old
        assert len(switched) == 1
        assert switched[0] - stood[0] < 2_000
    assert splits >= 2


@pytest.mark.parametrize("seed", range(10))
def test_a_leader_cut_off_in_the_middle_changes_nothing(seed: int) -> None:
    """The nodes finish by themselves, the others find out, and the leader follows in the end."""
    scene = Scene(seed)
    scene.order()
    scene.handing_over()
    for process in scene.cluster.world.processes.values():
        if process is not scene.leader and process.life is Life.RUNNING:
            scene.cluster.world.cut(scene.leader.address, process.address)
            scene.cluster.world.cut(process.address, scene.leader.address)
    scene.cluster.run_for(8_000)
    other = scene.cluster.sentinels[1]
    assert scene.cluster.node_at(scene.cluster.view(other).address).master is None
    scene.cluster.world.heal()

    scene.check_nothing_lost()


@pytest.mark.parametrize("down_after_ms", [200, 1_000])
def test_a_pause_longer_than_down_after_is_no_death(down_after_ms: int) -> None:
    """Hello messages would wait with the writers, and the PINGs behind them."""
    scene = Scene(2, Shape(nodes=3, down_after_ms=down_after_ms))
    for node in scene.cluster.nodes:
        node.lag_us = 1_500_000 if node is not scene.old else node.lag_us
    scene.cluster.run_for(2_000)
    scene.order()
    scene.handing_over()
    scene.cluster.run_for(4_500)

    for sentinel in scene.cluster.sentinels:
        assert "+sdown" not in scene.cluster.events(sentinel)
    scene.check_nothing_lost()
