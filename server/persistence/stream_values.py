"""Streams in RDB: read in each encoding that Redis has had for them, written as Redis 7.0 does.

A stream's nodes are the listpacks of the file. Redis 7.0 added what streams and groups count, 7.2
when a consumer was active (`rdb.c`).
"""

from __future__ import annotations

from functools import partial
from struct import Struct
from struct import error as StructError
from typing import Final

from ..listpack import ListpackError, check_back_lengths
from ..store.stream_groups import Consumer, Group, PendingEntries
from ..store.stream_ids import ID_BYTES, UINT64_MAX, StreamId, make_id
from ..store.stream_node import StreamNode
from ..store.streams import Stream
from .rdb.decode import STRICT_DECODERS, VALUE_DECODERS
from .rdb.encode import VALUE_ENCODERS
from .rdb.errors import CorruptRdbError
from .rdb.lengths import RdbData, encode_length, read_length
from .rdb.strings import encode_string, read_string

_STREAM_LISTPACKS: Final = 15
_STREAM_LISTPACKS_2: Final = 19
_STREAM_LISTPACKS_3: Final = 21

_TIME: Final = Struct("<q")
#: The bit that makes a count of the file one below zero.
_SIGN: Final = 1 << 63


# --- reading -------------------------------------------------------------------------------------


def _read_stream(
    data: RdbData, position: int, *, value_type: int, is_strict: bool
) -> tuple[Stream, int]:
    stream, position = _read_nodes(data, position, is_strict=is_strict)
    length, position = read_length(data, position)
    if length != len(stream):
        raise CorruptRdbError(position, f"a stream of {len(stream)} entries says it has {length}")
    stream.last_id, position = _read_id(data, position)
    if value_type >= _STREAM_LISTPACKS_2:
        stream.first_id, position = _read_id(data, position)
        stream.max_deleted_id, position = _read_id(data, position)
        stream.entries_added, position = read_length(data, position)
    else:
        stream.entries_added = length
        stream.first_id = stream.oldest_id() if length else 0
    group_count, position = read_length(data, position)
    for _ in range(group_count):
        position = _read_group(data, position, stream, value_type)
    return stream, position


def _read_nodes(data: RdbData, position: int, *, is_strict: bool) -> tuple[Stream, int]:
    count, position = read_length(data, position)
    nodes: list[StreamNode] = []
    fields = None
    for _ in range(count):
        start = position
        key, position = read_string(data, position)
        packed, position = read_string(data, position)
        if len(key) != ID_BYTES:
            raise CorruptRdbError(start, "a node of a stream has a key that is no ID")
        try:
            if is_strict:
                check_back_lengths(packed)
            node = StreamNode.of_listpack(int.from_bytes(key, "big"), packed, fields)
        except ListpackError as exc:
            raise CorruptRdbError(start, exc.reason) from exc
        except (IndexError, StructError) as exc:
            raise CorruptRdbError(start, "a node of a stream ends within an entry") from exc
        if nodes and nodes[-1].key >= node.key:
            raise CorruptRdbError(start, "the nodes of a stream are not in order")
        nodes.append(node)
        fields = node.fields
    return Stream(nodes), position


def _read_id(data: RdbData, position: int) -> tuple[StreamId, int]:
    time_ms, position = read_length(data, position)
    sequence, position = read_length(data, position)
    return make_id(time_ms, sequence), position


def _read_raw_id(data: RdbData, position: int) -> tuple[StreamId, int]:
    end = position + ID_BYTES
    if end > len(data):
        raise CorruptRdbError(position, "the data ends within the ID of a pending entry")
    return int.from_bytes(data[position:end], "big"), end


def _read_time(data: RdbData, position: int) -> tuple[int, int]:
    time_ms: int = _TIME.unpack_from(data, position)[0]
    return time_ms, position + _TIME.size


def _read_group(data: RdbData, position: int, stream: Stream, value_type: int) -> int:
    """Read one group into `stream`; return the position after it."""
    start = position
    name, position = read_string(data, position)
    last_id, position = _read_id(data, position)
    if value_type >= _STREAM_LISTPACKS_2:
        entries_read, position = read_length(data, position)
        entries_read = (entries_read ^ _SIGN) - _SIGN  # -1: unknown
    else:
        entries_read = stream.count_up_to(last_id)
    if name in stream.groups:
        raise CorruptRdbError(start, f"a stream has the group {name!r} twice")
    group = stream.groups[name] = Group(last_id, entries_read)
    #: When each pending entry was given, and how often; whose it is comes later.
    deliveries: dict[StreamId, tuple[int, int]] = {}
    count, position = read_length(data, position)
    for _ in range(count):
        stream_id, position = _read_raw_id(data, position)
        delivered_ms, position = _read_time(data, position)
        delivery_count, position = read_length(data, position)
        if stream_id in deliveries:
            raise CorruptRdbError(position, "an entry is pending twice in a group")
        deliveries[stream_id] = (delivered_ms, delivery_count)
    count, position = read_length(data, position)
    for _ in range(count):
        position = _read_consumer(data, position, group, deliveries, value_type)
    if deliveries:
        raise CorruptRdbError(position, "an entry is pending for no consumer of its group")
    return position


def _read_consumer(
    data: RdbData,
    position: int,
    group: Group,
    deliveries: dict[StreamId, tuple[int, int]],
    value_type: int,
) -> int:
    """Read one consumer, taking what pends for it out of `deliveries`; return what follows it."""
    start = position
    name, position = read_string(data, position)
    seen_ms, position = _read_time(data, position)
    active_ms = seen_ms  # the best guess where the file does not say
    if value_type >= _STREAM_LISTPACKS_3:
        active_ms, position = _read_time(data, position)
    if name in group.consumers:
        raise CorruptRdbError(start, f"a group has the consumer {name!r} twice")
    consumer = group.consumers[name] = Consumer(name, seen_ms, active_ms)
    count, position = read_length(data, position)
    for _ in range(count):
        stream_id, position = _read_raw_id(data, position)
        delivery = deliveries.pop(stream_id, None)
        if delivery is None:
            raise CorruptRdbError(
                position, "an entry is pending for two consumers, or only for a consumer"
            )
        group.assign(stream_id, consumer, *delivery)
    return position


# --- writing -------------------------------------------------------------------------------------


def _encode_stream(stream: Stream, *, compress: bool) -> list[bytes]:
    parts = [encode_length(len(stream.nodes))]
    for node in stream.nodes:
        parts += encode_string(node.key.to_bytes(ID_BYTES, "big"), compress=compress)
        parts += encode_string(node.listpack(), compress=compress)
    parts.append(encode_length(len(stream)))
    for stream_id in (stream.last_id, stream.first_id, stream.max_deleted_id):
        parts += _encode_id(stream_id)
    parts.append(encode_length(stream.entries_added))
    groups = stream.sorted_groups()
    parts.append(encode_length(len(groups)))
    for name, group in groups:
        parts += encode_string(name, compress=compress)
        parts += _encode_id(group.last_id)
        parts.append(encode_length(group.entries_read & UINT64_MAX))
        parts += _encode_deliveries(group.pending)
        parts.append(encode_length(len(group.consumers)))
        for consumer in group.sorted_consumers():
            parts += encode_string(consumer.name, compress=compress)
            parts += (_TIME.pack(consumer.seen_ms), encode_length(len(consumer.pending)))
            parts += [
                stream_id.to_bytes(ID_BYTES, "big")
                for stream_id, _ in consumer.pending.items_from()
            ]
    return parts


def _encode_id(stream_id: StreamId) -> tuple[bytes, bytes]:
    return encode_length(stream_id >> 64), encode_length(stream_id & UINT64_MAX)


def _encode_deliveries(entries: PendingEntries) -> list[bytes]:
    parts = [encode_length(len(entries))]
    for stream_id, pending in entries.items_from():
        parts += (
            stream_id.to_bytes(ID_BYTES, "big"),
            _TIME.pack(pending.delivered_ms),
            encode_length(pending.delivery_count),
        )
    return parts


for _value_type in (_STREAM_LISTPACKS, _STREAM_LISTPACKS_2, _STREAM_LISTPACKS_3):
    for _decoders, _is_strict in ((VALUE_DECODERS, False), (STRICT_DECODERS, True)):
        _decoders[_value_type] = partial(_read_stream, value_type=_value_type, is_strict=_is_strict)
VALUE_ENCODERS[Stream] = (_STREAM_LISTPACKS_2, _encode_stream)
