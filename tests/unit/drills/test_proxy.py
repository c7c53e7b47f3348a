"""The proxy that interrupts links, between real sockets."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
import trio

from drills.runtime.proxy import FaultProxy
from tests.support.processes import free_port

HOST = "127.0.0.1"


async def echo(stream: trio.SocketStream) -> None:
    async with stream:
        while data := await stream.receive_some():
            await stream.send_all(data)


@asynccontextmanager
async def echo_behind_proxy() -> AsyncIterator[tuple[FaultProxy, int, trio.CancelScope]]:
    """Yield the proxy, its port, and what ends the server behind it."""
    async with trio.open_nursery() as nursery:
        listeners = await trio.open_tcp_listeners(0, host=HOST)
        scope = trio.CancelScope()

        async def serve() -> None:
            with scope:
                await trio.serve_listeners(echo, listeners)
            for listener in listeners:
                await listener.aclose()

        nursery.start_soon(serve)
        port = free_port()
        proxy = FaultProxy(HOST, port, listeners[0].socket.getsockname()[1])
        await nursery.start(proxy.run)
        yield proxy, port, scope
        nursery.cancel_scope.cancel()


async def ask(stream: trio.SocketStream, text: bytes, *, within_s: float = 20) -> bytes | None:
    """Send `text` and return what comes back, None if nothing does in time."""
    await stream.send_all(text)
    with trio.move_on_after(within_s):
        return bytes(await stream.receive_some())
    return None


async def test_nothing_gets_through_while_it_is_held_and_all_of_it_after() -> None:
    """Nobody is told: connections stand, and new ones are taken."""
    async with echo_behind_proxy() as (proxy, port, _):
        old = await trio.open_tcp_stream(HOST, port)
        assert await ask(old, b"before") == b"before"
        proxy.hold()
        proxy.hold()
        assert proxy.is_held
        new = await trio.open_tcp_stream(HOST, port)
        assert await ask(old, b"old", within_s=0.2) is None
        assert await ask(new, b"new", within_s=0.2) is None
        proxy.release()

        with trio.fail_after(20):
            assert await old.receive_some() == b"old"
            assert await new.receive_some() == b"new"
        for stream in (old, new):
            await stream.aclose()


async def test_an_end_is_told_only_when_the_link_is_whole() -> None:
    """With a network that swallows packets the reset of a process that died gets lost too."""
    async with echo_behind_proxy() as (proxy, port, server):
        stream = await trio.open_tcp_stream(HOST, port)
        assert await ask(stream, b"x") == b"x"
        proxy.hold()
        server.cancel()
        with trio.move_on_after(0.2) as waited:
            await stream.receive_some()
        assert waited.cancelled_caught
        proxy.release()

        with trio.fail_after(20):
            assert await read_to_end(stream) == b""
        await stream.aclose()


async def test_without_a_node_behind_it_connections_are_reset() -> None:
    """And the proxy goes on."""
    async with trio.open_nursery() as nursery:
        port = free_port()
        await nursery.start(FaultProxy(HOST, port, free_port()).run)
        for _attempt in range(2):
            stream = await trio.open_tcp_stream(HOST, port)
            with trio.fail_after(20), pytest.raises(trio.BrokenResourceError):
                await stream.receive_some()
            await stream.aclose()
        nursery.cancel_scope.cancel()


async def read_to_end(stream: trio.SocketStream) -> bytes:
    """Return what still comes; a reset is an end as well."""
    try:
        return bytes(await stream.receive_some())
    except trio.BrokenResourceError:
        return b""
