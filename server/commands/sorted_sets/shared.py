"""What the commands of sorted sets have in common: replies with scores, storing, removal."""

from __future__ import annotations

from collections.abc import Sequence

from vedette.resp.encode import format_double
from vedette.resp.replies import DoubleReply, Reply

from ...engine import ServerContext
from ...engine.keyspace_events import KeyspaceEvents
from ...store.score_order import Pair
from ...store.sorted_sets import SortedSet
from ..storing import store_result

EVENTS = KeyspaceEvents.SORTED_SET


def members_reply(ctx: ServerContext, pairs: Sequence[Pair], *, with_scores: bool) -> Reply:
    """Return the members; with their scores each after its member, in RESP3 each two an array."""
    if not with_scores:
        return [member for _, member in pairs]
    if ctx.session.protocol == 3:
        return nested_reply(ctx, pairs)
    return flat_reply(pairs)


def score_reply(ctx: ServerContext, score: float) -> Reply:
    """Return a score: a double in RESP3, and in RESP2 at once the bulk string that it would be."""
    return DoubleReply(score) if ctx.session.protocol == 3 else format_double(score)


def nested_reply(ctx: ServerContext, pairs: Sequence[Pair]) -> list[Reply]:
    """Return an array of a member and its score for each of `pairs`."""
    return [[member, score_reply(ctx, score)] for score, member in pairs]


def flat_reply(pairs: Sequence[Pair]) -> list[Reply]:
    """Return members and scores in turn, all as bulk strings."""
    return [item for score, member in pairs for item in (member, format_double(score))]


def store(ctx: ServerContext, key: bytes, pairs: Sequence[Pair], event: bytes) -> None:
    """Have `key` hold the sorted set of `pairs`, or nothing where there are none."""
    zset = SortedSet.within(ctx.limits, pairs) if pairs else None
    store_result(ctx, key, zset, EVENTS, event)


def finish_removal(
    ctx: ServerContext, key: bytes, zset: SortedSet, removed_count: int, event: bytes
) -> None:
    """Account for `removed_count` members (at least 1) taken out, and for the last of them."""
    ctx.changes += removed_count
    if len(zset):
        if ctx.db.observed:
            ctx.db.touch(key)
        if ctx.is_notifying:
            ctx.notify(EVENTS, event, key)
        return
    ctx.db.delete(key)
    ctx.notify(EVENTS, event, key)
    ctx.notify(KeyspaceEvents.GENERIC, b"del", key)
