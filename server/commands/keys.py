"""Keys whatever they hold: deleting, renaming, copying, moving (Redis 7.0 `db.c`)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from vedette.cmdspec import Flag, Keys, command
from vedette.cmdspec.keys import KeySpec
from vedette.errors import CommandError
from vedette.resp.replies import OK, Reply, SimpleString

from .. import directives
from ..engine import ServerContext
from ..engine.keyspace_events import KeyspaceEvents
from ..store.database import Database
from ..store.values import Value, type_name
from .arguments import NO_SUCH_KEY, syntax_error
from .databases import database_of

_GENERIC: Final = KeyspaceEvents.GENERIC
_SAME_OBJECT: Final = b"ERR source and destination objects are the same"
_SUM: Final = ("request_policy:multi_shard", "response_policy:agg_sum")


@command(
    "DEL",
    arity=-2,
    flags=Flag.WRITE,
    keys=Keys(1, -1, 1, ("RM", "DELETE")),
    group="generic",
    since="1.0.0",
    tips=_SUM,
    summary="Deletes keys.",
)
def del_(ctx: ServerContext, argv: list[bytes]) -> Reply:
    if ctx.engine.configuration[directives.LAZYFREE_LAZY_USER_DEL]:
        return unlink(ctx, argv)
    return _delete(ctx, argv[1:], lambda value: None)


@command(
    "UNLINK",
    arity=-2,
    flags=Flag.WRITE | Flag.FAST,
    keys=Keys(1, -1, 1, ("RM", "DELETE")),
    group="generic",
    since="4.0.0",
    tips=_SUM,
    summary="Deletes keys; large values are freed bit by bit, and nobody waits for that.",
)
def unlink(ctx: ServerContext, argv: list[bytes]) -> Reply:
    return _delete(ctx, argv[1:], ctx.engine.memory.lazy_free.add)


def _delete(ctx: ServerContext, keys: list[bytes], free: Callable[[Value], None]) -> int:
    """Delete `keys`, what they held being handed to `free`; return how many there were."""
    db = ctx.db
    deleted = 0
    for key in keys:
        if db.expires and ctx.peek(key) is None:
            continue
        value = db.take(key)
        if value is None:
            continue
        deleted += 1
        free(value)
        if ctx.is_notifying:
            ctx.notify(_GENERIC, b"del", key)
    if deleted:
        ctx.changes = deleted
    return deleted


@command(
    "EXISTS",
    arity=-2,
    flags=Flag.READONLY | Flag.FAST | Flag.NO_TOUCH,
    keys=Keys(1, -1, 1, ("RO",)),
    group="generic",
    since="1.0.0",
    tips=_SUM,
    summary="Counts how many of the keys exist; one named twice counts twice.",
)
@command(
    "TOUCH",
    arity=-2,
    flags=Flag.READONLY | Flag.FAST,
    keys=Keys(1, -1, 1, ("RO",)),
    group="generic",
    since="3.2.1",
    tips=_SUM,
    summary="Counts how many of the keys exist, as EXISTS does.",
)
def exists(ctx: ServerContext, argv: list[bytes]) -> Reply:
    return sum(ctx.read(key) is not None for key in argv[1:])


@command(
    "TYPE",
    arity=2,
    flags=Flag.READONLY | Flag.FAST | Flag.NO_TOUCH,
    keys=Keys(1, 1, 1, ("RO",)),
    group="generic",
    since="1.0.0",
    summary="Returns the type of the value at a key.",
)
def type_(ctx: ServerContext, argv: list[bytes]) -> Reply:
    value = ctx.read(argv[1])
    return SimpleString(b"none" if value is None else type_name(value))


@command(
    "RENAME",
    arity=3,
    flags=Flag.WRITE,
    keys=Keys(
        1,
        2,
        1,
        groups=(KeySpec(1, ("RW", "ACCESS", "DELETE")), KeySpec(2, ("OW", "UPDATE"))),
    ),
    group="generic",
    since="1.0.0",
    summary="Renames a key, overwriting one of the new name.",
)
def rename(ctx: ServerContext, argv: list[bytes]) -> Reply:
    _rename(ctx, argv[1], argv[2], overwrites=True)
    return OK


@command(
    "RENAMENX",
    arity=3,
    flags=Flag.WRITE | Flag.FAST,
    keys=Keys(
        1,
        2,
        1,
        groups=(KeySpec(1, ("RW", "ACCESS", "DELETE")), KeySpec(2, ("OW", "INSERT"))),
    ),
    group="generic",
    since="1.0.0",
    summary="Renames a key unless there is one of the new name.",
)
def renamenx(ctx: ServerContext, argv: list[bytes]) -> Reply:
    return int(_rename(ctx, argv[1], argv[2], overwrites=False))


def _rename(ctx: ServerContext, key: bytes, new_key: bytes, *, overwrites: bool) -> bool:
    value = ctx.peek(key)
    if value is None:
        raise CommandError(NO_SUCH_KEY)
    if key == new_key:
        return False
    if ctx.peek(new_key) is not None and not overwrites:
        return False
    db = ctx.db
    expire_at_ms = db.expires.get(key)
    mark = db.usage.get(key)
    db.delete(key)
    _put(ctx, db, new_key, value, expire_at_ms)
    _keep_mark(db, new_key, mark)
    ctx.notify(_GENERIC, b"rename_from", key)
    ctx.notify(_GENERIC, b"rename_to", new_key)
    ctx.changes = 1
    return True


def _keep_mark(db: Database, key: bytes, mark: int | None) -> None:
    """Have `key` be as used as its value was under another name."""
    if mark is not None:
        db.usage[key] = mark


def _put(
    ctx: ServerContext, db: Database, key: bytes, value: Value, expire_at_ms: int | None
) -> None:
    """Make `key` anew, with the expiry time that its value had elsewhere."""
    before = db.take(key)
    if before is not None and ctx.engine.configuration[directives.LAZYFREE_LAZY_SERVER_DEL]:
        ctx.engine.memory.lazy_free.add(before)
    db.set(key, value)
    if expire_at_ms is not None:
        db.expire_at(key, expire_at_ms)


def _peek_in(ctx: ServerContext, db: Database, key: bytes) -> Value | None:
    """Return what `key` holds in a database that need not be the client's."""
    own = ctx.db
    ctx.db = db
    try:
        return ctx.peek(key)
    finally:
        ctx.db = own


def _notify_in(ctx: ServerContext, db: Database, event: bytes, key: bytes) -> None:
    """Publish an event of a key in a database that need not be the client's."""
    if ctx.is_notifying:
        ctx.engine.publish_key_event(_GENERIC, db.index, event, key)


@command(
    "COPY",
    arity=-3,
    flags=Flag.WRITE | Flag.DENYOOM,
    keys=Keys(1, 2, 1, groups=(KeySpec(1, ("RO", "ACCESS")), KeySpec(2, ("OW", "UPDATE")))),
    group="generic",
    since="6.2.0",
    summary="Copies the value and expiry time of a key to another.",
)
def copy(ctx: ServerContext, argv: list[bytes]) -> Reply:
    key, new_key = argv[1], argv[2]
    target = ctx.db
    replaces = False
    rest = iter(argv[3:])
    for word in rest:
        option = word.upper()
        if option == b"REPLACE":
            replaces = True
        elif option == b"DB" and (index := next(rest, None)) is not None:
            target = database_of(ctx, index)
        else:
            raise syntax_error()
    if target is ctx.db and key == new_key:
        raise CommandError(_SAME_OBJECT)
    value = ctx.read(key)
    if value is None:
        return 0
    if _peek_in(ctx, target, new_key) is not None and not replaces:
        return 0
    copied = value if isinstance(value, bytes) else value.copy()
    _put(ctx, target, new_key, copied, ctx.db.expires.get(key))
    _notify_in(ctx, target, b"copy_to", new_key)
    ctx.changes = 1
    return 1


@command(
    "MOVE",
    arity=3,
    flags=Flag.WRITE | Flag.FAST,
    keys=Keys(1, 1, 1, ("RW", "ACCESS", "UPDATE")),
    group="generic",
    since="1.0.0",
    summary="Moves a key to another database, unless it is there already.",
)
def move(ctx: ServerContext, argv: list[bytes]) -> Reply:
    key = argv[1]
    target = database_of(ctx, argv[2])
    if target is ctx.db:
        raise CommandError(_SAME_OBJECT)
    value = ctx.peek(key)
    if value is None or _peek_in(ctx, target, key) is not None:
        return 0
    mark = ctx.db.usage.get(key)
    _put(ctx, target, key, value, ctx.db.expires.get(key))
    ctx.db.delete(key)
    _keep_mark(target, key, mark)
    ctx.notify(_GENERIC, b"move_from", key)
    _notify_in(ctx, target, b"move_to", key)
    ctx.changes = 1
    return 1
