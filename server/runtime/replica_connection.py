"""The connection of one replica: its socket, the task that reads it, the one that waits to write.

Whatever goes to the replica goes through `flush_nowait`, which sends until the socket takes no
more; only then the writer waits for the socket and goes on. What is sent, and what becomes of what
the replica says, is its owner's business (`feeds.py`).
"""

from __future__ import annotations

import socket
import ssl
from contextlib import suppress
from typing import Final, Protocol

import trio

from vedette.clients import Session

from ..engine import ServerEngine
from ..replication.feed import DropReason, Feed, FeedState
from ..replication.state import Replication

#: What one read from a backlog, file or pipe takes, and so one send.
PIECE_BYTES: Final = 64 * 1024
#: What one flush may send before other tasks have their turn.
FLUSH_MAX_BYTES: Final = 4 * 1024 * 1024
RECEIVE_BYTES: Final = 16 * 1024


class ConnectionOwner(Protocol):
    """Who a connection belongs to, as it sees it."""

    engine: ServerEngine
    replication: Replication

    def receive(self, connection: ReplicaConnection, data: bytes) -> None:
        """Take what a replica said."""

    def end(self, connection: ReplicaConnection, reason: DropReason) -> None:
        """Give a replica up; closes the connection."""


class ReplicaConnection:
    """The connection of one feed. Owns the socket and is the only one that sends on it."""

    def __init__(self, owner: ConnectionOwner, session: Session, feed: Feed) -> None:
        self.session = session
        self.feed = feed
        self._owner = owner
        #: None until the pump has handed it over.
        self._socket: socket.socket | None = None
        self._is_closed = False
        self._is_running = False
        #: What goes before the stream and is not in the backlog: replies, keepalives, snapshots.
        self._output = bytearray()
        #: Set when the socket takes no more; the writer waits for it and goes on.
        self._congested = trio.Event()
        #: Set when `_output` is empty; replaced when something is put into it.
        self._drained = trio.Event()
        self._scope = trio.CancelScope()

    def is_in(self, state: FeedState) -> bool:
        """Say whether the feed is in `state` now."""
        return self.feed.state is state

    def begin(self, connection: socket.socket, first_output: bytes) -> None:
        """Take the socket over and send `first_output`."""
        self._socket = connection
        self.push(first_output)

    def close(self) -> None:
        """End the connection; what was not sent is lost. Its task, if it runs, closes the
        socket.
        """
        self._is_closed = True
        self._drained.set()
        self._scope.cancel()
        if not self._is_running and self._socket is not None:
            self._socket.close()

    async def run(self) -> None:
        """Serve the connection to its end, then close it."""
        connection = self._socket
        assert connection is not None
        if self._is_closed:
            return  # ended before its task had its first turn
        self._is_running = True
        try:
            with self._scope:
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(self._write, connection)
                    await self._read(connection)
                    nursery.cancel_scope.cancel()
        finally:
            self._is_closed = True
            connection.close()

    async def _read(self, connection: socket.socket) -> None:
        """Take what the replica says until the connection ends."""
        while True:
            await trio.lowlevel.wait_readable(connection)
            if self._is_closed:
                return
            try:
                data = connection.recv(RECEIVE_BYTES)
            except BlockingIOError:
                continue
            except OSError:  # reset: nobody is left to tell
                data = b""
            if not data:
                self._owner.end(self, DropReason.DISCONNECTED)
                return
            self._owner.receive(self, data)

    async def _write(self, connection: socket.socket) -> None:
        """Go on sending whenever the socket, once full, takes more."""
        while True:
            await self._congested.wait()
            await trio.lowlevel.wait_writable(connection)
            self._congested = trio.Event()
            self.flush_nowait()

    def push(self, data: bytes) -> None:
        """Send `data` after what is already to be sent, as far as the socket takes it now."""
        if data and not self._is_closed:
            self._output += data
            if self._drained.is_set():
                self._drained = trio.Event()
        self.flush_nowait()

    async def send(self, data: bytes) -> None:
        """Send `data`, and wait until the socket has taken all of it."""
        self.push(data)
        if self._output:
            await self._drained.wait()
        else:
            await trio.lowlevel.checkpoint()

    def flush_nowait(self, *, is_more_to_come: bool = False) -> None:
        """Send what there is to be sent until the socket takes no more.

        With `is_more_to_come` the system has it, but may wait for a packet full of it until
        `push_held` is called.
        """
        connection, backlog = self._socket, self._owner.replication.backlog
        if connection is None or backlog is None or self._is_closed or self._congested.is_set():
            return
        if self.session.is_close_requested:
            return  # killed in this batch: it gets no more, and asks anew for what it lacks
        feed, output = self.feed, self._output
        statistics = self._owner.engine.context.statistics
        # Over TLS there is no such flag: a record is a packet.
        is_held = is_more_to_come and not isinstance(connection, ssl.SSLSocket)
        flags = socket.MSG_MORE if is_held else 0
        sent_bytes = 0
        while sent_bytes < FLUSH_MAX_BYTES:
            data = output or feed.next_output(backlog, PIECE_BYTES)
            if not data:
                if feed.state is FeedState.CLOSED:
                    self._owner.end(self, DropReason.OUTPUT_LIMIT)
                return
            try:
                sent = connection.send(data, flags)
            except BlockingIOError:
                sent = 0
            except OSError:  # the reader sees the end as well, but may come later
                self._owner.end(self, DropReason.DISCONNECTED)
                return
            sent_bytes += sent
            statistics.repl_output_bytes += sent
            if data is output:
                del output[:sent]
                if not output:
                    self._drained.set()
            elif sent < len(data):
                output += data[sent:]
            elif sent < PIECE_BYTES:
                return  # that was the end of the stream
            if output:
                break
        self._congested.set()

    def push_held(self) -> None:
        """Have the system send what it has kept for a packet full."""
        if self._socket is not None and not self._is_closed:
            # To set the option anew is what does it. Other sockets than TCP's keep nothing.
            with suppress(OSError):
                self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
