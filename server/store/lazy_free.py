"""Freeing large values a little at a time, so that nobody waits for it.

To let go of a collection of a million elements takes Python some 100 ms, in one piece. Instead it
is put here, out of reach of all commands, and its containers are emptied piece by piece between
batches (Redis does it in a thread, `lazyfree.c`; a thread would hold Python's lock all the same).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from itertools import repeat
from typing import Final

from .values import Collection, Container, Value

#: Values with no more elements are freed at once, as in Redis.
THRESHOLD: Final = 64
#: Elements that are let go between two looks at the clock.
_PIECE: Final = 256


class _Job:
    """Containers to be emptied, of `count` objects; `dataset` is the one that has values in it."""

    __slots__ = ("containers", "count", "dataset")

    def __init__(
        self, containers: list[Container], count: int, dataset: dict[bytes, Value] | None = None
    ) -> None:
        self.containers = containers
        self.count = count
        self.dataset = dataset


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
            self._begin(_Job(value.containers(), 1))

    def add_dataset(self, values: dict[bytes, Value]) -> None:
        """Free all that a database held."""
        if values:
            self._begin(_Job([values], len(values), values))

    def _begin(self, job: _Job) -> None:
        self._jobs.append(job)
        self.pending_count += job.count
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
                if container is job.dataset:
                    _empty_dataset(job.dataset, containers)
                else:
                    _empty(container)
                if is_over():
                    return True
            self._jobs.popleft()
            self.pending_count -= job.count
            self.freed_count += job.count
        return False


def _empty(container: Container) -> None:
    """Let go of a piece of `container`."""
    if isinstance(container, list):
        del container[-1 if type(container[-1]) is list else -_PIECE :]
        return
    pop: Callable[[], object] = container.popitem if isinstance(container, dict) else container.pop
    for _ in repeat(None, min(_PIECE, len(container))):
        pop()


def _empty_dataset(values: dict[bytes, Value], containers: list[Container]) -> None:
    """Let go of some values; a large one joins `containers`."""
    for _ in repeat(None, min(_PIECE, len(values))):
        _, value = values.popitem()
        if type(value) is not bytes and len(value) > THRESHOLD:
            assert isinstance(value, Collection)
            containers.extend(value.containers())
            return
