"""What there is to know of a stream: XINFO."""

from __future__ import annotations

from itertools import islice
from typing import Final

from vedette.clients.commands.arguments import subcommand_syntax_error
from vedette.cmdspec import Flag, Keys, command, container
from vedette.errors import CommandError
from vedette.resp.replies import MapReply, Reply

from ...engine import ServerContext
from ...store.stream_groups import NEVER, UNKNOWN_COUNT, Consumer, Group, PendingEntries
from ...store.stream_ids import format_id
from ...store.streams import Stream, entry_of
from ..arguments import NO_SUCH_KEY, parse_integer
from ..help import help_reply
from .groups import group_at
from .shared import entry_reply

XINFO = container(
    "XINFO", group="stream", since="5.0.0", summary="Describes a stream and its groups."
)

_KEY: Final = Keys(2, 2, 1, ("RO", "ACCESS"))
#: How many entries `XINFO STREAM key FULL` shows.
_USUAL_COUNT: Final = 10


def _stream_at(ctx: ServerContext, key: bytes) -> Stream:
    """Return the stream at `key`.

    Raises:
        CommandError: there is none.
    """
    stream = ctx.read_as(key, Stream)
    if stream is None:
        raise CommandError(NO_SUCH_KEY)
    return stream


@command(
    "XINFO|CONSUMERS",
    arity=4,
    flags=Flag.READONLY,
    keys=_KEY,
    group="stream",
    since="5.0.0",
    complexity="O(N log N) where N is the number of consumers",
    tips=("nondeterministic_output",),
    summary="Describes the consumers of a group.",
)
def xinfo_consumers(ctx: ServerContext, argv: list[bytes]) -> Reply:
    key, name = argv[2:]
    group = group_at(_stream_at(ctx, key), key, name)
    now_ms = ctx.now_ms
    return [
        MapReply(
            [
                (b"name", consumer.name),
                (b"pending", len(consumer.pending)),
                (b"idle", max(now_ms - consumer.seen_ms, 0)),
                (
                    b"inactive",
                    NEVER if consumer.active_ms == NEVER else max(now_ms - consumer.active_ms, 0),
                ),
            ]
        )
        for consumer in group.sorted_consumers()
    ]


@command(
    "XINFO|GROUPS",
    arity=3,
    flags=Flag.READONLY,
    keys=_KEY,
    group="stream",
    since="5.0.0",
    complexity="O(N log N) where N is the number of groups",
    summary="Describes the consumer groups of a stream.",
)
def xinfo_groups(ctx: ServerContext, argv: list[bytes]) -> Reply:
    stream = _stream_at(ctx, argv[2])
    return [
        MapReply(
            [
                (b"name", name),
                (b"consumers", len(group.consumers)),
                (b"pending", len(group.pending)),
                *_progress(stream, group),
            ]
        )
        for name, group in stream.sorted_groups()
    ]


def _progress(stream: Stream, group: Group) -> list[tuple[Reply, Reply]]:
    """Return how far the group has come."""
    read = group.entries_read
    return [
        (b"last-delivered-id", format_id(group.last_id)),
        (b"entries-read", None if read == UNKNOWN_COUNT else read),
        (b"lag", stream.lag_of(group)),
    ]


@command(
    "XINFO|STREAM",
    arity=-3,
    flags=Flag.READONLY,
    keys=_KEY,
    group="stream",
    since="5.0.0",
    complexity="O(N) where N is the number of nodes of a hundred entries, and of what FULL shows",
    summary="Describes a stream; with FULL also its first entries, and its groups.",
)
def xinfo_stream(ctx: ServerContext, argv: list[bytes]) -> Reply:
    stream = _stream_at(ctx, argv[2])
    options = argv[3:]
    if not options:
        return MapReply([*_facts(stream), *_edges(stream)])
    if len(options) not in (1, 3) or options[0].upper() != b"FULL":
        raise subcommand_syntax_error(argv)
    count = _USUAL_COUNT
    if len(options) == 3:
        if options[1].upper() != b"COUNT":
            raise subcommand_syntax_error(argv)
        count = parse_integer(options[2])
        if count < 0:
            count = _USUAL_COUNT
    most = count or None
    entries = [entry_reply(*entry_of(row)) for row in stream.rows(most=most)]
    groups: list[Reply] = [
        _full_group(stream, name, group, most) for name, group in stream.sorted_groups()
    ]
    return MapReply([*_facts(stream), (b"entries", entries), (b"groups", groups)])


def _facts(stream: Stream) -> list[tuple[Reply, Reply]]:
    return [
        (b"length", len(stream)),
        (b"radix-tree-keys", len(stream.nodes)),
        (b"radix-tree-nodes", stream.tree_node_count()),
        (b"last-generated-id", format_id(stream.last_id)),
        (b"max-deleted-entry-id", format_id(stream.max_deleted_id)),
        (b"entries-added", stream.entries_added),
        (b"recorded-first-entry-id", format_id(stream.first_id)),
    ]


def _edges(stream: Stream) -> list[tuple[Reply, Reply]]:
    first = stream.rows(most=1)
    last = stream.rows(most=1, is_reversed=True)
    return [
        (b"groups", len(stream.groups)),
        (b"first-entry", entry_reply(*entry_of(*first)) if first else None),
        (b"last-entry", entry_reply(*entry_of(*last)) if last else None),
    ]


def _full_group(stream: Stream, name: bytes, group: Group, most: int | None) -> Reply:
    pending: list[Reply] = [
        [format_id(stream_id), each.consumer.name, each.delivered_ms, each.delivery_count]
        for stream_id, each in islice(group.pending.items_from(), most)
    ]
    return MapReply(
        [
            (b"name", name),
            *_progress(stream, group),
            (b"pel-count", len(group.pending)),
            (b"pending", pending),
            (b"consumers", [_full_consumer(each, most) for each in group.sorted_consumers()]),
        ]
    )


def _full_consumer(consumer: Consumer, most: int | None) -> Reply:
    return MapReply(
        [
            (b"name", consumer.name),
            (b"seen-time", consumer.seen_ms),
            (b"active-time", consumer.active_ms),
            (b"pel-count", len(consumer.pending)),
            (b"pending", _pending_reply(consumer.pending, most)),
        ]
    )


def _pending_reply(entries: PendingEntries, most: int | None) -> Reply:
    return [
        [format_id(stream_id), each.delivered_ms, each.delivery_count]
        for stream_id, each in islice(entries.items_from(), most)
    ]


@command(
    "XINFO|HELP",
    arity=2,
    flags=Flag.LOADING | Flag.STALE,
    group="stream",
    since="5.0.0",
    complexity="O(1)",
    summary="Lists the subcommands.",
)
def xinfo_help(ctx: ServerContext, argv: list[bytes]) -> Reply:
    return help_reply(ctx, "XINFO")
