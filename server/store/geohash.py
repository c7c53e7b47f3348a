"""Positions as scores: 52 bits, of longitude and latitude in turn, so that neighbours are close.

A cell is a rectangle of longitude and latitude on a grid of `2**step` columns and rows; a position
is kept as its cell at step 26. Everything is computed in the order and with the constants of Redis
7.0 (`geohash.c`, `geohash_helper.c`), so that results are the same to the last bit.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import asin, cos, inf, isinf, pi, sin, sqrt
from typing import Final, NamedTuple

LONGITUDE_LIMIT: Final = 180.0
#: Beyond it lie the poles, which Mercator's projection does not reach.
LATITUDE_LIMIT: Final = 85.05112878
MOST_STEPS: Final = 26

_SCORE_BITS: Final = 52
_EARTH_RADIUS_M: Final = 6372797.560856
_MERCATOR_LIMIT_M: Final = 20037726.37
_RADIANS: Final = pi / 180.0
_ALPHABET: Final = b"0123456789bcdefghjkmnpqrstuvwxyz"
_HASH_SIZE: Final = 11
_BITS_PER_CHARACTER: Final = 5
_UINT64_MASK: Final = (1 << 64) - 1
#: How 32 bits are spread over the even places of 64: shift, and what stays.
_SPREADS: Final = (
    (16, 0x0000FFFF0000FFFF),
    (8, 0x00FF00FF00FF00FF),
    (4, 0x0F0F0F0F0F0F0F0F),
    (2, 0x3333333333333333),
    (1, 0x5555555555555555),
)


class Position(NamedTuple):
    """A place on earth, in degrees."""

    longitude: float
    latitude: float

    def is_valid(self) -> bool:
        """Return whether it can be kept."""
        return (
            -LONGITUDE_LIMIT <= self.longitude <= LONGITUDE_LIMIT
            and -LATITUDE_LIMIT <= self.latitude <= LATITUDE_LIMIT
        )


class Cell(NamedTuple):
    """The rectangle in a column (west to east) and a row (south to north) of the grid of `step`."""

    column: int
    row: int
    step: int

    def bits(self) -> int:
        """Return column and row interleaved, the lowest bit being the row's."""
        return _spread(self.row) | _spread(self.column) << 1

    def scores(self) -> tuple[int, int]:
        """Return the lowest score of the positions in it, and the lowest beyond them."""
        bits = self.bits()
        shift = _SCORE_BITS - 2 * self.step
        return bits << shift, bits + 1 << shift

    def neighbour(self, east: int, north: int) -> Cell:
        """Return the cell that many columns and rows on; the grid has no edges."""
        mask = (1 << self.step) - 1
        column = self.column + east & mask if east else self.column
        row = self.row + north & mask if north else self.row
        return Cell(column, row, self.step)

    def bounds(self) -> Bounds:
        """Return where it lies."""
        count = 1 << self.step
        width, height = 2 * LONGITUDE_LIMIT, 2 * LATITUDE_LIMIT
        return Bounds(
            -LONGITUDE_LIMIT + self.column / count * width,
            -LATITUDE_LIMIT + self.row / count * height,
            -LONGITUDE_LIMIT + (self.column + 1) / count * width,
            -LATITUDE_LIMIT + (self.row + 1) / count * height,
        )


class Bounds(NamedTuple):
    """A rectangle in degrees."""

    west: float
    south: float
    east: float
    north: float


def _spread(number: int) -> int:
    """Return the 32 bits of `number` on the even places."""
    for shift, mask in _SPREADS:
        number = (number | number << shift) & mask
    return number


def _gather(bits: int) -> int:
    """Return the number that the even places of `bits` hold; the inverse of `_spread`."""
    bits &= _SPREADS[-1][1]
    for (shift, _), (_, mask) in zip(_SPREADS[:0:-1], _SPREADS[-2::-1], strict=True):
        bits = (bits | bits >> shift) & mask
    return (bits | bits >> _SPREADS[0][0]) & 0xFFFFFFFF


def _cell_at(position: Position, step: int, latitude_limit: float = LATITUDE_LIMIT) -> Cell:
    east = (position.longitude + LONGITUDE_LIMIT) / (2 * LONGITUDE_LIMIT)
    north = (position.latitude + latitude_limit) / (2 * latitude_limit)
    return Cell(int(east * (1 << step)), int(north * (1 << step)), step)


def encode(position: Position) -> int:
    """Return the score of a valid position."""
    return _cell_at(position, MOST_STEPS).bits()


def decode(score: float) -> Position:
    """Return the middle of the cell that `score` stands for; any score stands for some."""
    bits = 1 << 63 if isinf(score) else int(score) & _UINT64_MASK
    bounds = Cell(_gather(bits >> 1), _gather(bits), MOST_STEPS).bounds()
    longitude = (bounds.west + bounds.east) / 2
    latitude = (bounds.south + bounds.north) / 2
    return Position(
        min(max(longitude, -LONGITUDE_LIMIT), LONGITUDE_LIMIT),
        min(max(latitude, -LATITUDE_LIMIT), LATITUDE_LIMIT),
    )


def standard_hash(score: float) -> bytes:
    """Return the geohash that the world knows, whose latitudes go to the poles: 11 characters.

    52 bits make ten of them; the last is always `0`.
    """
    bits = _cell_at(decode(score), MOST_STEPS, 90.0).bits()
    places = range(_SCORE_BITS - _BITS_PER_CHARACTER, 0, -_BITS_PER_CHARACTER)
    text = bytes(_ALPHABET[bits >> place & 0x1F] for place in places)
    return text.ljust(_HASH_SIZE, b"0")


def distance_m(start: Position, end: Position) -> float:
    """Return the metres between two positions along a great circle."""
    v = sin((end.longitude * _RADIANS - start.longitude * _RADIANS) / 2)
    if v == 0.0:
        return _latitude_distance_m(start.latitude, end.latitude)
    start_latitude, end_latitude = start.latitude * _RADIANS, end.latitude * _RADIANS
    u = sin((end_latitude - start_latitude) / 2)
    a = u * u + cos(start_latitude) * cos(end_latitude) * v * v
    # Rounding may take it beyond 1 where the two are opposite on the globe.
    return 2.0 * _EARTH_RADIUS_M * asin(min(sqrt(a), 1.0))


def _latitude_distance_m(start: float, end: float) -> float:
    return _EARTH_RADIUS_M * abs(end * _RADIANS - start * _RADIANS)


@dataclass(frozen=True, slots=True)
class Circle:
    """All within a radius."""

    centre: Position
    radius_m: float

    def distance_m(self, position: Position) -> float | None:
        """Return how far `position` is from the centre; None if it is outside."""
        distance = distance_m(self.centre, position)
        return distance if distance <= self.radius_m else None

    def half_size_m(self) -> tuple[float, float]:
        """Return the distance from the centre to the edge: east or west, north or south."""
        return self.radius_m, self.radius_m

    def reach_m(self) -> float:
        """Return the greatest distance from the centre."""
        return self.radius_m


@dataclass(frozen=True, slots=True)
class Box:
    """All within a width and a height, parallel to the meridian of the centre.

    `unit_m` is the length in which both are given: where Redis multiplies decides the last bit.
    """

    centre: Position
    width: float
    height: float
    unit_m: float

    def distance_m(self, position: Position) -> float | None:
        """Return how far `position` is from the centre; None if it is outside."""
        width_m, height_m = self.width * self.unit_m, self.height * self.unit_m
        if _latitude_distance_m(position.latitude, self.centre.latitude) > height_m / 2:
            return None
        at_same_latitude = Position(self.centre.longitude, position.latitude)
        if distance_m(position, at_same_latitude) > width_m / 2:
            return None
        return distance_m(self.centre, position)

    def half_size_m(self) -> tuple[float, float]:
        """Return the distance from the centre to the edge: east or west, north or south."""
        return self.unit_m * (self.width / 2), self.unit_m * (self.height / 2)

    def reach_m(self) -> float:
        """Return the greatest distance from the centre."""
        width, height = self.width / 2, self.height / 2
        return sqrt(width * width + height * height) * self.unit_m


def _bounds_of(shape: Circle | Box) -> Bounds:
    """Return the rectangle around `shape`: as wide as at its side that is nearer to the pole."""
    longitude, latitude = shape.centre
    width_m, height_m = shape.half_size_m()
    if isinf(height_m):
        return Bounds(-inf, -inf, inf, inf)
    height = height_m / _EARTH_RADIUS_M / _RADIANS
    polar = latitude - height if latitude < 0 else latitude + height
    width = width_m / _EARTH_RADIUS_M / cos(polar * _RADIANS) / _RADIANS
    return Bounds(longitude - width, latitude - height, longitude + width, latitude + height)


def _steps_for(reach_m: float, latitude: float) -> int:
    """Return the step whose cells are about as large as what is looked for."""
    if reach_m == 0:
        return MOST_STEPS
    step = 1
    while reach_m < _MERCATOR_LIMIT_M:
        reach_m *= 2
        step += 1
    step -= 2
    if abs(latitude) > 66:  # cells get narrower towards the poles
        step -= 1
    if abs(latitude) > 80:
        step -= 1
    return min(max(step, 1), MOST_STEPS)


def covering_cells(shape: Circle | Box) -> list[Cell]:
    """Return the cells in which positions of `shape` can be, in the order of Redis' search.

    They are the cell of its centre and those of the eight around that it reaches into.
    """
    bounds = _bounds_of(shape)
    step = _steps_for(shape.reach_m(), shape.centre.latitude)
    cell = _cell_at(shape.centre, step)
    if step > 1 and not _is_within_neighbours(bounds, cell):
        step -= 1
        cell = _cell_at(shape.centre, step)
    own = cell.bounds()
    reaches_all = step < 2
    cells: list[Cell] = [cell]
    for east, north in _DIRECTIONS:
        is_needed = reaches_all or not (
            (north < 0 and own.south < bounds.south)
            or (north > 0 and own.north > bounds.north)
            or (east < 0 and own.west < bounds.west)
            or (east > 0 and own.east > bounds.east)
        )
        neighbour = cell.neighbour(east, north)
        # On coarse grids two directions lead to the same cell.
        if is_needed and (len(cells) == 1 or neighbour != cells[-1]):
            cells.append(neighbour)
    return cells


#: North, south, east, west, and what lies between: (to the east, to the north).
_DIRECTIONS: Final = ((0, 1), (0, -1), (1, 0), (-1, 0), (1, 1), (-1, 1), (1, -1), (-1, -1))


def _is_within_neighbours(bounds: Bounds, cell: Cell) -> bool:
    """Return whether the cells around `cell` reach as far as `bounds`."""
    return not (
        cell.neighbour(0, 1).bounds().north < bounds.north
        or cell.neighbour(0, -1).bounds().south > bounds.south
        or cell.neighbour(1, 0).bounds().east < bounds.east
        or cell.neighbour(-1, 0).bounds().west > bounds.west
    )
