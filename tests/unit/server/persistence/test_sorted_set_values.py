"""Sorted sets out of every encoding that Redis wrote, and nothing but errors out of others."""

from __future__ import annotations

import struct
from math import inf

import pytest

from server.persistence.rdb.decode import value_decoder
from server.persistence.rdb.encode import encode_value
from server.persistence.rdb.errors import CorruptRdbError
from server.persistence.rdb.lengths import encode_length
from server.store.encoding_limits import EncodingLimits
from server.store.score_order import Pair
from server.store.sorted_sets import SortedSet
from tests.support.listpacks import encode_listpack

ZSET, ZSET_2, ZSET_ZIPLIST, ZSET_LISTPACK = 3, 5, 12, 17


def string(text: bytes) -> bytes:
    return encode_length(len(text)) + text


def double(value: float) -> bytes:
    return struct.pack("<d", value)


def read(value_type: int, data: bytes) -> SortedSet:
    """Return the one value that `data` holds."""
    value, position = value_decoder(value_type, data, 0, b"k")(data, 0)
    assert position == len(data)
    assert isinstance(value, SortedSet)
    return value


#: `a` 1 and `b` 2.5 as Redis 2.6 to 6.2 packed them.
ZIPLIST = bytes.fromhex("18000000 12000000 0400 00 01 61 03 f2 02 01 62 03 03 322e35 ff")


@pytest.mark.parametrize(
    ("value_type", "data"),
    [
        (ZSET, encode_length(2) + string(b"b") + b"\x032.5" + string(b"a") + b"\x011"),
        (ZSET_2, encode_length(2) + string(b"b") + double(2.5) + string(b"a") + double(1)),
        (ZSET_ZIPLIST, string(ZIPLIST)),
        (ZSET_LISTPACK, string(encode_listpack([b"a", 1, b"b", b"2.5"]))),
    ],
    ids=["ZSET", "ZSET_2", "ZSET_ZIPLIST", "ZSET_LISTPACK"],
)
def test_every_encoding_is_read(value_type: int, data: bytes) -> None:
    """All of 1.2 to 7.2."""
    zset = read(value_type, data)

    assert zset.slice(0, 9) == [(1.0, b"a"), (2.5, b"b")]
    assert zset.encoding() == b"listpack"


def test_infinite_scores_have_codes_in_the_oldest_encoding() -> None:
    """A size that no text has."""
    zset = read(ZSET, encode_length(2) + string(b"low") + b"\xff" + string(b"high") + b"\xfe")

    assert zset.slice(0, 9) == [(-inf, b"low"), (inf, b"high")]


@pytest.mark.parametrize(
    ("value_type", "data"),
    [
        (ZSET, encode_length(1) + string(b"a") + b"\xfd"),
        (ZSET, encode_length(1) + string(b"a") + b"\x01x"),
        (ZSET_2, encode_length(1) + string(b"a") + double(float("nan"))),
        (ZSET_2, encode_length(0)),
        (ZSET_2, encode_length(2) + (string(b"a") + double(1)) * 2),
        (ZSET_LISTPACK, string(encode_listpack([b"a", 1, b"b"]))),
        (ZSET_LISTPACK, string(encode_listpack([b"a", b"b"]))),
        (ZSET_LISTPACK, string(encode_listpack([]))),
    ],
)
def test_what_is_no_sorted_set_is_refused(value_type: int, data: bytes) -> None:
    """Members twice, scores that are none, none at all."""
    with pytest.raises(CorruptRdbError):
        read(value_type, data)


SMALL: list[Pair] = [(-inf, b"low"), (0.1, b"7"), (2.0**61, b"x"), (1e300, b"")]
LARGE: list[Pair] = [(number / 3, b"member:%d" % number) for number in range(300)]


@pytest.mark.parametrize(
    ("pairs", "value_type"), [(SMALL, ZSET_LISTPACK), (LARGE, ZSET_2)], ids=["small", "large"]
)
def test_what_is_written_is_read_again(pairs: list[Pair], value_type: int) -> None:
    """In the type that Redis uses for the encoding."""
    type_byte, parts = encode_value(SortedSet.within(EncodingLimits(), pairs), compress=False)

    assert type_byte[0] == value_type
    assert read(value_type, b"".join(parts)).slice(0, 999) == sorted(pairs)
