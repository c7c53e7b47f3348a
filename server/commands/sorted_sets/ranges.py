"""Ranges of sorted sets, by rank, score or member: to read, store, count and remove."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from vedette.cmdspec import Flag, Keys, KeySpec, command
from vedette.errors import CommandError
from vedette.resp.replies import Reply

from ...engine import ServerContext
from ...store.score_order import Pair
from ...store.sorted_sets import LexRange, Range, RankRange, ScoreRange, SortedSet
from ..arguments import parse_integer, syntax_error
from ..doubles import parse_bound
from .shared import finish_removal, members_reply, store

_READ_KEY: Final = Keys(1, 1, 1, ("RO", "ACCESS"))
_REMOVE_KEY: Final = Keys(1, 1, 1, ("RW", "DELETE"))
_BAD_SCORES: Final = b"ERR min or max is not a float"
_BAD_MEMBERS: Final = b"ERR min or max not valid string range item"


def _rank_range(first: bytes, last: bytes, *, is_reverse: bool = False) -> RankRange:
    return RankRange(parse_integer(first), parse_integer(last), is_reverse)


def _score_range(low: bytes, high: bytes) -> ScoreRange:
    excludes_low, excludes_high = low.startswith(b"("), high.startswith(b"(")
    return ScoreRange(
        parse_bound(low[excludes_low:], _BAD_SCORES),
        parse_bound(high[excludes_high:], _BAD_SCORES),
        excludes_low,
        excludes_high,
    )


def _lex_range(low: bytes, high: bytes, *, is_reverse: bool = False) -> LexRange:
    for end in (low, high):
        if end not in (b"-", b"+") and not end.startswith((b"(", b"[")):
            raise CommandError(_BAD_MEMBERS)
    return LexRange(
        None if low == b"-" else low[1:],
        None if high == b"+" else high[1:],
        low.startswith(b"("),
        high.startswith(b"("),
        is_empty=low == b"+" or high == b"-",
        is_reverse=is_reverse,
    )


@dataclass(slots=True)
class _Query:
    """What a command of the ZRANGE family asks for."""

    #: BYSCORE, BYLEX, or empty for ranks.
    kind: bytes = b""
    is_reverse: bool = False
    with_scores: bool = False
    offset: int = 0
    limit: int = -1

    def parse(self, words: list[bytes], allowed: frozenset[bytes]) -> None:
        """Read the options among `words` that are `allowed`; LIMIT always is.

        Raises:
            CommandError: one is not known, or they do not go together.
        """
        rest = iter(words)
        for word in rest:
            option = word.upper()
            if option == b"LIMIT":
                offset, limit = next(rest, None), next(rest, None)
                if offset is None or limit is None:
                    raise syntax_error()
                self.offset, self.limit = parse_integer(offset), parse_integer(limit)
            elif option not in allowed:
                raise syntax_error()
            elif option == b"WITHSCORES":
                self.with_scores = True
            elif option == b"REV" and not self.is_reverse:
                self.is_reverse = True
            elif option != b"REV" and not self.kind:
                self.kind = option
            else:
                raise syntax_error()
        if self.limit != -1 and not self.kind:
            raise CommandError(
                b"ERR syntax error, LIMIT is only supported in combination with either BYSCORE or"
                b" BYLEX"
            )
        if not self.kind:
            self.offset = 0  # a LIMIT without an end is no LIMIT to Redis, wherever it begins
        if self.with_scores and self.kind == b"BYLEX":
            raise CommandError(
                b"ERR syntax error, WITHSCORES not supported in combination with BYLEX"
            )

    def range_of(self, first: bytes, last: bytes) -> Range:
        """Return the range that the two ends mean, which a reverse one gives highest first."""
        if not self.kind:
            return _rank_range(first, last, is_reverse=self.is_reverse)
        low, high = (last, first) if self.is_reverse else (first, last)
        if self.kind == b"BYSCORE":
            return _score_range(low, high)
        return _lex_range(low, high, is_reverse=self.is_reverse)

    def select(self, zset: SortedSet, wanted: Range) -> list[Pair]:
        """Return the pairs in their order."""
        start, stop = wanted.positions(zset)
        if self.offset < 0:
            return []
        if self.is_reverse:
            stop -= self.offset
            if self.limit >= 0:
                start = max(start, stop - self.limit)
        else:
            start += self.offset
            if self.limit >= 0:
                stop = min(stop, start + self.limit)
        if start >= stop:
            return []
        pairs = zset.slice(start, stop)
        return pairs[::-1] if self.is_reverse else pairs


_RANGE_OPTIONS: Final = frozenset((b"WITHSCORES", b"REV", b"BYSCORE", b"BYLEX"))
_STORE_OPTIONS: Final = _RANGE_OPTIONS - {b"WITHSCORES"}
_WITH_SCORES: Final = frozenset((b"WITHSCORES",))


def _read(ctx: ServerContext, argv: list[bytes], query: _Query, allowed: frozenset[bytes]) -> Reply:
    query.parse(argv[4:], allowed)
    wanted = query.range_of(argv[2], argv[3])
    zset = ctx.read_as(argv[1], SortedSet)
    if zset is None:
        return []
    return members_reply(ctx, query.select(zset, wanted), with_scores=query.with_scores)


@command(
    "ZRANGE",
    arity=-4,
    flags=Flag.READONLY,
    keys=_READ_KEY,
    group="sorted-set",
    since="1.2.0",
    summary="Returns the members in a range of ranks, scores or members, in either direction.",
)
def zrange(ctx: ServerContext, argv: list[bytes]) -> Reply:
    return _read(ctx, argv, _Query(), _RANGE_OPTIONS)


@command(
    "ZREVRANGE",
    arity=-4,
    flags=Flag.READONLY,
    keys=_READ_KEY,
    group="sorted-set",
    since="1.2.0",
    deprecated_since="6.2.0",
    replaced_by="`ZRANGE` with the `REV` argument",
    summary="Returns the members in a range of ranks, from the highest score down.",
)
def zrevrange(ctx: ServerContext, argv: list[bytes]) -> Reply:
    return _read(ctx, argv, _Query(is_reverse=True), _WITH_SCORES)


@command(
    "ZRANGEBYSCORE",
    arity=-4,
    flags=Flag.READONLY,
    keys=_READ_KEY,
    group="sorted-set",
    since="1.0.5",
    deprecated_since="6.2.0",
    replaced_by="`ZRANGE` with the `BYSCORE` argument",
    summary="Returns the members in a range of scores.",
)
def zrangebyscore(ctx: ServerContext, argv: list[bytes]) -> Reply:
    return _read(ctx, argv, _Query(b"BYSCORE"), _WITH_SCORES)


@command(
    "ZREVRANGEBYSCORE",
    arity=-4,
    flags=Flag.READONLY,
    keys=_READ_KEY,
    group="sorted-set",
    since="2.2.0",
    deprecated_since="6.2.0",
    replaced_by="`ZRANGE` with the `REV` and `BYSCORE` arguments",
    summary="Returns the members in a range of scores, from the highest down.",
)
def zrevrangebyscore(ctx: ServerContext, argv: list[bytes]) -> Reply:
    return _read(ctx, argv, _Query(b"BYSCORE", is_reverse=True), _WITH_SCORES)


@command(
    "ZRANGEBYLEX",
    arity=-4,
    flags=Flag.READONLY,
    keys=_READ_KEY,
    group="sorted-set",
    since="2.8.9",
    deprecated_since="6.2.0",
    replaced_by="`ZRANGE` with the `BYLEX` argument",
    summary="Returns the members in a range of members that have the same score.",
)
def zrangebylex(ctx: ServerContext, argv: list[bytes]) -> Reply:
    return _read(ctx, argv, _Query(b"BYLEX"), _WITH_SCORES)


@command(
    "ZREVRANGEBYLEX",
    arity=-4,
    flags=Flag.READONLY,
    keys=_READ_KEY,
    group="sorted-set",
    since="2.8.9",
    deprecated_since="6.2.0",
    replaced_by="`ZRANGE` with the `REV` and `BYLEX` arguments",
    summary="Returns the members in a range of members that have the same score, last first.",
)
def zrevrangebylex(ctx: ServerContext, argv: list[bytes]) -> Reply:
    return _read(ctx, argv, _Query(b"BYLEX", is_reverse=True), _WITH_SCORES)


@command(
    "ZRANGESTORE",
    arity=-5,
    flags=Flag.WRITE | Flag.DENYOOM,
    keys=Keys(1, 2, 1, groups=(KeySpec(1, ("OW", "UPDATE")), KeySpec(2, ("RO", "ACCESS")))),
    group="sorted-set",
    since="6.2.0",
    summary="Stores what ZRANGE would return.",
)
def zrangestore(ctx: ServerContext, argv: list[bytes]) -> Reply:
    query = _Query()
    query.parse(argv[5:], _STORE_OPTIONS)
    wanted = query.range_of(argv[3], argv[4])
    zset = ctx.read_as(argv[2], SortedSet)
    pairs = [] if zset is None else query.select(zset, wanted)
    store(ctx, argv[1], pairs, b"zrangestore")
    return len(pairs)


# --- counting ------------------------------------------------------------------------------------


@command(
    "ZCOUNT",
    arity=4,
    flags=Flag.READONLY | Flag.FAST,
    keys=_READ_KEY,
    group="sorted-set",
    since="2.0.0",
    summary="Counts the members in a range of scores.",
)
def zcount(ctx: ServerContext, argv: list[bytes]) -> Reply:
    return _count(ctx, argv[1], _score_range(argv[2], argv[3]))


@command(
    "ZLEXCOUNT",
    arity=4,
    flags=Flag.READONLY | Flag.FAST,
    keys=_READ_KEY,
    group="sorted-set",
    since="2.8.9",
    summary="Counts the members in a range of members that have the same score.",
)
def zlexcount(ctx: ServerContext, argv: list[bytes]) -> Reply:
    return _count(ctx, argv[1], _lex_range(argv[2], argv[3]))


def _count(ctx: ServerContext, key: bytes, wanted: Range) -> int:
    zset = ctx.read_as(key, SortedSet)
    if zset is None:
        return 0
    start, stop = wanted.positions(zset)
    return max(stop - start, 0)


# --- removal -------------------------------------------------------------------------------------


@command(
    "ZREMRANGEBYRANK",
    arity=4,
    flags=Flag.WRITE,
    keys=_REMOVE_KEY,
    group="sorted-set",
    since="2.0.0",
    summary="Removes the members in a range of ranks.",
)
def zremrangebyrank(ctx: ServerContext, argv: list[bytes]) -> Reply:
    return _remove(ctx, argv[1], _rank_range(argv[2], argv[3]), b"zremrangebyrank")


@command(
    "ZREMRANGEBYSCORE",
    arity=4,
    flags=Flag.WRITE,
    keys=_REMOVE_KEY,
    group="sorted-set",
    since="1.2.0",
    summary="Removes the members in a range of scores.",
)
def zremrangebyscore(ctx: ServerContext, argv: list[bytes]) -> Reply:
    return _remove(ctx, argv[1], _score_range(argv[2], argv[3]), b"zremrangebyscore")


@command(
    "ZREMRANGEBYLEX",
    arity=4,
    flags=Flag.WRITE,
    keys=_REMOVE_KEY,
    group="sorted-set",
    since="2.8.9",
    summary="Removes the members in a range of members that have the same score.",
)
def zremrangebylex(ctx: ServerContext, argv: list[bytes]) -> Reply:
    return _remove(ctx, argv[1], _lex_range(argv[2], argv[3]), b"zremrangebylex")


def _remove(ctx: ServerContext, key: bytes, wanted: Range, event: bytes) -> int:
    zset = ctx.peek_as(key, SortedSet)
    if zset is None:
        return 0
    start, stop = wanted.positions(zset)
    if start >= stop:
        return 0
    count = len(zset.delete_slice(start, stop))
    finish_removal(ctx, key, zset, count, event)
    return count
