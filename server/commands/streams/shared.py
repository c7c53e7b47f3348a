"""What the commands of streams have in common: replies, errors, what groups propagate."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from vedette.errors import CommandError, quotable
from vedette.resp.encode import encode_bulk
from vedette.resp.replies import RawReply, Reply

from ...engine import ServerContext
from ...engine.keyspace_events import KeyspaceEvents
from ...store.stream_groups import Consumer, Group, Pending
from ...store.stream_ids import StreamId, format_id
from ...store.stream_node import Row
from ...store.streams import Stream

#: Bound here, because looking up a member of an enum takes as long as finding the stream.
EVENTS: Final = KeyspaceEvents.STREAM


def entry_reply(stream_id: StreamId, words: list[bytes]) -> Reply:
    """Return an entry: its ID, and its fields and values in turn."""
    return [format_id(stream_id), words]  # type: ignore[list-item]  # a list of bytes is a Reply


def entries_reply(rows: Sequence[Row]) -> RawReply:
    """Return entries, encoded at once: in a fifth of the time that lists of them take.

    What those have in common that have the same fields is made but once.
    """
    parts = [b"*%d\r\n" % len(rows)]
    append = parts.append
    common_names: list[bytes] | None = None
    form = b""
    for time_ms, sequence, names, values in rows:
        if names is not common_names:
            common_names = names
            form = _entry_form(names)
        id_text = b"%d-%d" % (time_ms, sequence)
        if len(values) == 1:
            value = values[0]
            append(form % (len(id_text), id_text, len(value), value))
        else:
            arguments: list[bytes | int] = [len(id_text), id_text]
            for value in values:
                arguments += (len(value), value)
            append(form % tuple(arguments))
    return RawReply(b"".join(parts))


def _entry_form(names: Sequence[bytes]) -> bytes:
    """Return what an entry with these fields is encoded as, to be filled with ID and values."""
    form = b"*2\r\n$%%d\r\n%%b\r\n*%d\r\n" % (2 * len(names))
    return form + b"".join(
        [encode_bulk(name).replace(b"%", b"%%") + b"$%d\r\n%b\r\n" for name in names]
    )


def no_group(key: bytes, group_name: bytes, where: bytes = b"") -> CommandError:
    """Return the error that there is no such key, or no such group; `where` ends its text."""
    return CommandError(
        b"NOGROUP No such key '%b' or consumer group '%b'%b"
        % (quotable(key), quotable(group_name), where)
    )


def group_of(stream: Stream | None, key: bytes, group_name: bytes) -> tuple[Stream, Group]:
    """Return `stream`, which stands at `key`, and its group `group_name`.

    Raises:
        CommandError: there is no such stream or group.
    """
    group = None if stream is None else stream.groups.get(group_name)
    if stream is None or group is None:
        raise no_group(key, group_name)
    return stream, group


def add_consumer(ctx: ServerContext, key: bytes, group: Group, name: bytes) -> Consumer:
    """Make the consumer `name` of a group of the stream at `key`."""
    consumer = group.add_consumer(name, ctx.now_ms)
    ctx.notify(EVENTS, b"xgroup-createconsumer", key)
    ctx.changes += 1
    return consumer


def claim_effect(
    key: bytes, group_name: bytes, group: Group, id_text: bytes, pending: Pending
) -> list[bytes]:
    """Return the command by which replicas get to know of a pending entry."""
    return [
        b"XCLAIM",
        key,
        group_name,
        pending.consumer.name,
        b"0",
        id_text,
        b"TIME",
        b"%d" % pending.delivered_ms,
        b"RETRYCOUNT",
        b"%d" % pending.delivery_count,
        b"FORCE",
        b"JUSTID",
        b"LASTID",
        format_id(group.last_id),
    ]


def progress_effect(key: bytes, group_name: bytes, group: Group) -> list[bytes]:
    """Return the command by which replicas get to know of a group's last ID alone."""
    return [
        b"XGROUP",
        b"SETID",
        key,
        group_name,
        format_id(group.last_id),
        b"ENTRIESREAD",
        b"%d" % group.entries_read,
    ]
