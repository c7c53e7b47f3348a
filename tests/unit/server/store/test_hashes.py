"""Hashes: encodings as Redis converts them, and random fields that follow every change."""

from __future__ import annotations

import random
import sys

import pytest

from server.store.encoding_limits import EncodingLimits
from server.store.hashes import Hash

DEFAULTS = EncodingLimits()


@pytest.mark.parametrize(
    ("fields", "encoding"),
    [
        ({b"f": b"v" * 64, b"g" * 64: b""}, b"listpack"),
        ({b"f": b"v" * 65}, b"hashtable"),
        ({b"f" * 65: b"v"}, b"hashtable"),
        ({b"%d" % number: b"" for number in range(512)}, b"listpack"),
        ({b"%d" % number: b"" for number in range(513)}, b"hashtable"),
    ],
)
def test_encoding_follows_the_limits(fields: dict[bytes, bytes], encoding: bytes) -> None:
    """Set one by one, and adopted whole as a snapshot gives them."""
    value = Hash()
    for field, text in fields.items():
        assert value.set(field, text, DEFAULTS)

    assert value.encoding() == encoding
    assert Hash(fields).encoding() == encoding


def test_conversion_goes_one_way() -> None:
    """Also in a copy, which shares nothing."""
    value = Hash({b"f": b"v" * 65, b"g": b"w"})
    value.set(b"f", b"short", DEFAULTS)
    twin = value.copy()
    twin.delete(b"g")

    assert value.encoding() == twin.encoding() == b"hashtable"
    assert value.fields == {b"f": b"short", b"g": b"w"}


def test_listpack_is_scanned_in_one_piece() -> None:
    """COUNT is for hash tables; those come in parts."""
    small = Hash({b"%d" % number: b"" for number in range(512)})
    large = Hash({b"%d" % number: b"" for number in range(513)})

    assert small.scan(0, 10) == (0, list(small.fields))
    cursor, found = large.scan(0, 10)
    assert cursor != 0
    assert len(found) == 10


def test_random_fields_follow_every_change() -> None:
    """What was deleted is drawn no more, what is new may be."""
    generator = random.Random(5)
    value = Hash({b"a": b"", b"b": b""})
    value.random_field(generator)
    value.delete(b"a")
    value.set(b"c", b"", DEFAULTS)
    value.set(b"c", b"again", DEFAULTS)

    assert {value.random_field(generator) for _ in range(100)} == {b"b", b"c"}
    assert sorted(value.random_fields(generator, 2)) == [b"b", b"c"]


def test_a_hash_gives_back_what_many_deletions_left_empty() -> None:
    """Python's dictionaries do so only when something is added."""
    value = Hash({b"f%d" % number: b"" for number in range(50_000)})
    full_bytes = sys.getsizeof(value.fields)
    for number in range(49_000):
        value.delete(b"f%d" % number)

    assert sys.getsizeof(value.fields) < full_bytes / 10
    assert list(value.fields) == [b"f%d" % number for number in range(49_000, 50_000)]
