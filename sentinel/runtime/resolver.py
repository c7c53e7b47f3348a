"""Host names looked up beside everything else: bounded in time and number, and remembered briefly.

Owns the threads that wait for the system's resolver, which cannot be interrupted. A name server
that answers nobody holds up these few threads and nothing else: neither the machine nor the saving
of its state. Whoever asks for a name that is being looked up joins that look-up.
"""

from __future__ import annotations

import socket
from collections.abc import Callable
from typing import Final

import structlog
import trio

log = structlog.get_logger()

#: A look-up that takes longer has failed, as far as anybody here is concerned.
DEADLINE_S: Final = 2.0
#: What was found, or was not, is taken for true this long.
CACHE_S: Final = 1.0
THREADS_MAX: Final = 8
#: Names remembered at the same time; the oldest are forgotten first.
CACHE_MAX: Final = 10_000


def look_up(host: str) -> tuple[str, ...]:
    """Return the IPs of `host` in the system's order. Blocks.

    Raises:
        OSError, UnicodeError: there is none, or it is no name.
    """
    found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    return tuple(dict.fromkeys(str(entry[4][0]) for entry in found))


class Resolver:
    """Looks host names up; `look_up(host)` does so in a thread."""

    def __init__(self, look_up: Callable[[str], tuple[str, ...]] = look_up) -> None:
        self._look_up = look_up
        self._threads = trio.CapacityLimiter(THREADS_MAX)
        self._under_way: dict[str, trio.Event] = {}
        #: Names whose last look-up failed.
        self._missing: set[str] = set()
        #: When it was found, and what; oldest first.
        self._found: dict[str, tuple[float, tuple[str, ...]]] = {}

    async def resolve(self, host: str) -> tuple[str, ...]:
        """Return the IPs of `host`, none if they cannot be found in time."""
        while True:
            known = self._found.get(host)
            if known is not None and trio.current_time() - known[0] <= CACHE_S:
                return known[1]
            under_way = self._under_way.get(host)
            if under_way is None:
                break
            await under_way.wait()
        over = self._under_way[host] = trio.Event()
        try:
            found = await self._find(host)
            self._found.pop(host, None)
            self._found[host] = (trio.current_time(), found)
            if len(self._found) > CACHE_MAX:
                del self._found[next(iter(self._found))]
        finally:
            del self._under_way[host]
            over.set()
        return found

    async def _find(self, host: str) -> tuple[str, ...]:
        reason = f"no answer in {DEADLINE_S:g} s"
        found: tuple[str, ...] = ()
        with trio.move_on_after(DEADLINE_S):
            try:
                found = await trio.to_thread.run_sync(
                    self._look_up, host, limiter=self._threads, abandon_on_cancel=True
                )
            except (OSError, UnicodeError) as error:
                reason = str(error)
        self._report(host, found, reason)
        return found

    def _report(self, host: str, found: tuple[str, ...], reason: str) -> None:
        """Log when a name ceases to be found and when it is again, not each time it is not."""
        if found and host in self._missing:
            self._missing.remove(host)
            log.info("sentinel.name_resolved", host=host, addresses=list(found))
        elif not found and host not in self._missing and len(self._missing) < CACHE_MAX:
            self._missing.add(host)
            log.warning("sentinel.name_not_resolved", host=host, error=reason)
