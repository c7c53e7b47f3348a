"""Pairs of score and member in their order, in chunks of some hundred.

A chunk keeps its scores as numbers side by side, so that a search reads a few cache lines instead
of an object for each comparison; members are looked at only where scores are the same. Changes move
part of a chunk. Ranks come from a Fenwick tree (Fenwick, 1994) of the chunks' sizes, which is made
when a rank is asked for and kept up to date only while ranks go on being asked for: a set that only
takes scores need not pay for it. So every operation takes logarithmic time, and the memory for a
pair is 16 bytes. Why not sortedcontainers: docs/adr/0034.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Mapping
from itertools import accumulate, chain, islice
from operator import eq
from typing import Final, TypeAlias

#: A score, never NaN, and the member that has it: so pairs are ordered as sorted sets are.
Pair: TypeAlias = tuple[float, bytes]

#: A chunk with more pairs is cut in two; one with fewer joins its neighbour.
_MOST: Final = 1024
_FEWEST: Final = 128
#: How large the chunks of pairs that come at once are made.
_USUAL: Final = 768
#: So many changes without a question for a rank, and the tree is given up.
_UNASKED_CHANGES: Final = 256


class ScoreOrder:
    """An ordered list of distinct pairs. Indexes are from 0; negative ones are not taken.

    The four lists have an item for each chunk: its scores, its members, and its last pair.
    """

    __slots__ = (
        "_high_members",
        "_high_scores",
        "_members",
        "_scores",
        "_size",
        "_tree",
        "_unasked_changes",
    )

    def __init__(self, scores: Mapping[bytes, float]) -> None:
        """Begin with the pairs of which `scores` has the members as keys."""
        members = _in_order(scores)
        self._members = [
            members[start : start + _USUAL] for start in range(0, len(members), _USUAL)
        ]
        self._scores = [array("d", map(scores.__getitem__, part)) for part in self._members]
        self._high_scores = [part[-1] for part in self._scores]
        self._high_members = [part[-1] for part in self._members]
        self._size = len(members)
        #: The Fenwick tree of the chunks' sizes, from 1 on; None: there is none at present.
        self._tree: list[int] | None = None
        self._unasked_changes = 0

    def __len__(self) -> int:
        return self._size

    def __iter__(self) -> Iterator[Pair]:
        return chain.from_iterable(map(zip, self._scores, self._members))

    def containers(self) -> tuple[list[list[bytes]], list[array[float]]]:
        """Return what the pairs are kept in."""
        return self._members, self._scores

    # --- changes ---------------------------------------------------------------------------------

    def add(self, score: float, member: bytes) -> None:
        """Put in a pair that is not there."""
        chunk, place = self._find(score, member)
        if chunk == len(self._scores):  # behind all
            if not chunk:
                self._scores.append(array("d"))
                self._members.append([])
                self._high_scores.append(score)
                self._high_members.append(member)
            else:
                chunk -= 1
                self._high_scores[chunk] = score
                self._high_members[chunk] = member
            place = len(self._scores[chunk])
        scores = self._scores[chunk]
        scores.insert(place, score)
        self._members[chunk].insert(place, member)
        self._size += 1
        if self._tree is not None:
            self._count(chunk, 1)
        if len(scores) > _MOST:
            self._cut(chunk)

    def remove(self, score: float, member: bytes) -> bytes:
        """Take out a pair that is there; return its member, the object that was put in."""
        return self._take(*self._find(score, member))[1]

    def pop(self, index: int) -> Pair:
        """Take out and return the pair at `index`."""
        return self._take(*self._locate(index))

    def delete_slice(self, start: int, stop: int) -> None:
        """Take out the pairs from index `start` to before `stop`."""
        chunk, place = self._locate(start)
        left = stop - start
        while left:
            count = min(left, len(self._scores[chunk]) - place)
            del self._scores[chunk][place : place + count]
            del self._members[chunk][place : place + count]
            left -= count
            chunk += 1
            place = 0
        self._size -= stop - start
        self._scores = [scores for scores in self._scores if scores]
        self._members = [members for members in self._members if members]
        self._high_scores = [scores[-1] for scores in self._scores]
        self._high_members = [members[-1] for members in self._members]
        self._tree = None

    def _take(self, chunk: int, place: int) -> Pair:
        scores, members = self._scores[chunk], self._members[chunk]
        pair = scores.pop(place), members.pop(place)
        self._size -= 1
        if self._tree is not None:
            self._count(chunk, -1)
        if place == len(scores) and scores:
            self._high_scores[chunk] = scores[-1]
            self._high_members[chunk] = members[-1]
        if len(scores) < _FEWEST and (not scores or len(self._scores) > 1):
            self._join(chunk)
        return pair

    def _cut(self, chunk: int) -> None:
        """Make two chunks of one."""
        half = _MOST // 2
        scores, members = self._scores[chunk], self._members[chunk]
        self._scores.insert(chunk + 1, scores[half:])
        self._members.insert(chunk + 1, members[half:])
        del scores[half:], members[half:]
        self._high_scores.insert(chunk, scores[-1])
        self._high_members.insert(chunk, members[-1])
        self._tree = None

    def _join(self, chunk: int) -> None:
        """Make one chunk of a small one and its neighbour; the only one is empty, and goes."""
        self._tree = None
        first = max(chunk - 1, 0)
        if len(self._scores) == 1:
            for items in (self._scores, self._members, self._high_scores, self._high_members):
                items.clear()
            return
        scores, members = self._scores[first], self._members[first]
        scores += self._scores.pop(first + 1)
        members += self._members.pop(first + 1)
        del self._high_scores[first + 1], self._high_members[first + 1]
        self._high_scores[first] = scores[-1]
        self._high_members[first] = members[-1]
        if len(scores) > _MOST:
            self._cut(first)

    # --- places ----------------------------------------------------------------------------------

    def _find(self, score: float, member: bytes) -> tuple[int, int]:
        """Return where the pair is or belongs: the first chunk that does not end before it, and how
        many pairs of that come before it. With the number of chunks: all end before it.
        """
        highs = self._high_scores
        chunk = bisect_left(highs, score)
        if chunk == len(highs):
            return chunk, 0
        if highs[chunk] == score:
            end = bisect_right(highs, score, chunk)
            chunk = bisect_left(self._high_members, member, chunk, end)
            if chunk == len(highs):
                return chunk, 0
        scores = self._scores[chunk]
        place = bisect_left(scores, score)
        if scores[place] != score:  # there is one: the chunk's last is not lower
            return chunk, place
        end = place + 1
        if end < len(scores) and scores[end] == score:
            end = bisect_right(scores, score, end)
        return chunk, bisect_left(self._members[chunk], member, place, end)

    def rank(self, score: float, member: bytes) -> int:
        """Return how many pairs come before that one."""
        chunk, place = self._find(score, member)
        return self._start_of(chunk) + place

    def position(self, score: float) -> int:
        """Return how many pairs have a lower score."""
        chunk = bisect_left(self._high_scores, score)
        place = bisect_left(self._scores[chunk], score) if chunk < len(self._scores) else 0
        return self._start_of(chunk) + place

    def member_position(self, member: bytes) -> int:
        """Return how many members come before `member`, where all scores are the same."""
        chunk = bisect_left(self._high_members, member)
        place = bisect_left(self._members[chunk], member) if chunk < len(self._members) else 0
        return self._start_of(chunk) + place

    def at(self, index: int) -> Pair:
        """Return the pair at `index`."""
        chunk, place = self._locate(index)
        return self._scores[chunk][place], self._members[chunk][place]

    def slice(self, start: int, stop: int) -> list[Pair]:
        """Return the pairs from index `start` to before `stop`."""
        pairs: list[Pair] = []
        left = min(stop, self._size) - start
        if left <= 0:
            return pairs
        chunk, place = self._locate(start)
        while left:
            scores = self._scores[chunk][place : place + left]
            pairs += zip(scores, self._members[chunk][place : place + left], strict=True)
            left -= len(scores)
            chunk += 1
            place = 0
        return pairs

    # --- ranks -----------------------------------------------------------------------------------

    def _count(self, chunk: int, change: int) -> None:
        """Note that `chunk` has become longer by `change`."""
        self._unasked_changes += 1
        tree = self._tree
        assert tree is not None
        if self._unasked_changes > _UNASKED_CHANGES:
            self._tree = None
            return
        node = chunk + 1
        while node < len(tree):
            tree[node] += change
            node += node & -node

    def _made_tree(self) -> list[int]:
        self._unasked_changes = 0
        if self._tree is None:
            ends = [0, *accumulate(map(len, self._scores))]
            self._tree = [ends[node] - ends[node - (node & -node)] for node in range(len(ends))]
        return self._tree

    def _start_of(self, chunk: int) -> int:
        """Return how many pairs are in the chunks before `chunk`."""
        if not chunk:
            return 0
        if chunk == len(self._scores):
            return self._size
        tree = self._made_tree()
        start = 0
        while chunk:
            start += tree[chunk]
            chunk &= chunk - 1
        return start

    def _locate(self, index: int) -> tuple[int, int]:
        """Return the chunk of the pair at `index`, and its place there."""
        if not 0 <= index < self._size:
            raise IndexError(index)
        if index < len(self._scores[0]):
            return 0, index
        last = len(self._scores) - 1
        from_end = self._size - index
        if from_end <= len(self._scores[last]):
            return last, len(self._scores[last]) - from_end
        tree = self._made_tree()
        chunk = 0
        step = 1 << (len(tree) - 1).bit_length()
        while step := step >> 1:
            if chunk + step < len(tree) and tree[chunk + step] <= index:
                chunk += step
                index -= tree[chunk]
        return chunk, index


def _in_order(scores: Mapping[bytes, float]) -> list[bytes]:
    """Return the members in the order of their pairs, of which none is made: a million would leave
    a hole of 60 MB in the memory.
    """
    members = sorted(scores, key=scores.__getitem__)
    values = list(map(scores.__getitem__, members))
    if any(map(eq, values, islice(values, 1, None))):
        members = sorted(sorted(scores), key=scores.__getitem__)  # sorting is stable
    return members
