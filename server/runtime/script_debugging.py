"""A client's connection in the hands of a debugger: used directly, blocking, in a child or here.

The pump keeps the socket; the debugger has a duplicate of its descriptor. A child has nothing else
of the server's, and never touches trio (see `child`).

Reference behaviour: redis eval.c: ldbStartSession, ldbKillForkedSessions.
"""

from __future__ import annotations

import os
import socket
import struct
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Final

import structlog

from vedette.clients import Session
from vedette.errors import CommandError

from ..scripting.debugger import Wire
from .child import start_child

log = structlog.get_logger()

#: How long one who does not read may hold up a send.
SEND_TIMEOUT_S: Final = 5
_RECEIVE_SIZE: Final = 16 * 1024
#: Sessions in children at a time: each is a copy of the server.
SESSIONS_MAX: Final = 16


class SocketWire:
    """Implements `Wire`. Whoever has gone is noticed when something is to be received."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection

    def send(self, data: bytes) -> None:
        """See `Wire`."""
        try:
            self._connection.sendall(data)
        except OSError as error:
            log.info("script_debugger.not_sent", error=str(error))

    def receive(self) -> bytes:
        """See `Wire`."""
        try:
            return self._connection.recv(_RECEIVE_SIZE)
        except OSError:  # reset: as gone as one that was closed
            return b""


class ScriptDebugging:
    """Implements `server.scripting.debugging.DebugHost`.

    `start_task` runs a task as long as the server; `is_plain(session)`: it is not over TLS.
    `on_fork(pid)` is told of each child.
    """

    def __init__(
        self,
        start_task: Callable[[Callable[[], Awaitable[None]]], None],
        is_plain: Callable[[Session], bool],
        on_fork: Callable[[int], None],
    ) -> None:
        self._start_task = start_task
        self._on_fork = on_fork
        self._is_plain = is_plain
        self._session_count = 0

    def debug_here(self, session: Session, work: Callable[[Wire], bytes]) -> bytes:
        """See `DebugHost`."""
        with self._borrowed(session) as connection:
            connection.setblocking(True)
            try:
                return work(SocketWire(connection))
            finally:
                connection.setblocking(False)

    def debug_in_child(self, session: Session, work: Callable[[Wire], bytes]) -> None:
        """See `DebugHost`."""
        if self._session_count >= SESSIONS_MAX:
            raise CommandError(b"ERR Too many scripts are being debugged")
        with self._borrowed(session) as connection:
            try:
                child = start_child(
                    partial(_debug, connection, work), keep_descriptors=[connection.fileno()]
                )
            except OSError as error:
                raise CommandError(
                    b"ERR Fork() failed: can't run EVAL in debugging mode: %b"
                    % (error.strerror or str(error)).encode()
                ) from error
        self._on_fork(child.pid)
        log.warning("script_debugger.started", child_pid=child.pid, client_id=session.id)
        self._session_count += 1

        async def wait() -> None:
            try:
                outcome = await child.wait()
            finally:
                self._session_count -= 1
            log.warning(
                "script_debugger.ended",
                child_pid=child.pid,
                status=outcome.status.name.lower(),
                error=outcome.error,
            )

        self._start_task(wait)

    @contextmanager
    def _borrowed(self, session: Session) -> Iterator[socket.socket]:
        """Give a socket that leads to the client, too."""
        if session.file_descriptor < 0 or not self._is_plain(session):
            raise CommandError(b"ERR scripts cannot be debugged over this connection")
        with socket.socket(fileno=os.dup(session.file_descriptor)) as connection:
            connection.setsockopt(
                socket.SOL_SOCKET, socket.SO_SNDTIMEO, struct.pack("ll", SEND_TIMEOUT_S, 0)
            )
            yield connection


def _debug(connection: socket.socket, work: Callable[[Wire], bytes]) -> int:
    """Be the child: have the script debugged, and send its reply."""
    connection.setblocking(True)
    wire = SocketWire(connection)
    reply = work(wire)
    wire.send(reply)
    return len(reply)
