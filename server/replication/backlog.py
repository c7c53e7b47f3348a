"""The replication backlog: the most recent bytes of the stream, in one ring for all replicas.

A replica is a `Reader`: an offset into the ring, never a copy of the bytes. Offsets here count
the bytes of the stream before a position: `end_offset` is how many bytes there ever were (Redis'
`master_repl_offset`), and a replica that has `n` bytes reads from `n`. Redis' PSYNC and INFO name
bytes instead, the first of them 1; `psync.py` and INFO add that one.

The ring has the configured size (`repl-backlog-size`). While a reader lags behind it by more, it
grows, up to `limit_bytes` (the hard limit of `client-output-buffer-limit replica`), and goes back
when nobody needs the room. A reader further behind than the limit is overrun: its bytes are gone
and its replica must be dropped. Redis 7 does the same with blocks that replicas keep alive
(`replication.c: feedReplicationBuffer, incrementalTrimReplicationBacklog`).

This file must not know who reads, nor what the bytes mean.
"""

from __future__ import annotations

from typing import Final

#: An append of up to so much is kept as it is, to be read without looking for it in the ring.
_LATEST_MAX_BYTES: Final = 64 * 1024


class Reader:
    """One replica's place in the stream; made by `Backlog.attach`, ended by `Backlog.detach`."""

    __slots__ = ("offset",)

    def __init__(self, offset: int) -> None:
        #: How many bytes of the stream were read. Only ever rises; <= the backlog's end_offset.
        self.offset = offset


class Backlog:
    """A ring of the stream's last bytes. `append` costs one copy, or two where the ring wraps."""

    __slots__ = (
        "_capacity",
        "_latest",
        "_origin",
        "_readers",
        "_ring",
        "_safe_end",
        "_size_bytes",
        "end_offset",
        "limit_bytes",
    )

    def __init__(self, size_bytes: int, *, start_offset: int = 0, limit_bytes: int = 0) -> None:
        """Begin an empty backlog at `start_offset`; `limit_bytes` 0 lets no reader exceed the
        ring.
        """
        assert size_bytes > 0
        assert start_offset >= 0
        #: The configured size, to which the ring returns.
        self._size_bytes = size_bytes
        #: How large the ring may become for a slow reader; below the size it counts as the size.
        self.limit_bytes = limit_bytes
        #: Byte `p` of the stream is at `_ring[p % _capacity]`; `_capacity == len(_ring)`.
        self._ring = bytearray(size_bytes)
        self._capacity = size_bytes
        #: Offset of the end of the stream; never falls.
        self.end_offset = start_offset
        #: No byte before this is held, whatever the capacity.
        self._origin = start_offset
        #: Up to this end no reader can lose a byte; beyond it, `_make_room` looks again.
        self._safe_end = start_offset
        self._readers: list[Reader] = []
        #: What was appended last, unless it is large: what all readers but slow ones read next.
        self._latest = b""

    @property
    def first_offset(self) -> int:
        """Offset of the first byte still held; first <= end, equal when nothing is held."""
        return max(self._origin, self.end_offset - self._capacity)

    @property
    def history_bytes(self) -> int:
        """How many bytes are held (INFO's `repl_backlog_histlen`)."""
        return self.end_offset - self.first_offset

    @property
    def size_bytes(self) -> int:
        """The configured size."""
        return self._size_bytes

    @property
    def capacity_bytes(self) -> int:
        """The memory the ring takes now: its size, or more while a reader lags."""
        return self._capacity

    @property
    def excess_bytes(self) -> int:
        """How much more than its size the ring takes now, for readers that lag."""
        return max(0, self._capacity - self._size_bytes)

    def append(self, data: bytes) -> None:
        """Add `data` to the end of the stream; the oldest bytes give way."""
        size = len(data)
        start = self.end_offset
        end = start + size
        if end > self._safe_end:
            self._make_room(end)
        capacity = self._capacity
        if size > capacity:
            data = data[-capacity:]
            size = capacity
            start = end - capacity
        index = start % capacity
        room = capacity - index
        if size <= room:
            self._ring[index : index + size] = data
        else:
            self._ring[index:] = data[:room]
            self._ring[: size - room] = data[room:]
        self.end_offset = end
        self._latest = data if size <= _LATEST_MAX_BYTES else b""

    def holds(self, offset: int) -> bool:
        """Say whether everything from `offset` to the end can be read; the end itself can."""
        return self.first_offset <= offset <= self.end_offset

    def read(self, offset: int, max_bytes: int) -> bytes:
        """Return up to `max_bytes` from `offset`; empty only at the end.

        Raises:
            ValueError: `offset` is not held (see `holds`).
        """
        latest = self._latest
        if offset == self.end_offset - len(latest) and len(latest) <= max_bytes:
            return latest
        if not self.holds(offset):
            raise ValueError(
                f"offset {offset} is outside the backlog {self.first_offset}..{self.end_offset}"
            )
        size = min(max_bytes, self.end_offset - offset)
        capacity = self._capacity
        index = offset % capacity
        piece = bytes(self._ring[index : min(index + size, capacity)])
        if len(piece) == size:
            return piece
        return piece + bytes(self._ring[: size - len(piece)])

    def attach(self, offset: int) -> Reader:
        """Return a reader at `offset`, for which the ring grows from now on.

        Raises:
            ValueError: `offset` is not held.
        """
        if not self.holds(offset):
            raise ValueError(f"offset {offset} is outside the backlog")
        reader = Reader(offset)
        self._readers.append(reader)
        self._safe_end = self.end_offset
        return reader

    def detach(self, reader: Reader) -> None:
        """Forget `reader`; what was held for it alone is given up.

        Raises ValueError if it is not attached.
        """
        self._readers.remove(reader)
        if self._capacity > self._size_bytes >= self._needed_bytes(self.end_offset):
            self._change_capacity(self._size_bytes)
            self._safe_end = self.end_offset

    def resize(self, size_bytes: int) -> None:
        """Set the configured size, keeping the most recent bytes that fit.

        Readers that lag keep what they need, as in `append`.
        """
        assert size_bytes > 0
        self._size_bytes = size_bytes
        self._change_capacity(max(size_bytes, self._needed_bytes(self.end_offset)))
        self._safe_end = self.end_offset

    def _needed_bytes(self, end: int) -> int:
        """Return how many bytes before `end` the readers that are within the limit still need."""
        limit = max(self.limit_bytes, self._size_bytes)
        lags = [end - reader.offset for reader in self._readers]
        return max((lag for lag in lags if lag <= limit), default=0)

    def _make_room(self, end: int) -> None:
        """Grow or shrink the ring as the readers need it for a stream that ends at `end`."""
        needed = self._needed_bytes(end)
        if needed > self._capacity:
            limit = max(self.limit_bytes, self._size_bytes)
            self._change_capacity(min(max(needed, 2 * self._capacity), limit))
        elif self._capacity > self._size_bytes >= needed:
            self._change_capacity(self._size_bytes)
        self._safe_end = end - needed + self._capacity

    def _change_capacity(self, capacity: int) -> None:
        if capacity == self._capacity:
            return
        first = max(self.first_offset, self.end_offset - capacity)
        kept = self.read(first, self.end_offset - first)
        self._ring = bytearray(capacity)
        self._latest = b""
        self._capacity = capacity
        self._origin = first
        index = first % capacity
        room = min(capacity - index, len(kept))
        self._ring[index : index + room] = kept[:room]
        self._ring[: len(kept) - room] = kept[room:]
