"""How connections come about: what a handshake says, and what is no connection."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest
import trio

from tests.support.peer import Peer
from vedette.runtime.background import open_background_nursery
from vedette.runtime.connecting import ConnectFailed, HandshakeRefused, open_connection
from vedette.types import Address


async def test_refused_connect_says_where_and_why() -> None:
    """Nobody listens: the error names address and reason."""
    listeners = await trio.open_tcp_listeners(0, host="127.0.0.1")
    port = listeners[0].socket.getsockname()[1]
    await listeners[0].aclose()

    with pytest.raises(ConnectFailed, match=rf"127\.0\.0\.1:{port}: Connection refused"):
        async with open_connection(Address("127.0.0.1", port)):
            raise AssertionError("connected to a closed port")


@asynccontextmanager
async def listening(
    handler: Callable[[trio.SocketStream], Awaitable[None]],
) -> AsyncIterator[Address]:
    """A TCP server on a free port that runs `handler` for each connection."""
    listeners = await trio.open_tcp_listeners(0, host="127.0.0.1")
    async with open_background_nursery() as nursery:
        await nursery.start(trio.serve_listeners, handler, listeners)
        yield Address("127.0.0.1", listeners[0].socket.getsockname()[1])


async def test_handshake_is_bounded_by_the_connect_timeout() -> None:
    """A server that accepts and never answers is no connection."""

    async def say_nothing(stream: trio.SocketStream) -> None:
        await trio.sleep_forever()

    async with listening(say_nothing) as address:
        with pytest.raises(ConnectFailed, match="timed out in the handshake"):
            async with open_connection(address, protocol=3, connect_timeout_s=0.05):
                raise AssertionError("connected without a handshake")


async def test_server_without_hello_is_spoken_to_in_resp2() -> None:
    """Servers before 6.0 know no HELLO; the rest of the handshake still takes place."""
    commands: list[list[bytes]] = []

    async def old_server(stream: trio.SocketStream) -> None:
        peer = Peer(stream)
        while len(commands) < 3:
            commands.append(await peer.next_command())
            known = commands[-1][0] != b"HELLO"
            await peer.answer(b"+OK\r\n" if known else b"-ERR unknown command `HELLO`\r\n")
        await trio.sleep_forever()

    async with (
        listening(old_server) as address,
        open_connection(address, protocol=3, password="p", client_name="n") as connection,
    ):
        assert connection.protocol == 2
    assert commands == [
        [b"HELLO", b"3", b"AUTH", b"default", b"p", b"SETNAME", b"n"],
        [b"AUTH", b"p"],
        [b"CLIENT", b"SETNAME", b"n"],
    ]


async def test_wrong_password_is_a_refused_handshake() -> None:
    """To try again would not help; callers must be able to tell."""

    async def refuse(stream: trio.SocketStream) -> None:
        peer = Peer(stream)
        await peer.next_command()
        await peer.answer(b"-WRONGPASS invalid username-password pair or user is disabled.\r\n")
        await trio.sleep_forever()

    async with listening(refuse) as address:
        with pytest.raises(HandshakeRefused) as raised:
            async with open_connection(address, username="u", password="p"):
                raise AssertionError("connected with a wrong password")
    assert raised.value.reply.code == "WRONGPASS"
