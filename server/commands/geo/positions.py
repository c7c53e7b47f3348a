"""GEOADD, and what is said of positions that are known: GEODIST, GEOHASH, GEOPOS."""

from __future__ import annotations

from typing import Final

from vedette.cmdspec import Flag, Keys, command
from vedette.resp.replies import NULL_ARRAY, Reply

from ...engine import ServerContext
from ...store.geohash import decode, distance_m, encode, standard_hash
from ...store.sorted_sets import SortedSet
from ..arguments import syntax_error
from ..sorted_sets.adding import AddOptions, add
from .shared import distance_reply, parse_position, parse_unit, position_reply

_READ_KEY: Final = Keys(1, 1, 1, ("RO", "ACCESS"))
_OPTIONS: Final = frozenset((b"NX", b"XX", b"CH"))


@command(
    "GEOADD",
    arity=-5,
    flags=Flag.WRITE | Flag.DENYOOM,
    keys=Keys(1, 1, 1, ("RW", "UPDATE")),
    group="geo",
    since="3.2.0",
    summary="Adds members with their positions, or changes the positions of those that are there.",
)
def geoadd(ctx: ServerContext, argv: list[bytes]) -> Reply:
    first = 2
    while first < len(argv) and argv[first].upper() in _OPTIONS:
        first += 1
    options = {word.upper() for word in argv[2:first]}
    rest = argv[first:]
    if len(rest) % 3 or {b"NX", b"XX"} <= options:
        raise syntax_error()
    words: list[bytes] = []
    for longitude, latitude, member in zip(rest[::3], rest[1::3], rest[2::3], strict=True):
        words += (b"%d" % encode(parse_position(longitude, latitude)), member)
    reply = add(ctx, argv[1], words, AddOptions.of(options))
    if ctx.changes:
        ctx.propagate_as([b"zadd", *argv[1:first], *words])
    return reply


@command(
    "GEODIST",
    arity=-4,
    flags=Flag.READONLY,
    keys=_READ_KEY,
    group="geo",
    since="3.2.0",
    summary="Returns the distance between the positions of two members.",
)
def geodist(ctx: ServerContext, argv: list[bytes]) -> Reply:
    if len(argv) > 5:
        raise syntax_error()
    unit_m = parse_unit(argv[4]) if len(argv) == 5 else 1.0
    zset = ctx.read_as(argv[1], SortedSet)
    if zset is None:
        return None
    start, end = (zset.score(member) for member in argv[2:4])
    if start is None or end is None:
        return None
    return distance_reply(distance_m(decode(start), decode(end)), unit_m)


@command(
    "GEOHASH",
    arity=-2,
    flags=Flag.READONLY,
    keys=_READ_KEY,
    group="geo",
    since="3.2.0",
    summary="Returns the standard geohashes of members.",
)
def geohash(ctx: ServerContext, argv: list[bytes]) -> Reply:
    scores = _scores(ctx, argv)
    return [None if score is None else standard_hash(score) for score in scores]


@command(
    "GEOPOS",
    arity=-2,
    flags=Flag.READONLY,
    keys=_READ_KEY,
    group="geo",
    since="3.2.0",
    summary="Returns the longitudes and latitudes of members.",
)
def geopos(ctx: ServerContext, argv: list[bytes]) -> Reply:
    scores = _scores(ctx, argv)
    return [NULL_ARRAY if score is None else position_reply(ctx, decode(score)) for score in scores]


def _scores(ctx: ServerContext, argv: list[bytes]) -> list[float | None]:
    """Return the scores of the members from the second argument on."""
    zset = ctx.read_as(argv[1], SortedSet)
    return [None if zset is None else zset.score(member) for member in argv[2:]]
