"""A node of a stream: consecutive entries packed into one listpack, as in Redis.

The entries' bytes are those that Redis keeps and RDB holds, so that a stream takes as little memory
as there, and is trimmed, saved and loaded node by node. A node has a master ID, that of its first
entry, and master fields, those of its first entry: an entry holds its ID's distance from the one,
and its fields only where they are not the others.

A node is *open* while entries are added: `_parts` has the bytes of each. It is *sealed* when the
next node is begun: one string, and where in it each entry begins; unless it is so large that a
deletion, which copies the string, would take long. Deleted entries are marked and stay until the
whole node goes. Reference: Redis 7.0 `t_stream.c: streamAppendItem, streamTrim, streamIterator*`.
"""

from __future__ import annotations

import sys
from array import array
from bisect import bisect_left
from collections.abc import Sequence
from itertools import accumulate, pairwise
from typing import Final

from ..listpack import (
    END,
    HEAD,
    SMALL_INTEGERS,
    ListpackError,
    integer_entry,
    listpack_of,
    next_entry,
    read_integer,
    read_text,
    text_entry,
)
from .stream_ids import UINT64_MAX, StreamId, make_id

#: An entry: the two parts of its ID, its fields and its values. Those of one node that have the
#: same fields have the same list.
Row = tuple[int, int, list[bytes], list[bytes]]

# What the number means that an entry begins with.
_DELETED: Final = 1
_SAME_FIELDS: Final = 2
_KNOWN_FLAGS: Final = _DELETED | _SAME_FIELDS
#: Larger nodes are not sealed. The places of entries have to fit 16 bits.
_SEALED_SIZE_LIMIT: Final = 1 << 16
#: The elements of a node besides fields and entries: two counts, the number of fields, a zero.
_HEAD_ELEMENTS: Final = 4
#: The elements of an entry besides fields and values: flags and the two parts of the ID.
_ENTRY_ELEMENTS: Final = 3
_SIGN: Final = 1 << 63
#: The largest integer that takes but one byte, and one behind.
_SMALL: Final = len(SMALL_INTEGERS) - 1


class MasterFields:
    """The fields that most entries of a node have; nodes behind one another share them."""

    __slots__ = ("element_count", "names", "packed")

    def __init__(self, names: list[bytes]) -> None:
        self.names = names
        #: As they stand in the listpack, with their number before and a zero behind.
        self.packed = b"".join(
            [integer_entry(len(names)), *map(text_entry, names), SMALL_INTEGERS[0]]
        )
        #: What stands behind an entry that has just these fields: how many elements it takes.
        self.element_count = integer_entry(len(names) + _ENTRY_ELEMENTS)


class StreamNode:
    """`key` is the master ID; the counts of live and deleted entries add up to `len(node)`."""

    __slots__ = (
        "_body",
        "_element_count",
        "_offsets",
        "_parts",
        "_sequence",
        "_time_ms",
        "body_bytes",
        "deleted_count",
        "fields",
        "first_live",
        "key",
        "live_count",
    )

    def __init__(self, key: StreamId, fields: MasterFields) -> None:
        self.key = key
        self._time_ms = key >> 64
        self._sequence = key & UINT64_MAX
        self.fields = fields
        self.live_count = 0
        self.deleted_count = 0
        #: All entries before this index are deleted.
        self.first_live = 0
        #: Size of the entries without what comes before the first.
        self.body_bytes = 0
        #: How many elements of a listpack the entries take.
        self._element_count = 0
        #: The bytes of each entry, or None in a sealed node.
        self._parts: list[bytes] | None = []
        self._body = b""
        self._offsets: Sequence[int] = ()

    def __len__(self) -> int:
        return self.live_count + self.deleted_count

    def __sizeof__(self) -> int:
        size = object.__sizeof__(self) + sys.getsizeof(self._body) + sys.getsizeof(self._offsets)
        parts = self._parts
        if parts:
            size += sys.getsizeof(parts) + sum(map(sys.getsizeof, parts))
        return size

    @property
    def listpack_bytes(self) -> int:
        """Return the size of the listpack that the node is."""
        live_count = self.live_count
        deleted_count = self.deleted_count
        if live_count <= _SMALL and deleted_count <= _SMALL:
            counts_bytes = 4
        else:
            counts_bytes = len(integer_entry(live_count)) + len(integer_entry(deleted_count))
        return HEAD.size + counts_bytes + len(self.fields.packed) + self.body_bytes + 1

    # --- adding and removing ---------------------------------------------------------------------

    def append(self, stream_id: StreamId, words: list[bytes]) -> None:
        """Add an entry; `words` are fields and values in turn."""
        fields = self.fields
        names = words[::2]
        values = words[1::2]
        time_ms = (stream_id >> 64) - self._time_ms
        sequence = (stream_id & UINT64_MAX) - self._sequence
        distance = _distance(time_ms) + _distance(sequence)
        if names == fields.names:
            entries = [b"\x02\x01", distance, *map(text_entry, values), fields.element_count]
            elements = len(values)
        else:
            elements = 2 * len(values) + 1
            entries = [
                SMALL_INTEGERS[0],
                distance,
                integer_entry(len(names)),
                *map(text_entry, words),
                integer_entry(elements + _ENTRY_ELEMENTS),
            ]
        data = b"".join(entries)
        if self._parts is None:
            self._open()
        self._parts.append(data)  # type: ignore[union-attr]  # an open node has them
        self.body_bytes += len(data)
        self._element_count += elements + _ENTRY_ELEMENTS + 1
        self.live_count += 1

    def seal(self) -> None:
        """Pack what was added: from now on entries are read and deleted."""
        parts = self._parts
        if parts is None or self.body_bytes > _SEALED_SIZE_LIMIT:
            return
        self._offsets = array("H", accumulate(map(len, parts[:-1]), initial=0))
        self._body = b"".join(parts)
        self._parts = None

    def _open(self) -> None:
        ends = [*self._offsets, len(self._body)]
        self._parts = [self._body[start:end] for start, end in pairwise(ends)]
        self._body = b""
        self._offsets = ()

    def delete(self, stream_id: StreamId) -> bool:
        """Mark the entry `stream_id` as deleted; return whether it was there."""
        index = self.find(stream_id)
        if index is None:
            return False
        self._mark([index])
        return True

    def delete_oldest(self, count: int) -> int:
        """Mark the first `count` live entries as deleted; return how many those were."""
        found: list[int] = []
        for index in range(self.first_live, len(self)):
            if len(found) == count:
                break
            if not self.is_deleted(index):
                found.append(index)
        self._mark(found)
        return len(found)

    def delete_before(self, stream_id: StreamId) -> int:
        """Mark the entries before `stream_id` as deleted; return how many those were."""
        end = self.index_of(stream_id)
        found = [index for index in range(self.first_live, end) if not self.is_deleted(index)]
        self._mark(found)
        return len(found)

    def _mark(self, indexes: list[int]) -> None:
        if self._parts is not None:
            for index in indexes:
                data = self._parts[index]
                self._parts[index] = b"%c%b" % (data[0] | _DELETED, data[1:])
        else:
            body = bytearray(self._body)
            for index in indexes:
                body[self._offsets[index]] |= _DELETED
            self._body = bytes(body)
        self.live_count -= len(indexes)
        self.deleted_count += len(indexes)
        size = len(self)
        while self.first_live < size and self.is_deleted(self.first_live):
            self.first_live += 1

    # --- reading ---------------------------------------------------------------------------------

    def _place(self, index: int) -> tuple[bytes, int]:
        """Return the bytes that hold the entry at `index`, and where in them it begins."""
        if self._parts is not None:
            return self._parts[index], 0
        return self._body, self._offsets[index]

    def is_deleted(self, index: int) -> bool:
        """Return whether the entry at `index` is marked as deleted."""
        data, position = self._place(index)
        return bool(data[position] & _DELETED)

    def id_at(self, index: int) -> StreamId:
        """Return the ID of the entry at `index`."""
        parts = self._parts
        if parts is not None:
            data = parts[index]
            position = 2
        else:
            data = self._body
            position = self._offsets[index] + 2
        time_ms = data[position]
        sequence = data[position + 2]
        # What `read_integer` does for small numbers; a bisection asks for many.
        if time_ms > _SMALL or sequence > _SMALL:
            time_ms, position = read_integer(data, position)
            sequence, position = read_integer(data, position)
            return self._id(time_ms, sequence)
        return self._time_ms + time_ms << 64 | self._sequence + sequence & UINT64_MAX

    def index_of(self, stream_id: StreamId) -> int:
        """Return the index of the first entry that is not before `stream_id`."""
        if stream_id <= self.key:
            return 0
        return bisect_left(range(len(self)), stream_id, key=self.id_at)

    def find(self, stream_id: StreamId) -> int | None:
        """Return the index of the entry `stream_id`; None: there is none, or it is deleted."""
        index = self.index_of(stream_id)
        if index == len(self) or self.id_at(index) != stream_id or self.is_deleted(index):
            return None
        return index

    def rows_at(self, ids: Sequence[StreamId]) -> list[Row | None]:
        """Return the entries with these IDs, which ascend; None where there is none.

        They are looked for one behind the other, which is mostly where they are.
        """
        size = len(self)
        indexes: list[int] = []
        index = 0
        for stream_id in ids:
            if index == size or self.id_at(index) != stream_id:
                index = self.index_of(stream_id)
                if index == size or self.id_at(index) != stream_id:
                    continue
            indexes.append(index)
            index += 1
        found = {make_id(row[0], row[1]): row for row in self.rows(indexes)}
        return [found.get(stream_id) for stream_id in ids]

    def rows(self, indexes: Sequence[int], most: int | None = None) -> list[Row]:
        """Return the first `most` (None: all) entries at `indexes` that are not deleted.

        The hottest part of reading: what the functions called in rare cases do is written out.
        """
        rows: list[Row] = []
        append = rows.append
        parts, body, offsets = self._parts, self._body, self._offsets
        master_ms, master_sequence = self._time_ms, self._sequence
        names = self.fields.names
        for index in indexes:
            if parts is not None:
                data = parts[index]
                position = 0
            else:
                data = body
                position = offsets[index]
            flags = data[position]
            if flags & _DELETED:
                continue
            time_ms = data[position + 2]
            sequence = data[position + 4]
            if time_ms > _SMALL or sequence > _SMALL:
                time_ms, position = read_integer(data, position + 2)
                sequence, position = read_integer(data, position)
                time_ms = master_ms + time_ms & UINT64_MAX
                sequence = master_sequence + sequence & UINT64_MAX
            else:
                time_ms += master_ms
                sequence = master_sequence + sequence & UINT64_MAX
                position += 6
            if not flags & _SAME_FIELDS:
                append((time_ms, sequence, *_other_fields(data, position)))
            else:
                values: list[bytes] = []
                for _ in names:
                    head = data[position]
                    if 0x80 <= head < 0xC0:  # what `read_text` does for short strings
                        start = position + 1
                        position = start + (head & 0x3F)
                        value = data[start:position]
                        position += 1
                    else:
                        value, position = read_text(data, position)
                    values.append(value)
                append((time_ms, sequence, names, values))
            if len(rows) == most:
                break
        return rows

    def _id(self, time_ms: int, sequence: int) -> StreamId:
        """Return the ID that is so far from the master ID; either part wraps around."""
        time_ms += self._time_ms
        return (time_ms & UINT64_MAX) << 64 | self._sequence + sequence & UINT64_MAX

    # --- as a listpack ---------------------------------------------------------------------------

    def listpack(self) -> bytes:
        """Return the node as RDB holds it."""
        return listpack_of(
            [
                integer_entry(self.live_count),
                integer_entry(self.deleted_count),
                self.fields.packed,
                *([self._body] if self._parts is None else self._parts),
            ],
            _HEAD_ELEMENTS + len(self.fields.names) + self._element_count,
        )

    @classmethod
    def of_listpack(cls, key: StreamId, data: bytes, known: MasterFields | None) -> StreamNode:
        """Return the node that `data` is; `known` are the fields of the one before it.

        Raises:
            ListpackError: it is none.
            IndexError: it ends too early.
            struct.error: likewise.
        """
        size_bytes, _ = HEAD.unpack_from(data)
        if size_bytes != len(data):
            raise ListpackError(0, f"a listpack of {len(data)} bytes says it has {size_bytes}")
        live_count, position = read_integer(data, HEAD.size)
        deleted_count, position = read_integer(data, position)
        field_count, position = read_integer(data, position)
        names: list[bytes] = []
        for _ in range(field_count):
            end = next_entry(data, position)
            names.append(read_text(data, position)[0])
            position = end
        zero, position = read_integer(data, position)
        if zero or min(live_count, deleted_count, field_count) < 0:
            raise ListpackError(position, "a node of a stream has a head that makes no sense")
        fields = known if known is not None and known.names == names else MasterFields(names)
        node = cls(key, fields)
        node._adopt(data, position)
        if (node.live_count, node.deleted_count) != (live_count, deleted_count):
            raise ListpackError(0, "a node of a stream has not as many entries as it says")
        return node

    def _adopt(self, data: bytes, start: int) -> None:
        """Take over the entries that begin at `start`, walking over each."""
        size = len(self.fields.names)
        places: list[int] = []
        previous = self.key - 1
        position = start
        while data[position] != END:
            places.append(position - start)
            flags = data[position]
            if flags > _KNOWN_FLAGS:
                raise ListpackError(position, f"no entry of a stream has the flags {flags}")
            time_ms, position = read_integer(data, position + 2)
            sequence, position = read_integer(data, position)
            stream_id = self._id(time_ms, sequence)
            if stream_id <= previous:
                raise ListpackError(position, "the entries of a stream are not in order")
            previous = stream_id
            elements = size
            if not flags & _SAME_FIELDS:
                count, position = read_integer(data, position)
                if count < 0:
                    raise ListpackError(position, "an entry of a stream has less than no fields")
                elements = 2 * count
            for _ in range(elements):
                position = next_entry(data, position)
            elements += _ENTRY_ELEMENTS + (not flags & _SAME_FIELDS)
            said, position = read_integer(data, position)
            if said != elements:
                raise ListpackError(position, "an entry of a stream has not the size that it says")
            self._element_count += elements + 1
            if flags & _DELETED:
                self.deleted_count += 1
            else:
                self.live_count += 1
        if position != len(data) - 1:
            raise ListpackError(position, "bytes follow the end of a listpack")
        self._body = data[start:position]
        self.body_bytes = len(self._body)
        self._offsets = places
        if self.body_bytes > _SEALED_SIZE_LIMIT:
            self._open()
        else:
            self._offsets = array("H", places)
            self._parts = None
        while self.first_live < len(self) and self.is_deleted(self.first_live):
            self.first_live += 1

    def copy(self) -> StreamNode:
        """Return an equal node that shares nothing that changes."""
        node = StreamNode(self.key, self.fields)
        node.live_count = self.live_count
        node.deleted_count = self.deleted_count
        node.first_live = self.first_live
        node.body_bytes = self.body_bytes
        node._element_count = self._element_count
        node._parts = None if self._parts is None else self._parts.copy()
        node._body = self._body
        node._offsets = self._offsets
        return node


def _other_fields(data: bytes, position: int) -> tuple[list[bytes], list[bytes]]:
    """Return the fields and the values of an entry that has both, from their number on."""
    count, position = read_integer(data, position)
    names: list[bytes] = []
    values: list[bytes] = []
    for _ in range(count):
        name, position = read_text(data, position)
        value, position = read_text(data, position)
        names.append(name)
        values.append(value)
    return names, values


def _distance(number: int) -> bytes:
    """Return the element of a distance, which wraps around as 64 bits do."""
    if 0 <= number <= _SMALL:
        return SMALL_INTEGERS[number]
    return integer_entry((number + _SIGN & UINT64_MAX) - _SIGN)
