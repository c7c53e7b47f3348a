"""Strings as arrays of bits: single bits, counts, searches and bitwise operations.

Bit 0 is the highest of the first byte. Follows Redis 7.0 `bitops.c`; whole strings are worked on
as one large integer, so that no byte is touched by the interpreter.
"""

from __future__ import annotations

from typing import Final

from vedette.cmdspec import Flag, Keys, KeySpec, command
from vedette.errors import CommandError
from vedette.resp.replies import Reply

from ..engine import ServerContext
from ..engine.keyspace_events import KeyspaceEvents
from .arguments import parse_integer, syntax_error
from .storing import store_result
from .string_ranges import overwritten

BAD_BIT_OFFSET: Final = b"ERR bit offset is not an integer or out of range"
_BAD_BIT: Final = b"ERR bit is not an integer or out of range"
_BIT_NOT_BINARY: Final = b"ERR The bit argument must be 1 or 0."
_FIRST_PIECE_BITS: Final = 1024
_NOT_OF_SEVERAL: Final = b"ERR BITOP NOT must be called with a single source key."


def parse_bit_offset(ctx: ServerContext, text: bytes, unit_bits: int = 1) -> int:
    """Return the offset in bits that `text` spells, in units of `unit_bits`.

    Raises:
        CommandError: it is none, or lies beyond the largest string.
    """
    offset = parse_integer(text, BAD_BIT_OFFSET) * unit_bits
    is_too_far = offset >> 3 >= ctx.settings.max_bulk_bytes and not ctx.session.is_deaf
    if offset < 0 or is_too_far:
        raise CommandError(BAD_BIT_OFFSET)
    return offset


@command(
    "SETBIT",
    arity=4,
    flags=Flag.WRITE | Flag.DENYOOM,
    keys=Keys(1, 1, 1, ("RW", "ACCESS", "UPDATE")),
    group="bitmap",
    since="2.2.0",
    summary="Sets one bit of a string and returns what it was.",
)
def setbit(ctx: ServerContext, argv: list[bytes]) -> Reply:
    offset = parse_bit_offset(ctx, argv[2])
    if parse_integer(argv[3], _BAD_BIT) not in (0, 1):
        raise CommandError(_BAD_BIT)
    key, is_on = argv[1], argv[3] == b"1"
    old = ctx.string_or_none(ctx.peek(key))
    index, mask = offset >> 3, 0x80 >> (offset & 7)
    if old is not None and index < len(old):
        byte = old[index]
        was_on = bool(byte & mask)
        if was_on is is_on:
            ctx.keyspace.raw_strings.note(old)
            return int(was_on)
        result = overwritten(old, index, bytes((byte ^ mask,)))
    else:
        was_on = False
        result = overwritten(old or b"", index, bytes((mask if is_on else 0,)))
    ctx.replace_raw(key, result)
    ctx.changes = 1
    ctx.notify(KeyspaceEvents.STRING, b"setbit", key)
    return int(was_on)


@command(
    "GETBIT",
    arity=3,
    flags=Flag.READONLY | Flag.FAST,
    keys=Keys(1, 1, 1, ("RO", "ACCESS")),
    group="bitmap",
    since="2.2.0",
    summary="Returns one bit of a string.",
)
def getbit(ctx: ServerContext, argv: list[bytes]) -> Reply:
    offset = parse_bit_offset(ctx, argv[2])
    value = ctx.string_or_none(ctx.read(argv[1])) or b""
    index = offset >> 3
    return value[index] >> (7 - (offset & 7)) & 1 if index < len(value) else 0


@command(
    "BITCOUNT",
    arity=-2,
    flags=Flag.READONLY,
    keys=Keys(1, 1, 1, ("RO", "ACCESS")),
    group="bitmap",
    since="2.6.0",
    summary="Counts the bits that are set in a string, or in a part of it.",
)
def bitcount(ctx: ServerContext, argv: list[bytes]) -> Reply:
    value = ctx.string_or_none(ctx.read(argv[1]))
    if value is None:
        return 0
    if len(argv) == 2:
        return int.from_bytes(value, "big").bit_count()
    if not 4 <= len(argv) <= 5:
        raise syntax_error()
    start, end = parse_integer(argv[2]), parse_integer(argv[3])
    if start < 0 and end < 0 and start > end:
        return 0
    first, last = _bit_range(start, end, len(value), counts_bits=_counts_bits(argv, 4))
    return _bits_between(value, first, last).bit_count() if first <= last else 0


@command(
    "BITPOS",
    arity=-3,
    flags=Flag.READONLY,
    keys=Keys(1, 1, 1, ("RO", "ACCESS")),
    group="bitmap",
    since="2.8.7",
    summary="Finds the first bit of a string, or of a part of it, that is set or clear.",
)
def bitpos(ctx: ServerContext, argv: list[bytes]) -> Reply:
    bit = parse_integer(argv[2])
    if bit not in (0, 1):
        raise CommandError(_BIT_NOT_BINARY)
    value = ctx.string_or_none(ctx.read(argv[1]))
    if value is None:
        return -1 if bit else 0
    if len(argv) > 6:
        raise syntax_error()
    start = parse_integer(argv[3]) if len(argv) > 3 else 0
    counts_bits = _counts_bits(argv, 5)
    has_end = len(argv) > 4
    end = parse_integer(argv[4]) if has_end else len(value) * 8
    first, last = _bit_range(start, end, len(value), counts_bits=counts_bits)
    if first > last:
        return -1
    found = _first_bit(value, first, last, bit)
    if found is not None:
        return found
    # Beyond a string that is all ones, without an end given, there are zeroes.
    return -1 if bit or has_end else last + 1


def _first_bit(value: bytes, first: int, last: int, bit: int) -> int | None:
    """Return the place of the first bit from `first` to `last` that is `bit`; None: there is none.

    Looked at in ever larger pieces, so that one near the beginning is found at once.
    """
    size = _FIRST_PIECE_BITS
    while first <= last:
        end = min(first + size, last + 1)
        sought = _bits_between(value, first, end - 1)
        if not bit:
            sought ^= (1 << end - first) - 1
        if sought:
            return end - sought.bit_length()
        first, size = end, size * 8
    return None


def _counts_bits(argv: list[bytes], index: int) -> bool:
    """Return whether the argument at `index`, if there is one, says BIT instead of BYTE."""
    if len(argv) <= index:
        return False
    unit = argv[index].upper()
    if unit not in (b"BIT", b"BYTE"):
        raise syntax_error()
    return unit == b"BIT"


def _bit_range(start: int, end: int, size_bytes: int, *, counts_bits: bool) -> tuple[int, int]:
    """Return the first and the last bit of a range; the first is behind the last if it is empty."""
    total = size_bytes * 8 if counts_bits else size_bytes
    first = max(start + total, 0) if start < 0 else start
    last = min(max(end + total, 0) if end < 0 else end, total - 1)
    return (first, last) if counts_bits else (first * 8, last * 8 + 7)


def _bits_between(value: bytes, first: int, last: int) -> int:
    """Return the bits from `first` to `last`, both included, as a number."""
    part = int.from_bytes(value[first >> 3 : (last >> 3) + 1], "big") >> (7 - (last & 7))
    return part & ((1 << (last - first + 1)) - 1)


@command(
    "BITOP",
    arity=-4,
    flags=Flag.WRITE | Flag.DENYOOM,
    keys=Keys(
        2,
        -1,
        1,
        groups=(KeySpec(2, ("OW", "UPDATE")), KeySpec(3, ("RO", "ACCESS"), last=-1)),
    ),
    group="bitmap",
    since="2.6.0",
    summary="Stores a bitwise operation over strings: AND, OR, XOR or NOT.",
)
def bitop(ctx: ServerContext, argv: list[bytes]) -> Reply:
    operation, target = argv[1].upper(), argv[2]
    if operation not in (b"AND", b"OR", b"XOR", b"NOT"):
        raise syntax_error()
    if operation == b"NOT" and len(argv) != 4:
        raise CommandError(_NOT_OF_SEVERAL)
    sources = [ctx.string_or_none(ctx.read(key)) or b"" for key in argv[3:]]
    size = max(map(len, sources))
    if not size:
        store_result(ctx, target, None, KeyspaceEvents.STRING, b"set")
        return 0
    first, *rest = (int.from_bytes(source.ljust(size, b"\0"), "big") for source in sources)
    result = first
    for number in rest:
        if operation == b"AND":
            result &= number
        elif operation == b"OR":
            result |= number
        else:
            result ^= number
    if operation == b"NOT":
        result ^= (1 << size * 8) - 1
    combined = result.to_bytes(size, "big")
    store_result(ctx, target, combined, KeyspaceEvents.STRING, b"set")
    ctx.keyspace.raw_strings.note(combined)
    return size
