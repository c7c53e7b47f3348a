"""Positions, lengths and units among the arguments, and in replies."""

from __future__ import annotations

from typing import Final

from vedette.errors import CommandError
from vedette.resp.replies import RawReply, Reply

from ...engine import ServerContext
from ...store.geohash import Position
from ..doubles import parse_double

#: Metres of each unit.
_UNITS: Final = {b"m": 1.0, b"km": 1000.0, b"ft": 0.3048, b"mi": 1609.34}


def parse_position(longitude: bytes, latitude: bytes) -> Position:
    """Return the position that two arguments give.

    Raises:
        CommandError: one is no number, or it is no place on the map.
    """
    position = Position(parse_double(longitude), parse_double(latitude))
    if not position.is_valid():
        raise CommandError(b"ERR invalid longitude,latitude pair %f,%f" % position)
    return position


def parse_unit(text: bytes) -> float:
    """Return the metres of a unit.

    Raises:
        CommandError: there is no such unit.
    """
    metres = _UNITS.get(text.lower())
    if metres is None:
        raise CommandError(b"ERR unsupported unit provided. please use M, KM, FT, MI")
    return metres


def distance_reply(metres: float, unit_m: float) -> bytes:
    """Return a distance in a unit, with four decimals (`util.c: fixedpoint_d2string`)."""
    scaled = round(metres / unit_m * 10_000)
    return b"%d.%04d" % divmod(scaled, 10_000)


def position_reply(ctx: ServerContext, position: Position) -> Reply:
    """Return longitude and latitude with up to 17 decimals."""
    return [_coordinate_reply(ctx, degrees) for degrees in position]


def _coordinate_reply(ctx: ServerContext, degrees: float) -> Reply:
    text = (b"%.17f" % degrees).rstrip(b"0").removesuffix(b".")
    return RawReply(b",%b\r\n" % text) if ctx.session.protocol == 3 else text
