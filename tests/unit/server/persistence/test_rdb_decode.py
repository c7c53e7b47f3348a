"""The decoder: every record of versions 1 to 11, refusals by name, and any malformed input."""

from __future__ import annotations

import mmap
import struct
from collections.abc import Iterable

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from server.persistence.rdb import opcodes
from server.persistence.rdb.checksum import checksum_bytes, crc64
from server.persistence.rdb.decode import RUN_SIZE, VALUE_DECODERS, RdbDecoder
from server.persistence.rdb.encode import encode_records
from server.persistence.rdb.errors import (
    CorruptRdbError,
    RdbError,
    UnsupportedRdbTypeError,
    UnsupportedRdbVersionError,
)
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

SAMPLE: list[Record] = [
    Aux(b"redis-ver", b"7.2.0"),
    FunctionLibrary(b"#!lua name=l"),
    SelectDb(0),
    ResizeDb(4, 2),
    Entries(
        values={b"a": b"x", b"17": b"-129", b"long": b"ab" * 50, b"wide": bytes(range(90))},
        expire_at_ms={b"17": 1_700_000_000_123},
        idle_s={b"long": 3600},
        frequency={b"wide": 9},
    ),
    SelectDb(15),
    SlotInfo(100, 1, 0),
    Entries(values={b"b": b""}, expire_at_ms={b"b": -5}),
]
SAMPLE_FILE = b"".join(encode_records(SAMPLE))


def rdb_file(body: bytes, version: int = 11) -> bytes:
    """Return a file of `version` around `body`, with a right checksum where it has one."""
    data = b"REDIS%04d" % version + body + b"\xff"
    return data + checksum_bytes(crc64(data)) if version >= 5 else data


def decode(data: bytes) -> list[Record]:
    return list(RdbDecoder(data))


def check_corrupt(data: bytes, reason: str, offset: int | None = None) -> None:
    with pytest.raises(CorruptRdbError) as caught:
        decode(data)
    assert reason in caught.value.reason
    if offset is not None:
        assert caught.value.offset == offset


def test_records_come_back_as_they_were_written() -> None:
    """The two halves of the codec agree on every record there is."""
    assert decode(SAMPLE_FILE) == [*SAMPLE, EndOfFile(len(SAMPLE_FILE))]


def test_file_may_be_a_mapping() -> None:
    """A large file is mapped, not read, and a mapping must be released for its file to be freed."""
    with mmap.mmap(-1, len(SAMPLE_FILE)) as mapped:
        mapped.write(SAMPLE_FILE)

        records = list(RdbDecoder(mapped))

    assert records[:-1] == SAMPLE


def test_file_may_lie_within_other_data() -> None:
    """An append-only file with a preamble continues where the RDB part says it ends."""
    decoder = RdbDecoder(b"\x00\x01\x02" + SAMPLE_FILE + b"*1\r\n", 3)

    records = list(decoder)

    assert records == [*SAMPLE, EndOfFile(3 + len(SAMPLE_FILE))]
    assert decoder.position == 3 + len(SAMPLE_FILE)


@pytest.mark.parametrize("version", range(1, 12))
def test_versions_1_to_11_are_read(version: int) -> None:
    """Old files have no checksum, and that they lack one must not be taken for damage."""
    data = rdb_file(b"\xfe\x00\x00\x01k\x01v", version)

    assert decode(data) == [SelectDb(0), Entries(values={b"k": b"v"}), EndOfFile(len(data))]


@pytest.mark.parametrize("version", [0, 12, 80, 9999])
def test_other_versions_are_refused_by_number(version: int) -> None:
    """A newer format may mean anything; the operator needs to know which one it was."""
    with pytest.raises(UnsupportedRdbVersionError, match=f"version {version} is not supported"):
        decode(rdb_file(b"", version))


@pytest.mark.parametrize("data", [b"", b"REDIS", b"REDIS001", b"REDISxxxx", b"RUBIS0010\xff"])
def test_without_the_signature_it_is_no_rdb_file(data: bytes) -> None:
    """The first bytes tell a stranger's file from a damaged one."""
    check_corrupt(data, "signature", 0)


def test_expiry_in_seconds_is_read_as_milliseconds() -> None:
    """Files from before Redis 2.6 have only that."""
    data = rdb_file(b"\xfd" + struct.pack("<i", 1_700_000_000) + b"\x00\x01k\x01v", 2)

    assert decode(data)[0] == Entries(values={b"k": b"v"}, expire_at_ms={b"k": 1_700_000_000_000})


def test_checksum_of_zero_means_not_checked() -> None:
    """`rdbchecksum no` writes it."""
    data = rdb_file(b"\x00\x01k\x01v")[:-8] + bytes(8)

    assert decode(data)[-1] == EndOfFile(len(data))


def test_wrong_checksum_is_corruption() -> None:
    """A flipped bit in a value is seen by nothing else."""
    data = rdb_file(b"\x00\x01k\x01v").replace(b"\x01v", b"\x01w")

    check_corrupt(data, "the checksum is", len(data) - 8)


def test_long_file_comes_in_runs() -> None:
    """Between two runs the server serves others, so a run has a bound."""
    values = {b"key:%07d" % number: b"value" for number in range(50_000)}
    data = b"".join(encode_records([Entries(values=values)]))

    runs = [record for record in RdbDecoder(data) if isinstance(record, Entries)]

    assert len(runs) == len(data) // RUN_SIZE + 1
    assert sum(len(run.values) for run in runs) == 50_000
    assert {key: run.values[key] for run in runs for key in run.values} == values


KNOWN_TYPES = [
    (value_type, *names)
    for value_type, names in opcodes.VALUE_TYPES.items()
    if value_type not in VALUE_DECODERS and value_type != opcodes.MODULE
]


@pytest.mark.parametrize(("value_type", "name", "encoding"), KNOWN_TYPES)
def test_known_types_are_refused_by_name(value_type: int, name: str, encoding: str) -> None:
    """Who migrates must learn which key of which type stands in the way."""
    body = b"\x00\x01k\x01v" + bytes((value_type,)) + b"\x05thing\x01\x01"

    with pytest.raises(UnsupportedRdbTypeError) as caught:
        decode(rdb_file(body))

    error = caught.value
    assert (error.type_name, error.encoding, error.key) == (name, encoding, b"thing")
    assert f"key b'thing' is of type {name} (RDB type {encoding}" in str(error)


def module_id(name: str, version: int) -> bytes:
    """Return a module's id as it stands in a file."""
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    number = 0
    for character in name:
        number = number << 6 | alphabet.index(character)
    return b"\x81" + struct.pack(">Q", number << 10 | version)


def test_modules_are_refused_by_their_own_name() -> None:
    """`module` alone would not say which one to get rid of."""
    with pytest.raises(UnsupportedRdbTypeError, match="of type module type ReJSON-RL "):
        decode(rdb_file(b"\x07\x03doc" + module_id("ReJSON-RL", 3) + b"\x00"))
    with pytest.raises(UnsupportedRdbTypeError, match="auxiliary data of module graphdata"):
        decode(rdb_file(b"\xf7" + module_id("graphdata", 11) + b"\x02\x01\x00"))


def test_functions_of_release_candidates_are_refused_by_name() -> None:
    """Their layout changed before Redis 7.0 came out."""
    with pytest.raises(UnsupportedRdbTypeError, match="FUNCTION_PRE_GA"):
        decode(rdb_file(b"\xf6\x01a"))


@pytest.mark.parametrize(
    ("body", "reason", "offset"),
    [
        (b"\x08\x01k\x01v", "no record begins with byte 0x08", 9),
        (b"\x16\x01k\x01v", "no record begins with byte 0x16", 9),
        (b"\x00\x01k\x01v\xf0", "no record begins with byte 0xf0", 14),
        (b"\xfc" + bytes(8) + b"\xfe\x00", "followed by no key", 9),
        (b"\x00\x01k\x01v\x00\x01k\x01w", "a key comes twice", 19),
        (b"\x00\x01k\x81\xff\xff\xff\xff\xff\xff\xff\xff", "runs past the end", 12),
    ],
)
def test_malformed_body_is_corruption_with_its_place(body: bytes, reason: str, offset: int) -> None:
    """The offset is where someone with a hex editor has to look."""
    check_corrupt(rdb_file(body), reason, offset)


@pytest.mark.parametrize("end", range(len(SAMPLE_FILE)))
def test_file_cut_anywhere_is_corrupt(end: int) -> None:
    """A copy that stopped half-way must never pass for a smaller data set."""
    with pytest.raises(CorruptRdbError) as caught:
        decode(SAMPLE_FILE[:end])

    assert 0 <= caught.value.offset <= end


@pytest.mark.parametrize("end", range(9, len(SAMPLE_FILE) - 8))
def test_old_file_cut_anywhere_is_corrupt(end: int) -> None:
    """Without a checksum it is the end-of-file record alone that tells."""
    with pytest.raises(CorruptRdbError):
        decode(b"REDIS0004" + SAMPLE_FILE[9:end].replace(b"\xff", b"\xfe"))


def check_only_rdb_errors(data: bytes) -> None:
    """Decode `data`; any other exception fails the test, and so does a place outside of it."""
    decoder = RdbDecoder(data)
    offset = 0
    try:
        for _ in decoder:
            pass
    except CorruptRdbError as error:
        offset = error.offset
    except RdbError:
        pass  # refused by name or number
    assert 0 <= offset <= len(data)
    assert 0 <= decoder.position <= len(data)


@given(st.binary(max_size=80))
@example(b"\xfc")
@example(b"\x00\x01k\xc3\x01\x01")
@example(b"\x07\x00\xc0")
def test_garbage_raises_only_rdb_errors(body: bytes) -> None:
    """What comes from a file or a peer must not end the server by a stray IndexError."""
    check_only_rdb_errors(b"REDIS0011" + body)
    check_only_rdb_errors(rdb_file(body, 3))


@given(
    st.lists(
        st.tuples(st.integers(0, len(SAMPLE_FILE) - 9), st.integers(0, 255)), min_size=1, max_size=4
    )
)
def test_damaged_files_raise_only_rdb_errors(changes: Iterable[tuple[int, int]]) -> None:
    """Nearly right files reach deeper than garbage; without checksum nothing else guards them."""
    damaged = bytearray(SAMPLE_FILE[:-8] + bytes(8))
    for position, byte in changes:
        damaged[position] = byte

    check_only_rdb_errors(bytes(damaged))


@given(
    st.dictionaries(st.binary(max_size=30), st.binary(max_size=100), min_size=1, max_size=8),
    st.lists(st.integers(-(2**63), 2**63 - 1), max_size=8),
    st.booleans(),
)
def test_any_keyspace_survives_the_round_trip(
    values: dict[bytes, bytes], times: list[int], compress: bool
) -> None:
    """Keys and values are any bytes, times any that fit in 64 bits."""
    entries = Entries(values=values, expire_at_ms=dict(zip(values, times, strict=False)))

    records = decode(b"".join(encode_records([entries], compress=compress)))

    assert records[0] == entries


@pytest.mark.parametrize(
    "empty",
    [
        bytes((1, 1)) + b"e\x00",
        bytes((2, 1)) + b"e\x00",
        bytes((4, 1)) + b"e\x00",
        bytes((5, 1)) + b"e\x00",
        bytes((16, 1)) + b"e\x07\x07\x00\x00\x00\x00\x00\xff",
        bytes((17, 1)) + b"e\x07\x07\x00\x00\x00\x00\x00\xff",
        bytes((18, 1)) + b"e\x01\x02\x07\x07\x00\x00\x00\x00\x00\xff",
    ],
)
def test_a_collection_without_elements_is_passed_over(empty: bytes) -> None:
    """Some Redis wrote such by mistake, and later ones load the rest; an expiry goes along."""
    expiring = b"\xfc" + bytes(8) + empty
    data = rdb_file(b"\x00\x01a\x01x" + empty + expiring + b"\x00\x01b\x01y")

    (entries,) = [record for record in decode(data) if isinstance(record, Entries)]
    assert entries.values == {b"a": b"x", b"b": b"y"}
    assert entries.expire_at_ms == {}
