"""The HTTP server's bounds: a client that is slow, noisy or gone costs nothing but itself."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
import trio
from trio.testing import MockClock, memory_stream_pair

from vedette.http import HEAD_MAX_BYTES, Request, Response
from vedette.runtime.http_server import (
    CONNECTIONS_MAX,
    HEAD_TIMEOUT_S,
    IDLE_TIMEOUT_S,
    SEND_TIMEOUT_S,
    HttpServer,
)


async def echo(request: Request) -> Response:
    """Answer with the path; `/broken` raises."""
    await trio.lowlevel.checkpoint()
    if request.path == "/broken":
        raise KeyError("a bug")
    return Response(body=request.path.encode())


@asynccontextmanager
async def connected(
    server: HttpServer | None = None,
) -> AsyncIterator[trio.abc.HalfCloseableStream]:
    """Give the client's end of a connection that is served."""
    ours, theirs = memory_stream_pair()
    async with trio.open_nursery() as nursery:
        nursery.start_soon((server or HttpServer(echo)).serve, theirs)
        yield ours
        await ours.aclose()


async def receive_all(stream: trio.abc.ReceiveStream) -> bytes:
    """Return everything until the other side closes."""
    return b"".join([bytes(chunk) async for chunk in stream])


async def receive_answer(stream: trio.abc.ReceiveStream) -> bytes:
    """Return one answer whose body is short."""
    return bytes(await stream.receive_some(4096))


async def test_requests_follow_one_another_on_a_connection() -> None:
    """Scrapers keep their connection; a head may come in pieces, or several at once."""
    async with connected() as stream:
        await stream.send_all(b"GET /a HTTP/1.1\r\n")
        await stream.send_all(
            b"\r\nGET /b HTTP/1.1\r\n\r\nGET /c HTTP/1.1\r\nConnection: close\r\n"
        )
        await stream.send_all(b"\r\n")
        answers = await receive_all(stream)

    assert answers.count(b"200 OK") == 3
    assert [answers.index(b"\r\n\r\n/%b" % path) for path in (b"a", b"b", b"c")] == sorted(
        answers.index(b"\r\n\r\n/%b" % path) for path in (b"a", b"b", b"c")
    )


async def test_other_methods_are_refused_and_the_connection_goes_on() -> None:
    """405 names what is allowed."""
    async with connected() as stream:
        await stream.send_all(b"DELETE /a HTTP/1.1\r\n\r\n")
        refusal = await receive_answer(stream)
        await stream.send_all(b"HEAD /a HTTP/1.1\r\n\r\n")
        answer = await receive_answer(stream)

    assert refusal.startswith(b"HTTP/1.1 405 ")
    assert b"Allow: GET, HEAD\r\n" in refusal
    assert answer.startswith(b"HTTP/1.1 200 ")
    assert answer.endswith(b"\r\n\r\n")


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (b"*1\r\n$4\r\nPING\r\n\r\n\r\n", 400),
        (b"GET /a HTTP/2.0\r\n\r\n", 505),
        (b"POST / HTTP/1.1\r\nContent-Length: 3\r\n\r\nabc", 413),
        (b"GET /" + b"a" * (HEAD_MAX_BYTES + 1), 431),
        (b"GET / HTTP/1.1\r\nA: " + b"a" * HEAD_MAX_BYTES + b"\r\n\r\n", 431),
    ],
)
async def test_a_bad_request_is_answered_and_ends_the_connection(
    data: bytes, status: int, autojump_clock: MockClock
) -> None:
    """After it nobody knows where the next request would begin."""
    async with connected() as stream:
        await stream.send_all(data)
        answer = await receive_all(stream)

    assert answer.startswith(b"HTTP/1.1 %d " % status)
    assert b"Connection: close\r\n" in answer


async def test_a_handler_that_raises_is_a_500_and_nothing_more() -> None:
    """Monitoring must not stop what it monitors."""
    async with connected() as stream:
        await stream.send_all(b"GET /broken HTTP/1.1\r\n\r\n")
        failure = await receive_answer(stream)
        await stream.send_all(b"GET /a HTTP/1.1\r\n\r\n")
        answer = await receive_answer(stream)

    assert failure.startswith(b"HTTP/1.1 500 ")
    assert b"a bug" not in failure
    assert answer.startswith(b"HTTP/1.1 200 ")


async def test_a_head_that_drips_is_cut_off(autojump_clock: MockClock) -> None:
    """The time is for the whole head: a byte now and then does not extend it."""
    began = trio.current_time()
    async with connected() as stream, trio.open_nursery() as nursery:

        @nursery.start_soon
        async def drip() -> None:
            while True:
                await stream.send_all(b"G")
                await trio.sleep(HEAD_TIMEOUT_S / 3)

        answer = await receive_all(stream)
        nursery.cancel_scope.cancel()

    assert answer.startswith(b"HTTP/1.1 408 ")
    assert trio.current_time() - began < 2 * HEAD_TIMEOUT_S


async def test_a_silent_connection_is_closed_without_a_word(autojump_clock: MockClock) -> None:
    """A scraper that went away leaves no task behind; one a minute is welcome."""
    async with connected() as stream:
        await trio.sleep(IDLE_TIMEOUT_S - 1)
        await stream.send_all(b"GET /a HTTP/1.1\r\n\r\n")
        answer = await receive_answer(stream)
        assert answer.startswith(b"HTTP/1.1 200 ")

        assert await receive_all(stream) == b""


async def test_a_client_that_does_not_read_is_dropped(autojump_clock: MockClock) -> None:
    """Its answer waits in its own task, and not for ever."""

    class Stuck(trio.abc.HalfCloseableStream):
        """Takes no byte; asks for one thing."""

        is_closed = False

        async def receive_some(self, max_bytes: int | None = None) -> bytes:
            await trio.lowlevel.checkpoint()
            return b"GET /a HTTP/1.1\r\n\r\n"

        async def send_all(self, data: bytes | bytearray | memoryview) -> None:
            await trio.sleep_forever()

        async def wait_send_all_might_not_block(self) -> None:
            await trio.sleep_forever()

        async def send_eof(self) -> None:
            await trio.lowlevel.checkpoint()

        async def aclose(self) -> None:
            self.is_closed = True
            await trio.lowlevel.checkpoint()

    stream = Stuck()

    await HttpServer(echo).serve(stream)

    assert stream.is_closed
    assert trio.current_time() == pytest.approx(SEND_TIMEOUT_S)


async def test_one_connection_too_many_is_told_so() -> None:
    """And a place that becomes free can be taken."""
    server = HttpServer(echo)
    ours, theirs = memory_stream_pair()
    async with trio.open_nursery() as nursery:
        for _ in range(CONNECTIONS_MAX):
            nursery.start_soon(server.serve, memory_stream_pair()[0])
        await trio.testing.wait_all_tasks_blocked()
        nursery.start_soon(server.serve, theirs)
        refusal = await receive_all(ours)
        nursery.cancel_scope.cancel()
    async with connected(server) as stream:
        await stream.send_all(b"GET /a HTTP/1.1\r\n\r\n")
        answer = await receive_answer(stream)

    assert refusal.startswith(b"HTTP/1.1 503 ")
    assert answer.startswith(b"HTTP/1.1 200 ")
