"""Sets: intersections, unions and differences, returned or stored."""

from __future__ import annotations

from typing import Final

from vedette.cmdspec import Flag, Keys, KeySpec, command
from vedette.errors import CommandError
from vedette.resp.replies import Reply, SetReply

from ...engine import ServerContext
from ...engine.keyspace_events import KeyspaceEvents
from ...store.sets import Set
from ..arguments import INT64_MAX, parse_integer_between, syntax_error
from ..shared_members import count_shared, parse_limit
from ..storing import store_result

_SOURCES: Final = Keys(1, -1, 1, ("RO", "ACCESS"))
_STORE_FLAGS: Final = Flag.WRITE | Flag.DENYOOM
_UNORDERED: Final = ("nondeterministic_output_order",)
_FROM_SECOND: Final = KeySpec(2, ("RO", "ACCESS"), -1)


def _store_keys(access: str) -> Keys:
    return Keys(1, -1, 1, groups=(KeySpec(1, (access, "UPDATE")), _FROM_SECOND))


@command(
    "SINTER",
    arity=-2,
    flags=Flag.READONLY,
    keys=_SOURCES,
    group="set",
    since="1.0.0",
    tips=_UNORDERED,
    summary="Returns the members that all of several sets have.",
)
def sinter(ctx: ServerContext, argv: list[bytes]) -> Reply:
    return _listed(ctx, _intersection(_sources(ctx, argv[1:])))


@command(
    "SUNION",
    arity=-2,
    flags=Flag.READONLY,
    keys=_SOURCES,
    group="set",
    since="1.0.0",
    tips=_UNORDERED,
    summary="Returns the members that any of several sets has.",
)
def sunion(ctx: ServerContext, argv: list[bytes]) -> Reply:
    return _listed(ctx, _union(_sources(ctx, argv[1:])))


@command(
    "SDIFF",
    arity=-2,
    flags=Flag.READONLY,
    keys=_SOURCES,
    group="set",
    since="1.0.0",
    tips=_UNORDERED,
    summary="Returns the members that the first of several sets has and no other.",
)
def sdiff(ctx: ServerContext, argv: list[bytes]) -> Reply:
    return _listed(ctx, _difference(_sources(ctx, argv[1:])))


@command(
    "SINTERSTORE",
    arity=-3,
    flags=_STORE_FLAGS,
    keys=_store_keys("RW"),
    group="set",
    since="1.0.0",
    summary="Stores the members that all of several sets have.",
)
def sinterstore(ctx: ServerContext, argv: list[bytes]) -> Reply:
    return _store(ctx, argv[1], _intersection(_sources(ctx, argv[2:])), b"sinterstore")


@command(
    "SUNIONSTORE",
    arity=-3,
    flags=_STORE_FLAGS,
    keys=_store_keys("OW"),
    group="set",
    since="1.0.0",
    summary="Stores the members that any of several sets has.",
)
def sunionstore(ctx: ServerContext, argv: list[bytes]) -> Reply:
    return _store(ctx, argv[1], _union(_sources(ctx, argv[2:])), b"sunionstore")


@command(
    "SDIFFSTORE",
    arity=-3,
    flags=_STORE_FLAGS,
    keys=_store_keys("OW"),
    group="set",
    since="1.0.0",
    summary="Stores the members that the first of several sets has and no other.",
)
def sdiffstore(ctx: ServerContext, argv: list[bytes]) -> Reply:
    return _store(ctx, argv[1], _difference(_sources(ctx, argv[2:])), b"sdiffstore")


@command(
    "SINTERCARD",
    arity=-3,
    flags=Flag.READONLY | Flag.MOVABLE_KEYS,
    keys=Keys(0, 0, 0, ("RO", "ACCESS"), keynum_index=1),
    group="set",
    since="7.0.0",
    summary="Returns how many members all of several sets have.",
)
def sintercard(ctx: ServerContext, argv: list[bytes]) -> Reply:
    error = b"ERR numkeys should be greater than 0"
    key_count = parse_integer_between(argv[1], 1, INT64_MAX, error)
    if key_count > len(argv) - 2:
        raise CommandError(b"ERR Number of keys can't be greater than number of args")
    limit = 0
    rest = iter(argv[2 + key_count :])
    for word in rest:
        amount = next(rest, None)
        if word.upper() != b"LIMIT" or amount is None:
            raise syntax_error()
        limit = parse_limit(amount)
    return count_shared(_sources(ctx, argv[2 : 2 + key_count]), limit)


def _sources(ctx: ServerContext, keys: list[bytes]) -> list[set[bytes]]:
    """Return the members of the sets at `keys`; where there is no key, there are none.

    Raises:
        CommandError: one of them is no set.
    """
    values = [ctx.read_as(key, Set) for key in keys]
    return [set() if value is None else value.members for value in values]


def _intersection(sources: list[set[bytes]]) -> set[bytes]:
    smallest, *others = sorted(sources, key=len)
    return smallest.intersection(*others)


def _union(sources: list[set[bytes]]) -> set[bytes]:
    return set[bytes]().union(*sources)


def _difference(sources: list[set[bytes]]) -> set[bytes]:
    first, *others = sources
    return first.difference(*others)


def _listed(ctx: ServerContext, members: set[bytes]) -> Reply:
    return SetReply(Set(members, ctx.limits).listed())


def _store(ctx: ServerContext, key: bytes, members: set[bytes], event: bytes) -> Reply:
    """Set `key` to the set of `members`, or delete it where there are none."""
    value = Set(members, ctx.limits) if members else None
    store_result(ctx, key, value, KeyspaceEvents.SET, event)
    return len(members)
