"""Sorted sets: members with scores, in the order of score and then of member.

A dictionary finds a member's score, an ordered list its place. Small ones, which Redis packs into a
listpack, have a plain list; large ones a `ScoreOrder`, whose changes and look-ups by rank stay
cheap at a million members. Reference: Redis 7.0 `t_zset.c`.
"""

from __future__ import annotations

import sys
from bisect import bisect_left, insort
from collections.abc import Callable, Collection, Iterable
from itertools import takewhile
from math import inf, nextafter
from operator import itemgetter
from typing import ClassVar, Final, NamedTuple, Protocol

from .dict_places import scan
from .digest import DIGEST_SIZE, mix_digest, xor_digest
from .encoding_limits import EncodingLimits
from .score_order import Pair, ScoreOrder
from .values import SAMPLE_COUNT, Container, Scannable, is_sparse, sampled_bytes

#: What a score takes, beside the member: in the dictionary, and in the order.
_SCORE_BYTES: Final = sys.getsizeof(0.0) + 16

_TYPE_NUMBER: Final = (3).to_bytes(4, "big")  # Redis' OBJ_ZSET, which its digest begins with


class SortedSet(Scannable):
    """`scores` by member. `is_packed` until it outgrows the limits once: Redis converts one way.

    `scores` may be read by anyone and is changed only here.
    """

    __slots__ = ("_order", "is_packed", "scores")

    type_name: ClassVar[bytes] = b"zset"

    def __init__(self, scores: dict[bytes, float], *, is_packed: bool) -> None:
        """Adopt `scores`."""
        if is_packed:
            scores = {member: score + 0.0 for member, score in scores.items()}
        self.scores = scores
        self.is_packed = is_packed
        self._order = _order_of(scores, is_packed=is_packed)

    @classmethod
    def within(cls, limits: EncodingLimits, pairs: Iterable[Pair] = ()) -> SortedSet:
        """Return the sorted set of `pairs`, packed if `limits` allow it."""
        scores = {member: score for score, member in pairs}
        return cls(scores, is_packed=_fit_listpack(scores, limits))

    def __len__(self) -> int:
        return len(self.scores)

    def __sizeof__(self) -> int:
        return self.size_bytes(SAMPLE_COUNT)

    def containers(self) -> list[Container]:
        order = self._order
        return [self.scores, *([order] if isinstance(order, list) else order.containers())]

    def size_bytes(self, sample_count: int) -> int:
        count = len(self.scores)
        elements_bytes = sampled_bytes(self.scores, count, sample_count) + count * _SCORE_BYTES
        return object.__sizeof__(self) + sys.getsizeof(self.scores) + elements_bytes

    def encoding(self) -> bytes:
        return b"listpack" if self.is_packed else b"skiplist"

    def elements(self) -> list[bytes]:
        return [member for _, member in self._order]

    def settle(self, limits: EncodingLimits) -> None:
        is_packed = _fit_listpack(self.scores, limits)
        if is_packed != self.is_packed:
            self._order = _order_of(self.scores, is_packed=is_packed)
            self.is_packed = is_packed

    def add_to_digest(self, digest: bytes) -> bytes:
        digest = mix_digest(digest, _TYPE_NUMBER)
        for member, score in self.scores.items():
            element = mix_digest(bytes(DIGEST_SIZE), member)
            digest = xor_digest(digest, mix_digest(element, b"%.17g" % score))
        return digest

    def copy(self) -> SortedSet:
        # In order already, so that it costs no sorting.
        scores = {member: score for score, member in self._order}
        return SortedSet(scores, is_packed=self.is_packed)

    def score(self, member: bytes) -> float | None:
        """Return the score of `member`, or None."""
        return self.scores.get(member)

    def add(self, member: bytes, score: float, limits: EncodingLimits) -> None:
        """Add `member`, which must not be there."""
        if self.is_packed and (
            len(self.scores) >= limits.zset_max_listpack_entries
            or len(member) > limits.zset_max_listpack_value
        ):
            self.unpack()
        self._put_in(score, member)

    def unpack(self) -> None:
        """Be as one that has outgrown the limits."""
        if self.is_packed:
            self._order = ScoreOrder(self.scores)
            self.is_packed = False

    def change(self, member: bytes, old: float, score: float) -> None:
        """Give `member`, whose score is `old`, another one."""
        order = self._order
        # The same object for the member: two would take more memory.
        if isinstance(order, ScoreOrder):
            order.add(score, order.remove(old, member))
            self.scores[member] = score
        else:
            self._put_in(score, self._take_out(old, member))

    def _put_in(self, score: float, member: bytes) -> None:
        order = self._order
        if isinstance(order, list):
            score += 0.0  # a listpack has whole scores as integers, so that -0 loses its sign there
            insort(order, (score, member))
        else:
            order.add(score, member)
        self.scores[member] = score

    def discard(self, member: bytes) -> bool:
        """Remove `member`; return whether it was there."""
        score = self.scores.pop(member, None)
        if score is None:
            return False
        self._take_out(score, member)
        self._give_back_room()
        return True

    def _take_out(self, score: float, member: bytes) -> bytes:
        order = self._order
        if isinstance(order, list):
            return order.pop(bisect_left(order, (score, member)))[1]
        return order.remove(score, member)

    # --- by rank ---------------------------------------------------------------------------------

    def rank(self, score: float, member: bytes) -> int:
        """Return how many pairs come before that of `member`, whose score it is."""
        order = self._order
        if isinstance(order, list):
            return bisect_left(order, (score, member))
        return order.rank(score, member)

    def position(self, score: float) -> int:
        """Return how many members have a lower score."""
        order = self._order
        if isinstance(order, list):
            return bisect_left(order, score, key=itemgetter(0))
        return order.position(score)

    def member_position(self, member: bytes) -> int:
        """Return how many members come before `member`, if they are in order without scores."""
        order = self._order
        if isinstance(order, list):
            return bisect_left(order, member, key=itemgetter(1))
        return order.member_position(member)

    def at(self, index: int) -> Pair:
        """Return the pair at `index` (from 0) in ascending order."""
        order = self._order
        return order[index] if isinstance(order, list) else order.at(index)

    def slice(self, start: int, stop: int) -> list[Pair]:
        """Return the pairs from index `start` to before `stop`, ascending."""
        order = self._order
        return order[start:stop] if isinstance(order, list) else order.slice(start, stop)

    def pop(self, index: int) -> Pair:
        """Remove and return the pair at `index` (from 0)."""
        pair = self._order.pop(index)
        del self.scores[pair[1]]
        self._give_back_room()
        return pair

    def _give_back_room(self) -> None:
        if is_sparse(self.scores):
            self.scores = dict(self.scores)

    def delete_slice(self, start: int, stop: int) -> list[Pair]:
        """Remove and return the pairs from index `start` to before `stop`, ascending."""
        removed = self.slice(start, stop)
        order = self._order
        if isinstance(order, list):
            del order[start:stop]
        else:
            order.delete_slice(start, stop)
        for _, member in removed:
            del self.scores[member]
        if len(removed) > len(self.scores):
            self.scores = dict(self.scores)
        return removed

    def scan(self, cursor: int, count: int) -> tuple[int, list[bytes]]:
        if self.is_packed:  # Redis gives these in one piece, whatever the count
            return 0, self.elements()
        return scan(self.scores, cursor, count)


def _order_of(scores: dict[bytes, float], *, is_packed: bool) -> list[Pair] | ScoreOrder:
    return sorted(zip(scores.values(), scores, strict=True)) if is_packed else ScoreOrder(scores)


def _fit_listpack(members: Collection[bytes], limits: EncodingLimits) -> bool:
    longest = limits.zset_max_listpack_value
    return len(members) <= limits.zset_max_listpack_entries and all(
        len(member) <= longest for member in members
    )


class Range(Protocol):
    """Some consecutive pairs of any sorted set."""

    def positions(self, zset: SortedSet) -> tuple[int, int]:
        """Return the index of the first pair, and that after the last; empty if not first < after.

        Both are from 0 to the number of pairs.
        """


class RankRange(NamedTuple):
    """From index `first` to `last`, both included; negative ones count from the end.

    With `is_reverse` they count from the highest score.
    """

    first: int
    last: int
    is_reverse: bool = False

    def positions(self, zset: SortedSet) -> tuple[int, int]:
        size = len(zset)
        first = max(self.first + size if self.first < 0 else self.first, 0)
        last = min(self.last + size if self.last < 0 else self.last, size - 1)
        if first > last:
            return 0, 0
        return (size - 1 - last, size - first) if self.is_reverse else (first, last + 1)


class ScoreRange(NamedTuple):
    """Scores from `low` to `high`; `excludes_` leaves the end itself out."""

    low: float
    high: float
    excludes_low: bool = False
    excludes_high: bool = False

    def positions(self, zset: SortedSet) -> tuple[int, int]:
        start = _after(zset, self.low) if self.excludes_low else zset.position(self.low)
        stop = zset.position(self.high) if self.excludes_high else _after(zset, self.high)
        return start, stop


def _after(zset: SortedSet, score: float) -> int:
    """Return the index after the last pair that has `score`."""
    return len(zset) if score == inf else zset.position(nextafter(score, inf))


class LexRange(NamedTuple):
    """Members from `low` to `high`, which are in order where all scores are the same.

    None is no bound. An `is_empty` one begins above all members or ends below all.
    """

    low: bytes | None
    high: bytes | None
    excludes_low: bool = False
    excludes_high: bool = False
    is_empty: bool = False
    #: Whether it is read from its end: where scores differ, another range comes of that.
    is_reverse: bool = False

    def positions(self, zset: SortedSet) -> tuple[int, int]:
        if self.is_empty or not len(zset):
            return 0, 0
        (low_score, first), (high_score, last) = zset.at(0), zset.at(len(zset) - 1)
        if self._is_below(last) or self._is_above(first):
            return 0, 0  # Redis looks no further, even if scores differ
        if zset.is_packed and low_score != high_score:
            return self._positions_by_walking(zset.elements())
        start, stop = 0, len(zset)
        # A byte 0 more makes the next member that there can be.
        if self.low is not None:
            start = zset.member_position(self.low + b"\0" if self.excludes_low else self.low)
        if self.high is not None:
            stop = zset.member_position(self.high if self.excludes_high else self.high + b"\0")
        return start, stop

    def _positions_by_walking(self, members: list[bytes]) -> tuple[int, int]:
        """Return what Redis finds in a listpack whose members are in no order of their own.

        It looks for the first member that is not too low, and from there on for one that is too
        high; in reverse from the other end (`t_zset.c: zzlFirstInLexRange`).
        """
        size = len(members)
        if self.is_reverse:
            stop = size - _count_while(self._is_above, reversed(members))
            return stop - _count_while(self._is_not_below, reversed(members[:stop])), stop
        start = _count_while(self._is_below, members)
        return start, start + _count_while(self._is_not_above, members[start:])

    def _is_below(self, member: bytes) -> bool:
        low = self.low
        return low is not None and (member < low or (member == low and self.excludes_low))

    def _is_not_below(self, member: bytes) -> bool:
        return not self._is_below(member)

    def _is_above(self, member: bytes) -> bool:
        high = self.high
        return high is not None and (member > high or (member == high and self.excludes_high))

    def _is_not_above(self, member: bytes) -> bool:
        return not self._is_above(member)


def _count_while(claim: Callable[[bytes], bool], members: Iterable[bytes]) -> int:
    return sum(1 for _ in takewhile(claim, members))
