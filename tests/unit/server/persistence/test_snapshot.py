"""Whole keyspaces: the order and fields of a file, and the loading of one in steps."""

from __future__ import annotations

import pytest

from server.persistence.rdb.encode import encode_records
from server.persistence.rdb.errors import (
    CorruptRdbError,
    UnsupportedDatabaseError,
    UnsupportedRdbTypeError,
)
from server.persistence.rdb.records import (
    Aux,
    Entries,
    FunctionLibrary,
    Record,
    ResizeDb,
    SelectDb,
    SlotInfo,
)
from server.persistence.snapshot import (
    LoadedKeyspace,
    ReplicationPosition,
    SavedDatabase,
    SnapshotAux,
    SnapshotLoad,
    snapshot_records,
)
from vedette.types import RunId

POSITION = ReplicationPosition(run_id=RunId("ab" * 20), offset=1234, selected_db=2)
AUX = SnapshotAux(redis_version="7.2.0", created_at_s=1_700_000_000, used_memory_bytes=900_000)


def file_of(*records: Record) -> bytes:
    return b"".join(encode_records(records))


def load(
    data: bytes, *, drop_expired_at_ms: int | None = None
) -> tuple[SnapshotLoad, LoadedKeyspace]:
    """Return a finished load of `data` and what it loaded."""
    keyspace = LoadedKeyspace()
    loading = SnapshotLoad(data, keyspace, drop_expired_at_ms=drop_expired_at_ms)
    loading.run()
    assert loading.is_finished
    return loading, keyspace


class SinkWithoutFunctions(LoadedKeyspace):
    """A keyspace of a server that has no functions."""

    def on_library(self, code: bytes) -> bool:
        return False


def test_records_stand_in_redis_order() -> None:
    """Readers rely on it: aux fields, libraries, then each database with its sizes first."""
    aux = SnapshotAux(
        redis_version="7.2.0", created_at_s=17, used_memory_bytes=9, replication=POSITION
    )
    databases = [
        SavedDatabase(0, {b"a": b"1", b"b": b"2"}, {b"b": 5}),
        SavedDatabase(1, {}, {}),
        SavedDatabase(9, {b"c": b"3"}, {}),
    ]

    assert list(snapshot_records(aux, databases, [b"#!lua"])) == [
        Aux(b"redis-ver", b"7.2.0"),
        Aux(b"redis-bits", b"64"),
        Aux(b"ctime", b"17"),
        Aux(b"used-mem", b"9"),
        Aux(b"repl-stream-db", b"2"),
        Aux(b"repl-id", b"ab" * 20),
        Aux(b"repl-offset", b"1234"),
        Aux(b"aof-base", b"0"),
        FunctionLibrary(b"#!lua"),
        SelectDb(0),
        ResizeDb(2, 1),
        Entries(values={b"a": b"1", b"b": b"2"}, expire_at_ms={b"b": 5}),
        SelectDb(9),
        ResizeDb(1, 0),
        Entries(values={b"c": b"3"}),
    ]


def test_keyspace_comes_back_with_its_replication_position() -> None:
    """A replica that restarts resumes from what its file says."""
    aux = SnapshotAux(
        redis_version="7.2.0", created_at_s=17, used_memory_bytes=9, replication=POSITION
    )
    databases = [SavedDatabase(0, {b"a": b"1"}, {b"a": 5}), SavedDatabase(9, {b"c": b"3"}, {})]
    data = file_of(*snapshot_records(aux, databases, [b"#!lua"]))

    loading, keyspace = load(data)

    assert keyspace.values == {0: {b"a": b"1"}, 9: {b"c": b"3"}}
    assert keyspace.expire_at_ms == {0: {b"a": 5}}
    assert keyspace.libraries == [b"#!lua"]
    assert loading.replication == POSITION
    assert loading.aux[b"redis-ver"] == b"7.2.0"
    assert (loading.keys_loaded, len(loading.expired)) == (2, 0)
    assert loading.loaded_bytes == loading.end_offset == len(data)


@pytest.mark.parametrize(
    "aux",
    [
        {},
        {b"repl-id": b"ab" * 20, b"repl-offset": b"7"},
        {b"repl-id": b"ab", b"repl-offset": b"7", b"repl-stream-db": b"0"},
        {b"repl-id": b"ab" * 20, b"repl-offset": b"-7", b"repl-stream-db": b"0"},
        {b"repl-id": b"ab" * 20, b"repl-offset": b"x", b"repl-stream-db": b"0"},
    ],
)
def test_replication_position_is_whole_or_none(aux: dict[bytes, bytes]) -> None:
    """Half a position would resume another stream, or the right one at a wrong place."""
    loading, _ = load(file_of(*(Aux(name, value) for name, value in aux.items())))

    assert loading.replication is None


def test_master_drops_what_expired_and_replica_keeps_it() -> None:
    """Only a master may decide that a key is gone; replicas wait for its DEL."""
    entries = Entries(
        values={b"gone": b"1", b"now": b"2", b"later": b"3", b"ever": b"4"},
        expire_at_ms={b"gone": 999, b"now": 1000, b"later": 1001},
    )
    data = file_of(SelectDb(0), entries)

    as_master, kept = load(data, drop_expired_at_ms=1000)
    as_replica, everything = load(data)

    assert set(kept.values[0]) == {b"now", b"later", b"ever"}
    assert kept.expire_at_ms == {0: {b"now": 1000, b"later": 1001}}
    assert (as_master.keys_loaded, len(as_master.expired)) == (3, 1)
    assert everything.values == {0: entries.values}
    assert (as_replica.keys_loaded, len(as_replica.expired)) == (4, 0)


def test_load_in_steps_shows_its_progress_and_finishes_with_the_checksum() -> None:
    """Between steps others are served, who ask how far it is; and nothing counts before the end."""
    values = {b"key:%07d" % number: b"value" for number in range(60_000)}
    data = file_of(SelectDb(0), Entries(values=values), SlotInfo(1, 2, 3))
    keyspace = LoadedKeyspace()
    loading = SnapshotLoad(data, keyspace)

    progress = [0]
    while loading.step():
        assert not loading.is_finished
        assert loading.loaded_bytes > progress[-1]
        progress.append(loading.loaded_bytes)

    assert len(progress) > 4
    assert loading.is_finished
    assert keyspace.values == {0: values}
    assert not loading.step()


def test_nothing_is_finished_when_the_checksum_is_wrong() -> None:
    """By then all keys were handed over; the flag is what keeps them from being used."""
    data = bytearray(file_of(SelectDb(0), Entries(values={b"a": b"x"})))
    data[-1] ^= 1
    loading = SnapshotLoad(bytes(data), LoadedKeyspace())

    with pytest.raises(CorruptRdbError, match="checksum"):
        loading.run()

    assert not loading.is_finished


def test_key_that_comes_twice_in_distant_places_is_corruption() -> None:
    """One of the two values would win by chance."""
    filler = {b"key:%07d" % number: b"value" for number in range(60_000)}
    data = file_of(SelectDb(0), Entries(values=filler), Entries(values={b"key:0000000": b"other"}))

    with pytest.raises(CorruptRdbError, match=r"of database 0 .* comes twice"):
        load(data)


def test_same_key_in_two_databases_is_not_twice() -> None:
    """Databases are separate keyspaces."""
    data = file_of(
        SelectDb(0), Entries(values={b"a": b"0"}), SelectDb(1), Entries(values={b"a": b"1"})
    )

    assert load(data)[1].values == {0: {b"a": b"0"}, 1: {b"a": b"1"}}


def test_database_beyond_the_configured_ones_is_refused() -> None:
    """Its keys would be out of every client's reach."""
    data = file_of(SelectDb(16), Entries(values={b"a": b"0"}))

    with pytest.raises(UnsupportedDatabaseError, match="database 16, but only 16 are configured"):
        load(data)
    SnapshotLoad(data, keyspace := LoadedKeyspace(), database_count=17).run()
    assert keyspace.values == {16: {b"a": b"0"}}


def test_library_is_refused_by_name_where_there_are_no_functions() -> None:
    """A server that drops functions in silence breaks its clients later."""
    data = file_of(FunctionLibrary(b"#!lua"))

    with pytest.raises(UnsupportedRdbTypeError, match="function library"):
        SnapshotLoad(data, SinkWithoutFunctions()).run()


def test_load_may_begin_within_other_data() -> None:
    """An append-only file's commands follow its preamble."""
    data = file_of(SelectDb(0), Entries(values={b"a": b"0"}))
    loading = SnapshotLoad(b"xyz" + data + b"*1\r\n", keyspace := LoadedKeyspace(), start=3)

    loading.run()

    assert keyspace.values == {0: {b"a": b"0"}}
    assert (loading.end_offset, loading.loaded_bytes) == (3 + len(data), len(data))
