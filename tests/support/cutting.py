"""A link that breaks where a test says: between a replica and its master, after so many bytes.

`CuttingProxy` listens on a port that the replica takes for its master's. Each connection is cut
after the number of bytes, in one of the directions, that `next_cut` gives for it, wherever in a
handshake, snapshot or stream that is; None lets it be.
"""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable
from dataclasses import dataclass
from types import TracebackType

__all__ = ["Cut", "CuttingProxy"]


@dataclass(frozen=True, slots=True)
class Cut:
    """Where a connection breaks: after `size_bytes` in the direction of the replica, or of the
    master.
    """

    size_bytes: int
    is_towards_replica: bool


class CuttingProxy:
    """A context manager; leaving it ends all connections."""

    def __init__(self, target_port: int, next_cut: Callable[[], Cut | None]) -> None:
        self._target_port = target_port
        self._next_cut = next_cut
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._threads: list[threading.Thread] = []
        self._sockets: list[socket.socket] = []
        #: How many connections were cut.
        self.cut_count = 0
        self._lock = threading.Lock()

    def __enter__(self) -> CuttingProxy:
        self._start(self._accept)
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for each in self._sockets:
            _end(each)
        for thread in self._threads:
            thread.join(10)

    def _start(self, work: Callable[[], None]) -> None:
        thread = threading.Thread(target=work, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        while True:
            try:
                replica, _ = self._listener.accept()
            except OSError:
                return
            try:
                master = socket.create_connection(("127.0.0.1", self._target_port), timeout=10)
            except OSError:
                replica.close()
                continue
            master.settimeout(None)
            self._sockets += (replica, master)
            cut = self._next_cut()
            for source, sink, is_towards_replica in (
                (master, replica, True),
                (replica, master, False),
            ):
                is_cut = cut is not None and cut.is_towards_replica == is_towards_replica
                limit = cut.size_bytes if cut is not None and is_cut else None
                self._start(lambda s=source, t=sink, n=limit: self._relay(s, t, n))

    def _relay(self, source: socket.socket, sink: socket.socket, limit: int | None) -> None:
        """Pass bytes on until the connection ends, or `limit` of them have passed."""
        left = limit
        try:
            while data := source.recv(65536 if left is None else min(left, 65536)):
                sink.sendall(data)
                if left is not None:
                    left -= len(data)
                    if left == 0:
                        with self._lock:
                            self.cut_count += 1
                        break
        except OSError:
            pass  # ended from the other side
        _end(source)
        _end(sink)


def _end(connection: socket.socket) -> None:
    """End a connection for both sides at once."""
    with contextlib.suppress(OSError):
        connection.shutdown(socket.SHUT_RDWR)
    connection.close()
