"""What a shutdown waits for, what ends the wait, and what calls it off."""

from __future__ import annotations

from collections.abc import Iterable

import hiredis
import pytest

from server.engine import ServerEngine
from server.engine.host import ShutdownRequest
from server.replication.feed import DropReason, Feed
from server.replication.psync import PsyncRequest
from server.runtime.stopping import Stopping
from tests.support.engine import TestEngine
from vedette.clients import Session
from vedette.resp.encode import encode_command

REFUSED = b"-ERR Errors trying to SHUTDOWN. Check logs.\r\n"


class Rig:
    """A server of one engine that can be stopped, with replicas that are as they are made."""

    def __init__(self, config: str = "") -> None:
        self.client = TestEngine(config)
        self.engine: ServerEngine = self.client.engine
        self.is_ended = False
        self.stopping = Stopping(self, self._end, lambda: self.client.now_ms)
        host = self.client.host
        host.request_shutdown = self.stopping.request  # type: ignore[method-assign]
        host.abort_shutdown = self.stopping.abort  # type: ignore[method-assign]

    def _end(self) -> None:
        self.is_ended = True

    def save(self) -> None:
        self.client.host.save()

    def abort_background_save(self) -> None:
        self.client.host.abort_background_save()

    def add_replica(self, *, is_pre_psync: bool = False) -> Feed:
        """Have a replica that has got a snapshot and nothing after it."""
        replication = self.engine.replication
        session = Session(100 + len(replication.feeds), address="10.0.0.9:1")
        request = None if is_pre_psync else PsyncRequest(b"?", -1)
        replication.synchronise(session, request, self.client.now_ms)
        feed = replication.feeds[session.id]
        replication.begin_snapshot(feed)
        feed.become_sending(size_bytes=0)
        feed.become_online(self.client.now_ms)
        return feed

    def acknowledge(self, feed: Feed, offset: int) -> None:
        data = encode_command([b"REPLCONF", b"ACK", b"%d" % offset])
        feed.receive(data, self.client.now_ms)
        self.advance()

    def advance(self, milliseconds: int = 0) -> None:
        self.client.advance(milliseconds)
        self.stopping.advance()
        self.engine.end_batch()

    def write(self) -> int:
        """Write something; return the offset at which the stream has it."""
        self.client.call("SET", "key", "value")
        return self.engine.replication.offset


def received(sessions: Iterable[Session]) -> list[bytes]:
    return [b"".join(session.outbox) for session in sessions]


def test_a_background_save_is_killed_also_where_nothing_is_saved() -> None:
    """Else its temporary file would be there for a moment after the last client was told."""
    rig = Rig()
    rig.client.call("BGSAVE")
    rig.stopping.request(ShutdownRequest(save=False))

    assert rig.client.host.asked == ["bgsave", "abort bgsave"]


@pytest.mark.parametrize("is_aborted", [False, True])
def test_a_signal_waits_while_timers_are_paused(is_aborted: bool) -> None:
    """It is a timer that carries it out; until then SHUTDOWN ABORT calls it off."""
    rig = Rig("enable-debug-command yes")
    rig.client.call("DEBUG", "PAUSE-CRON", 1)
    rig.stopping.request_by_signal(ShutdownRequest())
    rig.advance(100)
    assert not rig.is_ended
    if is_aborted:
        assert rig.client.call("SHUTDOWN", "ABORT") == b"OK"
    rig.client.call("DEBUG", "PAUSE-CRON", 0)
    rig.advance(100)

    assert rig.is_ended is not is_aborted
    if is_aborted:
        assert rig.client.call("SET", "key", "value") == b"OK"


def test_without_replicas_the_end_comes_at_once() -> None:
    """And with replicas that have acknowledged all."""
    for has_replica in (False, True):
        rig = Rig()
        if has_replica:
            feed = rig.add_replica()
            rig.acknowledge(feed, rig.write())

        rig.stopping.request(ShutdownRequest())

        assert rig.is_ended


def test_the_end_waits_for_all_replicas_and_asks_them() -> None:
    """What is asked for follows the data in the stream, and need not be acknowledged itself."""
    rig = Rig()
    first, second = rig.add_replica(), rig.add_replica()
    offset = rig.write()

    rig.stopping.request(ShutdownRequest())

    rig.engine.replication.flush_requests()
    assert rig.engine.replication.offset > offset
    rig.acknowledge(first, offset)
    rig.acknowledge(second, offset - 1)
    assert not rig.is_ended
    rig.acknowledge(second, offset)
    assert rig.is_ended


def test_a_replica_that_is_gone_is_not_waited_for() -> None:
    """Nobody could promote it with what it lacks."""
    rig = Rig()
    feed = rig.add_replica()
    rig.write()
    rig.stopping.request(ShutdownRequest())

    rig.engine.replication.drop(feed, DropReason.DISCONNECTED, rig.client.now_ms)
    rig.advance()

    assert rig.is_ended


def test_a_replica_that_cannot_acknowledge_has_what_it_was_sent() -> None:
    """Redis waits for one that sent SYNC until the timeout, which no acknowledgement can end."""
    rig = Rig()
    feed = rig.add_replica(is_pre_psync=True)
    rig.write()
    rig.stopping.request(ShutdownRequest())
    assert not rig.is_ended

    backlog = rig.engine.replication.backlog
    assert backlog is not None
    assert feed.next_output(backlog, 1 << 20)
    rig.advance()

    assert rig.is_ended


def test_the_wait_ends_with_shutdown_timeout() -> None:
    """INFO counts down to it."""
    rig = Rig("shutdown-timeout 5")
    rig.add_replica()
    rig.write()
    rig.stopping.request(ShutdownRequest())
    rig.advance(4999)
    assert not rig.is_ended
    assert b"shutdown_in_milliseconds:1\r\n" in rig.client.call("INFO", "server")

    rig.advance(1)

    assert rig.is_ended


@pytest.mark.parametrize(
    ("config", "request_"), [("", ShutdownRequest(is_now=True)), ("shutdown-timeout 0", None)]
)
def test_the_end_comes_at_once_where_that_is_wanted(
    config: str, request_: ShutdownRequest | None
) -> None:
    """SHUTDOWN NOW, or no time to wait."""
    rig = Rig(config)
    rig.add_replica()
    rig.write()

    rig.stopping.request(request_ or ShutdownRequest())

    assert rig.is_ended


def test_now_ends_a_wait_that_is_on() -> None:
    """A request without it joins the wait."""
    rig = Rig()
    rig.add_replica()
    rig.write()
    rig.stopping.request(ShutdownRequest(save=False))

    rig.stopping.request(ShutdownRequest())
    assert not rig.is_ended
    rig.stopping.request(ShutdownRequest(is_now=True))

    assert rig.is_ended


def test_clients_that_asked_wait_for_the_end_and_get_no_reply() -> None:
    """The connection ends with the server."""
    rig = Rig()
    feed = rig.add_replica()
    offset = rig.write()
    assert rig.client.raw("SHUTDOWN") == b""
    assert rig.client.session.blocked is not None

    rig.acknowledge(feed, offset)

    assert rig.is_ended
    assert received([rig.client.session]) == [b""]


def test_abort_answers_whoever_asked_and_lets_writes_go_on() -> None:
    """It finds nothing to abort where nothing waits, nor when the end is decided."""
    rig = Rig()
    rig.add_replica()
    rig.write()
    operator, writer = rig.client.connect(), rig.client.connect()
    rig.client.raw("SHUTDOWN")
    assert rig.client.raw("SET", "key", "later", session=writer) == b""

    assert rig.client.call("SHUTDOWN", "ABORT", session=operator) == b"OK"

    assert received([rig.client.session, writer]) == [REFUSED, b"+OK\r\n"]
    assert not rig.engine.shutdown.is_waiting
    rig.stopping.request(ShutdownRequest(is_now=True))
    reply = rig.client.call("SHUTDOWN", "ABORT", session=operator)
    assert isinstance(reply, hiredis.ReplyError)


def test_unblocking_who_asked_is_an_error_for_it_and_no_abort() -> None:
    """CLIENT UNBLOCK leaves the shutdown as it is."""
    rig = Rig()
    rig.add_replica()
    rig.write()
    rig.client.raw("SHUTDOWN")
    operator = rig.client.connect()

    assert rig.client.call("CLIENT", "UNBLOCK", rig.client.session.id, session=operator) == 1

    assert received([rig.client.session]) == [REFUSED]
    assert rig.engine.shutdown.is_waiting


def test_an_end_that_cannot_save_is_called_off_after_the_wait() -> None:
    """Unless it is forced. Those who asked are told, and writes go on."""
    rig = Rig()
    rig.client.host.save_error = OSError(28, "No space left on device")
    feed = rig.add_replica()
    offset = rig.write()
    rig.client.raw("SHUTDOWN", "SAVE")

    rig.acknowledge(feed, offset)

    assert not rig.is_ended
    assert received([rig.client.session]) == [REFUSED]
    rig.client.session.outbox.clear()
    assert rig.client.call("SET", "key", "again") == b"OK"
    rig.stopping.request(ShutdownRequest(save=True, is_now=True, is_forced=True))
    assert rig.is_ended
