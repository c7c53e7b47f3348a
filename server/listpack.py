"""The elements of a listpack: how Redis packs strings and integers behind one another.

Streams keep their entries in this form, and the RDB codec reads and writes it. An element begins
with a byte that says what it is, and ends with its own length, spelt so that it can be read from
behind. Reference: `listpack.c`.

`read_entry` and `next_entry` take whatever comes; `read_text` and `read_integer` are for elements
that were written here, or have been walked over by `next_entry`.
"""

from __future__ import annotations

from collections.abc import Sequence
from struct import Struct
from typing import Final

#: The listpack's size in bytes, and how many elements it has.
HEAD: Final = Struct("<IH")
END: Final = 0xFF
#: What the head says when there are more elements than it can count.
UNCOUNTED: Final = 0xFFFF

_UINT32: Final = Struct("<I")
#: The sizes of an entry up to which its backward length takes one byte more each.
_BACK_LENGTH_LIMITS: Final = (127, 16383, 2097151, 268435455)
_INTEGERS: Final = {0xF1: 2, 0xF2: 3, 0xF3: 4, 0xF4: 8}
#: No decimal integer of 64 bits takes more bytes.
_INTEGER_SIZE_LIMIT: Final = 20
#: Strings below this size have one byte before them, and one behind.
_SHORT_SIZE_LIMIT: Final = 64
_SHORT_HEADS: Final = tuple(bytes((0x80 | size,)) for size in range(_SHORT_SIZE_LIMIT))
_SHORT_TAILS: Final = tuple(bytes((size + 1,)) for size in range(_SHORT_SIZE_LIMIT))
#: What integers of seven bits are packed as, and their digits.
SMALL_INTEGERS: Final = tuple(bytes((number, 1)) for number in range(1 << 7))
_SMALL_TEXTS: Final = tuple(b"%d" % number for number in range(1 << 7))


def _size_by_head(head: int) -> int:
    if head < 0x80:
        return 2
    if head < 0xC0:
        return (head & 0x3F) + 2
    if head < 0xE0:
        return 3
    return _INTEGERS[head] + 2 if head in _INTEGERS else 0


#: How much an element takes by its first byte; 0: that byte does not say.
_SIZES: Final = tuple(_size_by_head(head) for head in range(256))


class ListpackError(ValueError):
    """What stands at `position` is no element."""

    def __init__(self, position: int, reason: str) -> None:
        super().__init__(reason)
        self.position = position
        self.reason = reason


# --- reading -------------------------------------------------------------------------------------


def read_entry(data: bytes, position: int) -> tuple[bytes, int]:
    """Return the element at `position`, an integer as its digits, and where its length begins.

    Raises:
        ListpackError: there is no element.
        IndexError: the data ends before the element does.
        struct.error: likewise.
    """
    head = data[position]
    if head < 0x80:
        return _SMALL_TEXTS[head], position + 1
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
    packed, end = _slice(data, position + 1, _integer_size(head, position))
    return b"%d" % int.from_bytes(packed, "little", signed=True), end


def next_entry(data: bytes, position: int) -> int:
    """Return where the element behind the one at `position` begins.

    Raises: what `read_entry` raises.
    """
    size = _SIZES[data[position]]
    if size:
        return position + size
    _, end = read_entry(data, position)
    return end + back_length_size(end - position)


def check_back_lengths(data: bytes) -> None:
    """Check that each element of the listpack `data` ends with its own length.

    Nothing here reads from behind, but a Redis that is given the elements as they are does, and
    ends where it is misled.

    Raises:
        ListpackError: one does not.
        IndexError, struct.error: what `read_entry` raises.
    """
    position = HEAD.size
    while (head := data[position]) != END:
        size = _SIZES[head]
        if size:
            position += size
            is_right = data[position - 1] == size - 1
        else:
            _, end = read_entry(data, position)
            back_length = _back_length(end - position)
            position = end + len(back_length)
            is_right = data[end:position] == back_length
        if not is_right:
            raise ListpackError(position, "an element of a listpack ends with another length")


def read_text(data: bytes, position: int) -> tuple[bytes, int]:
    """Return the element at `position`, an integer as its digits, and where the next begins."""
    head = data[position]
    if head < 0x80:
        return _SMALL_TEXTS[head], position + 2
    if head < 0xC0:
        start = position + 1
        end = start + (head & 0x3F)
        return data[start:end], end + 1
    text, end = read_entry(data, position)
    return text, end + back_length_size(end - position)


def read_integer(data: bytes, position: int) -> tuple[int, int]:
    """Return the integer at `position`, and where the next element begins.

    Raises:
        ListpackError: a string stands there.
    """
    head = data[position]
    if head < 0x80:
        return head, position + 2
    if 0xC0 <= head < 0xE0:
        number = (head & 0x1F) << 8 | data[position + 1]
        return number - (1 << 13) if number >= 1 << 12 else number, position + 3
    start = position + 1
    end = start + _integer_size(head, position)
    return int.from_bytes(data[start:end], "little", signed=True), end + 1


def _integer_size(head: int, position: int) -> int:
    size = _INTEGERS.get(head)
    if size is None:
        raise ListpackError(position, f"no such element of a listpack begins with 0x{head:02x}")
    return size


def _slice(data: bytes, start: int, size: int) -> tuple[bytes, int]:
    end = start + size
    if end >= len(data):  # at least the end mark must follow
        raise ListpackError(start, "an element is longer than what holds it")
    return data[start:end], end


# --- writing -------------------------------------------------------------------------------------


def text_entry(text: bytes) -> bytes:
    """Return `text` as an element: as Redis has it, an integer where it spells one."""
    size = len(text)
    # Below 0x3A are the digits and the minus sign: a cheap look before a dear one.
    if 0 < size <= _INTEGER_SIZE_LIMIT and text[0] < 0x3A:
        try:
            number = int(text)
        except ValueError:
            pass  # no integer: a string like others
        else:
            if b"%d" % number == text and -(1 << 63) <= number < 1 << 63:
                return integer_entry(number)
    if size < _SHORT_SIZE_LIMIT:
        return _SHORT_HEADS[size] + text + _SHORT_TAILS[size]
    return string_entry(text)


def integer_entry(number: int) -> bytes:
    """Return `number`, of 64 bits with a sign, as an element."""
    if 0 <= number < 1 << 7:
        return SMALL_INTEGERS[number]
    if -(1 << 12) <= number < 1 << 12:
        packed = number & 0x1FFF
        return bytes((0xC0 | packed >> 8, packed & 0xFF, 2))
    for head, size in _INTEGERS.items():
        if -(1 << size * 8 - 1) <= number < 1 << size * 8 - 1:
            return b"%c%b%c" % (head, number.to_bytes(size, "little", signed=True), size + 1)
    raise ValueError(f"{number} takes more than 64 bits")


def string_entry(text: bytes) -> bytes:
    """Return `text` as an element that is a string, whatever it spells."""
    size = len(text)
    if size < 1 << 6:
        head = _SHORT_HEADS[size]
    elif size < 1 << 12:
        head = bytes((0xE0 | size >> 8, size & 0xFF))
    else:
        head = b"\xf0" + _UINT32.pack(size)
    return b"%b%b%b" % (head, text, _back_length(len(head) + size))


def listpack_of(entries: Sequence[bytes], count: int | None = None) -> bytes:
    """Return the listpack of elements, or of `count` elements that come joined already."""
    body = b"".join(entries)
    counted = min(len(entries) if count is None else count, UNCOUNTED)
    return b"%b%b\xff" % (HEAD.pack(HEAD.size + len(body) + 1, counted), body)


def back_length_size(entry_size: int) -> int:
    """Return how many bytes the length takes that stands behind an entry of `entry_size` bytes."""
    return 1 + sum(entry_size > limit for limit in _BACK_LENGTH_LIMITS)


def _back_length(entry_size: int) -> bytes:
    """Return the length of an entry as it is read from the back: seven bits a byte."""
    count = back_length_size(entry_size)
    groups = [entry_size >> 7 * index & 0x7F for index in reversed(range(count))]
    return bytes([groups[0], *(group | 0x80 for group in groups[1:])])
