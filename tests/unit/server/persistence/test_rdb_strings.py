"""Lengths and strings: each form's bytes as the format says, and what a liar can claim."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.persistence.rdb import lzf
from server.persistence.rdb.errors import CorruptRdbError
from server.persistence.rdb.lengths import encode_length, read_length
from server.persistence.rdb.strings import encode_string, read_string


def encoded(text: bytes, *, compress: bool = True) -> bytes:
    return b"".join(encode_string(text, compress=compress))


@pytest.mark.parametrize(
    ("length", "expected"),
    [
        (0, "00"),
        (63, "3f"),
        (64, "4040"),
        (16383, "7fff"),
        (16384, "8000004000"),
        (0xFFFFFFFF, "80ffffffff"),
        (0x100000000, "810000000100000000"),
        (2**64 - 1, "81ffffffffffffffff"),
    ],
)
def test_length_takes_the_shortest_form(length: int, expected: str) -> None:
    """The four forms and the edges between them are what every reader of the format relies on."""
    data = encode_length(length)

    assert data.hex() == expected
    assert read_length(data, 0) == (length, len(data))


@pytest.mark.parametrize("first", [0x82, 0xBF, 0xC0, 0xFF])
def test_what_is_no_length_is_refused(first: int) -> None:
    """A string encoding where a count must stand would otherwise be taken for a huge number."""
    with pytest.raises(CorruptRdbError) as caught:
        read_length(b"\x00" + bytes((first,)) + b"\x00" * 9, 1)

    assert caught.value.offset == 1


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (b"0", "c000"),
        (b"-1", "c0ff"),
        (b"127", "c07f"),
        (b"128", "c18000"),
        (b"-128", "c080"),
        (b"-129", "c17fff"),
        (b"32768", "c200800000"),
        (b"2147483647", "c2ffffff7f"),
        (b"-2147483648", "c200000080"),
    ],
)
def test_integers_are_written_in_binary(text: bytes, expected: str) -> None:
    """Redis reads and writes counters so, and DUMP payloads are compared byte by byte."""
    assert encoded(text).hex() == expected
    assert read_string(bytes.fromhex(expected), 0) == (text, len(expected) // 2)


@pytest.mark.parametrize(
    "text",
    [b"", b"-", b"+1", b"007", b"-0", b" 1", b"1 ", b"1_0", b"1.0", b"2147483648", b"-2147483649"],
)
def test_what_only_looks_like_an_integer_stays_text(text: bytes) -> None:
    """A number that does not print back to the same bytes would change the value."""
    assert encoded(text) == bytes((len(text),)) + text


@pytest.mark.skipif(lzf.compress is None, reason="the extra lzf is not installed")
def test_compression_starts_above_twenty_bytes() -> None:
    """Redis does not try below; a DUMP of the same value must be the same bytes."""
    assert encoded(b"a" * 20) == b"\x14" + b"a" * 20
    assert encoded(b"a" * 21)[0] == 0xC3
    assert encoded(b"a" * 21, compress=False) == b"\x15" + b"a" * 21


def test_text_that_does_not_shrink_by_four_bytes_stays_plain() -> None:
    """Compression that gains nothing costs the reader time."""
    text = bytes(range(100))

    assert encoded(text) == b"\x40\x64" + text


@given(st.binary(max_size=200) | st.integers().map(lambda number: b"%d" % number), st.booleans())
def test_every_string_reads_back(text: bytes, compress: bool) -> None:
    """Whatever form the encoder picks, the reader gets the same bytes and the right end."""
    data = encoded(text, compress=compress)

    assert read_string(b"\xee" + data + b"\xee", 1) == (text, 1 + len(data))


@given(st.binary(min_size=1, max_size=8), st.integers(21, 70_000))
def test_long_strings_read_back(pattern: bytes, size: int) -> None:
    """Two-byte and five-byte lengths and long back references meet only in long strings."""
    text = (pattern * (size // len(pattern) + 1))[:size]

    assert read_string(encoded(text), 0)[0] == text
    assert read_string(encoded(text, compress=False), 0)[0] == text


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"\x05abcd", "a string of 5 bytes runs past the end"),
        (b"\x81" + struct.pack(">Q", 2**63) + b"abc", f"a string of {2**63} bytes runs past"),
        (b"\xc4\x00", "no string encoding has the number 4"),
        (b"\xc3\x05\x19abcd", "a string of 5 bytes runs past the end"),
        # A terabyte out of three bytes: must be refused before it is allocated.
        (b"\xc3\x03\x81" + struct.pack(">Q", 2**40) + b"\x00aa", "3 compressed bytes cannot"),
        (b"\xc3\x02\x19\xff\xff", "the compressed string is damaged"),
        (b"\xc3\x02\x19\x00a", "the compressed string does not give 25 bytes"),
        (b"\xc3\x03\x01\x01ab", "the compressed string does not give 1 bytes"),
    ],
)
def test_damaged_strings_are_refused(data: bytes, reason: str) -> None:
    """Lengths come from outside: none may be believed before it is borne out."""
    with pytest.raises(CorruptRdbError) as caught:
        read_string(data, 0)

    assert reason in str(caught.value)
    assert caught.value.offset == 0
