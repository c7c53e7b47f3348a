"""The sentinel's memory on disk: one file, rewritten whole at every change.

Owns the file's path, and the task that saves. One save runs at a time, in a worker thread, so that
a stalled disk does not stop the machine; requests that come meanwhile are replaced by the newest,
for each carries the whole state. What a failed save means is the machine's to say.

The file is read anew when it is not as it was left: what an administrator adds while the sentinel
runs stays.
"""

from __future__ import annotations

import errno
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
from sentinel.state_lines import StateLines, key_of
from vedette.acl.directives import key_of_user
from vedette.conf import ConfigLine, TextRewriter
from vedette.conf.quoting import decode_word, encode_word
from vedette.runtime.durable_file import remove_leftovers, write_durably

log = structlog.get_logger()

#: Failures that end without anybody changing how the sentinel is set up.
_PASSING: Final = {errno.ENOSPC, errno.EDQUOT}

_NEW_FILE: Final = (
    "# The state of a Vedette sentinel, which writes this file: change it only while none runs.\n"
)


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

    def write(self, state: DurableState) -> None:
        """Make `state` durable in the file. Blocks on the disk.

        Raises:
            OSError: it is not certain to be on disk.
        """
        self._read_anew()
        self._left = None
        lines = self._lines.of(state)
        users = self.user_lines
        if users is None:
            self._text = self._rewriter.rewrite(self._text, lines)
        else:
            self._text = self._rewriter_with_users.rewrite(self._text, [*lines, *users])
        self._left = _mark(write_durably(self.path, encode_word(self._text)))

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
            self.write(state)
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
            await self._is_wanted.wait()
            self._is_wanted = trio.Event()
            action, self._waiting = self._waiting, None
            if action is not None:
                await self._save(action)

    async def _save(self, action: Persist) -> None:
        error_text = ""
        began = trio.current_time()
        try:
            await trio.to_thread.run_sync(self._file.write, action.state)
        except OSError as error:
            error_text = reason_of(error)
            self.failed_count += 1
            log.error("sentinel.state_not_saved", path=self._file.path, error=error_text)
        else:
            self.saved_count += 1
        self.last_save_s = trio.current_time() - began
        self._report(lambda now_ms: Persisted(now_ms, action.save_id, not error_text, error_text))
