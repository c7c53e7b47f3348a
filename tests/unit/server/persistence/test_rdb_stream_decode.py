"""The decoder of a file that arrives in pieces: the same records, wherever the pieces end."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import server.persistence  # noqa: F401 (registers the types)
from server.persistence.rdb import opcodes
from server.persistence.rdb.decode import RdbDecoder, RdbStreamDecoder
from server.persistence.rdb.encode import encode_records
from server.persistence.rdb.errors import CorruptRdbError, RdbError, TruncatedRdbError
from server.persistence.rdb.records import Aux, EndOfFile, Entries, Record, SelectDb
from server.persistence.snapshot import LoadedKeyspace, SnapshotLoad
from server.store.encoding_limits import EncodingLimits
from server.store.hashes import Hash
from server.store.lists import List
from server.store.sets import Set
from server.store.sorted_sets import SortedSet

VALUES = {
    b"short": b"x",
    b"17": b"-129",
    b"long": b"ab" * 500,
    b"wide": bytes(range(256)) * 3,
    b"k" * 100: b"",
    b"hash": Hash({b"f%d" % n: b"v" * n for n in range(90)}),
    b"list": List(deque([b"item%d" % n for n in range(200)])),
    b"set": Set({b"member", b"other"}),
    b"zset": SortedSet.within(EncodingLimits(), [(0.5, b"a"), (7.0, b"b")]),
}
RECORDS: list[Record] = [
    Aux(b"redis-ver", b"7.2.0"),
    SelectDb(0),
    Entries(values=VALUES, expire_at_ms={b"17": 1_700_000_000_123, b"hash": 5}),
    SelectDb(3),
    Entries(values={b"last": b"one"}),
]
FILE = b"".join(encode_records(RECORDS))


def pieces(data: bytes, cuts: Iterable[int]) -> Iterator[bytes]:
    """Cut `data` at the given places."""
    start = 0
    for cut in sorted(cuts):
        yield data[start:cut]
        start = cut
    yield data[start:]


def load(data: bytes, cuts: Iterable[int]) -> tuple[SnapshotLoad, LoadedKeyspace]:
    """Load what arrives in pieces, as far as each reaches."""
    decoder = RdbStreamDecoder()
    keyspace = LoadedKeyspace()
    loading = SnapshotLoad(decoder, keyspace)
    for piece in pieces(data, cuts):
        decoder.feed(piece)
        while loading.step():
            pass
    decoder.finish()
    loading.run()
    return loading, keyspace


def whole(data: bytes) -> LoadedKeyspace:
    keyspace = LoadedKeyspace()
    SnapshotLoad(data, keyspace).run()
    return keyspace


def described(keyspace: LoadedKeyspace) -> object:
    """Return what can be compared: the bytes that the values are written as."""
    return {
        index: b"".join(encode_records([Entries(values=values)]))
        for index, values in keyspace.values.items()
    }, keyspace.expire_at_ms


@settings(max_examples=200)
@given(st.sets(st.integers(1, len(FILE) - 1), max_size=30))
def test_cuts_do_not_change_what_is_loaded(cuts: set[int]) -> None:
    """Neither amid a length nor amid the checksum."""
    loading, keyspace = load(FILE, cuts)

    assert loading.end_offset == loading.loaded_bytes == len(FILE)
    assert described(keyspace) == described(whole(FILE))


def test_a_file_that_comes_byte_by_byte_is_loaded() -> None:
    """Each byte could be the end of something."""
    _, keyspace = load(FILE, range(1, len(FILE)))

    assert described(keyspace) == described(whole(FILE))


def test_keys_are_given_before_the_rest_has_arrived() -> None:
    """So loading goes on beside the transfer."""
    decoder = RdbStreamDecoder()
    loading = SnapshotLoad(decoder, LoadedKeyspace())
    decoder.feed(FILE[: len(FILE) // 2])
    while loading.step():
        pass

    assert loading.keys_loaded >= 4
    assert not loading.is_finished


@pytest.mark.parametrize("size", [0, 5, 9, 50, len(FILE) // 2, len(FILE) - 1])
def test_an_end_before_the_end_is_damage(size: int) -> None:
    """Only `finish` says that nothing more will come."""
    with pytest.raises(TruncatedRdbError):
        load(FILE[:size], [size // 2])


@settings(max_examples=300)
@given(st.integers(0, len(FILE) - 1), st.integers(1, 255), st.sets(st.integers(1, len(FILE) - 1)))
def test_damage_is_found_wherever_the_pieces_end(
    place: int, difference: int, cuts: set[int]
) -> None:
    """By the checksum at the latest, and as one kind of error."""
    damaged = bytearray(FILE)
    damaged[place] ^= difference

    with pytest.raises(RdbError):
        load(bytes(damaged), cuts)


def test_a_large_key_waits_for_its_own_step() -> None:
    """It takes longer than others may be kept waiting, so its owner is told before it begins."""
    count = opcodes.LARGE_COUNTS[4]
    large = Hash({b"f%d" % number: b"v" for number in range(count)})
    data = b"".join(
        encode_records([Entries(values={b"before": b"1", b"large": large, b"after": b"2"})])
    )
    keyspace = LoadedKeyspace()
    loading = SnapshotLoad(data, keyspace)
    while loading.step() and not loading.is_next_large:
        pass
    assert keyspace.values == {0: {b"before": b"1"}}

    assert loading.step_large()
    assert not loading.is_next_large
    assert len(keyspace.values[0][b"large"]) == count
    loading.run()
    assert keyspace.values[0][b"after"] == b"2"


def test_run_size_1_gives_each_key_by_itself() -> None:
    """For `key-load-delay`."""
    loading = SnapshotLoad(FILE, LoadedKeyspace())
    counts = []
    while loading.step(run_size=1):
        counts.append(loading.keys_loaded)

    assert set(counts) == set(range(len(VALUES) + 2))


def test_what_follows_the_end_is_left_alone() -> None:
    """The stream of commands begins there."""
    decoder = RdbStreamDecoder()
    decoder.feed(FILE + b"*1\r\n$4\r\nPING\r\n")
    records = []
    while (record := next(decoder)) is not None:
        records.append(record)
        if isinstance(record, EndOfFile):
            break

    assert records[-1] == EndOfFile(len(FILE))
    assert list(RdbDecoder(FILE))[-1] == EndOfFile(len(FILE))


def test_a_damaged_beginning_is_found_at_once() -> None:
    """Not only when all has arrived."""
    decoder = RdbStreamDecoder()
    decoder.feed(b"HTTP/1.1 200 OK")

    with pytest.raises(CorruptRdbError, match="signature"):
        next(decoder)
