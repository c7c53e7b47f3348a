"""How a connection to a server or sentinel comes about: TCP, TLS, and what is said first.

Made connections are `connection.py`'s. Knows nothing of whom to connect to, or how often to try.

    ConnectFailed             there is no connection
    └── HandshakeRefused      the server answered AUTH, HELLO or CLIENT SETNAME with an error
"""

from __future__ import annotations

import socket
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import partial
from typing import Final, Unpack

import trio

from ..errors import VedetteError
from ..resp.exchange import ReplyError
from ..types import Address
from .connection import (
    Connection,
    ConnectionLost,
    ServeOptions,
    reason_of,
    serve_connection,
)
from .tls import secure

#: A peer that vanished without a word is found after 15 + 3 * 5 s of silence by the kernel, and
#: after 10 s if something was sent and not acknowledged.
_KEEPALIVE_IDLE_S: Final = 15
_KEEPALIVE_INTERVAL_S: Final = 5
_KEEPALIVE_COUNT: Final = 3
_USER_TIMEOUT_MS: Final = 10_000


class ConnectFailed(VedetteError):
    """No usable connection came about; no command was sent."""

    def __init__(self, address: Address, reason: str) -> None:
        super().__init__(f"cannot connect to {address}: {reason}")
        self.address = address
        self.reason = reason


class HandshakeRefused(ConnectFailed):
    """The server refused AUTH, HELLO or CLIENT SETNAME; `reply` is its answer."""

    def __init__(self, address: Address, reply: ReplyError) -> None:
        super().__init__(address, reply.text)
        self.reply = reply


@asynccontextmanager
async def open_connection(
    address: Address,
    *,
    connect_timeout_s: float = 5.0,
    username: str | None = None,
    password: str | None = None,
    client_name: str | None = None,
    protocol: int = 2,
    tls_context: ssl.SSLContext | None = None,
    **options: Unpack[ServeOptions],
) -> AsyncIterator[Connection]:
    """Connect, introduce ourselves, and give a `Connection` that lives as long as the block.

    `connect_timeout_s` bounds all that comes before the block: name look-up, TCP, the handshake.
    `protocol` 3 is agreed by HELLO; a server that does not know it is spoken to in RESP2. Without
    credentials, name and protocol nothing is sent.

    Raises:
        ConnectFailed: before the block; within it the connection raises `ConnectionLost`.
    """
    deadline = trio.current_time() + connect_timeout_s
    stream = await _connect(address, deadline, tls_context)
    async with serve_connection(stream, address, **options) as connection:
        await _introduce(
            connection,
            deadline,
            partial(_handshake, connection, username, password, client_name, protocol),
        )
        yield connection


async def _connect(
    address: Address, deadline: float, tls_context: ssl.SSLContext | None
) -> trio.abc.Stream:
    stream: trio.abc.Stream | None = None
    try:
        with trio.move_on_at(deadline):
            plain = await trio.open_tcp_stream(address.host, address.port)
            _set_options(plain)
            stream = await secure(plain, tls_context, address.host)
    except OSError as error:
        raise ConnectFailed(address, reason_of(error)) from error
    except (UnicodeError, OverflowError) as error:  # a host or port that can be no address
        raise ConnectFailed(address, str(error)) from error
    if stream is None:
        raise ConnectFailed(address, "timed out")
    return stream


def _set_options(stream: trio.SocketStream) -> None:
    """Have the kernel notice a dead peer. (trio has set TCP_NODELAY already.)"""
    stream.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in (
        ("TCP_KEEPIDLE", _KEEPALIVE_IDLE_S),
        ("TCP_KEEPINTVL", _KEEPALIVE_INTERVAL_S),
        ("TCP_KEEPCNT", _KEEPALIVE_COUNT),
        ("TCP_USER_TIMEOUT", _USER_TIMEOUT_MS),
    ):
        option = getattr(socket, name, None)  # each is missing on some platform
        if option is not None:
            stream.setsockopt(socket.IPPROTO_TCP, option, value)


async def _introduce(
    connection: Connection, deadline: float, handshake: Callable[[], Awaitable[None]]
) -> None:
    """Run `handshake`; whatever goes wrong in it means that there is no connection."""
    try:
        with trio.move_on_at(deadline) as scope:
            await handshake()
    except ReplyError as error:
        raise HandshakeRefused(connection.address, error) from error
    except ConnectionLost as error:
        raise ConnectFailed(connection.address, error.reason) from error
    if scope.cancelled_caught:
        raise ConnectFailed(connection.address, "timed out in the handshake")


async def _handshake(
    connection: Connection,
    username: str | None,
    password: str | None,
    client_name: str | None,
    protocol: int,
) -> None:
    if protocol == 3 and await _said_hello(connection, username, password, client_name):
        return
    if password is not None:
        credentials = (password,) if username is None else (username, password)
        await connection.execute("AUTH", *credentials)
    if client_name is not None:
        await connection.execute("CLIENT", "SETNAME", client_name)


async def _said_hello(
    connection: Connection, username: str | None, password: str | None, client_name: str | None
) -> bool:
    """Return whether HELLO did it all; False if the server is too old or too new for RESP3."""
    arguments: list[str] = ["HELLO", "3"]
    if password is not None:
        arguments += ["AUTH", username or "default", password]
    if client_name is not None:
        arguments += ["SETNAME", client_name]
    try:
        await connection.execute(*arguments)
    except ReplyError as error:
        if error.code == "NOPROTO" or "unknown command" in error.text.lower():
            return False
        raise
    return True
