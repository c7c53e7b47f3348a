"""Parts of strings: lengths, substrings, appending and overwriting (Redis 7.0 `t_string.c`)."""

from __future__ import annotations

from vedette.cmdspec import Flag, Keys, command
from vedette.errors import CommandError
from vedette.resp.replies import Reply

from ..engine import ServerContext
from ..engine.keyspace_events import KeyspaceEvents
from .arguments import INT64_MAX, parse_integer


def _check_size(ctx: ServerContext, size: int, addition: int) -> None:
    """Refuse a string beyond `proto-max-bulk-len`; what our master did is never refused."""
    total = size + addition
    if (total > ctx.settings.max_bulk_bytes or total > INT64_MAX) and not ctx.session.is_deaf:
        raise CommandError(b"ERR string exceeds maximum allowed size (proto-max-bulk-len)")


def overwritten(value: bytes, offset: int, part: bytes) -> bytes:
    """Return `value` with `part` at `offset`, and zero bytes where it does not reach that far.

    Copied once only: of a large string each further copy takes many times as long, for the system
    has to find memory for it first.
    """
    if offset > len(value):
        value = value.ljust(offset, b"\0")
    rest = memoryview(value)
    return b"".join((rest[:offset], part, rest[offset + len(part) :]))


@command(
    "STRLEN",
    arity=2,
    flags=Flag.READONLY | Flag.FAST,
    keys=Keys(1, 1, 1, ("RO",)),
    group="string",
    since="2.2.0",
    summary="Returns the size of the string at a key in bytes.",
)
def strlen(ctx: ServerContext, argv: list[bytes]) -> Reply:
    return len(ctx.string_or_none(ctx.read(argv[1])) or b"")


@command(
    "APPEND",
    arity=3,
    flags=Flag.WRITE | Flag.DENYOOM | Flag.FAST,
    keys=Keys(1, 1, 1, ("RW", "INSERT")),
    group="string",
    since="2.0.0",
    summary="Appends to the string at a key, which is made if it is not there.",
)
def append(ctx: ServerContext, argv: list[bytes]) -> Reply:
    key, addition = argv[1], argv[2]
    value = ctx.string_or_none(ctx.peek(key))
    if value is None:
        result = addition
        ctx.db.set(key, result)
    else:
        _check_size(ctx, len(value), len(addition))
        result = value + addition
        ctx.replace_raw(key, result)
    ctx.notify(KeyspaceEvents.STRING, b"append", key)
    ctx.changes = 1
    return len(result)


@command(
    "GETRANGE",
    arity=4,
    flags=Flag.READONLY,
    keys=Keys(1, 1, 1, ("RO", "ACCESS")),
    group="string",
    since="2.4.0",
    summary="Returns the part of a string between two positions, both included.",
)
@command(
    "SUBSTR",
    arity=4,
    flags=Flag.READONLY,
    keys=Keys(1, 1, 1, ("RO", "ACCESS")),
    group="string",
    since="1.0.0",
    deprecated_since="2.0.0",
    replaced_by="`GETRANGE`",
    summary="The older name of GETRANGE.",
)
def getrange(ctx: ServerContext, argv: list[bytes]) -> Reply:
    start, end = parse_integer(argv[2]), parse_integer(argv[3])
    value = ctx.string_or_none(ctx.read(argv[1])) or b""
    if start < 0 and end < 0 and start > end:
        return b""
    size = len(value)
    first = max(start + size, 0) if start < 0 else start
    last = max(end + size, 0) if end < 0 else end
    return value[first : last + 1]


@command(
    "SETRANGE",
    arity=4,
    flags=Flag.WRITE | Flag.DENYOOM,
    keys=Keys(1, 1, 1, ("RW", "UPDATE")),
    group="string",
    since="2.2.0",
    summary="Overwrites part of a string, filling any gap before it with zero bytes.",
)
def setrange(ctx: ServerContext, argv: list[bytes]) -> Reply:
    key, part = argv[1], argv[3]
    offset = parse_integer(argv[2])
    if offset < 0:
        raise CommandError(b"ERR offset is out of range")
    value = ctx.string_or_none(ctx.peek(key)) or b""
    if not part:
        return len(value)
    _check_size(ctx, offset, len(part))
    result = overwritten(value, offset, part)
    ctx.replace_raw(key, result)
    ctx.notify(KeyspaceEvents.STRING, b"setrange", key)
    ctx.changes = 1
    return len(result)
