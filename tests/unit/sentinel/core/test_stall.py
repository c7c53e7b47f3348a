"""Time in which the sentinel itself did not run proves nothing about others."""

from __future__ import annotations

from sentinel.core.model import FailoverState
from tests.unit.sentinel.core.rig import (
    MASTER,
    PEER_A,
    PEER_ADDRESSES,
    PEER_B,
    Rig,
)


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
    assert rig.is_in(FailoverState.NONE)


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
