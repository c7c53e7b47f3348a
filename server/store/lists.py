"""Lists: elements in order, quick at both ends and near them (Redis 7.0 `t_list.c`).

A deque does what Redis' quicklist does: constant time at the ends, and from there a block at a time
inwards. What it cannot do, cut out a range, is done with rotations, which move whole blocks.
"""

from __future__ import annotations

import sys
from collections import deque
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import ClassVar, Final

from .digest import mix_digest
from .values import SAMPLE_COUNT, Collection, Container, sampled_bytes

#: The number that Redis mixes into the digest of a list (`OBJ_LIST`).
_DIGEST_TYPE: Final = (1).to_bytes(4, "big")
#: Up to so many elements from an end it is quicker to walk than to rotate.
_WALK_COUNT: Final = 512


class List(Collection):
    """`items` may be read by anyone and pushed to at both ends; all else goes through methods."""

    __slots__ = ("items",)

    type_name: ClassVar[bytes] = b"list"

    def __init__(self, items: deque[bytes]) -> None:
        self.items = items

    def __len__(self) -> int:
        return len(self.items)

    def __sizeof__(self) -> int:
        return self.size_bytes(SAMPLE_COUNT)

    def containers(self) -> list[Container]:
        return [self.items]

    def size_bytes(self, sample_count: int) -> int:
        items = self.items
        elements_bytes = sampled_bytes(items, len(items), sample_count)
        return object.__sizeof__(self) + sys.getsizeof(items) + elements_bytes

    def encoding(self) -> bytes:
        """Return `quicklist`, as Redis before 7.2 does for lists of any size."""
        return b"quicklist"

    def add_to_digest(self, digest: bytes) -> bytes:
        digest = mix_digest(digest, _DIGEST_TYPE)
        for item in self.items:
            digest = mix_digest(digest, item)
        return digest

    def copy(self) -> List:
        return List(self.items.copy())

    def elements(self) -> Iterable[bytes]:
        return self.items

    def range_of(self, first: int, last: int) -> tuple[int, int]:
        """Return (start, stop) of the elements from index `first` to `last`, both counted.

        Negative indexes count from the end. An empty range is (0, 0).
        """
        size = len(self.items)
        start = max(first + size, 0) if first < 0 else first
        stop = min((last + size if last < 0 else last) + 1, size)
        return (start, stop) if start < stop else (0, 0)

    def slice(self, start: int, stop: int) -> tuple[bytes, ...]:
        """Return the elements from `start` to before `stop`, which are within the list."""
        items = self.items
        if start <= _WALK_COUNT:
            return tuple(islice(items, start, stop))
        size = len(items)
        if size - stop <= _WALK_COUNT:
            return tuple(islice(reversed(items), size - stop, size - start))[::-1]
        items.rotate(-start)
        found = tuple(islice(items, stop - start))
        items.rotate(start)
        return found

    def pop_left(self, count: int) -> tuple[bytes, ...]:
        """Take out up to `count` elements and return them, the first one first."""
        items = self.items
        if count >= len(items):
            popped = tuple(items)
            items.clear()
            return popped
        pop = items.popleft
        return tuple([pop() for _ in range(count)])

    def pop_right(self, count: int) -> tuple[bytes, ...]:
        """Take out up to `count` elements and return them, the last one first."""
        items = self.items
        pop = items.pop
        return tuple([pop() for _ in range(min(count, len(items)))])

    def trim(self, start: int, stop: int) -> int:
        """Keep only the elements from `start` to before `stop`; return how many were removed."""
        size = len(self.items)
        removed = size - (stop - start)
        if removed > size // 2:
            self.items = deque(self.slice(start, stop))
        else:
            self.pop_right(size - stop)
            self.pop_left(start)
        return removed

    def insert(self, pivot: bytes, element: bytes, *, is_after: bool) -> bool:
        """Insert `element` beside the first `pivot`; return whether there is one."""
        try:
            index = self.items.index(pivot)
        except ValueError:
            return False
        self.items.insert(index + is_after, element)
        return True

    def remove(self, element: bytes, count: int) -> int:
        """Remove the first `count` elements equal to `element`, and return how many those were.

        A negative count removes the last ones, 0 all.
        """
        items = self.items
        if count == 1:
            try:
                items.remove(element)
            except ValueError:
                return 0
            return 1
        found = items.count(element)
        if not found:
            return 0
        limit = min(abs(count), found) if count else found
        if limit == found:
            self.items = deque([item for item in items if item != element])
        elif count > 0:
            self.items = deque(_without(items, element, limit))
        else:
            kept = deque(_without(reversed(items), element, limit))
            kept.reverse()
            self.items = kept
        return limit

    def positions(
        self, element: bytes, *, rank: int = 1, count: int | None = 1, most: int | None = None
    ) -> tuple[int, ...]:
        """Return the indexes of up to `count` elements equal to `element`, from the `rank`-th on.

        A negative rank (0 is none) searches from the end. `most` is how many elements are looked
        at; None in its place, or for `count`, is no limit.
        """
        searched = islice(self.items if rank > 0 else reversed(self.items), most)
        matches = (index for index, item in enumerate(searched) if item == element)
        skipped = abs(rank) - 1
        if skipped >= len(self.items):
            return ()
        found = islice(matches, skipped, None if count is None else skipped + count)
        if rank > 0:
            return tuple(found)
        last = len(self.items) - 1
        return tuple([last - index for index in found])


def _without(items: Iterable[bytes], element: bytes, limit: int) -> Iterator[bytes]:
    """Iterate over `items` without the first `limit` that are equal to `element`."""
    for item in items:
        if limit and item == element:
            limit -= 1
        else:
            yield item
