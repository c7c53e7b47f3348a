"""One task for all connections that stand: waits on one epoll, and tells whose socket is ready.

A task for each connection would be woken by trio for each reply, which costs more than what the
reply leads to; here trio wakes one task for all that are ready at once. The pump of the client port
(`vedette/runtime/pump.py`) is built the same way and says more about it.
"""

from __future__ import annotations

import select
import socket
import time
from collections.abc import Callable
from typing import Final

import trio

#: So long at most before what a turn has left to be said is sent, and other tasks may run. With
#: many masters that die together, the news of the first would wait until the last is dealt with,
#: and hello messages on the clients' port as well.
TURN_S: Final = 0.0005


class Poller:
    """Calls `on_ready(mask)` of each socket added, whenever it is ready.

    The sockets stay their owners', who remove them before closing. `before_batch()` is called
    before any of those that are ready is served, `after_batch()` when all have been, or as many as
    a turn has time for.
    """

    def __init__(
        self,
        before_batch: Callable[[], None] = lambda: None,
        after_batch: Callable[[], None] = lambda: None,
        clock_s: Callable[[], float] = time.perf_counter,
    ) -> None:
        self._before_batch = before_batch
        self._after_batch = after_batch
        self._clock_s = clock_s
        self._epoll = select.epoll()
        self._handlers: dict[int, Callable[[int], None]] = {}
        #: What was ready and is not served yet, the first last: descriptor, mask and handler.
        self._ready: list[tuple[int, int, Callable[[int], None]]] = []

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
        self._before_batch()
        while self._ready:
            self._serve_next()
        self._look()
        while self._ready:
            self._serve_next()
        self._after_batch()

    def _serve_turn(self) -> None:
        """Serve who is ready, for a while; who is left over comes before anybody anew."""
        self._before_batch()
        if not self._ready:
            self._look()
        end_s = self._clock_s() + TURN_S
        while self._ready:
            self._serve_next()
            if self._clock_s() >= end_s:
                break
        self._after_batch()

    def _look(self) -> None:
        handlers = self._handlers
        found = self._epoll.poll(0, len(handlers) + 1)
        self._ready = [(each, mask, handlers[each]) for each, mask in reversed(found)]

    def _serve_next(self) -> None:
        descriptor, mask, on_ready = self._ready.pop()
        # Else it was removed by what another's bytes led to, and the number may be another's.
        if self._handlers.get(descriptor) is on_ready:
            on_ready(mask)

    async def run(self) -> None:
        """Serve until cancelled."""
        while True:
            if self._ready:
                await trio.lowlevel.checkpoint()
            else:
                await trio.lowlevel.wait_readable(self._epoll.fileno())
            self._serve_turn()
