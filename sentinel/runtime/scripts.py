"""Notification and client-reconfig scripts: run, limited, and retried as Redis runs them.

Owns the queue of scripts and their processes. A script that exits with 1 or is ended by a signal is
tried again, up to ten times with growing pauses; any other failure is final. Follows Redis'
`sentinel.c: sentinelRunPendingScripts, sentinelCollectTerminatedScripts`.
"""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

import structlog
import trio

from sentinel.context import PendingScript
from sentinel.core.actions import RunScript
from sentinel.core.timing import DEFAULT_PERIODS, Periods

QUEUE_MAX: Final = 256
RUNNING_MAX: Final = 16
ATTEMPTS_MAX: Final = 10

#: A killed process is gone this soon.
_REAP_TIMEOUT_S: Final = 2.0
#: Exit code of a script that asks to be run again.
_RETRY_CODE: Final = 1
#: Exit code reported, as Redis' child does, when the script cannot be executed at all.
_NOT_EXECUTABLE_CODE: Final = 2

log = structlog.get_logger()


@dataclass(slots=True, eq=False)
class ScriptJob:
    """One script to be run, until it succeeds or is given up."""

    argv: list[str]
    attempts: int = 0
    process_id: int = 0
    #: When it began to run, or (while it waits) may run next; trio's clock.
    since_s: float = 0.0
    scope: trio.CancelScope = field(default_factory=trio.CancelScope)

    @property
    def is_running(self) -> bool:
        """Whether its process is there."""
        return self.process_id != 0


class ScriptRunner:
    """Runs the scripts that the machine asks for.

    `publish(event, payload)` announces what Redis announces about scripts; `periods()` tells how
    long one may run and how long it waits before it is repeated.
    """

    def __init__(
        self,
        publish: Callable[[bytes, bytes], None],
        periods: Callable[[], Periods] = lambda: DEFAULT_PERIODS,
    ) -> None:
        self._publish = publish
        self._periods = periods
        self._slots = trio.Semaphore(RUNNING_MAX)
        #: All that run or wait, oldest first.
        self.jobs: list[ScriptJob] = []

    def pending(self) -> list[PendingScript]:
        """Return what SENTINEL PENDING-SCRIPTS shows."""
        now_s = trio.current_time()
        return [
            PendingScript(
                argv=tuple(job.argv),
                process_id=job.process_id,
                time_ms=int(abs(now_s - job.since_s) * 1000),
                attempts=job.attempts,
            )
            for job in self.jobs
        ]

    def start(self, action: RunScript, nursery: trio.Nursery) -> None:
        """Queue a script; when the queue is full the oldest one that does not run is dropped."""
        job = ScriptJob([action.path, *action.arguments], since_s=trio.current_time())
        if len(self.jobs) >= QUEUE_MAX:
            oldest = next((each for each in self.jobs if not each.is_running), None)
            if oldest is not None:
                oldest.scope.cancel()
                self.jobs.remove(oldest)
        self.jobs.append(job)
        nursery.start_soon(self._work, job, name=f"script {action.path}")

    async def _work(self, job: ScriptJob) -> None:
        with job.scope:
            while job.attempts < ATTEMPTS_MAX:
                async with self._slots:
                    is_over = await self._attempt(job)
                if is_over:
                    break
                delay_s = self._periods().script_retry_delay_ms / 1000 * 2 ** (job.attempts - 1)
                job.since_s = trio.current_time() + delay_s
                await trio.sleep(delay_s)
        if job in self.jobs:
            self.jobs.remove(job)

    async def _attempt(self, job: ScriptJob) -> bool:
        """Run the script once; return whether that was the end of it."""
        job.attempts += 1
        job.since_s = trio.current_time()
        path = job.argv[0]
        try:
            process = await trio.lowlevel.open_process(job.argv, stdin=subprocess.DEVNULL)
        except OSError as error:
            log.warning("sentinel.script_not_started", path=path, error=error.strerror)
            self._publish(b"-script-error", f"{path} 0 {_NOT_EXECUTABLE_CODE}".encode())
            return True
        job.process_id = process.pid
        log.debug("sentinel.script_started", sentinel_event="+script-child", pid=process.pid)
        try:
            with trio.move_on_after(self._periods().script_max_runtime_ms / 1000) as scope:
                code = await process.wait()
            if scope.cancelled_caught:
                self._publish(b"-script-timeout", f"{path} {process.pid}".encode())
                process.kill()
                code = await process.wait()
        finally:
            job.process_id = 0
            if process.returncode is None:  # cancelled: leave no process behind
                process.kill()
                with trio.move_on_after(_REAP_TIMEOUT_S, shield=True):
                    await process.wait()
        log.debug("sentinel.script_ended", sentinel_event="-script-child", exit_code=code)
        return self._judge(job, code)

    def _judge(self, job: ScriptJob, code: int) -> bool:
        """Return whether a script that ended with `code` (negative: a signal) is not run again."""
        if code == 0:
            return True
        asks_again = code < 0 or code == _RETRY_CODE
        if asks_again and job.attempts < ATTEMPTS_MAX:
            return False
        signal_number, exit_code = (-code, 0) if code < 0 else (0, code)
        self._publish(b"-script-error", f"{job.argv[0]} {signal_number} {exit_code}".encode())
        return True
