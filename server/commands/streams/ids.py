"""IDs of stream entries as clients spell them (Redis 7.0 `t_stream.c: streamGenericParseID*`)."""

from __future__ import annotations

import re
from typing import Final

from vedette.errors import CommandError

from ...store.integers import is_canonical_integer
from ...store.stream_ids import MAX_ID, UINT64_MAX, StreamId, make_id

_INVALID: Final = b"ERR Invalid stream ID specified as stream command argument"
_SIZE_LIMIT: Final = 127
#: No number of so few digits has more than 64 bits.
_SAFE_DIGITS: Final = 19
#: What C's `strtoull` reads to the end.
_NUMBER: Final = re.compile(rb"[ \t\n\v\f\r]*([+-]?)([0-9]+)")


def parse_id(text: bytes, missing_sequence: int = 0) -> StreamId:
    """Return the ID that `text` spells; `-` and `+` are the smallest and the largest.

    `missing_sequence` is the sequence number where `text` has but a time.

    Raises:
        CommandError: it spells none.
    """
    match text:
        case b"-":
            return 0
        case b"+":
            return MAX_ID
    return parse_strict_id(text, missing_sequence)


def parse_strict_id(text: bytes, missing_sequence: int = 0) -> StreamId:
    """Return the ID that `text` spells in numbers.

    Raises:
        CommandError: it spells none.
    """
    time_text, dash, sequence_text = _checked(text).partition(b"-")
    time_ms = _parse_part(time_text)
    return make_id(time_ms, _parse_part(sequence_text) if dash else missing_sequence)


def parse_id_to_add(text: bytes) -> tuple[StreamId, bool]:
    """Return the ID for a new entry, and whether `text` gives its sequence number (not `ms-*`).

    Raises:
        CommandError: it spells none.
    """
    if text.endswith(b"-*"):
        return make_id(_parse_part(_checked(text)[:-2]), 0), False
    return parse_strict_id(text), True


def parse_range_start(text: bytes) -> StreamId:
    """Return the first ID of the range that begins at `text`, or behind it after a `(`.

    Raises:
        CommandError: it spells no ID, or there is none behind it.
    """
    if len(text) > 1 and text.startswith(b"("):
        start = parse_strict_id(text[1:]) + 1
        if start > MAX_ID:
            raise CommandError(b"ERR invalid start ID for the interval")
        return start
    return parse_id(text)


def parse_range_end(text: bytes) -> StreamId:
    """Return the last ID of the range that ends at `text`, or before it after a `(`.

    Raises:
        CommandError: it spells no ID, or there is none before it.
    """
    if len(text) > 1 and text.startswith(b"("):
        end = parse_strict_id(text[1:], UINT64_MAX) - 1
        if end < 0:
            raise CommandError(b"ERR invalid end ID for the interval")
        return end
    return parse_id(text, UINT64_MAX)


def _checked(text: bytes) -> bytes:
    """Return what C reads of `text`, which must not be too long."""
    if len(text) > _SIZE_LIMIT:
        raise CommandError(_INVALID)
    return text.partition(b"\0")[0] if b"\0" in text else text


def _parse_part(part: bytes) -> int:
    """Return the 64-bit number that a part of an ID spells, as `util.c: string2ull` does.

    What is no plain number is read as C does it: spaces and a plus before it are allowed, and a
    minus before a number that is not in its shortest form makes it wrap around.
    """
    if len(part) <= _SAFE_DIGITS and part.isdigit():
        return int(part)
    found = _NUMBER.fullmatch(part)
    if found is None:
        raise CommandError(_INVALID)
    sign, digits = found.groups()
    number = int(digits)
    if number > UINT64_MAX or (sign == b"-" and is_canonical_integer(part)):
        raise CommandError(_INVALID)
    return -number & UINT64_MAX if sign == b"-" else number
