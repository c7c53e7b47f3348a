"""Hashes: reading them whole, in steps, or a part chosen at random."""

from __future__ import annotations

from itertools import chain
from typing import Final

from vedette.cmdspec import Flag, Keys, command
from vedette.errors import CommandError
from vedette.resp.replies import MapReply, Reply

from ...engine import ServerContext
from ...store.hashes import Hash
from ..arguments import INT64_MAX, syntax_error
from ..random_counts import parse_random_count, repeats
from ..scanning import scan_elements

_READ: Final = Keys(1, 1, 1, ("RO", "ACCESS"))
_UNORDERED: Final = ("nondeterministic_output_order",)


@command(
    "HGETALL",
    arity=2,
    flags=Flag.READONLY,
    keys=_READ,
    group="hash",
    since="2.0.0",
    tips=_UNORDERED,
    summary="Returns all fields of a hash with their values.",
)
def hgetall(ctx: ServerContext, argv: list[bytes]) -> Reply:
    value = ctx.read_as(argv[1], Hash)
    if value is None:
        return MapReply(())
    if ctx.session.protocol == 2:
        return list(chain.from_iterable(value.fields.items()))
    return MapReply(tuple(value.fields.items()))


@command(
    "HKEYS",
    arity=2,
    flags=Flag.READONLY,
    keys=_READ,
    group="hash",
    since="2.0.0",
    tips=_UNORDERED,
    summary="Returns all fields of a hash.",
)
def hkeys(ctx: ServerContext, argv: list[bytes]) -> Reply:
    value = ctx.read_as(argv[1], Hash)
    return [] if value is None else list(value.fields)


@command(
    "HVALS",
    arity=2,
    flags=Flag.READONLY,
    keys=_READ,
    group="hash",
    since="2.0.0",
    tips=_UNORDERED,
    summary="Returns the values of all fields of a hash.",
)
def hvals(ctx: ServerContext, argv: list[bytes]) -> Reply:
    value = ctx.read_as(argv[1], Hash)
    return [] if value is None else list(value.fields.values())


@command(
    "HSCAN",
    arity=-3,
    flags=Flag.READONLY,
    keys=_READ,
    group="hash",
    since="2.8.0",
    tips=("nondeterministic_output",),
    summary="Returns some of the fields of a hash with their values, and where to go on from.",
)
def hscan(ctx: ServerContext, argv: list[bytes]) -> Reply:
    return scan_elements(ctx, argv, Hash, _with_values)


def _with_values(value: Hash, names: list[bytes]) -> list[Reply]:
    """Return the fields of these names and their values in turn."""
    fields = value.fields
    return [item for name in names for item in (name, fields[name])]


@command(
    "HRANDFIELD",
    arity=-2,
    flags=Flag.READONLY,
    keys=_READ,
    group="hash",
    since="6.2.0",
    tips=("nondeterministic_output",),
    summary="Returns fields of a hash chosen at random, with their values if asked for.",
)
def hrandfield(ctx: ServerContext, argv: list[bytes]) -> Reply:
    if len(argv) == 2:
        value = ctx.read_as(argv[1], Hash)
        return None if value is None else value.random_field(ctx.random)
    count = parse_random_count(argv[2])
    with_values = len(argv) == 4 and argv[3].upper() == b"WITHVALUES"
    if len(argv) > 3 and not with_values:
        raise syntax_error()
    if with_values and abs(count) > INT64_MAX // 2:
        raise CommandError(b"ERR value is out of range")
    value = ctx.read_as(argv[1], Hash)
    if value is None:
        return []
    names = _random_fields(ctx, value, count)
    if not with_values:
        return list[Reply](names)
    if ctx.session.protocol == 2:
        return _with_values(value, names)
    return [[name, value.fields[name]] for name in names]


def _random_fields(ctx: ServerContext, value: Hash, count: int) -> list[bytes]:
    """Return `count` distinct fields, all if there are no more; repeated ones if negative."""
    if count >= len(value):
        return list(value.fields)
    if count >= 0:
        return value.random_fields(ctx.random, count)
    return [value.random_field(ctx.random) for _ in repeats(count)]
