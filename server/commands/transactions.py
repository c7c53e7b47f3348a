"""MULTI, EXEC, DISCARD, WATCH, UNWATCH: Redis 7.0 `multi.c`.

Queueing itself is the engine's: it answers QUEUED to whatever these commands are not. What a
transaction changes leaves as one unit.
"""

from __future__ import annotations

from typing import Final

from vedette.cmdspec import Flag, Keys, command
from vedette.errors import CommandError
from vedette.resp.replies import NULL_ARRAY, OK, Reply

from ..engine import ServerContext

_FLAGS: Final = (
    Flag.NOSCRIPT | Flag.LOADING | Flag.STALE | Flag.FAST | Flag.ALLOW_BUSY | Flag.NOT_QUEUED
)


@command(
    "MULTI",
    arity=1,
    flags=_FLAGS,
    group="transactions",
    since="1.2.0",
    summary="Begins a transaction: what follows is queued until EXEC.",
)
def multi(ctx: ServerContext, argv: list[bytes]) -> Reply:
    session = ctx.session
    if session.queued_commands is not None:
        raise CommandError(b"ERR MULTI calls can not be nested")
    session.queued_commands = []
    session.recheck()
    return OK


@command(
    "DISCARD",
    arity=1,
    flags=_FLAGS,
    group="transactions",
    since="2.0.0",
    summary="Drops the transaction and all watches.",
)
def discard(ctx: ServerContext, argv: list[bytes]) -> Reply:
    if ctx.session.queued_commands is None:
        raise CommandError(b"ERR DISCARD without MULTI")
    ctx.engine.discard_transaction(ctx.session)
    return OK


@command(
    "EXEC",
    arity=1,
    flags=Flag.NOSCRIPT | Flag.LOADING | Flag.STALE | Flag.SKIP_SLOWLOG | Flag.NOT_QUEUED,
    group="transactions",
    since="1.2.0",
    summary="Runs what was queued since MULTI, unless a watched key has changed.",
)
def exec_(ctx: ServerContext, argv: list[bytes]) -> Reply:
    session = ctx.session
    engine = ctx.engine
    queued = session.queued_commands
    if queued is None:
        raise CommandError(b"ERR EXEC without MULTI")
    has_errors = session.errors_in_transaction
    is_stale = session.watch_is_broken or ctx.keyspace.has_watched_key_expired(session, ctx.now_ms)
    engine.discard_transaction(session)
    if has_errors:
        raise CommandError(b"EXECABORT Transaction discarded because of previous errors.")
    if is_stale:
        return NULL_ARRAY
    engine.begin_transaction()
    try:
        return engine.run_queued(session, queued)
    finally:
        engine.end_transaction()


@command(
    "WATCH",
    arity=-2,
    flags=_FLAGS | Flag.NO_TOUCH,
    keys=Keys(1, -1, 1, ("RO",)),
    group="transactions",
    since="2.2.0",
    summary="Has the next EXEC do nothing if one of the keys changes before it.",
)
def watch(ctx: ServerContext, argv: list[bytes]) -> Reply:
    session = ctx.session
    if session.queued_commands is not None:
        raise CommandError(b"ERR WATCH inside MULTI is not allowed")
    if session.watch_is_broken:
        return OK
    for key in argv[1:]:
        is_expired = ctx.db.is_expired(key, ctx.now_ms)
        ctx.keyspace.watch(session, ctx.db, key, is_expired=is_expired)
    return OK


@command(
    "UNWATCH",
    arity=1,
    flags=Flag.NOSCRIPT | Flag.LOADING | Flag.STALE | Flag.FAST | Flag.ALLOW_BUSY,
    group="transactions",
    since="2.2.0",
    summary="Ends all watches.",
)
def unwatch(ctx: ServerContext, argv: list[bytes]) -> Reply:
    ctx.keyspace.unwatch(ctx.session)
    return OK
