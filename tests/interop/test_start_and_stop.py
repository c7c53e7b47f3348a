"""Starting and stopping our programs as administrators and supervisors do, beside Redis' own.

What makes a start impossible is said with file, line and reason, and ends it with code 1; SIGTERM
and SIGINT end a running process with code 0, quietly, and nothing of it stays behind.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.support.client import BlockingClient
from tests.support.processes import (
    VedetteSentinel,
    VedetteServer,
    console_script,
    free_port,
    members_of_session,
    watching,
)
from tests.support.redis import require_redis
from tests.support.waiting import wait_until

#: Ours, and Redis' program that takes the same.
TWINS = {"vedette-server": "redis-server", "vedette-sentinel": "redis-sentinel"}


def run(
    command: Sequence[str], directory: Path, *, stdin: str = ""
) -> subprocess.CompletedProcess[str]:
    """Run a program that is expected to end at once, in `directory`."""
    return subprocess.run(
        command, cwd=directory, input=stdin, capture_output=True, text=True, timeout=20
    )


def start_fails(
    program: str, directory: Path, *args: str, prefix: Sequence[str] = ()
) -> tuple[str, str]:
    """Return what ours and what Redis' program say (to whichever output) when they cannot start."""
    require_redis(TWINS[program])
    outputs = []
    for command in (console_script(program), TWINS[program]):
        ended = run([*prefix, command, *args], directory)
        assert ended.returncode == 1, (command, ended)
        outputs.append(ended.stdout + ended.stderr)
    assert "Traceback" not in outputs[0]
    return outputs[0], outputs[1]


# --- configurations that cannot be used -----------------------------------------------------------

SERVER_FAULTS = {
    "unknown directive": "port 0\nfoo bar\n",
    "unknown directive behind blanks and comments": "# a comment\n\n   \n\tfoo   bar  \n",
    "no integer": "port abc\n",
    "integer out of range": "port 70000\n",
    "too many values": "port 1 2\n",
    "no value": "port\n",
    "neither yes nor no": "rdbcompression maybe\n",
    "not one of the names": "appendfsync sometimes\n",
    "no memory size": "maxmemory 1xb\n",
    "save point without changes": "save 1\n",
    "save point that is no number": "save one 1\n",
    "quotes unbalanced": 'requirepass "a\n',
    "master's port": "replicaof 127.0.0.1 99999999\n",
    "master without port": "replicaof 127.0.0.1\n",
    "class of output limits": "client-output-buffer-limit friends 0 0 0\n",
}

SENTINEL_FAULTS = {
    "unknown directive": "foo bar\n",
    "unknown statement": "sentinel foo bar\n",
    "quorum of none": "sentinel monitor m 127.0.0.1 6379 0\n",
    "port of a master": "sentinel monitor m 127.0.0.1 99999 1\n",
    "host that is a name": "sentinel monitor m localhost 6379 1\n",
    "same name twice": "sentinel monitor m 127.0.0.1 1 1\nsentinel monitor m 127.0.0.1 2 1\n",
    "option of a stranger": "sentinel down-after-milliseconds m 1000\n",
    "time of zero": "sentinel monitor m 127.0.0.1 1 1\nsentinel failover-timeout m 0\n",
    "missing value": "sentinel monitor m 127.0.0.1 1 1\nsentinel parallel-syncs m\n",
    "script that is not there": (
        "sentinel monitor m 127.0.0.1 1 1\nsentinel notification-script m /no/such/script\n"
    ),
    "malformed id": "sentinel myid abc\n",
    "neither yes nor no": "sentinel resolve-hostnames maybe\n",
    "same replica twice": (
        "sentinel monitor m 127.0.0.1 1 1\n"
        "sentinel known-replica m 127.0.0.1 2\nsentinel known-replica m 127.0.0.1 2\n"
    ),
}

FAULTS = [
    pytest.param(program, text, id=f"{program}: {what}")
    for program, faults in (
        ("vedette-server", SERVER_FAULTS),
        ("vedette-sentinel", SENTINEL_FAULTS),
    )
    for what, text in faults.items()
]


def fatal_lines(output: str) -> list[str]:
    """Return the report of a configuration error, without the program's name and the file's."""
    lines = output.strip().splitlines()
    start = next(number for number, line in enumerate(lines) if "FATAL CONFIG FILE" in line)
    return [
        re.sub(r" of \S+$", "", re.sub(r"\((Redis|Vedette) .*?\)", "(...)", line))
        for line in lines[start:]
    ]


@pytest.mark.parametrize(("program", "text"), FAULTS)
def test_faulty_configuration_is_reported_as_redis_reports_it(
    program: str, text: str, tmp_path: Path
) -> None:
    """Line, statement and reason are the same; ours says the file, too."""
    path = tmp_path / "faulty.conf"
    path.write_text(text)

    ours, theirs = start_fails(program, tmp_path, str(path))

    assert fatal_lines(ours) == fatal_lines(theirs)
    assert f" of {path}\n" in ours


@pytest.mark.parametrize("options", [["--port", "abc"], ["--foo", "bar"], ["--port"]])
def test_faulty_option_is_reported(options: list[str], tmp_path: Path) -> None:
    """Redis counts its lines together with those of the file; we say where it really stands."""
    ours, theirs = start_fails("vedette-server", tmp_path, *options)

    assert "at line 1 of command line\n" in ours
    assert fatal_lines(ours)[2:] == fatal_lines(theirs)[2:]


def test_directory_that_is_not_there_is_reported(tmp_path: Path) -> None:
    """Snapshots would be sought, and written, elsewhere."""
    path = tmp_path / "faulty.conf"
    path.write_text("port 0\ndir /no/such/directory\n")

    ours, theirs = start_fails("vedette-server", tmp_path, str(path))

    assert fatal_lines(ours)[1:3] == fatal_lines(theirs)[1:3]
    assert "No such file or directory" in ours


@pytest.mark.parametrize("program", TWINS)
def test_file_that_is_not_there_is_named(program: str, tmp_path: Path) -> None:
    """A typo in a path must not start a server with defaults."""
    path = str(tmp_path / "none.conf")

    ours, theirs = start_fails(program, tmp_path, path)

    reason = f"Fatal error, can't open config file '{path}': No such file or directory"
    assert reason in ours
    assert reason in theirs


def test_include_that_is_not_there_is_named(tmp_path: Path) -> None:
    """Half a configuration is none."""
    path = tmp_path / "server.conf"
    path.write_text("include /no/such.conf\n")

    ours, theirs = start_fails("vedette-server", tmp_path, str(path))

    reason = "Fatal error, can't open config file '/no/such.conf': No such file or directory"
    assert reason in ours
    assert reason in theirs


@pytest.mark.parametrize("program", TWINS)
def test_port_in_use_is_named(program: str, tmp_path: Path) -> None:
    """The usual reason why a second one on a machine does not come up."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        path = tmp_path / "some.conf"
        path.write_text(f"bind 127.0.0.1\nport {port}\n")

        ours, theirs = start_fails(program, tmp_path, str(path))

    assert f"cannot listen on port {port}: Address already in use" in ours
    assert f"127.0.0.1:{port}: bind: Address already in use" in theirs


def test_sentinel_needs_a_file(tmp_path: Path) -> None:
    """There would be nowhere to keep a vote."""
    ours, theirs = start_fails("vedette-sentinel", tmp_path)

    reason = "Sentinel needs config file on disk to save state. Exiting..."
    assert reason in ours
    assert reason in theirs


def test_sentinel_whose_file_cannot_be_written_does_not_start(tmp_path: Path) -> None:
    """Neither would a vote be kept in it."""
    path = tmp_path / "sentinel.conf"
    path.write_text("port 0\n")
    path.chmod(0o400)
    prefix: list[str] = []
    if os.geteuid() == 0:  # who may write everything, unless that power is taken away
        if shutil.which("setpriv") is None:
            pytest.skip("run as root, and there is no setpriv to take root's powers away")
        prefix = ["setpriv", "--bounding-set=-dac_override"]

    ours, theirs = start_fails("vedette-sentinel", tmp_path, str(path), prefix=prefix)

    assert f"Sentinel config file {path} is not writable" in ours
    assert f"Sentinel config file {path} is not writable" in theirs


# --- what is asked for and ends at once -----------------------------------------------------------


@pytest.mark.parametrize("program", TWINS)
@pytest.mark.parametrize("option", ["--version", "-v"])
def test_version_is_printed_in_redis_shape(program: str, option: str, tmp_path: Path) -> None:
    """Scripts look for `v=`."""
    require_redis(TWINS[program])

    ours = run([console_script(program), option], tmp_path)
    theirs = run([TWINS[program], option], tmp_path)

    kind = program.removeprefix("vedette-")
    assert (ours.returncode, ours.stderr) == (theirs.returncode, theirs.stderr) == (0, "")
    assert re.match(rf"Vedette {kind} v=\S+ ", ours.stdout)
    assert re.match(r"Redis server v=\S+ ", theirs.stdout)


@pytest.mark.parametrize("program", TWINS)
@pytest.mark.parametrize("option", ["--help", "-h"])
def test_help_is_printed(program: str, option: str, tmp_path: Path) -> None:
    """To standard output and with code 0: it was asked for. Redis says 1 and standard error."""
    ended = run([console_script(program), option], tmp_path)

    assert (ended.returncode, ended.stderr) == (0, "")
    assert ended.stdout.startswith(f"Usage: {program} ")


# --- standard input -------------------------------------------------------------------------------


@pytest.mark.parametrize("dash_is_first", [True, False])
def test_configuration_is_read_from_standard_input(dash_is_first: bool, tmp_path: Path) -> None:
    """`-` first or last; options override what is read."""
    port = free_port()
    options = ["--port", str(port), "--bind", "127.0.0.1"]
    arguments = ["-", *options] if dash_is_first else [*options, "-"]
    with subprocess.Popen(
        [console_script("vedette-server"), *arguments],
        cwd=tmp_path,
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as process:
        try:
            assert process.stdin is not None
            process.stdin.write(b'port 1\nsave ""\nmaxclients 128\n')
            process.stdin.close()

            def ask() -> object:
                with BlockingClient(port) as client:
                    return client.call("CONFIG", "GET", "maxclients")

            assert wait_until(ask) == [b"maxclients", b"128"]
        finally:
            process.terminate()
        assert process.wait(10) == 0


def test_fault_on_standard_input_is_reported(tmp_path: Path) -> None:
    """It has lines, too."""
    ended = run([console_script("vedette-server"), "-"], tmp_path, stdin="port 0\nfoo bar\n")

    assert ended.returncode == 1
    assert "at line 2 of standard input\n>>> 'foo bar'\n" in ended.stderr


# --- what is served from the first moment ---------------------------------------------------------


def test_a_replica_is_one_to_whoever_asks_first(tmp_path: Path) -> None:
    """Taken for a master, if only for a moment, it would be demoted, or written to."""
    port = free_port()
    options = ["--port", str(port), "--bind", "127.0.0.1", "--dir", str(tmp_path)]
    options += ["--replicaof", f"127.0.0.1 {free_port()}"]
    with subprocess.Popen([console_script("vedette-server"), *options]) as process:
        try:
            with connect_at_once(port) as client:
                reply: bytes = client.call("INFO", "replication")
        finally:
            process.kill()

    assert b"role:slave" in reply


@pytest.mark.parametrize("is_ours", [True, False])
def test_a_short_loading_is_waited_for_by_whoever_asks_first(is_ours: bool, tmp_path: Path) -> None:
    """Told LOADING at each start, clients and scripts that wait for one would give up."""
    require_redis("redis-server")
    program = console_script("vedette-server") if is_ours else "redis-server"
    with VedetteServer(directory=tmp_path) as saved:
        saved.call("SET", "key", "value")
        saved.call("SAVE")
    port = free_port()
    options = ["--port", str(port), "--bind", "127.0.0.1", "--dir", str(tmp_path)]
    options += ["--key-load-delay", "30000"]
    with subprocess.Popen([program, *options]) as process:
        try:
            with connect_at_once(port) as client:
                reply = client.call("GET", "key")
        finally:
            process.kill()

    assert reply == b"value"


def connect_at_once(port: int) -> BlockingClient:
    """Connect as soon as the port is bound, which is before anybody is served there."""
    deadline = time.monotonic() + 20
    while True:
        try:
            return BlockingClient(port)
        except ConnectionRefusedError:
            assert time.monotonic() < deadline


# --- stopping -------------------------------------------------------------------------------------


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_server_ends_with_code_0(number: signal.Signals) -> None:
    """With clients, a subscriber, a replica and a snapshot in the making; and leaves no process."""
    with VedetteServer({"enable-debug-command": "yes"}) as master, VedetteServer() as replica:
        replica.replicate(master)
        master.call("DEBUG", "POPULATE", 300_000)
        with master.connect() as subscriber, master.connect() as idle:
            subscriber.call("SUBSCRIBE", "news")
            idle.call("PING")
            master.call("BGSAVE")
            wait_until(lambda: len(members_of_session(master.process.pid)) > 1, what="a child")

            master.process.send_signal(number)

            assert master.process.wait(10) == 0
        assert members_of_session(master.process.pid) == []
        assert "Traceback" not in master.log()
        assert replica.stop() == 0
        assert "Traceback" not in replica.log()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_sentinel_ends_with_code_0(number: signal.Signals, tmp_path: Path) -> None:
    """With links up, a subscriber and a script that runs; and leaves no process."""
    script = tmp_path / "notify"
    script.write_text("#!/bin/sh\nexec sleep 60\n")
    script.chmod(0o700)
    with VedetteServer() as master:
        lines = [
            *watching(master.port, quorum=1),
            f"sentinel notification-script mymaster {script}",
        ]
        with VedetteSentinel(extra_lines=lines) as sentinel, sentinel.connect() as subscriber:
            subscriber.call("SUBSCRIBE", "+sdown")
            wait_until(lambda: b"disconnected" not in sentinel.call("SENTINEL", "MASTERS")[0][9])
            sentinel.call("SENTINEL", "SET", "mymaster", "quorum", "1")
            wait_until(lambda: len(members_of_session(sentinel.process.pid)) > 1, what="a script")

            sentinel.process.send_signal(number)

            assert sentinel.process.wait(10) == 0
            assert members_of_session(sentinel.process.pid) == []
            assert "Traceback" not in sentinel.log()


@pytest.mark.parametrize("program", [VedetteServer, VedetteSentinel])
def test_signals_that_come_while_it_ends_change_nothing(
    program: type[VedetteServer] | type[VedetteSentinel],
) -> None:
    """Impatient supervisors repeat themselves, up to the last moment.

    A thousand times a second, not as fast as can be: Python runs handlers within one another, and
    a flood that leaves it no time between two ends at its limit of recursion.
    """
    with program() as running:
        while running.process.poll() is None:
            running.process.send_signal(signal.SIGTERM)
            running.process.send_signal(signal.SIGINT)
            with contextlib.suppress(subprocess.TimeoutExpired):
                running.process.wait(0.001)

        assert running.process.returncode == 0
        assert "Traceback" not in running.log()
