"""The sentinel's memory on disk: one file, rewritten whole, and the ledger that is ahead of it.

Owns the file's path, and the task that saves. One save runs at a time, in a worker thread, so that
a stalled disk does not stop the machine; requests that come meanwhile are replaced by the newest,
for each carries the whole state. What a failed save means is the machine's to say.

What elections change is durable once it is in the ledger (`ledger.py`); the file follows when
nothing was saved for a moment, and has all when the sentinel has stopped. All else, and everything
while the file cannot be written, goes to the file at once.

The file is read anew when it is not as it was left: what an administrator adds while the sentinel
runs stays.
"""

from __future__ import annotations

import errno
import math
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

import structlog
import trio

from sentinel.config import Outside
from sentinel.core.actions import Persist
from sentinel.core.durable import DurableState
from sentinel.core.events import Event, Persisted
from sentinel.ledger import base_of, record_of, restored
from sentinel.state_lines import StateLines, key_of
from vedette.acl.directives import key_of_user
from vedette.conf import ConfigLine, TextRewriter
from vedette.conf.quoting import decode_word, encode_word
from vedette.runtime.durable_file import remove_leftovers, write_durably

from .ledger_file import LedgerFile, read_ledger

log = structlog.get_logger()

#: Failures that end without anybody changing how the sentinel is set up.
_PASSING: Final = {errno.ENOSPC, errno.EDQUOT}

_NEW_FILE: Final = (
    "# The state of a Vedette sentinel, which writes this file: change it only while none runs.\n"
)

#: The file follows its ledger when nothing was saved for the first, and after the second at the
#: latest; a failed attempt to is repeated after the third.
_QUIET_S: Final = 0.1
_BEHIND_MAX_S: Final = 1.0
_RETRY_S: Final = 1.0


def with_ledger(state: DurableState, path: str) -> DurableState:
    """Return the state that the file at `path` holds, with what its ledger is ahead of it.

    Raises:
        OSError: the file or its ledger cannot be read.
    """
    records = read_ledger(path)
    if not records:
        return state
    try:
        content = Path(path).read_bytes()
    except FileNotFoundError:
        content = b""  # taken away, and the ledger left: it is of another id than we have now
    return restored(state, records, base_of(content))


class StateFile:
    """The file that holds the state: the configuration file, or one of its own."""

    def __init__(self, path: str, outside: Outside | None = None) -> None:
        self.path = path
        self._lines = StateLines(outside or Outside())
        self._rewriter = TextRewriter(key_of)
        self._rewriter_with_users = TextRewriter(_key_with_users)
        self._text = _NEW_FILE
        #: What tells the file that we left from another; None: there is none.
        self._left: tuple[int, int, int] | None = None
        #: The `user` lines to write; None: those of the file are the administrator's.
        self.user_lines: Sequence[ConfigLine] | None = None
        self._ledger = LedgerFile(path)
        #: What is on disk, and the name of the file's content; None: that is not certain.
        self._saved: DurableState | None = None
        self._base = ""
        #: Whether the ledger holds what the file does not.
        self.is_behind = False

    def write(self, state: DurableState) -> None:
        """Make `state` durable, in the file or in its ledger. Blocks on the disk.

        Raises:
            OSError: it is not certain to be on disk.
        """
        if not self._note(state):
            self.rewrite(state)

    def _note(self, state: DurableState) -> bool:
        """Make `state` durable in the ledger, if it holds such and stands beside our file."""
        if self._saved is None:
            return False
        record = record_of(self._saved, state, self._base)
        try:
            if record is None or _mark(os.stat(self.path)) != self._left:
                return False
            if not self._ledger.append(record):
                return False
        except OSError as error:
            log.warning("sentinel.ledger_failed", path=self._ledger.path, error=reason_of(error))
            return False
        self._saved = state
        self.is_behind = True
        return True

    def rewrite(self, state: DurableState) -> None:
        """Make `state` durable in the file, and begin its ledger anew. Blocks on the disk.

        Raises:
            OSError: it is not certain to be on disk.
        """
        self._saved = None
        self._read_anew()
        self._left = None
        lines = self._lines.of(state)
        users = self.user_lines
        if users is None:
            self._text = self._rewriter.rewrite(self._text, lines)
        else:
            self._text = self._rewriter_with_users.rewrite(self._text, [*lines, *users])
        content = encode_word(self._text)
        self._left = _mark(write_durably(self.path, content))
        self.is_behind = False
        try:
            self._ledger.begin()
        except OSError as error:
            log.warning("sentinel.ledger_failed", path=self._ledger.path, error=reason_of(error))
        else:
            self._saved, self._base = state, base_of(content)

    def close(self) -> None:
        """Nothing is written any more: leave the file with all, and no ledger.

        Raises:
            OSError: that could not be done; what is on disk stays so.
        """
        if self.is_behind and self._saved is not None:
            self.rewrite(self._saved)
        if not self.is_behind:
            self._ledger.remove()

    def _read_anew(self) -> None:
        try:
            if _mark(os.stat(self.path)) != self._left:
                self._text = decode_word(Path(self.path).read_bytes())
        except FileNotFoundError:
            pass  # a first start, or removed under our feet: written from what we last saw

    def prove(self, state: DurableState) -> None:
        """Write `state` before anything depends on it, and tidy up after a crash.

        A full disk passes: that may end by itself, and until then the machine casts no vote.

        Raises:
            OSError: the file can never be written as things are.
        """
        remove_leftovers(self.path)
        try:
            self.rewrite(state)
        except OSError as error:
            if error.errno not in _PASSING:
                raise
            log.error("sentinel.state_not_saved", path=self.path, error=reason_of(error))


def _mark(status: os.stat_result) -> tuple[int, int, int]:
    """Return what changes whenever a file is written or replaced."""
    return status.st_ino, status.st_size, status.st_mtime_ns


def _key_with_users(words: Sequence[str]) -> tuple[str, ...] | None:
    return key_of(words) or key_of_user(words)


def reason_of(error: OSError) -> str:
    """Return why the file could not be written, for whoever has to change that."""
    if error.errno == errno.EBUSY:
        return (
            "it is mounted as a single file and cannot be replaced; mount its directory, or have "
            "the state kept elsewhere by `sentinel state-file <path>`"
        )
    return error.strerror or str(error)


class Saver:
    """Carries out `Persist` actions, and reports how each ended."""

    def __init__(self, file: StateFile, report: Callable[[Callable[[int], Event]], None]) -> None:
        self._file = file
        self._report = report
        self._waiting: Persist | None = None
        self._is_wanted = trio.Event()
        #: The last that is on disk; since when, and until when, the file is behind its ledger.
        self._last: Persist | None = None
        self._behind_since_s = math.inf
        self._due_s = math.inf
        self._is_failing = False
        #: Of its own: a vote must not wait for others' threads, such as one that a disk holds up.
        self._thread = trio.CapacityLimiter(1)
        #: Seconds that the last save took, and how many ended well or not: for metrics.
        self.last_save_s = 0.0
        self.saved_count = 0
        self.failed_count = 0

    @property
    def path(self) -> str:
        """Where the state is saved."""
        return self._file.path

    def request(self, action: Persist) -> None:
        """Have the state of `action` saved; it takes the place of one that has not begun."""
        self._waiting = action
        self._is_wanted.set()

    async def run(self) -> None:
        """Save what is requested until cancelled; a save that runs is finished first."""
        while True:
            with trio.move_on_at(self._due_s):
                await self._is_wanted.wait()
            self._is_wanted = trio.Event()
            action, self._waiting = self._waiting, None
            if action is not None:
                await self._save(action)
            elif self._last is not None and trio.current_time() >= self._due_s:
                await self._catch_up(self._last)

    async def _save(self, action: Persist) -> None:
        error_text = await self._write(self._file.write, action.state)
        self._is_failing = bool(error_text)
        self._due_s = math.inf  # after a failure the machine asks again
        if not error_text:
            self._last = action
            self._plan()
        self._report(lambda now_ms: Persisted(now_ms, action.save_id, not error_text, error_text))

    def _plan(self) -> None:
        """Set when the file is to be rewritten, after a save that went well."""
        if not self._file.is_behind:
            self._behind_since_s = math.inf
            return
        now_s = trio.current_time()
        self._behind_since_s = min(self._behind_since_s, now_s)
        self._due_s = min(now_s + _QUIET_S, self._behind_since_s + _BEHIND_MAX_S)

    async def _catch_up(self, action: Persist) -> None:
        """Have the file say what is durable already; only a failure, and its end, is news."""
        error_text = await self._write(self._file.rewrite, action.state)
        was_failing, self._is_failing = self._is_failing, bool(error_text)
        self._due_s = trio.current_time() + _RETRY_S if error_text else math.inf
        if not error_text:
            self._plan()
        if error_text or was_failing:
            self._report(
                lambda now_ms: Persisted(now_ms, action.save_id, not error_text, error_text)
            )

    async def _write(self, write: Callable[[DurableState], None], state: DurableState) -> str:
        """Write in a thread; return why that failed, "" if it did not."""
        began_s = trio.current_time()
        error_text = ""
        try:
            await trio.to_thread.run_sync(write, state, limiter=self._thread)
        except OSError as error:
            error_text = reason_of(error)
            self.failed_count += 1
            log.error("sentinel.state_not_saved", path=self._file.path, error=error_text)
        else:
            self.saved_count += 1
        self.last_save_s = trio.current_time() - began_s
        return error_text

    def close(self) -> None:
        """Leave everything in the file, once `run` has ended."""
        try:
            self._file.close()
        except OSError as error:
            log.error("sentinel.state_not_saved", path=self._file.path, error=reason_of(error))
