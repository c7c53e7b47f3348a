"""What operators order is done, saved, and answered when that is over."""

from __future__ import annotations

from dataclasses import replace

import pytest

from sentinel.core import admin
from sentinel.core.events import (
    Event,
    FailoverRequested,
    GlobalOptionsRequested,
    MonitorRequested,
    OptionsRequested,
    RemoveRequested,
    RequestId,
    ResetRequested,
    SaveRequested,
)
from sentinel.core.options import GlobalOptions
from tests.unit.sentinel.core.rig import (
    MASTER,
    NAME,
    OPTIONS,
    PEER_A,
    PEER_ADDRESSES,
    PEER_B,
    REPLICA_1,
    REPLICA_2,
    Rig,
)
from vedette.resp.replies import OK, ErrorReply
from vedette.types import Address

OTHER = Address("10.0.9.1", 6379)
R = RequestId(500)


def ordered(rig: Rig, event: Event) -> object:
    """The answer to an order, or "unanswered"."""
    rig.forget()
    rig.step(event)
    return rig.answers.get(R, "unanswered")


def test_monitor_adds_saves_announces_and_connects() -> None:
    """In force at once."""
    rig = Rig()
    assert ordered(rig, MonitorRequested(rig.now_ms, R, "other", OTHER, 3)) == OK
    assert rig.lines() == ["+monitor master other 10.0.9.1 6379 quorum 3"]
    assert [record.name for record in rig.disk.masters] == [NAME, "other"]
    assert OTHER in {connect.address for connect in rig.connects}


def test_master_watched_anew_gets_no_second_vote_in_an_epoch() -> None:
    """REMOVE takes the record of our vote along; the epoch that it was given in stays."""
    rig = Rig()
    assert rig.ask_vote(PEER_A, 7) == [0, PEER_A.encode(), 7]
    rig.step(RemoveRequested(rig.now_ms, R, NAME))
    rig.step(MonitorRequested(rig.now_ms, RequestId(501), NAME, MASTER, 2))

    assert rig.ask_vote(PEER_B, 7) == [0, b"*", 7]
    assert rig.ask_vote(PEER_B, 8) == [0, PEER_B.encode(), 8]


def test_monitor_of_a_known_name_is_refused() -> None:
    """With Redis' text."""
    rig = Rig()
    assert ordered(rig, MonitorRequested(rig.now_ms, R, NAME, OTHER, 3)) == admin.DUPLICATE_NAME


def test_remove_forgets_everything() -> None:
    """No timer, link or fellow is left behind, and time may pass."""
    rig = Rig()
    assert ordered(rig, RemoveRequested(rig.now_ms, R, NAME)) == OK
    assert rig.lines() == ["-monitor master mymaster 10.0.0.1 6379"]
    assert rig.disk.masters == ()
    assert rig.core.state.peer_links == {}
    rig.forget()
    rig.advance(60_000)
    assert rig.sent == []
    assert rig.connects == []
    assert rig.core.next_wakeup_ms is None


def test_reset_finds_everything_again() -> None:
    """Replicas through INFO, fellows through their hello; the vote and the epochs stay."""
    rig = Rig()
    rig.ask_vote(PEER_A, 4)
    assert ordered(rig, ResetRequested(rig.now_ms, R, (NAME, "unknown"))) == 1
    assert rig.lines()[0] == "+reset-master master mymaster 10.0.0.1 6379"
    assert rig.master.peers == {}
    assert set(rig.master.replicas) == {REPLICA_1, REPLICA_2}, "the master lists them"
    assert rig.master.vote.leader_epoch == 4
    rig.hello(PEER_A)
    assert set(rig.master.peers) == {PEER_A}


def test_set_is_announced_option_by_option() -> None:
    """And running clocks go by the new values."""
    rig = Rig()
    rig.advance(500)
    rig.kill(MASTER)
    rig.advance(600)
    options = replace(OPTIONS, down_after_ms=500, quorum=3)
    applied = ((b"down-after-milliseconds", b"500"), (b"quorum", b"3"))
    assert ordered(rig, OptionsRequested(rig.now_ms, R, NAME, options, applied)) == OK
    assert rig.lines() == [
        "+set master mymaster 10.0.0.1 6379 down-after-milliseconds 500",
        "+set master mymaster 10.0.0.1 6379 quorum 3",
        "+sdown master mymaster 10.0.0.1 6379",
    ]
    assert rig.disk.masters[0].options == options


def test_set_that_fails_half_way_keeps_what_came_before() -> None:
    """As Redis does, and the client is told why."""
    rig = Rig()
    options = replace(OPTIONS, quorum=1)
    event = OptionsRequested(rig.now_ms, R, NAME, options, ((b"quorum", b"1"),), b"ERR no")
    assert ordered(rig, event) == ErrorReply(b"ERR no")
    assert rig.master.options.quorum == 1
    assert rig.disk.masters[0].options.quorum == 1


def test_new_password_means_new_connections() -> None:
    """To the nodes for auth-pass, to the fellows for sentinel-pass."""
    rig = Rig()
    options = replace(OPTIONS, auth_pass=b"secret")
    ordered(rig, OptionsRequested(rig.now_ms, R, NAME, options, ((b"auth-pass", b"***"),)))
    rig.advance(100)
    assert b"AUTH secret" in rig.commands_to(MASTER)
    assert b"AUTH secret" in rig.commands_to(REPLICA_1)
    assert b"AUTH secret" not in rig.commands_to(PEER_ADDRESSES[PEER_A])

    rig.forget()
    globals_ = GlobalOptions(announce_port=1, sentinel_user=b"u", sentinel_pass=b"p")
    rig.answers.clear()
    assert ordered(rig, GlobalOptionsRequested(rig.now_ms, R, globals_)) == OK
    rig.advance(100)
    assert b"AUTH u p" in rig.commands_to(PEER_ADDRESSES[PEER_A])
    assert rig.commands_to(MASTER).count(b"AUTH u p") == 0


def test_failover_order_is_refused_where_redis_refuses_it() -> None:
    """Unknown name, already running, nobody to promote."""
    rig = Rig()
    rig.advance(100)
    assert ordered(rig, FailoverRequested(rig.now_ms, R, "unknown")) == admin.NO_SUCH_MASTER
    rig.answers.clear()
    rig.holds_saves = True
    assert ordered(rig, FailoverRequested(rig.now_ms, R, NAME)) == "unanswered"
    other = RequestId(501)
    rig.step(FailoverRequested(rig.now_ms, other, NAME))
    assert rig.answers[other] == admin.IN_PROGRESS
    rig.save_held()
    assert rig.answers[R] == OK

    lonely = Rig()
    lonely.kill(REPLICA_1)
    lonely.kill(REPLICA_2)
    assert ordered(lonely, FailoverRequested(lonely.now_ms, R, NAME)) == admin.NO_GOOD_REPLICA


@pytest.mark.parametrize(
    "make",
    [
        lambda now: MonitorRequested(now, R, "other", OTHER, 3),
        lambda now: RemoveRequested(now, R, NAME),
        lambda now: SaveRequested(now, R),
        lambda now: FailoverRequested(now, R, NAME),
        lambda now: GlobalOptionsRequested(now, R, GlobalOptions(announce_port=1)),
    ],
)
def test_client_is_told_when_the_save_fails(make: object) -> None:
    """With Redis' text."""
    rig = Rig()
    rig.advance(100)
    rig.is_disk_broken = True
    assert callable(make)
    assert ordered(rig, make(rig.now_ms)) == admin.SAVE_FAILED


@pytest.mark.parametrize("kind", [RemoveRequested, FailoverRequested])
def test_unknown_name_is_refused(kind: type[RemoveRequested]) -> None:
    """With Redis' text."""
    rig = Rig()
    assert ordered(rig, kind(rig.now_ms, R, "unknown")) == admin.NO_SUCH_MASTER


def test_failing_saves_are_announced_once_and_so_is_their_end() -> None:
    """An operator has to act; the sentinel tries again by itself every second."""
    rig = Rig()
    rig.is_disk_broken = True
    rig.ask_vote(PEER_A, 1)
    rig.advance(3_000)
    rig.is_disk_broken = False
    rig.advance(2_000)

    about_saves = [
        (notice.event, notice.payload) for notice in rig.notices if b"save-failed" in notice.event
    ]
    assert about_saves == [
        (b"+save-failed", b"disk full"),
        (b"-save-failed", b"the state is saved again"),
    ]
