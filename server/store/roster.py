"""Drawing from, and going through, containers that cannot be indexed.

Python's sets and dictionaries give no random element in constant time, and show no slots that a
cursor could stand for. A `Roster` is a list of what a container holds, made when it is first needed
and kept up to date from then on: what is removed is only noted, and struck from the list when a
draw comes upon it, the last member filling the gap.

A scan goes from the end of the list to its beginning, and a cursor says how many places are left.
That gives SCAN's guarantee without any state for a scan: members only ever move towards the
beginning, so one that was there from the first step to the last is not missed; some come twice.
"""

from __future__ import annotations

import random
import sys
from collections.abc import Iterable


class Roster:
    """Draws are uniform. They, like additions and removals, take constant time on average."""

    __slots__ = ("_gone", "_order")

    def __init__(self, members: Iterable[bytes]) -> None:
        """Begin with `members`, which must be distinct."""
        self._order = list(members)
        #: Members still in the list that the container no longer has: never more than half of it.
        self._gone: set[bytes] = set()

    def __sizeof__(self) -> int:
        """Return the size of the list; the members are the container's."""
        return object.__sizeof__(self) + sys.getsizeof(self._order) + sys.getsizeof(self._gone)

    def containers(self) -> tuple[list[bytes], set[bytes]]:
        """Return what the members are kept in."""
        return self._order, self._gone

    def add(self, member: bytes) -> None:
        """Note a member that the container did not have."""
        if member in self._gone:
            self._gone.remove(member)
        else:
            self._order.append(member)

    def remove(self, member: bytes) -> None:
        """Note that the container no longer has `member`."""
        self._gone.add(member)
        if len(self._gone) * 2 > len(self._order):
            self._compact()

    def _compact(self) -> None:
        gone = self._gone
        if gone:
            self._order = [member for member in self._order if member not in gone]
            gone.clear()

    def draw(self, generator: random.Random) -> bytes:
        """Return a member; there must be one."""
        return self._order[self._index(generator)]

    def take(self, generator: random.Random) -> bytes:
        """Return a member and forget it; there must be one."""
        return self._strike(self._index(generator))

    def sample(self, generator: random.Random, count: int) -> list[bytes]:
        """Return `count` distinct members in no particular order; there must be so many."""
        if count * 3 > len(self._order):
            self._compact()
            return generator.sample(self._order, count)
        found: set[bytes] = set()
        while len(found) < count:
            found.add(self.draw(generator))
        return list(found)

    def scan(self, cursor: int, count: int) -> tuple[int, list[bytes]]:
        """Return the next cursor (0: the end) and up to `count` members; cursor 0 begins."""
        order, gone = self._order, self._gone
        end = min(cursor, len(order)) if cursor else len(order)
        start = max(0, end - count)
        found = order[start:end]
        if gone:
            found = [member for member in found if member not in gone]
        return start, found

    def _index(self, generator: random.Random) -> int:
        """Return the place of a member, striking what is gone on the way."""
        order, gone = self._order, self._gone
        while True:
            index = int(generator.random() * len(order))
            if not gone or order[index] not in gone:
                return index
            gone.remove(self._strike(index))

    def _strike(self, index: int) -> bytes:
        """Take out what stands at `index`, filling the gap with the last."""
        order = self._order
        member = order[index]
        last = order.pop()
        if index < len(order):
            order[index] = last
        return member
