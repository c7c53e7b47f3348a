"""Positions as scores: 52 bits, of longitude and latitude in turn, so that neighbours are close.

A cell is a rectangle of longitude and latitude on a grid of `2**step` columns and rows; a position
is kept as its cell at step 26. Everything is computed in the order and with the constants of Redis
7.0 (`geohash.c`, `geohash_helper.c`), so that results are the same to the last bit.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from math import asin, cos, inf, isinf, pi, sin, sqrt
from typing import Final, NamedTuple, TypeAlias

LONGITUDE_LIMIT: Final = 180.0
#: Beyond it lie the poles, which Mercator's projection does not reach.
LATITUDE_LIMIT: Final = 85.05112878
MOST_STEPS: Final = 26
#: Columns, and rows, of the finest grid.
_COUNT: Final = 1 << MOST_STEPS

_SCORE_BITS: Final = 52
_EARTH_RADIUS_M: Final = 6372797.560856
_MERCATOR_LIMIT_M: Final = 20037726.37
_RADIANS: Final = pi / 180.0
_ALPHABET: Final = b"0123456789bcdefghjkmnpqrstuvwxyz"
_HASH_SIZE: Final = 11
_BITS_PER_CHARACTER: Final = 5
_UINT64_MASK: Final = (1 << 64) - 1
#: What a hexadecimal digit of a number makes of eight bits: its four on the even places.
_SPREAD_DIGITS: Final = bytes(
    sum((int(chr(char), 16) >> bit & 1) << 2 * bit for bit in range(4))
    if chr(char) in "0123456789abcdef"
    else 0
    for char in range(256)
)
#: And back: the hexadecimal digit that the even places of a byte make, a row's, or the odd ones.
_ROW_DIGITS, _COLUMN_DIGITS = (
    bytes(
        b"0123456789abcdef"[sum((byte >> 2 * bit + first & 1) << bit for bit in range(4))]
        for byte in range(256)
    )
    for first in (0, 1)
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

    def west(self) -> float:
        """Return the longitude at which it begins."""
        return -LONGITUDE_LIMIT + self.column / (1 << self.step) * (2 * LONGITUDE_LIMIT)

    def east(self) -> float:
        """Return the longitude at which it ends."""
        return -LONGITUDE_LIMIT + (self.column + 1) / (1 << self.step) * (2 * LONGITUDE_LIMIT)

    def south(self) -> float:
        """Return the latitude at which it begins."""
        return -LATITUDE_LIMIT + self.row / (1 << self.step) * (2 * LATITUDE_LIMIT)

    def north(self) -> float:
        """Return the latitude at which it ends."""
        return -LATITUDE_LIMIT + (self.row + 1) / (1 << self.step) * (2 * LATITUDE_LIMIT)


class Bounds(NamedTuple):
    """A rectangle in degrees."""

    west: float
    south: float
    east: float
    north: float


def _spread(number: int) -> int:
    """Return the 32 bits of `number` on the even places."""
    return int.from_bytes((b"%x" % number).translate(_SPREAD_DIGITS))


def _cell_at(position: Position, step: int, latitude_limit: float = LATITUDE_LIMIT) -> Cell:
    east = (position.longitude + LONGITUDE_LIMIT) / (2 * LONGITUDE_LIMIT)
    north = (position.latitude + latitude_limit) / (2 * latitude_limit)
    return Cell(int(east * (1 << step)), int(north * (1 << step)), step)


def encode(position: Position) -> int:
    """Return the score of a valid position."""
    return _cell_at(position, MOST_STEPS).bits()


def decode(score: float) -> Position:
    """Return the middle of the cell that `score` stands for; any score stands for some."""
    if -(2.0**63) < score < 2.0**64:
        bits = int(score) & _UINT64_MASK
    else:  # what x86-64 makes of a number that has no place in 64 bits
        bits = 1 << 63 if score < 0 else 0
    packed = bits.to_bytes(8)
    return Position(
        min(max(_middle_longitude(packed), -LONGITUDE_LIMIT), LONGITUDE_LIMIT),
        min(max(_middle_latitude(packed), -LATITUDE_LIMIT), LATITUDE_LIMIT),
    )


def _middle_longitude(packed: bytes) -> float:
    """Return the middle between the meridians of the smallest cell with these bits, 8 bytes."""
    column = int(packed.translate(_COLUMN_DIGITS), 16)
    west = -LONGITUDE_LIMIT + column / _COUNT * (2 * LONGITUDE_LIMIT)
    return (west + (-LONGITUDE_LIMIT + (column + 1) / _COUNT * (2 * LONGITUDE_LIMIT))) / 2


def _middle_latitude(packed: bytes) -> float:
    """Return the middle between the parallels of it."""
    row = int(packed.translate(_ROW_DIGITS), 16)
    south = -LATITUDE_LIMIT + row / _COUNT * (2 * LATITUDE_LIMIT)
    return (south + (-LATITUDE_LIMIT + (row + 1) / _COUNT * (2 * LATITUDE_LIMIT))) / 2


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
    return _distances_from(start)(*end)


def _distances_from(start: Position) -> Callable[[float, float], float]:
    """Return what gives the metres from `start` to a longitude and a latitude."""
    start_longitude, start_latitude = start.longitude * _RADIANS, start.latitude * _RADIANS
    start_cosine = cos(start_latitude)

    def distance(longitude: float, latitude: float) -> float:
        v = sin((longitude * _RADIANS - start_longitude) / 2)
        end_latitude = latitude * _RADIANS
        if v == 0.0:
            return _EARTH_RADIUS_M * abs(end_latitude - start_latitude)
        u = sin((end_latitude - start_latitude) / 2)
        a = u * u + start_cosine * cos(end_latitude) * v * v
        # Rounding may take it beyond 1 where the two are opposite on the globe.
        return 2.0 * _EARTH_RADIUS_M * asin(min(sqrt(a), 1.0))

    return distance


#: Tells of a longitude and a latitude how many metres they are away; None: too many.
Measure: TypeAlias = Callable[[float, float], float | None]


@dataclass(frozen=True, slots=True)
class Circle:
    """All within a radius."""

    centre: Position
    radius_m: float

    def measure(self) -> Measure:
        """Return what tells how far a place is from the centre; None: it is outside."""
        radius_m = self.radius_m
        distance_from_centre = _distances_from(self.centre)

        def distance_m(longitude: float, latitude: float) -> float | None:
            distance = distance_from_centre(longitude, latitude)
            return distance if distance <= radius_m else None

        return distance_m

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

    def measure(self) -> Measure:
        """Return what tells how far a place is from the centre; None: it is outside."""
        half_width_m, half_height_m = self.width * self.unit_m / 2, self.height * self.unit_m / 2
        centre_longitude, centre_latitude = self.centre
        distance_from_centre = _distances_from(self.centre)

        def distance_m(longitude: float, latitude: float) -> float | None:
            height_m = _EARTH_RADIUS_M * abs(centre_latitude * _RADIANS - latitude * _RADIANS)
            if height_m > half_height_m:
                return None
            start = Position(longitude, latitude)
            if _distances_from(start)(centre_longitude, latitude) > half_width_m:
                return None
            return distance_from_centre(longitude, latitude)

        return distance_m

    def half_size_m(self) -> tuple[float, float]:
        """Return the distance from the centre to the edge: east or west, north or south."""
        return self.unit_m * (self.width / 2), self.unit_m * (self.height / 2)

    def reach_m(self) -> float:
        """Return the greatest distance from the centre."""
        width, height = self.width / 2, self.height / 2
        return sqrt(width * width + height * height) * self.unit_m


def find(
    shape: Circle | Box, pairs: Iterable[tuple[float, bytes]]
) -> Iterator[tuple[float, float, bytes]]:
    """Iterate over those of `pairs` of score and member that are in `shape`, in their order.

    Of each: its distance from the centre in metres, score and member. The scores are those of
    `covering_cells`.
    """
    distance_m = shape.measure()
    centre_latitude = shape.centre.latitude
    # Nothing is nearer than its parallel is. A little more, for rounding excludes nobody.
    most_degrees = shape.half_size_m()[1] / _EARTH_RADIUS_M / _RADIANS * 1.000001 + 1e-6
    for score, member in pairs:
        bits = int(score)
        if bits >> _SCORE_BITS:  # on the edge of the map, and beyond it but for `decode`
            longitude, latitude = decode(score)
        else:
            packed = bits.to_bytes(8)
            latitude = _middle_latitude(packed)
            if abs(latitude - centre_latitude) > most_degrees:
                continue
            longitude = _middle_longitude(packed)
        distance = distance_m(longitude, latitude)
        if distance is not None:
            yield distance, score, member


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
    is_west_enough, is_east_enough = cell.west() < bounds.west, cell.east() > bounds.east
    is_south_enough, is_north_enough = cell.south() < bounds.south, cell.north() > bounds.north
    reaches_all = step < 2
    cells: list[Cell] = [cell]
    for east, north in _DIRECTIONS:
        is_needed = reaches_all or not (
            (north < 0 and is_south_enough)
            or (north > 0 and is_north_enough)
            or (east < 0 and is_west_enough)
            or (east > 0 and is_east_enough)
        )
        if not is_needed:
            continue
        neighbour = cell.neighbour(east, north)
        # On coarse grids two directions lead to the same cell.
        if len(cells) == 1 or neighbour != cells[-1]:
            cells.append(neighbour)
    return cells


#: North, south, east, west, and what lies between: (to the east, to the north).
_DIRECTIONS: Final = ((0, 1), (0, -1), (1, 0), (-1, 0), (1, 1), (-1, 1), (1, -1), (-1, -1))


def _is_within_neighbours(bounds: Bounds, cell: Cell) -> bool:
    """Return whether the cells around `cell` reach as far as `bounds`."""
    return not (
        cell.neighbour(0, 1).north() < bounds.north
        or cell.neighbour(0, -1).south() > bounds.south
        or cell.neighbour(1, 0).east() < bounds.east
        or cell.neighbour(-1, 0).west() > bounds.west
    )
