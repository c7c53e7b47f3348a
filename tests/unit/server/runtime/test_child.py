"""Forked children: that they end as told, and that nobody else notices them."""

from __future__ import annotations

import gc
import os
import signal
import socket
from collections.abc import Callable
from pathlib import Path
from types import FrameType

import pytest
import trio

from server.runtime.child import Child, ChildStatus, start_child
from tests.support.waiting import wait_until_async

#: Sandboxes tend to hide it.
TELLS_PRIVATE_MEMORY = os.path.exists("/proc/self/smaps_rollup")


def wait_forever() -> int:
    while True:
        signal.pause()


def start_working_child() -> Child:
    """Return a child that is past its preparations and in the midst of endless work."""
    reader, writer = os.pipe()

    def work() -> int:
        os.write(writer, b"!")
        return wait_forever()

    child = start_child(work, keep_descriptors=[writer])
    os.close(writer)
    assert os.read(reader, 1) == b"!"
    os.close(reader)
    return child


def is_alive(pid: int) -> bool:
    """Whether the process exists, be it as a zombie."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def state_of(pid: int) -> str:
    """Return the letter Linux gives the process' state."""
    with open(f"/proc/{pid}/stat") as file:
        return file.read().rsplit(")", 1)[1].split()[0]


async def test_what_a_killed_child_leaves_behind_is_gone_at_once(tmp_path: Path) -> None:
    """Whoever sees that the process has ended a moment later finds no part of a snapshot."""
    path = tmp_path / "temp"

    def work() -> int:
        path.touch()
        return wait_forever()

    child = start_child(work, leftover=lambda pid: str(path))
    await wait_until_async(path.exists, 10, "the file")
    child.kill()

    assert not path.exists()
    assert (await child.wait()).status is ChildStatus.KILLED


async def test_outcome_tells_size_and_times() -> None:
    """INFO persistence and the log are fed from it."""
    child = start_child(lambda: 12345)
    outcome = await child.wait()

    assert outcome.status is ChildStatus.SUCCEEDED
    assert outcome.size_bytes == 12345
    assert (outcome.copied_bytes > 0) == TELLS_PRIVATE_MEMORY
    assert 0 < child.fork_duration_s <= outcome.duration_s
    assert child.has_ended
    assert not is_alive(child.pid)


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (OSError(28, "No space left on device"), "OSError: [Errno 28] No space left on device"),
        (MemoryError(), "MemoryError: "),
        (SystemExit(0), "the child gave no reason"),
        (ValueError("x" * 100_000), "ValueError: " + "x" * (4096 - 12)),
    ],
)
async def test_exception_in_the_child_is_its_error(error: BaseException, text: str) -> None:
    """It must neither pass for success nor unwind into the parent's code."""

    def fail() -> int:
        raise error

    outcome = await start_child(fail).wait()

    assert outcome.status is ChildStatus.FAILED
    assert outcome.error == text


async def test_child_ended_by_a_signal_has_failed() -> None:
    """The kernel's out-of-memory killer is the usual one, and leaves no other trace."""
    child = start_child(wait_forever)
    os.kill(child.pid, signal.SIGKILL)
    outcome = await child.wait()

    assert outcome.status is ChildStatus.FAILED
    assert outcome.error == "the child was ended by SIGKILL"


async def test_killed_child_says_so() -> None:
    """A save that was given up on purpose is no error to report."""
    child = start_child(wait_forever)
    child.kill()
    outcome = await child.wait()
    child.kill()  # has no effect on whoever has that pid now

    assert outcome.status is ChildStatus.KILLED
    assert outcome.error is None


async def test_others_run_while_the_parent_waits() -> None:
    """The server must go on serving during a save."""
    release_reader, release_writer = os.pipe()

    def wait_for_release() -> int:
        return len(os.read(release_reader, 10))

    child = start_child(wait_for_release, keep_descriptors=[release_reader])

    async def release() -> None:
        await trio.lowlevel.checkpoint()
        os.write(release_writer, b"go")

    with trio.fail_after(10):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(release)
            outcome = await child.wait()

    assert outcome.size_bytes == 2
    os.close(release_reader)
    os.close(release_writer)


async def test_cancelled_waiter_leaves_no_child() -> None:
    """A server that stops must not leave a process that still writes to its directory."""
    child = start_child(wait_forever)
    with trio.CancelScope() as scope:
        scope.cancel()
        await child.wait()

    assert scope.cancelled_caught
    assert child.has_ended
    assert not is_alive(child.pid)


async def test_waiting_works_without_pidfd(monkeypatch: pytest.MonkeyPatch) -> None:
    """Some kernels, sandboxes and systems do not have it."""
    monkeypatch.delattr(os, "pidfd_open")

    succeeded = await start_child(lambda: 7).wait()
    child = start_child(wait_forever)
    with trio.move_on_after(0.05) as scope:
        await child.wait()

    assert succeeded.size_bytes == 7
    assert scope.cancelled_caught
    assert not is_alive(child.pid)


async def test_peer_of_a_closed_socket_sees_the_end_during_a_save() -> None:
    """A child that kept clients' sockets would keep them open until it ends."""
    ours, theirs = socket.socketpair()
    child = start_working_child()
    ours.close()
    theirs.settimeout(5)

    assert theirs.recv(1) == b""

    theirs.close()
    child.kill()
    await child.wait()


async def test_signals_to_the_child_do_not_reach_the_parents_handlers() -> None:
    """Trio learns of signals through a descriptor that parent and child share."""
    seen: list[int] = []

    def handler(number: int, frame: FrameType | None) -> None:
        seen.append(number)

    previous = signal.signal(signal.SIGTERM, handler)
    try:
        child = start_working_child()
        os.kill(child.pid, signal.SIGINT)  # Ctrl-C reaches the whole group: must be ignored
        os.kill(child.pid, signal.SIGTERM)
        outcome = await child.wait()
    finally:
        signal.signal(signal.SIGTERM, previous)

    assert outcome.error == "the child was ended by SIGTERM"
    assert seen == []


async def test_parent_is_as_before() -> None:
    """Blocked signals, frozen objects or a lost descriptor would outlive every save."""

    def state() -> tuple[object, ...]:
        mask = signal.pthread_sigmask(signal.SIG_BLOCK, ())
        return mask, gc.get_freeze_count(), gc.isenabled(), sorted(os.listdir("/proc/self/fd"))

    gc.unfreeze()  # with anything set aside, as by a test before, a fork sets aside more
    before = state()
    await start_child(lambda: 0).wait()

    assert state() == before


def test_refused_fork_leaves_no_descriptor(monkeypatch: pytest.MonkeyPatch) -> None:
    """It comes when memory is short, and again with every attempt."""

    def refuse() -> int:
        raise OSError(12, "Cannot allocate memory")

    monkeypatch.setattr(os, "fork", refuse)
    descriptors = sorted(os.listdir("/proc/self/fd"))

    with pytest.raises(OSError, match="Cannot allocate memory"):
        start_child(lambda: 0)

    assert sorted(os.listdir("/proc/self/fd")) == descriptors


@pytest.mark.parametrize("work", [lambda: 1, wait_forever], ids=["ends", "waits"])
async def test_child_can_be_waited_for_after_it_has_ended(work: Callable[[], int]) -> None:
    """Whether it ends before or after the wait began is a race that must not matter."""
    child = start_child(work)
    if work is wait_forever:
        child.kill()
    await wait_until_async(lambda: state_of(child.pid) == "Z")
    outcome = await child.wait()

    assert outcome.status is (ChildStatus.KILLED if work is wait_forever else ChildStatus.SUCCEEDED)
