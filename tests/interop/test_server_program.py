"""The server among the programs of a machine: its supervisor, its log, its limits."""

from __future__ import annotations

import signal
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.support.processes import ServerProcess, VedetteServer, console_script
from tests.support.redis import RedisServer

pytestmark = pytest.mark.timeout(120)


@contextmanager
def manager_at(path: Path) -> Iterator[socket.socket]:
    """Yield the socket on which systemd is told of a unit of Type=notify."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(path))
        manager.settimeout(60)
        yield manager


def wait_until_told(manager: socket.socket, state: str) -> None:
    """Wait until `state` is among what the manager is told."""
    while state not in manager.recv(1000).decode().splitlines():
        pass


@pytest.mark.parametrize("program", [VedetteServer, RedisServer])
def test_systemd_is_told_of_the_start_and_the_end(
    program: type[ServerProcess], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Debian's unit is of Type=notify, and would give up on a server that says nothing.

    A supervised server does not become a daemon, whatever the file says.
    """
    path = tmp_path / "notify"
    with manager_at(path) as manager:
        monkeypatch.setenv("NOTIFY_SOCKET", str(path))
        with program({"supervised": "systemd", "daemonize": "yes"}) as server:
            wait_until_told(manager, "READY=1")
            facts = server.info("server")
            server.process.send_signal(signal.SIGTERM)
            wait_until_told(manager, "STOPPING=1")

            assert server.process.wait(60) == 0
            assert facts["process_supervised"] == "systemd"
            assert facts["process_id"] == str(server.process.pid)


@pytest.mark.parametrize("program", [console_script("vedette-server"), "redis-server"])
def test_a_log_that_cannot_be_opened_prevents_the_start(program: str, tmp_path: Path) -> None:
    """Said as what it is, a fault of the configuration."""
    path = tmp_path / "none" / "log"
    done = subprocess.run(
        [program, "--logfile", str(path), "--port", "0"],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        timeout=60,
    )

    assert done.returncode == 1
    assert done.stdout == ""
    assert done.stderr.splitlines()[-1] == "Can't open the log file: No such file or directory"


def test_a_server_survives_the_loss_of_its_log(tmp_path: Path) -> None:
    """Its disk is full: it goes on, changes of the level of the log included."""
    with VedetteServer({"logfile": "/dev/full"}) as server:
        server.call("CONFIG", "SET", "loglevel", "debug")
        server.call("BGREWRITEAOF")

        assert server.call("ECHO", "on") == b"on"
        assert server.stop() == 0
