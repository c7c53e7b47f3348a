"""The connection to the node that is believed to be master: made, checked, kept, given up.

Owns one generation's connection. Whether the node may be used, and until when, is the follower's to
say; commands are the client's.
"""

from __future__ import annotations

import ssl
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import trio

from vedette.errors import ProtocolError
from vedette.resp.exchange import ReplyError
from vedette.runtime.connecting import ConnectFailed, open_connection
from vedette.runtime.connection import Connection, ConnectionLost
from vedette.types import Address

from ..core.answers import read_role

#: How long a retired connection may take to answer what is in flight.
_RETIREMENT_S: Final = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkOptions:
    """How to reach masters; times in seconds."""

    username: str | None
    password: str | None
    client_name: str | None
    protocol: int
    connect_timeout_s: float
    reply_timeout_s: float
    max_pending: int
    tls_context: ssl.SSLContext | None = None


class MasterLink:
    """One attempt at a master; `run` is its task.

    `verified` is called when the node says that it is master, `failed` with a reason when there is
    no connection (any more). Both return at once.
    """

    def __init__(
        self,
        generation: int,
        address: Address,
        options: LinkOptions,
        *,
        verified: Callable[[int], None],
        failed: Callable[[int, str], None],
    ) -> None:
        self.generation = generation
        self.address = address
        #: Configuration epoch in which this node is master; set when it is put to use.
        self.epoch = -1
        self.connection: Connection | None = None
        self._options = options
        self._verified = verified
        self._failed = failed
        self._scope = trio.CancelScope()
        self._is_retired = trio.Event()

    def close(self, reason: str) -> None:
        """End it at once, whatever is in flight."""
        if self.connection is not None:
            self.connection.close(reason)
        self._scope.cancel()

    def retire(self) -> None:
        """End it once the replies to what is in flight have come."""
        self._is_retired.set()

    async def run(self) -> None:
        """Connect, check the role, and stay until the connection is lost or given up."""
        with self._scope:
            try:
                reason = await self._serve()
            except ConnectFailed as error:
                reason = str(error)
            self._failed(self.generation, reason)

    async def _serve(self) -> str:
        """Serve the connection; return why it ended."""
        options = self._options
        async with open_connection(
            self.address,
            connect_timeout_s=options.connect_timeout_s,
            username=options.username,
            password=options.password,
            client_name=options.client_name,
            protocol=options.protocol,
            reply_timeout_s=options.reply_timeout_s,
            ping_interval_s=options.reply_timeout_s,
            max_pending=options.max_pending,
            tls_context=options.tls_context,
        ) as connection:
            objection = await self._objection(connection)
            if objection is not None:
                return objection
            self.connection = connection
            self._verified(self.generation)
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._close_when_retired, connection)
                lost = await connection.wait_closed()
                nursery.cancel_scope.cancel()
            return str(lost)

    async def _objection(self, connection: Connection) -> str | None:
        """Ask for the role; return why this node cannot be used, or None if it is a master."""
        try:
            with trio.move_on_after(self._options.connect_timeout_s) as scope:
                role = read_role(await connection.execute("ROLE"))
        except (ReplyError, ProtocolError, ConnectionLost) as error:
            return f"{self.address} did not tell its role: {error}"
        if scope.cancelled_caught:
            return f"{self.address} did not tell its role in time"
        return None if role == "master" else f"{self.address} says its role is {role}"

    async def _close_when_retired(self, connection: Connection) -> None:
        await self._is_retired.wait()
        try:
            with trio.move_on_after(_RETIREMENT_S):
                # Replies come in order: when this one has come, all before it have.
                await connection.execute("PING")
        except (ReplyError, ConnectionLost):
            pass  # an error is a reply, and a lost connection needs no waiting
        connection.close("retired: the node is no master any more")
