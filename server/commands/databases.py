"""Databases as wholes: choosing, measuring, emptying and exchanging them (Redis 7.0 `db.c`)."""

from __future__ import annotations

from typing import Final

from vedette.cmdspec import Flag, command
from vedette.errors import CommandError
from vedette.resp.replies import OK, Reply

from .. import directives
from ..engine import ServerContext
from ..store.database import Database
from .arguments import (
    DATABASE_OUT_OF_RANGE,
    NOT_AN_INTEGER,
    parse_integer,
    parse_integer_between,
    syntax_error,
)

_INT_MAX: Final = 2**31 - 1
_OUT_OF_INT_RANGE: Final = (
    b"ERR value is out of range, value must between -2147483648 and 2147483647"
)


def database_of(ctx: ServerContext, text: bytes, error: bytes | None = None) -> Database:
    """Return the database with the index `text`.

    Raises:
        CommandError: it is no integer (the text is `error` if given), or there is no such database.
    """
    index = parse_integer(text, error or NOT_AN_INTEGER)
    if not -_INT_MAX - 1 <= index <= _INT_MAX:
        raise CommandError(error or _OUT_OF_INT_RANGE)
    if not 0 <= index < len(ctx.keyspace.databases):
        raise CommandError(DATABASE_OUT_OF_RANGE)
    return ctx.keyspace.databases[index]


@command(
    "SELECT",
    arity=2,
    flags=Flag.LOADING | Flag.STALE | Flag.FAST,
    group="connection",
    since="1.0.0",
    summary="Chooses the database that the connection works on.",
)
def select(ctx: ServerContext, argv: list[bytes]) -> Reply:
    ctx.db = database_of(ctx, argv[1])
    ctx.session.database_index = ctx.db.index
    return OK


@command(
    "DBSIZE",
    arity=1,
    flags=Flag.READONLY | Flag.FAST,
    group="server",
    since="1.0.0",
    tips=("request_policy:all_shards", "response_policy:agg_sum"),
    summary="Returns the number of keys in the database.",
    categories=("keyspace",),
)
def dbsize(ctx: ServerContext, argv: list[bytes]) -> Reply:
    return len(ctx.db)


@command(
    "FLUSHDB",
    arity=-1,
    flags=Flag.WRITE,
    group="server",
    since="1.0.0",
    tips=("request_policy:all_shards", "response_policy:all_succeeded"),
    summary="Deletes every key of the database.",
    categories=("keyspace", "dangerous"),
)
def flushdb(ctx: ServerContext, argv: list[bytes]) -> Reply:
    _flush(ctx, argv, [ctx.db])
    return OK


@command(
    "FLUSHALL",
    arity=-1,
    flags=Flag.WRITE,
    group="server",
    since="1.0.0",
    tips=("request_policy:all_shards", "response_policy:all_succeeded"),
    summary="Deletes every key of every database.",
    categories=("keyspace", "dangerous"),
)
def flushall(ctx: ServerContext, argv: list[bytes]) -> Reply:
    _flush(ctx, argv, ctx.keyspace.databases)
    # A snapshot of what is no more would come true at the next start.
    ctx.engine.host.abort_background_save()
    if ctx.engine.configuration[directives.SAVE] and not ctx.engine.is_loading:
        try:
            ctx.engine.host.save()
        except OSError:
            # The keys are gone all the same; what could not be saved now, the save points will.
            return OK
    return OK


def _flush(ctx: ServerContext, argv: list[bytes], databases: list[Database]) -> None:
    """Delete all keys of `databases`, freeing them bit by bit if that is asked for.

    Replicas flush too, even where nothing was deleted: they may hold what we do not.
    """
    mode = argv[1].upper() if len(argv) > 1 else b""
    if len(argv) > 2 or mode not in (b"", b"SYNC", b"ASYNC"):
        raise syntax_error()
    is_lazy = mode == b"ASYNC" or (
        not mode and ctx.engine.configuration[directives.LAZYFREE_LAZY_USER_FLUSH]
    )
    for database in databases:
        values = database.take_all()
        ctx.keyspace.dirty += len(values)
        if is_lazy:
            ctx.engine.memory.lazy_free.add_dataset(values)
    ctx.engine.on_flush()
    ctx.engine.propagate(ctx.db.index, argv)


@command(
    "SWAPDB",
    arity=3,
    flags=Flag.WRITE | Flag.FAST,
    group="server",
    since="4.0.0",
    summary="Exchanges the contents of two databases.",
    categories=("keyspace", "dangerous"),
)
def swapdb(ctx: ServerContext, argv: list[bytes]) -> Reply:
    indexes = [
        parse_integer_between(text, -_INT_MAX - 1, _INT_MAX, b"ERR invalid %b DB index" % which)
        for text, which in zip(argv[1:], (b"first", b"second"), strict=True)
    ]
    databases = ctx.keyspace.databases
    if not all(0 <= index < len(databases) for index in indexes):
        raise CommandError(DATABASE_OUT_OF_RANGE)
    if indexes[0] != indexes[1]:
        ctx.keyspace.swap(databases[indexes[0]], databases[indexes[1]], ctx.now_ms)
    ctx.changes = 1
    return OK
