"""One task for all connections that stand: waits on one epoll, and tells whose socket is ready.

A task for each connection would be woken by trio for each reply, which costs more than what the
reply leads to; here trio wakes one task for all that are ready at once. The pump of the client port
(`vedette/runtime/pump.py`) is built the same way and says more about it.
"""

from __future__ import annotations

import select
import socket
from collections.abc import Callable

import trio


class Poller:
    """Calls `on_ready(mask)` of each socket added, whenever it is ready.

    The sockets stay their owners', who remove them before closing. `after_batch()` is called once
    all that were ready have been served.
    """

    def __init__(self, after_batch: Callable[[], None] = lambda: None) -> None:
        self._after_batch = after_batch
        self._epoll = select.epoll()
        self._handlers: dict[int, Callable[[int], None]] = {}

    def __len__(self) -> int:
        return len(self._handlers)

    def add(
        self,
        connection: socket.socket,
        on_ready: Callable[[int], None],
        *,
        is_writing: bool = False,
    ) -> None:
        """Begin to watch `connection` for bytes to read, or its end; and for room to write."""
        events = select.EPOLLIN | select.EPOLLOUT if is_writing else select.EPOLLIN
        self._epoll.register(connection, events)
        self._handlers[connection.fileno()] = on_ready

    def modify(self, connection: socket.socket, *, is_writing: bool) -> None:
        """Say whether to watch for room to write as well."""
        events = select.EPOLLIN | select.EPOLLOUT if is_writing else select.EPOLLIN
        self._epoll.modify(connection, events)

    def remove(self, connection: socket.socket) -> None:
        """Watch `connection` no more; what is known to be ready of it is not told either."""
        self._epoll.unregister(connection)
        del self._handlers[connection.fileno()]

    def close(self) -> None:
        """Give the epoll back, once `run` has ended and all sockets are removed."""
        self._epoll.close()

    def serve_ready(self) -> None:
        """Serve every socket that is ready now, once each.

        All of them in one go: until the last has been read, nobody can tell who did not answer.
        """
        for descriptor, mask in self._epoll.poll(0, len(self._handlers) + 1):
            on_ready = self._handlers.get(descriptor)
            if on_ready is not None:  # else removed by what another's bytes led to
                on_ready(mask)
        self._after_batch()

    async def run(self) -> None:
        """Serve until cancelled."""
        while True:
            await trio.lowlevel.wait_readable(self._epoll.fileno())
            self.serve_ready()
