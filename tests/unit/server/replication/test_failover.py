"""The decisions of FAILOVER: when a master hands over, gives up, or goes on waiting."""

from __future__ import annotations

import pytest

from server.replication.backlog import Backlog
from server.replication.events import Continued, FollowConfig, LinkFailed, LinkFailure, Position
from server.replication.failover import Abort, FailoverState, HandOver, PlannedFailover
from server.replication.feed import Feed
from server.replication.follow import TARGET_IS_MASTER, Follow, FollowState
from server.replication.replconf import ReplicaOptions
from vedette.types import Address

TARGET = Address("10.0.0.2", 6380)
OTHER = Address("10.0.0.3", 6381)
REPLID = b"a" * 40


def feed_of(address: Address, acknowledged_offset: int) -> Feed:
    """Return a replica that is online."""
    options = ReplicaOptions(listening_port=address.port)
    feed = Feed(
        feed_id=address.port, options=options, peer_host=address.host, peer_port=1, created_ms=0
    )
    feed.become_partial(Backlog(1024, start_offset=0).attach(0), 0)
    feed.acknowledged_offset = acknowledged_offset
    return feed


def begun(
    target: Address | None = TARGET, deadline_ms: int | None = 1000, *, is_forced: bool = False
) -> PlannedFailover:
    failover = PlannedFailover()
    failover.begin(target, deadline_ms, is_forced=is_forced)
    return failover


def test_the_target_is_waited_for_until_it_has_the_whole_stream() -> None:
    failover = begun()
    feeds = [feed_of(OTHER, 100), feed_of(TARGET, 99)]

    assert failover.decide(feeds, 100, 0) is None
    feeds[1].acknowledged_offset = 100
    assert failover.decide(feeds, 100, 0) == HandOver(TARGET, is_late=False)


def test_without_a_target_whoever_has_it_all_takes_over() -> None:
    feeds = [feed_of(TARGET, 99), feed_of(OTHER, 100)]

    assert begun(None).decide(feeds, 100, 0) == HandOver(OTHER, is_late=False)


def test_the_answer_to_our_request_counts_without_the_request_itself() -> None:
    """A replica names the offset before it; but if anything followed, that is missing."""
    failover = begun()
    failover.on_asked(100, 137)
    feeds = [feed_of(TARGET, 100)]

    assert failover.decide(feeds, 138, 0) is None
    assert failover.decide(feeds, 137, 0) == HandOver(TARGET, is_late=False)
    assert not failover.may_ask


def test_a_replica_in_a_full_synchronisation_is_nobody_to_hand_over_to() -> None:
    options = ReplicaOptions(listening_port=TARGET.port)
    waiting = Feed(feed_id=1, options=options, peer_host=TARGET.host, peer_port=1, created_ms=0)
    waiting.acknowledged_offset = 100

    assert begun().decide([waiting], 100, 0) is None


@pytest.mark.parametrize("is_forced", [False, True])
def test_when_the_time_is_up_only_a_forced_failover_goes_on(is_forced: bool) -> None:
    outcome = begun(is_forced=is_forced).decide([feed_of(TARGET, 1)], 100, 1000)

    if is_forced:
        assert outcome == HandOver(TARGET, is_late=True)
    else:
        assert isinstance(outcome, Abort)


def test_a_target_that_was_never_asked_is_given_up_in_time_and_no_other() -> None:
    """Once it was asked it may be a master, and to go on as one would make two."""
    failover = begun()
    failover.hand_over(TARGET)

    assert failover.decide([], 100, 999) is None
    assert isinstance(failover.decide([], 100, 1000), Abort)
    failover.is_target_asked = True
    assert failover.decide([], 100, 10_000) is None


def test_it_ends_as_if_it_had_never_been() -> None:
    failover = begun()
    failover.hand_over(TARGET)
    failover.end()

    assert failover.state is FailoverState.NONE
    assert failover.decide([feed_of(TARGET, 100)], 100, 5000) is None


# --- the link to the target ----------------------------------------------------------------------


def asking() -> Follow:
    """Return a link that has just sent PSYNC FAILOVER."""
    follow = Follow(FollowConfig(listening_port=1, is_failover=True), Position(REPLID, 100), 0)
    follow.on_connected(0)
    for reply in (b"+PONG\r\n", b"+OK\r\n", b"+OK\r\n"):
        assert follow.receive(reply, 0) == []
    assert b"PSYNC" in follow.take_output()
    assert follow.is_failover_asked
    return follow


def test_a_refused_request_ends_the_link_with_the_targets_reason() -> None:
    follow = asking()
    events = follow.receive(b"-ERR PSYNC FAILOVER replid must match my replid.\r\n", 0)

    assert [(e.failure, e.detail) for e in events if isinstance(e, LinkFailed)] == [
        (LinkFailure.FAILOVER_REFUSED, "ERR PSYNC FAILOVER replid must match my replid.")
    ]


def test_a_target_that_is_master_already_by_our_own_request_is_followed() -> None:
    """The answer to the request was lost with the connection; it is asked for our history."""
    follow = asking()
    assert follow.receive(b"-" + TARGET_IS_MASTER + b"\r\n", 0) == []

    assert follow.take_output().endswith(b"$5\r\nPSYNC\r\n$40\r\n" + REPLID + b"\r\n$3\r\n101\r\n")
    assert follow.receive(b"+CONTINUE " + b"b" * 40 + b"\r\n", 0) == [Continued(b"b" * 40)]
    assert follow.state is FollowState.STREAMING


def test_a_master_that_does_not_know_our_history_is_not_followed() -> None:
    """Its data is somebody else's: to take it would lose ours."""
    follow = asking()
    follow.receive(b"-" + TARGET_IS_MASTER + b"\r\n", 0)
    events = follow.receive(b"+FULLRESYNC " + b"b" * 40 + b" 5\r\n", 0)

    assert [type(event) for event in events] == [LinkFailed]
