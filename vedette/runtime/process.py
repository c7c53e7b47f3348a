"""What every long-running program does with its process: daemon, pid file, limits, watching."""

from __future__ import annotations

import contextlib
import enum
import errno
import os
import resource
import signal
import socket
import sys
from collections.abc import AsyncIterator, Callable, Iterator

import structlog
import trio

from .pump import Pump

log = structlog.get_logger()

#: Descriptors kept for everything but clients: files, listeners, links. Redis keeps as many.
RESERVED_DESCRIPTORS = 32

#: How often clients that have been idle or slow for too long are looked for.
_CHECK_S = 1.0
#: How often waits are looked at that may be over, as by Redis' `hz` of 10.
_WAITS_CHECK_S = 0.1


def become_daemon() -> bool:
    """Go on in a child with a session of its own; return False in the parent, which is to exit."""
    if os.fork():
        return False
    os.setsid()
    null = os.open(os.devnull, os.O_RDWR)
    for descriptor in (0, 1, 2):
        os.dup2(null, descriptor)
    if null > 2:
        os.close(null)
    return True


class Supervisor(enum.Enum):
    """Who has started us and waits to be told that we are ready (the directive `supervised`)."""

    NOBODY = "no"
    SYSTEMD = "systemd"
    UPSTART = "upstart"


#: Where each supervisor says that it is there.
_SUPERVISOR_VARIABLES = {Supervisor.UPSTART: "UPSTART_JOB", Supervisor.SYSTEMD: "NOTIFY_SOCKET"}


def find_supervisor(wanted: str) -> Supervisor:
    """Return who supervises us, of those that `wanted` (`auto`, or one of them) allows for."""
    for supervisor, variable in _SUPERVISOR_VARIABLES.items():
        if wanted in ("auto", supervisor.value) and os.environ.get(variable):
            return supervisor
    if wanted not in ("auto", "no"):
        log.warning("process.supervisor_missing", supervised=wanted)
    return Supervisor.NOBODY


def tell_supervisor(supervisor: Supervisor, state: str) -> None:
    """Say `READY=1` or `STOPPING=1`, as `sd_notify` does; upstart knows the former as a stop.

    A supervisor that cannot be told is worth a line in the log, and no failure.
    """
    if supervisor is Supervisor.UPSTART and state == "READY=1":
        os.environ.pop("UPSTART_JOB", None)
        os.kill(os.getpid(), signal.SIGSTOP)
    if supervisor is not Supervisor.SYSTEMD:
        return
    path = os.environ.get("NOTIFY_SOCKET", "")
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as connection:
            connection.connect(f"\0{path[1:]}" if path.startswith("@") else path)
            connection.sendall(state.encode())
    except OSError as error:
        log.warning("process.supervisor_not_told", state=state, error=error.strerror)


@contextlib.contextmanager
def pid_file(path: str) -> Iterator[None]:
    """Keep a file with the process' id at `path` while the block runs (empty: none).

    If it cannot be written the log says so, and all else goes on: as with Redis, whose packages
    name a directory that only their own service is given.
    """
    if path:
        try:
            with open(path, "w", encoding="ascii") as file:
                file.write(f"{os.getpid()}\n")
        except OSError as error:
            log.warning("process.pid_file_not_written", path=path, error=error.strerror)
            path = ""
    try:
        yield
    finally:
        if path:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(path)


@contextlib.contextmanager
def stop_signals() -> Iterator[AsyncIterator[int]]:
    """Receive SIGTERM and SIGINT while the block runs, and ignore them after it.

    For then the process is about to end, and a second one must not turn that into a failure.
    """
    sys.unraisablehook = _pass_over_ignored_signals
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, signal.SIG_IGN)  # what the receiver finds, it restores at its end
    with trio.open_signal_receiver(signal.SIGTERM, signal.SIGINT) as signals:
        yield signals


def _pass_over_ignored_signals(unraisable: sys.UnraisableHookArgs) -> None:
    """Report what cannot be raised, but for a signal that came while its handler was changed.

    The interpreter then says that it ignores the signal, which is what is wanted.
    """
    if isinstance(unraisable.exc_value, OSError) and "due to race" in str(unraisable.exc_value):
        return
    sys.__unraisablehook__(unraisable)


def allow_clients(count: int) -> int:
    """Have the system allow the descriptors that `count` clients take; return how many it allows.

    Raises the soft limit of open files as far as the hard one lets it. Follows Redis' `server.c:
    adjustOpenFilesLimit`: to accept connections without a descriptor to spare is to spin.

    Raises:
        OSError: it allows too few to serve anybody.
    """
    needed = count + RESERVED_DESCRIPTORS
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != resource.RLIM_INFINITY and soft < needed:
        soft = needed if hard == resource.RLIM_INFINITY else min(needed, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    if soft == resource.RLIM_INFINITY:
        return count
    if soft <= RESERVED_DESCRIPTORS:
        raise OSError(errno.EMFILE, f"{soft} open files (ulimit -n) are not enough to start")
    return min(count, soft - RESERVED_DESCRIPTORS)


async def watch_clients(pump: Pump, timeout_s: Callable[[], int]) -> None:
    """Close, for ever, clients that read or send nothing for too long: see `Pump.close_overdue`."""
    while True:
        await trio.sleep(_CHECK_S)
        pump.close_overdue(timeout_s())


async def watch_waits(pump: Pump) -> None:
    """End, for ever, the waits of clients whose time is over."""
    while True:
        await trio.sleep(_WAITS_CHECK_S)
        pump.expire_waits()
