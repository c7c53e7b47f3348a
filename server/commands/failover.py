"""FAILOVER, and what carries its decisions out: Redis 7.0 `replication.c: failoverCommand`.

`replication.failover` decides; here the server changes roles, pauses and unpauses. `advance` is to
be called whenever a replica acknowledged and ten times a second, `complete` and `abort` by the link
to the target when it has answered.
"""

from __future__ import annotations

from typing import Final

from vedette.clients import PausePurpose
from vedette.cmdspec import Flag, command
from vedette.errors import CommandError
from vedette.resp.replies import OK, Reply
from vedette.types import Address

from ..engine import ServerContext, ServerEngine
from ..replication.failover import Abort, FailoverState, HandOver, address_of, is_same
from ..replication.feed import FeedState
from .arguments import parse_integer, syntax_error
from .replication import start_following, stop_following

_FOR_EVER_MS: Final = 1 << 60


def advance(engine: ServerEngine, now_ms: int) -> HandOver | Abort | None:
    """Do what the failover under way calls for now; return what that was."""
    replication = engine.replication
    failover = replication.failover
    if failover.state is FailoverState.NONE:
        return None
    decision = failover.decide(replication.feeds.values(), replication.offset, now_ms)
    if isinstance(decision, HandOver):
        failover.hand_over(decision.target)
        start_following(engine, decision.target, now_ms)
    elif isinstance(decision, Abort):
        abort(engine, now_ms)
    return decision


def complete(engine: ServerEngine) -> None:
    """End the failover: the target is the master. Writes that waited are refused from here on."""
    engine.replication.failover.end()
    engine.unpause(PausePurpose.FAILOVER)


def abort(engine: ServerEngine, now_ms: int) -> None:
    """Give the failover up: this server is the master, as before."""
    failover = engine.replication.failover
    if failover.state is FailoverState.IN_PROGRESS:
        stop_following(engine, now_ms)
    failover.end()
    engine.unpause(PausePurpose.FAILOVER)


@command(
    "FAILOVER",
    arity=-1,
    flags=Flag.ADMIN | Flag.NOSCRIPT | Flag.STALE,
    group="server",
    since="6.2.0",
    summary="Changes roles with a replica once that has all of the stream; nothing is lost.",
    complexity="O(1)",
)
def failover(ctx: ServerContext, argv: list[bytes]) -> Reply:
    engine = ctx.engine
    replication = engine.replication
    planned = replication.failover
    if len(argv) == 2 and argv[1].lower() == b"abort":
        if planned.state is FailoverState.NONE:
            raise CommandError(b"ERR No failover in progress.")
        abort(engine, ctx.now_ms)
        return OK
    target, timeout_ms, is_forced = _parse(argv)
    if planned.state is not FailoverState.NONE:
        raise CommandError(b"ERR FAILOVER already in progress.")
    if replication.is_replica:
        raise CommandError(b"ERR FAILOVER is not valid when server is a replica.")
    if not replication.feeds:
        raise CommandError(b"ERR FAILOVER requires connected replicas.")
    if is_forced and not (timeout_ms and target is not None):
        raise CommandError(
            b"ERR FAILOVER with force option requires both a timeout and target HOST and IP."
        )
    if target is not None:
        _check_target(engine, target)
    deadline_ms = ctx.now_ms + timeout_ms if timeout_ms else None
    planned.begin(target, deadline_ms, is_forced=is_forced)
    engine.pause(ctx.now_ms + _FOR_EVER_MS, writes_only=True, purpose=PausePurpose.FAILOVER)
    replication.wants_acknowledgements = True
    return OK


def _parse(argv: list[bytes]) -> tuple[Address | None, int, bool]:
    """Return target, timeout in ms (0: none) and whether FORCE was said.

    Raises:
        CommandError: the words make no sense.
    """
    target: Address | None = None
    timeout_ms = 0
    is_forced = False
    index = 1
    while index < len(argv):
        word = argv[index].lower()
        following = len(argv) - index - 1
        if word == b"timeout" and following >= 1 and not timeout_ms:
            timeout_ms = parse_integer(argv[index + 1])
            if timeout_ms <= 0:
                raise CommandError(b"ERR FAILOVER timeout must be greater than 0")
            index += 2
        elif word == b"to" and following >= 2 and target is None:
            port = parse_integer(argv[index + 2])
            target = Address(argv[index + 1].decode("utf-8", "replace"), port)
            index += 3
        elif word == b"force" and not is_forced:
            is_forced = True
            index += 1
        else:
            raise syntax_error()
    return target, timeout_ms, is_forced


def _check_target(engine: ServerEngine, target: Address) -> None:
    """Raise CommandError unless `target` is a replica that is online."""
    for feed in engine.replication.feeds.values():
        if is_same(address_of(feed), target):
            if feed.state is not FeedState.ONLINE:
                raise CommandError(b"ERR FAILOVER target replica is not online.")
            return
    raise CommandError(b"ERR FAILOVER target HOST and PORT is not a replica.")
