"""Giving entries that pend for one consumer to another: XCLAIM, XAUTOCLAIM.

Replicas are sent an XCLAIM for each entry that changed hands, and for each that was found deleted:
it takes them off the lists there too.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import islice
from typing import Final

from vedette.cmdspec import Flag, Keys, command
from vedette.errors import CommandError, quotable
from vedette.resp.replies import Reply

from ...engine import ServerContext
from ...engine.context import WRONG_TYPE
from ...store.stream_groups import Consumer, Group, Pending
from ...store.stream_ids import StreamId, format_id
from ...store.stream_node import Row
from ...store.streams import Stream
from ..arguments import INT64_MAX, parse_integer, parse_integer_between, syntax_error
from .ids import parse_range_start, parse_strict_id
from .shared import (
    add_consumer,
    claim_effect,
    entries_reply,
    group_of,
    progress_effect,
)

#: How many entries XAUTOCLAIM looks at for each that it is to claim.
_ATTEMPTS: Final = 10
_USUAL_COUNT: Final = 100
#: So that Redis' number of attempts, and of bytes for IDs, stays a number of 64 bits.
_LARGEST_COUNT: Final = INT64_MAX // 16


@dataclass(slots=True)
class _Claim:
    """A claim in progress, and what came of it."""

    ctx: ServerContext
    key: bytes
    stream: Stream
    group_name: bytes
    group: Group
    consumer_name: bytes
    min_idle_ms: int
    #: Whether only IDs are answered, and deliveries not counted.
    is_by_id: bool = False
    #: What the deliveries' time, and their number, become; None: now, and one more.
    delivered_ms: int | None = None
    delivery_count: int | None = None
    claimed: list[Row] = field(default_factory=list)
    effects: list[list[bytes]] = field(default_factory=list)
    _consumer: Consumer | None = None

    def is_idle(self, pending: Pending) -> bool:
        """Return whether the entry was given to its consumer long enough ago."""
        return not self.min_idle_ms or self.ctx.now_ms - pending.delivered_ms >= self.min_idle_ms

    def forget(self, stream_id: StreamId, id_text: bytes, pending: Pending) -> None:
        """Take an entry that was deleted off the lists."""
        self._propagate(id_text, pending)
        self.group.release(stream_id)

    def take(self, stream_id: StreamId, id_text: bytes, row: Row, pending: Pending | None) -> None:
        """Have the entry pend for the consumer; `pending` None: it pended for nobody."""
        ctx = self.ctx
        now_ms = ctx.now_ms
        consumer = self._claimer()
        consumer.active_ms = now_ms
        count = self.delivery_count
        if count is None:
            count = (1 if pending is None else pending.delivery_count) + (not self.is_by_id)
        delivered_ms = now_ms if self.delivered_ms is None else self.delivered_ms
        pending = self.group.assign(stream_id, consumer, delivered_ms, count)
        self.claimed.append(row)
        self._propagate(id_text, pending)

    def finish(self) -> Reply:
        """Have replicas told of all that was claimed, and return it."""
        if self.effects:
            self.ctx.propagate_as(*self.effects)
        if self.is_by_id:
            return [b"%d-%d" % (time_ms, sequence) for time_ms, sequence, _, _ in self.claimed]
        return entries_reply(self.claimed)

    def _claimer(self) -> Consumer:
        """Return the consumer, made with the first entry that it gets."""
        consumer = self._consumer
        if consumer is None:
            ctx = self.ctx
            consumer = self.group.consumers.get(self.consumer_name)
            if consumer is None:
                consumer = add_consumer(ctx, self.key, self.group, self.consumer_name)
            consumer.seen_ms = ctx.now_ms
            self._consumer = consumer
        return consumer

    def _propagate(self, id_text: bytes, pending: Pending) -> None:
        self.effects.append(claim_effect(self.key, self.group_name, self.group, id_text, pending))
        self.ctx.changes += 1


def _parse_idle(text: bytes, command_name: bytes) -> int:
    error = b"ERR Invalid min-idle-time argument for %b" % command_name
    return max(parse_integer(text, error), 0)


@command(
    "XCLAIM",
    arity=-6,
    flags=Flag.WRITE | Flag.FAST,
    keys=Keys(1, 1, 1, ("RW", "UPDATE")),
    group="stream",
    since="5.0.0",
    complexity="O(log N) for each ID where N is the number of the group's pending entries",
    tips=("nondeterministic_output",),
    summary="Gives pending entries to a consumer, whoever's they were.",
)
def xclaim(ctx: ServerContext, argv: list[bytes]) -> Reply:
    key, group_name, consumer_name, idle_text = argv[1:5]
    stream, group = group_of(ctx.read_as(key, Stream), key, group_name)
    min_idle_ms = _parse_idle(idle_text, b"XCLAIM")
    claim = _Claim(ctx, key, stream, group_name, group, consumer_name, min_idle_ms)
    ids: list[StreamId] = []
    for text in argv[5:]:
        try:
            ids.append(parse_strict_id(text))
        except CommandError:
            break  # where options begin
    last_id, is_forced = _take_options(claim, argv[5 + len(ids) :])
    is_ahead = last_id > group.last_id
    if is_ahead:
        group.last_id = last_id
    for stream_id, id_text in zip(ids, argv[5:], strict=False):
        pending = group.pending.get(stream_id)
        (row,) = stream.rows_at([stream_id])
        if row is None:
            if pending is not None:
                claim.forget(stream_id, id_text, pending)
        elif is_forced if pending is None else claim.is_idle(pending):
            claim.take(stream_id, id_text, row, pending)
    if is_ahead and not claim.effects:
        claim.effects.append(progress_effect(key, group_name, group))
        ctx.changes += 1
    return claim.finish()


def _take_options(claim: _Claim, words: list[bytes]) -> tuple[StreamId, bool]:
    """Read XCLAIM's options; return the group's new last ID, and whether anything is claimed.

    Raises:
        CommandError: they make no sense.
    """
    now_ms = claim.ctx.now_ms
    last_id = 0
    is_forced = False
    index = 0
    while index < len(words):
        option = words[index].upper()
        value = words[index + 1] if index + 1 < len(words) else None
        index += 2
        error = b"ERR Invalid %b option argument for XCLAIM" % option
        if option in (b"FORCE", b"JUSTID"):
            is_forced = is_forced or option == b"FORCE"
            claim.is_by_id = claim.is_by_id or option == b"JUSTID"
            index -= 1
        elif option == b"IDLE" and value is not None:
            claim.delivered_ms = now_ms - parse_integer(value, error)
        elif option == b"TIME" and value is not None:
            claim.delivered_ms = parse_integer(value, error)
        elif option == b"RETRYCOUNT" and value is not None:
            count = parse_integer(value, error)
            claim.delivery_count = count if count >= 0 else None
        elif option == b"LASTID" and value is not None:
            last_id = parse_strict_id(value)
        else:
            raise CommandError(b"ERR Unrecognized XCLAIM option '%b'" % quotable(words[index - 2]))
    if claim.delivered_ms is not None and not 0 <= claim.delivered_ms <= now_ms:
        claim.delivered_ms = None  # clocks differ, and that is no reason to fail
    return last_id, is_forced


@command(
    "XAUTOCLAIM",
    arity=-6,
    flags=Flag.WRITE | Flag.FAST,
    keys=Keys(1, 1, 1, ("RW", "DELETE")),
    group="stream",
    since="6.2.0",
    complexity="O(1) with a small COUNT",
    tips=("nondeterministic_output",),
    summary="Gives a consumer entries that have been pending for long, whoever's they were.",
)
def xautoclaim(ctx: ServerContext, argv: list[bytes]) -> Reply:
    key, group_name, consumer_name, idle_text, start_text = argv[1:6]
    value = ctx.read(key)
    min_idle_ms = _parse_idle(idle_text, b"XAUTOCLAIM")
    start = parse_range_start(start_text)
    count = _USUAL_COUNT
    is_by_id = False
    index = 6
    while index < len(argv):
        option = argv[index].upper()
        if option == b"COUNT" and index + 1 < len(argv):
            index += 1
            count = parse_integer_between(argv[index], 1, _LARGEST_COUNT, b"ERR COUNT must be > 0")
        elif option == b"JUSTID":
            is_by_id = True
        else:
            raise syntax_error()
        index += 1
    if value is not None and type(value) is not Stream:
        raise CommandError(WRONG_TYPE)
    stream, group = group_of(value, key, group_name)
    claim = _Claim(ctx, key, stream, group_name, group, consumer_name, min_idle_ms, is_by_id)
    deleted: list[Reply] = []
    attempts = count * _ATTEMPTS
    entries = group.pending.items_from(start)
    # As many at once as are claimed even if each of them is.
    while found := list(islice(entries, min(count, attempts))):
        attempts -= len(found)
        rows = stream.rows_at([stream_id for stream_id, _ in found])
        for row, (stream_id, pending) in zip(rows, found, strict=True):
            id_text = format_id(stream_id)
            if row is None:
                claim.forget(stream_id, id_text, pending)
                deleted.append(id_text)
            elif claim.is_idle(pending):
                claim.take(stream_id, id_text, row, pending)
            else:
                continue
            count -= 1
    following, _ = next(entries, (0, None))
    return [format_id(following), claim.finish(), deleted]
