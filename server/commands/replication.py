"""REPLICAOF, PSYNC, SYNC, REPLCONF, WAIT, ROLE: Redis 7.0 `replication.c`.

They change and read the pure state of `server.replication`; connections, links and snapshots are
the business of the runtime that stands behind its port.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from monitoring.server_meter import CONTINUED, FULL, MASTER, PARTIAL
from vedette.clients import WAITING, Block
from vedette.clients.blocking import Waiting
from vedette.clients.session import ClientKind
from vedette.cmdspec import Flag, command
from vedette.errors import CommandError
from vedette.resp.replies import NO_REPLY, OK, Reply, SimpleString
from vedette.types import Address

from .. import directives
from ..engine import ServerContext, ServerEngine
from ..replication.failover import FailoverState
from ..replication.follow import TARGET_IS_MASTER
from ..replication.psync import Continue, FullSyncReason, PsyncRequest
from ..replication.replconf import apply_replconf
from ..replication.report import role_reply
from .arguments import NOT_AN_INTEGER, parse_integer, parse_integer_between
from .waiting import deadline_after_milliseconds

#: The reason under which clients in WAIT are blocked; waking it has them count again.
WAIT_REASON: Final = "wait"

_SYNC: Final = Flag.ADMIN | Flag.NOSCRIPT | Flag.NO_ASYNC_LOADING | Flag.NO_MULTI
_REPLICAOF: Final = Flag.ADMIN | Flag.NOSCRIPT | Flag.STALE | Flag.NO_ASYNC_LOADING
_REPLICAOF_SUMMARY: Final = "Makes the server follow a master, or (NO ONE) be one."


def start_following(
    engine: ServerEngine, master: Address, now_ms: int, *, is_starting: bool = False
) -> None:
    """Make the server a replica of `master`: for REPLICAOF and for the configuration at start."""
    replication = engine.replication
    replication.become_replica(master, now_ms, is_starting=is_starting)
    engine.configuration.put(directives.REPLICA_OF, master)
    engine.set_role(
        is_replica=True,
        is_read_only=replication.settings.is_read_only,
        is_starting=is_starting,
    )
    engine.set_link_state(is_down=True, serves_stale_data=replication.settings.serves_stale_data)


def stop_following(engine: ServerEngine, now_ms: int) -> None:
    """Make the server a master, unless it is one."""
    replication = engine.replication
    if not replication.is_replica:
        return
    replication.become_master(now_ms)
    engine.configuration.put(directives.REPLICA_OF, None)
    engine.set_role(is_replica=False)
    engine.set_link_state(is_down=False, serves_stale_data=replication.settings.serves_stale_data)


@command(
    "SLAVEOF",
    arity=3,
    flags=_REPLICAOF,
    group="server",
    since="1.0.0",
    deprecated_since="5.0.0",
    replaced_by="`REPLICAOF`",
    summary=_REPLICAOF_SUMMARY,
)
@command(
    "REPLICAOF",
    arity=3,
    flags=_REPLICAOF,
    group="server",
    since="5.0.0",
    summary=_REPLICAOF_SUMMARY,
)
def replicaof(ctx: ServerContext, argv: list[bytes]) -> Reply:
    replication = ctx.engine.replication
    if replication.failover.state is not FailoverState.NONE:
        raise CommandError(b"ERR REPLICAOF not allowed while failing over.")
    if argv[1].lower() == b"no" and argv[2].lower() == b"one":
        stop_following(ctx.engine, ctx.now_ms)
        return OK
    if ctx.session.kind is ClientKind.REPLICA:
        raise CommandError(b"ERR Command is not valid when client is a replica.")
    port = parse_integer_between(argv[2], 0, 65535, b"ERR Invalid master port")
    master = Address(argv[1].decode("utf-8", "replace"), port)
    known = replication.master
    if known is not None and (known.host.lower(), known.port) == (master.host.lower(), port):
        return SimpleString(b"OK Already connected to specified master")
    start_following(ctx.engine, master, ctx.now_ms)
    return OK


@command(
    "REPLCONF",
    arity=-1,
    flags=Flag.ADMIN | Flag.NOSCRIPT | Flag.LOADING | Flag.STALE | Flag.ALLOW_BUSY,
    group="server",
    since="3.0.0",
    summary="What a replica says of itself before it asks for synchronisation.",
)
def replconf(ctx: ServerContext, argv: list[bytes]) -> Reply:
    # Acknowledgements come from replicas, which are not served here, and requests for them from a
    # master, whose link answers them: from anybody else they mean nothing and have no reply.
    options = ctx.engine.replication.options_of(ctx.session)
    return OK if apply_replconf(options, argv) is None else NO_REPLY


@command(
    "PSYNC",
    arity=-3,
    flags=_SYNC,
    group="server",
    since="2.8.0",
    summary="Makes the connection a replica, which goes on where it stopped if it can.",
)
def psync(ctx: ServerContext, argv: list[bytes]) -> Reply:
    is_failover = len(argv) > 3 and argv[3].lower() == b"failover"
    if is_failover and ctx.session.kind is not ClientKind.REPLICA:
        _take_over(ctx, argv[1])
    return _synchronise(ctx, PsyncRequest.parse(argv))


def _take_over(ctx: ServerContext, replid: bytes) -> None:
    """Become the master in place of the one that asks, which has paused its clients.

    Raises:
        CommandError: we are a master already, or hold another history than it does.
    """
    replication = ctx.engine.replication
    if not replication.is_replica:
        raise CommandError(TARGET_IS_MASTER)
    if replid.lower() != replication.identity.replid.lower():
        raise CommandError(b"ERR PSYNC FAILOVER replid must match my replid.")
    stop_following(ctx.engine, ctx.now_ms)


@command(
    "SYNC",
    arity=1,
    flags=_SYNC,
    group="server",
    since="1.0.0",
    summary="Makes the connection a replica, beginning with a snapshot.",
)
def sync(ctx: ServerContext, argv: list[bytes]) -> Reply:
    return _synchronise(ctx, None)


def _synchronise(ctx: ServerContext, request: PsyncRequest | None) -> Reply:
    session = ctx.session
    outcome = ctx.engine.replication.synchronise(session, request, ctx.now_ms)
    if outcome is None:
        return NO_REPLY
    session.kind = ClientKind.REPLICA
    if isinstance(outcome, Continue):
        ctx.statistics.sync_partial_ok += 1
        ctx.engine.meter.on_resync(MASTER, PARTIAL, CONTINUED)
    else:
        ctx.statistics.sync_full += 1
        ctx.statistics.sync_partial_err += outcome.reason is not FullSyncReason.REQUESTED
        ctx.engine.meter.on_resync(MASTER, FULL, outcome.reason.value)
    return NO_REPLY


@command(
    "WAIT",
    arity=3,
    flags=Flag.NOSCRIPT,
    group="generic",
    since="3.0.0",
    summary="Waits until the writes so far have reached that many replicas.",
    tips=("request_policy:all_shards", "response_policy:agg_min"),
    categories=("connection",),
)
def wait(ctx: ServerContext, argv: list[bytes]) -> Reply | Block:
    """Block until `count` replicas have acknowledged all that was written so far, by anyone."""
    replication = ctx.engine.replication
    if replication.is_replica:
        raise CommandError(
            b"ERR WAIT cannot be used with replica instances. Please also note that since Redis"
            b" 4.0 if a replica is configured to be writable (which is not the default) writes to"
            b" replicas are just local and are not propagated."
        )
    count = parse_integer(argv[1], NOT_AN_INTEGER)
    deadline_ms = deadline_after_milliseconds(argv[2], ctx.now_ms)
    offset = replication.offset
    acknowledged = replication.count_acknowledged(offset)
    tell_ended = wait_timer(ctx, "wait")
    if acknowledged >= count:
        tell_ended(is_met=True)
        return acknowledged
    replication.wants_acknowledgements = True

    def retry(now_ms: int) -> Reply | Waiting:
        acknowledged = replication.count_acknowledged(offset)
        if acknowledged < count:
            return WAITING
        tell_ended(is_met=True)
        return acknowledged

    def give_up() -> Reply:
        tell_ended(is_met=False)
        return replication.count_acknowledged(offset)

    return Block((WAIT_REASON,), retry, give_up, deadline_ms)


def wait_timer(ctx: ServerContext, command: str) -> Callable[..., None]:
    """Return what is to be called with `is_met` when a wait that begins now has ended."""
    began_ms = ctx.now_ms

    def tell_ended(*, is_met: bool) -> None:
        duration_s = (ctx.now_ms - began_ms) / 1000
        ctx.engine.meter.on_wait_ended(command, duration_s, is_met=is_met)

    return tell_ended


@command(
    "ROLE",
    arity=1,
    flags=Flag.NOSCRIPT | Flag.LOADING | Flag.STALE | Flag.FAST,
    group="server",
    since="2.8.12",
    summary="Tells whether the server is a master, with its replicas, or follows one.",
    categories=("admin", "dangerous"),
)
def role(ctx: ServerContext, argv: list[bytes]) -> Reply:
    return role_reply(ctx.engine.replication)
