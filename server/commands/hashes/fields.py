"""Hashes: setting, reading and deleting single fields.

HSET is among the hottest commands, so it looks its hash up itself while no key expires.
"""

from __future__ import annotations

from typing import Final

from vedette.cmdspec import Flag, Keys, command
from vedette.resp.replies import OK, Reply

from ...engine import ServerContext
from ...engine.keyspace_events import KeyspaceEvents
from ...store.hashes import Hash
from ..arguments import wrong_arity

_READ: Final = Keys(1, 1, 1, ("RO", "ACCESS"))
_LOOK: Final = Keys(1, 1, 1, ("RO",))
#: Bound here, because looking up a member of an enum takes as long as finding the hash.
_EVENT: Final = KeyspaceEvents.HASH
_WRITE_FLAGS: Final = Flag.WRITE | Flag.DENYOOM | Flag.FAST
_READ_FLAGS: Final = Flag.READONLY | Flag.FAST


@command(
    "HSET",
    arity=-4,
    flags=_WRITE_FLAGS,
    keys=Keys(1, 1, 1, ("RW", "UPDATE")),
    group="hash",
    since="2.0.0",
    summary="Sets fields of a hash and returns how many of them are new.",
)
def hset(ctx: ServerContext, argv: list[bytes]) -> Reply:
    if len(argv) % 2:
        raise wrong_arity(b"hset")
    return _set_fields(ctx, argv)


@command(
    "HMSET",
    arity=-4,
    flags=_WRITE_FLAGS,
    keys=Keys(1, 1, 1, ("RW", "UPDATE")),
    group="hash",
    since="2.0.0",
    summary="Sets fields of a hash.",
    deprecated_since="4.0.0",
    replaced_by="`HSET` with multiple field-value pairs",
)
def hmset(ctx: ServerContext, argv: list[bytes]) -> Reply:
    if len(argv) % 2:
        raise wrong_arity(b"hmset")
    _set_fields(ctx, argv)
    return OK


def _set_fields(ctx: ServerContext, argv: list[bytes]) -> int:
    """Set the fields given behind the key; return how many of them are new."""
    key = argv[1]
    db = ctx.db
    value = db.values.get(key)
    if type(value) is not Hash or db.expires:
        value = hash_to_change(ctx, key)
    limits = ctx.limits
    count = len(argv)
    if count == 4:
        created = value.set(argv[2], argv[3], limits)
    else:
        created = 0
        for index in range(2, count, 2):
            created += value.set(argv[index], argv[index + 1], limits)
    if db.observed:
        db.touch(key)
    if ctx.is_notifying:
        ctx.notify(_EVENT, b"hset", key)
    ctx.changes = count // 2 - 1
    return created


def hash_to_change(ctx: ServerContext, key: bytes) -> Hash:
    """Return the hash at `key`, a new one if there is none; the caller adds a field to it.

    Raises:
        CommandError: the value there is of another type.
    """
    value = ctx.peek_as(key, Hash)
    if value is None:
        value = Hash()
        ctx.db.set(key, value)
    return value


@command(
    "HSETNX",
    arity=4,
    flags=_WRITE_FLAGS,
    keys=Keys(1, 1, 1, ("RW", "INSERT")),
    group="hash",
    since="2.0.0",
    summary="Sets a field of a hash unless the field exists.",
)
def hsetnx(ctx: ServerContext, argv: list[bytes]) -> Reply:
    _, key, field, text = argv
    value = ctx.peek_as(key, Hash)
    if value is not None and field in value.fields:
        return 0
    if value is None:
        value = hash_to_change(ctx, key)
    value.set(field, text, ctx.limits)
    ctx.db.touch(key)
    ctx.notify(_EVENT, b"hset", key)
    ctx.changes = 1
    return 1


@command(
    "HGET",
    arity=3,
    flags=_READ_FLAGS,
    keys=_READ,
    group="hash",
    since="2.0.0",
    summary="Returns the value of a field of a hash.",
)
def hget(ctx: ServerContext, argv: list[bytes]) -> Reply:
    value = ctx.read_as(argv[1], Hash)
    return None if value is None else value.fields.get(argv[2])


@command(
    "HMGET",
    arity=-3,
    flags=_READ_FLAGS,
    keys=_READ,
    group="hash",
    since="2.0.0",
    summary="Returns the values of several fields of a hash.",
)
def hmget(ctx: ServerContext, argv: list[bytes]) -> Reply:
    value = ctx.read_as(argv[1], Hash)
    fields = {} if value is None else value.fields
    return [fields.get(field) for field in argv[2:]]


@command(
    "HEXISTS",
    arity=3,
    flags=_READ_FLAGS,
    keys=_LOOK,
    group="hash",
    since="2.0.0",
    summary="Tells whether a hash has a field.",
)
def hexists(ctx: ServerContext, argv: list[bytes]) -> Reply:
    value = ctx.read_as(argv[1], Hash)
    return int(value is not None and argv[2] in value.fields)


@command(
    "HSTRLEN",
    arity=3,
    flags=_READ_FLAGS,
    keys=_LOOK,
    group="hash",
    since="3.2.0",
    summary="Returns the length of the value of a field of a hash.",
)
def hstrlen(ctx: ServerContext, argv: list[bytes]) -> Reply:
    value = ctx.read_as(argv[1], Hash)
    return 0 if value is None else len(value.fields.get(argv[2], b""))


@command(
    "HLEN",
    arity=2,
    flags=_READ_FLAGS,
    keys=_LOOK,
    group="hash",
    since="2.0.0",
    summary="Returns how many fields a hash has.",
)
def hlen(ctx: ServerContext, argv: list[bytes]) -> Reply:
    value = ctx.read_as(argv[1], Hash)
    return 0 if value is None else len(value)


@command(
    "HDEL",
    arity=-3,
    flags=Flag.WRITE | Flag.FAST,
    keys=Keys(1, 1, 1, ("RW", "DELETE")),
    group="hash",
    since="2.0.0",
    summary="Deletes fields of a hash and returns how many there were.",
)
def hdel(ctx: ServerContext, argv: list[bytes]) -> Reply:
    key = argv[1]
    value = ctx.peek_as(key, Hash)
    if value is None:
        return 0
    deleted = sum(map(value.delete, argv[2:]))
    if deleted:
        ctx.changes = deleted
        ctx.db.touch(key)
        ctx.notify(_EVENT, b"hdel", key)
        if not value:
            ctx.db.delete(key)
            ctx.notify(KeyspaceEvents.GENERIC, b"del", key)
    return deleted
