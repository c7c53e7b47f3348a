"""Reading entries as they come: XREAD, and XREADGROUP for a consumer of a group.

A client that waits is served as one that asks: with all that its streams have beyond the IDs it
named, or beyond the last that its group was given. Replicas are not sent XREADGROUP, but what it
changed: XCLAIM for each entry that became pending, XGROUP SETID where none is to be.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Final

from vedette.clients import WAITING, Block
from vedette.clients.blocking import Waiting
from vedette.cmdspec import Flag, Keys, KeySpec, command
from vedette.errors import CommandError
from vedette.resp.replies import NULL_ARRAY, MapReply, Reply

from ...engine import ServerContext
from ...engine.context import WRONG_TYPE
from ...store.stream_groups import Consumer, Group
from ...store.stream_ids import MAX_ID, StreamId, format_id, make_id
from ...store.stream_node import Row
from ...store.streams import Stream, entry_of
from ...store.values import Value
from ..arguments import parse_integer, syntax_error
from ..waiting import deadline_after_milliseconds, wait_for_keys
from .ids import parse_strict_id
from .shared import (
    add_consumer,
    claim_effect,
    entries_reply,
    entry_reply,
    no_group,
    progress_effect,
)

#: What `>` stands for, as in Redis, where it cannot be told from the largest ID either.
_NEW_ENTRIES: Final = MAX_ID
_NO_KEY: Final = CommandError(b"UNBLOCKED the stream key no longer exists")
_NO_GROUP: Final = CommandError(
    b"NOGROUP the consumer group this client was blocked on no longer exists"
)


@dataclass(slots=True)
class _Request:
    """What is asked for; `ids` are, key by key, what the entries are to be beyond."""

    name: bytes
    keys: list[bytes] = field(default_factory=list)
    id_texts: list[bytes] = field(default_factory=list)
    ids: list[StreamId] = field(default_factory=list)
    #: None: all there are.
    count: int | None = None
    #: Whether the client waits where there is nothing, and until when (None: for ever).
    may_wait: bool = False
    deadline_ms: int | None = None
    group_name: bytes | None = None
    consumer_name: bytes = b""
    is_noack: bool = False

    @classmethod
    def parse(cls, ctx: ServerContext, argv: list[bytes], *, reads_group: bool) -> _Request:
        """Read the arguments of XREAD, or of XREADGROUP.

        Raises:
            CommandError: they make no sense.
        """
        request = cls(argv[0])
        index = 1
        size = len(argv)
        while index < size:
            option = argv[index].upper()
            if option == b"STREAMS" and index + 1 < size:
                request._take_streams(argv[index + 1 :])
                break
            taken = request._take_option(ctx, option, argv, index)
            if option in (b"GROUP", b"NOACK") and not reads_group:
                raise CommandError(
                    b"ERR The %b option is only supported by XREADGROUP. You called XREAD instead."
                    % option
                )
            index += taken
        if not request.keys:
            raise syntax_error()
        if reads_group and request.group_name is None:
            raise CommandError(b"ERR Missing GROUP option for XREADGROUP")
        return request

    def _take_option(self, ctx: ServerContext, option: bytes, argv: list[bytes], index: int) -> int:
        """Read the option at `index` of `argv` and what it takes; return how many words that is."""
        more = len(argv) - index - 1
        if option == b"GROUP" and more > 1:
            self.group_name = argv[index + 1]
            self.consumer_name = argv[index + 2]
            return 3
        if option == b"COUNT" and more:
            self.count = max(parse_integer(argv[index + 1]), 0) or None
            return 2
        if option == b"BLOCK" and more:
            run = ctx.engine.scripting.run
            if run is not None and ctx.session is run.session:
                raise CommandError(
                    b"ERR %b command is not allowed with BLOCK option from scripts" % self.name
                )
            self.deadline_ms = deadline_after_milliseconds(argv[index + 1], ctx.now_ms)
            self.may_wait = True
            return 2
        if option == b"NOACK":
            self.is_noack = True
            return 1
        raise syntax_error()

    def _take_streams(self, words: list[bytes]) -> None:
        if len(words) % 2:
            raise CommandError(
                b"ERR Unbalanced XREAD list of streams: for each stream key an ID or '$' must be"
                b" specified."
            )
        middle = len(words) // 2
        self.keys = words[:middle]
        self.id_texts = words[middle:]

    def resolve_ids(self, ctx: ServerContext) -> None:
        """Find out from where on each stream is to be read.

        Raises:
            CommandError: an ID makes no sense, or the key holds none that is read so.
        """
        for key, text in zip(self.keys, self.id_texts, strict=True):
            value = ctx.read(key)
            if value is not None and type(value) is not Stream:
                raise CommandError(WRONG_TYPE)
            stream: Stream | None = value
            group_name = self.group_name
            if group_name is not None and (stream is None or group_name not in stream.groups):
                raise no_group(key, group_name, b" in XREADGROUP with GROUP option")
            if text == b"$":
                if group_name is not None:
                    raise CommandError(
                        b"ERR The $ ID is meaningless in the context of XREADGROUP: you want to"
                        b" read the history of this consumer by specifying a proper ID, or use the"
                        b" > ID to get new messages. The $ ID would just return an empty result"
                        b" set."
                    )
                self.ids.append(0 if stream is None else stream.last_id)
            elif text == b">":
                if group_name is None:
                    raise CommandError(
                        b"ERR The > ID can be specified only when calling XREADGROUP using the"
                        b" GROUP <group> <consumer> option."
                    )
                self.ids.append(_NEW_ENTRIES)
            else:
                self.ids.append(parse_strict_id(text))

    def serve(self, ctx: ServerContext, find: Callable[[bytes], Value | None]) -> Reply:
        """Return what there is to be read now; None: nothing. `find` looks up a key."""
        found: list[tuple[Reply, Reply]] = []
        effects: list[list[bytes]] = []
        for key, last_id in zip(self.keys, self.ids, strict=True):
            stream = find(key)
            if type(stream) is not Stream:
                continue
            entries: Reply
            if self.group_name is None:
                rows = stream.rows(last_id + 1, most=self.count)
                if not rows:
                    continue
                entries = entries_reply(rows)
            else:
                entries = self._read_group(ctx, key, stream, last_id, effects)
            if entries is not None:
                found.append((key, entries))
        if self.group_name is not None and ctx.changes:
            ctx.propagate_as(*effects)
        if not found:
            return None
        return MapReply(found) if ctx.session.protocol == 3 else tuple(found)

    def serve_woken(self, ctx: ServerContext) -> Reply | Waiting:
        """Return what a client that waited is to be told.

        Raises:
            CommandError: its group is no more.
        """
        if self.group_name is not None:
            for key in self.keys:
                stream = ctx.peek(key)
                if type(stream) is not Stream:
                    raise _NO_KEY
                if self.group_name not in stream.groups:
                    raise _NO_GROUP
        reply = self.serve(ctx, ctx.peek)
        return WAITING if reply is None else reply

    def _read_group(
        self,
        ctx: ServerContext,
        key: bytes,
        stream: Stream,
        last_id: StreamId,
        effects: list[list[bytes]],
    ) -> Reply:
        """Return new entries, or those that pend for the consumer; None: there are no new ones.

        `effects` gets what replicas are to be told.
        """
        assert self.group_name is not None
        group = stream.groups[self.group_name]
        consumer = group.consumers.get(self.consumer_name)
        if consumer is not None:
            consumer.seen_ms = ctx.now_ms
        given: list[Row] = []
        if last_id == _NEW_ENTRIES:
            given = stream.rows(group.last_id + 1, most=self.count)
            if not given:
                return None
        if consumer is None:
            consumer = add_consumer(ctx, key, group, self.consumer_name)
            if self.is_noack:
                effects.append(
                    [b"XGROUP", b"CREATECONSUMER", key, self.group_name, self.consumer_name]
                )
        ctx.changes += 1
        if given:
            return self._give(ctx, key, stream, group, consumer, given, effects)
        return _history(ctx, stream, consumer, last_id + 1, self.count)

    def _give(
        self,
        ctx: ServerContext,
        key: bytes,
        stream: Stream,
        group: Group,
        consumer: Consumer,
        given: Sequence[Row],
        effects: list[list[bytes]],
    ) -> Reply:
        """Give the consumer entries that nobody of its group was given."""
        assert self.group_name is not None
        is_told = bool(ctx.engine.sinks)
        for time_ms, sequence, _, _ in given:
            stream_id = make_id(time_ms, sequence)
            stream.advance(group, stream_id)
            if not self.is_noack:
                pending = group.assign(stream_id, consumer, ctx.now_ms, 1)
                if is_told:
                    id_text = format_id(stream_id)
                    effects.append(claim_effect(key, self.group_name, group, id_text, pending))
        if self.is_noack:
            effects.append(progress_effect(key, self.group_name, group))
        else:
            consumer.active_ms = ctx.now_ms
        return entries_reply(given)


def _history(
    ctx: ServerContext, stream: Stream, consumer: Consumer, start: StreamId, count: int | None
) -> Reply:
    """Return what pends for the consumer from `start` on, without what is deleted of it."""
    found = list(islice(consumer.pending.items_from(start), count))
    rows = stream.rows_at([stream_id for stream_id, _ in found])
    there: list[Row] = []
    for row, (_, pending) in zip(rows, found, strict=True):
        if row is not None:
            pending.delivered_ms = ctx.now_ms
            pending.delivery_count += 1
            there.append(row)
    if len(there) == len(rows):
        return entries_reply(there)
    return [
        [format_id(stream_id), NULL_ARRAY] if row is None else entry_reply(*entry_of(row))
        for row, (stream_id, _) in zip(rows, found, strict=True)
    ]


def _find_keys(argv: list[bytes]) -> range:
    """Return the indexes of the keys, read just as the command reads them.

    Else a group or a consumer that is called STREAMS would lead access control astray.
    """
    index = 1
    while index < len(argv):
        match argv[index].upper():
            case b"STREAMS":
                count, odd = divmod(len(argv) - index - 1, 2)
                return range(0) if odd else range(index + 1, index + 1 + count)
            case b"BLOCK" | b"COUNT":
                index += 2
            case b"GROUP":
                index += 3
            case b"NOACK":
                index += 1
            case _:
                break
    return range(0)


def _keys(shown_from: int) -> Keys:
    """Return where the keys stand; `shown_from` is where clients are told to look for STREAMS."""
    spec = KeySpec(
        shown_from,
        ("RO", "ACCESS"),
        last=-1,
        limit=2,
        keyword=b"STREAMS",
        find=_find_keys,
    )
    return Keys(groups=(spec,))


@command(
    "XREAD",
    arity=-4,
    flags=Flag.READONLY | Flag.BLOCKING | Flag.MOVABLE_KEYS,
    keys=_keys(1),
    group="stream",
    since="5.0.0",
    complexity="O(N) where N is the number of entries returned",
    summary="Returns the entries of streams beyond given IDs, or waits for some.",
)
def xread(ctx: ServerContext, argv: list[bytes]) -> Reply | Block:
    return _read(ctx, _Request.parse(ctx, argv, reads_group=False))


@command(
    "XREADGROUP",
    arity=-7,
    flags=Flag.WRITE | Flag.BLOCKING | Flag.MOVABLE_KEYS,
    keys=_keys(4),
    group="stream",
    since="5.0.0",
    complexity="O(N) where N is the number of entries returned",
    summary="Gives a consumer of a group new entries of streams, or those that pend for it.",
)
def xreadgroup(ctx: ServerContext, argv: list[bytes]) -> Reply | Block:
    return _read(ctx, _Request.parse(ctx, argv, reads_group=True))


def _read(ctx: ServerContext, request: _Request) -> Reply | Block:
    request.resolve_ids(ctx)
    reply = request.serve(ctx, ctx.read)
    if reply is not None:
        return reply
    if not request.may_wait:
        return NULL_ARRAY
    return wait_for_keys(
        ctx,
        request.keys,
        lambda: request.serve_woken(ctx),
        request.deadline_ms,
        heeds_loss=request.group_name is not None,
    )
