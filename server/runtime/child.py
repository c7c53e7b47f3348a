"""A forked child process that works on the keyspace as it was at the instant of the fork.

The child shares the parent's pages until one side writes to them, so nothing is copied up front.

Theory of operation:

- `start_child` forks between two commands, without a checkpoint, so the caller knows to the byte
  which replication offset the child's data stands for.
- The child never returns into the parent's code and never touches trio: it drops the parent's
  signal handlers and descriptors, works, reports through a pipe and leaves by `os._exit`. Clients
  whose sockets the parent closes see the end at once, because the child holds none of them.
- The parent owns a `Child` and must `wait` for it, which also reaps it. Nothing else may wait for
  that process.

Reference behaviour: redis server.c: redisFork, childinfo.c.
"""

from __future__ import annotations

import enum
import gc
import os
import signal
import time
import warnings
from collections.abc import Callable, Collection
from contextlib import suppress
from dataclasses import dataclass
from struct import Struct
from typing import Final, NoReturn

import trio

from .child_progress import private_memory_size

#: Where waiting by descriptor is not to be had, how often to ask whether the child has ended.
POLL_INTERVAL_S: Final = 0.02
#: How long a child that was killed may take to vanish when its waiter is cancelled.
KILL_GRACE_S: Final = 2.0
#: A report must fit into a pipe that nobody reads before the child has ended.
MAX_REPORT_SIZE: Final = 4096

#: What a child that succeeded reports: bytes written and bytes no longer shared. One that failed
#: reports the reason as text.
_SUCCESS_REPORT: Final = Struct("<QQ")


class ChildStatus(enum.Enum):
    """How a child ended."""

    SUCCEEDED = enum.auto()
    FAILED = enum.auto()
    #: By `Child.kill`.
    KILLED = enum.auto()


@dataclass(frozen=True, slots=True, kw_only=True)
class ChildOutcome:
    """What came of a child."""

    status: ChildStatus
    #: From the fork to the end.
    duration_s: float
    #: Why it failed; None unless it did.
    error: str | None = None
    #: What its work wrote.
    size_bytes: int = 0
    #: Memory it no longer shared with the parent at its end (INFO: rdb_last_cow_size).
    copied_bytes: int = 0


class Child:
    """A forked child at work. Made by `start_child`, whose caller must `wait` for it."""

    def __init__(
        self, pid: int, report_descriptor: int, leftover: str | None, forked_at_s: float
    ) -> None:
        self.pid = pid
        #: How long the fork itself kept the parent (INFO: latest_fork_usec).
        self.fork_duration_s = time.monotonic() - forked_at_s
        self._forked_at_s = forked_at_s
        self._report_descriptor = report_descriptor
        self._leftover = leftover
        self._wait_status: int | None = None
        self._was_killed = False

    @property
    def has_ended(self) -> bool:
        """Whether the child has ended and was reaped."""
        return self._wait_status is not None

    def kill(self) -> None:
        """Kill the child, unless it has ended, and remove what it leaves behind.

        Its waiter gets the status KILLED.
        """
        # Until it is reaped its pid cannot belong to anybody else.
        if not self.has_ended:
            self._was_killed = True
            os.kill(self.pid, signal.SIGKILL)
            self._remove_leftover()

    def _remove_leftover(self) -> None:
        if self._leftover is not None:
            with suppress(FileNotFoundError):
                os.unlink(self._leftover)

    async def wait(self) -> ChildOutcome:
        """Wait until the child has ended, reap it, clean up after it and say what came of it.

        To be called once, at once. If it is cancelled the child is killed and reaped before it
        raises.
        """
        try:
            await self._wait_exit()
        finally:
            if not self.has_ended:
                self.kill()
                with trio.move_on_after(KILL_GRACE_S, shield=True):
                    await self._wait_exit()
            self._remove_leftover()
            report = os.read(self._report_descriptor, MAX_REPORT_SIZE) if self.has_ended else b""
            os.close(self._report_descriptor)
        return self._judge(report)

    async def _wait_exit(self) -> None:
        try:
            descriptor = os.pidfd_open(self.pid)
        except (AttributeError, OSError):
            # Not every kernel and sandbox has it. A thread in waitpid would be no substitute: it
            # cannot be cancelled, and would reap the child behind the back of who kills it.
            while not self._reap():  # noqa: ASYNC110 (there is nothing that could set an event)
                await trio.sleep(POLL_INTERVAL_S)
            return
        try:
            while not self._reap():
                await trio.lowlevel.wait_readable(descriptor)
        finally:
            os.close(descriptor)

    def _reap(self) -> bool:
        pid, status = os.waitpid(self.pid, os.WNOHANG)
        if pid == 0:
            return False
        self._wait_status = status
        return True

    def _judge(self, report: bytes) -> ChildOutcome:
        assert self._wait_status is not None
        size_bytes, copied_bytes = 0, 0
        error: str | None = None
        exit_code = os.waitstatus_to_exitcode(self._wait_status)
        if self._was_killed and exit_code != 0:
            status = ChildStatus.KILLED
        elif exit_code == 0:
            status = ChildStatus.SUCCEEDED
            size_bytes, copied_bytes = _SUCCESS_REPORT.unpack(report)
        else:
            status = ChildStatus.FAILED
            if exit_code < 0:
                error = f"the child was ended by {signal.Signals(-exit_code).name}"
            else:
                error = report.decode("utf-8", "replace") or "the child gave no reason"
        return ChildOutcome(
            status=status,
            duration_s=time.monotonic() - self._forked_at_s,
            error=error,
            size_bytes=size_bytes,
            copied_bytes=copied_bytes,
        )


def start_child(
    work: Callable[[], int],
    *,
    keep_descriptors: Collection[int] = (),
    leftover: Callable[[int], str] | None = None,
) -> Child:
    """Fork a child that calls `work` and ends; what `work` returns is the outcome's `size_bytes`.

    Of the parent's descriptors the child has only the standard three and `keep_descriptors`, such
    as the pipe that `work` writes a snapshot into. An exception from `work` makes the child fail
    with its text. `leftover(pid)` is the path of a file that the child may leave behind if it
    dies; `Child.wait` removes it. No checkpoint.

    Raises:
        OSError: the system refused to fork.
    """
    report_reader, report_writer = os.pipe()
    forked_at_s = time.monotonic()
    # Keeps the collector's bookkeeping, which lies beside the objects, from being written to and
    # thereby copied. A running server has set nearly all of it aside already (`collector.py`).
    has_set_aside = gc.get_freeze_count() > 0
    gc.freeze()
    # A signal that came before the child has dropped the handlers would be told to the parent's
    # trio through the descriptor they share.
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
    try:
        pid = _fork()
        if pid == 0:
            _run_child(work, mask, report_writer, keep_descriptors)
    except BaseException:
        os.close(report_reader)
        raise
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        if not has_set_aside:
            gc.unfreeze()
        os.close(report_writer)
    return Child(pid, report_reader, leftover(pid) if leftover else None, forked_at_s)


def _fork() -> int:
    with warnings.catch_warnings():
        # Python 3.12 warns of forking beside threads, for a child could find a lock held by a
        # thread that it does not have. Trio's worker threads idle or sit in system calls, and
        # the child uses nothing that they lock.
        warnings.simplefilter("ignore", DeprecationWarning)
        return os.fork()


def _run_child(
    work: Callable[[], int],
    mask: set[signal.Signals] | set[int],
    report_descriptor: int,
    keep_descriptors: Collection[int],
) -> NoReturn:
    """Be the child. Nothing may unwind from here into the parent's code."""
    exit_code = 1
    try:
        gc.disable()
        _drop_signal_handlers()
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        _close_descriptors_except({0, 1, 2, report_descriptor, *keep_descriptors})
        report = _SUCCESS_REPORT.pack(work(), private_memory_size())
        os.write(report_descriptor, report)
        exit_code = 0
    except Exception as error:
        text = f"{type(error).__name__}: {error}"
        os.write(report_descriptor, text.encode("utf-8", "replace")[:MAX_REPORT_SIZE])
    finally:
        os._exit(exit_code)


def _drop_signal_handlers() -> None:
    signal.set_wakeup_fd(-1)
    for number in signal.valid_signals():
        if callable(signal.getsignal(number)):
            signal.signal(number, signal.SIG_DFL)
    # Ctrl-C goes to the whole group, but it is the parent who decides what becomes of the child.
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def _close_descriptors_except(kept: Collection[int]) -> None:
    for name in os.listdir("/dev/fd"):
        if int(name) not in kept:
            with suppress(OSError):  # the listing's own is closed by now
                os.close(int(name))
