"""SAVE, BGSAVE, LASTSAVE, SHUTDOWN, TIME: what concerns the process more than the dataset.

The work is the host's. Follows Redis 7.0 `rdb.c: saveCommand, bgsaveCommand`, `db.c:
shutdownCommand`.
"""

from __future__ import annotations

from collections.abc import Iterable

from vedette.clients.blocking import WAITING, Block, Waiting
from vedette.cmdspec import Flag, command
from vedette.errors import CommandError
from vedette.resp.replies import NO_REPLY, OK, ErrorReply, Reply, SimpleString

from ..engine import SaveInProgress, ServerContext
from ..engine.host import ShutdownRequest
from ..engine.shutdown import SHUTDOWN
from .arguments import syntax_error

_IN_PROGRESS = b"ERR Background save already in progress"
_SHUTDOWN_FAILED = b"ERR Errors trying to SHUTDOWN. Check logs."


@command(
    "SAVE",
    arity=1,
    flags=Flag.ADMIN | Flag.NOSCRIPT | Flag.NO_ASYNC_LOADING | Flag.NO_MULTI,
    group="server",
    since="1.0.0",
    summary="Writes a snapshot before it answers.",
)
def save(ctx: ServerContext, argv: list[bytes]) -> Reply:
    try:
        ctx.engine.host.save()
    except SaveInProgress:
        raise CommandError(_IN_PROGRESS) from None
    except OSError as error:
        raise CommandError(b"ERR") from error  # no more is said by Redis; the log says why
    return OK


@command(
    "BGSAVE",
    arity=-1,
    flags=Flag.ADMIN | Flag.NOSCRIPT | Flag.NO_ASYNC_LOADING,
    group="server",
    since="1.0.0",
    summary="Writes a snapshot in a child process.",
)
def bgsave(ctx: ServerContext, argv: list[bytes]) -> Reply:
    if len(argv) > 2 or (len(argv) == 2 and argv[1].upper() != b"SCHEDULE"):
        raise syntax_error()
    engine = ctx.engine
    if engine.background.is_saving or engine.saves.is_in_progress:
        raise CommandError(_IN_PROGRESS)
    if engine.background.active is not None or engine.is_in_transaction:
        # A snapshot taken now would hold half a transaction.
        if len(argv) == 1 and not engine.is_in_transaction:
            raise CommandError(
                b"ERR Another child process is active (AOF?): can't BGSAVE right now. Use BGSAVE"
                b" SCHEDULE in order to schedule a BGSAVE whenever possible."
            )
        engine.saves.is_scheduled = True
        return SimpleString(b"Background saving scheduled")
    try:
        engine.host.start_background_save()
    except SaveInProgress:
        raise CommandError(_IN_PROGRESS) from None
    except OSError as error:
        reason = (error.strerror or str(error)).encode()
        raise CommandError(b"ERR Can't save in background: %b" % reason) from error
    return SimpleString(b"Background saving started")


@command(
    "LASTSAVE",
    arity=1,
    flags=Flag.LOADING | Flag.STALE | Flag.FAST,
    group="server",
    since="1.0.0",
    tips=("nondeterministic_output",),
    summary="Returns when the last snapshot was finished, as a Unix time in seconds.",
    categories=("admin", "dangerous"),
)
def lastsave(ctx: ServerContext, argv: list[bytes]) -> Reply:
    return ctx.engine.saves.last_save_ms // 1000


@command(
    "SHUTDOWN",
    arity=-1,
    flags=Flag.ADMIN | Flag.NOSCRIPT | Flag.LOADING | Flag.STALE | Flag.NO_MULTI | Flag.ALLOW_BUSY,
    group="server",
    since="1.0.0",
    summary="Stops the server, saving first if there are save points or SAVE says so.",
)
def shutdown(ctx: ServerContext, argv: list[bytes]) -> Reply | Block:
    """Have the server end; while it waits for its replicas, so does the client."""
    words = {word.decode("utf-8", "replace").upper() for word in argv[1:]}
    if not words <= {"SAVE", "NOSAVE", "NOW", "FORCE", "ABORT"}:
        raise syntax_error()
    if words >= {"SAVE", "NOSAVE"} or ("ABORT" in words and len(words) > 1):
        raise syntax_error()
    host, state = ctx.engine.host, ctx.engine.shutdown
    if "ABORT" in words:
        if not host.abort_shutdown():
            raise CommandError(b"ERR No shutdown in progress.")
        return OK
    busy = ctx.engine.scripting.slow_refusal
    if busy is not None and "NOSAVE" not in words:
        raise busy
    try:
        host.request_shutdown(shutdown_request(words))
    except OSError as error:
        raise CommandError(_SHUTDOWN_FAILED) from error
    if not state.is_waiting:
        return NO_REPLY  # the connection ends with the server

    def retry(now_ms: int) -> Reply | Waiting:
        return WAITING if state.is_waiting else ErrorReply(_SHUTDOWN_FAILED)

    return Block((SHUTDOWN,), retry, lambda: ErrorReply(_SHUTDOWN_FAILED))


def shutdown_request(words: Iterable[str]) -> ShutdownRequest:
    """Return what SHUTDOWN, or a directive such as `shutdown-on-sigterm`, asks for."""
    flags = {word.upper() for word in words}
    return ShutdownRequest(
        save=True if "SAVE" in flags else False if "NOSAVE" in flags else None,
        is_now="NOW" in flags,
        is_forced="FORCE" in flags,
    )


@command(
    "TIME",
    arity=1,
    flags=Flag.LOADING | Flag.STALE | Flag.FAST,
    group="server",
    since="2.6.0",
    tips=("nondeterministic_output",),
    summary="Returns the time of the server as Unix seconds and microseconds.",
)
def time_(ctx: ServerContext, argv: list[bytes]) -> Reply:
    seconds, milliseconds = divmod(ctx.now_ms, 1000)
    return [b"%d" % seconds, b"%d" % (milliseconds * 1000)]
