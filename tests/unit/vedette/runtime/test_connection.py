"""One connection shared by tasks: replies reach their own task whatever is cancelled or breaks."""

from __future__ import annotations

import random
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest
import trio
import trustme
from trio.testing import (
    MemorySendStream,
    MockClock,
    lockstep_stream_pair,
    memory_stream_pair,
    wait_all_tasks_blocked,
)

from tests.support.peer import Peer
from vedette.resp.encode import encode_bulk
from vedette.resp.exchange import ReplyError
from vedette.runtime.background import open_background_nursery
from vedette.runtime.connection import (
    Connection,
    ConnectionLost,
    ServeOptions,
    reason_of,
    serve_connection,
)
from vedette.types import Address

ADDRESS = Address("127.0.0.1", 6379)


@asynccontextmanager
async def connected(
    options: ServeOptions | None = None,
) -> AsyncIterator[tuple[Connection, Peer]]:
    """A connection over memory streams and its peer."""
    ours, theirs = memory_stream_pair()
    async with serve_connection(ours, ADDRESS, **(options or {})) as connection:
        yield connection, Peer(theirs)


class Task:
    """An async call run in the background, and how it ended."""

    def __init__(self, nursery: trio.Nursery, call: Callable[[], Awaitable[object]]) -> None:
        self.scope = trio.CancelScope()
        self.result: object = None
        self.error: Exception | None = None
        self._done = trio.Event()
        nursery.start_soon(self._run, call)

    async def _run(self, call: Callable[[], Awaitable[object]]) -> None:
        with self.scope:
            try:
                self.result = await call()
            except Exception as error:
                self.error = error
        self._done.set()

    async def wait(self) -> object:
        await self._done.wait()
        return self.result

    async def wait_lost(self) -> ConnectionLost:
        await self._done.wait()
        assert isinstance(self.error, ConnectionLost), self
        return self.error


async def test_commands_of_one_turn_leave_in_one_send_and_find_their_tasks() -> None:
    """Automatic pipelining: tasks share the send and still get their own replies."""
    async with connected() as (connection, peer), trio.open_nursery() as nursery:
        tasks = [
            Task(nursery, lambda key=key: connection.execute("GET", key)) for key in ("a", "b", "c")
        ]
        await wait_all_tasks_blocked()
        sent = await peer.stream.receive_some(4096)
        asked = [key for key in (b"a", b"b", b"c") if encode_bulk(key) in sent]
        order = sorted(asked, key=sent.index)
        await peer.answer(b"".join(encode_bulk(b"value of " + key) for key in order))

        assert [await task.wait() for task in tasks] == [
            b"value of a",
            b"value of b",
            b"value of c",
        ]


async def test_error_reply_is_raised_by_execute_and_a_value_in_execute_many() -> None:
    """One failed command of a batch must not hide its neighbours' replies."""
    async with connected() as (connection, peer), trio.open_nursery() as nursery:
        one = Task(nursery, lambda: connection.execute("INCR", "k"))
        await peer.next_command()
        await peer.answer(b"-WRONGTYPE no\r\n")
        await one.wait()
        many = Task(nursery, lambda: connection.execute_many([("INCR", "k"), ("GET", "j")]))
        await peer.next_command()
        await peer.answer(b"-WRONGTYPE no\r\n$1\r\nv\r\n")

        assert await many.wait() == [ReplyError("WRONGTYPE no"), b"v"]
    assert one.error == ReplyError("WRONGTYPE no")


async def test_reply_to_a_cancelled_request_is_dropped() -> None:
    """The fault that once showed users other users' chats: a reply handed to the next request."""
    async with connected() as (connection, peer), trio.open_nursery() as nursery:
        first = Task(nursery, lambda: connection.execute("GET", "a"))
        await peer.next_command()
        first.scope.cancel()
        await first.wait()
        second = Task(nursery, lambda: connection.execute("GET", "b"))
        await peer.next_command()
        await peer.answer(b"$1\r\nA\r\n$1\r\nB\r\n")

        assert await second.wait() == b"B"


async def test_request_cancelled_before_it_was_written_is_withdrawn() -> None:
    """Who gives up before the bytes left can be sure that nothing happened."""
    async with connected() as (connection, peer):
        with trio.CancelScope() as scope:
            scope.cancel()
            await connection.execute("INCR", "k")
        async with trio.open_nursery() as nursery:
            task = Task(nursery, lambda: connection.execute("PING"))
            assert await peer.next_command() == [b"PING"]
            await peer.answer(b"+PONG\r\n")
            assert await task.wait() == b"PONG"


async def test_random_cancellations_never_cross_replies(autojump_clock: MockClock) -> None:
    """Echo with a delay while half of the callers give up at random moments."""
    generator = random.Random(20240607)
    served = 0

    async def echo(peer: Peer) -> None:
        while True:
            command = await peer.next_command()
            await trio.sleep(generator.choice([0, 0, 0.01, 0.05]))
            await peer.answer(encode_bulk(command[1]))

    async def call(connection: Connection, index: int, patience_s: float) -> None:
        nonlocal served
        await trio.sleep(index % 17 / 100)
        with trio.move_on_after(patience_s):
            assert await connection.execute("ECHO", index) == b"%d" % index
            served += 1

    async with connected() as (connection, peer), open_background_nursery() as background:
        background.start_soon(echo, peer)
        async with trio.open_nursery() as nursery:
            for index in range(300):
                patience_s = generator.choice([0, 0.02, 0.5, 60])
                nursery.start_soon(call, connection, index, patience_s)
    assert 75 < served < 300


async def test_break_says_of_each_request_whether_it_was_sent() -> None:
    """Only what was not handed to the network may be repeated blindly."""
    async with connected() as (connection, peer), trio.open_nursery() as nursery:
        sent = Task(nursery, lambda: connection.execute("INCR", "k"))
        await peer.next_command()
        stream = connection._stream
        assert isinstance(stream, trio.StapledStream)
        assert isinstance(stream.send_stream, MemorySendStream)
        stream.send_stream.send_all_hook = trio.sleep_forever  # the peer takes no more
        half_sent = Task(nursery, lambda: connection.execute("INCR", "k"))
        await wait_all_tasks_blocked()
        unsent = Task(nursery, lambda: connection.execute("INCR", "k"))
        await wait_all_tasks_blocked()
        connection.close("the master changed")

        assert (await sent.wait_lost()).was_sent
        assert (await half_sent.wait_lost()).was_sent
        assert not (await unsent.wait_lost()).was_sent
        with pytest.raises(ConnectionLost, match="the master changed") as raised:
            await connection.execute("PING")
        assert not raised.value.was_sent


async def test_break_hands_over_the_replies_that_came() -> None:
    """Of a batch cut short, the first commands are known to be done."""
    async with connected() as (connection, peer), trio.open_nursery() as nursery:
        task = Task(nursery, lambda: connection.execute_many([("INCR", "k")] * 3))
        await peer.next_command()
        await peer.answer(b":1\r\n:2\r\n")
        await peer.stream.aclose()

        lost = await task.wait_lost()
    assert (lost.was_sent, lost.replies) == (True, (1, 2))
    assert lost.address == ADDRESS


async def test_protocol_error_breaks_the_connection() -> None:
    """After garbage no later byte can be trusted."""
    async with connected() as (connection, peer), trio.open_nursery() as nursery:
        task = Task(nursery, lambda: connection.execute("PING"))
        await peer.next_command()
        await peer.answer(b"HTTP/1.1 200 OK\r\n")

        assert "protocol error" in (await task.wait_lost()).reason
        assert (await connection.wait_closed()) is connection.error


async def test_silence_breaks_the_connection_that_waits(autojump_clock: MockClock) -> None:
    """A stopped server keeps its sockets: only the lack of replies shows it."""
    async with (
        connected({"reply_timeout_s": 2.0}) as (connection, _),
        trio.open_nursery() as nursery,
    ):
        await trio.sleep(60)  # idle for long: not silence, nothing was asked
        started = trio.current_time()
        task = Task(nursery, lambda: connection.execute("PING"))

        lost = await task.wait_lost()
        assert "no reply" in lost.reason
        assert 2.0 <= trio.current_time() - started <= 2.5


@pytest.mark.parametrize("is_stopped", [False, True])
async def test_who_goes_on_taking_a_large_value_is_not_silent(
    is_stopped: bool, autojump_clock: MockClock
) -> None:
    """It cannot answer before it has all of it, however long the way takes."""
    ours, theirs = lockstep_stream_pair()
    value = b"x" * 2**20
    size_bytes = len(value) + len(b"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$1048576\r\n\r\n")
    async with (
        serve_connection(ours, ADDRESS, reply_timeout_s=3.0) as connection,
        trio.open_nursery() as nursery,
    ):
        task = Task(nursery, lambda: connection.execute("SET", "k", value))
        taken_bytes = 0
        while taken_bytes < (size_bytes // 2 if is_stopped else size_bytes):
            await trio.sleep(1)
            taken_bytes += len(await theirs.receive_some(64 * 1024))
        stopped = trio.current_time()
        if is_stopped:
            assert (await task.wait_lost()).is_timeout
            assert trio.current_time() - stopped < 5.0
        else:
            await theirs.send_all(b"+OK\r\n")
            assert await task.wait() == b"OK"


async def test_trouble_with_certificates_is_told_in_its_own_words() -> None:
    """Its error number is 1, which the operating system calls `Operation not permitted`."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    trustme.CA().issue_cert("127.0.0.1").configure_cert(context)
    ours, theirs = memory_stream_pair()
    server = trio.SSLStream(theirs, context, server_side=True)
    client = trio.SSLStream(ours, ssl.create_default_context(), server_hostname="127.0.0.1")
    async with trio.open_nursery() as nursery:
        nursery.start_soon(server.do_handshake)
        with pytest.raises(trio.BrokenResourceError) as raised:
            await client.do_handshake()
        nursery.cancel_scope.cancel()

    assert "certificate" in reason_of(raised.value)


async def test_idle_connection_is_asked_for_a_sign_of_life(autojump_clock: MockClock) -> None:
    """A subscriber sends nothing of its own, so a dead peer would never be noticed."""
    async with connected({"reply_timeout_s": 2.0, "ping_interval_s": 5.0}) as (connection, peer):
        started = trio.current_time()
        assert await peer.next_command() == [b"PING"]
        await peer.answer(b"+PONG\r\n")
        assert await peer.next_command() == [b"PING"]

        await connection.wait_closed()
        assert 12.0 <= trio.current_time() - started <= 14.0


async def test_load_is_bounded_and_waiters_get_their_turn() -> None:
    """Beyond `max_pending` callers wait instead of filling memory."""
    async with connected({"max_pending": 2}) as (connection, peer), trio.open_nursery() as nursery:
        tasks = [Task(nursery, lambda: connection.execute("PING")) for _ in range(5)]
        await wait_all_tasks_blocked()
        sent = await peer.stream.receive_some(4096)
        assert bytes(sent).count(b"PING") == 2
        await peer.answer(b"+1\r\n+2\r\n")
        for reply in (b"+3\r\n", b"+4\r\n", b"+5\r\n"):
            await peer.next_command()
            await peer.answer(reply)

        replies = {await task.wait() for task in tasks}
    assert replies == {b"1", b"2", b"3", b"4", b"5"}


async def test_subscription_delivers_messages_and_then_the_break() -> None:
    """A watcher must learn that it may have missed something."""
    async with connected() as (connection, peer), trio.open_nursery() as nursery:
        task = Task(nursery, lambda: connection.execute("SUBSCRIBE", "c"))
        await peer.next_command()
        await peer.answer(
            b"*3\r\n$9\r\nsubscribe\r\n$1\r\nc\r\n:1\r\n*3\r\n$7\r\nmessage\r\n$1\r\nc\r\n$1\r\nm\r\n"
        )

        assert await task.wait() == [[b"subscribe", b"c", 1]]
        assert await connection.receive_push() == [b"message", b"c", b"m"]
        await peer.stream.aclose()
        with pytest.raises(ConnectionLost, match="closed"):
            await connection.receive_push()


async def test_messages_nobody_takes_break_the_connection() -> None:
    """Dropping one silently would leave the reader with a wrong picture."""
    async with connected({"push_capacity": 2}) as (connection, peer):
        await peer.answer(b">2\r\n+message\r\n+x\r\n" * 5)

        lost = await connection.wait_closed()
        assert "faster than they were taken" in lost.reason
        assert await connection.receive_push() == [b"message", b"x"]


async def test_unusable_command_is_refused_before_it_is_sent() -> None:
    """MONITOR would turn every later reply into someone else's."""
    async with connected({"max_pending": 4}) as (connection, _):
        with pytest.raises(ValueError, match="matching"):
            await connection.execute("MONITOR")
        with pytest.raises(ValueError, match="at most 4"):
            await connection.execute_many([("PING",)] * 5)
        assert await connection.execute_many([]) == []


async def test_error_of_the_block_leaves_as_itself() -> None:
    """Callers write `except KeyError`, not `except*`."""
    with pytest.raises(KeyError):
        async with connected():
            raise KeyError("the caller's own")
