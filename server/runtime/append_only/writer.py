"""The file that is written to: writes after each batch, fsyncs by `appendfsync`, their failures.

`flush` runs between a batch of commands and the sending of its replies. With `always` it returns
only when all is on the disk, or raises `AofLostError`, after which the process must end without
sending a reply: the client would take for safe what is not. With the other policies a failure is
remembered, writes of clients are refused (MISCONF) and what could not be written is kept and tried
again each second. Follows Redis 7.0 `aof.c: flushAppendOnlyFile`, `bio.c`.

An fsync that failed may have cost what it was for: Linux forgets such pages. So unlike in Redis it
also asks for a rewrite, which writes everything anew (`AppendOnlyLog.is_suspect`).
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import structlog
import trio

from vedette.errors import VedetteError

from ... import directives
from ...commands.replication import WAIT_REASON
from ...engine import ServerEngine
from ...observation.latency import (
    AOF_FSYNC_ALWAYS,
    AOF_WRITE,
    AOF_WRITE_ACTIVE_CHILD,
    AOF_WRITE_ALONE,
    AOF_WRITE_PENDING_FSYNC,
)
from ...persistence.aof.log import SYNC_PERIOD_MS, Mark
from .files import AofFiles

log = structlog.get_logger()

#: How often a write that failed is tried again.
RETRY_PERIOD_MS: Final = 1000


class AofLostError(VedetteError):
    """What clients wrote cannot be made as safe as they were promised; the process must end."""


@dataclass(frozen=True, slots=True)
class _SyncJob:
    """An fsync to be made on a thread, of what lies before `mark`; then the file may be closed."""

    files: AofFiles
    descriptor: int
    mark: Mark
    is_last: bool


class AofWriter:
    """Owns the descriptor of the increment that is written to.

    `settle()` ends a batch that nobody else ends (the pump's); by then those who wait for what has
    become safe were woken. `has_child()` tells whether a child process is writing
    (`no-appendfsync-on-rewrite`).
    """

    def __init__(
        self,
        engine: ServerEngine,
        *,
        settle: Callable[[], None],
        has_child: Callable[[], bool],
        clock_ms: Callable[[], int],
    ) -> None:
        self._engine = engine
        self._log = engine.aof
        self._settle = settle
        self._has_child = has_child
        self._clock_ms = clock_ms
        self._files: AofFiles | None = None
        #: The file written to; None while there is none.
        self._descriptor: int | None = None
        self._lost: AofLostError | None = None
        #: fsyncs to be made, in order; one task makes them, so that none meets a closed file.
        self._jobs: deque[_SyncJob] = deque()
        self._has_jobs = trio.Event()
        self._is_sync_running = False
        self._last_sync_ms = 0
        self._last_failure_ms = 0
        #: The value of `appendfsync`, which each batch wants to know.
        self._policy = ""
        engine.configuration.on_change(self._apply_policy, directives.APPEND_FSYNC)
        self._apply_policy()

    def _apply_policy(self) -> None:
        self._policy = self._engine.configuration[directives.APPEND_FSYNC]

    @property
    def is_open(self) -> bool:
        """Whether there is a file to write to."""
        return self._descriptor is not None

    @property
    def pending_sync_count(self) -> int:
        """How many fsyncs are under way or wait to be made (INFO)."""
        return len(self._jobs) + self._is_sync_running

    # --- which file ------------------------------------------------------------------------------

    def begin(self, files: AofFiles, descriptor: int, size_bytes: int) -> None:
        """Write to `descriptor` from now on; the file before is synced and closed on the thread.

        What is in the buffer must have been flushed, or belong to the new file.
        """
        if self._descriptor is not None:
            self._request_sync(self._descriptor, is_last=True)
        self._files = files
        self._descriptor = descriptor
        self._log.file_bytes = size_bytes
        self._log.effects.forget_database()

    def close(self) -> None:
        """Write, sync and close at once. Does what it can: failures are logged."""
        descriptor, files = self._descriptor, self._files
        if descriptor is None:
            return
        assert files is not None
        if self._lost is None:
            self.flush(is_forced=True)
            if self._log.buffered_bytes:
                log.error("aof.not_written", size_bytes=self._log.buffered_bytes)
            try:
                files.sync(descriptor)
                self._log.on_synced(self._log.written_mark)
            except OSError as error:
                log.error("aof.sync_failed", error=error.strerror)
        self.drop()

    def finish(self) -> None:
        """Close at the end of the process, the files before included; `run` runs no more."""
        while self._jobs:
            job = self._jobs.popleft()
            try:
                _sync_and_close(job)
            except OSError as error:
                log.error("aof.sync_failed", error=error.strerror)
        self.close()

    def drop(self) -> None:
        """Close the file without another word."""
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is None:
            return
        assert self._files is not None
        if self._is_sync_running:
            self._request_sync(descriptor, is_last=True)  # behind the one that uses it
        else:
            self._jobs = deque(job for job in self._jobs if job.descriptor != descriptor)
            self._files.close(descriptor)

    # --- writing ---------------------------------------------------------------------------------

    def flush(self, *, is_forced: bool = False) -> None:
        """Write what the batch has appended, and sync it as the policy says.

        Raises:
            AofLostError: it cannot be written or synced, and must have been. From then on always.
        """
        if self._descriptor is None:
            return
        if self._lost is not None:
            raise self._lost
        aof = self._log
        if aof.buffered_bytes:
            if self._is_put_off(is_forced=is_forced):
                return
            self._write()
        if aof.synced.position < aof.written_mark.position:
            self._sync()

    def _is_put_off(self, *, is_forced: bool) -> bool:
        """Say whether the write waits: for an fsync, or for its next attempt after a failure."""
        if is_forced:
            return False
        if self._log.write_error:
            return self._clock_ms() - self._last_failure_ms < RETRY_PERIOD_MS
        if not self._is_sync_running or self._policy != "everysec":
            return False
        if self._log.may_postpone(self._clock_ms()):
            return True
        log.warning("aof.sync_slow", delayed=self._log.delayed_count)
        return False

    def _write(self) -> None:
        aof, files, descriptor = self._log, self._files, self._descriptor
        assert files is not None
        assert descriptor is not None
        if aof.flush_delay_us:
            self._engine.host.sleep(aof.flush_delay_us / 1e6)
        data = aof.output()
        written = 0
        began_s = time.monotonic()
        try:
            written = files.write(descriptor, data)
            while written < len(data):
                written += files.write(descriptor, memoryview(data)[written:])
        except OSError as error:
            self._on_write_failed(error, written)
            return
        finally:
            if self._engine.latency.threshold_ms:
                self._note_write(time.monotonic() - began_s)
        aof.on_written(written)
        if aof.write_error:
            log.info("aof.write_recovered")
            aof.write_error = ""
            self._engine.recheck()

    def _note_write(self, seconds: float) -> None:
        """Tell the latency monitor of a write: of all of them, and by what may have slowed it."""
        if self._is_sync_running:
            event = AOF_WRITE_PENDING_FSYNC
        elif self._has_child():
            event = AOF_WRITE_ACTIVE_CHILD
        else:
            event = AOF_WRITE_ALONE
        for each in (event, AOF_WRITE):
            self._engine.latency.note(each, seconds * 1000, self._clock_ms())

    def _on_write_failed(self, error: OSError, written: int) -> None:
        """Take a part of a unit back out of the file, keep it all, and refuse writes."""
        aof, files, descriptor = self._log, self._files, self._descriptor
        assert files is not None
        assert descriptor is not None
        reason = error.strerror or str(error)
        if written:
            try:
                files.truncate(descriptor, aof.file_bytes)
                written = 0
            except OSError as refusal:
                log.error("aof.short_write_stays", size_bytes=written, error=refusal.strerror)
        if aof.write_error != reason:
            log.error("aof.write_failed", error=reason, size_bytes=aof.buffered_bytes)
        self._judge(f"cannot write to the append-only file: {reason}")
        aof.on_written(written)
        self._last_failure_ms = self._clock_ms()
        aof.write_error = reason
        self._engine.recheck()

    def _judge(self, problem: str) -> None:
        """Raise if the failure is one that must end the process.

        With `always`, replies may not leave. A replica cannot refuse what its master sends: it
        would fall behind what it acknowledges (`replica-ignore-disk-write-errors`).
        """
        engine = self._engine
        ignores_errors = engine.configuration[directives.REPLICA_IGNORE_DISK_WRITE_ERRORS]
        if self._policy == "always" or (engine.is_replica and not ignores_errors):
            self._lost = AofLostError(problem)
            raise self._lost

    # --- syncing ---------------------------------------------------------------------------------

    def _sync(self) -> None:
        """Sync what was written, or have it synced, if it is time."""
        policy = self._policy
        if policy == "no":
            return
        now_ms = self._clock_ms()
        if policy == "everysec" and (
            self._is_sync_running or self._jobs or now_ms - self._last_sync_ms < SYNC_PERIOD_MS
        ):
            return
        if self._engine.configuration[directives.NO_APPEND_FSYNC_ON_REWRITE] and self._has_child():
            return
        if policy == "always":
            self._sync_now()
        else:
            self._last_sync_ms = now_ms
            assert self._descriptor is not None
            self._request_sync(self._descriptor, is_last=False)

    def _sync_now(self) -> None:
        """Sync before anything else happens."""
        assert self._files is not None
        assert self._descriptor is not None
        began_s = time.monotonic()
        try:
            self._files.sync(self._descriptor)
        except OSError as error:
            problem = f"cannot sync the append-only file: {error.strerror or error}"
            self._lost = AofLostError(problem)
            raise self._lost from error
        duration_s = time.monotonic() - began_s
        self._engine.meter.on_fsync(duration_s)
        self._engine.latency.note(AOF_FSYNC_ALWAYS, duration_s * 1000, self._clock_ms())
        self._log.on_synced(self._log.written_mark)
        self._engine.wake(WAIT_REASON)

    def _request_sync(self, descriptor: int, *, is_last: bool) -> None:
        assert self._files is not None
        job = _SyncJob(self._files, descriptor, self._log.written_mark, is_last)
        self._jobs.append(job)
        self._has_jobs.set()

    async def run(self) -> None:
        """Make the fsyncs of `everysec` until cancelled; one that is under way is waited for."""
        while True:
            await self._has_jobs.wait()
            self._has_jobs = trio.Event()
            while self._jobs:
                await self._carry_out(self._jobs.popleft())

    async def _carry_out(self, job: _SyncJob) -> None:
        aof = self._log
        self._is_sync_running = True
        try:
            duration_s = await trio.to_thread.run_sync(_sync_and_close, job)
        except OSError as error:
            reason = error.strerror or str(error)
            log.error("aof.sync_failed", error=reason)
            aof.sync_error = reason
            aof.failed_syncs += 1
            self._engine.recheck()
            self._judge(f"cannot sync the append-only file: {reason}")
        else:
            self._engine.meter.on_fsync(duration_s)
            had_failed = bool(aof.sync_error)
            aof.on_synced(job.mark)
            log.debug("aof.synced", elapsed_ms=int(duration_s * 1000))
            if had_failed:
                log.info("aof.sync_recovered")
                self._engine.recheck()
            self._engine.wake(WAIT_REASON)
        finally:
            self._is_sync_running = False
        self._settle()


def _sync_and_close(job: _SyncJob) -> float:
    """Return how many seconds the fsync took; run on a thread."""
    began_s = time.monotonic()
    try:
        job.files.sync(job.descriptor)
        return time.monotonic() - began_s
    finally:
        if job.is_last:
            job.files.close(job.descriptor)
