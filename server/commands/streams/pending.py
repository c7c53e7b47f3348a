"""Entries that wait to be acknowledged: XACK, XPENDING."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Final

from vedette.cmdspec import Flag, Keys, command
from vedette.resp.encode import encode_bulk
from vedette.resp.replies import NULL_ARRAY, RawReply, Reply

from ...engine import ServerContext
from ...store.stream_groups import Group, Pending
from ...store.stream_ids import StreamId, format_id
from ...store.streams import Stream
from ..arguments import parse_integer, syntax_error
from .ids import parse_range_end, parse_range_start, parse_strict_id
from .shared import group_of

#: How many arguments XPENDING has for a summary, and at least and at most for the entries.
_SUMMARY_SIZE: Final = 3
_LEAST: Final = 6
_MOST: Final = 9
#: A pending entry as it is encoded: ID, consumer, how long ago and how often it was given.
_ENTRY: Final = b"*4\r\n%b%b:%d\r\n:%d\r\n"
#: How many there are at least with IDLE.
_LEAST_WITH_IDLE: Final = 8


@command(
    "XACK",
    arity=-4,
    flags=Flag.WRITE | Flag.FAST,
    keys=Keys(1, 1, 1, ("RW", "UPDATE")),
    group="stream",
    since="5.0.0",
    complexity="O(1) for each ID",
    summary="Acknowledges entries for a consumer group; returns how many of them were pending.",
)
def xack(ctx: ServerContext, argv: list[bytes]) -> Reply:
    stream = ctx.read_as(argv[1], Stream)
    group = None if stream is None else stream.groups.get(argv[2])
    if group is None:
        return 0
    ids = [parse_strict_id(text) for text in argv[3:]]
    acknowledged = sum(map(group.release, ids))
    ctx.changes += acknowledged
    return acknowledged


@dataclass(frozen=True, slots=True)
class _Range:
    """Which pending entries XPENDING is to list."""

    start: StreamId
    end: StreamId
    count: int
    idle_ms: int
    consumer_name: bytes | None

    @classmethod
    def parse(cls, words: list[bytes]) -> _Range:
        """Read the arguments behind the group; there are at least three.

        Raises:
            CommandError: they make no sense.
        """
        idle_ms = 0
        if words[0].upper() == b"IDLE":
            idle_ms = parse_integer(words[1])
            words = words[2:]
            if len(words) < _LEAST_WITH_IDLE - 5:
                raise syntax_error()
        count = max(parse_integer(words[2]), 0)
        start = parse_range_start(words[0])
        end = parse_range_end(words[1])
        return cls(start, end, count, idle_ms, words[3] if len(words) > 3 else None)

    def find(self, group: Group, now_ms: int) -> Iterator[tuple[StreamId, Pending]]:
        """Iterate over the entries; a consumer that there is not has none."""
        entries = group.pending
        if self.consumer_name is not None:
            consumer = group.consumers.get(self.consumer_name)
            if consumer is None:
                return
            entries = consumer.pending
        for stream_id, pending in entries.items_from(self.start):
            if stream_id > self.end:
                return
            if not self.idle_ms or now_ms - pending.delivered_ms >= self.idle_ms:
                yield stream_id, pending


@command(
    "XPENDING",
    arity=-3,
    flags=Flag.READONLY,
    keys=Keys(1, 1, 1, ("RO", "ACCESS")),
    group="stream",
    since="5.0.0",
    complexity="O(N) where N is the number of entries returned, or looked at with IDLE; for the"
    " summary O(M log M) where M is the number of consumers",
    tips=("nondeterministic_output",),
    summary="Lists a group's entries that were not acknowledged, or sums them up.",
)
def xpending(ctx: ServerContext, argv: list[bytes]) -> Reply:
    size = len(argv)
    if size != _SUMMARY_SIZE and not _LEAST <= size <= _MOST:
        raise syntax_error()
    wanted = None if size == _SUMMARY_SIZE else _Range.parse(argv[3:])
    _, group = group_of(ctx.read_as(argv[1], Stream), argv[1], argv[2])
    if wanted is None:
        return _summary(group)
    now_ms = ctx.now_ms
    entries = [
        _ENTRY
        % (
            encode_bulk(format_id(stream_id)),
            encode_bulk(pending.consumer.name),
            max(now_ms - pending.delivered_ms, 0),
            pending.delivery_count,
        )
        for stream_id, pending in islice(wanted.find(group, now_ms), wanted.count)
    ]
    return RawReply(b"*%d\r\n%b" % (len(entries), b"".join(entries)))


def _summary(group: Group) -> Reply:
    """Return the number of pending entries, the first and last, and how many each consumer has."""
    entries = group.pending
    if not len(entries):
        return [0, None, None, NULL_ARRAY]
    consumers: list[Reply] = [
        [consumer.name, b"%d" % len(consumer.pending)]
        for consumer in group.sorted_consumers()
        if len(consumer.pending)
    ]
    return [len(entries), format_id(entries.first()), format_id(entries.last()), consumers]
