"""Clients that read too little, send nothing for long, or are about to leave."""

from __future__ import annotations

import os

import trio
import trio.testing

from tests.support.kernel import START_MS, as_request
from tests.support.pumped import PING, PONG, serving
from tests.support.waiting import wait_until_async
from vedette.clients import ClientKind
from vedette.conf import BufferLimit
from vedette.runtime.pump import PAUSE_READING_BYTES


async def test_a_slow_reader_is_bounded_and_disturbs_nobody() -> None:
    """It asks for a hundred megabytes and reads none: no more than a few are held for it."""
    count = 1000
    values = [b"%05d" % number * 20_000 for number in range(count)]
    reply_bytes = len(b"$100000\r\n") + 100_000 + 2
    async with serving() as served:
        slow, good = await served.connect(), await served.connect()
        assert await slow.is_served()
        session = served.engine.clients.by_id(1)
        assert session is not None

        async def write_all() -> None:
            for value in values:
                await slow.stream.send_all(as_request("ECHO", value))

        async with trio.open_nursery() as nursery:
            nursery.start_soon(write_all)
            await wait_until_async(lambda: session.unsent_bytes >= PAUSE_READING_BYTES)
            for _ in range(20):
                assert await good.is_served()
                assert session.unsent_bytes < PAUSE_READING_BYTES + reply_bytes

            for value in values:  # once it reads, nothing has been lost or exchanged
                assert await slow.read(reply_bytes) == b"$100000\r\n%b\r\n" % value

        assert await slow.is_served()


async def test_a_reply_beyond_the_hard_limit_is_not_sent_even_to_who_reads() -> None:
    """Who sets the limit wants no client to have replies of that size made at all."""
    async with serving() as served:
        served.engine.settings.output_limits = {ClientKind.NORMAL: BufferLimit(100_000, 0, 0)}
        peer = await served.connect()
        small, large = b"s" * 99_000, b"l" * 100_000
        expected = b"$99000\r\n%b\r\n" % small
        assert await peer.ask(as_request("ECHO", small), len(expected)) == expected
        await peer.stream.send_all(as_request("ECHO", large))

        assert await peer.stream.receive_some() == b""
        assert not len(served.engine.clients)


async def test_a_subscriber_that_does_not_read_is_given_up() -> None:
    """Publishers must not pay for it; the others get every message."""
    async with serving() as served:
        served.engine.settings.output_limits = {ClientKind.PUBSUB: BufferLimit(1_000_000, 0, 0)}
        slow, good = await served.connect(), await served.connect()
        for peer in (slow, good):
            await peer.ask(
                as_request("SUBSCRIBE", "c"), len(b"*3\r\n$9\r\nsubscribe\r\n$1\r\nc\r\n:1\r\n")
            )
        message = b"m" * 100_000
        expected = b"*3\r\n$7\r\nmessage\r\n$1\r\nc\r\n$100000\r\n%b\r\n" % message
        for _ in range(1000):
            served.engine.pubsub.publish(b"c", message)
            served.pump.settle()
            assert await good.read(len(expected)) == expected
            if len(served.engine.clients) == 1:
                break

        [left] = served.engine.clients
        assert left.id == 2


async def test_a_subscriber_may_lag_for_a_while_only() -> None:
    """The soft limit: so many bytes for so many seconds."""
    now_ms = START_MS
    async with serving(clock_ms=lambda: now_ms) as served:
        limit = BufferLimit(0, 100_000, 60)
        served.engine.settings.output_limits = {ClientKind.PUBSUB: limit}
        slow = await served.connect()
        await slow.ask(as_request("SUBSCRIBE", "c"), 10)

        def publish() -> None:
            served.engine.begin_batch(now_ms)
            served.engine.pubsub.publish(b"c", b"m" * 100_000)
            served.pump.settle()

        session = served.session()
        while session.soft_limit_since_ms is None:
            publish()
        now_ms += 60_000
        publish()
        assert not session.is_closed

        now_ms += 1
        publish()
        assert session.is_closed


async def test_the_soft_limit_ends_also_when_nothing_is_added() -> None:
    """Else a client that never reads would be held for as long as nobody publishes anything."""
    now_ms = START_MS
    async with serving(clock_ms=lambda: now_ms) as served:
        served.engine.settings.output_limits = {ClientKind.NORMAL: BufferLimit(0, 100_000, 60)}
        slow = await served.connect()
        assert await slow.is_served()
        session = served.session()
        while session.soft_limit_since_ms is None:
            session.outbox.append(b"x" * 100_000)
            served.engine.clients.note_unsent(session)
            served.pump.settle()
        now_ms += 60_000
        served.pump.close_overdue(0)
        assert not session.is_closed

        now_ms += 1
        served.pump.close_overdue(0)
        assert session.is_closed


async def test_who_has_read_it_all_begins_anew_at_the_soft_limit() -> None:
    """The seconds over it are seconds in a row."""
    async with serving() as served:
        served.engine.settings.output_limits = {ClientKind.NORMAL: BufferLimit(0, 100_000, 60)}
        slow = await served.connect()
        assert await slow.is_served()
        session = served.session()
        count = 0
        while session.soft_limit_since_ms is None:
            session.outbox.append(b"x" * 100_000)
            served.engine.clients.note_unsent(session)
            served.pump.settle()
            count += 1
        await slow.read(count * 100_000)

        await wait_until_async(lambda: not session.backlog)
        assert session.soft_limit_since_ms is None


async def test_who_is_silent_for_too_long_is_closed() -> None:
    """But not who waits or listens: those have a reason."""
    now_ms = START_MS
    async with serving(clock_ms=lambda: now_ms) as served:
        silent, waiting, listening = [await served.connect() for _ in range(3)]
        assert await silent.is_served()
        await waiting.stream.send_all(as_request("HOLD"))
        await listening.ask(as_request("SUBSCRIBE", "c"), 10)
        await wait_until_async(lambda: list(served.engine.blocked_sessions()))
        now_ms += 5_000
        served.pump.close_overdue(5)
        served.pump.close_overdue(0)
        assert len(served.engine.clients) == 3

        now_ms += 1
        served.pump.close_overdue(5)
        assert await silent.read_all() == b""
        assert len(served.engine.clients) == 2


async def test_a_monitor_may_be_silent() -> None:
    """It has nothing to say; Redis counts it among the replicas."""
    now_ms = START_MS
    async with serving(clock_ms=lambda: now_ms) as served:
        assert await (await served.connect()).is_served()
        served.session().is_monitor = True
        now_ms += 5_001
        served.pump.close_overdue(5)

        assert len(served.engine.clients) == 1


async def test_what_was_sent_while_the_machine_stood_still_counts() -> None:
    """After a pause longer than the timeout everybody would be closed, for our own silence."""
    now_ms = START_MS
    async with serving(clock_ms=lambda: now_ms) as served:
        client = await served.connect()
        assert await client.is_served()
        now_ms += 5_001
        os.write(client.stream.socket.fileno(), PING)  # without giving the pump its turn
        served.pump.close_overdue(5)

        assert await client.read(len(PONG)) == PONG


async def test_waiting_for_a_slow_reader_takes_no_processor_time() -> None:
    """Its socket is full, it is to be closed, and there is more of its input: nothing to do yet."""
    async with serving() as served:
        slow = await served.connect()
        assert await slow.is_served()
        session = served.session()
        while not session.backlog:
            session.outbox.append(b"x" * 100_000)
            served.engine.clients.note_unsent(session)
            served.pump.settle()
        await slow.stream.send_all(as_request("QUIT"))
        await wait_until_async(lambda: session.is_close_requested)
        await slow.stream.send_all(PING)

        await trio.testing.wait_all_tasks_blocked(0.05)

        assert session.backlog
        assert await slow.read(100_000) == b"x" * 100_000


async def test_who_is_closing_is_still_sent_what_it_is_owed() -> None:
    """QUIT behind a large reply: the reply arrives whole."""
    value = 20_000_000
    async with serving() as served:
        peer = await served.connect()
        data = as_request("ECHO", b"v" * value) + as_request("QUIT") + PING

        async with trio.open_nursery() as nursery:
            nursery.start_soon(peer.stream.send_all, data)
            received = await peer.read_all()

        assert received == b"$%d\r\n%b\r\n+OK\r\n" % (value, b"v" * value)
