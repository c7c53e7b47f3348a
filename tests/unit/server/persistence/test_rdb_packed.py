"""Packed lists: what real servers wrote, what comes back, and what garbage gives."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.persistence.rdb.errors import CorruptRdbError
from server.persistence.rdb.packed import (
    read_intset,
    read_listpack,
    read_ziplist,
    read_zipmap,
)
from tests.support.listpacks import encode_listpack

#: As redis-server 7.0.15 writes it (DUMP of a hash, without compression).
LISTPACK = bytes.fromhex(
    "2b0000000600816102010181620294313233343536373839303132333435363738393015816302ded402ff"
)
INT64 = st.integers(-(2**63), 2**63 - 1)


def ziplist(*entries: bytes) -> bytes:
    """Return the ziplist of entries that are encoded already, without their backward lengths."""
    body = b""
    previous_size = 0
    for entry in entries:
        previous = (
            bytes((previous_size,))
            if previous_size < 254
            else b"\xfe%b" % (previous_size.to_bytes(4, "little"))
        )
        body += previous + entry
        previous_size = len(previous + entry)
    size = 10 + len(body) + 1
    last = 10 + len(body) - previous_size
    return (
        size.to_bytes(4, "little")
        + last.to_bytes(4, "little")
        + len(entries).to_bytes(2, "little")
        + body
        + b"\xff"
    )


def test_listpack_of_a_real_server_is_read() -> None:
    """Integers of seven and of thirteen bits, and digits that make no integer of 64."""
    elements = [b"a", b"1", b"b", b"12345678901234567890", b"c", b"-300"]

    assert read_listpack(LISTPACK) == elements
    assert encode_listpack([b"a", 1, b"b", b"12345678901234567890", b"c", -300]) == LISTPACK


@given(st.lists(INT64 | st.binary(max_size=70) | st.binary(min_size=4090, max_size=4100)))
def test_listpack_comes_back_as_it_was_encoded(elements: list[int | bytes]) -> None:
    """Integers come back as their digits."""
    expected = [b"%d" % one if isinstance(one, int) else one for one in elements]

    assert read_listpack(encode_listpack(elements)) == expected


@pytest.mark.parametrize("size", [120, 125, 126, 127, 128, 16377, 16378, 16379, 2097146, 2097147])
def test_backward_lengths_take_the_bytes_they_need(size: int) -> None:
    """One off would have the next element begin in the middle of this one's length."""
    elements: list[int | bytes] = [b"x" * size, b"next"]

    assert read_listpack(encode_listpack(elements)) == elements


def test_ziplist_with_every_encoding_is_read() -> None:
    """The six integers, the three strings, and a backward length of five bytes."""
    long = b"y" * 300
    data = ziplist(
        b"\x01a",
        b"\x41\x2c" + long,
        b"\x80\x00\x00\x00\x02zz",
        b"\xc0\x00\x04",
        b"\xd0" + (-70000).to_bytes(4, "little", signed=True),
        b"\xe0" + (2**40).to_bytes(8, "little"),
        b"\xf0\xff\xff\xff",
        b"\xfe\x80",
        b"\xf1",
        b"\xfd",
    )

    expected = [b"a", long, b"zz", b"1024", b"-70000", b"%d" % 2**40, b"-1", b"-128", b"0", b"12"]
    assert read_ziplist(data) == expected


def test_intset_of_each_width_is_read() -> None:
    """Negative numbers come first."""
    for width in (2, 4, 8):
        numbers = [-(1 << width * 8 - 1), -1, 0, (1 << width * 8 - 1) - 1]
        packed = b"".join(number.to_bytes(width, "little", signed=True) for number in numbers)
        data = width.to_bytes(4, "little") + len(numbers).to_bytes(4, "little") + packed
        assert read_intset(data) == numbers


def test_zipmap_is_read_with_its_unused_bytes() -> None:
    """A value that became shorter leaves some behind."""
    large = b"v" * 300
    data = (
        b"\x02\x03foo\x03\x02bar..\x01k\xfe"
        + (300).to_bytes(4, "little")
        + b"\x00"
        + large
        + b"\xff"
    )

    assert read_zipmap(data) == [b"foo", b"bar", b"k", large]


def test_ziplist_whose_last_element_is_said_to_be_elsewhere_is_refused() -> None:
    """Also an empty one, which Redis says ends where it begins."""
    for entries in ((), (b"\x01a", b"\x01b")):
        good = ziplist(*entries)
        read_ziplist(good)
        with pytest.raises(CorruptRdbError, match="last element"):
            read_ziplist(good[:4] + b"\x0b" + good[5:])


@pytest.mark.parametrize("position", [10, 13])
@pytest.mark.parametrize("size", [1, 2, 4, 14, 0xFD])
def test_ziplist_whose_elements_disagree_about_their_sizes_is_refused(
    position: int, size: int
) -> None:
    """As by Redis, which would go through it from the end."""
    damaged = bytearray(ziplist(b"\x01a", b"\x01b"))
    assert read_ziplist(bytes(damaged)) == [b"a", b"b"]
    damaged[position] = size

    with pytest.raises(CorruptRdbError, match="element before it"):
        read_ziplist(bytes(damaged))


READERS = (read_listpack, read_ziplist, read_intset, read_zipmap)


@pytest.mark.parametrize("reader", READERS)
@given(data=st.binary(max_size=60))
def test_garbage_is_called_corrupt(reader: Callable[[bytes], object], data: bytes) -> None:
    """RESTORE takes payloads from anybody."""
    with suppress(CorruptRdbError):
        assert isinstance(reader(data), list)


@pytest.mark.parametrize("reader", [read_listpack, read_ziplist])
def test_wrong_counts_and_sizes_are_noticed(reader: Callable[[bytes], object]) -> None:
    """What the head says must be what there is."""
    good = encode_listpack([b"a"]) if reader is read_listpack else ziplist(b"\x01a")
    at_count = 4 if reader is read_listpack else 8
    wrong_count = bytearray(good)
    wrong_count[at_count] += 1
    for bad in (bytes(wrong_count), good + b"x", good[:-1], b"\xff" + good[1:]):
        with pytest.raises(CorruptRdbError):
            reader(bad)
