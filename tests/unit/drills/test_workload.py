"""The writers of a drill, against a client that does as it is told."""

from __future__ import annotations

import pytest
import trio
import trio.testing

from drills.history import Outcome
from drills.keys import Keys
from drills.runtime.workload import Workload, outcome_of
from ha_client.errors import MasterUnavailable, WriteUncertain
from vedette.errors import VedetteError
from vedette.resp.exchange import ReplyError
from vedette.types import Address

UNCERTAIN = WriteUncertain("SET", Address("127.0.0.1", 6379), 1, "connection lost", 0.1)


class ObedientClient:
    """Keeps values in a dict; raises what it is told to, once."""

    def __init__(self) -> None:
        self.values: dict[bytes, bytes] = {}
        self.counter = 0
        self.lifetimes: set[int | None] = set()
        self.next_error: VedetteError | None = None
        self.hangs = False

    async def set(self, key: bytes, value: bytes, *, ex: int | None) -> object:
        await self._behave()
        assert key not in self.values, "a key was written twice"
        self.values[key] = value
        self.lifetimes.add(ex)
        return True

    async def incr(self, key: bytes) -> int:
        await self._behave()
        assert key.endswith(b":counter")
        self.counter += 1
        return self.counter

    async def _behave(self) -> None:
        await trio.lowlevel.checkpoint()
        if self.hangs:
            await trio.sleep_forever()
        error, self.next_error = self.next_error, None
        if error is not None:
            raise error


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (UNCERTAIN, Outcome.INFO),
        (MasterUnavailable("SET", "no master", 1.0), Outcome.FAIL),
        (ReplyError("READONLY no"), Outcome.FAIL),
    ],
)
def test_only_an_uncertain_write_is_of_unknown_outcome(
    error: VedetteError, expected: Outcome
) -> None:
    """To call a refused write unknown would hide losses; the reverse would invent them."""
    assert outcome_of(error) is expected


async def run_for(workload: Workload, duration_s: float) -> None:
    async with trio.open_nursery() as nursery:
        nursery.start_soon(workload.run)
        await trio.sleep(duration_s)
        workload.stop()


async def test_the_history_tells_what_the_server_holds(
    autojump_clock: trio.testing.MockClock,
) -> None:
    client = ObedientClient()
    workload = Workload(client, writer_count=3, seed=1)
    await run_for(workload, 2.0)

    operations = workload.history.operations()
    written = {op.key: op.value for op in operations if op.function == "set"}
    assert {op.outcome for op in operations} == {Outcome.OK}
    assert {op.writer for op in operations} == {0, 1, 2}
    assert written == {key.decode(): value.decode() for key, value in client.values.items()}
    assert sorted(op.value for op in operations if isinstance(op.value, int)) == list(
        range(1, client.counter + 1)
    )


async def test_the_seed_decides_what_each_writer_does(
    autojump_clock: trio.testing.MockClock,
) -> None:
    """Alone, without the servers' timing, the same seed must give the same operations."""

    async def functions_of(seed: int) -> list[str]:
        workload = Workload(ObedientClient(), writer_count=1, seed=seed)
        await run_for(workload, 1.0)
        return [operation.function for operation in workload.history.operations()]

    assert (await functions_of(5))[:50] == (await functions_of(5))[:50]
    assert (await functions_of(5))[:50] != (await functions_of(6))[:50]


async def test_writers_set_no_more_keys_than_they_may_and_have_them_expire(
    autojump_clock: trio.testing.MockClock,
) -> None:
    """Among somebody's data a drill leaves little even if it is killed, yet it writes on."""
    client = ObedientClient()
    keys = Keys(prefix="p:", set_limit=7, ttl_s=60)
    workload = Workload(client, writer_count=2, seed=1, keys=keys)
    await run_for(workload, 2.0)

    assert len(client.values) == 1 + 2 * 3
    assert all(key.startswith(b"p:") for key in client.values)
    assert client.lifetimes == {60}
    assert client.counter > 50
    assert set(workload.asked_keys()) == {key.decode() for key in client.values}


async def test_an_error_is_recorded_and_the_writer_goes_on(
    autojump_clock: trio.testing.MockClock,
) -> None:
    client = ObedientClient()
    client.next_error = UNCERTAIN
    workload = Workload(client, writer_count=1, seed=1)
    await run_for(workload, 1.0)

    first, *later = workload.history.operations()
    assert first.outcome is Outcome.INFO
    assert first.error is not None
    assert first.error.startswith("WriteUncertain: ")
    assert len(later) > 10
    assert {operation.outcome for operation in later} == {Outcome.OK}


async def test_an_operation_that_never_ends_is_given_up_as_unknown(
    autojump_clock: trio.testing.MockClock,
) -> None:
    client = ObedientClient()
    client.hangs = True
    workload = Workload(client, writer_count=1, seed=1)
    await run_for(workload, 1.0)

    (operation,) = workload.history.operations()
    assert operation.outcome is Outcome.INFO
    assert operation.error == "Timeout: no answer in time"


async def test_the_first_acknowledgement_after_the_mark_is_what_was_asked_after_it(
    autojump_clock: trio.testing.MockClock,
) -> None:
    """A reply on its way when the master died must not count as service restored."""
    client = ObedientClient()
    workload = Workload(client, writer_count=2, seed=1)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(workload.run)
        await workload.wait_all_acknowledged()
        mark_ns = max(op.completed_ns or 0 for op in workload.history.operations()) + 1
        workload.mark(mark_ns)
        assert workload.first_ok_ns() == [None, None]
        assert workload.unacknowledged() == [0, 1]
        await workload.wait_all_acknowledged()
        workload.stop()

    for writer, first_ns in enumerate(workload.first_ok_ns()):
        asked = [
            op
            for op in workload.history.operations()
            if op.writer == writer and op.invoked_ns > mark_ns
        ]
        assert first_ns == asked[0].completed_ns
