"""A pump that serves real sockets on loopback, and the peers at the other end."""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import trio

from tests.support.kernel import START_MS, KernelEngine, as_request
from vedette.clients import Session
from vedette.runtime.background import open_background_nursery
from vedette.runtime.listening import open_listeners
from vedette.runtime.pump import Pump

PING = as_request("PING")
PONG = b"+PONG\r\n"


class Served:
    """A pump that serves a `KernelEngine` on a port of its own."""

    def __init__(self, engine: KernelEngine, pump: Pump, listener: socket.socket) -> None:
        self.engine = engine
        self.pump = pump
        self.port: int = listener.getsockname()[1]
        #: Cancelling it ends the pump.
        self.scope = trio.CancelScope()
        self.peers: list[Peer] = []

    async def connect(self) -> Peer:
        """Open a connection, which is closed in the end."""
        peer = Peer(await trio.open_tcp_stream("127.0.0.1", self.port))
        self.peers.append(peer)
        return peer

    async def run(
        self,
        listeners: list[socket.socket],
        *,
        task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED,
    ) -> None:
        with self.scope:
            await self.pump.serve(listeners, task_status=task_status)

    def session(self) -> Session:
        """Return the session of the only client."""
        [session] = self.engine.clients
        return session


class Peer:
    """The other end of a connection."""

    def __init__(self, stream: trio.SocketStream) -> None:
        self.stream = stream

    async def ask(self, data: bytes, size: int) -> bytes:
        """Send `data` and return the next `size` bytes."""
        await self.stream.send_all(data)
        return await self.read(size)

    async def read(self, size: int) -> bytes:
        """Return the next `size` bytes, or fewer if the connection ends before."""
        received = bytearray()
        while len(received) < size:
            data = await self.stream.receive_some(size - len(received))
            if not data:
                break
            received += data
        return bytes(received)

    async def read_all(self) -> bytes:
        """Return what comes until the connection ends."""
        received = bytearray()
        async for data in self.stream:
            received += data
        return bytes(received)

    async def is_served(self) -> bool:
        return await self.ask(PING, len(PONG)) == PONG


# Any: the options are the pump's own keyword arguments.
@asynccontextmanager
async def serving(*, password: bytes = b"", **options: Any) -> AsyncIterator[Served]:
    """Serve an engine until the body ends, which must be within ten seconds."""
    engine = KernelEngine(password=password)
    [listener] = open_listeners(["127.0.0.1"], 0, 100)
    options.setdefault("clock_ms", lambda: START_MS)
    with listener, trio.fail_after(10):
        served = Served(engine, Pump(engine, **options), listener)
        async with open_background_nursery() as nursery:
            await nursery.start(served.run, [listener])
            try:
                yield served
            finally:
                for peer in served.peers:
                    peer.stream.socket.close()
