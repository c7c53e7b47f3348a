"""Sorted sets: order, ranges and encodings, whichever of the two containers keeps the order."""

from __future__ import annotations

import math
import random
import sys
from typing import Any

import pytest

from server.store.encoding_limits import EncodingLimits
from server.store.score_order import Pair
from server.store.sorted_sets import LexRange, Range, RankRange, ScoreRange, SortedSet

SMALL = EncodingLimits(zset_max_listpack_entries=3, zset_max_listpack_value=5)
NONE = EncodingLimits(zset_max_listpack_entries=0)
DEFAULTS = EncodingLimits()


def zset_of(pairs: list[Pair], limits: EncodingLimits) -> SortedSet:
    zset = SortedSet.within(limits)
    for score, member in pairs:
        zset.add(member, score, limits)
    return zset


def all_of(zset: SortedSet) -> list[Pair]:
    return zset.slice(0, len(zset))


@pytest.mark.parametrize(
    ("members", "encoding"),
    [
        ([b"a", b"b", b"c"], b"listpack"),
        ([b"a", b"b", b"c", b"d"], b"skiplist"),
        ([b"a", b"sixsix"], b"skiplist"),
    ],
)
def test_encoding_follows_the_limits(members: list[bytes], encoding: bytes) -> None:
    """Added one by one, and given whole as a union gives them."""
    pairs = [(1.0, member) for member in members]

    assert zset_of(pairs, SMALL).encoding() == encoding
    assert SortedSet.within(SMALL, pairs).encoding() == encoding


def test_encoding_is_converted_one_way() -> None:
    """What was large once stays a skiplist, as in Redis."""
    zset = zset_of([(1.0, b"%d" % number) for number in range(4)], SMALL)

    zset.delete_slice(1, 4)

    assert (zset.encoding(), len(zset)) == (b"skiplist", 1)


def test_sign_of_zero_is_lost_in_a_listpack_only() -> None:
    """Redis keeps whole scores as integers there."""
    signs = [
        math.copysign(1, SortedSet.within(limits, [(-0.0, b"m")]).at(0)[0])
        for limits in (DEFAULTS, NONE)
    ]

    assert signs == [1, -1]


@pytest.mark.parametrize("limits", [DEFAULTS, NONE], ids=["listpack", "skiplist"])
def test_order_is_kept_through_any_changes(limits: EncodingLimits) -> None:
    """Ranks and ranges are as those of a sorted list of the same pairs."""
    draw = random.Random(7)
    zset = SortedSet.within(limits)
    model: dict[bytes, float] = {}
    for _ in range(2000):
        member = b"%d" % draw.randrange(100)
        score = float(draw.randrange(10))
        if draw.random() < 0.3:
            assert zset.discard(member) == (model.pop(member, None) is not None)
        else:
            old = zset.score(member)
            if old is None:
                zset.add(member, score, limits)
            else:
                zset.change(member, old, score)
            model[member] = score
        expected = sorted((score, member) for member, score in model.items())
        assert all_of(zset) == expected
        if expected:
            rank = draw.randrange(len(expected))
            assert zset.rank(*expected[rank]) == rank
            assert zset.at(rank) == expected[rank]


PAIRS: list[Pair] = [
    (-math.inf, b"low"),
    (0.0, b"a"),
    (0.0, b"b"),
    (1.0, b"c"),
    (2.5, b"d"),
    (math.inf, b"high"),
]


@pytest.mark.parametrize("limits", [DEFAULTS, NONE], ids=["listpack", "skiplist"])
@pytest.mark.parametrize(
    ("wanted", "names"),
    [
        (ScoreRange(0, 1), b"a b c"),
        (ScoreRange(0, 1, excludes_low=True), b"c"),
        (ScoreRange(0, 1, excludes_high=True), b"a b"),
        (ScoreRange(-math.inf, math.inf), b"low a b c d high"),
        (ScoreRange(-math.inf, math.inf, excludes_low=True, excludes_high=True), b"a b c d"),
        (ScoreRange(math.inf, math.inf), b"high"),
        (ScoreRange(math.inf, math.inf, excludes_low=True), b""),
        (ScoreRange(2, 1), b""),
        (ScoreRange(5, 4), b""),
        (RankRange(0, -1), b"low a b c d high"),
        (RankRange(1, 2), b"a b"),
        (RankRange(1, 2, is_reverse=True), b"c d"),
        (RankRange(-2, 100), b"d high"),
        (RankRange(-100, 0), b"low"),
        (RankRange(6, 9), b""),
        (RankRange(0, -7), b""),
    ],
)
def test_ranges_hold_what_is_between_their_ends(
    wanted: Range, names: bytes, limits: EncodingLimits
) -> None:
    """Ends included or not, infinite, crossed or beyond the set."""
    start, stop = wanted.positions(zset_of(PAIRS, limits))

    assert [member for _, member in sorted(PAIRS)[start : max(stop, start)]] == names.split()


@pytest.mark.parametrize("limits", [DEFAULTS, NONE], ids=["listpack", "skiplist"])
@pytest.mark.parametrize(
    ("arguments", "names"),
    [
        ({"low": None, "high": None}, [b"", b"a", b"a\0", b"b"]),
        ({"low": b"a", "high": b"b"}, [b"a", b"a\0", b"b"]),
        ({"low": b"a", "high": b"b", "excludes_low": True}, [b"a\0", b"b"]),
        ({"low": b"a", "high": b"b", "excludes_high": True}, [b"a", b"a\0"]),
        ({"low": b"", "high": b"", "excludes_low": True}, []),
        ({"low": None, "high": None, "is_empty": True}, []),
    ],
)
def test_ranges_of_members_hold_what_is_between(
    arguments: dict[str, Any], names: list[bytes], limits: EncodingLimits
) -> None:
    """An excluded end leaves out just that member, not those it is the beginning of."""
    members = [b"", b"a", b"a\0", b"b"]
    start, stop = LexRange(**arguments).positions(zset_of([(1.0, m) for m in members], limits))

    assert members[start : max(stop, start)] == names


def test_copy_shares_nothing_that_changes() -> None:
    """COPY, and transactions that look at the copy."""
    zset = zset_of(PAIRS, NONE)
    twin = zset.copy()

    twin.pop(0)

    assert all_of(zset) == sorted(PAIRS)
    assert all_of(twin) == sorted(PAIRS)[1:]


def test_room_is_given_back_when_most_members_are_gone() -> None:
    """Python's dictionaries never shrink by themselves, and MEMORY USAGE counts them."""
    zset = SortedSet.within(DEFAULTS, [(float(n), b"member:%d" % n) for n in range(20_000)])
    full_bytes = sys.getsizeof(zset)
    for _ in range(19_000):
        zset.pop(0)

    assert sys.getsizeof(zset) < full_bytes / 10
    zset.delete_slice(0, 990)
    assert (len(zset), sys.getsizeof(zset) < 3000) == (10, True)


@pytest.mark.parametrize(
    ("low", "high", "is_reverse", "found"),
    [
        (b"b", None, False, (0, 4)),
        (b"b", None, True, (3, 4)),
        (None, b"b", False, (0, 1)),
        (None, b"b", True, (0, 3)),
        (b"b", b"c", False, (0, 1)),
        (b"c", b"c", True, (3, 4)),
        (b"d", None, False, (0, 0)),  # the last member is below it
        (None, b"a", False, (0, 0)),  # the first is above it
    ],
)
def test_members_of_other_scores_are_found_as_redis_walks_over_them(
    low: bytes | None, high: bytes | None, is_reverse: bool, found: tuple[int, int]
) -> None:
    """Redis gives that of a listpack; a range of members has a meaning only among equal scores."""
    zset = zset_of([(1.0, b"b"), (1.5, b"d"), (2.0, b"a"), (2.0, b"c")], DEFAULTS)

    start, stop = LexRange(low, high, is_reverse=is_reverse).positions(zset)

    assert ((start, stop) if start < stop else (0, 0)) == found
