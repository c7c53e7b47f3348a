"""The sentinel's file and its ledger: which of them a save goes to, and that the file follows."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import trio
import trio.testing

from sentinel.config import World, read_config
from sentinel.core.actions import Persist
from sentinel.core.durable import DurableState
from sentinel.core.events import Event, Persisted
from sentinel.runtime.ledger_file import SIZE_BYTES, LedgerFile, ledger_path
from sentinel.runtime.state_file import Saver, StateFile, with_ledger
from tests.support.waiting import wait_until_async
from vedette.conf import read_file
from vedette.types import RunId

WORLD = World(lambda: RunId("f" * 40), lambda script: False)
CONFIG = f"sentinel myid {'b' * 40}\nsentinel monitor m 10.0.0.1 6379 2\n"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "own" / "sentinel.conf"
    path.parent.mkdir()
    path.write_text(CONFIG)
    return path


def in_file(path: Path) -> DurableState:
    return read_config(read_file(str(path)), WORLD).durable


def on_disk(path: Path) -> DurableState:
    return with_ledger(in_file(path), str(path))


def voted(state: DurableState, epoch: int) -> DurableState:
    masters = tuple(replace(master, leader_epoch=epoch) for master in state.masters)
    return replace(state, current_epoch=epoch, masters=masters)


def test_vote_goes_to_the_ledger_and_the_file_stays_as_it_is(path: Path) -> None:
    """The file is replaced later; what must be on disk is there."""
    file = StateFile(str(path))
    state = in_file(path)
    file.write(state)
    before = path.read_bytes()

    file.write(voted(state, 4))

    assert path.read_bytes() == before
    assert on_disk(path) == voted(state, 4)
    assert file.is_behind


def test_what_an_operator_changes_goes_to_the_file_with_all_before_it(path: Path) -> None:
    """Whoever gets OK for an order finds it in the file."""
    file = StateFile(str(path))
    state = in_file(path)
    file.write(state)
    file.write(voted(state, 4))
    options = replace(state.options, announce_ip="10.0.0.9")

    file.write(replace(voted(state, 4), options=options))

    assert in_file(path) == replace(voted(state, 4), options=options)
    assert not file.is_behind


@pytest.mark.parametrize("what", ["file edited", "file gone", "ledger replaced", "ledger gone"])
def test_ledger_that_would_not_be_found_is_not_used(path: Path, what: str) -> None:
    """A start reads the two names; what stands there must be ours."""
    file = StateFile(str(path))
    state = in_file(path)
    file.write(state)
    ledger = Path(ledger_path(str(path)))
    match what:
        case "file edited":
            path.write_text(path.read_text() + "# mine\n")
        case "file gone":
            path.unlink()
        case "ledger replaced":
            ledger.replace(f"{ledger}.old")
            ledger.touch()
        case "ledger gone":
            ledger.unlink()

    file.write(voted(state, 4))

    assert in_file(path) == voted(state, 4)
    assert ("# mine\n" in path.read_text()) is (what == "file edited")
    file.write(voted(state, 5))
    assert file.is_behind, "and then there is one again"


def test_full_ledger_goes_on_in_the_file(path: Path) -> None:
    """It never grows, and never overwrites what the file does not say."""
    file = StateFile(str(path))
    state = in_file(path)
    file.write(state)
    for epoch in range(1, 140):
        file.write(voted(state, epoch))
        assert on_disk(path) == voted(state, epoch)

    assert in_file(path).current_epoch >= 128
    assert Path(ledger_path(str(path))).stat().st_size == SIZE_BYTES


def test_record_larger_than_what_is_left_is_refused(path: Path) -> None:
    """There is always room for the next, or there is none."""
    ledger = LedgerFile(str(path))
    ledger.begin()
    state = in_file(path)
    many = replace(
        state, masters=tuple(replace(state.masters[0], name=f"m{n}") for n in range(2000))
    )
    file = StateFile(str(path))
    file.write(many)

    file.write(voted(many, 4))

    assert not file.is_behind
    assert in_file(path).masters[1999].leader_epoch == 4


def test_stop_leaves_one_file_that_says_all(path: Path) -> None:
    """Who takes the file elsewhere, or back to redis-sentinel, needs nothing else."""
    file = StateFile(str(path))
    state = in_file(path)
    file.write(state)
    file.write(voted(state, 4))

    file.close()

    assert in_file(path) == voted(state, 4)
    assert list(path.parent.iterdir()) == [path]


class _Reports:
    """What a saver told, and whether it has."""

    def __init__(self) -> None:
        self.events: list[Persisted] = []
        self._changed = trio.Event()

    def __call__(self, make_event: object) -> None:
        event: Event = make_event(1)  # type: ignore[operator]
        assert isinstance(event, Persisted)
        self.events.append(event)
        self._changed.set()
        self._changed = trio.Event()

    async def wait_count(self, count: int) -> None:
        with trio.fail_after(30):
            while len(self.events) < count:
                await self._changed.wait()


async def test_file_follows_its_ledger_by_itself(path: Path) -> None:
    """Without a further save, and without anybody being told."""
    reports, state = _Reports(), in_file(path)
    saver = Saver(StateFile(str(path)), reports)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(saver.run)
        saver.request(Persist(1, state))
        await reports.wait_count(1)
        saver.request(Persist(2, voted(state, 4)))
        await reports.wait_count(2)
        await wait_until_async(lambda: in_file(path) == voted(state, 4), what="the file")
        nursery.cancel_scope.cancel()

    assert [event.is_saved for event in reports.events] == [True, True]


async def test_file_that_cannot_follow_is_news_until_it_can(path: Path, tmp_path: Path) -> None:
    """No vote goes to a ledger that the file will never catch up with."""
    reports, state = _Reports(), in_file(path)
    file = StateFile(str(path))
    saver = Saver(file, reports)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(saver.run)
        saver.request(Persist(1, state))
        await reports.wait_count(1)
        saver.request(Persist(2, voted(state, 4)))
        await reports.wait_count(2)
        shutil.copytree(path.parent, tmp_path / "kept")
        shutil.rmtree(path.parent)
        await reports.wait_count(3)
        saver.request(Persist(3, voted(state, 5)))
        await reports.wait_count(4)
        shutil.copytree(tmp_path / "kept", path.parent)
        saver.request(Persist(4, voted(state, 6)))
        await reports.wait_count(5)
        nursery.cancel_scope.cancel()

    told = [(event.save_id, event.is_saved) for event in reports.events[1:5]]
    assert told == [(2, True), (2, False), (3, False), (4, True)]
    assert in_file(path) == voted(state, 6)


async def test_save_waits_for_none_of_the_threads_that_others_use(path: Path) -> None:
    """A disk that hangs for DOCTOR, or many scrapes, may hold all of them; votes wait for saves."""
    threads = trio.to_thread.current_default_thread_limiter()
    for number in range(int(threads.total_tokens)):
        threads.acquire_on_behalf_of_nowait(number)
    reports, state = _Reports(), in_file(path)
    saver = Saver(StateFile(str(path)), reports)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(saver.run)
        saver.request(Persist(1, state))
        with trio.fail_after(5):
            await reports.wait_count(1)
        nursery.cancel_scope.cancel()

    assert reports.events[0].is_saved
