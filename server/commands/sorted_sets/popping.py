"""Taking the members with the lowest or highest scores out, or waiting for some."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Final

from vedette.clients import Block
from vedette.cmdspec import Flag, Keys, command
from vedette.resp.encode import encode_bulk, format_double
from vedette.resp.replies import EMPTY_ARRAY, NULL_ARRAY, RawReply, Reply

from ...engine import ServerContext
from ...store.score_order import Pair
from ...store.sorted_sets import SortedSet
from ..arguments import INT64_MAX, parse_integer_between, syntax_error
from ..popping import MultiPop, first_of, take_or_wait
from ..waiting import deadline_after_seconds
from .shared import finish_removal, flat_reply, nested_reply, score_reply

_ACCESS: Final = ("RW", "ACCESS", "DELETE")
_NOT_POSITIVE: Final = b"ERR value is out of range, must be positive"


@dataclass(frozen=True, slots=True)
class _End:
    """An end of a sorted set, the command that pops there, which replicas run, and its event."""

    is_first: bool
    command: bytes
    event: bytes


_MIN: Final = _End(True, b"ZPOPMIN", b"zpopmin")
_MAX: Final = _End(False, b"ZPOPMAX", b"zpopmax")
_ENDS: Final = {b"MIN": _MIN, b"MAX": _MAX}


def _pop(ctx: ServerContext, key: bytes, zset: SortedSet, end: _End, count: int) -> list[Pair]:
    """Take up to `count` (at least 1) pairs out at `end`, outermost first."""
    size = len(zset)
    if count == 1:
        pairs = [zset.pop(0 if end.is_first else size - 1)]
    elif end is _MIN:
        pairs = zset.delete_slice(0, min(count, size))
    else:
        pairs = zset.delete_slice(max(size - count, 0), size)[::-1]
    finish_removal(ctx, key, zset, len(pairs), end.event)
    return pairs


@command(
    "ZPOPMIN",
    arity=-2,
    flags=Flag.WRITE | Flag.FAST,
    keys=Keys(1, 1, 1, _ACCESS),
    group="sorted-set",
    since="5.0.0",
    summary="Takes the members with the lowest scores, by default one, out of a sorted set.",
)
def zpopmin(ctx: ServerContext, argv: list[bytes]) -> Reply:
    return _pop_of_one(ctx, argv, _MIN)


@command(
    "ZPOPMAX",
    arity=-2,
    flags=Flag.WRITE | Flag.FAST,
    keys=Keys(1, 1, 1, _ACCESS),
    group="sorted-set",
    since="5.0.0",
    summary="Takes the members with the highest scores, by default one, out of a sorted set.",
)
def zpopmax(ctx: ServerContext, argv: list[bytes]) -> Reply:
    return _pop_of_one(ctx, argv, _MAX)


def _pop_of_one(ctx: ServerContext, argv: list[bytes], end: _End) -> Reply:
    if len(argv) == 2 and ctx.session.protocol == 2:
        return _pop_one(ctx, argv[1], end)
    if len(argv) > 3:
        raise syntax_error()
    has_count = len(argv) == 3
    count = parse_integer_between(argv[2], 0, INT64_MAX, _NOT_POSITIVE) if has_count else 1
    zset = ctx.peek_as(argv[1], SortedSet)
    if zset is None or not count:
        return EMPTY_ARRAY
    pairs = _pop(ctx, argv[1], zset, end, count)
    if ctx.session.protocol == 2:
        return flat_reply(pairs)
    if has_count:
        return nested_reply(ctx, pairs)
    score, member = pairs[0]
    return [member, score_reply(ctx, score)]


def _pop_one(ctx: ServerContext, key: bytes, end: _End) -> RawReply:
    """Do the usual, a single pair for RESP2, in two thirds of the time."""
    zset = ctx.peek_as(key, SortedSet)
    if zset is None:
        return EMPTY_ARRAY
    score, member = zset.pop(0 if end.is_first else len(zset) - 1)
    finish_removal(ctx, key, zset, 1, end.event)
    score_text = format_double(score)
    return RawReply(b"*2\r\n%b$%d\r\n%b\r\n" % (encode_bulk(member), len(score_text), score_text))


@command(
    "BZPOPMIN",
    arity=-3,
    flags=Flag.WRITE | Flag.NOSCRIPT | Flag.FAST | Flag.BLOCKING,
    keys=Keys(1, -2, 1, _ACCESS),
    group="sorted-set",
    since="5.0.0",
    summary="Takes the lowest member out of the first of several sorted sets, or waits.",
)
def bzpopmin(ctx: ServerContext, argv: list[bytes]) -> Reply | Block:
    return _pop_or_wait(ctx, argv, _MIN)


@command(
    "BZPOPMAX",
    arity=-3,
    flags=Flag.WRITE | Flag.NOSCRIPT | Flag.FAST | Flag.BLOCKING,
    keys=Keys(1, -2, 1, _ACCESS),
    group="sorted-set",
    since="5.0.0",
    summary="Takes the highest member out of the first of several sorted sets, or waits.",
)
def bzpopmax(ctx: ServerContext, argv: list[bytes]) -> Reply | Block:
    return _pop_or_wait(ctx, argv, _MAX)


def _pop_or_wait(ctx: ServerContext, argv: list[bytes], end: _End) -> Reply | Block:
    deadline_ms = deadline_after_seconds(argv[-1], ctx.now_ms)

    def take(key: bytes, zset: SortedSet) -> Reply:
        score, member = _pop(ctx, key, zset, end, 1)[0]
        ctx.propagate_as([end.command, key])
        return [key, member, score_reply(ctx, score)]

    return take_or_wait(ctx, argv[1:-1], SortedSet, take, deadline_ms)


def _take_many(ctx: ServerContext, request: MultiPop[_End], key: bytes, zset: SortedSet) -> Reply:
    """Take what is asked for out of `zset`, and have replicas pop just that."""
    pairs = _pop(ctx, key, zset, request.end, request.count)
    ctx.propagate_as([request.end.command, key, b"%d" % len(pairs)])
    return [key, nested_reply(ctx, pairs)]


@command(
    "ZMPOP",
    arity=-4,
    flags=Flag.WRITE | Flag.MOVABLE_KEYS,
    keys=Keys(keynum_index=1, access=_ACCESS),
    group="sorted-set",
    since="7.0.0",
    summary="Takes members out of the first of several sorted sets that exists.",
)
def zmpop(ctx: ServerContext, argv: list[bytes]) -> Reply:
    request = MultiPop.parse(argv[1:], _ENDS)
    found = first_of(ctx, request.keys, SortedSet)
    return NULL_ARRAY if found is None else _take_many(ctx, request, *found)


@command(
    "BZMPOP",
    arity=-5,
    flags=Flag.WRITE | Flag.BLOCKING | Flag.MOVABLE_KEYS,
    keys=Keys(keynum_index=2, access=_ACCESS),
    group="sorted-set",
    since="7.0.0",
    summary="Takes members out of the first of several sorted sets that exists, or waits.",
)
def bzmpop(ctx: ServerContext, argv: list[bytes]) -> Reply | Block:
    request = MultiPop.parse(argv[2:], _ENDS)
    deadline_ms = deadline_after_seconds(argv[1], ctx.now_ms)
    take = partial(_take_many, ctx, request)
    return take_or_wait(ctx, request.keys, SortedSet, take, deadline_ms)
