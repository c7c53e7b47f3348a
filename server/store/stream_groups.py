"""Consumer groups of a stream: who was given which entries, and has not acknowledged them yet.

An entry that is given to a consumer is *pending* until it is acknowledged; it stands in the list of
the group and in that of its consumer, as one object. Reference: Redis 7.0 `t_stream.c`, and 7.2 for
`active_ms`.
"""

from __future__ import annotations

import sys
from bisect import bisect_left
from collections.abc import Iterator
from typing import Final

from .stream_ids import StreamId
from .values import Container

#: What `Group.entries_read` is when nobody can tell.
UNKNOWN_COUNT: Final = -1
#: When a consumer was active that never was.
NEVER: Final = -1
#: So many IDs that are pending no more may be kept, besides as many as are pending.
_SPARE_COUNT: Final = 64


class Pending:
    """An entry that was given to `consumer`, last at `delivered_ms` (wall clock)."""

    __slots__ = ("consumer", "delivered_ms", "delivery_count")

    def __init__(self, consumer: Consumer, delivered_ms: int, delivery_count: int) -> None:
        self.consumer = consumer
        self.delivered_ms = delivered_ms
        self.delivery_count = delivery_count


class PendingEntries:
    """Pending entries by ID, in the order of their IDs.

    Entries come nearly always in order and go in any, so that IDs stay in `_ids` for a while when
    they are pending no more; what is pending is in the dictionary.
    """

    __slots__ = ("_by_id", "_ids")

    def __init__(self) -> None:
        self._by_id: dict[StreamId, Pending] = {}
        #: Ascending; all that are pending, and some that are no more.
        self._ids: list[StreamId] = []

    def __len__(self) -> int:
        return len(self._by_id)

    def __sizeof__(self) -> int:
        return object.__sizeof__(self) + sys.getsizeof(self._by_id) + sys.getsizeof(self._ids)

    def containers(self) -> tuple[Container, Container]:
        """Return what the entries are kept in."""
        return self._by_id, self._ids

    def get(self, stream_id: StreamId) -> Pending | None:
        """Return what is pending under `stream_id`, or None."""
        return self._by_id.get(stream_id)

    def put(self, stream_id: StreamId, pending: Pending) -> None:
        """Have `pending` stand under `stream_id`."""
        by_id = self._by_id
        if stream_id not in by_id:
            ids = self._ids
            if not ids or stream_id > ids[-1]:
                ids.append(stream_id)
            else:
                place = bisect_left(ids, stream_id)
                if ids[place] != stream_id:
                    ids.insert(place, stream_id)
        by_id[stream_id] = pending

    def remove(self, stream_id: StreamId) -> None:
        """Take out `stream_id`, which must be there."""
        del self._by_id[stream_id]
        if len(self._ids) > 2 * len(self._by_id) + _SPARE_COUNT:
            self._ids = [each for each in self._ids if each in self._by_id]

    def items_from(self, start: StreamId = 0) -> Iterator[tuple[StreamId, Pending]]:
        """Iterate over the entries from `start` on; those it has given may be taken out."""
        ids = self._ids
        by_id = self._by_id
        for place in range(bisect_left(ids, start), len(ids)):
            pending = by_id.get(ids[place])
            if pending is not None:
                yield ids[place], pending

    def first(self) -> StreamId:
        """Return the first ID; there must be one."""
        ids = self._ids
        gone = next(place for place, each in enumerate(ids) if each in self._by_id)
        del ids[:gone]
        return ids[0]

    def last(self) -> StreamId:
        """Return the last ID; there must be one."""
        ids = self._ids
        while ids[-1] not in self._by_id:
            ids.pop()
        return ids[-1]


class Consumer:
    """`seen_ms` is when it last asked for entries, `active_ms` when it last got some."""

    __slots__ = ("active_ms", "name", "pending", "seen_ms")

    def __init__(self, name: bytes, seen_ms: int, active_ms: int = NEVER) -> None:
        self.name = name
        self.seen_ms = seen_ms
        self.active_ms = active_ms
        self.pending = PendingEntries()


class Group:
    """`last_id` is the last entry given to any consumer, `entries_read` how many were so far."""

    __slots__ = ("consumers", "entries_read", "last_id", "pending")

    def __init__(self, last_id: StreamId, entries_read: int = UNKNOWN_COUNT) -> None:
        self.last_id = last_id
        self.entries_read = entries_read
        self.pending = PendingEntries()
        self.consumers: dict[bytes, Consumer] = {}

    def __sizeof__(self) -> int:
        size = object.__sizeof__(self) + sys.getsizeof(self.consumers)
        size += sys.getsizeof(self.pending) + len(self.pending) * _PENDING_BYTES
        for consumer in self.consumers.values():
            size += sys.getsizeof(consumer) + sys.getsizeof(consumer.name)
            size += sys.getsizeof(consumer.pending)
        return size

    def sorted_consumers(self) -> list[Consumer]:
        """Return the consumers in the order of their names."""
        return [self.consumers[name] for name in sorted(self.consumers)]

    def add_consumer(self, name: bytes, now_ms: int) -> Consumer:
        """Make the consumer `name`, which must not be there."""
        consumer = self.consumers[name] = Consumer(name, now_ms)
        return consumer

    def remove_consumer(self, consumer: Consumer) -> None:
        """Take out a consumer with all that is pending for it."""
        for stream_id, _ in consumer.pending.items_from():
            self.pending.remove(stream_id)
        del self.consumers[consumer.name]

    def assign(
        self, stream_id: StreamId, consumer: Consumer, delivered_ms: int, delivery_count: int
    ) -> Pending:
        """Have the entry pend for `consumer`, whoever's it was."""
        pending = self.pending.get(stream_id)
        if pending is None:
            pending = Pending(consumer, delivered_ms, delivery_count)
            self.pending.put(stream_id, pending)
            consumer.pending.put(stream_id, pending)
            return pending
        if pending.consumer is not consumer:
            pending.consumer.pending.remove(stream_id)
            consumer.pending.put(stream_id, pending)
            pending.consumer = consumer
        pending.delivered_ms = delivered_ms
        pending.delivery_count = delivery_count
        return pending

    def release(self, stream_id: StreamId) -> bool:
        """Take the entry off the lists; return whether it was pending."""
        pending = self.pending.get(stream_id)
        if pending is None:
            return False
        self.pending.remove(stream_id)
        pending.consumer.pending.remove(stream_id)
        return True

    def copy(self) -> Group:
        """Return an equal group that shares nothing that changes."""
        group = Group(self.last_id, self.entries_read)
        for consumer in self.consumers.values():
            copied = Consumer(consumer.name, consumer.seen_ms, consumer.active_ms)
            group.consumers[consumer.name] = copied
        for stream_id, pending in self.pending.items_from():
            owner = group.consumers[pending.consumer.name]
            group.assign(stream_id, owner, pending.delivered_ms, pending.delivery_count)
        return group


#: What a pending entry takes besides its places in the dictionaries: its ID, itself, its time.
_PENDING_BYTES: Final = sum(
    map(sys.getsizeof, (1 << 100, Pending(Consumer(b"", 0), 0, 0), 1_700_000_000_000))
)
