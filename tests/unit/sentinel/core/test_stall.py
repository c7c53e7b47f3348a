"""Time in which the sentinel itself did not run proves nothing about others."""

from __future__ import annotations

from dataclasses import replace

import pytest

from sentinel.core.history import Defeat
from sentinel.core.model import FailoverState, Role
from sentinel.core.timing import FRESH_PROBE_MS, STALL_ABORT_MS, STALL_MS
from tests.unit.sentinel.core.rig import (
    MASTER,
    OPTIONS,
    PEER_A,
    PEER_ADDRESSES,
    PEER_B,
    REPLICA_1,
    Rig,
    durable,
    master_info,
    run_id_of,
)
from tests.unit.sentinel.core.test_reconfiguration import FOLLOWERS, promoted
from vedette.types import Address


def test_stall_does_not_make_a_master_down() -> None:
    """The reply to the last PING may be lying in the socket. Only what had passed before counts,
    give or take the time to the next timer."""
    rig = Rig()
    rig.advance(1_000)
    rig.silent.add(MASTER)
    rig.advance(300)
    rig.forget()
    rig.stall(1_900)
    assert rig.events() == []
    rig.advance(400)
    assert rig.events() == []
    rig.advance(500)
    assert rig.events() == ["+sdown"]


def test_long_stall_is_announced_and_soon_over() -> None:
    """Redis stands still for 30 s."""
    rig = Rig()
    rig.advance(1_000)
    rig.forget()
    rig.stall(2_100)
    assert rig.lines() == ["+tilt #tilt mode entered"]
    assert rig.core.state.tilt_since_ms is not None
    rig.advance(1_000)

    assert rig.lines() == ["+tilt #tilt mode entered", "-tilt #tilt mode exited"]
    assert rig.core.state.tilt_since_ms is None
    assert rig.core.state.tilt_count == 1


def test_in_tilt_nobody_is_called_down() -> None:
    """The answer to fellows is no, whatever was believed before."""
    rig = Rig()
    rig.advance(1_000)
    rig.kill(MASTER)
    rig.advance(1_000)
    assert rig.ask_vote(None, 0) == [1, b"*", 0]
    rig.stall(2_500)
    assert rig.ask_vote(None, 0) == [0, b"*", 0]


def test_votes_are_given_in_tilt() -> None:
    """They need no clock."""
    rig = Rig()
    rig.stall(2_500)
    assert rig.ask_vote(PEER_A, 3) == [0, PEER_A.encode(), 3]


def test_election_across_a_stall_is_given_up() -> None:
    """The others have had their own since; the answers in the sockets are of the past."""
    rig = Rig()
    rig.advance(1_000)
    rig.opinion[PEER_ADDRESSES[PEER_A]] = lambda command: [1, b"*", 0]
    rig.silent.add(PEER_ADDRESSES[PEER_B])
    rig.kill(MASTER)
    while not rig.is_in(FailoverState.WAIT_START):
        rig.advance(1)
    rig.forget()
    rig.stall(1_500)

    assert rig.events()[0] == "-failover-abort-not-elected"
    assert rig.master.history[-1].defeat is Defeat.STALLED
    assert rig.is_in(FailoverState.NONE)


def test_candidacy_that_fell_due_in_a_stall_is_not_stood_for() -> None:
    """What the master was held down for has just become void: the fresh probe decides."""
    rig = Rig()
    rig.advance(1_000)
    rig.silent.add(MASTER)
    for address in PEER_ADDRESSES.values():
        rig.opinion[address] = lambda command: [1, b"*", 0]
    rig.master.failover.not_before_ms = rig.now_ms + 1_500
    rig.advance(1_300)
    assert "+odown" in rig.events()
    rig.forget()

    rig.stall(STALL_ABORT_MS - 200)
    begun_at_once = rig.events()
    rig.advance(2 * FRESH_PROBE_MS)

    assert begun_at_once == []
    assert "+try-failover" in rig.events()


def test_lateness_of_a_busy_loop_is_no_stall() -> None:
    """A few milliseconds are life."""
    rig = Rig()
    rig.advance(1_000)
    rig.silent.add(MASTER)
    rig.forget()
    begun_ms = rig.now_ms
    while not rig.notices:
        next_ms = rig.core.next_wakeup_ms
        assert next_ms is not None
        rig.stall(next_ms - rig.now_ms + 20)

    assert rig.now_ms - begun_ms < 1_200


def test_after_a_stall_a_fresh_probe_decides() -> None:
    """However little of down-after was left: the answer gets the time that it needs."""
    rig = Rig()
    rig.advance(1_000)
    rig.silent.add(MASTER)
    rig.advance(950)
    rig.forget()
    rig.stall(1_500)
    rig.advance(60)
    assert rig.events() == []

    rig.revive(MASTER)
    rig.break_links(MASTER)
    rig.advance(2_000)

    assert "+sdown" not in rig.events()


def test_dead_master_is_called_down_soon_after_a_stall() -> None:
    """Nobody waits for 30 s, nor for a whole down-after."""
    rig = Rig()
    rig.advance(1_000)
    rig.silent.add(MASTER)
    rig.advance(880)
    rig.stall(2_500)
    rig.forget()
    rig.advance(400)

    assert "+sdown" in rig.events()


@pytest.mark.parametrize("dead", [MASTER, REPLICA_1])
@pytest.mark.parametrize("late_ms", [2 * STALL_MS, STALL_ABORT_MS, 1_900])
def test_who_was_down_before_a_stall_stays_down(dead: Address, late_ms: int) -> None:
    """Nobody has seen it up again: neither the events nor the quorum may say so."""
    rig = Rig()
    rig.advance(1_000)
    rig.kill(dead)
    rig.advance(3_000)
    rig.forget()
    rig.stall(late_ms)
    rig.advance(1_000)

    assert [event for event in rig.events() if event in {"+sdown", "-sdown"}] == []


def test_who_was_down_before_a_stall_and_answers_is_not_failed_over() -> None:
    """What fellows say at once, of the past like our own belief, moves nobody to stand: the fresh
    probe decides."""
    rig = Rig()
    rig.advance(1_000)
    rig.silent.add(MASTER)
    rig.advance(2_000)
    for address in PEER_ADDRESSES.values():
        rig.opinion[address] = lambda command: [1, b"*", 0]
    rig.forget()
    rig.stall(STALL_ABORT_MS)
    rig.advance(FRESH_PROBE_MS - 10)
    begun_at_once = rig.events()
    rig.revive(MASTER)
    rig.break_links(MASTER)
    rig.advance(1_000)

    assert "+odown" in begun_at_once
    assert "+try-failover" not in begun_at_once
    assert "+try-failover" not in rig.events()
    assert "-sdown" in rig.events()


def test_stall_shorter_than_usual_counts_where_down_after_is_short() -> None:
    """With 100 ms, 90 ms of our own would be most of a death."""
    rig = Rig(durable(options=replace(OPTIONS, down_after_ms=100)))
    rig.advance(1_000)
    rig.silent.add(MASTER)
    rig.advance(60)
    rig.forget()
    rig.stall(90)
    rig.advance(30)

    assert "+sdown" not in rig.events()


def test_what_fellows_thought_before_a_stall_is_asked_again() -> None:
    """The master may be well by now, and they know it."""
    rig = Rig()
    rig.agree_down()
    rig.advance(1_000)
    # Our turn to stand comes while we do not run.
    rig.master.failover.not_before_ms = rig.now_ms + 2_000
    rig.kill(MASTER)
    while "+odown" not in rig.events():
        rig.advance(1)
    rig.opinion.clear()
    rig.forget()
    rig.stall(1_900)
    rig.advance(5_000)

    assert "-odown" in rig.events()
    assert "+try-failover" not in rig.events()


def test_patience_with_a_stray_does_not_run_out_in_a_stall() -> None:
    """It may have been promoted by a failover that we have slept through: the news are coming."""
    rig = Rig()
    rig.advance(1_000)
    rig.info[REPLICA_1] = master_info(run_id=run_id_of(REPLICA_1))
    rig.break_links(REPLICA_1)
    rig.advance(2_000)
    assert rig.master.replicas[REPLICA_1].role_reported is Role.MASTER
    rig.forget()
    rig.stall(20_000)
    rig.advance(3_000)

    assert "+convert-to-slave" not in rig.events()
    rig.advance(8_000)
    assert "+convert-to-slave" in rig.events()


def test_reconfiguration_across_a_stall_is_given_up() -> None:
    """A newer configuration may have come since; our orders would be against it."""
    rig = promoted(parallel_syncs=1)
    assert rig.is_in(FailoverState.RECONF_SLAVES)
    rig.forget()
    rig.stall(1_500)

    assert "+failover-end-for-timeout" in rig.events()
    assert not any(
        line.startswith(b"SLAVEOF") for target in FOLLOWERS for line in rig.commands_to(target)
    )


def test_refusals_before_a_stall_prove_nothing_after_it() -> None:
    """The master may have been back all the while; the row of refusals begins anew."""
    options = replace(OPTIONS, down_after_ms=30_000, refused_after_ms=1_000)
    rig = Rig(durable(options=options))
    rig.advance(1_000)
    rig.kill(MASTER)
    rig.advance(300)
    rig.forget()
    rig.stall(1_500)
    rig.advance(800)
    assert "+sdown" not in rig.events()
    rig.advance(400)

    assert "+sdown" in rig.events()
