"""Elements by their places and values: LLEN, LINDEX, LRANGE, LPOS, LSET, LINSERT, LTRIM, LREM."""

from __future__ import annotations

from typing import Final

from vedette.cmdspec import Flag, Keys, command
from vedette.errors import CommandError
from vedette.resp.replies import OK, Reply

from ...engine import ServerContext
from ...engine.keyspace_events import KeyspaceEvents
from ...store.lists import List
from ..arguments import (
    INT64_MAX,
    INT64_MIN,
    NO_SUCH_KEY,
    parse_integer,
    parse_integer_between,
    syntax_error,
)
from .ends import after_removal

_INDEX_OUT_OF_RANGE: Final = b"ERR index out of range"
_READ_KEY: Final = Keys(1, 1, 1, ("RO", "ACCESS"))
_TRIMMED_KEY: Final = Keys(1, 1, 1, ("RW", "DELETE"))
_INWARDS: Final = "O(N) where N is the distance to the nearer end"


@command(
    "LLEN",
    arity=2,
    flags=Flag.READONLY | Flag.FAST,
    keys=Keys(1, 1, 1, ("RO",)),
    group="list",
    since="1.0.0",
    complexity="O(1)",
    summary="Returns the length of a list.",
)
def llen(ctx: ServerContext, argv: list[bytes]) -> Reply:
    value = ctx.read_as(argv[1], List)
    return 0 if value is None else len(value.items)


@command(
    "LINDEX",
    arity=3,
    flags=Flag.READONLY,
    keys=_READ_KEY,
    group="list",
    since="1.0.0",
    complexity=_INWARDS,
    summary="Returns the element at an index, negative ones counting from the end.",
)
def lindex(ctx: ServerContext, argv: list[bytes]) -> Reply:
    value = ctx.read_as(argv[1], List)
    if value is None:
        return None
    index = parse_integer(argv[2])
    size = len(value.items)
    return value.items[index] if -size <= index < size else None


@command(
    "LRANGE",
    arity=4,
    flags=Flag.READONLY,
    keys=_READ_KEY,
    group="list",
    since="1.0.0",
    complexity="O(S+N) where S is the distance to the nearer end and N the number of elements",
    summary="Returns the elements between two indexes, both included.",
)
def lrange(ctx: ServerContext, argv: list[bytes]) -> Reply:
    first = parse_integer(argv[2])
    last = parse_integer(argv[3])
    value = ctx.read_as(argv[1], List)
    return [] if value is None else value.slice(*value.range_of(first, last))


@command(
    "LPOS",
    arity=-3,
    flags=Flag.READONLY,
    keys=_READ_KEY,
    group="list",
    since="6.0.6",
    complexity="O(N) where N is the number of elements looked at",
    summary="Returns the index of an element, or with COUNT those of all that are equal to it.",
)
def lpos(ctx: ServerContext, argv: list[bytes]) -> Reply:
    rank = 1
    count: int | None = None
    most = 0
    rest = iter(argv[3:])
    for word in rest:
        option = word.upper()
        amount = next(rest, None)
        if amount is None:
            raise syntax_error()
        if option == b"RANK":
            rank = _parse_rank(amount)
        elif option == b"COUNT":
            error = b"ERR COUNT can't be negative"
            count = parse_integer_between(amount, 0, INT64_MAX, error)
        elif option == b"MAXLEN":
            error = b"ERR MAXLEN can't be negative"
            most = parse_integer_between(amount, 0, INT64_MAX, error)
        else:
            raise syntax_error()
    value = ctx.read_as(argv[1], List)
    if value is None:
        return None if count is None else []
    limit = 1 if count is None else min(count, len(value)) or None
    found = value.positions(argv[2], rank=rank, count=limit, most=min(most, len(value)) or None)
    if count is None:
        return found[0] if found else None
    return found


def _parse_rank(text: bytes) -> int:
    rank = parse_integer(text)
    if rank == 0:
        raise CommandError(
            b"ERR RANK can't be zero: use 1 to start from the first match, 2 from the second ..."
            b" or use negative to start from the end of the list"
        )
    if rank == INT64_MIN:
        raise CommandError(
            b"ERR value is out of range, value must between %d and %d" % (-INT64_MAX, INT64_MAX)
        )
    return rank


@command(
    "LSET",
    arity=4,
    flags=Flag.WRITE | Flag.DENYOOM,
    keys=Keys(1, 1, 1, ("RW", "UPDATE")),
    group="list",
    since="1.0.0",
    complexity=_INWARDS,
    summary="Replaces the element at an index.",
)
def lset(ctx: ServerContext, argv: list[bytes]) -> Reply:
    key = argv[1]
    value = ctx.peek_as(key, List)
    if value is None:
        raise CommandError(NO_SUCH_KEY)
    index = parse_integer(argv[2])
    size = len(value.items)
    if not -size <= index < size:
        raise CommandError(_INDEX_OUT_OF_RANGE)
    value.items[index] = argv[3]
    ctx.db.touch(key)
    ctx.notify(KeyspaceEvents.LIST, b"lset", key)
    ctx.changes += 1
    return OK


@command(
    "LINSERT",
    arity=5,
    flags=Flag.WRITE | Flag.DENYOOM,
    keys=Keys(1, 1, 1, ("RW", "INSERT")),
    group="list",
    since="2.2.0",
    complexity="O(N) where N is the index of the pivot",
    summary="Inserts an element before or after another; returns the length, -1 without that one.",
)
def linsert(ctx: ServerContext, argv: list[bytes]) -> Reply:
    where = argv[2].upper()
    if where not in (b"BEFORE", b"AFTER"):
        raise syntax_error()
    key = argv[1]
    value = ctx.peek_as(key, List)
    if value is None:
        return 0
    if not value.insert(argv[3], argv[4], is_after=where == b"AFTER"):
        return -1
    ctx.db.touch(key)
    ctx.notify(KeyspaceEvents.LIST, b"linsert", key)
    ctx.changes += 1
    return len(value)


@command(
    "LTRIM",
    arity=4,
    flags=Flag.WRITE,
    keys=_TRIMMED_KEY,
    group="list",
    since="1.0.0",
    complexity="O(N) where N is the number of elements removed",
    summary="Removes all elements but those between two indexes, both included.",
)
def ltrim(ctx: ServerContext, argv: list[bytes]) -> Reply:
    first = parse_integer(argv[2])
    last = parse_integer(argv[3])
    key = argv[1]
    value = ctx.peek_as(key, List)
    if value is not None:
        removed = value.trim(*value.range_of(first, last))
        after_removal(ctx, key, value, b"ltrim", removed)
    return OK


@command(
    "LREM",
    arity=4,
    flags=Flag.WRITE,
    keys=_TRIMMED_KEY,
    group="list",
    since="1.0.0",
    complexity="O(N) where N is the length of the list",
    summary="Removes elements equal to a given one: the first, the last (count below 0) or all.",
)
def lrem(ctx: ServerContext, argv: list[bytes]) -> Reply:
    count = parse_integer(argv[2])
    key = argv[1]
    value = ctx.peek_as(key, List)
    if value is None:
        return 0
    removed = value.remove(argv[3], count)
    if removed:
        after_removal(ctx, key, value, b"lrem", removed)
    return removed
