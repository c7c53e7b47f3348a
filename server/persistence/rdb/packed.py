"""Lists that Redis packs into one string: listpack, ziplist, intset and zipmap.

Decoding of all four, which files of Redis 2.4 to 7.2 hold; what a listpack is made of, and how it
is written, is in `server.listpack`. Elements are bytes; where the encoding holds an integer its
decimal digits are given, since to a client there is no difference. References: `listpack.c`,
`ziplist.c`, `intset.c`, `zipmap.c`.

Only `CorruptRdbError` comes out of a reader, whatever goes in. Its position counts from the start
of the packed string.
"""

from __future__ import annotations

from itertools import pairwise
from struct import Struct
from struct import error as StructError
from typing import Final

from ... import listpack
from ...listpack import ListpackError
from .errors import CorruptRdbError

_ZIPLIST_HEAD: Final = Struct("<IIH")
_INTSET_HEAD: Final = Struct("<II")
_UINT32: Final = Struct("<I")
_BIG_UINT32: Final = Struct(">I")
_END: Final = 0xFF
#: From this number on a length takes the four bytes behind it, in ziplists and zipmaps.
_LARGE: Final = 254
_ZIPLIST_INTEGERS: Final = {0xC0: 2, 0xD0: 4, 0xE0: 8, 0xF0: 3, 0xFE: 1}


def read_listpack(data: bytes) -> list[bytes]:
    """Return the elements of a listpack."""
    try:
        size_bytes, count = listpack.HEAD.unpack_from(data)
        _check_size(data, size_bytes)
        elements: list[bytes] = []
        position = listpack.HEAD.size
        while data[position] != _END:
            element, end = listpack.read_entry(data, position)
            elements.append(element)
            position = end + listpack.back_length_size(end - position)
    except ListpackError as exc:
        raise CorruptRdbError(exc.position, exc.reason) from exc
    except (IndexError, StructError) as exc:
        raise CorruptRdbError(len(data), "a listpack ends within an element") from exc
    _check_end(data, position)
    _check_count(count, len(elements))
    return elements


def read_ziplist(data: bytes) -> list[bytes]:
    """Return the elements of a ziplist."""
    try:
        size_bytes, last, count = _ZIPLIST_HEAD.unpack_from(data)
        _check_size(data, size_bytes)
        elements: list[bytes] = []
        position = _ZIPLIST_HEAD.size
        start, previous_size = position, 0
        while data[position] != _END:
            start = position
            position, back_size = _read_size(data, start)
            if back_size != previous_size:
                raise CorruptRdbError(start, f"the element before it has not {back_size} bytes")
            element, position = _read_ziplist_entry(data, position)
            elements.append(element)
            previous_size = position - start
    except (IndexError, StructError) as exc:
        raise CorruptRdbError(len(data), "a ziplist ends within an element") from exc
    if last != start:
        raise CorruptRdbError(0, f"the last element of a ziplist is not at {last}")
    _check_end(data, position)
    _check_count(count, len(elements))
    return elements


def _read_ziplist_entry(data: bytes, position: int) -> tuple[bytes, int]:
    """Return the element whose encoding begins at `position`, and the position after it."""
    head = data[position]
    if head < 0x40:
        return _slice(data, position + 1, head)
    if head < 0x80:
        return _slice(data, position + 2, (head & 0x3F) << 8 | data[position + 1])
    if head < 0xC0:
        (size,) = _BIG_UINT32.unpack_from(data, position + 1)
        return _slice(data, position + 5, size)
    size = _ZIPLIST_INTEGERS.get(head, 0)
    if size:
        return _integer(data, position + 1, size)
    if 0xF1 <= head <= 0xFD:
        return b"%d" % ((head & 0x0F) - 1), position + 1
    raise CorruptRdbError(position, f"no element of a ziplist begins with 0x{head:02x}")


def read_intset(data: bytes) -> list[int]:
    """Return the integers of an intset, which are in ascending order."""
    try:
        width, count = _INTSET_HEAD.unpack_from(data)
    except StructError as exc:
        raise CorruptRdbError(len(data), "an intset ends within its head") from exc
    if width not in (2, 4, 8) or len(data) != _INTSET_HEAD.size + width * count:
        raise CorruptRdbError(0, "an intset's size is not what its head says")
    numbers = [
        int.from_bytes(data[start : start + width], "little", signed=True)
        for start in range(_INTSET_HEAD.size, len(data), width)
    ]
    if any(low >= high for low, high in pairwise(numbers)):
        raise CorruptRdbError(0, "an intset is not in order")
    return numbers


def read_zipmap(data: bytes) -> list[bytes]:
    """Return the fields and values of a zipmap in turn (Redis before 2.6)."""
    elements: list[bytes] = []
    position = 1  # after the count, which is kept for small maps only
    try:
        while data[position] != _END:
            field, position = _slice(data, *_read_size(data, position))
            start, size = _read_size(data, position)
            unused_size = data[start]
            value, position = _slice(data, start + 1, size)
            position += unused_size
            elements += (field, value)
    except (IndexError, StructError) as exc:
        raise CorruptRdbError(len(data), "a zipmap ends within an element") from exc
    _check_end(data, position)
    return elements


def _read_size(data: bytes, position: int) -> tuple[int, int]:
    """Return where what follows a size begins, and the size."""
    size = data[position]
    if size < _LARGE:
        return position + 1, size
    (size,) = _UINT32.unpack_from(data, position + 1)
    return position + 5, size


def _slice(data: bytes, start: int, size: int) -> tuple[bytes, int]:
    end = start + size
    if end >= len(data):  # at least the end mark must follow
        raise CorruptRdbError(start, "an element is longer than what holds it")
    return data[start:end], end


def _integer(data: bytes, start: int, size: int) -> tuple[bytes, int]:
    packed, end = _slice(data, start, size)
    return b"%d" % int.from_bytes(packed, "little", signed=True), end


def _check_size(data: bytes, size_bytes: int) -> None:
    if size_bytes != len(data):
        raise CorruptRdbError(0, f"a packed list of {len(data)} bytes says it has {size_bytes}")


def _check_end(data: bytes, position: int) -> None:
    if position != len(data) - 1:
        raise CorruptRdbError(position, "bytes follow the end of a packed list")


def _check_count(claimed: int, count: int) -> None:
    if claimed not in (count, listpack.UNCOUNTED):
        raise CorruptRdbError(0, f"a packed list of {count} elements says it has {claimed}")
