"""The I/O pump with real sockets on loopback: what good, bad and slow clients get from it."""

from __future__ import annotations

import socket
import struct

import pytest
import trio
import trio.testing

from tests.support.kernel import KernelEngine, as_request
from tests.support.pumped import PING, PONG, Peer, serving
from tests.support.waiting import wait_until_async
from vedette.runtime.background import open_background_nursery
from vedette.runtime.listening import open_listeners
from vedette.runtime.pump import Pump


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


async def test_batches_are_counted_and_timed() -> None:
    """For INFO: a look that finds nothing is none."""
    async with serving() as served:
        peer = await served.connect()
        await peer.ask(PING, len(PONG))
        before, seconds = served.engine.cycles, served.engine.cycles_s

        await peer.ask(PING, len(PONG))
        assert not served.pump.serve_ready()

        assert served.engine.cycles == before + 1
        assert served.engine.cycles_s > seconds
