"""The I/O pump with real sockets on loopback: what good, bad and slow clients get from it."""

from __future__ import annotations

import os
import socket
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
import trio
import trio.testing

from tests.support.kernel import START_MS, KernelEngine, as_request
from tests.support.waiting import wait_until_async
from vedette.clients import ClientKind, Session
from vedette.conf import BufferLimit
from vedette.runtime.background import open_background_nursery
from vedette.runtime.listening import open_listeners
from vedette.runtime.pump import PAUSE_READING_BYTES, Pump

PING = as_request("PING")
PONG = b"+PONG\r\n"


class Served:
    """A pump that serves a `KernelEngine` on a port of its own."""

    def __init__(self, engine: KernelEngine, pump: Pump, listener: socket.socket) -> None:
        self.engine = engine
        self.pump = pump
        self.port: int = listener.getsockname()[1]
        #: Cancelling it ends the pump.
        self.scope = trio.CancelScope()
        self.peers: list[Peer] = []

    async def connect(self) -> Peer:
        """Open a connection, which is closed in the end."""
        peer = Peer(await trio.open_tcp_stream("127.0.0.1", self.port))
        self.peers.append(peer)
        return peer

    async def run(
        self,
        listeners: list[socket.socket],
        *,
        task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED,
    ) -> None:
        with self.scope:
            await self.pump.serve(listeners, task_status=task_status)

    def session(self) -> Session:
        """Return the session of the only client."""
        [session] = self.engine.clients
        return session


class Peer:
    """The other end of a connection."""

    def __init__(self, stream: trio.SocketStream) -> None:
        self.stream = stream

    async def ask(self, data: bytes, size: int) -> bytes:
        """Send `data` and return the next `size` bytes."""
        await self.stream.send_all(data)
        return await self.read(size)

    async def read(self, size: int) -> bytes:
        """Return the next `size` bytes, or fewer if the connection ends before."""
        received = bytearray()
        while len(received) < size:
            data = await self.stream.receive_some(size - len(received))
            if not data:
                break
            received += data
        return bytes(received)

    async def read_all(self) -> bytes:
        """Return what comes until the connection ends."""
        received = bytearray()
        async for data in self.stream:
            received += data
        return bytes(received)

    async def is_served(self) -> bool:
        return await self.ask(PING, len(PONG)) == PONG


# Any: the options are the pump's own keyword arguments.
@asynccontextmanager
async def serving(*, password: bytes = b"", **options: Any) -> AsyncIterator[Served]:
    """Serve an engine until the body ends, which must be within ten seconds."""
    engine = KernelEngine(password=password)
    [listener] = open_listeners(["127.0.0.1"], 0, 100)
    options.setdefault("clock_ms", lambda: START_MS)
    with listener, trio.fail_after(10):
        served = Served(engine, Pump(engine, **options), listener)
        async with open_background_nursery() as nursery:
            await nursery.start(served.run, [listener])
            try:
                yield served
            finally:
                for peer in served.peers:
                    peer.stream.socket.close()


async def test_a_pipeline_is_answered_in_order_however_it_is_cut() -> None:
    """Segments have nothing to do with requests."""
    data = b"".join(as_request("ECHO", number) for number in range(3000))
    expected = b"".join(b"$%d\r\n%d\r\n" % (len(str(number)), number) for number in range(3000))
    async with serving() as served:
        peer = await served.connect()
        async with trio.open_nursery() as nursery:
            for start in range(0, 1000, 7):
                await peer.stream.send_all(data[start : start + 7])
            nursery.start_soon(peer.stream.send_all, data[start + 7 :])
            received = await peer.read(len(expected))

    assert received == expected


async def test_many_clients_are_served_side_by_side() -> None:
    """More than one accept and one batch take."""
    async with serving() as served:
        peers = [await served.connect() for _ in range(200)]
        for peer in peers:
            await peer.stream.send_all(PING)
        answers = [await peer.read(len(PONG)) for peer in peers]

        assert answers == [PONG] * 200
        assert len(served.engine.clients) == 200


class EndlessPump(Pump):
    """A pump that is never done: as with clients that send faster than they are served."""

    batches_count = 0

    def serve_ready(self) -> bool:
        self.batches_count += 1
        assert self.batches_count < 5_000_000, "nobody else ever had a turn"
        return True


async def test_clients_that_never_pause_leave_other_tasks_their_turn() -> None:
    """Else a busy server would neither expire keys, nor feed replicas, nor end on a signal."""
    pump = EndlessPump(KernelEngine())
    [listener] = open_listeners(["127.0.0.1"], 0, 100)
    with listener, trio.fail_after(10):
        async with open_background_nursery() as nursery:
            await nursery.start(pump.serve, [listener])
            async with await trio.open_tcp_stream(*listener.getsockname()):
                await wait_until_async(lambda: pump.batches_count > 0)

    assert pump.batches_count > 0


async def test_addresses_are_those_of_the_socket() -> None:
    """CLIENT KILL finds clients by them."""
    async with serving() as served:
        peer = await served.connect()
        assert await peer.is_served()
        host, port = peer.stream.socket.getsockname()

        assert served.session().address == f"{host}:{port}"
        assert served.session().local_address == f"127.0.0.1:{served.port}"


async def test_a_half_closed_socket_gets_the_replies_it_is_owed() -> None:
    """`printf ... | nc` shuts its writing side down at once."""
    async with serving() as served:
        peer = await served.connect()
        await peer.stream.send_all(PING * 3)
        await peer.stream.send_eof()

        assert await peer.read_all() == PONG * 3
        await wait_until_async(lambda: len(served.engine.clients) == 0)


async def test_a_client_that_vanishes_is_forgotten() -> None:
    """A reset in the midst of a request leaves nothing behind."""
    async with serving() as served:
        peer = await served.connect()
        assert await peer.is_served()
        await peer.stream.send_all(b"*2\r\n$4\r\nECHO\r\n$100\r\nabc")
        linger = struct.pack("ii", 1, 0)
        peer.stream.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        peer.stream.socket.close()

        await wait_until_async(lambda: len(served.engine.clients) == 0)


@pytest.mark.parametrize(
    ("sent", "answer"),
    [
        (b"*1\r\n+PING\r\n", b"-ERR Protocol error: expected '$', got '+'\r\n"),
        (b"*1\r\n$536870913\r\n", b"-ERR Protocol error: invalid bulk length\r\n"),
        (b"*1\r\n$-5\r\n", b"-ERR Protocol error: invalid bulk length\r\n"),
        (b"*2147483648\r\n", b"-ERR Protocol error: invalid multibulk length\r\n"),
        (b'"unbalanced\r\n', b"-ERR Protocol error: unbalanced quotes in request\r\n"),
        (b"POST / HTTP/1.1\r\nHost: x\r\n\r\nPING\r\n", b""),
    ],
)
async def test_bad_input_is_answered_and_closed(sent: bytes, answer: bytes) -> None:
    """In Redis' words, and without disturbing anyone else."""
    async with serving() as served:
        good, bad = await served.connect(), await served.connect()
        await bad.stream.send_all(sent)

        assert await bad.read_all() == answer
        assert await good.is_served()
        await wait_until_async(lambda: len(served.engine.clients) == 1)


async def test_garbage_ends_the_connection_or_is_called_unknown() -> None:
    """Every byte there is, in a line: the client hears of it and the others do not."""
    async with serving() as served:
        good, bad = await served.connect(), await served.connect()
        await bad.stream.send_all(bytes(range(128, 256)) + b"\r\n")

        assert (await bad.read(24)).startswith(b"-ERR unknown command")
        assert await good.is_served()


async def test_announcing_much_costs_nothing() -> None:
    """Two billion arguments, or half a gigabyte, are only promises."""
    async with serving() as served:
        many, large, good = [await served.connect() for _ in range(3)]
        await many.stream.send_all(b"*2147483647\r\n$1\r\nx\r\n")
        await large.stream.send_all(b"*1\r\n$536870912\r\nabc")

        assert await good.is_served()
        await wait_until_async(
            lambda: (
                [session.parser.buffered_bytes for session in served.engine.clients] == [1, 3, 0]
            )
        )


async def send_without_end(peer: Peer) -> None:
    while True:
        await peer.stream.send_all(b"x" * 10_000)


async def test_an_endless_line_is_cut_off() -> None:
    """The client is told, though it may be closed before it reads that."""
    async with serving() as served:
        good, bad = await served.connect(), await served.connect()
        with pytest.raises(trio.BrokenResourceError):
            await send_without_end(bad)

        assert await good.is_served()
        await wait_until_async(lambda: len(served.engine.clients) == 1)


async def test_quit_closes_once_the_reply_is_sent() -> None:
    """What follows in the same segment is not answered."""
    async with serving() as served:
        peer = await served.connect()
        await peer.stream.send_all(as_request("QUIT") + PING)

        assert await peer.read_all() == b"+OK\r\n"


async def test_a_killed_client_is_closed_at_once() -> None:
    """Without its doing anything."""
    async with serving() as served:
        victim, killer = await served.connect(), await served.connect()
        assert await victim.is_served()
        kill = as_request("CLIENT", "KILL", "TYPE", "normal")

        assert await killer.ask(kill, 4) == b":1\r\n"
        assert await victim.read_all() == b""
        assert await killer.is_served()


# --- slow readers --------------------------------------------------------------------------------


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


# --- the doors -----------------------------------------------------------------------------------


async def test_more_clients_than_allowed_are_turned_away() -> None:
    """They are told why; there is room again when one leaves."""
    async with serving(max_clients=lambda: 2) as served:
        first, second = await served.connect(), await served.connect()
        assert await first.is_served()
        assert await second.is_served()
        third = await served.connect()

        assert await third.read_all() == b"-ERR max number of clients reached\r\n"
        assert served.engine.clients.rejected_count == 1
        await first.stream.aclose()
        await wait_until_async(lambda: len(served.engine.clients) == 1)
        assert await (await served.connect()).is_served()


async def test_a_refused_address_is_told_why() -> None:
    """Protected mode answers like this."""
    hosts: list[str] = []

    def refuse(host: str) -> bytes:
        hosts.append(host)
        return b"-DENIED\r\n"

    async with serving(refusal=refuse) as served:
        assert await (await served.connect()).read_all() == b"-DENIED\r\n"

    assert hosts == ["127.0.0.1"]


async def test_new_clients_authenticate_where_that_is_required() -> None:
    """What was required when they came counts."""
    async with serving(password=b"secret") as served:
        peer = await served.connect()

        assert await peer.ask(PING, 9) == b"-NOAUTH A"


async def test_the_connections_there_go_on_when_no_more_are_accepted() -> None:
    """Stopping begins like this."""
    async with serving() as served:
        peer = await served.connect()
        assert await peer.is_served()
        served.pump.acceptor.stop()
        await (await served.connect()).stream.send_all(
            PING
        )  # the kernel takes it, nobody serves it

        assert await peer.is_served()
        assert len(served.engine.clients) == 1


async def test_stopping_sends_what_is_owed_and_closes() -> None:
    """A client whose command was run learns so."""
    async with serving() as served:
        peer = await served.connect()
        assert await peer.is_served()
        served.session().outbox.append(b"+LAST\r\n")
        served.engine.clients.note_unsent(served.session())
        served.scope.cancel()

        assert await peer.read_all() == b"+LAST\r\n"
        assert len(served.engine.clients) == 0


# --- other tasks ---------------------------------------------------------------------------------


async def test_what_precedes_replies_is_done_before_they_leave() -> None:
    """Writes are logged and propagated before anyone hears that they were made."""
    seen: list[tuple[dict[bytes, bytes], int]] = []
    engines: list[KernelEngine] = []

    def note() -> None:
        seen.extend((dict(engine.stored), engine.output_bytes) for engine in engines)

    async with serving(before_send=note) as served:
        engines.append(served.engine)
        peer = await served.connect()
        assert await peer.ask(as_request("STORE", "k", "v"), 5) == b"+OK\r\n"

        assert ({b"k": b"v"}, 0) in seen


async def test_what_is_served_beside_a_slow_command_is_made_durable_too() -> None:
    """Before its reply leaves, as ever."""
    seen: list[tuple[dict[bytes, bytes], int]] = []
    engines: list[KernelEngine] = []

    def note() -> None:
        seen.extend((dict(engine.stored), engine.output_bytes) for engine in engines)

    async with serving(persist=note) as served:
        assert await (await served.connect()).is_served()
        busy = served.session()
        with socket.create_connection(("127.0.0.1", served.port)) as other:
            await wait_until_async(lambda: len(served.engine.clients) == 2)
            engines.append(served.engine)
            sent_bytes = served.engine.output_bytes
            other.sendall(as_request("STORE", "k", "v"))
            served.pump.serve_besides(busy)

            assert other.recv(5) == b"+OK\r\n"
        assert seen == [({b"k": b"v"}, sent_bytes)]


async def test_a_wait_that_another_task_ends_is_answered() -> None:
    """Timers and replication end waits, then have the pump settle."""
    async with serving() as served:
        peer = await served.connect()
        await peer.stream.send_all(as_request("HOLD") + PING)
        await wait_until_async(lambda: list(served.engine.blocked_sessions()))
        served.engine.release(5)
        served.pump.settle()

        assert await peer.read(4 + len(PONG)) == b":5\r\n" + PONG


async def test_a_detached_socket_is_the_callers() -> None:
    """Replicas are taken over by the task that feeds them, with what they are still owed."""
    async with serving() as served:
        peer = await served.connect()
        assert await peer.is_served()
        session = served.session()
        session.outbox.append(b"+LATER\r\n")
        sock = served.pump.detach(session)
        assert sock is not None
        served.engine.clients.note_unsent(session)
        served.pump.settle()
        assert served.pump.detach(session) is None
        assert session.outbox == [b"+LATER\r\n"]

        with sock:
            sock.send(b"+MINE\r\n")
            assert await peer.ask(PING, 7) == b"+MINE\r\n"
            assert sock.recv(100) == PING
        served.engine.disconnect(session)
        assert await (await served.connect()).is_served()
