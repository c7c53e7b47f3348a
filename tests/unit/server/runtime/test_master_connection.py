"""The connection to a master: leaving it unread, and taking what has arrived."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
import trio
import trio.testing

from server.runtime.master_connection import REST_MAX_BYTES, MasterConnection
from tests.support.waiting import wait_until_async
from vedette.types import Address


@asynccontextmanager
async def connected() -> AsyncIterator[tuple[MasterConnection, trio.SocketStream]]:
    """Give a connection, and the master's end of it."""
    listener = (await trio.open_tcp_listeners(0, host="127.0.0.1"))[0]
    async with listener:
        master = Address("127.0.0.1", listener.socket.getsockname()[1])
        connection = await MasterConnection.open(master, "", None)
        peer = await listener.accept()
        async with peer:
            yield connection, peer
            await connection.aclose()


async def test_a_rest_is_not_ended_by_a_few_bytes(autojump_clock: trio.testing.MockClock) -> None:
    """That is what it is for; they are there afterwards."""
    async with connected() as (connection, peer):
        await peer.send_all(b"a few bytes")
        before_s = trio.current_time()
        await connection.rest(50)

        assert trio.current_time() - before_s == pytest.approx(0.05)
        await connection.wait_arrived()
        assert connection.take_nowait() == b"a few bytes"
        assert connection.take_nowait() is None


async def test_a_rest_ends_with_the_connection() -> None:
    """A master that ended is noticed at once, and what it had sent is there."""
    async with connected() as (connection, peer), trio.open_nursery() as nursery:
        await peer.send_all(b"last words")
        nursery.start_soon(peer.aclose)
        with trio.fail_after(10):
            await connection.rest(60_000)

        assert connection.take_nowait() == b"last words"
        assert connection.take_nowait() == b""


async def test_a_rest_ends_when_much_has_arrived() -> None:
    """The master must not be kept from sending: what it could not send is lost with it."""
    async with connected() as (connection, peer), trio.open_nursery() as nursery:
        nursery.start_soon(peer.send_all, bytes(2 * REST_MAX_BYTES))
        with trio.fail_after(10):
            await connection.rest(60_000)
        taken = 0
        while data := connection.take_nowait():
            taken += len(data)

        assert taken >= REST_MAX_BYTES
        nursery.cancel_scope.cancel()


async def test_after_a_rest_the_next_byte_is_noticed() -> None:
    """However short the piece that comes then."""
    async with connected() as (connection, peer):
        await connection.rest(1)
        await peer.send_all(b"x")
        with trio.fail_after(10):
            await connection.wait_arrived()

        assert await wait_until_async(connection.take_nowait) == b"x"
