"""Connections to nodes: made by the client's options, in its database, and asked for their role.

Owns how a node is reached; whether it is to be used is others' to say.
"""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass

import trio

from vedette.errors import ProtocolError
from vedette.resp.exchange import ReplyError
from vedette.runtime.connecting import ConnectFailed, open_connection
from vedette.runtime.connection import Connection, ConnectionLost
from vedette.types import Address

from ..core.answers import read_greeted_role, read_link


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeOptions:
    """How to reach nodes; times in seconds."""

    username: str | None
    password: str | None
    client_name: str | None
    #: Selected on each connection before anything else.
    database: int
    protocol: int
    connect_timeout_s: float
    reply_timeout_s: float
    max_pending: int
    tls_context: ssl.SSLContext | None
    #: Where to connect to instead of what sentinels tell.
    address_map: Mapping[Address, Address]


@asynccontextmanager
async def open_node(
    address: Address, options: NodeOptions, *, watches_silence: bool = True
) -> AsyncIterator[Connection]:
    """Give a connection to the node that sentinels know by `address`, logged in.

    With `watches_silence` it breaks when the node owes replies and is silent, and an idle one is
    asked for a sign of life; commands that block need it off.

    Raises:
        ConnectFailed: before the block; within it the connection raises `ConnectionLost`.
    """
    silence_s = options.reply_timeout_s if watches_silence else None
    async with open_connection(
        options.address_map.get(address, address),
        connect_timeout_s=options.connect_timeout_s,
        username=options.username,
        password=options.password,
        client_name=options.client_name,
        protocol=options.protocol,
        reply_timeout_s=silence_s,
        ping_interval_s=silence_s,
        max_pending=options.max_pending,
        tls_context=options.tls_context,
    ) as connection:
        if options.database:
            await _select(connection, options)
        yield connection


async def _select(connection: Connection, options: NodeOptions) -> None:
    try:
        with trio.move_on_after(options.connect_timeout_s) as scope:
            await connection.execute("SELECT", options.database)
    except (ReplyError, ConnectionLost) as error:
        reason = f"database {options.database} cannot be selected: {error}"
        raise ConnectFailed(connection.address, reason) from error
    if scope.cancelled_caught:
        raise ConnectFailed(connection.address, "timed out in SELECT")


async def ask_role(connection: Connection) -> tuple[str, str | None]:
    """Ask a node for its role, in the words of ROLE, and for the state of its link as a replica.

    ROLE is among Redis' dangerous commands, so users of applications often may not ask it; HELLO
    tells them the role, and not the link: then that is None.

    Raises:
        ReplyError, ProtocolError: it does not tell.
        ConnectionLost: it is gone.
    """
    try:
        return read_link(await connection.execute("ROLE"))
    except ReplyError as error:
        if error.code != "NOPERM":
            raise
    return read_greeted_role(await connection.execute("HELLO")), None


async def objection_to(
    connection: Connection, options: NodeOptions, *, role: str = "master"
) -> str | None:
    """Ask a node for its role; return why it is not to be used, or None if it has `role`."""
    address = connection.address
    try:
        with trio.move_on_after(options.connect_timeout_s) as scope:
            found, _ = await ask_role(connection)
    except (ReplyError, ProtocolError, ConnectionLost) as error:
        return f"{address} did not tell its role: {error}"
    if scope.cancelled_caught:
        return f"{address} did not tell its role in time"
    return None if found == role else f"{address} says its role is {found}"
