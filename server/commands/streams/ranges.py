"""Reading entries by their IDs: XRANGE, XREVRANGE, XLEN."""

from __future__ import annotations

from typing import Final

from vedette.cmdspec import Flag, Keys, command
from vedette.resp.replies import NULL_ARRAY, Reply

from ...engine import ServerContext
from ...store.streams import Stream
from ..arguments import parse_integer, syntax_error
from .ids import parse_range_end, parse_range_start
from .shared import entries_reply

_READ: Final = Keys(1, 1, 1, ("RO", "ACCESS"))
_EACH: Final = "O(N) where N is the number of entries returned"


@command(
    "XLEN",
    arity=2,
    flags=Flag.READONLY | Flag.FAST,
    keys=Keys(1, 1, 1, ("RO",)),
    group="stream",
    since="5.0.0",
    complexity="O(1)",
    summary="Returns the number of entries in a stream.",
)
def xlen(ctx: ServerContext, argv: list[bytes]) -> Reply:
    stream = ctx.read_as(argv[1], Stream)
    return 0 if stream is None else len(stream)


@command(
    "XRANGE",
    arity=-4,
    flags=Flag.READONLY,
    keys=_READ,
    group="stream",
    since="5.0.0",
    complexity=_EACH,
    summary="Returns the entries of a stream between two IDs.",
)
def xrange(ctx: ServerContext, argv: list[bytes]) -> Reply:
    return _range(ctx, argv, argv[2], argv[3], is_reversed=False)


@command(
    "XREVRANGE",
    arity=-4,
    flags=Flag.READONLY,
    keys=_READ,
    group="stream",
    since="5.0.0",
    complexity=_EACH,
    summary="Returns the entries of a stream between two IDs, the last one first.",
)
def xrevrange(ctx: ServerContext, argv: list[bytes]) -> Reply:
    return _range(ctx, argv, argv[3], argv[2], is_reversed=True)


def _range(
    ctx: ServerContext, argv: list[bytes], first: bytes, last: bytes, *, is_reversed: bool
) -> Reply:
    start = parse_range_start(first)
    end = parse_range_end(last)
    count: int | None = None
    index = 4
    while index < len(argv):
        if argv[index].upper() != b"COUNT" or index + 1 == len(argv):
            raise syntax_error()
        count = max(parse_integer(argv[index + 1]), 0)
        index += 2
    stream = ctx.read_as(argv[1], Stream)
    if stream is None:
        return []
    if count == 0:
        return NULL_ARRAY
    return entries_reply(stream.rows(start, end, count, is_reversed=is_reversed))
