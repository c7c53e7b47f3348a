"""Lists that Redis packs into one string: listpack, ziplist, intset and zipmap.

Decoding of all four, which files of Redis 2.4 to 7.2 hold, and encoding of listpacks, which streams
are made of. Elements are bytes; where the encoding holds an integer its decimal digits are given,
since to a client there is no difference. References: `listpack.c`, `ziplist.c`, `intset.c`,
`zipmap.c`.

Only `CorruptRdbError` comes out of a reader, whatever goes in. Its position counts from the start
of the packed string.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import pairwise
from struct import Struct
from struct import error as StructError
from typing import Final

from .errors import CorruptRdbError

_LISTPACK_HEAD: Final = Struct("<IH")
_ZIPLIST_HEAD: Final = Struct("<IIH")
_INTSET_HEAD: Final = Struct("<II")
_UINT32: Final = Struct("<I")
_BIG_UINT32: Final = Struct(">I")
_END: Final = 0xFF
#: From this number on a length takes the four bytes behind it, in ziplists and zipmaps.
_LARGE: Final = 254
#: What the head says when there are more elements than it can count.
_UNCOUNTED: Final = 0xFFFF
#: The sizes of an entry up to which its backward length takes one byte more each.
_BACK_LENGTH_LIMITS: Final = (127, 16383, 2097151, 268435455)
_INTEGERS: Final = {0xF1: 2, 0xF2: 3, 0xF3: 4, 0xF4: 8}
#: No decimal integer of 64 bits takes more bytes.
_INTEGER_SIZE_LIMIT: Final = 20
#: Strings below this size have one byte before them in a listpack, and one behind.
_SHORT_SIZE_LIMIT: Final = 64
_SHORT_HEADS: Final = tuple(bytes((0x80 | size,)) for size in range(_SHORT_SIZE_LIMIT))
_SHORT_TAILS: Final = tuple(bytes((size + 1,)) for size in range(_SHORT_SIZE_LIMIT))
_ZIPLIST_INTEGERS: Final = {0xC0: 2, 0xD0: 4, 0xE0: 8, 0xF0: 3, 0xFE: 1}


def read_listpack(data: bytes) -> list[bytes]:
    """Return the elements of a listpack."""
    try:
        size_bytes, count = _LISTPACK_HEAD.unpack_from(data)
        _check_size(data, size_bytes)
        elements: list[bytes] = []
        position = _LISTPACK_HEAD.size
        while data[position] != _END:
            element, end = _read_listpack_entry(data, position)
            elements.append(element)
            position = end + _back_length_size(end - position)
    except (IndexError, StructError) as exc:
        raise CorruptRdbError(len(data), "a listpack ends within an element") from exc
    _check_end(data, position)
    _check_count(count, len(elements))
    return elements


def _read_listpack_entry(data: bytes, position: int) -> tuple[bytes, int]:
    """Return the element at `position` and where its backward length begins."""
    head = data[position]
    if head < 0x80:
        return b"%d" % head, position + 1
    if head < 0xC0:
        return _slice(data, position + 1, head & 0x3F)
    if head < 0xE0:
        number = (head & 0x1F) << 8 | data[position + 1]
        return b"%d" % (number - (1 << 13) if number >= 1 << 12 else number), position + 2
    if head < 0xF0:
        return _slice(data, position + 2, (head & 0x0F) << 8 | data[position + 1])
    if head == 0xF0:
        (size,) = _UINT32.unpack_from(data, position + 1)
        return _slice(data, position + 5, size)
    size = _INTEGERS.get(head, 0)
    if not size:
        raise CorruptRdbError(position, f"no element of a listpack begins with 0x{head:02x}")
    return _integer(data, position + 1, size)


def read_ziplist(data: bytes) -> list[bytes]:
    """Return the elements of a ziplist."""
    try:
        size_bytes, _, count = _ZIPLIST_HEAD.unpack_from(data)
        _check_size(data, size_bytes)
        elements: list[bytes] = []
        position = _ZIPLIST_HEAD.size
        while data[position] != _END:
            position += 1 if data[position] < _LARGE else 5
            element, position = _read_ziplist_entry(data, position)
            elements.append(element)
    except (IndexError, StructError) as exc:
        raise CorruptRdbError(len(data), "a ziplist ends within an element") from exc
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
            field, position = _slice(data, *_read_zipmap_length(data, position))
            start, size = _read_zipmap_length(data, position)
            unused_size = data[start]
            value, position = _slice(data, start + 1, size)
            position += unused_size
            elements += (field, value)
    except (IndexError, StructError) as exc:
        raise CorruptRdbError(len(data), "a zipmap ends within an element") from exc
    _check_end(data, position)
    return elements


def _read_zipmap_length(data: bytes, position: int) -> tuple[int, int]:
    """Return where what follows the length begins, and the length."""
    size = data[position]
    if size < _LARGE:
        return position + 1, size
    (size,) = _UINT32.unpack_from(data, position + 1)
    return position + 5, size


def encode_listpack(elements: Iterable[bytes | int]) -> bytes:
    """Return the listpack of `elements`: integers of 64 bits, and strings that stay strings."""
    return listpack_of_entries(
        [
            _with_back_length(
                _integer_entry(element) if isinstance(element, int) else _string_entry(element)
            )
            for element in elements
        ]
    )


def listpack_entry(text: bytes) -> bytes:
    """Return `text` as an entry of a listpack: as Redis has it, an integer where it spells one."""
    size = len(text)
    # Below 0x3A are the digits and the minus sign: a cheap look before a dear one.
    if 0 < size <= _INTEGER_SIZE_LIMIT and text[0] < 0x3A:
        try:
            number = int(text)
        except ValueError:
            pass  # no integer: a string like others
        else:
            if b"%d" % number == text and -(1 << 63) <= number < 1 << 63:
                return _with_back_length(_integer_entry(number))
    if size < _SHORT_SIZE_LIMIT:
        return _SHORT_HEADS[size] + text + _SHORT_TAILS[size]
    return _with_back_length(_string_entry(text))


def listpack_of_entries(entries: Sequence[bytes]) -> bytes:
    """Return the listpack of what `listpack_entry` returned."""
    body = b"".join(entries)
    head = _LISTPACK_HEAD.pack(_LISTPACK_HEAD.size + len(body) + 1, min(len(entries), _UNCOUNTED))
    return head + body + bytes((_END,))


def _with_back_length(entry: bytes) -> bytes:
    return entry + _back_length(len(entry))


def _integer_entry(number: int) -> bytes:
    if 0 <= number < 1 << 7:
        return bytes((number,))
    if -(1 << 12) <= number < 1 << 12:
        packed = number & 0x1FFF
        return bytes((0xC0 | packed >> 8, packed & 0xFF))
    for head, size in _INTEGERS.items():
        if -(1 << size * 8 - 1) <= number < 1 << size * 8 - 1:
            return bytes((head,)) + number.to_bytes(size, "little", signed=True)
    raise ValueError(f"{number} takes more than 64 bits")


def _string_entry(data: bytes) -> bytes:
    size = len(data)
    if size < 1 << 6:
        return bytes((0x80 | size,)) + data
    if size < 1 << 12:
        return bytes((0xE0 | size >> 8, size & 0xFF)) + data
    return b"\xf0" + _UINT32.pack(size) + data


def _back_length_size(entry_size: int) -> int:
    return 1 + sum(entry_size > limit for limit in _BACK_LENGTH_LIMITS)


def _back_length(entry_size: int) -> bytes:
    """Return the length of an entry as it is read from the back: seven bits a byte."""
    count = _back_length_size(entry_size)
    groups = [entry_size >> 7 * index & 0x7F for index in reversed(range(count))]
    return bytes([groups[0], *(group | 0x80 for group in groups[1:])])


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
    if claimed not in (count, _UNCOUNTED):
        raise CorruptRdbError(0, f"a packed list of {count} elements says it has {claimed}")
