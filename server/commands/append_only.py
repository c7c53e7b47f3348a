"""BGREWRITEAOF and WAITAOF: Redis 7.0 `aof.c`, 7.2 `replication.c: waitaofCommand`."""

from __future__ import annotations

from vedette.clients import WAITING, Block
from vedette.clients.blocking import Waiting
from vedette.cmdspec import Flag, command
from vedette.errors import CommandError
from vedette.resp.replies import Reply, SimpleString

from ..engine import ServerContext
from ..persistence.aof.log import AofState
from .arguments import parse_integer
from .replication import WAIT_REASON, wait_timer
from .waiting import deadline_after_milliseconds

NO_FILE_TO_WAIT_FOR = CommandError(
    b"ERR WAITAOF cannot be used when numlocal is set but appendonly is disabled."
)


@command(
    "BGREWRITEAOF",
    arity=1,
    flags=Flag.ADMIN | Flag.NOSCRIPT | Flag.NO_ASYNC_LOADING,
    group="server",
    since="1.0.0",
    summary="Writes the append-only file anew in a child process.",
)
def bgrewriteaof(ctx: ServerContext, argv: list[bytes]) -> Reply:
    engine = ctx.engine
    rewrite = engine.aof.rewrite
    if rewrite.is_in_progress:
        raise CommandError(b"ERR Background append only file rewriting already in progress")
    port = engine.aof.port
    if port is None:
        raise CommandError(b"ERR This server has no append-only file")
    if engine.background.active is not None or engine.is_in_transaction:
        rewrite.is_scheduled = True
        rewrite.failures = 0  # whoever asks for it need not wait out earlier failures
        return SimpleString(b"Background append only file rewriting scheduled")
    try:
        port.rewrite()
    except OSError:
        raise CommandError(
            b"ERR Can't execute an AOF background rewriting. Please check the server logs for more"
            b" information."
        ) from None
    return SimpleString(b"Background append only file rewriting started")


@command(
    "WAITAOF",
    arity=4,
    flags=Flag.NOSCRIPT,
    group="generic",
    since="7.2.0",
    summary="Waits until the writes so far are on the disk, here and on that many replicas.",
    tips=("request_policy:all_shards", "response_policy:agg_min"),
    categories=("connection",),
)
def waitaof(ctx: ServerContext, argv: list[bytes]) -> Reply | Block:
    """Block until all that was written so far, by anyone, is synced as often as is asked for."""
    replication, aof = ctx.engine.replication, ctx.engine.aof
    local_count = parse_integer(argv[1])
    if not 0 <= local_count <= 1:
        raise CommandError(b"ERR value is out of range, value must between 0 and 1")
    replica_count = parse_integer(argv[2])
    if replica_count < 0:
        raise CommandError(b"ERR value is out of range, must be positive")
    deadline_ms = deadline_after_milliseconds(argv[3], ctx.now_ms)
    if replication.is_replica:
        raise CommandError(
            b"ERR WAITAOF cannot be used with replica instances. Please also note that writes to"
            b" replicas are just local and are not propagated."
        )
    if local_count and aof.state is AofState.OFF:
        raise NO_FILE_TO_WAIT_FOR
    position, offset = aof.appended, replication.offset

    def counts() -> tuple[int, int]:
        is_synced = aof.state is AofState.ON and aof.synced.position >= position
        return int(is_synced), replication.count_synced(offset)

    def give_up() -> Reply:
        tell_ended(is_met=False)
        return list(counts())

    def retry(now_ms: int) -> Reply | Waiting:
        if local_count and aof.state is AofState.OFF:  # it was turned off meanwhile
            tell_ended(is_met=False)
            return ctx.engine.error_reply(NO_FILE_TO_WAIT_FOR.text)
        local, replicas = counts()
        if local < local_count or replicas < replica_count:
            return WAITING
        tell_ended(is_met=True)
        return [local, replicas]

    tell_ended = wait_timer(ctx, "waitaof")
    met = retry(ctx.now_ms)
    if not isinstance(met, Waiting):
        return met
    replication.wants_acknowledgements = True
    return Block((WAIT_REASON,), retry, give_up, deadline_ms)
