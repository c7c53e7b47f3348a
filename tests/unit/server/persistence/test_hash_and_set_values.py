"""Hashes and sets out of every encoding that Redis wrote, and nothing but errors out of others."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from server.persistence.rdb.decode import value_decoder
from server.persistence.rdb.encode import encode_value
from server.persistence.rdb.errors import CorruptRdbError
from server.persistence.rdb.lengths import encode_length
from server.store.hashes import Hash
from server.store.sets import Set
from tests.support.listpacks import encode_listpack

SET, HASH, HASH_ZIPMAP, SET_INTSET, HASH_ZIPLIST, HASH_LISTPACK, SET_LISTPACK = (
    *(2, 4, 9, 11),
    *(13, 16, 20),
)


def string(text: bytes) -> bytes:
    return encode_length(len(text)) + text


def strings(*texts: bytes) -> bytes:
    return b"".join(map(string, texts))


#: Two fields as Redis 2.4 packed them: their count, then each with its length.
ZIPMAP = b"\x02\x01f\x03\x00one\x01g\x01\x001\xff"
#: The same as Redis 2.6 to 6.2 did, the last value as an integer.
ZIPLIST = bytes.fromhex("18000000 15000000 0400 00 01 66 03 03 6f6e65 05 01 67 03 f2 ff")
INTSET = bytes.fromhex("02000000 03000000 ffff 0100 0a00")


def read(value_type: int, data: bytes) -> Hash | Set:
    """Return the one value that `data` holds."""
    value, position = value_decoder(value_type, data, 0, b"k")(data, 0)
    assert position == len(data)
    assert isinstance(value, Hash | Set)
    return value


@pytest.mark.parametrize(
    ("value_type", "data"),
    [
        (HASH, encode_length(2) + strings(b"f", b"one", b"g", b"1")),
        (HASH_ZIPMAP, string(ZIPMAP)),
        (HASH_ZIPLIST, string(ZIPLIST)),
        (HASH_LISTPACK, string(encode_listpack([b"f", b"one", b"g", 1]))),
    ],
)
def test_every_encoding_of_a_hash_is_read(value_type: int, data: bytes) -> None:
    value = read(value_type, data)

    assert isinstance(value, Hash)
    assert value.fields == {b"f": b"one", b"g": b"1"}


@pytest.mark.parametrize(
    ("value_type", "data", "members"),
    [
        (SET, encode_length(2) + strings(b"a", b"b" * 100), {b"a", b"b" * 100}),
        (SET_INTSET, string(INTSET), {b"-1", b"1", b"10"}),
        (SET_LISTPACK, string(encode_listpack([b"a", -5])), {b"a", b"-5"}),
    ],
)
def test_every_encoding_of_a_set_is_read(value_type: int, data: bytes, members: set[bytes]) -> None:
    value = read(value_type, data)

    assert isinstance(value, Set)
    assert value.members == members


@pytest.mark.parametrize("value", [Hash({b"f": b"1", b"": b"v" * 500}), Set({b"1", b"m" * 500})])
@pytest.mark.parametrize("compress", [True, False])
def test_what_is_written_is_read_again(value: Hash | Set, compress: bool) -> None:
    type_byte, parts = encode_value(value, compress=compress)

    again = read(type_byte[0], b"".join(parts))

    assert again.add_to_digest(bytes(20)) == value.add_to_digest(bytes(20))
    assert again.encoding() == value.encoding()


@pytest.mark.parametrize(
    ("value_type", "data"),
    [
        (HASH, encode_length(0)),
        (HASH, encode_length(2) + strings(b"f", b"v", b"f", b"w")),
        (HASH, encode_length(1) + strings(b"f") + b"\x05v"),
        (HASH_LISTPACK, string(encode_listpack([b"f", b"v", b"g"]))),
        (HASH_LISTPACK, string(encode_listpack([]))),
        (HASH_ZIPLIST, string(ZIPLIST[:-1])),
        (SET, encode_length(2) + strings(b"a", b"a")),
        (SET, encode_length(0)),
        (SET_INTSET, string(b"\x02\0\0\0\0\0\0\0")),
        (SET_LISTPACK, string(encode_listpack([b"a", b"a"]))),
    ],
)
def test_what_redis_never_writes_is_refused(value_type: int, data: bytes) -> None:
    """Empty, cut short, or with the same element twice."""
    with pytest.raises(CorruptRdbError):
        read(value_type, data)


@pytest.mark.parametrize("value_type", [HASH, SET])
def test_a_count_that_the_data_does_not_bear_out_ends_soon(value_type: int) -> None:
    """A length of 2^60 must not be believed."""
    decode: Callable[..., object] = value_decoder(value_type, b"", 0, None)

    with pytest.raises((IndexError, CorruptRdbError)):
        decode(encode_length(1 << 60) + strings(b"a", b"b", b"c"), 0)
