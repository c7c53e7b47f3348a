"""The order in which SCAN goes through a dictionary, and the guarantee it gives.

A key that is there from the first call of a scan to its last is returned, whatever else comes and
goes meanwhile. Redis walks the slots of its hash table; Python shows no slots, so keys are ordered
by their hash here, and a cursor is a place in that order. A place means the same at any time in the
life of the process, so the server keeps no state for a scan: a `ScanOrder` is but a cache of the
sorting, made when a scan begins, and made anew where it is missing.

What is said of keys goes for the elements of a collection too (HSCAN, SSCAN, ZSCAN).
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

#: Places are 1 to 2^47: so cursors are exact in languages that have only doubles.
_PLACE_BITS: Final = 47
_PLACE_MASK: Final = (1 << _PLACE_BITS) - 1
_KEYS_PER_BUCKET: Final = 64


def scan(
    values: Collection[bytes], order: ScanOrder | None, cursor: int, count: int
) -> tuple[int, list[bytes], ScanOrder | None]:
    """Take one step of a scan over the keys of `values`, a set or dictionary.

    Return the next cursor (0: the end), about `count` keys, and the cache to give as `order` to the
    next call for the same container; None is always right, and costs a pass over it.
    """
    if cursor == 0 and len(values) <= count:
        return 0, list(values), None
    if cursor == 0 or order is None or order.values is not values:
        order = ScanOrder(values)
    cursor, keys = order.step(cursor, count)
    return cursor, [key for key in keys if key in values], order if cursor else None


def _place(key: bytes) -> int:
    return (hash(key) & _PLACE_MASK) + 1


class ScanOrder:
    """The keys that `values` had when this was made, in order of their places.

    Making it is one pass; buckets are sorted when a scan comes to them, so that no call takes long.
    """

    def __init__(self, values: Collection[bytes]) -> None:
        self.values = values
        bucket_bits = max(0, (len(values) // _KEYS_PER_BUCKET).bit_length())
        self._shift = _PLACE_BITS - bucket_bits
        self._buckets: list[list[bytes]] = [[] for _ in range(1 << bucket_bits)]
        self._is_sorted = bytearray(1 << bucket_bits)
        shift, buckets = self._shift, self._buckets
        for key in values:
            buckets[(hash(key) & _PLACE_MASK) >> shift].append(key)

    def step(self, cursor: int, count: int) -> tuple[int, list[bytes]]:
        """Return the next cursor (0: the end) and about `count` keys from `cursor` on.

        Keys that share a place are returned together. Some may have been deleted meanwhile.
        """
        found: list[bytes] = []
        last_place = 0
        index = max(cursor - 1, 0) >> self._shift
        while index < len(self._buckets):
            for key in self._bucket(index):
                place = _place(key)
                if place < cursor:
                    continue
                if len(found) >= count and place != last_place:
                    return place, found
                found.append(key)
                last_place = place
            index += 1
        return 0, found

    def _bucket(self, index: int) -> list[bytes]:
        bucket = self._buckets[index]
        if not self._is_sorted[index]:
            bucket.sort(key=_place)
            self._is_sorted[index] = True
        return bucket
