"""How soon a failover happens, and how soon it is tried again when something goes wrong in it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise

import pytest

from sentinel.core import election
from sentinel.core.events import OptionsRequested, RequestId, TimePassed
from sentinel.core.model import FailoverState
from tests.sim.cluster import NAME, Cluster
from tests.sim.network import Life
from tests.sim.plan import Shape
from tests.sim.sentinels import SimSentinel


def started(seed: int, shape: Shape | None = None, refused_after_ms: int = 0) -> Cluster:
    """A cluster whose sentinels all know one another."""
    cluster = Cluster(seed, shape or Shape())
    for sentinel in cluster.sentinels:
        options = replace(cluster.view(sentinel).options, refused_after_ms=refused_after_ms)
        event = OptionsRequested(sentinel.clock_ms(), RequestId(9_999), NAME, options, ())
        sentinel.step(event)
    cluster.start_up()
    return cluster


def wait_until(
    cluster: Cluster, condition: Callable[[Cluster], bool], limit_ms: int = 20_000
) -> int:
    """Let time pass until `condition`; return how many milliseconds that took."""
    begun_ms = cluster.world.now_ms
    while not condition(cluster):
        cluster.run_for(1)
        assert cluster.world.now_ms - begun_ms < limit_ms, "it never happened"
    return cluster.world.now_ms - begun_ms


def has_failed_over(cluster: Cluster) -> bool:
    """Whether there was one promotion."""
    return cluster.judge.failovers == 1


def is_announced(cluster: Cluster) -> bool:
    """Whether any sentinel names another master than the one it started with."""
    return any(cluster.view(s).address != cluster.nodes[0].address for s in cluster.sentinels)


def is_agreed_on_another(cluster: Cluster) -> bool:
    """Whether every sentinel names another master than the one it started with."""
    return all(cluster.view(s).address != cluster.nodes[0].address for s in cluster.sentinels)


def time_of(cluster: Cluster, event: str) -> float:
    """When any sentinel first announced `event`, in milliseconds."""
    found = [float(line.split()[0]) for line in cluster.world.trace if f" {event} " in f"{line} "]
    return found[0]


def leader_in(cluster: Cluster, state: FailoverState) -> SimSentinel | None:
    """The sentinel whose failover is in this state, if there is one."""
    for sentinel in cluster.sentinels:
        if sentinel.life is Life.RUNNING and cluster.view(sentinel).failover.state is state:
            return sentinel
    return None


@pytest.mark.parametrize("fault", ["crash", "pause"])
@pytest.mark.parametrize("down_after_ms", [100, 1_000, 5_000])
def test_all_agree_within_60_ms_of_down_after(fault: str, down_after_ms: int) -> None:
    """Counted from the fault, which comes after the last answer; Redis takes 1.3 to 1.7 s more."""
    late_ms = []
    for seed in range(12):
        cluster = started(seed, Shape(down_after_ms=down_after_ms))
        cluster.run_for(1_000 + 37 * seed)
        getattr(cluster.master, fault)()
        took_ms = wait_until(cluster, is_agreed_on_another)
        late_ms.append(took_ms - down_after_ms)
        assert took_ms >= 0.9 * down_after_ms - 10, "the promise to the operator"

    assert max(late_ms) <= 60, late_ms


@pytest.mark.parametrize("fault", ["crash", "pause"])
def test_all_name_the_new_master_within_10_ms_of_each_other(fault: str) -> None:
    """With messages of up to 2 ms each way; Redis' leader itself lags by 1 to 180 s."""
    spreads_ms = []
    for seed in range(20):
        cluster = started(seed)
        cluster.run_for(1_000 + 37 * seed)
        getattr(cluster.master, fault)()
        wait_until(cluster, is_announced)
        spreads_ms.append(wait_until(cluster, is_agreed_on_another))

    assert max(spreads_ms) <= 10, spreads_ms


def test_promotion_follows_odown_within_60_ms() -> None:
    """With messages of up to 2 ms each way; those who cannot stand are not waited for."""
    took_ms = []
    for seed in range(40):
        cluster = started(seed)
        cluster.run_for(1_000 + 37 * seed)
        cluster.master.pause()
        cluster.run_for(1_300)
        took_ms.append(time_of(cluster, "+promoted-slave") - time_of(cluster, "+odown"))
    took_ms.sort()

    assert took_ms[len(took_ms) // 2] <= 20, took_ms
    assert took_ms[-1] <= 60, took_ms


@pytest.mark.parametrize("slow_ms", [40, 120])
def test_slow_disks_do_not_split_elections(slow_ms: int) -> None:
    """All three stand before any has saved its vote; the first that has is voted for by the rest.

    Else none has a majority, and so again and again: up to 13 elections, and 1.2 s.
    """
    took_ms, elections = [], []
    for seed in range(15):
        cluster = started(seed)
        for sentinel in cluster.sentinels:
            sentinel.disk.fast_us, sentinel.disk.slow_us = slow_ms * 500, slow_ms * 1_000
        cluster.run_for(1_000 + 37 * seed)
        cluster.master.pause()
        wait_until(cluster, has_failed_over)
        took_ms.append(time_of(cluster, "+promoted-slave") - time_of(cluster, "+odown"))
        elections.append(sum(" +try-failover " in line for line in cluster.world.trace))

    # One save before asking, one before voting, what is in the way of both, and little else.
    assert max(took_ms) <= 3 * slow_ms, took_ms
    assert max(elections) <= 3, elections


@pytest.mark.parametrize("seed", range(8))
def test_refused_connections_count_as_down_where_that_is_wanted(seed: int) -> None:
    """With 100 ms a kill is known to all in 250 ms, though down-after is half a minute."""
    cluster = started(seed, Shape(down_after_ms=30_000), refused_after_ms=100)
    cluster.run_for(37 * seed)
    cluster.master.crash()

    took_ms = wait_until(cluster, is_agreed_on_another)

    assert 100 <= took_ms <= 250


def test_refusal_is_no_evidence_unless_it_is_wanted() -> None:
    """It is off by default: a supervisor may be starting the process again."""
    cluster = started(1, Shape(down_after_ms=30_000))
    cluster.master.crash()

    cluster.run_for(25_000)

    assert cluster.judge.failovers == 0


def test_quick_restart_is_no_failover() -> None:
    """Refusals must last as long as was said."""
    cluster = started(2, Shape(down_after_ms=30_000), refused_after_ms=400)
    for _ in range(6):
        cluster.master.crash()
        cluster.run_for(300)
        cluster.master.restart()
        cluster.run_for(500)

    assert cluster.judge.failovers == 0


@pytest.mark.parametrize("mischief", ["reset", "cut", "pause"])
def test_only_refusals_are_crash_evidence(mischief: str) -> None:
    """Connections lost, time-outs and silence prove nothing about the process."""
    cluster = started(3, Shape(down_after_ms=30_000), refused_after_ms=100)
    master = cluster.master
    if mischief == "pause":
        master.pause()
    for _ in range(100):
        if mischief == "reset":
            for connection in list(master.connections):
                connection.reset()
        elif mischief == "cut":
            for sentinel in cluster.sentinels:
                cluster.world.cut(sentinel.address, master.address)
        cluster.run_for(100)

    assert cluster.judge.failovers == 0
    assert all(not cluster.view(entry).is_s_down for entry in cluster.sentinels)


def test_one_sentinel_that_is_refused_does_not_decide() -> None:
    """A firewall that rejects one of them is no death: the quorum says so."""
    cluster = started(4, Shape(down_after_ms=30_000), refused_after_ms=100)
    lonely = cluster.sentinels[0]
    master = cluster.master

    cluster.world.rejects.add((lonely.address, master.address))
    for connection in list(master.connections):
        if connection.client is lonely:
            connection.close_by(master)

    cluster.run_for(2_000)

    assert cluster.view(lonely).is_s_down
    assert cluster.judge.failovers == 0
    assert not cluster.view(lonely).is_o_down


@pytest.mark.parametrize("state", [FailoverState.WAIT_START, FailoverState.WAIT_PROMOTION])
@pytest.mark.parametrize("fault", ["crash", "pause"])
@pytest.mark.parametrize("seed", range(4))
def test_leader_that_is_lost_is_replaced_at_once(
    state: FailoverState, fault: str, seed: int
) -> None:
    """At whatever state it dies another stands within 300 ms; Redis' voters wait 6 minutes."""
    cluster = started(seed, Shape(delay_max_us=4_000))
    cluster.master.crash()
    begun_us = cluster.world.now_us
    while (leader := leader_in(cluster, state)) is None:
        cluster.world.run_until(cluster.world.now_us + 50)
        assert cluster.world.now_us - begun_us < 5_000_000, "it never happened"
    cluster.run_for(seed % 3)
    getattr(leader, fault)()
    if all(cluster.view(entry).config_epoch for entry in cluster.sentinels if entry is not leader):
        return  # it had told the others already
    others = [entry for entry in cluster.sentinels if entry is not leader]

    def is_tried_again(cluster: Cluster) -> bool:
        return any(
            cluster.view(entry).config_epoch > 0
            or cluster.view(entry).failover.state is not FailoverState.NONE
            for entry in others
        )

    assert wait_until(cluster, is_tried_again) <= 300
    assert wait_until(cluster, lambda c: all(c.view(entry).config_epoch > 0 for entry in others))


@pytest.mark.parametrize("seed", range(6))
def test_refused_promotion_goes_to_the_next_replica_at_once(seed: int) -> None:
    """The replies are read; an event says why the better one was passed over."""
    cluster = started(seed)
    refusing = cluster.nodes[1]
    refusing.refuses_orders = True
    refusing.priority = refusing.saved.priority = 1
    cluster.run_for(11_000)  # until INFO has told everybody that it is the favourite
    cluster.master.crash()

    wait_until(cluster, has_failed_over)

    reasons = [
        notice.payload.decode()
        for entry in cluster.sentinels
        for notice in entry.published
        if notice.event == b"-selected-slave"
    ]
    assert len(reasons) == 1
    assert reasons[0].startswith(f"slave {refusing.address} ")
    assert reasons[0].endswith(" #NOPERM this user has no permissions to run the command")
    assert time_of(cluster, "+promoted-slave") - time_of(cluster, "+odown") <= 60


def test_only_replica_that_refuses_is_asked_again_after_a_bounded_time() -> None:
    """Permissions get mended; until then nothing but events comes of it."""
    cluster = started(7, Shape(nodes=2))
    cluster.nodes[1].refuses_orders = True
    cluster.master.crash()
    cluster.run_for(8_000)
    assert cluster.judge.failovers == 0

    cluster.nodes[1].refuses_orders = False

    assert wait_until(cluster, has_failed_over, 60_000) <= 35_000


@pytest.mark.parametrize("seed", range(6))
def test_replica_that_comes_back_is_promoted_at_once(seed: int) -> None:
    """With nobody to promote all wait, but not a moment longer than there is somebody."""
    cluster = started(seed, Shape(nodes=2))
    replica = cluster.nodes[1]
    replica.crash()
    cluster.master.crash()
    cluster.run_for(15_000)
    assert cluster.judge.failovers == 0

    replica.restart()
    wait_until(cluster, lambda c: any(n.link.is_up for n in c.view(c.sentinels[0]).nodes()))

    assert wait_until(cluster, has_failed_over) <= 300


def test_split_election_is_repeated_within_300_ms() -> None:
    """Two of four stand at the same moment, and the votes may go two and two; Redis waits 6 min."""
    splits = 0
    for seed in range(40):
        cluster = started(seed, Shape(sentinels=4, quorum=2))
        cluster.judge.wants_reasons = False
        cluster.master.crash()
        wait_until(cluster, lambda c: any(c.view(s).is_s_down for s in c.sentinels[:2]))
        for sentinel in cluster.sentinels[:2]:
            if cluster.view(sentinel).failover.state is FailoverState.NONE:
                election.stand(sentinel.core._machine, cluster.view(sentinel))
                sentinel.step(TimePassed(sentinel.clock_ms()))
        wait_until(cluster, has_failed_over)
        stood = [float(line.split()[0]) for line in cluster.world.trace if "+try-failover" in line]
        retries = [later - before for before, later in pairwise(stood) if later - before > 1]
        splits += len(retries)
        assert all(pause <= 310 for pause in retries), retries

    assert splits >= 3
