"""Freeing large values a little at a time, so that nobody waits for it.

To let go of a collection of a million elements takes Python some 100 ms, in one piece. Instead it
is put here, out of reach of all commands, and its containers are emptied piece by piece between
batches (Redis does it in a thread, `lazyfree.c`; a thread would hold Python's lock all the same).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any, Final

from .values import Collection, Container, Value

#: Values with no more elements are freed at once, as in Redis.
THRESHOLD: Final = 64
#: Elements that are let go between two looks at the clock.
_PIECE: Final = 256


class _Job:
    """Containers to be emptied, of `count` objects."""

    __slots__ = ("containers", "count")

    def __init__(self, containers: list[Container], count: int) -> None:
        self.containers = containers
        self.count = count


class LazyFree:
    """`on_work()` is called when there is something to do; then `run` is to be, until all is."""

    def __init__(self, on_work: Callable[[], object] = lambda: None) -> None:
        self.on_work = on_work
        self._jobs: deque[_Job] = deque()
        #: Keys whose values wait to be freed, and that have been (INFO lazyfree_pending_objects,
        #: lazyfreed_objects).
        self.pending_count = 0
        self.freed_count = 0

    def add(self, value: Value) -> None:
        """Free a value that no key leads to any more; a small one is gone on return."""
        if isinstance(value, Collection) and len(value) > THRESHOLD:
            self._begin(value.containers(), 1)

    def add_dataset(self, values: dict[bytes, Value]) -> None:
        """Free all that a database held."""
        if values:
            self._begin([values], len(values))

    def _begin(self, containers: list[Container], count: int) -> None:
        self._jobs.append(_Job(containers, count))
        self.pending_count += count
        self.on_work()

    def run(self, is_over: Callable[[], bool]) -> bool:
        """Free until `is_over()`; return whether something is left."""
        while self._jobs:
            job = self._jobs[0]
            containers = job.containers
            while containers:
                container = containers[-1]
                if not container:
                    containers.pop()
                    continue
                self._empty(container, containers)
                if is_over():
                    return True
            self._jobs.popleft()
            self.pending_count -= job.count
            self.freed_count += job.count
        return False

    def _empty(self, container: Container, containers: list[Container]) -> None:
        """Let go of a piece of `container`; large values in it join `containers`."""
        if isinstance(container, list):
            del container[-1 if type(container[-1]) is list else -_PIECE :]
            return
        pop: Callable[[], Any] = container.popitem if isinstance(container, dict) else container.pop
        for _ in range(min(_PIECE, len(container))):
            item = pop()
            if type(item) is tuple and isinstance(item[1], Collection) and len(item[1]) > THRESHOLD:
                containers.extend(item[1].containers())
                return
