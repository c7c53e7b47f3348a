"""PUBLISH and PUBSUB (Redis 7.0 `pubsub.c`). Subscribing is the kernel's: sentinels have it too."""

from __future__ import annotations

from typing import Final

from vedette.clients.commands.arguments import help_reply, subcommand_syntax_error
from vedette.cmdspec import Channels, Flag, command, container
from vedette.resp.replies import Reply

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


_HELP: Final = (
    ("CHANNELS [<pattern>]", "List the channels someone listens to."),
    ("NUMPAT", "Return how many different patterns are subscribed to."),
    ("NUMSUB [<channel> ...]", "Return how many listen to each channel, patterns left out."),
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
