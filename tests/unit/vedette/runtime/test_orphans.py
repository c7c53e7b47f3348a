"""What a process 1 inherits."""

from __future__ import annotations

import ctypes
import os
import subprocess
import sys
from collections.abc import Iterator

import pytest

from tests.support.waiting import wait_until
from vedette.runtime.orphans import reap_orphans

PR_SET_CHILD_SUBREAPER = 36

#: Starts a child that outlives it for a moment, and prints its pid.
_PARENT = """
import os, sys
pid = os.fork()
if pid == 0:
    os.close(1)
    os.read(0, 1)
    os._exit(7)
print(pid)
"""


@pytest.fixture
def _as_process_1() -> Iterator[None]:
    """Inherit orphans, as process 1 does."""
    prctl = ctypes.CDLL(None, use_errno=True).prctl
    assert prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) == 0
    yield
    assert prctl(PR_SET_CHILD_SUBREAPER, 0, 0, 0, 0) == 0


@pytest.mark.usefixtures("_as_process_1")
def test_orphans_are_reaped_and_our_own_children_left_alone() -> None:
    """An exit code that somebody waits for must not be taken from him."""
    own = subprocess.Popen([sys.executable, "-c", "raise SystemExit(3)"])
    receive, send = os.pipe()
    parent = subprocess.Popen(
        [sys.executable, "-c", _PARENT], stdin=receive, stdout=subprocess.PIPE, text=True
    )
    os.close(receive)
    assert parent.stdout is not None
    with parent.stdout:
        orphan = int(parent.stdout.read())
    assert parent.wait(10) == 0
    os.close(send)  # now the orphan ends

    assert own.wait(10) == 3
    assert wait_until(lambda: reap_orphans({own.pid}), what="the orphan to end") == 1
    with pytest.raises(ChildProcessError):
        os.waitpid(orphan, os.WNOHANG)


def test_ended_child_of_ours_keeps_its_exit_code() -> None:
    """Even when it ended long before it is waited for."""
    own = subprocess.Popen([sys.executable, "-c", "raise SystemExit(3)"])
    ended = os.waitid(os.P_PID, own.pid, os.WEXITED | os.WNOWAIT)

    assert ended is not None
    assert reap_orphans({own.pid}) == 0
    assert own.wait(10) == 3
