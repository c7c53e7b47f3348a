"""Commands about the sentinel as a process: ROLE, PUBLISH (hello only), SHUTDOWN."""

from __future__ import annotations

from sentinel.context import SentinelContext
from sentinel.core.links import HELLO_CHANNEL
from vedette.cmdspec import Channels, Flag, command
from vedette.conf.quoting import encode_word
from vedette.errors import CommandError
from vedette.resp.replies import NO_REPLY, Reply


@command(
    "ROLE",
    arity=1,
    flags=Flag.NOSCRIPT | Flag.LOADING | Flag.STALE | Flag.FAST,
    categories=("admin", "dangerous"),
    group="server",
    since="2.8.12",
    summary="Return the role of the instance",
)
def role(context: SentinelContext, argv: list[bytes]) -> Reply:
    return [b"sentinel", [encode_word(name) for name in context.state.masters]]


@command(
    "PUBLISH",
    arity=3,
    flags=Flag.PUBSUB | Flag.LOADING | Flag.STALE | Flag.FAST,
    channels=Channels(1, 1),
    group="pubsub",
    since="2.0.0",
    summary="Take a hello message of a fellow sentinel",
)
def publish(context: SentinelContext, argv: list[bytes]) -> Reply:
    """Hand a hello message to the machine; it reaches no subscriber."""
    if argv[1] != HELLO_CHANNEL:
        raise CommandError(b"ERR Only HELLO messages are accepted by Sentinel instances.")
    context.hear(argv)
    return 1


@command(
    "SHUTDOWN",
    arity=-1,
    flags=Flag.ADMIN | Flag.NOSCRIPT | Flag.LOADING | Flag.STALE | Flag.NO_MULTI | Flag.ALLOW_BUSY,
    group="server",
    since="1.0.0",
    summary="Stop the sentinel",
)
def shutdown(context: SentinelContext, argv: list[bytes]) -> Reply:
    """Stop the process; the state is on disk at all times, so there is nothing to save."""
    words = {argument.lower() for argument in argv[1:]}
    if not words <= {b"nosave", b"save", b"now", b"force", b"abort"}:
        raise CommandError(b"ERR syntax error")
    if b"abort" in words:
        if len(words) > 1:
            raise CommandError(b"ERR syntax error")
        raise CommandError(b"ERR No shutdown in progress.")
    if {b"save", b"nosave"} <= words:
        raise CommandError(b"ERR syntax error")
    context.around.request_shutdown()
    return NO_REPLY
