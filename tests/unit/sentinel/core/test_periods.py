"""SENTINEL DEBUG's periods are in force, at once where they become shorter."""

from __future__ import annotations

from dataclasses import replace

import pytest

from sentinel.core.events import MessageReceived, MonitorRequested, PeriodsChanged
from sentinel.core.link_state import LinkKind
from sentinel.core.selection import candidates
from sentinel.core.timing import DEFAULT_PERIODS
from tests.unit.sentinel.core.rig import (
    MASTER,
    OPTIONS,
    PEER_A,
    PEER_ADDRESSES,
    REPLICA_1,
    REPLICA_2,
    Rig,
    durable,
    replica_info,
    run_id_of,
)
from vedette.types import Address


def change(rig: Rig, **periods: int) -> None:
    """Change periods as SENTINEL DEBUG does."""
    rig.step(PeriodsChanged(rig.now_ms, replace(rig.core.state.periods, **periods)))


def settled_rig(down_after_ms: int = 30_000) -> Rig:
    """Everybody is well, and nothing urgent is going on."""
    rig = Rig(durable(options=replace(OPTIONS, down_after_ms=down_after_ms)))
    rig.advance(5_000)
    rig.forget()
    return rig


def count(rig: Rig, address: Address, command: bytes) -> int:
    """How many commands beginning with `command` were sent to an address."""
    return sum(line.startswith(command) for line in rig.commands_to(address))


@pytest.mark.parametrize(
    ("period", "command", "address"),
    [
        ("info_period_ms", b"INFO", REPLICA_1),
        ("info_period_ms", b"INFO", MASTER),
        ("ping_period_ms", b"PING", MASTER),
        ("ping_period_ms", b"PING", REPLICA_1),
        ("ping_period_ms", b"PING", PEER_ADDRESSES[PEER_A]),
        ("publish_period_ms", b"PUBLISH", MASTER),
        ("publish_period_ms", b"PUBLISH", PEER_ADDRESSES[PEER_A]),
    ],
)
def test_shorter_period_begins_at_once(period: str, command: bytes, address: Address) -> None:
    """An operator who shortens it does not want to wait for the end of the longer one first."""
    rig = settled_rig()
    change(rig, **{period: 400})
    rig.advance(1_150)

    assert count(rig, address, command) in (2, 3)


@pytest.mark.parametrize(
    ("period", "command"), [("publish_period_ms", b"PUBLISH"), ("ping_period_ms", b"PING")]
)
def test_longer_period_is_kept_from_the_next_time_on(period: str, command: bytes) -> None:
    """What was planned already may still happen."""
    rig = settled_rig()
    change(rig, **{period: 12_000})
    rig.advance(10_000)

    assert count(rig, REPLICA_1, command) <= 1


def test_ask_period_paces_the_questions_once_the_quorum_agrees() -> None:
    """And an answer counts for five periods."""
    rig = Rig()
    # Nobody to promote: all that is left to do is to ask.
    rig.info[REPLICA_1] = rig.info[REPLICA_2] = replica_info(priority=0)
    rig.advance(11_000)
    rig.agree_down()
    rig.kill(MASTER)
    rig.advance(1_500)
    assert rig.master.is_o_down
    rig.forget()
    change(rig, ask_period_ms=250)
    rig.advance(1_000)
    query = b"SENTINEL is-master-down-by-addr"
    assert count(rig, PEER_ADDRESSES[PEER_A], query) in (3, 4, 5)
    rig.silent.update(PEER_ADDRESSES.values())
    rig.advance(1_200)
    assert rig.master.is_o_down
    rig.advance(300)

    assert not rig.master.is_o_down


def test_defaults_are_those_of_masters_monitored_from_now_on() -> None:
    """Those that are there keep theirs."""
    rig = settled_rig()
    change(rig, default_down_after_ms=77, default_failover_timeout_ms=88)
    request = rig.new_request()
    rig.step(MonitorRequested(rig.now_ms, request, "other", Address("10.0.9.1", 6379), 1))

    options = rig.core.state.masters["other"].options
    assert (options.down_after_ms, options.failover_timeout_ms) == (77, 88)
    assert rig.master.options.down_after_ms == 30_000


def test_tilt_begins_with_its_trigger_and_ends_with_its_period() -> None:
    """Both may be shorter than any stall that is forgiven otherwise."""
    rig = settled_rig()
    change(rig, tilt_trigger_ms=100, tilt_period_ms=5_000, info_period_ms=60_000)
    rig.advance(1_500)
    rig.forget()
    rig.stall(1_200)
    rig.advance(4_900)
    assert rig.events() == ["+tilt"]
    change(rig, tilt_period_ms=10)
    rig.advance(1)

    assert rig.events() == ["+tilt", "-tilt"]


def test_tilt_trigger_may_be_longer() -> None:
    """A stall below it passes without an event."""
    rig = settled_rig()
    change(rig, tilt_trigger_ms=60_000)
    rig.stall(30_000)

    assert "+tilt" not in rig.events()


def test_half_dead_link_is_replaced_after_the_reconnect_period() -> None:
    """The connection is old enough, and its PING overdue by half of down-after."""
    rig = settled_rig(down_after_ms=2_000)
    rig.silent.add(REPLICA_1)
    rig.advance(1_000)
    change(rig, min_link_reconnect_period_ms=100)
    rig.advance(1_100)

    assert any(connect.address == REPLICA_1 for connect in rig.connects)


def test_silent_hello_channel_is_replaced_after_three_publish_periods() -> None:
    """Our own hello ought to have come back over it."""
    rig = settled_rig()
    change(rig, publish_period_ms=200)
    rig.advance(5_000)
    assert rig.connects == []  # too young to be given up
    change(rig, min_link_reconnect_period_ms=100)
    rig.advance(1)

    assert {connect.kind for connect in rig.connects} == {LinkKind.PUBSUB}


def test_silence_while_the_sentinel_itself_stood_still_does_not_count() -> None:
    """The messages may be lying in the socket."""
    rig = settled_rig()
    change(rig, min_link_reconnect_period_ms=6_000, publish_period_ms=1_000)
    pubsub = rig.master.node.pubsub
    assert pubsub.id is not None
    rig.step(MessageReceived(rig.now_ms, pubsub.id, b"anything"))
    rig.forget()
    rig.stall(2_900)
    assert MASTER not in {connect.address for connect in rig.connects}
    rig.advance(3_000)

    assert MASTER in {connect.address for connect in rig.connects}


def test_election_ends_with_its_timeout() -> None:
    """Fellows that are silent leave it open until then."""
    rig = settled_rig(down_after_ms=1_000)
    rig.agree_down()
    change(rig, election_timeout_ms=300)
    rig.kill(MASTER)
    rig.advance(950)
    rig.silent.update(PEER_ADDRESSES.values())
    rig.opinion.clear()
    rig.master.peers[PEER_A].says_down = True
    rig.master.peers[PEER_A].says_down_ms = rig.now_ms
    while "+try-failover" not in rig.events():
        rig.advance(1)
    rig.advance(299)
    assert "-failover-abort-not-elected" not in rig.events()
    rig.advance(2)

    assert "-failover-abort-not-elected" in rig.events()


def test_replica_that_does_not_confirm_is_passed_over_after_the_reconf_timeout() -> None:
    """It goes on with the next one."""
    rig = settled_rig(down_after_ms=1_000)
    rig.agree_down()
    change(rig, slave_reconf_timeout_ms=500)
    # The second is promoted, and the other one goes on following the old master.
    rig.info[REPLICA_1] = replica_info(priority=200, run_id=run_id_of(REPLICA_1))
    rig.exec_result[REPLICA_1] = [b"OK", b"OK", 0, 0]
    rig.advance(11_000)
    rig.kill(MASTER)
    while "+slave-reconf-sent" not in rig.events():
        rig.advance(1)
    rig.advance(400)
    assert "-slave-reconf-sent-timeout" not in rig.events()
    rig.advance(400)

    assert "-slave-reconf-sent-timeout" in rig.events()


def test_candidates_must_be_as_fresh_as_the_periods_ask() -> None:
    """Three INFO periods, five PING periods."""
    rig = settled_rig()
    now_ms = rig.now_ms
    for node in rig.master.replicas.values():
        node.info_refresh_ms = now_ms - 3_100
        node.link.last_valid_pong_ms = now_ms - 600

    assert len(candidates(rig.master, now_ms, DEFAULT_PERIODS)) == 2
    assert not candidates(rig.master, now_ms, replace(DEFAULT_PERIODS, info_period_ms=1_000))
    assert not candidates(rig.master, now_ms, replace(DEFAULT_PERIODS, ping_period_ms=100))
