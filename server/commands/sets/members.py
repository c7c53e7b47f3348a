"""Sets: adding, removing, moving and listing members.

SADD is among the hottest commands, so it looks its set up itself while no key expires.
"""

from __future__ import annotations

from typing import Final

from vedette.cmdspec import Flag, Keys, KeySpec, command
from vedette.resp.replies import Reply, SetReply

from ...engine import ServerContext
from ...engine.keyspace_events import KeyspaceEvents
from ...store.sets import Set
from ..scanning import scan_elements

#: Bound here, because looking up a member of an enum takes as long as finding the set.
_EVENT: Final = KeyspaceEvents.SET
_READ: Final = Keys(1, 1, 1, ("RO", "ACCESS"))
_LOOK: Final = Keys(1, 1, 1, ("RO",))


@command(
    "SADD",
    arity=-3,
    flags=Flag.WRITE | Flag.DENYOOM | Flag.FAST,
    keys=Keys(1, 1, 1, ("RW", "INSERT")),
    group="set",
    since="1.0.0",
    summary="Adds members to a set and returns how many of them are new.",
)
def sadd(ctx: ServerContext, argv: list[bytes]) -> Reply:
    key = argv[1]
    db = ctx.db
    value = db.values.get(key)
    if type(value) is not Set or db.expires:
        value = ctx.peek_as(key, Set)
        if value is None:
            value = Set()
            db.set(key, value)
    limits = ctx.limits
    if len(argv) == 3:
        added = 1 if value.add(argv[2], limits) else 0
    else:
        added = sum([value.add(member, limits) for member in argv[2:]])
    if added:
        if db.observed:
            db.touch(key)
        if ctx.is_notifying:
            ctx.notify(_EVENT, b"sadd", key)
        ctx.changes = added
    return added


@command(
    "SREM",
    arity=-3,
    flags=Flag.WRITE | Flag.FAST,
    keys=Keys(1, 1, 1, ("RW", "DELETE")),
    group="set",
    since="1.0.0",
    summary="Removes members from a set and returns how many there were.",
)
def srem(ctx: ServerContext, argv: list[bytes]) -> Reply:
    key = argv[1]
    value = ctx.peek_as(key, Set)
    if value is None:
        return 0
    removed = sum(map(value.remove, argv[2:]))
    if removed:
        ctx.changes = removed
        ctx.db.touch(key)
        ctx.notify(_EVENT, b"srem", key)
        delete_if_empty(ctx, key, value)
    return removed


def delete_if_empty(ctx: ServerContext, key: bytes, value: Set) -> None:
    """Delete `key` if the last member of its set was removed."""
    if not value:
        ctx.db.delete(key)
        ctx.notify(KeyspaceEvents.GENERIC, b"del", key)


@command(
    "SMOVE",
    arity=4,
    flags=Flag.WRITE | Flag.FAST,
    keys=Keys(
        1,
        2,
        1,
        groups=(KeySpec(1, ("RW", "ACCESS", "DELETE")), KeySpec(2, ("RW", "INSERT"))),
    ),
    group="set",
    since="1.0.0",
    summary="Moves a member from one set to another.",
)
def smove(ctx: ServerContext, argv: list[bytes]) -> Reply:
    _, key, new_key, member = argv
    values = ctx.peek(key), ctx.peek(new_key)  # both, for either may have expired
    if values[0] is None:
        return 0  # whatever the other key holds
    source = ctx.peek_as(key, Set)
    target = ctx.peek_as(new_key, Set)
    assert source is not None
    if source is target:
        return int(member in source)
    if not source.remove(member):
        return 0
    db = ctx.db
    ctx.changes = 1
    db.touch(key)
    ctx.notify(_EVENT, b"srem", key)
    delete_if_empty(ctx, key, source)
    if target is None:
        target = Set()
        db.set(new_key, target)
    if target.add(member, ctx.limits):
        ctx.changes = 2
        db.touch(new_key)
        ctx.notify(_EVENT, b"sadd", new_key)
    return 1


@command(
    "SISMEMBER",
    arity=3,
    flags=Flag.READONLY | Flag.FAST,
    keys=_LOOK,
    group="set",
    since="1.0.0",
    summary="Tells whether a set has a member.",
)
def sismember(ctx: ServerContext, argv: list[bytes]) -> Reply:
    value = ctx.read_as(argv[1], Set)
    return int(value is not None and argv[2] in value.members)


@command(
    "SMISMEMBER",
    arity=-3,
    flags=Flag.READONLY | Flag.FAST,
    keys=_READ,
    group="set",
    since="6.2.0",
    summary="Tells for each of several members whether a set has it.",
)
def smismember(ctx: ServerContext, argv: list[bytes]) -> Reply:
    value = ctx.read_as(argv[1], Set)
    members = frozenset[bytes]() if value is None else value.members
    return [int(member in members) for member in argv[2:]]


@command(
    "SCARD",
    arity=2,
    flags=Flag.READONLY | Flag.FAST,
    keys=_LOOK,
    group="set",
    since="1.0.0",
    summary="Returns how many members a set has.",
)
def scard(ctx: ServerContext, argv: list[bytes]) -> Reply:
    value = ctx.read_as(argv[1], Set)
    return 0 if value is None else len(value)


@command(
    "SMEMBERS",
    arity=2,
    flags=Flag.READONLY,
    keys=_READ,
    group="set",
    since="1.0.0",
    tips=("nondeterministic_output_order",),
    summary="Returns all members of a set.",
)
def smembers(ctx: ServerContext, argv: list[bytes]) -> Reply:
    value = ctx.read_as(argv[1], Set)
    return SetReply([] if value is None else value.listed())


@command(
    "SSCAN",
    arity=-3,
    flags=Flag.READONLY,
    keys=_READ,
    group="set",
    since="2.8.0",
    tips=("nondeterministic_output",),
    summary="Returns some of the members of a set, and where to go on from.",
)
def sscan(ctx: ServerContext, argv: list[bytes]) -> Reply:
    return scan_elements(ctx, argv, Set, lambda value, members: list[Reply](members))
