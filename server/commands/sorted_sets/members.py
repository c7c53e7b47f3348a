"""Single members of sorted sets: scores, ranks, removal, and some at random."""

from __future__ import annotations

from typing import Final

from vedette.cmdspec import Flag, Keys, command
from vedette.errors import CommandError
from vedette.resp.replies import NULL_ARRAY, Reply

from ...engine import ServerContext
from ...store.sorted_sets import SortedSet
from ..arguments import INT64_MAX, syntax_error, wrong_arity
from ..random_counts import parse_random_count, repeats
from ..scanning import scan_elements
from .shared import finish_removal, flat_reply, members_reply, score_reply

_READ: Final = Flag.READONLY | Flag.FAST
_READ_KEY: Final = Keys(1, 1, 1, ("RO", "ACCESS"))


@command(
    "ZREM",
    arity=-3,
    flags=Flag.WRITE | Flag.FAST,
    keys=Keys(1, 1, 1, ("RW", "DELETE")),
    group="sorted-set",
    since="1.2.0",
    summary="Removes members; returns how many were there.",
)
def zrem(ctx: ServerContext, argv: list[bytes]) -> Reply:
    zset = ctx.peek_as(argv[1], SortedSet)
    if zset is None:
        return 0
    count = sum(zset.discard(member) for member in argv[2:])
    if count:
        finish_removal(ctx, argv[1], zset, count, b"zrem")
    return count


@command(
    "ZCARD",
    arity=2,
    flags=_READ,
    keys=Keys(1, 1, 1, ("RO",)),
    group="sorted-set",
    since="1.2.0",
    summary="Returns the number of members.",
)
def zcard(ctx: ServerContext, argv: list[bytes]) -> Reply:
    zset = ctx.read_as(argv[1], SortedSet)
    return 0 if zset is None else len(zset)


@command(
    "ZSCORE",
    arity=3,
    flags=_READ,
    keys=_READ_KEY,
    group="sorted-set",
    since="1.2.0",
    summary="Returns the score of a member.",
)
def zscore(ctx: ServerContext, argv: list[bytes]) -> Reply:
    zset = ctx.read_as(argv[1], SortedSet)
    return None if zset is None else _score_of(ctx, zset, argv[2])


@command(
    "ZMSCORE",
    arity=-3,
    flags=_READ,
    keys=_READ_KEY,
    group="sorted-set",
    since="6.2.0",
    summary="Returns the scores of members.",
)
def zmscore(ctx: ServerContext, argv: list[bytes]) -> Reply:
    zset = ctx.read_as(argv[1], SortedSet)
    return [None if zset is None else _score_of(ctx, zset, member) for member in argv[2:]]


def _score_of(ctx: ServerContext, zset: SortedSet, member: bytes) -> Reply:
    score = zset.scores.get(member)
    return None if score is None else score_reply(ctx, score)


@command(
    "ZRANK",
    arity=-3,
    flags=_READ,
    keys=_READ_KEY,
    group="sorted-set",
    since="2.0.0",
    summary="Returns the rank of a member, the lowest score being 0; WITHSCORE its score too.",
)
def zrank(ctx: ServerContext, argv: list[bytes]) -> Reply:
    return _rank(ctx, argv, is_reverse=False)


@command(
    "ZREVRANK",
    arity=-3,
    flags=_READ,
    keys=_READ_KEY,
    group="sorted-set",
    since="2.0.0",
    summary="Returns the rank of a member, the highest score being 0; WITHSCORE its score too.",
)
def zrevrank(ctx: ServerContext, argv: list[bytes]) -> Reply:
    return _rank(ctx, argv, is_reverse=True)


def _rank(ctx: ServerContext, argv: list[bytes], *, is_reverse: bool) -> Reply:
    if len(argv) > 4:
        raise wrong_arity(argv[0].lower())
    with_score = len(argv) == 4
    if with_score and argv[3].upper() != b"WITHSCORE":
        raise syntax_error()
    zset = ctx.read_as(argv[1], SortedSet)
    score = None if zset is None else zset.scores.get(argv[2])
    if zset is None or score is None:
        return NULL_ARRAY if with_score else None
    rank = zset.rank(score, argv[2])
    if is_reverse:
        rank = len(zset) - 1 - rank
    return [rank, score_reply(ctx, score)] if with_score else rank


@command(
    "ZRANDMEMBER",
    arity=-2,
    flags=Flag.READONLY,
    keys=_READ_KEY,
    group="sorted-set",
    since="6.2.0",
    tips=("nondeterministic_output",),
    summary="Returns members chosen at random; with a negative count some may come repeatedly.",
)
def zrandmember(ctx: ServerContext, argv: list[bytes]) -> Reply:
    if len(argv) == 2:
        zset = ctx.read_as(argv[1], SortedSet)
        return None if zset is None else zset.at(ctx.random.randrange(len(zset)))[1]
    count = parse_random_count(argv[2])
    with_scores = len(argv) > 3
    if with_scores and (len(argv) > 4 or argv[3].upper() != b"WITHSCORES"):
        raise syntax_error()
    if with_scores and not -(INT64_MAX // 2) <= count <= INT64_MAX // 2:
        raise CommandError(b"ERR value is out of range")
    zset = ctx.read_as(argv[1], SortedSet)
    if zset is None or not count:
        return []
    size = len(zset)
    choose = ctx.random
    if count < 0:
        pairs = [zset.at(choose.randrange(size)) for _ in repeats(count)]
    elif count >= size:
        pairs = zset.slice(0, size)[::-1]  # the order in which Redis gives all of them
    else:
        pairs = [zset.at(index) for index in choose.sample(range(size), count)]
    return members_reply(ctx, pairs, with_scores=with_scores)


@command(
    "ZSCAN",
    arity=-3,
    flags=Flag.READONLY,
    keys=_READ_KEY,
    group="sorted-set",
    since="2.8.0",
    tips=("nondeterministic_output",),
    summary="Returns some of the members with their scores, and where to go on from.",
)
def zscan(ctx: ServerContext, argv: list[bytes]) -> Reply:
    return scan_elements(
        ctx,
        argv,
        SortedSet,
        lambda zset, members: flat_reply([(zset.scores[member], member) for member in members]),
    )
