"""SUBSCRIBE, UNSUBSCRIBE, PSUBSCRIBE, PUNSUBSCRIBE: Redis 7.0 `pubsub.c`.

PUBLISH is not here: to a sentinel it means something else. Nor are shard channels, which sentinels
have not.
"""

from __future__ import annotations

from typing import Final

from ...cmdspec import Channels, Flag, command
from ...resp.replies import Reply, ReplySequence
from ..context import Context

_FLAGS: Final = Flag.PUBSUB | Flag.NOSCRIPT | Flag.LOADING | Flag.STALE | Flag.WHILE_SUBSCRIBED


@command(
    "SUBSCRIBE",
    arity=-2,
    flags=_FLAGS,
    channels=Channels(1, -1),
    group="pubsub",
    since="2.0.0",
    summary="Has messages of the channels delivered to this connection.",
    complexity="O(N) where N is the number of channels",
)
def subscribe(ctx: Context, argv: list[bytes]) -> Reply:
    return ReplySequence(ctx.pubsub.subscribe(ctx.session, argv[1:]))


@command(
    "UNSUBSCRIBE",
    arity=-1,
    flags=_FLAGS,
    group="pubsub",
    since="2.0.0",
    summary="Ends the subscription to the channels, or to all of them.",
    complexity="O(N) where N is the number of channels",
)
def unsubscribe(ctx: Context, argv: list[bytes]) -> Reply:
    return ReplySequence(ctx.pubsub.unsubscribe(ctx.session, argv[1:]))


@command(
    "PSUBSCRIBE",
    arity=-2,
    flags=_FLAGS,
    channels=Channels(1, -1, is_pattern=True),
    group="pubsub",
    since="2.0.0",
    summary="Has messages of all channels that match one of the patterns delivered.",
    complexity="O(N) where N is the number of patterns",
)
def psubscribe(ctx: Context, argv: list[bytes]) -> Reply:
    return ReplySequence(ctx.pubsub.subscribe_patterns(ctx.session, argv[1:]))


@command(
    "PUNSUBSCRIBE",
    arity=-1,
    flags=_FLAGS,
    group="pubsub",
    since="2.0.0",
    summary="Ends the subscription to the patterns, or to all of them.",
    complexity="O(N) where N is the number of patterns",
)
def punsubscribe(ctx: Context, argv: list[bytes]) -> Reply:
    return ReplySequence(ctx.pubsub.unsubscribe_patterns(ctx.session, argv[1:]))
