"""Real server and sentinel processes for tests, ours here and Redis' own in `tests.support.redis`.

Each is a context manager: entering writes a configuration file into the process' own directory,
starts it on a free port of 127.0.0.1 and waits until it answers; leaving kills it and removes the
directory if it was a temporary one. A process never outlives the test run: it leads its own
session and the kernel kills it when the test process dies.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import random
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from tests.support.client import Argument, BlockingClient, ReplyError
from tests.support.waiting import wait_until

__all__ = [
    "ServerProcess",
    "VedetteSentinel",
    "VedetteServer",
    "free_port",
    "members_of_session",
    "watching",
]

#: Below the range from which Linux takes the ports of outgoing connections, so that none of
#: those grabs a port between its being handed out and its being bound.
_PORTS = range(10000, 26000)
#: Workers that run tests side by side (pytest-xdist) have ports of their own: `gw0`, `gw1`, ...
_WORKER = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
_WORKERS_MAX = 4
_SHARE = len(_PORTS) // _WORKERS_MAX
PORT_RANGE = _PORTS[_SHARE * (_WORKER % _WORKERS_MAX) :][:_SHARE]
PR_SET_PDEATHSIG = 1
#: For a machine with far more to do than it can: a process that ends is noticed at once.
START_TIMEOUT_S = 60.0
STOP_TIMEOUT_S = 30.0
#: How much of the log a failed start shows.
LOG_TAIL_LINES = 30

_handed_out: set[int] = set()
_random = random.SystemRandom()


def free_port() -> int:
    """Return a TCP port of 127.0.0.1 that nothing listens on; never the same one twice."""
    while True:
        port = _random.choice(PORT_RANGE)
        if port in _handed_out:
            continue
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        _handed_out.add(port)
        return port


def watching(
    port: int,
    *,
    name: str = "mymaster",
    quorum: int = 2,
    down_after_ms: int = 1000,
    failover_timeout_ms: int = 10000,
    parallel_syncs: int = 1,
) -> list[str]:
    """Return the lines of a sentinel.conf that watch the master at 127.0.0.1:`port`."""
    return [
        f"sentinel monitor {name} 127.0.0.1 {port} {quorum}",
        f"sentinel down-after-milliseconds {name} {down_after_ms}",
        f"sentinel failover-timeout {name} {failover_timeout_ms}",
        f"sentinel parallel-syncs {name} {parallel_syncs}",
    ]


class ServerProcess:
    """A process that speaks RESP, started from a configuration file.

    `config` maps directives to the text after them and overrides the defaults; `extra_lines` are
    appended as they are (for directives that repeat). `port` and `directory` are chosen when not
    given; a given directory is kept afterwards, and a process may be started in it again.
    """

    #: File name of the configuration, in `directory`.
    config_name = "server.conf"
    #: Whether a start is over only when the dataset is loaded.
    awaits_loading = True

    def __init__(
        self,
        config: Mapping[str, str] | None = None,
        extra_lines: Sequence[str] = (),
        *,
        port: int | None = None,
        directory: Path | None = None,
    ) -> None:
        self.port = port or free_port()
        self._temporary = tempfile.TemporaryDirectory(prefix="vedette-test-")
        self.directory = directory or Path(self._temporary.name)
        self.config = {**self.default_config(), **(config or {})}
        self.extra_lines = list(extra_lines)
        self._process: subprocess.Popen[bytes] | None = None
        self._client: BlockingClient | None = None

    def command(self) -> list[str]:
        """Return the program and the arguments before the configuration file."""
        raise NotImplementedError

    def default_config(self) -> dict[str, str]:
        return {"bind": "127.0.0.1", "port": str(self.port), "dir": str(self.directory)}

    @property
    def process(self) -> subprocess.Popen[bytes]:
        """The process last started."""
        assert self._process is not None, "the process has not been started"
        return self._process

    @property
    def config_path(self) -> Path:
        return self.directory / self.config_name

    @property
    def log_path(self) -> Path:
        """The file that takes what the process writes to standard output and error."""
        return self.directory / "output.log"

    def log(self) -> str:
        return self.log_path.read_text(errors="replace") if self.log_path.exists() else ""

    def __enter__(self) -> Self:
        self.write_config()
        try:
            self.start()
        except BaseException:
            self._end()
            raise
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._end()

    def write_config(self) -> None:
        """Write the configuration file anew, forgetting what the process rewrote in it."""
        lines = [f"{directive} {value}" for directive, value in self.config.items()]
        self.config_path.write_text("\n".join([*lines, *self.extra_lines]) + "\n")

    def start(self) -> None:
        """Start the process (again, after `kill` or `stop`) and wait until it answers PING.

        Raises:
            AssertionError: it ended or did not answer in time; the text holds its last output.
        """
        with self.log_path.open("ab") as log:
            self._process = subprocess.Popen(
                [*self.command(), str(self.config_path)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                cwd=self.directory,
                start_new_session=True,
                preexec_fn=_death_signal_setter(),
            )
        try:
            wait_until(self._answers_or_ended, START_TIMEOUT_S, f"{self!r} to answer PING")
        except AssertionError as error:
            raise AssertionError(f"{error}\n{self._log_tail()}") from error
        if self._process.poll() is not None:
            raise AssertionError(
                f"{self!r} ended with code {self._process.returncode} at its start\n"
                f"{self._log_tail()}"
            )

    def kill(self) -> None:
        """End the process with SIGKILL and wait until it is gone."""
        self.close_client()
        if self._process is not None and self._process.poll() is None:
            self._process.kill()
            self._process.wait(STOP_TIMEOUT_S)

    def stop(self, timeout_s: float = STOP_TIMEOUT_S) -> int:
        """Ask the process to end with SIGTERM, and return its exit code."""
        self.close_client()
        self.process.terminate()
        return self.process.wait(timeout_s)

    def stop_with_sigstop(self) -> None:
        """Freeze the process: its sockets stay open and nobody answers on them."""
        self.process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Let a frozen process run on."""
        self.process.send_signal(signal.SIGCONT)

    def connect(self, timeout_s: float = 20.0) -> BlockingClient:
        """Return a new connection (authenticated if `requirepass` is set); the caller closes it."""
        client = BlockingClient(self.port, timeout_s)
        password = self.config.get("requirepass")
        if password:
            client.call("AUTH", password)
        return client

    # Any: the reply is whatever the command answers.
    def call(self, *args: Argument) -> Any:
        """Send one command over a kept connection and return its reply.

        The connection is closed when a call fails and opened anew by the next one; nothing is
        sent twice.

        Raises:
            ReplyError: the reply was an error.
            OSError: no connection, no reply within 20 s, or the connection was closed.
        """
        client = self._client or self.connect()
        self._client = client
        try:
            return client.call(*args)
        except OSError:
            self.close_client()
            raise

    def info(self, *sections: str) -> dict[str, str]:
        """Return the fields of INFO."""
        text: str = self.call("INFO", *sections).decode(errors="replace")
        pairs = (line.partition(":") for line in text.splitlines() if not line.startswith("#"))
        return {field: value for field, colon, value in pairs if colon}

    def close_client(self) -> None:
        """Close the connection kept by `call`, if there is one."""
        if self._client is not None:
            self._client.close()
            self._client = None

    def __repr__(self) -> str:
        return f"<{type(self).__name__} on port {self.port}>"

    def _answers_or_ended(self) -> bool:
        if self.process.poll() is not None:
            return True
        try:
            with self.connect(timeout_s=1.0) as client:
                client.call("PING")
        except ReplyError as error:
            # It speaks RESP and wants a password first; still loading is not yet started.
            accepted = ("NOAUTH", "DENIED") if self.awaits_loading else ("NOAUTH", "LOADING")
            return str(error).startswith(accepted)
        return True

    def _log_tail(self) -> str:
        return "\n".join(self.log().splitlines()[-LOG_TAIL_LINES:])

    def _end(self) -> None:
        try:
            self.kill()
            self._end_children()
        finally:
            self._temporary.cleanup()

    def _end_children(self) -> None:
        """End what the process has left behind, such as a child that still writes its files."""
        if self._process is None:
            return
        leader = self._process.pid
        for member in members_of_session(leader):
            with contextlib.suppress(ProcessLookupError):
                os.kill(member, signal.SIGKILL)
        wait_until(lambda: not members_of_session(leader), what=f"the children of {self!r} to end")


class VedetteServer(ServerProcess):
    """`vedette-server` of the environment that runs the tests."""

    def command(self) -> list[str]:
        return [console_script("vedette-server")]

    def default_config(self) -> dict[str, str]:
        return {**super().default_config(), "save": '""', "repl-diskless-sync-delay": "0"}

    def replicate(self, master: ServerProcess) -> None:
        """Make this server a replica of `master` and wait until its link is up."""
        replicate(self, master)


class VedetteSentinel(ServerProcess):
    """`vedette-sentinel` of the environment that runs the tests."""

    config_name = "sentinel.conf"

    def command(self) -> list[str]:
        return [console_script("vedette-sentinel")]


def replicate(replica: ServerProcess, master: ServerProcess) -> None:
    """Make `replica` follow `master` and wait until `master_link_status` is up."""
    replica.call("REPLICAOF", "127.0.0.1", master.port)
    wait_until(
        lambda: replica.info("replication").get("master_link_status") == "up",
        timeout_s=60.0,
        what=f"{replica!r} to have synchronised with {master!r}",
    )


def members_of_session(leader: int) -> list[int]:
    """Return the live processes of the session that `leader` began, itself included."""
    found = []
    for entry in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = entry.read_text().rpartition(")")[2].split()
        except (FileNotFoundError, ProcessLookupError):
            continue
        if int(fields[3]) == leader and fields[0] != "Z":
            found.append(int(entry.parent.name))
    return found


def console_script(name: str) -> str:
    """Return the path of a console script installed beside the running Python."""
    script = Path(sys.executable).with_name(name)
    assert script.exists(), f"{script} is missing; install the project (pip install -e .)"
    return str(script)


def _death_signal_setter() -> Callable[[], None] | None:
    """Return what a child runs before exec so that it dies with the test process, or None.

    The kernel sends the signal when the *thread* that forked ends, so a process started from a
    worker thread goes without.
    """
    if threading.current_thread() is not threading.main_thread():
        return None
    libc = ctypes.CDLL(None)
    parent = os.getpid()

    def die_with_parent() -> None:
        libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:
            with contextlib.suppress(ProcessLookupError):
                os.kill(os.getpid(), signal.SIGKILL)

    return die_with_parent
