"""Sorted sets: members with scores, in the order of score and then of member.

A dictionary finds a member, an ordered list its place. Small ones, which Redis packs into a
listpack, have a plain list; large ones a `SortedList`, whose changes and look-ups by rank stay
cheap at a million members. Reference: Redis 7.0 `t_zset.c`.
"""

from __future__ import annotations

import sys
from bisect import bisect_left, insort
from collections.abc import Iterable
from dataclasses import dataclass
from math import inf, nextafter
from operator import itemgetter
from typing import Any, ClassVar, Final, Protocol, TypeAlias

from sortedcontainers import SortedList

from .dict_places import scan
from .digest import DIGEST_SIZE, mix_digest, xor_digest
from .encoding_limits import EncodingLimits
from .values import SAMPLE_COUNT, Container, Scannable, is_sparse, sampled_bytes

#: What the pair of a score and a member takes, with the score and its place in the order.
_PAIR_BYTES: Final = sys.getsizeof((0.0, b"")) + sys.getsizeof(0.0) + 8

#: A score, never NaN, and the member that has it: so pairs are ordered as sorted sets are.
Pair: TypeAlias = tuple[float, bytes]

_TYPE_NUMBER: Final = (3).to_bytes(4, "big")  # Redis' OBJ_ZSET, which its digest begins with


class SortedSet(Scannable):
    """`pairs` by member. `is_packed` until it outgrows the limits once, as Redis converts one way.

    `pairs` may be read by anyone and is changed only here.
    """

    __slots__ = ("_order", "is_packed", "pairs")

    type_name: ClassVar[bytes] = b"zset"

    def __init__(self, pairs: dict[bytes, Pair], *, is_packed: bool) -> None:
        """Adopt `pairs`."""
        if is_packed:
            pairs = {member: (score + 0.0, member) for score, member in pairs.values()}
        self.pairs = pairs
        self.is_packed = is_packed
        # Any: a list, or sortedcontainers' SortedList, which has no types.
        self._order: Any = sorted(pairs.values()) if is_packed else SortedList(pairs.values())

    @classmethod
    def within(cls, limits: EncodingLimits, pairs: Iterable[Pair] = ()) -> SortedSet:
        """Return the sorted set of `pairs`, packed if `limits` allow it."""
        by_member = {pair[1]: pair for pair in pairs}
        return cls(by_member, is_packed=_fit_listpack(by_member, limits))

    def __len__(self) -> int:
        return len(self.pairs)

    def __sizeof__(self) -> int:
        return self.size_bytes(SAMPLE_COUNT)

    def containers(self) -> list[Container]:
        # SortedList's own: it has no other way to be emptied than as a whole.
        order = self._order if self.is_packed else self._order._lists
        return [self.pairs, order]

    def size_bytes(self, sample_count: int) -> int:
        count = len(self.pairs)
        elements_bytes = sampled_bytes(self.pairs, count, sample_count) + count * _PAIR_BYTES
        return object.__sizeof__(self) + sys.getsizeof(self.pairs) + elements_bytes

    def encoding(self) -> bytes:
        return b"listpack" if self.is_packed else b"skiplist"

    def elements(self) -> list[bytes]:
        return [member for _, member in self._order]

    def settle(self, limits: EncodingLimits) -> None:
        is_packed = _fit_listpack(self.pairs, limits)
        if is_packed != self.is_packed:
            self._order = list(self._order) if is_packed else SortedList(self._order)
            self.is_packed = is_packed

    def add_to_digest(self, digest: bytes) -> bytes:
        digest = mix_digest(digest, _TYPE_NUMBER)
        for score, member in self.pairs.values():
            element = mix_digest(bytes(DIGEST_SIZE), member)
            digest = xor_digest(digest, mix_digest(element, b"%.17g" % score))
        return digest

    def copy(self) -> SortedSet:
        # In order already, so that it costs no sorting.
        return SortedSet({pair[1]: pair for pair in self._order}, is_packed=self.is_packed)

    def score(self, member: bytes) -> float | None:
        """Return the score of `member`, or None."""
        pair = self.pairs.get(member)
        return None if pair is None else pair[0]

    def add(self, member: bytes, score: float, limits: EncodingLimits) -> None:
        """Add `member`, which must not be there."""
        if self.is_packed and (
            len(self.pairs) >= limits.zset_max_listpack_entries
            or len(member) > limits.zset_max_listpack_value
        ):
            self._order = SortedList(self._order)
            self.is_packed = False
        self._put_in(score, member)

    def change(self, pair: Pair, score: float) -> None:
        """Give the member of `pair`, which must be one of `pairs`, another score."""
        self._take_out(pair)
        self._put_in(score, pair[1])  # the same object for the member: two would take more memory

    def _put_in(self, score: float, member: bytes) -> None:
        if self.is_packed:
            # A listpack has whole scores as integers, so that -0 loses its sign there.
            pair = (score + 0.0, member)
            insort(self._order, pair)
        else:
            pair = (score, member)
            self._order.add(pair)
        self.pairs[member] = pair

    def discard(self, member: bytes) -> bool:
        """Remove `member`; return whether it was there."""
        pair = self.pairs.pop(member, None)
        if pair is None:
            return False
        self._take_out(pair)
        self._give_back_room()
        return True

    def _take_out(self, pair: Pair) -> None:
        if self.is_packed:
            del self._order[bisect_left(self._order, pair)]
        else:
            self._order.remove(pair)

    # --- by rank ---------------------------------------------------------------------------------

    def position(self, pair: Pair | tuple[float]) -> int:
        """Return how many pairs come before `pair`; a score alone is before all that have it."""
        if self.is_packed:
            return bisect_left(self._order, pair)
        position: int = self._order.bisect_left(pair)
        return position

    def member_position(self, member: bytes) -> int:
        """Return how many members come before `member`, if they are in order without scores."""
        return bisect_left(self._order, member, key=itemgetter(1))

    def at(self, index: int) -> Pair:
        """Return the pair at `index` in ascending order; negative counts from the end."""
        pair: Pair = self._order[index]
        return pair

    def slice(self, start: int, stop: int) -> list[Pair]:
        """Return the pairs from index `start` to before `stop`, ascending."""
        pairs: list[Pair] = self._order[start:stop]
        return pairs

    def pop(self, index: int) -> Pair:
        """Remove and return the pair at `index`."""
        pair: Pair = self._order.pop(index)
        del self.pairs[pair[1]]
        self._give_back_room()
        return pair

    def _give_back_room(self) -> None:
        if is_sparse(self.pairs):
            self.pairs = dict(self.pairs)

    def delete_slice(self, start: int, stop: int) -> list[Pair]:
        """Remove and return the pairs from index `start` to before `stop`, ascending."""
        removed = self.slice(start, stop)
        if len(removed) == len(self.pairs):
            self._order.clear()
            self.pairs.clear()
            return removed
        del self._order[start:stop]
        for _, member in removed:
            del self.pairs[member]
        if len(removed) > len(self.pairs):
            self.pairs = dict(self.pairs)
        return removed

    def scan(self, cursor: int, count: int) -> tuple[int, list[bytes]]:
        if self.is_packed:  # Redis gives these in one piece, whatever the count
            return 0, self.elements()
        return scan(self.pairs, cursor, count)


def _fit_listpack(pairs: dict[bytes, Pair], limits: EncodingLimits) -> bool:
    longest = limits.zset_max_listpack_value
    return len(pairs) <= limits.zset_max_listpack_entries and all(
        len(member) <= longest for member in pairs
    )


class Range(Protocol):
    """Some consecutive pairs of any sorted set."""

    def positions(self, zset: SortedSet) -> tuple[int, int]:
        """Return the index of the first pair, and that after the last; empty if not first < after.

        Both are from 0 to the number of pairs.
        """


@dataclass(frozen=True, slots=True)
class RankRange:
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


@dataclass(frozen=True, slots=True)
class ScoreRange:
    """Scores from `low` to `high`; `excludes_` leaves the end itself out."""

    low: float
    high: float
    excludes_low: bool = False
    excludes_high: bool = False

    def positions(self, zset: SortedSet) -> tuple[int, int]:
        start = _after(zset, self.low) if self.excludes_low else zset.position((self.low,))
        stop = zset.position((self.high,)) if self.excludes_high else _after(zset, self.high)
        return start, stop


def _after(zset: SortedSet, score: float) -> int:
    """Return the index after the last pair that has `score`."""
    return len(zset) if score == inf else zset.position((nextafter(score, inf),))


@dataclass(frozen=True, slots=True)
class LexRange:
    """Members from `low` to `high`, which are in order where all scores are the same.

    None is no bound. An `is_empty` one begins above all members or ends below all.
    """

    low: bytes | None
    high: bytes | None
    excludes_low: bool = False
    excludes_high: bool = False
    is_empty: bool = False

    def positions(self, zset: SortedSet) -> tuple[int, int]:
        if self.is_empty:
            return 0, 0
        start, stop = 0, len(zset)
        # A byte 0 more makes the next member that there can be.
        if self.low is not None:
            start = zset.member_position(self.low + b"\0" if self.excludes_low else self.low)
        if self.high is not None:
            stop = zset.member_position(self.high if self.excludes_high else self.high + b"\0")
        return start, stop
