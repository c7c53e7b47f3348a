"""RDB files and DUMP payloads between a real redis-server and our codec, both ways."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from server.persistence.rdb.decode import RdbDecoder
from server.persistence.rdb.encode import encode_records
from server.persistence.rdb.payload import dump_payload, restore_payload
from server.persistence.rdb.records import Entries
from server.persistence.snapshot import (
    LoadedKeyspace,
    ReplicationPosition,
    SavedDatabase,
    SnapshotAux,
    SnapshotLoad,
    snapshot_records,
)
from server.runtime.saving import save_in_foreground
from tests.support.redis import RedisServer
from vedette.types import RunId

#: Far enough for no test to see it come, and odd enough to show a lost millisecond.
LATER_MS = int(time.time() * 1000) + 3_600_123

AUX = SnapshotAux(redis_version="7.2.0", created_at_s=1_700_000_000, used_memory_bytes=1 << 20)

#: Strings of every form that an RDB string can take, as keys and as values.
STRINGS = [
    b"",
    b"a",
    *(b"%d" % number for number in (0, -1, 127, 128, -129, 32768, -32769, 2**31 - 1, 2**31)),
    b"007",
    b"+5",
    b"x" * 20,
    b"x" * 21,
    b"x" * 63,
    bytes(range(64)),
    b"ab" * 8000,
    bytes(range(256)) * 300,
    "ключ\r\n\0".encode(),
]
DATABASES = [
    SavedDatabase(0, dict(zip(STRINGS, reversed(STRINGS), strict=True)), {b"a": LATER_MS}),
    SavedDatabase(
        9, {b"key:%d" % number: b"%d" % (number * 7919) for number in range(5000)}, {b"key:7": 1}
    ),
    SavedDatabase(15, {b"only": b"here"}, {}),
]


@pytest.mark.parametrize("compress", [True, False], ids=["compressed", "plain"])
@pytest.mark.parametrize("checksum", [True, False], ids=["checksum", "no-checksum"])
def test_redis_loads_our_file(tmp_path: Path, compress: bool, checksum: bool) -> None:
    """Who moves on to Redis starts it on the file that we left."""
    records = snapshot_records(AUX, DATABASES)
    chunks = encode_records(records, compress=compress, checksum=checksum)
    save_in_foreground(str(tmp_path / "dump.rdb"), chunks)

    with RedisServer(directory=tmp_path) as redis:
        for database in DATABASES:
            redis.call("SELECT", database.index)
            expected = {
                key: value
                for key, value in database.values.items()
                if database.expire_at_ms.get(key, LATER_MS) == LATER_MS
            }
            keys = list(expected)
            assert redis.call("DBSIZE") == len(expected)
            assert dict(zip(keys, redis.call("MGET", *keys), strict=True)) == expected
            for key, expire_at_ms in database.expire_at_ms.items():
                if key in expected:
                    assert redis.call("PEXPIRETIME", key) == expire_at_ms
        assert "Loading RDB produced by version 7.2.0" in redis.log()


def test_redis_takes_up_our_replication_position(tmp_path: Path) -> None:
    """A Redis that starts on our file can go on serving the replicas we had."""
    position = ReplicationPosition(run_id=RunId("0123456789" * 4), offset=4321, selected_db=0)
    aux = SnapshotAux(
        redis_version="7.2.0", created_at_s=17, used_memory_bytes=1, replication=position
    )
    chunks = encode_records(snapshot_records(aux, DATABASES))
    save_in_foreground(str(tmp_path / "dump.rdb"), chunks)

    with RedisServer(directory=tmp_path) as redis:
        info = redis.call("INFO", "replication").decode()

    assert f"master_replid2:{position.run_id}" in info
    assert f"second_repl_offset:{position.offset + 1}" in info


def load_saved(redis: RedisServer) -> tuple[SnapshotLoad, LoadedKeyspace]:
    """Let the server save, and load what it saved."""
    redis.call("SAVE")
    keyspace = LoadedKeyspace()
    loading = SnapshotLoad((redis.directory / "dump.rdb").read_bytes(), keyspace)
    loading.run()
    return loading, keyspace


@pytest.mark.parametrize("compression", ["yes", "no"])
def test_we_load_a_file_of_redis(compression: str) -> None:
    """Who comes from Redis starts us on the file that it left."""
    with RedisServer({"rdbcompression": compression}) as redis:
        for database in DATABASES:
            redis.call("SELECT", database.index)
            for key, value in database.values.items():
                redis.call("SET", key, value)
        redis.call("SELECT", 0)
        redis.call("PEXPIREAT", b"a", LATER_MS)
        redis.call("INCR", b"counter")

        loading, keyspace = load_saved(redis)

    assert keyspace.values == {
        database.index: dict(database.values) | ({b"counter": b"1"} if not database.index else {})
        for database in DATABASES
    }
    assert keyspace.expire_at_ms == {0: {b"a": LATER_MS}}
    assert loading.aux[b"redis-ver"].startswith(b"7.")
    assert loading.aux[b"redis-bits"] == b"64"
    assert set(loading.aux) >= {b"ctime", b"used-mem", b"aof-base"}


def test_file_without_checksum_is_loaded() -> None:
    """`rdbchecksum no` leaves zeros where the checksum would be."""
    with RedisServer({"rdbchecksum": "no"}) as redis:
        redis.call("SET", b"k", b"v")

        _, keyspace = load_saved(redis)

        assert (redis.directory / "dump.rdb").read_bytes().endswith(b"\xff" + bytes(8))
    assert keyspace.values == {0: {b"k": b"v"}}


@pytest.mark.parametrize("policy", ["allkeys-lru", "allkeys-lfu"])
def test_access_figures_of_redis_are_read(policy: str) -> None:
    """Under such a policy every key has them, and keys behind them must not be lost."""
    with RedisServer({"maxmemory": "100mb", "maxmemory-policy": policy}) as redis:
        redis.call("SET", b"plain", b"1")
        redis.call("SET", b"expiring", b"2", "PXAT", LATER_MS)
        redis.call("SAVE")
        data = (redis.directory / "dump.rdb").read_bytes()

    entries = next(record for record in RdbDecoder(data) if isinstance(record, Entries))

    assert entries.values == {b"plain": b"1", b"expiring": b"2"}
    assert entries.expire_at_ms == {b"expiring": LATER_MS}
    present = entries.idle_s if policy == "allkeys-lru" else entries.frequency
    absent = entries.frequency if policy == "allkeys-lru" else entries.idle_s
    assert set(present) == {b"plain", b"expiring"}
    assert absent == {}


def test_function_library_of_redis_is_read() -> None:
    """It comes before all databases, and its text must arrive whole."""
    code = b"#!lua name=mylib\nredis.register_function('f', function() return 1 end)"
    with RedisServer() as redis:
        redis.call("FUNCTION", "LOAD", code)
        redis.call("SET", b"k", b"v")

        _, keyspace = load_saved(redis)

    assert keyspace.libraries == [code]
    assert keyspace.values == {0: {b"k": b"v"}}


def test_payloads_are_the_same_on_both_sides(redis: RedisServer) -> None:
    """MIGRATE moves keys by them, in either direction."""
    for number, value in enumerate(STRINGS):
        key = b"ours:%d" % number

        assert redis.call("RESTORE", key, 0, dump_payload(value), "REPLACE") == b"OK"

        assert redis.call("GET", key) == value
        assert restore_payload(redis.call("DUMP", key)) == value
        assert restore_payload(dump_payload(value, compress=False)) == value


@pytest.fixture(scope="module")
def redis() -> Iterator[RedisServer]:
    """Yield a server that several tests share, each with its own keys."""
    with RedisServer() as server:
        yield server
