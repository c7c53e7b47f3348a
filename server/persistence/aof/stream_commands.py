"""The commands that make a stream what it is, as Redis rewrites an append-only file with them.

Replayed in order on a server without the key they give an equal stream, but for the times at which
consumers asked, which no command sets. Reference: Redis 7.0 `aof.c: rewriteStreamObject`.
"""

from __future__ import annotations

from collections.abc import Iterator

from ...store.stream_groups import Consumer
from ...store.stream_ids import format_id
from ...store.streams import Stream


def stream_commands(key: bytes, stream: Stream) -> Iterator[list[bytes]]:
    """Yield the commands that make `stream` at `key`."""
    for stream_id, words in stream.entries():
        yield [b"XADD", key, format_id(stream_id), *words]
    if not len(stream):
        # There is no command for an empty stream without groups; adding in vain makes one.
        yield [b"XADD", key, b"MAXLEN", b"0", b"0-1", b"x", b"y"]
    yield [
        b"XSETID",
        key,
        format_id(stream.last_id),
        b"ENTRIESADDED",
        b"%d" % stream.entries_added,
        b"MAXDELETEDID",
        format_id(stream.max_deleted_id),
    ]
    for name, group in stream.sorted_groups():
        yield [
            b"XGROUP",
            b"CREATE",
            key,
            name,
            format_id(group.last_id),
            b"ENTRIESREAD",
            b"%d" % group.entries_read,
        ]
        for consumer in group.sorted_consumers():
            yield from _consumer_commands(key, name, consumer)


def _consumer_commands(key: bytes, group_name: bytes, consumer: Consumer) -> Iterator[list[bytes]]:
    """Yield what makes a consumer, by itself or with what pends for it."""
    if not len(consumer.pending):
        yield [b"XGROUP", b"CREATECONSUMER", key, group_name, consumer.name]
    for stream_id, pending in consumer.pending.items_from():
        yield [
            b"XCLAIM",
            key,
            group_name,
            consumer.name,
            b"0",
            format_id(stream_id),
            b"TIME",
            b"%d" % pending.delivered_ms,
            b"RETRYCOUNT",
            b"%d" % pending.delivery_count,
            b"JUSTID",
            b"FORCE",
        ]
