"""PUBLISH, PUBSUB and shard channels (Redis 7.0 `pubsub.c`).

Subscribing to other channels is the kernel's: sentinels have it too.
"""

from __future__ import annotations

from typing import Final

from vedette.clients.commands.arguments import help_reply, subcommand_syntax_error
from vedette.cmdspec import Channels, Flag, Keys, command, container
from vedette.errors import CommandError
from vedette.resp.replies import Reply, ReplySequence

from ..engine import ServerContext

_FLAGS: Final = Flag.PUBSUB | Flag.LOADING | Flag.STALE

PUBSUB = container(
    "PUBSUB",
    group="pubsub",
    since="2.8.0",
    summary="Commands about channels and who listens.",
)


@command(
    "PUBLISH",
    arity=3,
    flags=_FLAGS | Flag.FAST | Flag.MAY_REPLICATE,
    channels=Channels(1, 1),
    group="pubsub",
    since="2.0.0",
    summary="Delivers a message to all who listen to the channel, here and on replicas.",
    complexity="O(N+M) where N is the number of subscribers and M that of patterns",
)
def publish(ctx: ServerContext, argv: list[bytes]) -> Reply:
    receivers = ctx.pubsub.publish(argv[1], argv[2])
    ctx.engine.propagate(ctx.db.index, argv)
    return receivers


#: To clients of a cluster a shard channel is where a key of that name is.
_SHARD_CHANNELS: Final = Keys(1, -1, 1, ("NOT_KEY",))


@command(
    "SSUBSCRIBE",
    arity=-2,
    flags=_FLAGS | Flag.NOSCRIPT | Flag.WHILE_SUBSCRIBED,
    keys=_SHARD_CHANNELS,
    channels=Channels(1, -1),
    group="pubsub",
    since="7.0.0",
    summary="Has messages of the shard channels delivered to this connection.",
    complexity="O(N) where N is the number of shard channels",
)
def ssubscribe(ctx: ServerContext, argv: list[bytes]) -> Reply:
    if ctx.engine.is_in_transaction:
        raise CommandError(b"ERR SSUBSCRIBE isn't allowed for a DENY BLOCKING client")
    return ReplySequence(ctx.pubsub.subscribe_shard(ctx.session, argv[1:]))


@command(
    "SUNSUBSCRIBE",
    arity=-1,
    flags=_FLAGS | Flag.NOSCRIPT | Flag.WHILE_SUBSCRIBED,
    keys=_SHARD_CHANNELS,
    group="pubsub",
    since="7.0.0",
    summary="Ends the subscription to the shard channels, or to all of them.",
    complexity="O(N) where N is the number of shard channels",
)
def sunsubscribe(ctx: ServerContext, argv: list[bytes]) -> Reply:
    return ReplySequence(ctx.pubsub.unsubscribe_shard(ctx.session, argv[1:]))


@command(
    "SPUBLISH",
    arity=3,
    flags=_FLAGS | Flag.FAST | Flag.MAY_REPLICATE,
    keys=Keys(1, 1, 1, ("NOT_KEY",)),
    channels=Channels(1, 1),
    group="pubsub",
    since="7.0.0",
    summary="Delivers a message to all who listen to the shard channel, here and on replicas.",
    complexity="O(N) where N is the number of subscribers",
)
def spublish(ctx: ServerContext, argv: list[bytes]) -> Reply:
    receivers = ctx.pubsub.publish_to_shard(argv[1], argv[2])
    ctx.engine.propagate(ctx.db.index, argv)
    return receivers


@command(
    "PUBSUB|CHANNELS",
    arity=-2,
    flags=_FLAGS,
    group="pubsub",
    since="2.8.0",
    summary="Lists the channels someone listens to, all or those matching a pattern.",
    complexity="O(N) where N is the number of channels",
)
def pubsub_channels(ctx: ServerContext, argv: list[bytes]) -> Reply:
    if len(argv) > 3:
        raise subcommand_syntax_error(argv)
    return list(ctx.pubsub.channels(argv[2] if len(argv) == 3 else None))


@command(
    "PUBSUB|NUMSUB",
    arity=-2,
    flags=_FLAGS,
    group="pubsub",
    since="2.8.0",
    summary="Returns how many listen to each of the channels, patterns left out.",
    complexity="O(N) where N is the number of channels asked for",
)
def pubsub_numsub(ctx: ServerContext, argv: list[bytes]) -> Reply:
    replies: list[Reply] = []
    for channel in argv[2:]:
        replies += [channel, ctx.pubsub.subscriber_count(channel)]
    return replies


@command(
    "PUBSUB|NUMPAT",
    arity=2,
    flags=_FLAGS,
    group="pubsub",
    since="2.8.0",
    summary="Returns how many different patterns are subscribed to.",
    complexity="O(1)",
)
def pubsub_numpat(ctx: ServerContext, argv: list[bytes]) -> Reply:
    return ctx.pubsub.pattern_count


@command(
    "PUBSUB|SHARDCHANNELS",
    arity=-2,
    flags=_FLAGS,
    group="pubsub",
    since="7.0.0",
    summary="Lists the shard channels someone listens to, all or those matching a pattern.",
    complexity="O(N) where N is the number of shard channels",
)
def pubsub_shardchannels(ctx: ServerContext, argv: list[bytes]) -> Reply:
    if len(argv) > 3:
        raise subcommand_syntax_error(argv)
    return list(ctx.pubsub.channels(argv[2] if len(argv) == 3 else None, is_shard=True))


@command(
    "PUBSUB|SHARDNUMSUB",
    arity=-2,
    flags=_FLAGS,
    group="pubsub",
    since="7.0.0",
    summary="Returns how many listen to each of the shard channels.",
    complexity="O(N) where N is the number of shard channels asked for",
)
def pubsub_shardnumsub(ctx: ServerContext, argv: list[bytes]) -> Reply:
    replies: list[Reply] = []
    for channel in argv[2:]:
        replies += [channel, ctx.pubsub.subscriber_count(channel, is_shard=True)]
    return replies


_HELP: Final = (
    ("CHANNELS [<pattern>]", "List the channels someone listens to."),
    ("NUMPAT", "Return how many different patterns are subscribed to."),
    ("NUMSUB [<channel> ...]", "Return how many listen to each channel, patterns left out."),
    ("SHARDCHANNELS [<pattern>]", "List the shard channels someone listens to."),
    ("SHARDNUMSUB [<shardchannel> ...]", "Return how many listen to each shard channel."),
)


@command(
    "PUBSUB|HELP",
    arity=2,
    flags=Flag.LOADING | Flag.STALE,
    group="pubsub",
    since="6.2.0",
    summary="Lists the subcommands.",
    complexity="O(1)",
)
def pubsub_help(ctx: ServerContext, argv: list[bytes]) -> Reply:
    return help_reply("PUBSUB", _HELP)
