"""A link that can be interrupted: what stands before a node in drills of the network.

A `FaultProxy` listens where everybody takes the node to be, and relays to where it is. While it is
held nothing gets through in either direction, no connection ends and none is refused: as with a
network that swallows packets, nobody is told anything. What was on its way arrives after the
release, as what TCP sends again does. Bytes are relayed as they are, TLS included.

One chunk for each direction of a connection is all that it holds; who sends more has to wait.
"""

from __future__ import annotations

import socket
import struct
from typing import Final

import trio

_CHUNK_BYTES: Final = 64 * 1024
#: SO_LINGER with a time of 0: to close is to reset.
_RESET: Final = struct.pack("ii", 1, 0)


class FaultProxy:
    """Relays what comes to `port` of `host` to `target_port` of the same; `run` is its task."""

    def __init__(self, host: str, port: int, target_port: int) -> None:
        self._host = host
        self._port = port
        self._target_port = target_port
        #: Set while bytes may pass.
        self._flow = trio.Event()
        self._flow.set()

    @property
    def is_held(self) -> bool:
        """Whether nothing gets through."""
        return not self._flow.is_set()

    def hold(self) -> None:
        """Let nothing through from now on."""
        if not self.is_held:
            self._flow = trio.Event()

    def release(self) -> None:
        """Let through what waits, and all that follows."""
        self._flow.set()

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Relay until cancelled.

        Raises:
            OSError: the port cannot be had.
        """
        listeners = await trio.open_tcp_listeners(self._port, host=self._host)
        task_status.started()
        await trio.serve_listeners(self._serve, listeners)

    async def _serve(self, near: trio.SocketStream) -> None:
        async with near:
            await self._pass()
            try:
                far = await trio.open_tcp_stream(self._host, self._target_port)
            except OSError:
                # The node is gone. A connection that stands already can only be reset.
                near.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
                return
            async with far, trio.open_nursery() as nursery:
                nursery.start_soon(self._relay, near, far, nursery.cancel_scope)
                nursery.start_soon(self._relay, far, near, nursery.cancel_scope)

    async def _relay(
        self, source: trio.SocketStream, sink: trio.SocketStream, connection: trio.CancelScope
    ) -> None:
        """Relay one direction to its end; what breaks ends the other direction as well."""
        try:
            while data := await source.receive_some(_CHUNK_BYTES):
                await self._pass()
                await sink.send_all(data)
            await self._pass()
            await sink.send_eof()
        except trio.BrokenResourceError:
            # That one side is broken is news, too, and does not get through before the release.
            await self._pass()
            connection.cancel()

    async def _pass(self) -> None:
        while self.is_held:
            await self._flow.wait()
