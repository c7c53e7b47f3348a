"""RDB's variable-length unsigned integers: 1, 2, 5 or 9 bytes, by the two top bits.

00xxxxxx                    6 bits
01xxxxxx + 1 byte          14 bits
10000000 + 4 bytes         32 bits, big-endian
10000001 + 8 bytes         64 bits, big-endian
11xxxxxx                    no length: a string in one of the encodings of `strings`
"""

from __future__ import annotations

import mmap
from struct import Struct
from typing import Final, TypeAlias

from .errors import CorruptRdbError

#: What the decoder reads from: both slice to bytes. A file is best given as a read-only mmap.
RdbData: TypeAlias = bytes | mmap.mmap

#: Lengths below this take a single byte.
ONE_BYTE_LIMIT: Final = 0x40
TWO_BYTE_LIMIT: Final = 0x4000
#: First bytes from this on say a string encoding in place of a length.
FIRST_ENCODING: Final = 0xC0

_LENGTH_32: Final = 0x80
_LENGTH_64: Final = 0x81

#: The encoded lengths that take a single byte, by length.
ONE_BYTE_LENGTHS: Final = tuple(bytes((length,)) for length in range(ONE_BYTE_LIMIT))

_UINT16: Final = Struct(">H")
_UINT32: Final = Struct(">I")
_UINT64: Final = Struct(">Q")
_BYTE_UINT32: Final = Struct(">BI")
_BYTE_UINT64: Final = Struct(">BQ")


def encode_length(length: int) -> bytes:
    """Return `length`, 0 to 2**64 - 1, in the shortest form."""
    assert length >= 0
    if length < ONE_BYTE_LIMIT:
        return ONE_BYTE_LENGTHS[length]
    if length < TWO_BYTE_LIMIT:
        return _UINT16.pack(length | 0x4000)
    if length <= 0xFFFFFFFF:
        return _BYTE_UINT32.pack(_LENGTH_32, length)
    return _BYTE_UINT64.pack(_LENGTH_64, length)


def read_length(data: RdbData, position: int) -> tuple[int, int]:
    """Return the length at `position` and the position after it.

    Raises:
        CorruptRdbError: a string encoding or nonsense stands there.
        IndexError: the data ends before the length does.
        struct.error: likewise.
    """
    first = data[position]
    if first < ONE_BYTE_LIMIT:
        return first, position + 1
    if first < _LENGTH_32:
        return (first & 0x3F) << 8 | data[position + 1], position + 2
    if first == _LENGTH_32:
        length: int = _UINT32.unpack_from(data, position + 1)[0]
        return length, position + 5
    if first == _LENGTH_64:
        length = _UINT64.unpack_from(data, position + 1)[0]
        return length, position + 9
    raise CorruptRdbError(position, f"no length begins with byte 0x{first:02x}")
