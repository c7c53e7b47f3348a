"""A crash at any byte or step of a state write: nothing that was on disk is lost, no vote is cast
twice.

The machine's own actions are carried out on a disk that fails in the middle: the process ends
there, what was not synced is torn, and a rename that was not followed by an fsync of its directory
may have happened or not. That goes for the ledger and for the file that follows it.
"""

from __future__ import annotations

import os
import random
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from sentinel.config import World, read_config
from sentinel.core import SentinelCore, initial_state
from sentinel.core.actions import Answer, Persist
from sentinel.core.durable import DurableState
from sentinel.core.events import Persisted, RequestId, Started, VoteRequested
from sentinel.runtime.ledger_file import ledger_path
from sentinel.runtime.state_file import StateFile, with_ledger
from vedette.conf import read_file
from vedette.runtime.durable_file import remove_leftovers
from vedette.types import Address, RunId

MASTER = Address("10.0.0.1", 6379)
CONFIG = (
    "# mine\nport 5000\n"
    "sentinel monitor m 10.0.0.1 6379 2\n"
    f"sentinel myid {'b' * 40}\n"
    "sentinel leader-epoch m 4\n"
    "sentinel current-epoch 4\n"
)
FIRST, SECOND = RunId("1" * 40), RunId("2" * 40)
EPOCH = 5


class PowerCutError(BaseException):
    """The process ends here; no handler of its own may run as if it had not."""


_CALLS = ("write", "pwrite", "fsync", "fdatasync", "rename", "unlink")


class FailingDisk:
    """Lets `budget` bytes and steps happen, then cuts the power. What is synced is known here."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, directory: Path) -> None:
        self._patch = monkeypatch
        self._directory = directory
        self._real = {name: getattr(os, name) for name in _CALLS}
        self._real["fsync"] = self._real["fdatasync"] = lambda descriptor: None
        self.budget = 0
        #: Inodes with bytes that no sync has covered.
        self._torn: set[int] = set()
        #: The same of bytes written over others: inode, file, place, what was there.
        self._overwritten: list[tuple[int, Path, int, bytes]] = []
        self._undo_rename: Callable[[], None] | None = None
        self._patch_calls(self._real)

    def _patch_calls(self, calls: dict[str, Callable[..., object]]) -> None:
        for name, call in calls.items():
            self._patch.setattr(os, name, call)

    def install(self, budget: int) -> None:
        """Begin to fail after `budget` bytes and steps."""
        self.budget = budget
        self._torn.clear()
        self._overwritten.clear()
        self._undo_rename = None
        self._patch_calls({name: getattr(self, name) for name in _CALLS})

    def restart(self, *, keeps_rename: bool) -> None:
        """The machine comes back: tear what was not synced."""
        self._patch_calls(self._real)
        for path in self._directory.iterdir():
            if path.lstat().st_ino in self._torn:
                os.truncate(path, path.stat().st_size // 2)
        for _, path, place, before in self._overwritten:
            half = len(before) // 2
            with path.open("r+b") as file:
                file.seek(place + half)
                file.write(before[half:])
        if not keeps_rename and self._undo_rename is not None:
            self._undo_rename()

    def _spend(self) -> None:
        if self.budget == 0:
            raise PowerCutError
        self.budget -= 1

    def write(self, descriptor: int, data: bytes) -> int:
        self._torn.add(os.fstat(descriptor).st_ino)
        written = int(self._real["write"](descriptor, data[: self.budget]))
        self.budget -= written
        if written < len(data):
            raise PowerCutError
        return written

    def pwrite(self, descriptor: int, data: bytes, place: int) -> int:
        path = Path(f"/proc/self/fd/{descriptor}").readlink()
        data = data[: self.budget]
        before = os.pread(descriptor, len(data), place)
        self._overwritten.append((os.fstat(descriptor).st_ino, path, place, before))
        written = int(self._real["pwrite"](descriptor, data, place))
        self.budget -= written
        if self.budget == 0:
            raise PowerCutError
        return written

    def fsync(self, descriptor: int) -> None:
        self._spend()
        inode = os.fstat(descriptor).st_ino
        self._torn.discard(inode)
        self._overwritten = [each for each in self._overwritten if each[0] != inode]
        if os.path.isdir(f"/proc/self/fd/{descriptor}"):
            self._undo_rename = None

    fdatasync = fsync

    def rename(self, source: str, target: str) -> None:
        self._spend()
        shutil.copy(target, f"{target}.before")
        self._real["rename"](source, target)
        self._undo_rename = lambda: self._real["rename"](f"{target}.before", target)

    def unlink(self, path: str) -> None:
        self._spend()
        self._real["unlink"](path)


def load(path: Path) -> DurableState:
    """Return what a restart finds."""
    world = World(lambda: RunId("f" * 40), lambda script: False)
    return with_ledger(read_config(read_file(str(path)), world).durable, str(path))


def start(state: DurableState, file: StateFile) -> SentinelCore:
    """Return a machine that has saved what it began with."""
    core = SentinelCore(initial_state(state), random.Random(1))
    for action in core.step(Started(1)):
        if isinstance(action, Persist):
            file.write(action.state)
            core.step(Persisted(2, action.save_id, is_saved=True))
    return core


def ask_vote(core: SentinelCore, file: StateFile, candidate: RunId) -> list[object] | None:
    """Return the answer to a request for a vote; writes what has to be written first."""
    pending = core.step(VoteRequested(10, RequestId(1), MASTER, EPOCH, candidate))
    while pending:
        action = pending.pop(0)
        if isinstance(action, Answer):
            assert isinstance(action.reply, list)
            return list(action.reply)
        if isinstance(action, Persist):
            file.write(action.state)
            pending += core.step(Persisted(11, action.save_id, is_saved=True))
    return None


@pytest.mark.parametrize("keeps_rename", [True, False])
@pytest.mark.parametrize("has_ledger", [True, False])
def test_crash_at_any_byte_loses_nothing_and_votes_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, has_ledger: bool, keeps_rename: bool
) -> None:
    """From before the first byte to after the last step; then the file follows its ledger."""
    path = tmp_path / "sentinel.conf"
    ledger = Path(ledger_path(str(path)))
    disk = FailingDisk(monkeypatch, tmp_path)
    outcomes = set()
    for budget in range(10_000):
        shutil.rmtree(tmp_path)
        tmp_path.mkdir()
        if not has_ledger:
            ledger.symlink_to(tmp_path / "nowhere" / "at all")
        path.write_text(CONFIG)
        file = StateFile(str(path))
        core = start(load(path), file)
        answer = None
        is_cut = False
        disk.install(budget)
        try:
            answer = ask_vote(core, file, FIRST)
            assert file.is_behind is has_ledger
            file.close()
        except PowerCutError:
            is_cut = True
        disk.restart(keeps_rename=keeps_rename)
        assert is_cut or not ledger.exists()

        state = load(path)
        assert state.my_id == "b" * 40
        assert state.masters[0].leader_epoch in (4, EPOCH)
        assert "# mine\nport 5000\n" in path.read_text()
        remove_leftovers(path)
        second = ask_vote(start(state, StateFile(str(path))), StateFile(str(path)), SECOND)
        has_spoken = answer is not None and answer[1:] == [FIRST.encode(), EPOCH]
        got_second_vote = second is not None and second[1:] == [SECOND.encode(), EPOCH]
        assert not (has_spoken and got_second_vote), budget
        outcomes.add((has_spoken, got_second_vote, is_cut))
        if not is_cut:
            break

    assert has_spoken
    assert (False, True, True) in outcomes, "a vote nobody heard of is free to be given again"
    assert ((True, False, True) in outcomes) is has_ledger, "cut while the file followed"
    assert budget > len(CONFIG)
    assert "sentinel leader-epoch m 5\n" in path.read_text()


def test_leftovers_of_crashes_are_removed_and_nothing_else(tmp_path: Path) -> None:
    """A directory must not fill with them."""
    for name in (".s.conf-abc.tmp", ".s.conf-x.tmp", ".other.conf-x.tmp", "s.conf", ".s.conf-keep"):
        (tmp_path / name).write_text("x")

    remove_leftovers(tmp_path / "s.conf")

    left = {path.name for path in tmp_path.iterdir()}
    assert left == {".other.conf-x.tmp", "s.conf", ".s.conf-keep"}
