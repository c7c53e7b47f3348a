"""Streams out of every encoding that Redis wrote, and nothing but errors out of others."""

from __future__ import annotations

import struct
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.listpack import text_entry
from server.persistence.aof.stream_commands import stream_commands
from server.persistence.rdb.decode import value_decoder
from server.persistence.rdb.encode import encode_value
from server.persistence.rdb.errors import CorruptRdbError
from server.persistence.rdb.lengths import encode_length
from server.persistence.rdb.payload import dump_payload, restore_payload
from server.store.encoding_limits import EncodingLimits
from server.store.stream_groups import NEVER, UNKNOWN_COUNT, Group
from server.store.stream_ids import make_id
from server.store.streams import Stream
from tests.support.engine import TestEngine
from tests.support.listpacks import encode_listpack

STREAM, STREAM_2, STREAM_3 = 15, 19, 21
SEEN_MS, ACTIVE_MS, GIVEN_MS = 1_700_000_000_007, 1_700_000_000_003, 1_700_000_000_001


def string(text: bytes) -> bytes:
    return encode_length(len(text)) + text


def raw(time_ms: int, sequence: int = 0) -> bytes:
    return struct.pack(">QQ", time_ms, sequence)


def time(value_ms: int) -> bytes:
    return struct.pack("<q", value_ms)


def lengths(*numbers: int) -> bytes:
    return b"".join(map(encode_length, numbers))


#: Three entries from 5-0 on: `f v`, one that was deleted, and one with other fields.
ELEMENTS: list[bytes | int] = [
    *(2, 1, 1, b"f", 0),
    *(2, 0, 0, b"v", 4),
    *(3, 0, 1, b"w", 4),
    *(0, 2, -300, 2, b"a", 1, b"b", b"2", 8),
]


def node(elements: list[bytes | int], key: bytes | None = None) -> bytes:
    return string(raw(5) if key is None else key) + string(encode_listpack(elements))


def encoded(value_type: int, nodes: bytes | None = None, length: int = 2) -> bytes:
    """Return a stream with a group of two consumers, one of which has something pending."""
    data = encode_length(1) + node(ELEMENTS) if nodes is None else nodes
    data += lengths(length, 9, 4)
    if value_type >= STREAM_2:
        data += lengths(5, 0, 5, 1, 3)
    data += lengths(1) + string(b"g") + lengths(5, 0)
    if value_type >= STREAM_2:
        data += lengths(1)
    data += lengths(1) + raw(5) + time(GIVEN_MS) + lengths(4)
    data += lengths(2)
    for name, pending in ((b"c", [raw(5)]), (b"d", [])):
        data += string(name) + time(SEEN_MS)
        if value_type >= STREAM_3:
            data += time(ACTIVE_MS)
        data += lengths(len(pending)) + b"".join(pending)
    return data


def read(value_type: int, data: bytes) -> Stream:
    """Return the one value that `data` holds."""
    value, position = value_decoder(value_type, data, 0, b"k")(data, 0)
    assert position == len(data)
    assert isinstance(value, Stream)
    return value


@pytest.mark.parametrize("value_type", [STREAM, STREAM_2, STREAM_3])
def test_every_encoding_is_read(value_type: int) -> None:
    """All of 5.0 to 7.2; what an older one lacks is worked out as Redis does."""
    stream = read(value_type, encoded(value_type))

    assert list(stream.entries()) == [
        (make_id(5, 0), [b"f", b"v"]),
        (make_id(7, 2**64 - 300), [b"a", b"1", b"b", b"2"]),
    ]
    is_old = value_type == STREAM
    assert stream.last_id == make_id(9, 4)
    assert stream.first_id == make_id(5, 0)
    assert stream.max_deleted_id == (0 if is_old else make_id(5, 1))
    assert stream.entries_added == (2 if is_old else 3)
    group = stream.groups[b"g"]
    assert (group.last_id, group.entries_read) == (make_id(5, 0), 1)
    consumer = group.consumers[b"c"]
    assert consumer.seen_ms == SEEN_MS
    assert consumer.active_ms == (ACTIVE_MS if value_type == STREAM_3 else SEEN_MS)
    assert len(group.consumers[b"d"].pending) == 0
    [(stream_id, pending)] = consumer.pending.items_from()
    assert pending is group.pending.get(stream_id)
    assert (stream_id, pending.consumer) == (make_id(5, 0), consumer)
    assert (pending.delivered_ms, pending.delivery_count) == (GIVEN_MS, 4)


def test_what_is_written_is_what_redis_7_0_writes() -> None:
    """Byte for byte what was read."""
    type_byte, parts = encode_value(read(STREAM_2, encoded(STREAM_2)), compress=False)

    assert type_byte[0] == STREAM_2
    assert b"".join(parts) == encoded(STREAM_2)


def changed(*changes: tuple[int, bytes | int]) -> bytes:
    """Return an encoded stream whose node has other elements at some places."""
    elements = list(ELEMENTS)
    for place, element in changes:
        elements[place] = element
    return encoded(STREAM_2, encode_length(1) + node(elements))


@pytest.mark.parametrize(
    "data",
    [
        encoded(STREAM_2, length=3),
        changed((0, 1)),
        changed((0, 3)),
        changed((1, -1)),
        changed((2, 2)),
        changed((2, -1)),
        changed((2, b"1")),
        changed((4, 1)),
        changed((5, 4)),
        changed((5, b"x")),
        changed((6, b"x")),
        changed((9, 5)),
        changed((18, -1)),
        encoded(STREAM_2, encode_length(1) + node(ELEMENTS[:9])),
        encoded(STREAM_2, encode_length(1) + node([])),
        encoded(STREAM_2, encode_length(1) + node(ELEMENTS, b"short")),
        encoded(STREAM_2, encode_length(2) + node(ELEMENTS) * 2, length=4),
        encoded(STREAM_2, encode_length(1) + string(raw(5)) + string(b"")),
        encoded(STREAM_2).replace(string(b"d"), string(b"c")),
        encoded(STREAM_2).replace(raw(5) + time(GIVEN_MS), raw(6) + time(GIVEN_MS)),
        encoded(STREAM_2)[:-1] + lengths(1) + raw(5),
        encoded(STREAM_2)[:-1] + lengths(1) + raw(5)[:7],
    ],
)
def test_what_is_no_stream_is_refused(data: bytes) -> None:
    """Counts that are not those of what follows, and pending entries that are nobody's."""
    with pytest.raises(CorruptRdbError):
        read(STREAM_2, data)


@pytest.mark.parametrize("word", [b"v", b"w" * 70, b"x" * 5000, b"17", b"-40000"])
def test_a_dump_whose_elements_end_with_wrong_lengths_is_refused(word: bytes) -> None:
    """They stay in the stream as they came, and would end a Redis that reads them from behind."""
    engine = TestEngine()
    engine.call("XADD", "s", "5-0", "f", word)
    body = dump_payload(engine.engine.keyspace.databases[0].values[b"s"], compress=False)[:-10]
    element = text_entry(word)
    assert body.count(element) == 1
    damaged = body.replace(element, element[:-1] + bytes((element[-1] ^ 1,)))

    assert len(restore_payload(body + bytes(10), is_checked=False)) == 1
    with pytest.raises(CorruptRdbError, match="ends with another length"):
        restore_payload(damaged + bytes(10), is_checked=False)


@given(st.integers(0, 2000), st.integers(0, 255), st.integers(0, 2000))
def test_damage_gives_nothing_but_errors(place: int, byte: int, size: int) -> None:
    """Or a stream, all of whose entries can be read; a payload comes from anybody."""
    data = bytearray(encoded(STREAM_3)[:size] if size < 200 else encoded(STREAM_3))
    if data:
        data[place % len(data)] = byte
    with suppress(CorruptRdbError, IndexError, struct.error):  # as `VALUE_DECODERS` says
        value, _ = value_decoder(STREAM_3, bytes(data), 0, b"k")(bytes(data), 0)
        assert len(list(value.entries())) == len(value)
        encode_value(value, compress=False)


def test_unknown_counts_and_consumers_that_never_read_are_kept() -> None:
    """-1 is written as the largest number of 64 bits."""
    stream = Stream()
    stream.append(make_id(1, 0), [b"f", b"v"], EncodingLimits())
    group = stream.groups[b"g"] = Group(0, UNKNOWN_COUNT)
    assert group.add_consumer(b"c", 7).active_ms == NEVER
    _, parts = encode_value(stream, compress=False)

    again = read(STREAM_2, b"".join(parts))
    assert again.groups[b"g"].entries_read == UNKNOWN_COUNT
    assert again.groups[b"g"].consumers[b"c"].seen_ms == 7


def test_commands_rebuild_a_stream() -> None:
    """Entries that went, counts, groups, and all that is pending."""
    test = TestEngine("stream-node-max-entries 3")
    for number in range(1, 9):
        test.call("XADD", "k", f"{number}-{number}", "f", number, "g", "v")
    test.call("XDEL", "k", "8-8", "3-3")
    test.call("XTRIM", "k", "MAXLEN", 5)
    test.call("XGROUP", "CREATE", "k", "g", "2-2", "ENTRIESREAD", 2)
    test.call("XGROUP", "CREATE", "k", "h", "$")
    test.call("XGROUP", "CREATECONSUMER", "k", "h", "idle")
    test.call("XREADGROUP", "GROUP", "g", "a", "COUNT", 2, "STREAMS", "k", ">")
    test.call("XREADGROUP", "GROUP", "g", "b", "COUNT", 1, "STREAMS", "k", ">")
    test.call("XCLAIM", "k", "g", "b", 0, "4-4")
    test.call("XGROUP", "CREATE", "empty", "g", "5-0", "MKSTREAM")
    test.call("XSETID", "empty", "9-9", "ENTRIESADDED", 7, "MAXDELETEDID", "8-0")
    values = dict(test.engine.keyspace.databases[0].values)
    test.advance(1000)

    other = TestEngine("stream-node-max-entries 3")
    for key, value in values.items():
        assert isinstance(value, Stream)
        for command in stream_commands(key, value):
            other.call(*command)

    for key in values:
        ours, theirs = (
            [engine.call("XINFO", "STREAM", key, "FULL"), engine.call("XPENDING", key, "g")]
            for engine in (test, other)
        )
        assert without_layout(ours) == without_layout(theirs)


def without_layout(info: list[object]) -> list[object]:
    """Leave out how a stream is kept, and when its consumers asked: no command sets that."""
    kept: list[object] = []
    for place, item in enumerate(info):
        before = info[place - 1] if place else None
        if before in (b"radix-tree-keys", b"radix-tree-nodes", b"seen-time", b"active-time"):
            continue
        kept.append(without_layout(item) if isinstance(item, list) else item)
    return kept
