"""The server among the programs of a machine: its supervisor, its log, its limits."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.support.processes import (
    ServerProcess,
    VedetteSentinel,
    VedetteServer,
    console_script,
    free_port,
)
from tests.support.redis import RedisSentinel, RedisServer, require_redis
from tests.support.waiting import wait_until

pytestmark = pytest.mark.timeout(120)


@pytest.fixture(params=["vedette-server", "redis-server"])
def executable(request: pytest.FixtureRequest) -> str:
    """Return the server as it is called: ours, or Redis' where it is installed."""
    name: str = request.param
    if name == "redis-server":
        require_redis(name)
        return name
    return console_script(name)


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


@pytest.mark.parametrize("program", [VedetteServer, RedisServer, VedetteSentinel, RedisSentinel])
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


def test_a_log_that_cannot_be_opened_prevents_the_start(executable: str, tmp_path: Path) -> None:
    """Said as what it is, a fault of the configuration."""
    path = tmp_path / "none" / "log"
    done = subprocess.run(
        [executable, "--logfile", str(path), "--port", "0"],
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


@pytest.mark.parametrize("program", [VedetteServer, RedisServer])
def test_a_pid_file_that_cannot_be_written_is_no_obstacle(program: type[ServerProcess]) -> None:
    """Redis' packages name a directory that only their own service is given."""
    with program({"pidfile": "/proc/none/pid"}) as server:
        assert server.call("ECHO", "on") == b"on"
        server.stop()


@pytest.mark.parametrize("options", [["--port", "0"], ["--bind", "-203.0.113.9"]])
def test_a_server_that_is_to_listen_nowhere_ends(
    executable: str, options: list[str], tmp_path: Path
) -> None:
    """The address is one for documentation, which no machine has."""
    done = subprocess.run(
        [executable, "--port", str(free_port()), *options], cwd=tmp_path, timeout=60, check=False
    )

    assert done.returncode == 1


def test_without_a_port_there_is_only_the_unix_socket(executable: str, tmp_path: Path) -> None:
    """A port of 0 is none, not whichever is free."""
    path = tmp_path / "socket"
    process = subprocess.Popen(
        [executable, "--port", "0", "--unixsocket", str(path)],
        cwd=tmp_path,
        stdout=subprocess.DEVNULL,
    )
    try:
        wait_until(lambda: answer_of(path) == b"+PONG\r\n", what="an answer", timeout_s=60)

        assert listening_ports(process.pid) == []
    finally:
        process.terminate()
        process.wait(60)


def answer_of(path: Path) -> bytes:
    """Return what a PING over the Unix socket at `path` is answered. Raises OSError: nobody is."""
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(60)
        client.connect(str(path))
        client.sendall(b"PING\r\n")
        return client.recv(100)


def listening_ports(process_id: int) -> list[str]:
    """Return the addresses at which the process listens for TCP, as the kernel spells them."""
    sockets = set()
    for place in Path(f"/proc/{process_id}/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):  # closed meanwhile
            sockets.add(os.readlink(place))
    rows = [
        line.split()
        for name in ("tcp", "tcp6")
        for line in Path(f"/proc/net/{name}").read_text().splitlines()[1:]
    ]
    return [row[1] for row in rows if row[3] == "0A" and f"socket:[{row[9]}]" in sockets]
