"""The connection to a master: its socket, how it is read and written, and how it is left unread.

To wait for bytes and to take them are two steps, so that what has arrived is either still in the
socket or in the hands of who applies it, and whoever has to (`LinkAttempt.drain`) can take all that
there is at any moment. Over TLS that holds only of the piece that was waited for.
"""

from __future__ import annotations

import os
import socket
import ssl
from contextlib import suppress
from typing import Final

import trio

from vedette.runtime.tls import secure
from vedette.types import Address

RECEIVE_BYTES: Final = 64 * 1024
#: So much in the socket ends a rest. The socket makes room for twice that, so the master is not
#: kept from sending meanwhile: what it could not send would be lost with it.
REST_MAX_BYTES: Final = 256 * 1024


class MasterConnection:
    """One connection, open until `aclose`. Errors of the network are OSError or trio's."""

    def __init__(self, stream: trio.abc.Stream) -> None:
        self._stream = stream
        is_plain = isinstance(stream, trio.SocketStream)
        transport = stream.transport_stream if isinstance(stream, trio.SSLStream) else stream
        assert isinstance(transport, trio.SocketStream)
        self._socket = transport.socket
        #: Whether all that has arrived can be taken without waiting: not over TLS.
        self.can_be_drained = is_plain
        #: Over TLS: what has arrived and was not taken.
        self._held: bytes | None = None
        #: How much must be in the socket before it counts as readable.
        self._low_water_bytes = 1

    @classmethod
    async def open(
        cls, master: Address, source_address: str, tls_context: ssl.SSLContext | None
    ) -> MasterConnection:
        """Connect to `master` from the local address `source_address`, or any if it is empty."""
        stream = await trio.open_tcp_stream(
            master.host, master.port, local_address=source_address or None
        )
        return cls(await secure(stream, tls_context))

    async def aclose(self) -> None:
        """Close the connection."""
        await self._stream.aclose()

    async def send(self, data: bytes) -> None:
        """Send all of `data`."""
        await self._stream.send_all(data)

    async def rest(self, rest_ms: int) -> None:
        """Wait so long; less if much has arrived or the connection has ended.

        Then there may be something to take, or not.
        """
        if not self.can_be_drained:
            await trio.sleep(rest_ms / 1000)
            return
        self._set_low_water_mark(REST_MAX_BYTES)
        with trio.move_on_after(rest_ms / 1000):
            await trio.lowlevel.wait_readable(self._socket)

    def _set_low_water_mark(self, size_bytes: int) -> None:
        if size_bytes == self._low_water_bytes:
            return
        self._low_water_bytes = size_bytes
        # Where the system does not know of it, the next bytes end a rest.
        with suppress(OSError):
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT, size_bytes)

    async def wait_arrived(self) -> None:
        """Wait until there is something to take."""
        if self.can_be_drained:
            self._set_low_water_mark(1)
            await trio.lowlevel.wait_readable(self._socket)
        elif self._held is None:
            self._held = bytes(await self._stream.receive_some(RECEIVE_BYTES))
        else:
            await trio.lowlevel.checkpoint()

    def take_nowait(self) -> bytes | None:
        """Return a piece of what has arrived; empty at the end, None while there is nothing."""
        if not self.can_be_drained:
            held, self._held = self._held, None
            return held
        try:
            return os.read(self._socket.fileno(), RECEIVE_BYTES)
        except BlockingIOError:
            return None
