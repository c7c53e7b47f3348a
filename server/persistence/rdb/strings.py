"""RDB strings: a length and the bytes, or an integer in binary, or LZF-compressed bytes.

Keys, values, aux fields and everything inside collections is written this way. As in Redis
(rdb.c: rdbSaveRawString) a string that is a canonical 32-bit integer is always written in
binary, and one of more than 20 bytes is compressed if that is asked for and saves 4 bytes.
"""

from __future__ import annotations

from struct import Struct
from typing import Final

from . import lzf
from .errors import CorruptRdbError, TruncatedRdbError
from .lengths import FIRST_ENCODING, ONE_BYTE_LIMIT, RdbData, encode_length, read_length

#: No decimal integer of 32 bits takes more bytes.
INTEGER_SIZE_LIMIT: Final = 11
#: Longer strings are worth a try at compression.
COMPRESSION_THRESHOLD: Final = 20
#: Compression must save that many bytes, its own header not counted.
COMPRESSION_GAIN: Final = 4
#: LZF's longest back reference takes 3 bytes and gives 264, so no honest ratio is above this.
MAX_LZF_RATIO: Final = 88

_INT8: Final = 0xC0
_INT16: Final = 0xC1
_INT32: Final = 0xC2
_LZF: Final = 0xC3
_LZF_BYTE: Final = bytes((_LZF,))

_TAGGED_INT8: Final = Struct("<Bb")
_TAGGED_INT16: Final = Struct("<Bh")
_TAGGED_INT32: Final = Struct("<Bi")


def encode_string(text: bytes, *, compress: bool) -> tuple[bytes, ...]:
    """Return the parts that `text` is written as; a long `text` itself is the last of them."""
    size = len(text)
    # Below 0x3A are the digits and the minus sign: a cheap look before a dear one.
    if 0 < size <= INTEGER_SIZE_LIMIT and text[0] < 0x3A:
        integer = encode_integer(text)
        if integer is not None:
            return (integer,)
    if compress and size > COMPRESSION_THRESHOLD and lzf.compress is not None:
        packed = lzf.compress(text, size - COMPRESSION_GAIN)
        if packed is not None:
            return (_LZF_BYTE, encode_length(len(packed)), encode_length(size), packed)
    return (encode_length(size), text)


def encode_integer(text: bytes) -> bytes | None:
    """Return `text` in binary if it is the canonical form of a 32-bit integer, else None."""
    try:
        number = int(text)
    except ValueError:
        return None
    if b"%d" % number != text:  # such as +1, 007, -0, 1_000
        return None
    if -0x80 <= number <= 0x7F:
        return _TAGGED_INT8.pack(_INT8, number)
    if -0x8000 <= number <= 0x7FFF:
        return _TAGGED_INT16.pack(_INT16, number)
    if -0x80000000 <= number <= 0x7FFFFFFF:
        return _TAGGED_INT32.pack(_INT32, number)
    return None


def read_string(data: RdbData, position: int) -> tuple[bytes, int]:
    """Return the string at `position` and the position after it.

    Raises:
        CorruptRdbError: no string stands there, or it claims more bytes than there are.
        IndexError: the data ends before the string's header does.
        struct.error: likewise.
    """
    first = data[position]
    if first < ONE_BYTE_LIMIT:
        start = position + 1
        end = start + first
    elif first < FIRST_ENCODING:
        size, start = read_length(data, position)
        end = start + size
    elif first == _INT8:
        return b"%d" % _TAGGED_INT8.unpack_from(data, position)[1], position + 2
    elif first == _INT16:
        return b"%d" % _TAGGED_INT16.unpack_from(data, position)[1], position + 3
    elif first == _INT32:
        return b"%d" % _TAGGED_INT32.unpack_from(data, position)[1], position + 5
    elif first == _LZF:
        return _read_compressed(data, position)
    else:
        raise CorruptRdbError(position, f"no string encoding has the number {first & 0x3F}")
    if end > len(data):
        raise TruncatedRdbError(position, f"a string of {end - start} bytes runs past the end")
    return data[start:end], end


def read_strings(data: RdbData, position: int, count: int) -> tuple[list[bytes], int]:
    """Return the `count` strings from `position` on and the position after them.

    Raises: what `read_string` raises.
    """
    texts: list[bytes] = []
    append = texts.append
    for _ in range(count):
        size = data[position]
        if size < ONE_BYTE_LIMIT:
            start = position + 1
            position = start + size
            append(data[start:position])
        else:
            text, position = read_string(data, position)
            append(text)
    if position > len(data):  # a slice past the end comes out short without an error
        raise TruncatedRdbError(len(data), "a string runs past the end")
    return texts, position


def _read_compressed(data: RdbData, position: int) -> tuple[bytes, int]:
    packed_size, start = read_length(data, position + 1)
    size, start = read_length(data, start)
    end = start + packed_size
    if end > len(data):
        raise TruncatedRdbError(position, f"a string of {packed_size} bytes runs past the end")
    # The decompressor allocates what it is told to, so a lie must be caught before it.
    if size > packed_size * MAX_LZF_RATIO:
        raise CorruptRdbError(
            position, f"{packed_size} compressed bytes cannot stand for {size} bytes"
        )
    try:
        text: bytes | None = lzf.decompress(data[start:end], size)
    except ValueError as exc:
        raise CorruptRdbError(position, "the compressed string is damaged") from exc
    if text is None or len(text) != size:
        raise CorruptRdbError(position, f"the compressed string does not give {size} bytes")
    return text, end
