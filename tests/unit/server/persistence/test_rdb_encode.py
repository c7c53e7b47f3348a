"""The encoder: its bytes record by record, its chunks and its footer."""

from __future__ import annotations

import pytest

from server.persistence.rdb.checksum import crc64
from server.persistence.rdb.decode import RdbDecoder
from server.persistence.rdb.encode import LARGE_PART_SIZE, encode_records
from server.persistence.rdb.records import (
    Aux,
    EndOfFile,
    Entries,
    FunctionLibrary,
    Record,
    ResizeDb,
    SelectDb,
    SlotInfo,
)


def body(*records: Record, compress: bool = True) -> bytes:
    """Return what `records` are written as, without header, end and footer."""
    data = b"".join(encode_records(records, compress=compress, checksum=False))
    assert data.startswith(b"REDIS0010")
    assert data.endswith(b"\xff" + bytes(8))
    return data[9:-9]


@pytest.mark.parametrize(
    ("record", "expected"),
    [
        (Aux(b"redis-bits", b"64"), b"\xfa\x0aredis-bits\xc0\x40"),
        (SelectDb(3), b"\xfe\x03"),
        (ResizeDb(100, 2), b"\xfb\x40\x64\x02"),
        (SlotInfo(16383, 5, 1), b"\xf4\x7f\xff\x05\x01"),
        (FunctionLibrary(b"#!lua"), b"\xf5\x05#!lua"),
        (Entries(values={b"k": b"v"}), b"\x00\x01k\x01v"),
        (Entries(values={b"": b""}), b"\x00\x00\x00"),
        (Entries(values={b"7": b"-300"}), b"\x00\xc0\x07\xc1\xd4\xfe"),
        (
            Entries(values={b"k": b"v"}, expire_at_ms={b"k": 1_700_000_000_000}),
            b"\xfc\x00\x68\xe5\xcf\x8b\x01\x00\x00\x00\x01k\x01v",
        ),
        (
            Entries(values={b"k": b"v"}, expire_at_ms={b"k": 1}, idle_s={b"k": 70}),
            b"\xfc\x01\x00\x00\x00\x00\x00\x00\x00\xf8\x40\x46\x00\x01k\x01v",
        ),
        (Entries(values={b"k": b"v"}, frequency={b"k": 255}), b"\xf9\xff\x00\x01k\x01v"),
    ],
)
def test_record_is_written_as_the_format_says(record: Record, expected: bytes) -> None:
    """These bytes are the contract with every other reader of the format."""
    assert body(record) == expected


def test_attributes_go_with_their_own_key_only() -> None:
    """An expiry that slipped to a neighbour would delete the wrong key."""
    entries = Entries(values={b"a": b"x", b"b": b"y", b"c": b"z"}, expire_at_ms={b"b": 1})

    assert body(entries) == b"\x00\x01a\x01x\xfc\x01" + bytes(7) + b"\x00\x01b\x01y\x00\x01c\x01z"


def test_without_compression_the_text_stands_in_the_file() -> None:
    """`rdbcompression no` asks for that; both short and long lengths must still be right."""
    values = {b"k" * 30: b"v" * 40, b"l" * 70: b"w" * 300}
    expected = b"\x00\x1e" + b"k" * 30 + b"\x28" + b"v" * 40
    expected += b"\x00\x40\x46" + b"l" * 70 + b"\x41\x2c" + b"w" * 300

    assert body(Entries(values=values), compress=False) == expected


def test_footer_is_the_checksum_of_all_before_it() -> None:
    """The check value of the CRC's definition, so the variant is the right one, and the footer."""
    assert crc64(b"123456789") == 0xE9C6D914C4B8D9CA

    data = b"".join(encode_records([SelectDb(0), Entries(values={b"k": b"v"})]))

    assert data[-8:] == crc64(data[:-8]).to_bytes(8, "little")


def test_large_keyspace_comes_in_chunks_without_a_copy_of_giants() -> None:
    """The writer's memory must not grow with the keyspace, nor hold a large value twice."""
    giant = b"\x00\xff" * LARGE_PART_SIZE
    values = {b"key:%012d" % number: b"v" * 15 for number in range(20_000)}
    values[b"giant"] = giant
    values.update({b"tail:%d" % number: b"w" for number in range(10)})

    chunks = list(encode_records([Entries(values=values)], compress=False))

    assert any(chunk is giant for chunk in chunks)
    others = [chunk for chunk in chunks if chunk is not giant]
    assert max(len(chunk) for chunk in others) < 200_000
    assert len(chunks) < 40
    loaded: dict[bytes, bytes] = {}
    for record in RdbDecoder(b"".join(chunks)):
        if isinstance(record, Entries):
            loaded.update(record.values)
    assert loaded == values


def test_version_can_be_chosen() -> None:
    """A peer that asks for another version gets its number in the header."""
    assert next(encode_records([], version=9)).startswith(b"REDIS0009")


def test_value_of_an_unknown_python_type_is_the_callers_mistake() -> None:
    """Skipping it in silence would lose the key."""
    with pytest.raises(TypeError, match="no RDB type holds a value of float"):
        list(encode_records([Entries(values={b"k": 1.5})]))  # the point


def test_end_of_file_is_no_record_to_write() -> None:
    """It would end the file before its footer."""
    with pytest.raises(AssertionError):
        list(encode_records([EndOfFile(0)]))
