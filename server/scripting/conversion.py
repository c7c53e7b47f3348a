"""Replies of commands as Lua values (Redis 7.0 `script_lua.c: redisProtocolToLuaType`)."""

from __future__ import annotations

from typing import Any, Protocol

import hiredis

from vedette.resp.encode import format_double
from vedette.resp.replies import (
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


class TableMaker(Protocol):
    """Makes a Lua table of a sequence or mapping."""

    # Any: lupa has no types, and a table holds anything.
    def __call__(self, items: Any, /) -> Any: ...


# Any: what lupa takes and gives; bytes, numbers, booleans, None and tables.
def to_lua(reply: Reply, protocol: int, table: TableMaker) -> Any:
    """Return `reply`, as a client of `protocol` would get it, as a value for Lua.

    In RESP2 a null is False, as an array may not hold nil; in RESP3 it is None.
    """
    kind = type(reply)
    if kind is bytes or kind is int:
        return reply
    if reply is None or isinstance(reply, NullArray):
        return None if protocol == 3 else False
    if isinstance(reply, list | tuple):
        return table([to_lua(item, protocol, table) for item in reply])
    return _rare_to_lua(reply, protocol, table)


def error_table(text: bytes, table: TableMaker) -> Any:
    """Return an error that is counted already as Lua sees it; `text` begins with its code."""
    if b" " not in text:
        text = b"ERR " + text
    return table({b"err": text, b"ignore_error_stats_update": True})


def _rare_to_lua(reply: Reply, protocol: int, table: TableMaker) -> Any:
    three = protocol == 3
    match reply:
        case RawReply(data):
            return _raw_to_lua(data, protocol, table)
        case SimpleString(text):
            return table({b"ok": text})
        case ErrorReply(text):
            return error_table(text, table)
        case MapReply(pairs):
            if not three:
                return to_lua([item for pair in pairs for item in pair], protocol, table)
            entries = table({})
            for key, value in pairs:
                entries[to_lua(key, protocol, table)] = to_lua(value, protocol, table)
            return table({b"map": entries})
        case SetReply(members):
            if not three:
                return to_lua(list(members), protocol, table)
            entries = table({})
            for member in members:
                entries[to_lua(member, protocol, table)] = True
            return table({b"set": entries})
        case PushReply(items):
            return to_lua(list(items), protocol, table)
        case ReplySequence(replies):
            return to_lua(replies[-1], protocol, table)  # what comes before are attributes
        case DoubleReply(value):
            return table({b"double": value}) if three else format_double(value)
        case BoolReply(value):
            return value if three else int(value)
        case VerbatimReply(text, form):
            if not three:
                return text
            return table({b"verbatim_string": table({b"string": text, b"format": form})})
        case _:
            raise TypeError(f"{type(reply).__name__} is no reply for a script")


def _raw_to_lua(data: bytes, protocol: int, table: TableMaker) -> Any:
    """Return a reply that comes encoded; nearly always `+OK`."""
    if data[:1] == b"+":
        return table({b"ok": data[1:-2]})
    if data[:1] == b"(":
        return table({b"big_number": data[1:-2]})
    reader = hiredis.Reader()
    reader.feed(data)
    parsed = reader.gets()
    if isinstance(parsed, hiredis.ReplyError):
        return error_table(str(parsed).encode(), table)
    return to_lua(parsed, protocol, table)
