"""Encoding of replies (RESP2 and RESP3) and of commands: the one place that spells them.

Follows Redis' `networking.c: addReply*` for which type stands for what in each protocol.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from .replies import (
    BoolReply,
    DoubleReply,
    ErrorReply,
    MapReply,
    NullArray,
    PushReply,
    RawReply,
    Reply,
    ReplySequence,
    SetReply,
    SimpleString,
    VerbatimReply,
)

#: `$<n>\r\n` for the sizes that nearly every reply has: indexing is cheaper than formatting.
BULK_HEADERS = tuple(b"$%d\r\n" % size for size in range(1024))

#: The same without the line break, for the replies that `_join_bulks` makes.
_BULK_HEADS = tuple(b"$%d" % size for size in range(1024))

#: From this many items on an array of nothing but bytes is worth `_join_bulks`.
_JOINED_COUNT = 8

#: `:<n>\r\n` for small integers, by value.
INTEGERS = tuple(b":%d\r\n" % value for value in range(1024))

_LINE_BREAKS_TO_SPACES = bytes.maketrans(b"\r\n", b"  ")


#: The null by protocol version.
NULLS = {2: b"$-1\r\n", 3: b"_\r\n"}


def encode_bulk(value: bytes) -> bytes:
    """Return `value` as a bulk string."""
    size = len(value)
    if size < 1024:
        return BULK_HEADERS[size] + value + b"\r\n"
    return b"$%d\r\n%b\r\n" % (size, value)


def encode_integer(value: int) -> bytes:
    """Return `value` as an integer reply."""
    if 0 <= value < 1024:
        return INTEGERS[value]
    return b":%d\r\n" % value


def encode_command(arguments: Iterable[bytes]) -> bytes:
    """Return a request as an array of bulk strings, as clients and replication send it."""
    parts = [encode_bulk(argument) for argument in arguments]
    return b"*%d\r\n%b" % (len(parts), b"".join(parts))


def format_double(value: float) -> bytes:
    """Return `value` as Redis 7.0 prints doubles: 17 digits, which read as the same number."""
    return b"%.17g" % value


def encode_reply(reply: Reply, protocol: int = 2) -> bytes:
    """Return the bytes of `reply` in RESP version `protocol` (2 or 3)."""
    kind = type(reply)
    if kind is bytes:
        return encode_bulk(reply)  # type: ignore[arg-type]  # `type() is` narrows nothing for mypy
    if kind is RawReply:
        return reply.data  # type: ignore[union-attr]
    if kind is int:
        return encode_integer(reply)  # type: ignore[arg-type]
    if reply is None:
        return NULLS[protocol]
    if isinstance(reply, list | tuple):
        return _array(b"*", reply, protocol)
    return _encode_rare(reply, protocol)


def _array(mark: bytes, items: Sequence[Reply], protocol: int) -> bytes:
    if len(items) >= _JOINED_COUNT and type(items[0]) is type(items[-1]) is bytes:
        joined = _join_bulks(mark, items)
        if joined is not None:
            return joined
    parts = [
        BULK_HEADERS[len(item)] + item + b"\r\n"
        if type(item) is bytes and len(item) < 1024
        else encode_reply(item, protocol)
        for item in items
    ]
    return b"%b%d\r\n%b" % (mark, len(items), b"".join(parts))


def _join_bulks(mark: bytes, items: Sequence[Reply]) -> bytes | None:
    """Return an array of bulk strings, None if an item is no bytes or has more than 1023 of them.

    No Python code runs for an item, so that a hundred take a third of the time they take one by
    one, and an eighth where all have one size. Whatever is no bytes has no length, or cannot be
    joined.
    """
    count = len(items)
    try:
        sizes = list(map(len, items))  # type: ignore[arg-type]  # see above
        size = sizes[0]
        if size == sizes[1] and sizes.count(size) == count:
            between = b"\r\n%b\r\n" % _BULK_HEADS[size]
            body = between.join(items)  # type: ignore[arg-type]  # likewise
            return b"%b%d%b%b\r\n" % (mark, count, between, body)
        parts: list[bytes] = [b""] * (2 * count + 2)
        parts[0] = b"%b%d" % (mark, count)
        parts[1:-1:2] = map(_BULK_HEADS.__getitem__, sizes)
        parts[2:-1:2] = items  # type: ignore[assignment]  # likewise
        return b"\r\n".join(parts)
    except (TypeError, IndexError):
        return None


def _encode_rare(reply: Reply, protocol: int) -> bytes:
    three = protocol == 3
    match reply:
        case ErrorReply(text):
            # What a client sent may be quoted in it; a line break would end the reply too early.
            return b"-%b\r\n" % text.strip(b"\r\n").translate(_LINE_BREAKS_TO_SPACES)
        case SimpleString(text):
            return b"+%b\r\n" % text
        case MapReply(pairs):
            flat = [item for pair in pairs for item in pair]
            body = b"".join([encode_reply(item, protocol) for item in flat])
            return b"%b%d\r\n%b" % ((b"%", len(pairs), body) if three else (b"*", len(flat), body))
        case SetReply(members):
            return _array(b"~" if three else b"*", members, protocol)
        case PushReply(items):
            return _array(b">" if three else b"*", items, protocol)
        case NullArray():
            return b"_\r\n" if three else b"*-1\r\n"
        case DoubleReply(value):
            text = format_double(value)
            return b",%b\r\n" % text if three else encode_bulk(text)
        case BoolReply(value):
            if three:
                return b"#t\r\n" if value else b"#f\r\n"
            return encode_integer(int(value))
        case VerbatimReply(text, form):
            if three:
                return b"=%d\r\n%b:%b\r\n" % (len(text) + 4, form, text)
            return encode_bulk(text)
        case ReplySequence(replies):
            return b"".join([encode_reply(item, protocol) for item in replies])
        case bool():
            raise TypeError("a bool is no reply: return int or BoolReply")
        case _:
            raise TypeError(f"{type(reply).__name__} is no reply")
