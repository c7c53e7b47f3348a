"""Positions as scores: known places, and that no place near enough is missed."""

from __future__ import annotations

import random

import pytest

from server.store.geohash import (
    LATITUDE_LIMIT,
    Box,
    Cell,
    Circle,
    Position,
    covering_cells,
    decode,
    distance_m,
    encode,
    find,
    standard_hash,
)

PALERMO = Position(13.361389, 38.115556)
CATANIA = Position(15.087269, 37.502669)


def random_position(draw: random.Random) -> Position:
    return Position(draw.uniform(-180, 180), draw.uniform(-85, 85))


def test_known_places_have_their_known_hashes() -> None:
    """The example of Redis' own documentation."""
    assert encode(PALERMO) == 3479099956230698
    assert standard_hash(float(encode(PALERMO))) == b"sqc8b49rny0"
    assert distance_m(PALERMO, CATANIA) == pytest.approx(166274, abs=1)


def test_positions_come_back_to_within_a_metre() -> None:
    """52 bits are a grid of 0.6 m by 0.3 m at the equator."""
    draw = random.Random(3)
    for _ in range(500):
        position = random_position(draw)

        assert distance_m(position, decode(float(encode(position)))) < 1


def test_any_score_stands_for_some_place() -> None:
    """ZADD puts any number there."""
    for score in (0.0, -1.0, 1e300, float("inf"), float("-inf"), 0.5, 2.0**52):
        assert decode(score).is_valid()


def test_scores_beyond_64_bits_stand_for_what_c_makes_of_them() -> None:
    """Redis casts them to an unsigned integer, and on x86-64 large ones become none or the highest
    bit.
    """
    for score in (float("inf"), 1e300, 2.0**64):
        assert decode(score) == decode(0.0)
    for score in (float("-inf"), -1e300, -(2.0**63)):
        assert decode(score) == decode(2.0**63)


def test_what_is_found_is_what_is_near_enough() -> None:
    """All that is left out unseen, for it lies too far north or south, would be left out anyway."""
    draw = random.Random(11)
    pairs = [(float(encode(random_position(draw))), b"%d" % number) for number in range(3000)]
    for shape in (
        Circle(PALERMO, 3_000_000.0),
        Box(CATANIA, 9000.0, 2000.0, 1000.0),
        Box(Position(-170.0, 70.0), 3000.0, 1500.0, 1609.34),
    ):
        distances = [shape.measure()(*decode(score)) for score, _ in pairs]

        found = list(find(shape, pairs))

        assert 20 < len(found) < 1000
        assert found == [
            (distance, *pair)
            for distance, pair in zip(distances, pairs, strict=True)
            if distance is not None
        ]


def test_places_on_the_edge_of_the_map_are_found_on_it() -> None:
    """Their scores take more than 52 bits."""
    edge = Position(12.0, LATITUDE_LIMIT)
    score = float(encode(edge))
    assert score >= 2.0**52

    [(distance, _, member)] = find(Circle(edge, 100.0), [(score, b"m")])

    assert (distance, member) == (distance_m(edge, decode(score)), b"m")
    assert decode(score).latitude == LATITUDE_LIMIT


@pytest.mark.parametrize("step", [1, 2, 7, 26])
def test_scores_of_a_cell_are_those_of_the_positions_in_it(step: int) -> None:
    """Both ends: the first score is inside, the one after the last is another cell's."""
    last = (1 << step) - 1
    low, high = Cell(last, 0, step).scores()

    inside, beyond = decode(float(high - 1)), Cell(last, 0, step)
    assert beyond.west() < inside.longitude < beyond.east()
    assert beyond.south() < inside.latitude < beyond.north()
    assert high - low == 1 << 52 - 2 * step


def test_opposite_points_have_a_distance() -> None:
    """Rounding must not leave the domain of the arc sine."""
    draw = random.Random(5)
    for _ in range(2000):
        place = random_position(draw)
        other = Position(
            place.longitude - 180 if place.longitude > 0 else place.longitude + 180, -place.latitude
        )

        assert 2.0e7 < distance_m(place, other) < 2.01e7


def test_covering_cells_hold_whatever_is_in_the_area() -> None:
    """Circles and boxes of any size, but where Redis itself stops at the date line."""
    draw = random.Random(11)
    checked = 0
    for _ in range(3000):
        centre = Position(draw.uniform(-120, 120), draw.uniform(-75, 75))
        size_m = 10 ** draw.uniform(0, 6)
        shape = (
            Circle(centre, size_m)
            if draw.random() < 0.5
            else Box(centre, size_m, size_m * 10 ** draw.uniform(-2, 2), 1.0)
        )
        reach = shape.reach_m() / 111_000
        place = Position(
            centre.longitude + draw.uniform(-reach, reach),
            centre.latitude + draw.uniform(-reach, reach),
        )
        if not place.is_valid() or shape.measure()(*decode(float(encode(place)))) is None:
            continue
        checked += 1
        ranges = [cell.scores() for cell in covering_cells(shape)]
        assert any(low <= encode(place) < high for low, high in ranges), (shape, place)
    assert checked > 1000


def test_an_infinite_area_holds_everything() -> None:
    """Redis takes `inf` for a radius."""
    cells = covering_cells(Circle(PALERMO, float("inf")))

    assert {cell.bits() for cell in cells} == {0, 1, 2, 3}
