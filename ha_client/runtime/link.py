"""The connection to the node that is believed to be master: made, checked, kept, given up.

Owns one generation's connection. Whether the node may be used, and until when, is the follower's to
say; commands are the client's.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import trio

from vedette.resp.exchange import ReplyError
from vedette.runtime.connecting import ConnectFailed
from vedette.runtime.connection import Connection, ConnectionLost
from vedette.types import Address

from .nodes import NodeOptions, objection_to, open_node

#: How long a retired connection may take to answer what is in flight.
_RETIREMENT_S: Final = 1.0


class MasterLink:
    """One attempt at a master; `run` is its task.

    `verified` is called when the node says that it is master, `failed` with a reason when there is
    no connection (any more). Both return at once.
    """

    def __init__(
        self,
        generation: int,
        address: Address,
        options: NodeOptions,
        *,
        verified: Callable[[int], None],
        failed: Callable[[int, str], None],
    ) -> None:
        self.generation = generation
        self.address = address
        #: Configuration epoch in which this node is master; set when it is put to use.
        self.epoch = -1
        self.connection: Connection | None = None
        #: Set when it is used no more; what else leads to this node goes by it.
        self.left = trio.Event()
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

    async def close_when_left(self, connection: Connection) -> None:
        """Close another connection to this node when this link is used no more."""
        await self.left.wait()
        connection.close(f"{self.address} is not in use any more")

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
        async with open_node(self.address, self._options) as connection:
            objection = await objection_to(connection, self._options)
            if objection is not None:
                return objection
            self.connection = connection
            self._verified(self.generation)
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._close_when_retired, connection)
                lost = await connection.wait_closed()
                nursery.cancel_scope.cancel()
            return str(lost)

    async def _close_when_retired(self, connection: Connection) -> None:
        await self._is_retired.wait()
        try:
            with trio.move_on_after(_RETIREMENT_S):
                # Replies come in order: when this one has come, all before it have.
                await connection.execute("PING")
        except (ReplyError, ConnectionLost):
            pass  # an error is a reply, and a lost connection needs no waiting
        connection.close("retired: the node is no master any more")
