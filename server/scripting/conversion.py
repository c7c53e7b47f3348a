"""Replies of commands as Lua values (Redis 7.0 `script_lua.c: redisProtocolToLuaType`)."""

from __future__ import annotations

from typing import Any

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

from .encoded_replies import decode
from .tables import TableMaker, error_table


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


def _rare_to_lua(reply: Reply, protocol: int, table: TableMaker) -> Any:
    three = protocol == 3
    match reply:
        case RawReply(data):
            # Nearly always it is +OK.
            return table({b"ok": data[1:-2]}) if data[:1] == b"+" else decode(data, table)
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
