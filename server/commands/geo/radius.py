"""The GEORADIUS family, which came before GEOSEARCH: a circle, and STORE among the options."""

from __future__ import annotations

from collections import deque
from functools import partial
from typing import Final

from vedette.cmdspec import Flag, Keys, KeySpec, command
from vedette.resp.replies import Reply

from ...engine import ServerContext
from ...store.sorted_sets import SortedSet
from ..arguments import syntax_error
from .searching import Search, position_of
from .shared import parse_position

_READ_KEY: Final = Keys(1, 1, 1, ("RO", "ACCESS"))
_STORE_OPTIONS: Final = (b"STORE", b"STOREDIST")


def _radius_keys(options_from: int) -> Keys:
    """Return the keys of a command in which STORE and STOREDIST name further ones."""
    stored = [
        KeySpec(
            options_from,
            ("OW", "UPDATE"),
            keyword=keyword,
            find=partial(_stored_key, options_from, keyword),
        )
        for keyword in _STORE_OPTIONS
    ]
    return Keys(1, 1, 1, groups=(KeySpec(1, ("RO", "ACCESS")), *stored))


def _stored_key(options_from: int, keyword: bytes, argv: list[bytes]) -> range:
    """Return the index of the key that `keyword` has stored, read just as the command reads it.

    Else a key, or a count, that is called STORE would lead access control astray.
    """
    found = range(0)
    index = options_from
    while index < len(argv):
        option = argv[index].upper()
        takes_value = option in _STORE_OPTIONS or option == b"COUNT"
        if option in _STORE_OPTIONS and index + 1 < len(argv):
            found = range(index + 1, index + 2) if option == keyword else range(0)
        index += 2 if takes_value else 1
    return found


_STORING: Final = Flag.WRITE | Flag.DENYOOM | Flag.MOVABLE_KEYS


@command(
    "GEORADIUS",
    arity=-6,
    flags=_STORING,
    keys=_radius_keys(6),
    group="geo",
    since="3.2.0",
    deprecated_since="6.2.0",
    replaced_by="`GEOSEARCH` and `GEOSEARCHSTORE` with the `BYRADIUS` argument",
    summary="Returns or stores the members within a distance of a place.",
)
def georadius(ctx: ServerContext, argv: list[bytes]) -> Reply:
    return _around_place(ctx, argv, may_store=True)


@command(
    "GEORADIUS_RO",
    arity=-6,
    flags=Flag.READONLY,
    keys=_READ_KEY,
    group="geo",
    since="3.2.10",
    deprecated_since="6.2.0",
    replaced_by="`GEOSEARCH` with the `BYRADIUS` argument",
    summary="Returns the members within a distance of a place.",
)
def georadius_ro(ctx: ServerContext, argv: list[bytes]) -> Reply:
    return _around_place(ctx, argv, may_store=False)


@command(
    "GEORADIUSBYMEMBER",
    arity=-5,
    flags=_STORING,
    keys=_radius_keys(5),
    group="geo",
    since="3.2.0",
    deprecated_since="6.2.0",
    replaced_by="`GEOSEARCH` and `GEOSEARCHSTORE` with the `BYRADIUS` and `FROMMEMBER` arguments",
    summary="Returns or stores the members within a distance of a member.",
)
def georadiusbymember(ctx: ServerContext, argv: list[bytes]) -> Reply:
    return _around_member(ctx, argv, may_store=True)


@command(
    "GEORADIUSBYMEMBER_RO",
    arity=-5,
    flags=Flag.READONLY,
    keys=_READ_KEY,
    group="geo",
    since="3.2.10",
    deprecated_since="6.2.0",
    replaced_by="`GEOSEARCH` with the `BYRADIUS` and `FROMMEMBER` arguments",
    summary="Returns the members within a distance of a member.",
)
def georadiusbymember_ro(ctx: ServerContext, argv: list[bytes]) -> Reply:
    return _around_member(ctx, argv, may_store=False)


def _around_place(ctx: ServerContext, argv: list[bytes], *, may_store: bool) -> Reply:
    search = Search(ctx.read_as(argv[1], SortedSet))
    search.centre = parse_position(argv[2], argv[3])
    search.take_radius(argv[4], argv[5])
    return _finish_radius(ctx, search, argv[6:], may_store=may_store)


def _around_member(ctx: ServerContext, argv: list[bytes], *, may_store: bool) -> Reply:
    zset = ctx.read_as(argv[1], SortedSet)
    search = Search(zset)
    if zset is not None:
        search.centre = position_of(zset, argv[2])
        search.take_radius(argv[3], argv[4])
    return _finish_radius(ctx, search, argv[5:], may_store=may_store)


def _finish_radius(
    ctx: ServerContext, search: Search, words: list[bytes], *, may_store: bool
) -> Reply:
    rest = deque(words)
    while rest:
        option = rest.popleft().upper()
        if search.take_common(option, rest):
            continue
        if option not in _STORE_OPTIONS or not rest or not may_store:
            raise syntax_error()
        search.store_key = rest.popleft()
        search.stores_distances = option == b"STOREDIST"
    search.check(b"STORE option in GEORADIUS")
    return search.answer(ctx, b"georadiusstore")
