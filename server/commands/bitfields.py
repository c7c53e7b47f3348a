"""BITFIELD: integers of any width at any bit of a string.

Follows Redis 7.0 `bitops.c: bitfieldGeneric`: the operations are read as a whole first, then the
string is made as long as the farthest write needs, then they run in order.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from vedette.cmdspec import Flag, Keys, command
from vedette.errors import CommandError
from vedette.resp.replies import Reply

from ..engine import ServerContext
from ..engine.keyspace_events import KeyspaceEvents
from .arguments import parse_integer, syntax_error
from .bitmaps import parse_bit_offset

_BAD_TYPE: Final = (
    b"ERR Invalid bitfield type. Use something like i16 u8. Note that u64 is not supported but i64"
    b" is."
)
_BAD_OVERFLOW: Final = b"ERR Invalid OVERFLOW type specified"
_GET_ONLY: Final = b"ERR BITFIELD_RO only supports the GET subcommand"
_ARGUMENT_COUNTS: Final = {b"GET": 2, b"SET": 3, b"INCRBY": 3, b"OVERFLOW": 1}


class Field(NamedTuple):
    """An integer of `width` bits whose highest is the bit at `offset`."""

    is_signed: bool
    width: int
    offset: int

    @property
    def low(self) -> int:
        """The least number it can hold."""
        return -(1 << self.width - 1) if self.is_signed else 0

    @property
    def high(self) -> int:
        """The greatest number it can hold."""
        return (1 << self.width - int(self.is_signed)) - 1

    def read(self, data: bytes | bytearray) -> int:
        """Return its number; bits beyond the end are clear."""
        first, end = self.offset >> 3, (self.offset + self.width + 7) >> 3
        window = bytes(data[first:end]).ljust(end - first, b"\0")
        bits = int.from_bytes(window, "big") >> end * 8 - self.offset - self.width
        return self.wrapped(bits)

    def write(self, data: bytearray, number: int) -> None:
        """Store a number that it can hold; `data` is long enough."""
        first, end = self.offset >> 3, (self.offset + self.width + 7) >> 3
        shift = end * 8 - self.offset - self.width
        mask = (1 << self.width) - 1
        window = int.from_bytes(data[first:end], "big") & ~(mask << shift)
        data[first:end] = (window | (number & mask) << shift).to_bytes(end - first, "big")

    def wrapped(self, number: int) -> int:
        """Return `number` modulo the width, as the field's sign has it."""
        number &= (1 << self.width) - 1
        return number - (1 << self.width) if number > self.high else number

    def fitted(self, number: int, overflow: bytes) -> int | None:
        """Return what is stored for `number`: it, or by `overflow` another, or None."""
        if self.low <= number <= self.high:
            return number
        if overflow == b"FAIL":
            return None
        if overflow == b"WRAP":
            return self.wrapped(number)
        return self.high if number > self.high else self.low


class _Operation(NamedTuple):
    name: bytes
    field: Field
    operand: int
    overflow: bytes


def _access(argv: list[bytes]) -> tuple[str, ...]:
    """Return what a BITFIELD does to its key: one that only gets, or does nothing, reads it."""
    index = 2
    while index < len(argv):
        left = len(argv) - index - 1
        match argv[index].upper():
            case b"GET" if left >= 2:
                index += 3
            case b"OVERFLOW" if left >= 1:
                index += 2
            case _:  # a change, or what makes no sense
                return ("RW", "ACCESS", "UPDATE")
    return ("RO", "ACCESS")


@command(
    "BITFIELD",
    arity=-2,
    flags=Flag.WRITE | Flag.DENYOOM,
    keys=Keys(
        1,
        1,
        1,
        ("RW", "ACCESS", "UPDATE", "VARIABLE_FLAGS"),
        notes="This command allows both access and modification of the key",
        narrow=_access,
    ),
    group="bitmap",
    since="3.2.0",
    summary="Reads, sets and increments integers of any width at any bit of a string.",
)
def bitfield(ctx: ServerContext, argv: list[bytes]) -> Reply:
    operations = _parse_operations(ctx, argv)
    writes = [operation for operation in operations if operation.name != b"GET"]
    if not writes:
        return _read_all(ctx, argv[1], operations)
    key = argv[1]
    old = ctx.string_or_none(ctx.peek(key))
    end = max((write.field.offset + write.field.width + 7) >> 3 for write in writes)
    data = bytearray((old or b"").ljust(end, b"\0"))
    has_grown = old is None or len(data) != len(old)
    replies: list[Reply] = []
    for operation in operations:
        field = operation.field
        present = field.read(data)
        if operation.name == b"GET":
            replies.append(present)
            continue
        is_increment = operation.name == b"INCRBY"
        wanted = present + operation.operand if is_increment else _as_given(operation)
        number = field.fitted(wanted, operation.overflow)
        replies.append(None if number is None else number if is_increment else present)
        if number is not None:
            field.write(data, number)
            ctx.changes += has_grown or number != present
    if ctx.changes:
        ctx.replace_raw(key, bytes(data))
        ctx.notify(KeyspaceEvents.STRING, b"setbit", key)
    elif has_grown:
        ctx.replace_raw(key, bytes(data))  # as Redis: every write failed, yet the string is longer
    return replies


@command(
    "BITFIELD_RO",
    arity=-2,
    flags=Flag.READONLY | Flag.FAST,
    keys=Keys(1, 1, 1, ("RO", "ACCESS")),
    group="bitmap",
    since="6.0.0",
    summary="Reads integers of any width at any bit of a string.",
)
def bitfield_ro(ctx: ServerContext, argv: list[bytes]) -> Reply:
    operations = _parse_operations(ctx, argv)
    if any(operation.name != b"GET" for operation in operations):
        raise CommandError(_GET_ONLY)
    return _read_all(ctx, argv[1], operations)


def _read_all(ctx: ServerContext, key: bytes, operations: list[_Operation]) -> Reply:
    data = ctx.string_or_none(ctx.read(key)) or b""
    return [operation.field.read(data) for operation in operations]


def _as_given(operation: _Operation) -> int:
    """Return the operand of SET; to an unsigned field a negative one is a number of 64 bits."""
    return operation.operand if operation.field.is_signed else operation.operand % (1 << 64)


def _parse_operations(ctx: ServerContext, argv: list[bytes]) -> list[_Operation]:
    operations = []
    overflow = b"WRAP"
    index = 2
    while index < len(argv):
        name = argv[index].upper()
        count = _ARGUMENT_COUNTS.get(name)
        if count is None or index + count >= len(argv):
            raise syntax_error()
        words = argv[index + 1 : index + 1 + count]
        index += 1 + count
        if name == b"OVERFLOW":
            overflow = words[0].upper()
            if overflow not in (b"WRAP", b"SAT", b"FAIL"):
                raise CommandError(_BAD_OVERFLOW)
            continue
        field = _parse_field(ctx, words[0], words[1])
        operand = 0 if name == b"GET" else parse_integer(words[2])
        operations.append(_Operation(name, field, operand, overflow))
    return operations


def _parse_field(ctx: ServerContext, type_: bytes, offset: bytes) -> Field:
    is_signed = type_[:1] == b"i"
    if not is_signed and type_[:1] != b"u":
        raise CommandError(_BAD_TYPE)
    width = parse_integer(type_[1:], _BAD_TYPE)
    if not 1 <= width <= 63 + int(is_signed):
        raise CommandError(_BAD_TYPE)
    if offset.startswith(b"#"):
        return Field(is_signed, width, parse_bit_offset(ctx, offset[1:], width))
    return Field(is_signed, width, parse_bit_offset(ctx, offset))
