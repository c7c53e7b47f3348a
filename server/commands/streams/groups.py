"""Consumer groups and their consumers: XGROUP."""

from __future__ import annotations

from typing import Final

from vedette.clients.commands.arguments import subcommand_syntax_error
from vedette.cmdspec import Flag, Keys, command, container
from vedette.errors import CommandError, quotable
from vedette.resp.replies import OK, Reply

from ...engine import ServerContext
from ...store.stream_groups import UNKNOWN_COUNT, Group
from ...store.streams import Stream
from ..arguments import parse_integer
from ..help import help_reply
from .ids import parse_id, parse_strict_id
from .shared import EVENTS, add_consumer

XGROUP = container("XGROUP", group="stream", since="5.0.0", summary="Manages consumer groups.")

_INSERTED: Final = Keys(2, 2, 1, ("RW", "INSERT"))
_DELETED: Final = Keys(2, 2, 1, ("RW", "DELETE"))
#: The most arguments that Redis takes for CREATE, and in which number for SETID.
_MOST_TO_CREATE: Final = 8
_COUNTS_TO_SET: Final = (5, 7)


def _parse_options(argv: list[bytes], *, may_make_stream: bool) -> tuple[int, bool]:
    """Read ENTRIESREAD and MKSTREAM; return the count and whether the stream may be made.

    Raises:
        CommandError: they make no sense.
    """
    entries_read = UNKNOWN_COUNT
    makes_stream = False
    index = 5
    while index < len(argv):
        option = argv[index].upper()
        if may_make_stream and option == b"MKSTREAM":
            makes_stream = True
            index += 1
        elif option == b"ENTRIESREAD" and index + 1 < len(argv):
            entries_read = parse_integer(argv[index + 1])
            if entries_read < 0 and entries_read != UNKNOWN_COUNT:
                raise CommandError(b"ERR value for ENTRIESREAD must be positive or -1")
            index += 2
        else:
            raise subcommand_syntax_error(argv)
    return entries_read, makes_stream


def _stream_at(ctx: ServerContext, key: bytes) -> Stream:
    """Return the stream at `key`.

    Raises:
        CommandError: there is none.
    """
    stream = ctx.peek_as(key, Stream)
    if stream is None:
        raise CommandError(
            b"ERR The XGROUP subcommand requires the key to exist. Note that for CREATE you may"
            b" want to use the MKSTREAM option to create an empty stream automatically."
        )
    return stream


def group_at(stream: Stream, key: bytes, name: bytes) -> Group:
    """Return the group `name` of the stream at `key`.

    Raises:
        CommandError: there is none.
    """
    group = stream.groups.get(name)
    if group is None:
        raise CommandError(
            b"NOGROUP No such consumer group '%b' for key name '%b'"
            % (quotable(name), quotable(key))
        )
    return group


@command(
    "XGROUP|CREATE",
    arity=-5,
    flags=Flag.WRITE | Flag.DENYOOM,
    keys=_INSERTED,
    group="stream",
    since="5.0.0",
    complexity="O(1)",
    summary="Makes a consumer group, and with MKSTREAM the stream too.",
)
def xgroup_create(ctx: ServerContext, argv: list[bytes]) -> Reply:
    entries_read, makes_stream = _parse_options(argv, may_make_stream=True)
    key, name, id_text = argv[2:5]
    stream = ctx.peek_as(key, Stream) if makes_stream else _stream_at(ctx, key)
    if len(argv) > _MOST_TO_CREATE:
        raise subcommand_syntax_error(argv)
    if id_text == b"$":
        last_id = 0 if stream is None else stream.last_id
    else:
        last_id = parse_strict_id(id_text)
    if stream is None:
        stream = Stream()
        ctx.db.set(key, stream)
    if name in stream.groups:
        raise CommandError(b"BUSYGROUP Consumer Group name already exists")
    stream.groups[name] = Group(last_id, entries_read)
    ctx.notify(EVENTS, b"xgroup-create", key)
    ctx.changes += 1
    return OK


@command(
    "XGROUP|SETID",
    arity=-5,
    flags=Flag.WRITE,
    keys=Keys(2, 2, 1, ("RW", "UPDATE")),
    group="stream",
    since="5.0.0",
    complexity="O(1)",
    summary="Sets which entry was the last that a consumer group was given.",
)
def xgroup_setid(ctx: ServerContext, argv: list[bytes]) -> Reply:
    entries_read, _ = _parse_options(argv, may_make_stream=False)
    key, name, id_text = argv[2:5]
    stream = _stream_at(ctx, key)
    group = group_at(stream, key, name)
    if len(argv) not in _COUNTS_TO_SET:
        raise subcommand_syntax_error(argv)
    group.last_id = stream.last_id if id_text == b"$" else parse_id(id_text)
    group.entries_read = entries_read
    ctx.notify(EVENTS, b"xgroup-setid", key)
    ctx.changes += 1
    return OK


@command(
    "XGROUP|DESTROY",
    arity=4,
    flags=Flag.WRITE,
    keys=_DELETED,
    group="stream",
    since="5.0.0",
    complexity="O(N) where N is the number of the group's pending entries",
    summary="Deletes a consumer group; returns whether there was one.",
)
def xgroup_destroy(ctx: ServerContext, argv: list[bytes]) -> Reply:
    key, name = argv[2:]
    if _stream_at(ctx, key).groups.pop(name, None) is None:
        return 0
    ctx.notify(EVENTS, b"xgroup-destroy", key)
    ctx.changes += 1
    # Its consumers wait in vain; but nobody who watches the key is to be told.
    ctx.engine.wake((ctx.db.index, key))
    return 1


@command(
    "XGROUP|CREATECONSUMER",
    arity=5,
    flags=Flag.WRITE | Flag.DENYOOM,
    keys=_INSERTED,
    group="stream",
    since="6.2.0",
    complexity="O(1)",
    summary="Makes a consumer of a group; returns whether there was none.",
)
def xgroup_createconsumer(ctx: ServerContext, argv: list[bytes]) -> Reply:
    key, group_name, name = argv[2:]
    group = group_at(_stream_at(ctx, key), key, group_name)
    if name in group.consumers:
        return 0
    add_consumer(ctx, key, group, name)
    return 1


@command(
    "XGROUP|DELCONSUMER",
    arity=5,
    flags=Flag.WRITE,
    keys=_DELETED,
    group="stream",
    since="5.0.0",
    complexity="O(N) where N is the number of the consumer's pending entries",
    summary="Deletes a consumer of a group; returns how many entries pended for it.",
)
def xgroup_delconsumer(ctx: ServerContext, argv: list[bytes]) -> Reply:
    key, group_name, name = argv[2:]
    group = group_at(_stream_at(ctx, key), key, group_name)
    consumer = group.consumers.get(name)
    if consumer is None:
        return 0
    pending_count = len(consumer.pending)
    group.remove_consumer(consumer)
    ctx.notify(EVENTS, b"xgroup-delconsumer", key)
    ctx.changes += 1
    return pending_count


@command(
    "XGROUP|HELP",
    arity=2,
    flags=Flag.LOADING | Flag.STALE,
    group="stream",
    since="5.0.0",
    complexity="O(1)",
    summary="Lists the subcommands.",
)
def xgroup_help(ctx: ServerContext, argv: list[bytes]) -> Reply:
    return help_reply(ctx, "XGROUP")
