"""One real process of a laboratory: started, signalled, asked whether it lives, never left behind.

A process leads its own session, so that Ctrl-C in the terminal reaches only us and we stop the
others in order. Should we die without a chance to do so, the kernel kills it.
"""

from __future__ import annotations

import ctypes
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterable
from pathlib import Path

import trio

from ..lab import Kind, ProcessPlan

_PR_SET_PDEATHSIG = 1
_POLL_INTERVAL_S = 0.02
#: How much of its output is shown when a process fails.
TAIL_LINES = 20


def find_program(plan: ProcessPlan) -> str | None:
    """Return the path of the program that `plan` runs, or None if it is not installed.

    Ours are the console scripts beside the running Python, so that a laboratory never mixes
    installations; others are looked for on PATH.
    """
    if plan.kind is Kind.VEDETTE:
        script = Path(sys.executable).with_name(plan.program)
        if script.exists():
            return str(script)
    return shutil.which(plan.program)


class LabProcess:
    """A planned process; `start` may be called again when it has ended."""

    def __init__(self, plan: ProcessPlan) -> None:
        self.plan = plan
        self._popen: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int | None:
        return None if self._popen is None else self._popen.pid

    @property
    def exit_code(self) -> int | None:
        """None while it runs; negative numbers are the signals that ended it."""
        return None if self._popen is None else self._popen.poll()

    @property
    def is_running(self) -> bool:
        return self._popen is not None and self._popen.poll() is None

    def start(self) -> None:
        """Start the program from its configuration file; its output goes to its log.

        Must be called in the main thread: the kernel ties the child's life to the thread that
        forked it. That costs the loop the few milliseconds a fork takes.

        Raises:
            FileNotFoundError: the program is not installed.
        """
        assert not self.is_running, "it runs already"  # and what has ended is reaped
        program = find_program(self.plan)
        if program is None:
            raise FileNotFoundError(self.plan.program)
        with self.plan.log_path.open("ab") as log:
            self._popen = subprocess.Popen(
                [program, str(self.plan.config_path)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                cwd=self.plan.directory,
                start_new_session=True,
                preexec_fn=_die_with_parent(),
            )

    def send_signal(self, number: signal.Signals) -> None:
        """Send a signal; nothing happens if the process has ended."""
        if self._popen is not None:
            self._popen.send_signal(number)

    def output_tail(self) -> str:
        """Return the last lines of what the process has written."""
        text = self.plan.log_path.read_text(errors="replace") if self.plan.log_path.exists() else ""
        return "\n".join(text.splitlines()[-TAIL_LINES:])


async def stop_processes(processes: Iterable[LabProcess], timeout_s: float) -> list[LabProcess]:
    """End all of them together: SIGTERM, and SIGKILL at the deadline; return those killed.

    On return each has ended and been reaped. Takes twice `timeout_s` at most.
    """
    running = [process for process in processes if process.is_running]
    for process in running:
        process.send_signal(signal.SIGTERM)
        process.send_signal(signal.SIGCONT)  # a frozen process would not notice otherwise
    with trio.move_on_after(timeout_s):
        await _wait_ended(running)
    stubborn = [process for process in running if process.is_running]
    for process in stubborn:
        process.send_signal(signal.SIGKILL)
    with trio.move_on_after(timeout_s):
        await _wait_ended(stubborn)
    return stubborn


async def _wait_ended(processes: Iterable[LabProcess]) -> None:
    for process in processes:
        # Nothing tells trio of a child's end, so it is asked for.
        while process.is_running:  # noqa: ASYNC110
            await trio.sleep(_POLL_INTERVAL_S)


def _die_with_parent() -> Callable[[], None] | None:
    """Return what the child runs before exec so that it dies with us; None where it cannot be."""
    if not sys.platform.startswith("linux"):
        return None
    prctl = ctypes.CDLL(None).prctl
    parent = os.getpid()

    def ask_for_death_signal() -> None:
        prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:  # it died before the line above took effect
            os._exit(1)

    return ask_for_death_signal
