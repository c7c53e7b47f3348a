"""Replication with the real redis-server 7.0.15 at the other end, in both directions.

Each test starts real processes; what they hold is compared key by key, and how they came by it is
read from the counters of the master (`sync_full`, `sync_partial_ok`).
"""

from __future__ import annotations

import subprocess
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from tests.support.processes import ServerProcess, VedetteServer
from tests.support.redis import RedisServer, require_redis
from tests.support.waiting import wait_until

pytestmark = pytest.mark.timeout(60)

SYNC_TIMEOUT_S = 20.0


@pytest.fixture
def processes() -> Iterator[ExitStack]:
    """Yield a stack that ends the processes a test enters into it."""
    with ExitStack() as stack:
        yield stack


def start(processes: ExitStack, program: str, **config: str) -> RedisServer | VedetteServer:
    """Start `program`, `redis` or `vedette`; directives are given with `_` for `-`."""
    directives = {"repl-diskless-sync-delay": "0"}
    directives |= {name.replace("_", "-"): value for name, value in config.items()}
    if program == "redis":
        return processes.enter_context(RedisServer(directives))
    return processes.enter_context(VedetteServer(directives))


def wait_for_partial(master: ServerProcess, count: int) -> None:
    """Wait until `master` has served `count` partial synchronisations."""
    wait_until(lambda: syncs(master)[1] >= count, SYNC_TIMEOUT_S, f"{count} partial ones")


def save_and_restart(server: ServerProcess) -> None:
    """End `server` with a snapshot and start it again with the same configuration."""
    server.close_client()
    with server.connect() as client, pytest.raises(ConnectionError):
        client.call("SHUTDOWN", "SAVE")
    server.process.wait(10)
    server.start()


def contents(server: ServerProcess) -> dict[tuple[int, bytes], bytes]:
    """Return every string of the first ten databases."""
    found: dict[tuple[int, bytes], bytes] = {}
    with server.connect() as client:
        for database in range(10):
            client.call("SELECT", database)
            keys: list[bytes] = client.call("KEYS", "*")
            if keys:
                values: list[bytes] = client.call("MGET", *keys)
                found |= {(database, key): value for key, value in zip(keys, values, strict=True)}
    return found


def wait_for_offset(replica: ServerProcess, master: ServerProcess) -> None:
    """Wait until `replica` has applied all that `master` has written by now."""
    offset = int(master.info("replication")["master_repl_offset"])
    wait_until(
        lambda: (
            (fields := replica.info("replication"))["master_link_status"] == "up"
            and int(fields["slave_repl_offset"]) >= offset
        ),
        SYNC_TIMEOUT_S,
        f"{replica!r} to reach offset {offset} of {master!r}",
    )


def check_same(replica: ServerProcess, master: ServerProcess) -> None:
    """Check that `replica` comes to hold what `master` holds, at the same place of one history."""
    wait_for_offset(replica, master)
    ours, theirs = contents(replica), contents(master)
    assert ours == theirs
    assert (
        replica.info("replication")["master_replid"]
        == (master.info("replication")["master_replid"])
    )


def syncs(master: ServerProcess) -> tuple[int, int]:
    """Return how many full and partial synchronisations `master` has served."""
    fields = master.info("stats")
    return int(fields["sync_full"]), int(fields["sync_partial_ok"])


def fill(server: ServerProcess, count: int = 100, prefix: str = "key") -> None:
    """Write strings of several shapes into two databases."""
    with server.connect() as client:
        for database in (0, 3):
            client.call("SELECT", database)
            for index in range(count):
                client.send("SET", f"{prefix}:{index}", f"value {database} {index} " + "x" * index)
            for _ in range(count):
                client.receive()
            client.call("SET", f"{prefix}:number", 12345)
            client.call("SET", f"{prefix}:binary", bytes(range(256)))


@contextmanager
def writing(server: ServerProcess) -> Iterator[None]:
    """Write to `server` all the time from a thread of its own."""
    stop = threading.Event()
    failures: list[BaseException] = []

    def write() -> None:
        try:
            with server.connect() as client:
                index = 0
                while not stop.is_set():
                    client.call("SELECT", index % 3)
                    client.call("MULTI")
                    client.call("SET", f"during:{index}", "y" * 100)
                    client.call("INCR", "counter")
                    client.call("EXEC")
                    index += 1
        except BaseException as error:
            failures.append(error)

    thread = threading.Thread(target=write)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()
    assert not failures, failures


PAIRS = [("redis", "vedette"), ("vedette", "redis"), ("vedette", "vedette")]
pairs = pytest.mark.parametrize(("master_program", "replica_program"), PAIRS)
both_ways = pytest.mark.parametrize("diskless", ["yes", "no"])


# --- full synchronisation ------------------------------------------------------------------------


@pairs
@both_ways
def test_a_replica_gets_everything_and_then_every_write(
    processes: ExitStack, master_program: str, replica_program: str, diskless: str
) -> None:
    """The snapshot, what was written before it and what comes after, in all databases."""
    master = start(processes, master_program, repl_diskless_sync=diskless)
    replica = start(processes, replica_program)
    fill(master)
    master.call("SET", "mortal", "soon", "PX", 600_000)
    replica.call("SET", "of the replica's own", "to be forgotten")

    replica.replicate(master)
    check_same(replica, master)
    fill(master, prefix="later")
    master.call("DEL", "key:0")
    master.call("PEXPIRE", "key:1", 500_000)
    check_same(replica, master)

    assert 400_000 < replica.call("PTTL", "key:1") <= 500_000
    assert 500_000 < replica.call("PTTL", "mortal") <= 600_000
    assert syncs(master) == (1, 0)


@pairs
@both_ways
def test_writes_during_a_full_synchronisation_are_not_lost(
    processes: ExitStack, master_program: str, replica_program: str, diskless: str
) -> None:
    """They go into the backlog while the snapshot is made, sent and loaded."""
    master = start(processes, master_program, repl_diskless_sync=diskless)
    replica = start(processes, replica_program)
    with master.connect() as client:
        for index in range(40_000):
            client.send("SET", f"bulk:{index}", "z" * 200)
            if index % 1000 == 999:
                for _ in range(1000):
                    client.receive()
    with writing(master):
        replica.replicate(master)
        wait_until(
            lambda: int(master.call("GET", "counter") or 0) > 10, SYNC_TIMEOUT_S, "some writes"
        )

    check_same(replica, master)
    assert syncs(master) == (1, 0)


def test_several_replicas_are_served_at_once(processes: ExitStack) -> None:
    """Real ones and ours, at one master of ours."""
    master = start(processes, "vedette")
    fill(master, 1000)
    replicas = [start(processes, program) for program in ("redis", "vedette", "redis")]
    for replica in replicas:
        replica.call("REPLICAOF", "127.0.0.1", master.port)
    with writing(master):
        for replica in replicas:
            wait_for_offset(replica, master)

    for replica in replicas:
        check_same(replica, master)
    assert master.info("replication")["connected_slaves"] == "3"


# --- partial resynchronisation -------------------------------------------------------------------


@pairs
@pytest.mark.parametrize("side", ["master", "replica"])
def test_a_cut_link_is_taken_up_where_it_broke(
    processes: ExitStack, master_program: str, replica_program: str, side: str
) -> None:
    """What was written meanwhile comes from the backlog, and no second snapshot is made."""
    master = start(processes, master_program)
    replica = start(processes, replica_program)
    fill(master)
    replica.replicate(master)
    wait_for_offset(replica, master)

    for round_number in range(3):
        if side == "master":
            assert master.call("CLIENT", "KILL", "TYPE", "replica") == 1
        else:
            assert replica.call("CLIENT", "KILL", "TYPE", "master") == 1
        fill(master, prefix=f"after cut {round_number}")
        wait_for_partial(master, round_number + 1)
        check_same(replica, master)

    assert syncs(master) == (1, 3)


@pairs
def test_a_link_cut_under_load_loses_nothing(
    processes: ExitStack, master_program: str, replica_program: str
) -> None:
    """Wherever in the stream it breaks, amid transactions too, offsets are exact on both sides."""
    master = start(processes, master_program)
    replica = start(processes, replica_program)
    replica.replicate(master)
    with writing(master):
        for count in range(1, 11):
            wait_until(
                lambda: int(master.call("CLIENT", "KILL", "TYPE", "replica")) == 1,
                SYNC_TIMEOUT_S,
                "the replica to be there to be cut",
            )
            wait_for_partial(master, count)

    check_same(replica, master)
    assert syncs(master)[0] == 1


@pairs
def test_a_backlog_that_has_moved_on_means_a_snapshot(
    processes: ExitStack, master_program: str, replica_program: str
) -> None:
    """The bytes the replica lacks are gone."""
    master = start(processes, master_program, repl_backlog_size="16384")
    replica = start(processes, replica_program)
    fill(master)
    replica.replicate(master)
    wait_for_offset(replica, master)
    replica.stop_with_sigstop()
    try:
        master.call("CLIENT", "KILL", "TYPE", "replica")
        for index in range(40):
            master.call("SET", f"large:{index}", "z" * 10_000)
    finally:
        replica.resume()

    check_same(replica, master)
    assert syncs(master) == (2, 0)


@pytest.mark.parametrize("master_program", ["redis", "vedette"])
def test_a_restarted_replica_goes_on_from_its_snapshot(
    processes: ExitStack, master_program: str
) -> None:
    """ID and offset are in the file, so an upgrade of a replica costs no snapshot."""
    master = start(processes, master_program)
    replica = start(processes, "vedette", replicaof=f"127.0.0.1 {master.port}")
    fill(master)
    check_same(replica, master)
    save_and_restart(replica)
    fill(master, prefix="after the restart")

    check_same(replica, master)
    assert syncs(master) == (1, 1)


@pytest.mark.parametrize("replica_program", ["redis", "vedette"])
def test_replicas_of_a_restarted_master_go_on(processes: ExitStack, replica_program: str) -> None:
    """The history of before is the restarted master's second one."""
    master = start(processes, "vedette")
    replica = start(processes, replica_program)
    replica.replicate(master)
    fill(master)
    wait_for_offset(replica, master)
    before = master.info("replication")["master_replid"]
    save_and_restart(master)
    assert master.info("replication")["master_replid2"] == before
    fill(master, prefix="after the restart")

    check_same(replica, master)
    assert syncs(master) == (0, 1)


# --- promotion and chains ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("old", "promoted", "other"),
    [
        ("redis", "vedette", "redis"),
        ("vedette", "redis", "vedette"),
        ("vedette", "vedette", "redis"),
        ("redis", "vedette", "vedette"),
    ],
)
def test_after_a_promotion_all_go_on_without_a_snapshot(
    processes: ExitStack, old: str, promoted: str, other: str
) -> None:
    """PSYNC2: the promoted replica serves the old history, to its fellow and to its old master."""
    old_master = start(processes, old)
    new_master = start(processes, promoted)
    fellow = start(processes, other)
    fill(old_master)
    new_master.replicate(old_master)
    fellow.replicate(old_master)
    wait_for_offset(new_master, old_master)
    wait_for_offset(fellow, old_master)
    before = old_master.info("replication")

    new_master.call("REPLICAOF", "NO", "ONE")
    after = new_master.info("replication")
    assert (after["role"], after["master_replid2"]) == ("master", before["master_replid"])
    assert int(after["second_repl_offset"]) == int(after["master_repl_offset"]) + 1

    fill(new_master, prefix="of the new master")
    fellow.replicate(new_master)
    old_master.replicate(new_master)

    check_same(fellow, new_master)
    check_same(old_master, new_master)
    assert syncs(new_master) == (0, 2)


@pytest.mark.parametrize(
    ("top", "middle", "bottom"),
    [
        ("redis", "vedette", "redis"),
        ("vedette", "redis", "vedette"),
        ("redis", "vedette", "vedette"),
    ],
)
def test_a_chain_shares_one_history(
    processes: ExitStack, top: str, middle: str, bottom: str
) -> None:
    """The middle passes the master's bytes on, so the bottom can move up without a snapshot."""
    master = start(processes, top)
    relay = start(processes, middle)
    last = start(processes, bottom)
    fill(master)
    relay.replicate(master)
    last.replicate(relay)
    fill(master, prefix="through the chain")
    check_same(relay, master)
    check_same(last, master)

    assert master.call("CLIENT", "KILL", "TYPE", "replica") == 1
    fill(master, prefix="after a cut above")
    check_same(last, master)
    full_before = syncs(relay)[0]

    last.replicate(master)
    fill(master, prefix="directly")
    check_same(last, master)
    assert (syncs(master)[0], syncs(relay)[0]) == (1, full_before)


# --- the rest ------------------------------------------------------------------------------------


@pairs
def test_wait_counts_replicas_that_have_the_writes(
    processes: ExitStack, master_program: str, replica_program: str
) -> None:
    """The replica answers GETACK with an offset that the master agrees with."""
    master = start(processes, master_program)
    replica = start(processes, replica_program)
    replica.replicate(master)
    with master.connect() as client:
        for index in range(20):
            client.call("SET", "key", index)
            assert client.call("WAIT", 1, 5000) == 1
        assert replica.call("GET", "key") == b"19"
        replica.stop_with_sigstop()
        try:
            client.call("SET", "key", "unseen")
            assert client.call("WAIT", 1, 100) == 0
        finally:
            replica.resume()
        assert client.call("WAIT", 1, 5000) == 1


@pairs
def test_a_password_is_asked_for_and_given(
    processes: ExitStack, master_program: str, replica_program: str
) -> None:
    """`masterauth` meets `requirepass`; without it the link stays down."""
    master = start(processes, master_program, requirepass="secret")
    replica = start(processes, replica_program)
    fill(master, 10)
    replica.call("REPLICAOF", "127.0.0.1", master.port)
    wait_until(
        lambda: "NOAUTH" in replica.log(), SYNC_TIMEOUT_S, "the replica to tell that it is refused"
    )
    assert replica.info("replication")["master_link_status"] == "down"

    replica.call("CONFIG", "SET", "masterauth", "secret")
    check_same(replica, master)


@pairs
def test_role_and_info_agree_with_what_redis_says(
    processes: ExitStack, master_program: str, replica_program: str
) -> None:
    """Sentinels read both, of whatever program."""
    master = start(processes, master_program)
    replica = start(processes, replica_program)
    replica.replicate(master)
    with master.connect() as client:
        client.call("SET", "key", "value")
        assert client.call("WAIT", 1, 5000) == 1

    offset = int(master.info("replication")["master_repl_offset"])
    role, _, rows = master.call("ROLE")
    assert (role, len(rows)) == (b"master", 1)
    assert rows[0][:2] == [b"127.0.0.1", b"%d" % replica.port]
    assert 0 < int(rows[0][2]) <= offset
    role, host, port, state, replica_offset = replica.call("ROLE")
    assert (role, host, port, state) == (b"slave", b"127.0.0.1", master.port, b"connected")
    assert replica_offset > 0

    line = master.info("replication")["slave0"]
    assert line.startswith(f"ip=127.0.0.1,port={replica.port},state=online,offset=")
    assert line.endswith((",lag=0", ",lag=1"))


def test_a_command_that_is_not_there_ends_the_link(processes: ExitStack) -> None:
    """A copy that misses a write must not pass for one that has it."""
    master = start(processes, "redis", rename_command="APPEND FROM.LATER")
    replica = start(processes, "vedette")
    replica.replicate(master)
    master.call("FROM.LATER", "a string", "more")

    wait_until(
        lambda: replica.info("replication")["master_link_status"] == "down",
        SYNC_TIMEOUT_S,
        "the link to end",
    )
    wait_until(lambda: "FROM.LATER" in replica.log(), SYNC_TIMEOUT_S, "the command to be named")


@both_ways
def test_redis_cli_takes_a_snapshot_of_ours(
    processes: ExitStack, tmp_path: Path, diskless: str
) -> None:
    """Backups are made so: the real server loads the file, and ours holds no replica afterwards."""
    require_redis("redis-cli")
    master = start(processes, "vedette", repl_diskless_sync=diskless)
    fill(master)
    subprocess.run(
        ["redis-cli", "-p", str(master.port), "--rdb", str(tmp_path / "dump.rdb")],
        check=True,
        capture_output=True,
        timeout=20,
    )
    loaded = processes.enter_context(RedisServer({"dir": str(tmp_path)}, directory=tmp_path))

    assert contents(loaded) == contents(master)
    wait_until(lambda: master.info("replication")["connected_slaves"] == "0")


def test_sync_without_psync_is_served(processes: ExitStack) -> None:
    """Old replicas and tools send SYNC and expect a size, the snapshot, and the stream."""
    master = start(processes, "vedette")
    fill(master, 10)
    with master.connect() as client:
        client.send("SYNC")
        received = b""
        while b"\r\n" not in received.lstrip(b"\n"):
            received += client.socket.recv(65536)
        header, _, body = received.lstrip(b"\n").partition(b"\r\n")
        size = int(header.removeprefix(b"$"))
        while len(body) < size:
            body += client.socket.recv(65536)
        assert body.startswith(b"REDIS0010")

        master.call("SET", "streamed", "yes")
        stream = body[size:]
        while b"streamed" not in stream:
            stream += client.socket.recv(65536)
        assert stream.startswith(b"*2\r\n$6\r\nSELECT\r\n$1\r\n0\r\n")


def test_expired_keys_are_deleted_by_the_master(processes: ExitStack) -> None:
    """A replica hides them, and deletes them when its master says so."""
    master = start(processes, "vedette")
    replica = start(processes, "redis")
    replica.replicate(master)
    master.call("SET", "short", "lived", "PX", 50)
    wait_for_offset(replica, master)

    wait_until(lambda: replica.call("DBSIZE") == 0, SYNC_TIMEOUT_S, "the deletion to arrive")


def test_min_replicas_to_write_counts_replicas_that_answer(processes: ExitStack) -> None:
    """A master without enough of them refuses writes, as Redis does."""
    master = start(processes, "vedette", min_replicas_to_write="1", min_replicas_max_lag="2")
    replica = start(processes, "redis")
    with pytest.raises(Exception, match="NOREPLICAS Not enough good replicas to write"):
        master.call("SET", "key", "value")

    replica.replicate(master)
    wait_until(lambda: master.call("SET", "key", "value") == b"OK", SYNC_TIMEOUT_S)
    wait_for_offset(replica, master)
    assert replica.call("GET", "key") == b"value"


#: Fields that only a Redis can have: what it was compiled by.
BUILD_FIELDS = {"atomicvar_api", "gcc_version"}
INFO_SECTIONS = ("server", "clients", "memory", "persistence", "stats", "replication", "cpu")


def test_info_of_masters_and_replicas_has_every_field_of_redis_in_its_order(
    processes: ExitStack,
) -> None:
    """Dashboards look for them by name. What was replicated is counted at both ends."""
    for program in ("redis", "vedette"):
        master = start(processes, program, appendonly="yes")
        replica = start(processes, program, appendonly="yes")
        fill(master)
        replica.replicate(master)
        check_same(replica, master)
        if program == "redis":
            expected = [list(node.info(*INFO_SECTIONS)) for node in (master, replica)]
            continue
        for node, names in zip((master, replica), expected, strict=True):
            fields = list(node.info(*INFO_SECTIONS))
            wanted = [name for name in names if name not in BUILD_FIELDS]
            assert [name for name in fields if name in wanted] == wanted
        sent = int(master.info("stats")["total_net_repl_output_bytes"])
        received = int(replica.info("stats")["total_net_repl_input_bytes"])
        # Replies before PSYNC are those to a client yet, and one PING may be under way.
        assert min(sent, received) > 1000
        assert abs(sent - received) < 100
