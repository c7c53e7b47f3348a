"""Notification and client-reconfig scripts: run, limited, and retried as Redis runs them.

Owns the queue of scripts and their processes. A script that exits with 1 or is ended by a signal is
tried again, up to ten times with growing pauses; any other failure is final. Follows Redis'
`sentinel.c: sentinelRunPendingScripts, sentinelCollectTerminatedScripts`, but for its timer: a
script starts and ends when it does, not at the next tick.

A script gets our environment, standard output and standard error, and no other descriptor.
"""

from __future__ import annotations

import math
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import structlog
import trio

from sentinel.context import PendingScript
from sentinel.core.actions import RunScript
from sentinel.core.timing import DEFAULT_PERIODS, Periods
from vedette.conf.quoting import encode_word

QUEUE_MAX: Final = 256
RUNNING_MAX: Final = 16
ATTEMPTS_MAX: Final = 10

#: How often a script that runs is compared with a limit that SENTINEL DEBUG may have changed.
_LIMIT_CHECK_S: Final = 1.0
#: A killed process is gone this soon.
_REAP_TIMEOUT_S: Final = 2.0
#: Exit code of a script that asks to be run again.
_RETRY_CODE: Final = 1
#: Exit code reported, as Redis' child does, when the script cannot be executed at all.
_NOT_EXECUTABLE_CODE: Final = 2
#: A notification script, the event and its text.
_NOTIFICATION_WORDS: Final = 3
#: What Redis reports in the place of a signal when there is no process to be had.
_NO_PROCESS: Final = 99

log = structlog.get_logger()


@dataclass(slots=True, eq=False)
class ScriptJob:
    """One script to be run, until it succeeds or is given up."""

    argv: list[str]
    #: Attempts that have ended.
    attempts: int = 0
    #: Its process is being made.
    is_starting: bool = False
    process_id: int = 0
    #: When the process began, trio's clock; meaningful while there is one.
    began_s: float = 0.0
    #: When it may be run again, trio's clock; None: as soon as there is room.
    due_s: float | None = None

    @property
    def kind(self) -> str:
        """`notification` (run with an event and its text) or `reconfig`."""
        return "notification" if len(self.argv) == _NOTIFICATION_WORDS else "reconfig"

    @property
    def is_running(self) -> bool:
        """Whether its process is there."""
        return self.process_id != 0

    @property
    def is_waiting(self) -> bool:
        """Whether it waits to be run, for the first time or again."""
        return not self.is_starting and not self.is_running

    def as_pending(self, now_s: float) -> PendingScript:
        """Return what SENTINEL PENDING-SCRIPTS shows of it."""
        wait_s = 0.0 if self.due_s is None else max(0.0, self.due_s - now_s)
        time_s = now_s - self.began_s if self.is_running else wait_s
        return PendingScript(
            argv=tuple(self.argv),
            process_id=self.process_id,
            time_ms=int(time_s * 1000),
            attempts=self.attempts + self.is_running,
        )


def pause_s(attempts: int, periods: Periods) -> float:
    """Return how long a script that was run so many times waits before the next."""
    return periods.script_retry_delay_ms / 1000 * 2.0 ** (attempts - 1)


class ScriptRunner:
    """Runs the scripts that the machine asks for.

    `publish(event, payload)` announces what Redis announces about scripts; `periods()` tells how
    long one may run and how long it waits before it is repeated; `count(kind, result)` counts each
    attempt.
    """

    def __init__(
        self,
        publish: Callable[[bytes, bytes], None],
        periods: Callable[[], Periods] = lambda: DEFAULT_PERIODS,
        count: Callable[[str, str], None] = lambda kind, result: None,
    ) -> None:
        self._publish = publish
        self._periods = periods
        self._count = count
        #: All that run or wait, oldest first.
        self.jobs: list[ScriptJob] = []
        self._has_changed = trio.Event()

    def pending(self) -> list[PendingScript]:
        """Return what SENTINEL PENDING-SCRIPTS shows."""
        now_s = trio.current_time()
        return [job.as_pending(now_s) for job in self.jobs]

    def process_ids(self) -> set[int] | None:
        """Return the processes that are ours to wait for; None while one is just being made."""
        if any(job.is_starting for job in self.jobs):
            return None
        return {job.process_id for job in self.jobs if job.is_running}

    def request(self, action: RunScript) -> None:
        """Queue a script; when the queue is full the oldest one that does not run is dropped."""
        if len(self.jobs) >= QUEUE_MAX:
            oldest = next((job for job in self.jobs if job.is_waiting), None)
            if oldest is not None:
                self.jobs.remove(oldest)
                self._count(oldest.kind, "dropped")
        self.jobs.append(ScriptJob([action.path, *action.arguments]))
        self._has_changed.set()

    async def run(self) -> None:
        """Run what is queued, in its order, until cancelled; what still runs then is killed."""
        async with trio.open_nursery() as nursery:
            while True:
                self._has_changed = trio.Event()
                job = self._next_job()
                if job is not None:
                    await self._start(job, nursery)
                    continue
                due_s = min(
                    (job.due_s for job in self.jobs if job.due_s is not None), default=math.inf
                )
                with trio.move_on_at(due_s if self._has_room else math.inf):
                    await self._has_changed.wait()

    @property
    def _has_room(self) -> bool:
        return sum(not job.is_waiting for job in self.jobs) < RUNNING_MAX

    def _next_job(self) -> ScriptJob | None:
        """Return the oldest script that is due, if one may run."""
        now_s = trio.current_time()
        due = (job for job in self.jobs if job.is_waiting and (job.due_s or 0.0) <= now_s)
        return next(due, None) if self._has_room else None

    async def _start(self, job: ScriptJob, nursery: trio.Nursery) -> None:
        """Start the process, one after the other so that the order is kept."""
        job.is_starting = True
        job.due_s = None
        path = job.argv[0]
        try:
            process = await trio.lowlevel.open_process(job.argv, stdin=subprocess.DEVNULL)
        except OSError as error:
            log.warning("sentinel.script_not_started", path=path, error=error.strerror)
            if error.filename is None:  # the system has no process left to give
                self._publish(b"-script-error", encode_word(f"{path} {_NO_PROCESS} 0"))
                self._count(job.kind, "failed")
                self._end_attempt(job, is_over=job.attempts + 1 >= ATTEMPTS_MAX)
            else:
                self._publish(b"-script-error", encode_word(f"{path} 0 {_NOT_EXECUTABLE_CODE}"))
                self._count(job.kind, "failed")
                self._end_attempt(job, is_over=True)
            return
        job.process_id = process.pid
        job.began_s = trio.current_time()
        job.is_starting = False
        log.debug("sentinel.script_started", sentinel_event="+script-child", pid=process.pid)
        nursery.start_soon(self._attend, job, process, name=f"script {path}")

    async def _attend(self, job: ScriptJob, process: trio.Process) -> None:
        """Wait for the end of a process, and decide what becomes of its script."""
        try:
            code = await self._wait(job, process)
        finally:
            if process.returncode is None:  # cancelled: leave no process behind
                process.kill()
                with trio.move_on_after(_REAP_TIMEOUT_S, shield=True):
                    await process.wait()
        log.debug("sentinel.script_ended", sentinel_event="-script-child", exit_code=code)
        self._count(job.kind, "done" if code == 0 else "failed")
        self._end_attempt(job, is_over=self._judge(job, code))

    def _end_attempt(self, job: ScriptJob, *, is_over: bool) -> None:
        """Take the script out of the queue, or have it wait for its next attempt."""
        job.process_id = 0
        job.is_starting = False
        job.attempts += 1
        if is_over:
            self.jobs.remove(job)
        else:
            job.due_s = trio.current_time() + pause_s(job.attempts, self._periods())
        self._has_changed.set()

    async def _wait(self, job: ScriptJob, process: trio.Process) -> int:
        """Return the exit code, negative for a signal; kill the process when its time is up."""
        while True:
            end_s = job.began_s + self._periods().script_max_runtime_ms / 1000
            with trio.move_on_at(min(end_s, trio.current_time() + _LIMIT_CHECK_S)):
                return await process.wait()
            if trio.current_time() >= end_s:
                break
        self._publish(b"-script-timeout", encode_word(f"{job.argv[0]} {process.pid}"))
        process.kill()
        return await process.wait()

    def _judge(self, job: ScriptJob, code: int) -> bool:
        """Return whether a script that ended with `code` (negative: a signal) is not run again."""
        if code == 0:
            return True
        asks_again = code < 0 or code == _RETRY_CODE
        if asks_again and job.attempts + 1 < ATTEMPTS_MAX:
            return False
        signal_number, exit_code = (-code, 0) if code < 0 else (0, code)
        outcome = f"{job.argv[0]} {signal_number} {exit_code}"
        self._publish(b"-script-error", encode_word(outcome))
        return True
