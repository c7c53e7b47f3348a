"""The append-only file with real processes: each loads the other's; disks that fill; starts."""

from __future__ import annotations

import contextlib
import os
import resource
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.client import BlockingClient, ReplyError
from tests.support.processes import ServerProcess, VedetteServer
from tests.support.redis import RedisServer
from tests.support.waiting import wait_until

AOF = {"appendonly": "yes", "enable-debug-command": "yes"}
MANIFEST = Path("appendonlydir", "appendonly.aof.manifest")


def fill(server: ServerProcess) -> None:
    """Have values of every type written, in more than one database."""
    for command in (
        ("SET", "string", "\r\n*3\r\n"),
        ("SET", "expiring", "1", "EX", "1000"),
        ("RPUSH", "list", *range(100)),
        ("SADD", "ints", *range(100)),
        ("SADD", "words", *(f"w{number}" for number in range(200))),
        ("SPOP", "words", "5"),
        ("HSET", "hash", *range(300)),
        ("ZADD", "zset", *(text for n in range(200) for text in (n / 7, f"m{n}"))),
        ("PFADD", "hll", *range(100)),
        ("SETBIT", "bits", "1000", "1"),
        ("GEOADD", "geo", "13.4", "52.5", "Berlin"),
        ("EVAL", "redis.call('INCR', 'a') redis.call('INCR', 'b')", "0"),
        (
            "FUNCTION",
            "LOAD",
            "REPLACE",
            "#!lua name=mine\nredis.register_function('f', function() end)",
        ),
    ):
        server.call(*command)
    with contextlib.closing(server.connect()) as client:
        client.call("SELECT", "3")
        client.call("MULTI")
        client.call("SET", "x", "1")
        client.call("SWAPDB", "3", "4")
        client.call("SET", "y", "1")
        client.call("EXEC")


def rewrite(server: ServerProcess) -> None:
    server.call("BGREWRITEAOF")
    wait_until(
        lambda: server.info("persistence")["aof_rewrite_in_progress"] == "0", 15, "the rewrite"
    )
    assert server.info("persistence")["aof_last_bgrewrite_status"] == "ok"


def other(server: ServerProcess, config: dict[str, str]) -> ServerProcess:
    """Return a server of the other kind in the same directory."""
    kind = RedisServer if isinstance(server, VedetteServer) else VedetteServer
    return kind(config, directory=server.directory)


@pytest.mark.parametrize("preamble", ["yes", "no"])
@pytest.mark.parametrize("kind", [VedetteServer, RedisServer])
def test_what_one_wrote_the_other_loads(
    kind: type[VedetteServer] | type[RedisServer], preamble: str, tmp_path: Path
) -> None:
    """Base and increments, of both forms; and what the other then writes is loaded again."""
    # With everysec what is written during an fsync may wait for it, and a kill would cost it.
    config = {**AOF, "appendfsync": "always", "aof-use-rdb-preamble": preamble}
    server: ServerProcess
    with kind(config, directory=tmp_path) as server:
        fill(server)
        rewrite(server)
        fill(server)
        digest = server.call("DEBUG", "DIGEST")
        server.kill()
        with other(server, config) as second:
            assert second.call("DEBUG", "DIGEST") == digest
            assert second.call("FUNCTION", "LIST")
            second.call("RPUSH", "list", "more")
            rewrite(second)
            second.call("RPUSH", "list", "and more")
            digest = second.call("DEBUG", "DIGEST")
            second.kill()
        server.start()
        assert server.call("DEBUG", "DIGEST") == digest


def test_both_write_the_same_commands(tmp_path: Path) -> None:
    """Byte for byte, but for what is random."""
    texts = []
    for kind in (VedetteServer, RedisServer):
        directory = tmp_path / kind.__name__
        directory.mkdir()
        with kind(AOF, directory=directory) as server:
            for command in (
                ("SET", "a", "1"),
                ("INCRBYFLOAT", "a", "1.5"),
                ("FLUSHDB",),
                ("FLUSHALL",),
                ("LPUSH", "l", "1", "2", "3"),
                ("LMPOP", "1", "l", "LEFT", "COUNT", "2"),
                ("BLPOP", "l", "0"),
                ("MSET", "a", "1", "b", "2"),
                ("GETDEL", "a"),
                ("GET", "b"),
                ("EVAL", "redis.call('SET','x','1') redis.call('DEL','y') return 1", "0"),
                ("EVAL", "redis.call('SET','x','1') redis.call('SET','y','2')", "0"),
            ):
                server.call(*command)
            path = directory / "appendonlydir" / "appendonly.aof.1.incr.aof"
            wait_until(lambda: b"$1\r\n2\r\n*1\r\n$4\r\nEXEC" in path.read_bytes(), 5, "the last")  # noqa: B023
            texts.append(path.read_bytes())

    assert texts[0] == texts[1]


def test_a_replica_keeps_an_append_only_file_of_what_its_master_sends(tmp_path: Path) -> None:
    """It begins anew with the master's snapshot; transactions stay whole, pings are left out."""
    with (
        VedetteServer({"repl-ping-replica-period": "1"}) as master,
        VedetteServer(AOF, directory=tmp_path) as replica,
    ):
        replica.call("SET", "own", "1")
        fill(master)
        replica.replicate(master)
        wait_until(lambda: not _is_rewriting(replica), 15, "the rewrite after the synchronisation")
        fill(master)
        assert master.call("WAITAOF", "0", "1", "5000") == [0, 1]
        assert replica.call("GET", "own") is None
        digest = replica.call("DEBUG", "DIGEST")
        increments = sorted(tmp_path.glob("appendonlydir/*.incr.aof"))
        assert b"PING" not in increments[-1].read_bytes()
        replica.kill()
        replica.config["replicaof"] = "no one"
        replica.write_config()
        replica.start()
        assert replica.call("DEBUG", "DIGEST") == digest


def test_a_promoted_replica_keeps_what_it_then_writes(tmp_path: Path) -> None:
    """Its append-only file goes on over the change of roles, and over the way back."""
    with (
        VedetteServer() as master,
        VedetteServer({**AOF, "appendfsync": "always"}, directory=tmp_path) as replica,
    ):
        master.call("SET", "a", "1")
        replica.replicate(master)
        wait_until(lambda: not _is_rewriting(replica), 15, "the rewrite after the synchronisation")
        master.call("SET", "b", "1")
        assert master.call("WAITAOF", "0", "1", "5000") == [0, 1]
        replica.call("REPLICAOF", "NO", "ONE")
        replica.call("SET", "c", "1")
        replica.kill()
        replica.start()
        assert sorted(replica.call("KEYS", "*")) == [b"a", b"b", b"c"]


def _is_rewriting(server: ServerProcess) -> bool:
    fields = server.info("persistence")
    return fields["aof_rewrite_in_progress"] == "1" or fields["aof_rewrite_scheduled"] == "1"


def test_waitaof_says_what_is_on_which_disk() -> None:
    """One of ours and one that keeps no append-only file; its answers are Redis 7.2's."""
    with (
        VedetteServer({**AOF, "appendfsync": "everysec"}) as master,
        VedetteServer(AOF) as replica,
        VedetteServer() as without,
    ):
        replica.replicate(master)
        without.replicate(master)
        wait_until(lambda: not _is_rewriting(replica), 15, "the rewrite after the synchronisation")
        master.call("SET", "a", "1")

        assert master.call("WAITAOF", "1", "1", "5000") == [1, 1]
        assert master.call("WAITAOF", "1", "2", "100") == [1, 1]
        for words, text in (
            (("2", "0", "0"), "ERR value is out of range, value must between 0 and 1"),
            (("x", "0", "0"), "ERR value is not an integer or out of range"),
            (("0", "-1", "0"), "ERR value is out of range, must be positive"),
            (("0", "0", "-1"), "ERR timeout is negative"),
        ):
            with pytest.raises(ReplyError, match=text):
                master.call("WAITAOF", *words)
        with pytest.raises(ReplyError, match="WAITAOF cannot be used with replica instances"):
            replica.call("WAITAOF", "0", "0", "0")
        master.call("CONFIG", "SET", "appendonly", "no")
        with pytest.raises(ReplyError, match="numlocal is set but appendonly is disabled"):
            master.call("WAITAOF", "1", "0", "0")
        assert master.call("WAITAOF", "0", "0", "0") == [0, 0]


def test_a_redis_replica_takes_its_master_for_one_with_an_append_only_file() -> None:
    """The acknowledgements of ours carry a word that 7.0 does not know, and do no harm."""
    with RedisServer() as master, VedetteServer(AOF) as replica:
        replica.replicate(master)
        master.call("SET", "a", "1")

        assert master.call("WAIT", "1", "5000") == 1
        fields = master.info("replication")
        assert "state=online" in fields["slave0"]


# --- disks that fill ------------------------------------------------------------------------------


@contextlib.contextmanager
def file_size_limit(server: ServerProcess, size_bytes: int) -> Iterator[None]:
    """Let no file of `server` grow beyond `size_bytes`: its writes fail, the last one in part."""
    unlimited = (resource.RLIM_INFINITY, resource.RLIM_INFINITY)
    pid = server.process.pid
    resource.prlimit(pid, resource.RLIMIT_FSIZE, (size_bytes, resource.RLIM_INFINITY))
    try:
        yield
    finally:
        if server.process.poll() is None:
            resource.prlimit(pid, resource.RLIMIT_FSIZE, unlimited)


def write_until_refused(client: BlockingClient) -> int:
    """Append to a list until that is refused; return how many were acknowledged."""
    count = 0
    text = ""
    while not text:
        try:
            count = client.call("RPUSH", "l", "x" * 100)
        except ReplyError as error:
            text = str(error)
    assert text == "MISCONF Errors writing to the AOF file: File too large"
    return count


@pytest.mark.parametrize("policy", ["everysec", "no"])
def test_a_full_disk_refuses_writes_until_there_is_room(policy: str) -> None:
    """What was acknowledged, before and after, is there after a crash; nothing comes twice."""
    with VedetteServer({**AOF, "appendfsync": policy}) as server:
        with (
            file_size_limit(server, 10_000),
            contextlib.closing(server.connect()) as client,
        ):
            count = write_until_refused(client)
            assert client.call("LLEN", "l") == count
            with pytest.raises(ReplyError, match="MISCONF"):
                client.call("PING")
            assert server.info("persistence")["aof_last_write_status"] == "err"
        wait_until(
            lambda: server.info("persistence")["aof_last_write_status"] == "ok", 10, "recovery"
        )
        assert server.call("RPUSH", "l", "last") == count + 1
        # With everysec a write may wait for an fsync that is under way.
        wait_until(lambda: server.info("persistence")["aof_buffer_length"] == "0", 10, "what waits")
        server.kill()
        server.start()
        assert server.call("LLEN", "l") == count + 1


def test_with_always_a_full_disk_ends_the_server_before_it_answers() -> None:
    """The client cannot take for safe what is not; a restart finds all that was acknowledged."""
    with VedetteServer({**AOF, "appendfsync": "always"}) as server:
        with contextlib.closing(server.connect()) as client, file_size_limit(server, 10_000):
            acknowledged = 0
            with contextlib.suppress(OSError):
                while True:
                    acknowledged = client.call("RPUSH", "l", "x" * 100)
        assert server.process.wait(10) == 1
        assert "cannot write to the append-only file: File too large" in server.log()
        server.start()
        assert server.call("LLEN", "l") == acknowledged


def test_a_rewrite_without_room_fails_and_is_told() -> None:
    """The files before stay in use."""
    with VedetteServer(AOF) as server:
        server.call("SET", "a", os.urandom(20_000))
        with file_size_limit(server, 15_000):
            server.call("BGREWRITEAOF")
            wait_until(lambda: not _is_rewriting(server), 10, "the rewrite")
            assert server.info("persistence")["aof_last_bgrewrite_status"] == "err"
        server.kill()
        server.start()
        assert server.call("STRLEN", "a") == 20_000


# --- starts and stops -----------------------------------------------------------------------------


def test_a_stop_writes_and_syncs_what_is_left() -> None:
    """SIGTERM and SHUTDOWN NOSAVE alike: that the append-only file is not the snapshot."""
    with VedetteServer(AOF) as server:
        server.call("SET", "a", "1")
        assert server.stop() == 0
        server.start()
        assert server.call("GET", "a") == b"1"
        server.call("SET", "a", "2")
        with contextlib.suppress(OSError):
            server.call("SHUTDOWN", "NOSAVE")
        assert server.process.wait(10) == 0
        server.start()
        assert server.call("GET", "a") == b"2"


def test_a_snapshot_is_the_first_base_where_there_is_no_append_only_file_yet(
    tmp_path: Path,
) -> None:
    """Turned on in the configuration of a server that had only snapshots."""
    with VedetteServer({"enable-debug-command": "yes"}, directory=tmp_path) as server:
        fill(server)
        server.call("SAVE")
        digest = server.call("DEBUG", "DIGEST")
        server.kill()
        server.config |= AOF
        server.write_config()
        server.start()
        assert server.call("DEBUG", "DIGEST") == digest
        server.kill()
        (tmp_path / "dump.rdb").unlink()
        server.start()
        assert server.call("DEBUG", "DIGEST") == digest


def test_damage_stops_the_start_with_code_1_and_the_offset(tmp_path: Path) -> None:
    """On standard error and in the log."""
    with VedetteServer(AOF, directory=tmp_path) as server:
        server.call("SET", "a", "1")
        server.kill()
        path = tmp_path / "appendonlydir" / "appendonly.aof.1.incr.aof"
        path.write_bytes(path.read_bytes() + b"!!!\r\n")
        with pytest.raises(AssertionError, match="ended with code 1"):
            server.start()
        assert f"Bad file format reading the append only file {path}: offset 50" in server.log()


def test_turned_on_and_off_at_run_time(tmp_path: Path) -> None:
    """Off keeps the files; on begins anew with all that there is then."""
    with VedetteServer({"enable-debug-command": "yes"}, directory=tmp_path) as server:
        fill(server)
        server.call("CONFIG", "SET", "appendonly", "yes")
        server.call("SET", "during", "1")
        wait_until(lambda: not _is_rewriting(server), 15, "the first base")
        server.call("SET", "after", "1")
        digest = server.call("DEBUG", "DIGEST")
        server.call("CONFIG", "SET", "appendonly", "no")
        server.call("SET", "unlogged", "1")
        assert server.info("persistence")["aof_enabled"] == "0"
        server.process.send_signal(signal.SIGKILL)
        server.kill()
        server.config["appendonly"] = "yes"
        server.write_config()
        server.start()
        assert server.call("DEBUG", "DIGEST") == digest


@pytest.mark.parametrize("kind", [VedetteServer, RedisServer])
def test_a_rewrite_goes_to_the_directory_that_is_set_now(
    kind: type[VedetteServer] | type[RedisServer], tmp_path: Path
) -> None:
    """BGREWRITEAOF of a server that keeps no append-only file; one that is gone is an error."""
    gone, there = tmp_path / "gone", tmp_path / "there"
    gone.mkdir()
    there.mkdir()
    with kind({"enable-protected-configs": "yes"}) as server:
        server.call("CONFIG", "SET", "dir", str(gone))
        gone.rmdir()
        with pytest.raises(ReplyError, match="Can't execute an AOF background rewriting"):
            server.call("BGREWRITEAOF")
        with pytest.raises(ReplyError, match="'dir'\\) - No such file or directory"):
            server.call("CONFIG", "SET", "dir", str(gone))
        server.call("CONFIG", "SET", "dir", str(there))

        rewrite(server)

        assert (there / MANIFEST).exists()


@pytest.mark.parametrize("kind", [VedetteServer, RedisServer])
def test_a_rewrite_takes_the_file_to_the_directory_that_is_set_now(
    kind: type[VedetteServer] | type[RedisServer], tmp_path: Path
) -> None:
    """Else a start there, by the configuration that was rewritten, would find nothing."""
    old, new = tmp_path / "old", tmp_path / "new"
    old.mkdir()
    new.mkdir()
    config = AOF | {"enable-protected-configs": "yes", "appendfsync": "always"}
    with kind(config, directory=old) as server:
        server.call("SET", "a", "1")
        server.call("CONFIG", "SET", "dir", str(new))
        server.call("SET", "b", "2")
        rewrite(server)
        server.call("SET", "c", "3")
        server.kill()
    with kind(config, directory=new) as server:
        assert server.call("MGET", "a", "b", "c") == [b"1", b"2", b"3"]
