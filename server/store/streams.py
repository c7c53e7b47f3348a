"""Streams: entries by ascending ID in nodes, and consumer groups (Redis 7.0 `t_stream.c`).

Redis finds a node in a radix tree by the ID of its first entry; here the nodes are in a list and
found by bisection. Nodes go whole from the front, or singly from anywhere, and come at the end.
"""

from __future__ import annotations

import sys
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Sequence
from operator import attrgetter
from typing import ClassVar, Final

from .digest import mix_digest
from .encoding_limits import EncodingLimits
from .stream_groups import UNKNOWN_COUNT, Group
from .stream_ids import ID_BYTES, MAX_ID, UINT64_MAX, StreamId, make_id
from .stream_node import MasterFields, Row, StreamNode
from .values import Collection, Container

#: The number that Redis mixes into the digest of a stream (`OBJ_STREAM`).
_DIGEST_TYPE: Final = (6).to_bytes(4, "big")
#: No node becomes larger, whatever the directive allows, and no entry.
NODE_SIZE_LIMIT: Final = 1 << 30
_KEY: Final = attrgetter("key")
#: An entry with its ID and its fields and values in turn.
Entry = tuple[StreamId, list[bytes]]


class Stream(Collection):
    """A stream, which may be empty.

    `last_id` is the ID last given, `entries_added` how many ever were; neither ever goes back but
    by XSETID. `first_id` is the first entry's ID, 0 in an empty stream; `max_deleted_id` the
    largest that XDEL deleted, 0 if none.
    """

    __slots__ = (
        "_nodes",
        "entries_added",
        "first_id",
        "groups",
        "last_id",
        "length",
        "max_deleted_id",
    )

    type_name: ClassVar[bytes] = b"stream"

    def __init__(self, nodes: list[StreamNode] | None = None) -> None:
        """Make a stream of `nodes`, which are in order; its other facts are the caller's to set."""
        self._nodes = [] if nodes is None else nodes
        self.length = sum(node.live_count for node in self._nodes)
        self.last_id: StreamId = 0
        self.first_id: StreamId = 0
        self.max_deleted_id: StreamId = 0
        self.entries_added = 0
        self.groups: dict[bytes, Group] = {}

    def __len__(self) -> int:
        return self.length

    def __bool__(self) -> bool:
        return True  # an empty stream is a value like others

    def containers(self) -> list[Container]:
        containers: list[Container] = [self._nodes]
        for group in self.groups.values():
            consumers = group.consumers.values()
            for pending in (group.pending, *(consumer.pending for consumer in consumers)):
                containers += pending.containers()
        return containers

    def size_bytes(self, sample_count: int) -> int:
        nodes = self._nodes
        sampled = [sys.getsizeof(node) for node in nodes[: sample_count or None]]
        nodes_bytes = sum(sampled) * len(nodes) // len(sampled) if sampled else 0
        groups_bytes = sum(map(sys.getsizeof, self.groups.values()))
        return object.__sizeof__(self) + sys.getsizeof(nodes) + nodes_bytes + groups_bytes

    def encoding(self) -> bytes:
        return b"stream"

    def add_to_digest(self, digest: bytes) -> bytes:
        digest = mix_digest(digest, _DIGEST_TYPE)
        for stream_id, words in self.entries():
            digest = mix_digest(digest, b"%d.%d" % (stream_id >> 64, stream_id & UINT64_MAX))
            for word in words:
                digest = mix_digest(digest, word)
        return digest

    def copy(self) -> Stream:
        stream = Stream([node.copy() for node in self._nodes])
        stream.last_id = self.last_id
        stream.first_id = self.first_id
        stream.max_deleted_id = self.max_deleted_id
        stream.entries_added = self.entries_added
        stream.groups = {name: group.copy() for name, group in self.groups.items()}
        return stream

    def elements(self) -> Iterable[bytes] | None:
        return None

    @property
    def nodes(self) -> list[StreamNode]:
        """The nodes in order, to be looked at only."""
        return self._nodes

    def sorted_groups(self) -> list[tuple[bytes, Group]]:
        """Return the groups with their names, in the order of these."""
        return sorted(self.groups.items(), key=lambda item: item[0])

    # --- adding ----------------------------------------------------------------------------------

    def next_id(self, now_ms: int) -> StreamId:
        """Return the ID for an entry that is added now; there must be one beyond `last_id`."""
        now_id = now_ms << 64
        return now_id if now_ms > self.last_id >> 64 else self.last_id + 1

    def append(
        self,
        stream_id: StreamId,
        words: list[bytes],
        limits: EncodingLimits,
        words_bytes: int | None = None,
    ) -> None:
        """Add an entry beyond the last one; `words` are its fields and values in turn.

        Who knows it already tells how many bytes they are together.
        """
        nodes = self._nodes
        node = nodes[-1] if nodes else None
        if words_bytes is None:
            words_bytes = sum(map(len, words))
        if node is None or self._is_full(node, words_bytes, limits):
            names = words[::2]
            if node is not None:
                node.seal()
            is_same = node is not None and node.fields.names == names
            fields = node.fields if node is not None and is_same else MasterFields(names)
            node = StreamNode(stream_id, fields)
            nodes.append(node)
        node.append(stream_id, words)
        if not self.length:
            self.first_id = stream_id
        self.length += 1
        self.entries_added += 1
        self.last_id = stream_id

    @staticmethod
    def _is_full(node: StreamNode, words_bytes: int, limits: EncodingLimits) -> bool:
        limit = limits.stream_node_max_entries
        if limit and node.live_count + node.deleted_count >= limit:
            return True
        limit_bytes = limits.stream_node_max_bytes
        if not 0 < limit_bytes <= NODE_SIZE_LIMIT:
            limit_bytes = NODE_SIZE_LIMIT
        return node.listpack_bytes + words_bytes >= limit_bytes

    # --- reading ---------------------------------------------------------------------------------

    def rows(
        self,
        start: StreamId = 0,
        end: StreamId = MAX_ID,
        most: int | None = None,
        *,
        is_reversed: bool = False,
    ) -> list[Row]:
        """Return up to `most` entries from `start` to `end`, both counted; reversed: from `end`."""
        rows: list[Row] = []
        for node, indexes in self._nodes_within(start, end, is_reversed=is_reversed):
            rows += node.rows(indexes, None if most is None else most - len(rows))
            if len(rows) == most:
                break
        return rows

    def entries(
        self, start: StreamId = 0, end: StreamId = MAX_ID, *, is_reversed: bool = False
    ) -> Iterator[Entry]:
        """Iterate over the entries that `rows` gives, a node at a time."""
        for node, indexes in self._nodes_within(start, end, is_reversed=is_reversed):
            yield from map(entry_of, node.rows(indexes))

    def _nodes_within(
        self, start: StreamId, end: StreamId, *, is_reversed: bool
    ) -> Iterator[tuple[StreamNode, range]]:
        """Iterate over the nodes of entries from `start` to `end`, and where in each these are."""
        nodes = self._nodes
        if not nodes or start > end:
            return
        first = self._node_index(start)
        last = len(nodes) - 1 if end == MAX_ID else self._node_index(end)
        for place in range(last, first - 1, -1) if is_reversed else range(first, last + 1):
            node = nodes[place]
            begin = node.index_of(start) if place == first else 0
            stop = len(node) if place < last or end == MAX_ID else node.index_of(end + 1)
            indexes = range(max(begin, node.first_live), stop)
            yield node, indexes[::-1] if is_reversed else indexes

    def _node_index(self, stream_id: StreamId) -> int:
        """Return the index of the node in which `stream_id` is, if it is in any.

        There must be nodes; what is before the first of them would be in that.
        """
        return max(bisect_right(self._nodes, stream_id, key=_KEY), 1) - 1

    def contains(self, stream_id: StreamId) -> bool:
        """Return whether there is an entry with just this ID."""
        nodes = self._nodes
        return bool(nodes) and nodes[self._node_index(stream_id)].find(stream_id) is not None

    def rows_at(self, ids: Sequence[StreamId]) -> list[Row | None]:
        """Return the entries with these IDs, which ascend; None where there is none."""
        nodes = self._nodes
        if not nodes:
            return [None] * len(ids)
        rows: list[Row | None] = []
        start = 0
        while start < len(ids):
            place = self._node_index(ids[start])
            is_last = place + 1 == len(nodes)
            stop = len(ids) if is_last else bisect_left(ids, nodes[place + 1].key, start)
            rows += nodes[place].rows_at(ids[start:stop])
            start = stop
        return rows

    def newest_id(self) -> StreamId:
        """Return the ID of the last entry that there is; 0 where there is none."""
        for node in reversed(self._nodes):
            for index in range(len(node) - 1, -1, -1):
                if not node.is_deleted(index):
                    return node.id_at(index)
        return 0

    def oldest_id(self) -> StreamId:
        """Return the ID of the first entry that there is; the largest where there is none."""
        for node in self._nodes:
            if node.live_count:
                return node.id_at(node.first_live)
        return MAX_ID

    def oldest_kept_id(self) -> StreamId:
        """Return the ID of the first entry, which may be deleted; the largest of an empty stream.

        It is what a trimming by ID is propagated with.
        """
        return self._nodes[0].id_at(0) if self._nodes else MAX_ID

    # --- removing --------------------------------------------------------------------------------

    def delete(self, ids: Iterable[StreamId]) -> int:
        """Delete entries; return how many of them there were."""
        deleted = 0
        nodes = self._nodes
        for stream_id in ids:
            place = self._node_index(stream_id) if nodes else 0
            if not nodes or not nodes[place].delete(stream_id):
                continue
            if not nodes[place].live_count:
                del nodes[place]
            deleted += 1
            self.length -= 1
            self.max_deleted_id = max(self.max_deleted_id, stream_id)
        if deleted:
            self._find_first()
        return deleted

    def trim(
        self,
        *,
        max_length: int | None = None,
        min_id: StreamId = 0,
        is_approximate: bool = False,
        limit: int = 0,
    ) -> int:
        """Delete the oldest entries and return how many those were.

        As many as are beyond `max_length`, or, if that is None, those before `min_id`. An
        approximate trimming deletes whole nodes only, with no more than `limit` entries together
        (0: no limit).
        """
        removed = 0
        whole_nodes = 0
        for node in self._nodes:
            count = node.live_count
            if max_length is not None and self.length <= max_length:
                break
            if limit and removed + count > limit:
                break
            if max_length is not None:
                is_whole = self.length - count >= max_length
            else:
                is_whole = node.id_at(len(node) - 1) < min_id
            if is_whole:
                whole_nodes += 1
            elif is_approximate:
                break
            elif max_length is not None:
                count = node.delete_oldest(self.length - max_length)
            else:
                count = node.delete_before(min_id)
            self.length -= count
            removed += count
            if not is_whole:
                break
        del self._nodes[:whole_nodes]
        if removed:
            self._find_first()
        return removed

    def _find_first(self) -> None:
        self.first_id = self.oldest_id() if self.length else 0

    # --- what groups have read -------------------------------------------------------------------

    def has_gaps_from(self, stream_id: StreamId) -> bool:
        """Return whether an entry may be missing from `stream_id` on, so that counting fails.

        Follows `streamRangeHasTombstones`.
        """
        if not self.length or not self.max_deleted_id or self.first_id > self.max_deleted_id:
            return False
        return stream_id <= self.max_deleted_id

    def count_up_to(self, stream_id: StreamId) -> int:
        """Return how many entries were ever added up to `stream_id`, UNKNOWN_COUNT if that is lost.

        Follows `streamEstimateDistanceFromFirstEverEntry`.
        """
        if not self.entries_added:
            return 0
        if stream_id == self.last_id or (not self.length and stream_id < self.last_id):
            return self.entries_added
        if stream_id > self.last_id:
            return UNKNOWN_COUNT
        if not self.max_deleted_id or self.max_deleted_id < self.first_id:
            if stream_id < self.first_id:
                return self.entries_added - self.length
            if stream_id == self.first_id:
                return self.entries_added - self.length + 1
        return UNKNOWN_COUNT

    def lag_of(self, group: Group) -> int | None:
        """Return how many entries the group has still to be given; None: nobody can tell."""
        if not self.entries_added:
            return 0
        read = group.entries_read
        if read == UNKNOWN_COUNT or self.has_gaps_from(group.last_id):
            read = self.count_up_to(group.last_id)
        return None if read == UNKNOWN_COUNT else self.entries_added - read

    def advance(self, group: Group, stream_id: StreamId) -> None:
        """Have the group's last ID be that of an entry which is being given to a consumer."""
        if group.entries_read != UNKNOWN_COUNT and not self.has_gaps_from(stream_id):
            group.entries_read += 1
        elif self.entries_added:
            group.entries_read = self.count_up_to(stream_id)
        group.last_id = stream_id

    # --- the radix tree that there would be ------------------------------------------------------

    def tree_node_count(self) -> int:
        """Return how many nodes Redis' radix tree over the keys of the stream's nodes has.

        A leaf for each key, a node for each place where keys part, and one for each run of bytes
        between those. Walks over the keys, keeping the places on the path to the present one.
        """
        nodes = self._nodes
        if not nodes:
            return 1
        count = len(nodes)
        #: Depths, in bytes, at which keys part, from the root to where the present key is.
        path: list[int] = []
        previous = nodes[0].key
        for node in nodes[1:]:
            parting = ID_BYTES - ((previous ^ node.key).bit_length() + 7) // 8
            count += _close(path, ID_BYTES, parting)
            if not path or path[-1] != parting:
                path.append(parting)
            previous = node.key
        return count + _close(path, ID_BYTES, -1)


def entry_of(row: Row) -> Entry:
    """Return the entry that `row` is."""
    time_ms, sequence, names, values = row
    words = [b""] * (2 * len(names))
    words[::2] = names
    words[1::2] = values
    return make_id(time_ms, sequence), words


def _close(path: list[int], depth: int, parting: int) -> int:
    """Leave the parts of `path` below the depth `parting`; return how many nodes those were.

    `depth` is where what hangs below the last of them begins: it takes one more node unless that is
    the very next byte.
    """
    count = 0
    while path and path[-1] > parting:
        above = path.pop()
        count += 1 + (depth > above + 1)
        depth = above
    return count + (depth > parting + 1)
