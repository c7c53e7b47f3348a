"""`vedette backup` of servers under load: a copy of one instant, verified, that loads again."""

from __future__ import annotations

import contextlib
import errno
import os
import signal
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import trustme
from click.testing import CliRunner, Result

from server.persistence.rdb.encode import encode_records
from server.persistence.rdb.records import Entries, SelectDb
from server.replication.events import FollowConfig
from server.runtime.backup import BackupNotSyncedError, take_backup
from tests.support.processes import ServerProcess, VedetteServer, free_port
from tests.support.programs import RunningProgram
from tests.support.redis import RedisServer
from tests.support.waiting import wait_until
from vedette.types import Address
from vedette_cli.main import cli


def backup(*words: str | Path | Address) -> Result:
    return CliRunner().invoke(cli, ["backup", *(str(word) for word in words)])


@pytest.mark.parametrize("kind", [VedetteServer, RedisServer])
def test_a_backup_under_load_is_of_one_instant_and_loads_again(
    kind: type[VedetteServer] | type[RedisServer], tmp_path: Path
) -> None:
    """Two keys that only transactions change are equal in it. The server goes on meanwhile."""
    path = tmp_path / "copy.rdb"
    server: ServerProcess
    with kind({"enable-debug-command": "yes"}) as server:
        server.call("DEBUG", "POPULATE", "20000")
        server.call("RPUSH", "list", *range(1000))
        stop = threading.Event()

        def write() -> None:
            with contextlib.closing(server.connect()) as client:
                number = 0
                while not stop.is_set():
                    number += 1
                    for words in (
                        ("MULTI",),
                        ("SET", "x", number),
                        ("SET", "y", number),
                        ("EXEC",),
                    ):
                        client.call(*words)

        writer = threading.Thread(target=write)
        writer.start()
        try:
            result = backup(f"127.0.0.1:{server.port}", path)
        finally:
            stop.set()
            writer.join()
        assert result.exit_code == 0, result.output
        assert "1 list" in result.output
        assert server.info("replication")["connected_slaves"] == "0"
    with VedetteServer({"dbfilename": path.name}, directory=tmp_path) as restored:
        assert restored.call("GET", "x") == restored.call("GET", "y")
        assert restored.call("LLEN", "list") == 1000
        assert restored.call("DBSIZE") >= 20001


def test_a_failed_backup_leaves_the_one_before_and_nothing_else(
    tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Nobody listens, a password is missing, or what answers is no server, or speaks no TLS."""
    path = tmp_path / "copy.rdb"
    path.write_bytes(b"yesterday's")
    result = backup(f"127.0.0.1:{free_port()}", path)
    assert result.exit_code == 1
    assert "Connection refused" in result.output
    with VedetteServer({"requirepass": "secret"}) as server:
        result = backup(f"127.0.0.1:{server.port}", path)
        assert result.exit_code == 1
        assert "NOAUTH" in result.output
        result = backup(f"redis://:wrong@127.0.0.1:{server.port}", path)
        assert result.exit_code == 1
        assert path.read_bytes() == b"yesterday's"
        result = backup(f"redis://:secret@127.0.0.1:{server.port}", path)
        assert result.exit_code == 0, result.output
    authority = tmp_path_factory.mktemp("tls") / "ca.crt"
    trustme.CA().cert_pem.write_to_path(authority)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        result = backup(
            f"127.0.0.1:{listener.getsockname()[1]}", tmp_path / "other.rdb", "--timeout", "1"
        )
        assert result.exit_code == 1
        assert "no data" in result.output
        result = backup(
            f"127.0.0.1:{listener.getsockname()[1]}",
            tmp_path / "other.rdb",
            *("--timeout", "1", "--tls", "--cacert", str(authority)),
        )
    assert result.exit_code == 1
    assert "takes no connection" in result.output
    assert [each.name for each in tmp_path.iterdir()] == ["copy.rdb"]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_backup_that_is_ended_leaves_nothing(number: signal.Signals, tmp_path: Path) -> None:
    """A timer's service is stopped by SIGTERM; a file of each attempt would fill the disk."""
    path = tmp_path / "copy.rdb"
    with socket.create_server(("127.0.0.1", 0)) as listener:
        address = f"127.0.0.1:{listener.getsockname()[1]}"
        with RunningProgram("vedette", "backup", address, str(path)) as program:
            listener.settimeout(30)
            connection, _ = listener.accept()
            with connection:
                wait_until(lambda: [*tmp_path.iterdir()], what="the file to be begun")
                program.process.send_signal(number)

                assert program.wait(20) == 128 + number
    assert [*tmp_path.iterdir()] == []


@contextlib.contextmanager
def server_that_sends(snapshot: bytes) -> Iterator[Address]:
    """A server that gives `snapshot` to the first who asks."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def answer() -> None:
            connection, _ = listener.accept()
            with connection:
                for reply in (b"+PONG\r\n", b"+OK\r\n", b"+OK\r\n"):
                    connection.recv(4096)
                    connection.sendall(reply)
                connection.recv(4096)
                head = b"+FULLRESYNC %b 0\r\n$%d\r\n" % (b"a" * 40, len(snapshot))
                connection.sendall(head + snapshot)
                connection.recv(4096)

        thread = threading.Thread(target=answer)
        thread.start()
        try:
            yield Address("127.0.0.1", listener.getsockname()[1])
        finally:
            thread.join()


def test_a_backup_that_does_not_verify_is_not_kept(tmp_path: Path) -> None:
    """A server whose disk or memory lies: the copy is decoded before it gets its name."""
    with server_that_sends(b"REDIS0010xxx") as address:
        result = backup(address, tmp_path / "copy.rdb")

    assert result.exit_code == 1
    assert "what the server sent cannot be loaded: corrupt RDB data" in result.output
    assert list(tmp_path.iterdir()) == []


async def test_a_backup_whose_name_may_not_last_is_there_and_said_to_be(tmp_path: Path) -> None:
    """Only the directory's fsync fails: that nothing had changed would be wrong."""
    path = tmp_path / "copy.rdb"
    path.write_bytes(b"yesterday's")
    snapshot = b"".join(encode_records([SelectDb(0), Entries(values={b"k": b"v"})]))
    config = FollowConfig(listening_port=0, timeout_ms=30_000, is_snapshot_only=True)

    def fail(directory: str) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    with (
        server_that_sends(snapshot) as address,
        pytest.raises(BackupNotSyncedError, match="Input/output error"),
    ):
        await take_backup(address, str(path), config, sync=fail)

    assert path.read_bytes() == snapshot
    assert os.listdir(tmp_path) == ["copy.rdb"]
