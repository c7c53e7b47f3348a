"""Connections: what is said first, how they come back, and what a stale event may do."""

from __future__ import annotations

from dataclasses import replace

import pytest

from sentinel.core.events import (
    LinkDown,
    LinkLoss,
    LinkUp,
    MessageReceived,
    OptionsRequested,
    RepliesReceived,
    Started,
)
from sentinel.core.link_state import LinkId, LinkKind
from sentinel.core.timing import reconnect_delay_ms
from tests.unit.sentinel.core.rig import (
    MASTER,
    NAME,
    OPTIONS,
    PEER_A,
    PEER_ADDRESSES,
    REPLICA_1,
    REPLICA_2,
    Rig,
    durable,
    error,
)


def first_commands(rig: Rig, kind: LinkKind, address: object) -> list[bytes]:
    """What a connection began with."""
    sent = [
        b" ".join(command) for target, of, command in rig.sent if (target, of) == (address, kind)
    ]
    return sent[:4]


def test_nodes_are_greeted_as_redis_does() -> None:
    """A name to be found in CLIENT LIST, then the probes."""
    rig = Rig()
    assert first_commands(rig, LinkKind.COMMAND, MASTER)[:3] == [
        b"CLIENT SETNAME sentinel-00000000-cmd",
        b"PING",
        b"INFO",
    ]
    assert first_commands(rig, LinkKind.PUBSUB, MASTER) == [
        b"CLIENT SETNAME sentinel-00000000-pubsub",
        b"SUBSCRIBE __sentinel__:hello",
    ]
    assert first_commands(rig, LinkKind.PEER, PEER_ADDRESSES[PEER_A])[0] == (
        b"CLIENT SETNAME sentinel-00000000-cmd"
    )


@pytest.mark.parametrize(
    ("user", "expected"), [(None, b"AUTH pass"), (b"watcher", b"AUTH watcher pass")]
)
def test_password_comes_before_anything_else(user: bytes | None, expected: bytes) -> None:
    """On both connections to a node."""
    rig = Rig(durable(options=replace(OPTIONS, auth_user=user, auth_pass=b"pass")))
    assert first_commands(rig, LinkKind.COMMAND, MASTER)[0] == expected
    assert first_commands(rig, LinkKind.PUBSUB, MASTER)[0] == expected


def test_renamed_commands_are_sent_under_their_names() -> None:
    """To nodes, not to fellows."""
    renamed = {b"PING": b"GNIP", b"PUBLISH": b"P2"}
    rig = Rig(durable(options=replace(OPTIONS, renamed_commands=renamed)))
    assert b"GNIP" in rig.commands_to(MASTER)
    assert b"PING" not in rig.commands_to(MASTER)
    assert b"PING" in rig.commands_to(PEER_ADDRESSES[PEER_A])


def test_reconnection_is_quick_at_first_and_never_stops() -> None:
    """At once, then every 50 ms, later twice a second."""
    assert reconnect_delay_ms(0) == 0
    assert reconnect_delay_ms(1) == 50
    delays = [reconnect_delay_ms(attempt) for attempt in range(500)]
    assert delays == sorted(delays)
    assert delays[-1] == 500


def test_lost_link_is_made_again_at_once() -> None:
    """The first attempt follows the loss without a pause."""
    rig = Rig()
    rig.advance(1_000)
    rig.forget()
    rig.break_links(MASTER)
    rig.advance(1)
    assert {connect.kind for connect in rig.connects} == {LinkKind.COMMAND, LinkKind.PUBSUB}


def test_link_that_breaks_after_each_connect_is_no_busy_loop() -> None:
    """A node at maxclients accepts and closes."""
    rig = Rig()
    rig.advance(1_000)
    rig.forget()
    rig.silent.add(MASTER)
    for _ in range(10):
        rig.break_links(MASTER)
        rig.advance(49)
    commands = [entry for entry in rig.connects if entry.kind is LinkKind.COMMAND]
    assert len(commands) <= 11


def test_dead_node_costs_one_attempt_at_a_time() -> None:
    """The pub/sub link waits for the command link."""
    rig = Rig()
    rig.kill(REPLICA_1)
    rig.forget()
    rig.advance(1_000)
    assert {entry.kind for entry in rig.connects if entry.address == REPLICA_1} == {
        LinkKind.COMMAND
    }


def test_events_of_forgotten_links_change_nothing() -> None:
    """They may have been on their way when the link was given up."""
    rig = Rig()
    rig.forget()
    ghost = LinkId(9_999)
    rig.step(LinkUp(rig.now_ms, ghost, "10.0.0.9"))
    rig.step(RepliesReceived(rig.now_ms, ghost, 1, (b"PONG",)))
    rig.step(MessageReceived(rig.now_ms, ghost, b"x"))
    rig.step(LinkDown(rig.now_ms, ghost, LinkLoss.EOF))
    assert rig.sent == []
    assert rig.notices == []


def test_silent_hello_channel_is_replaced() -> None:
    """Our own hello comes back over it every two seconds; the bench sends none. Redis, too, leaves
    a connection 15 s before it judges."""
    rig = Rig()
    rig.forget()
    rig.advance(14_900)
    assert rig.connects == []
    rig.advance(200)
    assert [entry.address for entry in rig.connects if entry.kind is LinkKind.PUBSUB].count(
        MASTER
    ) == 1


def test_requests_to_a_stopped_node_do_not_pile_up() -> None:
    """Each kind waits for its own reply."""
    rig = Rig()
    rig.advance(1_000)
    rig.silent.add(MASTER)
    rig.forget()
    rig.advance(10_000)
    assert len(rig.commands_to(MASTER)) < 10
    assert rig.core.state.masters[NAME].node.link.pending_count < 10


def test_hello_channel_that_is_refused_is_no_link() -> None:
    """With a wrong password the node shows as disconnected, and it is tried once a second."""
    rig = Rig(is_started=False)
    rig.subscribe_error[MASTER] = error("NOAUTH Authentication required.")
    rig.step(Started(rig.now_ms))
    rig.advance(10)
    assert not rig.master.node.is_connected
    rig.forget()
    rig.advance(10_000)
    attempts = [each for each in rig.connects if each.address == MASTER]
    assert 19 <= len(attempts) <= 21
    assert {each.kind for each in attempts} == {LinkKind.PUBSUB}
    rig.subscribe_error.clear()
    rig.advance(1_100)

    assert rig.master.node.is_connected


def test_new_password_is_tried_at_once() -> None:
    """Whatever the pace was that the old one had led to."""
    rig = Rig(is_started=False)
    rig.subscribe_error[MASTER] = error("NOAUTH Authentication required.")
    rig.step(Started(rig.now_ms))
    rig.advance(10)
    rig.subscribe_error.clear()
    options = replace(OPTIONS, auth_pass=b"pass")
    rig.step(
        OptionsRequested(rig.now_ms, rig.new_request(), NAME, options, ((b"auth-pass", b"***"),))
    )
    rig.advance(10)

    assert rig.master.node.is_connected


def test_whatever_is_sent_to_a_node_goes_by_the_name_it_knows() -> None:
    """One command that is forgotten here fails a failover on nodes that hide it."""
    words = b"AUTH CLIENT SUBSCRIBE PING INFO PUBLISH MULTI SLAVEOF CONFIG EXEC SCRIPT".split()
    options = replace(
        OPTIONS, auth_pass=b"x", renamed_commands={word: b"X-" + word for word in words}
    )
    rig = Rig(durable(options=options))
    rig.pong[REPLICA_2] = error("BUSY script")
    rig.agree_down()
    rig.advance(3_000)
    rig.kill(MASTER)
    rig.advance(3_000)

    peers = set(PEER_ADDRESSES.values())
    said = {command[0] for address, _, command in rig.sent if address not in peers}
    assert said == {b"X-" + word for word in words}
