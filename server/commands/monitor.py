"""MONITOR: being shown every command that runs (Redis 7.0 `server.c: monitorCommand`)."""

from __future__ import annotations

from vedette.clients import ClientKind
from vedette.cmdspec import Flag, command
from vedette.errors import CommandError
from vedette.resp.replies import NO_REPLY, OK, Reply

from ..engine import ServerContext


@command(
    "MONITOR",
    arity=1,
    flags=Flag.ADMIN | Flag.NOSCRIPT | Flag.LOADING | Flag.STALE,
    group="server",
    since="1.0.0",
    summary="Shows this connection every command that the server runs from now on.",
)
def monitor(ctx: ServerContext, argv: list[bytes]) -> Reply:
    if ctx.engine.is_in_transaction:
        raise CommandError(b"ERR MONITOR isn't allowed for DENY BLOCKING client")
    session = ctx.session
    if session.is_monitor or session.kind is ClientKind.REPLICA:
        return NO_REPLY
    ctx.engine.monitors.add(session)
    ctx.engine.watch_calls()
    return OK
