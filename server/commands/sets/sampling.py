"""Sets: members chosen at random, every one with the same chance."""

from __future__ import annotations

from typing import Final

from vedette.cmdspec import Flag, Keys, command
from vedette.resp.replies import Reply, SetReply

from ...engine import ServerContext
from ...engine.keyspace_events import KeyspaceEvents
from ...store.sets import Set
from ..arguments import INT64_MAX, parse_integer_between, syntax_error
from ..random_counts import parse_random_count, repeats
from .members import delete_if_empty

#: Bound here, because looking up a member of an enum takes as long as finding the set.
_EVENT: Final = KeyspaceEvents.SET
#: Members in one SREM that replicas are sent for a SPOP (7.2 `t_set.c: spopWithCountCommand`).
_MEMBERS_PER_SREM: Final = 1024


@command(
    "SPOP",
    arity=-2,
    flags=Flag.WRITE | Flag.FAST,
    keys=Keys(1, 1, 1, ("RW", "ACCESS", "DELETE")),
    group="set",
    since="1.0.0",
    tips=("nondeterministic_output",),
    summary="Removes members from a set at random and returns them.",
)
def spop(ctx: ServerContext, argv: list[bytes]) -> Reply:
    if len(argv) == 3:
        return _pop_several(ctx, argv)
    if len(argv) > 3:
        raise syntax_error()
    key = argv[1]
    value = ctx.peek_as(key, Set)
    if value is None:
        return None
    member = value.pop(ctx.random)
    ctx.changes = 1
    if ctx.db.observed:
        ctx.db.touch(key)
    if ctx.is_notifying:
        ctx.notify(_EVENT, b"spop", key)
    if ctx.engine.sinks:  # replicas would choose others
        ctx.propagate_as((b"SREM", key, member))
    if not value.members:
        delete_if_empty(ctx, key, value)
    return member


def _pop_several(ctx: ServerContext, argv: list[bytes]) -> Reply:
    key = argv[1]
    error = b"ERR value is out of range, must be positive"
    count = parse_integer_between(argv[2], 0, INT64_MAX, error)
    value = ctx.peek_as(key, Set)
    if value is None or count == 0:
        return SetReply([])
    if count >= len(value):
        popped = value.listed()
        ctx.notify(_EVENT, b"spop", key)
        ctx.db.delete(key)
        ctx.notify(KeyspaceEvents.GENERIC, b"del", key)
        ctx.propagate_as((b"DEL", key))
    else:
        popped = [value.pop(ctx.random) for _ in range(count)]
        ctx.db.touch(key)
        ctx.notify(_EVENT, b"spop", key)
        ctx.propagate_as(
            *(
                (b"SREM", key, *popped[start : start + _MEMBERS_PER_SREM])
                for start in range(0, count, _MEMBERS_PER_SREM)
            )
        )
    ctx.changes = len(popped)
    return SetReply(popped)


@command(
    "SRANDMEMBER",
    arity=-2,
    flags=Flag.READONLY,
    keys=Keys(1, 1, 1, ("RO", "ACCESS")),
    group="set",
    since="1.0.0",
    tips=("nondeterministic_output",),
    summary="Returns members of a set chosen at random.",
)
def srandmember(ctx: ServerContext, argv: list[bytes]) -> Reply:
    if len(argv) == 2:
        value = ctx.read_as(argv[1], Set)
        return None if value is None else value.random_member(ctx.random)
    if len(argv) > 3:
        raise syntax_error()
    count = parse_random_count(argv[2])
    value = ctx.read_as(argv[1], Set)
    if value is None:
        return []
    if count >= len(value):
        return list[Reply](value.listed())
    if count >= 0:
        return list[Reply](value.random_members(ctx.random, count))
    return [value.random_member(ctx.random) for _ in repeats(count)]
