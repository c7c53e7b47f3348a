"""What a process tells its supervisor."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from vedette.runtime.process import Supervisor, find_supervisor, tell_supervisor


@pytest.mark.parametrize(
    ("wanted", "variables", "found"),
    [
        ("no", {"NOTIFY_SOCKET": "/x"}, Supervisor.NOBODY),
        ("auto", {}, Supervisor.NOBODY),
        ("auto", {"NOTIFY_SOCKET": "/x"}, Supervisor.SYSTEMD),
        ("auto", {"UPSTART_JOB": "x"}, Supervisor.UPSTART),
        ("systemd", {"NOTIFY_SOCKET": "/x"}, Supervisor.SYSTEMD),
        ("systemd", {"UPSTART_JOB": "x"}, Supervisor.NOBODY),
    ],
)
def test_supervisor_is_who_says_so(
    wanted: str, variables: dict[str, str], found: Supervisor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`supervised` as in redis.conf."""
    for name in ("NOTIFY_SOCKET", "UPSTART_JOB"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)

    assert find_supervisor(wanted) is found


def test_systemd_is_told_over_its_socket(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A unit of Type=notify counts as started when it says so."""
    path = str(tmp_path / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(path)
        manager.settimeout(5)
        monkeypatch.setenv("NOTIFY_SOCKET", path)
        tell_supervisor(Supervisor.SYSTEMD, "READY=1")

        assert manager.recv(100) == b"READY=1"
    tell_supervisor(Supervisor.SYSTEMD, "STOPPING=1")  # nobody listens any more: no failure


def test_upstart_is_told_by_a_stop() -> None:
    """`expect stop`: the process stops itself, and upstart continues it."""
    code = (
        "from vedette.runtime.process import Supervisor, tell_supervisor\n"
        "tell_supervisor(Supervisor.UPSTART, 'READY=1')\n"
    )
    process = subprocess.Popen([sys.executable, "-c", code])
    _, status = os.waitpid(process.pid, os.WUNTRACED)

    assert os.WIFSTOPPED(status)
    process.send_signal(signal.SIGCONT)
    assert process.wait(20) == 0


@pytest.mark.parametrize(
    ("descriptors", "said"),
    [
        (100, "68"),
        (32, "[Errno 24] 32 open files (ulimit -n) are not enough to start"),
    ],
)
def test_clients_are_as_many_as_the_system_has_descriptors_for(descriptors: int, said: str) -> None:
    """All 32 of Redis' own, and one client at the least, or it does not start."""
    code = (
        "import resource\n"
        "from vedette.runtime.process import allow_clients\n"
        f"resource.setrlimit(resource.RLIMIT_NOFILE, ({descriptors}, {descriptors}))\n"
        "try:\n"
        "    print(allow_clients(10_000))\n"
        "except OSError as error:\n"
        "    print(error)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert done.stdout == f"{said}\n"
