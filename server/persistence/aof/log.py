"""The append-only log: what is to be written, how far it got, and when which step is due. Pure.

Theory of operation.

    OFF ──turn on──> AWAITING_REWRITE ──first rewrite done──> ON
     ^───────────────────turn off───────────────────────────┘

- ON: every effect is appended, and the files hold the dataset.
- AWAITING_REWRITE: no file holds the dataset yet. While the rewrite that makes one runs, effects
  are gathered in a file that becomes the first increment; between two attempts none are.

Effects arrive in `effects` (one of the engine's sinks) and wait in the buffer until the batch ends.
Then the runtime writes them, before any reply of the batch leaves. How much may be lost in a crash
is a matter of fsync:

- `always`: synced before the replies leave, once for the whole batch.
- `everysec`: once a second, on a thread. While that takes long, writing is put off for up to two
  seconds, since it would block; after that it is done all the same and counted (`delayed_count`).
- `no`: as the system pleases.

Positions count the bytes ever appended. `written` and `synced` say how far those are in files, and
on the disk; WAITAOF waits for the latter. Follows Redis 7.0 `aof.c: flushAppendOnlyFile,
feedAppendOnlyFile, aofRewriteLimited`, and 7.2 for `fsynced_reploff`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import Final, NamedTuple, Protocol

from ...replication.propagation import EffectStream
from .rebuilding import annotation

#: How long a write may wait for an fsync that takes long.
POSTPONE_MAX_MS: Final = 2000
SYNC_PERIOD_MS: Final = 1000
#: After so many failures in a row, automatic rewrites wait.
_FAILURES_ALLOWED: Final = 3
_DELAY_MAX_MINUTES: Final = 60


class AofState(Enum):
    """Whether there is an append-only file; see the module."""

    OFF = "off"
    AWAITING_REWRITE = "awaiting_rewrite"
    ON = "on"


class AofPort(Protocol):
    """What commands and settings ask of the runtime. None of it waits for more than a file."""

    @property
    def pending_sync_count(self) -> int:
        """How many fsyncs are under way or wait to be made."""

    def turn_on(self) -> None:
        """Begin an append-only file; the dataset is written by a rewrite.

        Raises:
            OSError: it cannot be begun.
        """

    def turn_off(self) -> None:
        """Write and sync what is to be written, and close the file."""

    def restart(self) -> None:
        """Begin anew: the dataset was replaced by another, and a rewrite writes that."""

    def rewrite(self) -> None:
        """Start a rewrite in a child process.

        Raises:
            OSError: a file cannot be made, or the process not forked.
        """

    def stop_rewriting(self) -> None:
        """Kill the child that rewrites, if there is one; that is no failure."""

    def reload(self) -> None:
        """Load the dataset anew from the files (DEBUG LOADAOF), blocking.

        Raises:
            VedetteError, OSError: the files cannot be used; the dataset is empty or incomplete.
        """

    def collect_history(self) -> None:
        """Delete what rewrites have replaced."""


@dataclass(slots=True)
class RewriteStatus:
    """How rewriting stands; times are milliseconds of the wall clock."""

    #: When the running one began; None while there is none.
    started_ms: int | None = None
    #: One is to follow as soon as no other child runs.
    is_scheduled: bool = False
    is_last_ok: bool = True
    last_duration_ms: int = -1
    #: Memory the last child no longer shared with the server when it ended.
    last_copied_bytes: int = 0
    count: int = 0
    #: Failures since the last success.
    failures: int = 0
    _delay_minutes: int = 0
    _resume_at_ms: int | None = None

    @property
    def is_in_progress(self) -> bool:
        """Whether a child rewrites."""
        return self.started_ms is not None

    def on_start(self, now_ms: int) -> None:
        """Note that a child was started."""
        self.started_ms = now_ms
        self.is_scheduled = False

    def on_failure(self) -> None:
        """Note that one could not be started, or failed."""
        self.is_last_ok = False
        self.failures += 1

    def on_end(self, now_ms: int, *, is_ok: bool | None, copied_bytes: int) -> None:
        """Note how the running one ended; None: it was stopped on purpose, which says nothing."""
        assert self.started_ms is not None
        self.last_duration_ms = now_ms - self.started_ms
        self.started_ms = None
        self.last_copied_bytes = copied_bytes
        if is_ok:
            self.is_last_ok = True
            self.failures = 0
        elif is_ok is not None:
            self.on_failure()

    def delay_minutes(self, now_ms: int) -> int | None:
        """Return None if a rewrite may be started without being asked for, else a delay.

        After three failures in a row the next attempt waits a minute, the one after that two, and
        so on up to an hour; else each would leave one more small increment. The delay is given in
        minutes once, when it begins, and 0 while it lasts.
        """
        if self.failures < _FAILURES_ALLOWED:
            self._delay_minutes = 0
            self._resume_at_ms = None
            return None
        if self._resume_at_ms is not None:
            if now_ms < self._resume_at_ms:
                return 0
            self._resume_at_ms = None
            return None
        self._delay_minutes = min(max(1, 2 * self._delay_minutes), _DELAY_MAX_MINUTES)
        self._resume_at_ms = now_ms + self._delay_minutes * 60_000
        return self._delay_minutes


class Mark(NamedTuple):
    """A point of the log: the position, and the replication offset that belongs to it."""

    position: int
    replication_offset: int


class AppendOnlyLog:
    """All that is known of the append-only file but the file. Nothing here waits."""

    def __init__(self, sinks: list[EffectStream], replication_offset: Callable[[], int]) -> None:
        """Begin without a file. `sinks` is the engine's list, in which `effects` stands while
        effects are gathered; `replication_offset` gives the present end of the stream.
        """
        self.state = AofState.OFF
        self.rewrite = RewriteStatus()
        self.port: AofPort | None = None
        #: Whether each second's first batch is annotated with the time (`aof-timestamp-enabled`).
        self.annotates_time = False
        #: The time of the batch; written by the runtime where `annotates_time`.
        self.clock_ms: Callable[[], int] = lambda: 0
        #: Of the batch, which are not in the buffer yet.
        self.effects = EffectStream()
        #: Bytes ever written, and known to be on the disk.
        self.written = 0
        self.synced = Mark(0, -1)
        #: What the file holds in whole units.
        self.written_mark = Mark(0, -1)
        #: The file now written to: its size, and the size of all that would be loaded.
        self.file_bytes = 0
        self.current_bytes = 0
        #: The latter after the last rewrite.
        self.base_bytes = 0
        #: Writes that were made though an fsync was under way for too long.
        self.delayed_count = 0
        #: Why the last write or fsync failed; empty while there is nothing to complain of.
        self.write_error = ""
        self.sync_error = ""
        #: fsyncs that have failed, and how many of them a rewrite has made up for.
        self.failed_syncs = 0
        self.mended_syncs = 0
        #: Microseconds that each write is put off by (DEBUG AOF-FLUSH-SLEEP).
        self.flush_delay_us = 0
        self._chunks: list[bytes] = []
        #: Bytes ever put into the buffer.
        self._appended = 0
        self._postponed_since_ms: int | None = None
        self._annotated_s = 0
        self._sinks = sinks
        self._replication_offset = replication_offset

    @property
    def error(self) -> str:
        """Why writes are refused, or empty."""
        return self.write_error or self.sync_error

    @property
    def is_suspect(self) -> bool:
        """Whether an fsync has failed, and the system may have dropped what it was for: until a
        rewrite that began after it has written all anew, the files may lack something.
        """
        return self.failed_syncs > self.mended_syncs

    @property
    def appended(self) -> int:
        """Bytes ever appended."""
        self._take_effects()
        return self._appended

    @property
    def buffered_bytes(self) -> int:
        """How much waits to be written."""
        return self.appended - self.written

    @property
    def is_gathering(self) -> bool:
        """Whether effects are taken."""
        return self.effects in self._sinks

    def _mark(self) -> Mark:
        return Mark(self.appended, self._replication_offset())

    # --- effects ---------------------------------------------------------------------------------

    def gather(self) -> None:
        """Take effects from now on; the next one brings a SELECT."""
        self.effects.forget_database()
        if not self.is_gathering:
            self._sinks.append(self.effects)

    def stop_gathering(self) -> None:
        """Take no more effects, and forget those that were not written."""
        if self.is_gathering:
            self._sinks.remove(self.effects)
        self.written = self.appended
        self._chunks.clear()
        self.written_mark = self.synced = self._mark()
        self._postponed_since_ms = None

    def _take_effects(self) -> None:
        """Put what was appended into the buffer, with the time before it if that is due.

        So the time stands between units, and all of a batch have the same.
        """
        if not self.effects.pending:
            return
        data = self.effects.take()
        now_s = self.clock_ms() // 1000 if self.annotates_time else 0
        if now_s > self._annotated_s:
            self._annotated_s = now_s
            data = annotation(now_s) + data
        self._chunks.append(data)
        self._appended += len(data)

    # --- writing ---------------------------------------------------------------------------------

    def output(self) -> bytes:
        """Return what is to be written; it stays until `on_written` says that it was."""
        self._take_effects()
        chunks = self._chunks
        if len(chunks) == 1:
            return chunks[0]
        if chunks:
            self._chunks = chunks = [b"".join(chunks)]
        return chunks[0] if chunks else b""

    def may_postpone(self, now_ms: int) -> bool:
        """Say whether a write that would meet a running fsync can wait, and note that it does."""
        if self._postponed_since_ms is None:
            self._postponed_since_ms = now_ms
            return True
        if now_ms - self._postponed_since_ms < POSTPONE_MAX_MS:
            return True
        self.delayed_count += 1
        return False

    def on_written(self, size: int) -> None:
        """Note that the first `size` bytes of the output are in the file."""
        self._postponed_since_ms = None
        self.written += size
        self.file_bytes += size
        self.current_bytes += size
        if self.written == self.appended:
            self._chunks.clear()
            self.written_mark = Mark(self.written, self._replication_offset())
        else:
            self._chunks = [self.output()[size:]]

    # --- syncing ---------------------------------------------------------------------------------

    @property
    def is_all_synced(self) -> bool:
        """Whether all that was written is on the disk."""
        return self.synced.position >= self.written_mark.position

    def on_synced(self, mark: Mark) -> None:
        """Note that everything up to `mark` is on the disk."""
        if mark.position >= self.synced.position:
            self.synced = mark
        self.sync_error = ""

    @property
    def synced_offset(self) -> int:
        """The offset of the replication stream up to which all is on the disk; -1: not known."""
        if self.state is not AofState.ON:
            return -1
        if self.synced.position == self.appended:
            return self._replication_offset()  # what moved it since (PING) is not written
        return self.synced.replication_offset

    # --- rewriting -------------------------------------------------------------------------------

    def growth_percent(self) -> int:
        """Return by how much the files have grown since the last rewrite."""
        return self.current_bytes * 100 // (self.base_bytes or 1) - 100

    def is_rewrite_due(self, percentage: int, min_size_bytes: int) -> bool:
        """Say whether `auto-aof-rewrite-percentage` and `-min-size` ask for one."""
        return (
            self.state is AofState.ON
            and bool(percentage)
            and self.current_bytes > min_size_bytes
            and self.growth_percent() >= percentage
        )
