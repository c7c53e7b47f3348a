"""Writers under a drill: several tasks that set unique keys and increment one counter.

Each writer has one operation open at a time and writes the history as it goes. What a key holds
tells who wrote it, so the checkers can judge every single write. The mix of operations and the
pauses come from a seeded generator for each writer; the interleaving with the servers does not.
"""

from __future__ import annotations

import random
import time
from collections.abc import Awaitable, Callable
from typing import Protocol

import trio

from ha_client.errors import WriteUncertain
from vedette.errors import VedetteError

from ..history import History, Outcome
from ..keys import LAB_KEYS, Keys

#: Share of increments among the operations.
_INCREMENT_SHARE = 0.3
#: Mean pause of a writer between two operations.
_MEAN_PAUSE_S = 0.005
#: An operation that takes longer is given up, its outcome unknown. The client itself ends sooner.
_OPERATION_TIMEOUT_S = 40.0
#: Before a writer tries something new after an error.
_PAUSE_AFTER_ERROR_S = 0.02


def outcome_of(error: VedetteError) -> Outcome:
    """Return what an error of the client says of the write: refused or not sent, or unknown."""
    return Outcome.INFO if isinstance(error, WriteUncertain) else Outcome.FAIL


class WritingClient(Protocol):
    """What the writers need of a client."""

    async def set(self, key: bytes, value: bytes, *, ex: int | None) -> object: ...

    async def incr(self, key: bytes) -> int: ...


class Workload:
    """The writers of one drill; `run` ends soon after `stop`."""

    def __init__(
        self,
        client: WritingClient,
        *,
        writer_count: int,
        seed: int,
        keys: Keys = LAB_KEYS,
    ) -> None:
        self.keys = keys
        self.history = History(writer_count)
        self.writers = range(writer_count)
        self._client = client
        self._randoms = [random.Random(f"{seed}/{writer}") for writer in self.writers]
        self._stopping = trio.Event()
        self._acknowledged = trio.Event()
        self._mark_ns = 0
        self._first_ok_ns: dict[int, int] = {}

    def mark(self, time_ns: int) -> None:
        """Begin to look for each writer's first acknowledgement of what it asks after now."""
        self._mark_ns = time_ns
        self._first_ok_ns = {}

    def first_ok_ns(self) -> list[int | None]:
        """Return for each writer when it was first acknowledged since the mark, None if never."""
        return [self._first_ok_ns.get(writer) for writer in self.writers]

    def unacknowledged(self) -> list[int]:
        """Return the writers that were not acknowledged anything since the mark."""
        return [writer for writer in self.writers if writer not in self._first_ok_ns]

    async def wait_any_acknowledged(self) -> None:
        """Wait until a writer was acknowledged something that it asked after the mark."""
        while not self._first_ok_ns:
            await self._acknowledged.wait()
        await trio.lowlevel.checkpoint()

    async def wait_all_acknowledged(self) -> None:
        """Wait until every writer was acknowledged something that it asked after the mark."""
        while self.unacknowledged():
            await self._acknowledged.wait()
        await trio.lowlevel.checkpoint()

    def asked_keys(self) -> list[str]:
        """Return every key that a writer has asked to be written, the counter among them."""
        return list(dict.fromkeys(operation.key for operation in self.history.operations()))

    def stop(self) -> None:
        """Have every writer finish what it has open, and end."""
        self._stopping.set()

    async def run(self) -> None:
        """Write until stopped; cancelled, it leaves open operations of unknown outcome.

        Raises:
            VedetteError: the counter, which is to expire, cannot be set before they begin.
        """
        if self.keys.ttl_s is not None:
            await self._client.set(self.keys.counter.encode(), b"0", ex=self.keys.ttl_s)
        async with trio.open_nursery() as nursery:
            for writer in self.writers:
                nursery.start_soon(self._write, writer, name=f"writer {writer}")

    async def _write(self, writer: int) -> None:
        rng = self._randoms[writer]
        number = sets = 0
        most_sets = self.keys.sets_per_writer(len(self.writers))
        while not self._stopping.is_set():
            number += 1
            is_increment = rng.random() < _INCREMENT_SHARE
            pause_s = rng.uniform(0, 2 * _MEAN_PAUSE_S)
            if is_increment or sets == most_sets:
                is_done = await self._increment(writer)
            else:
                sets += 1
                is_done = await self._set(writer, number)
            with trio.move_on_after(pause_s if is_done else _PAUSE_AFTER_ERROR_S):
                await self._stopping.wait()

    async def _set(self, writer: int, number: int) -> bool:
        key, value = self.keys.set_key(writer, number), f"{writer}:{number}"

        async def operate() -> None:
            await self._client.set(key.encode(), value.encode(), ex=self.keys.ttl_s)

        return await self._perform(writer, "set", key, value, operate)

    async def _increment(self, writer: int) -> bool:
        counter = self.keys.counter

        async def operate() -> int:
            return await self._client.incr(counter.encode())

        return await self._perform(writer, "incr", counter, None, operate)

    async def _perform(
        self,
        writer: int,
        function: str,
        key: str,
        value: str | None,
        operate: Callable[[], Awaitable[int | None]],
    ) -> bool:
        """Run one operation and record it; return whether it was acknowledged."""
        invoked_ns = time.monotonic_ns()
        self.history.invoke(writer, function, key, value, invoked_ns)
        answer: int | None = None
        outcome, error_text = Outcome.INFO, "Timeout: no answer in time"
        with trio.move_on_after(_OPERATION_TIMEOUT_S):
            try:
                answer = await operate()
            except VedetteError as error:
                outcome = outcome_of(error)
                error_text = f"{type(error).__name__}: {error}"
            else:
                outcome = Outcome.OK
        now_ns = time.monotonic_ns()
        if outcome is not Outcome.OK:
            self.history.complete(writer, outcome, now_ns, error=error_text)
            return False
        self.history.complete(writer, outcome, now_ns, value=answer)
        if invoked_ns > self._mark_ns:
            self._first_ok_ns.setdefault(writer, now_ns)
            self._acknowledged.set()
            self._acknowledged = trio.Event()
        return True
