"""Replies that come encoded (`RawReply`), as Lua values.

Follows Redis 7.0 `resp_parser.c`, `script_lua.c: redisProtocolToLuaType`, which reads all replies
so. What is read was written by this server, and is taken to be right.
"""

from __future__ import annotations

from typing import Any

from .tables import TableMaker, error_table


# Any: what lupa takes; see `conversion.py`.
def decode(data: bytes, table: TableMaker) -> Any:
    """Return the reply that `data` encodes."""
    value, end = _value(data, 0, table)
    assert end == len(data)
    return value


def _value(data: bytes, start: int, table: TableMaker) -> tuple[Any, int]:
    """Return the value that begins at `start`, and where it ends."""
    end = data.index(b"\r\n", start)
    line, after = data[start + 1 : end], end + 2
    match data[start : start + 1]:
        case b"+":
            return table({b"ok": line}), after
        case b"-":
            return error_table(line, table), after
        case b":":
            return int(line), after
        case b"$":
            return (False, after) if line == b"-1" else _bytes(data, after, int(line))
        case b"*" | b">":
            return (False, after) if line == b"-1" else _list(data, after, int(line), table)
        case b"_":
            return None, after
        case b"#":
            return line == b"t", after
        case b",":
            return table({b"double": float(line)}), after
        case b"(":
            return table({b"big_number": line}), after
        case b"=":
            text, after = _bytes(data, after, int(line))
            verbatim = table({b"format": text[:3], b"string": text[4:]})
            return table({b"verbatim_string": verbatim}), after
        case b"%" | b"|" as mark:
            entries = table({})
            for _ in range(int(line)):
                key, after = _value(data, after, table)
                entries[key], after = _value(data, after, table)
            if mark == b"|":  # attributes of what follows, which scripts do not see
                return _value(data, after, table)
            return table({b"map": entries}), after
        case b"~":
            members = table({})
            for _ in range(int(line)):
                member, after = _value(data, after, table)
                members[member] = True
            return table({b"set": members}), after
        case mark:
            raise AssertionError(f"no reply begins with {mark!r}")


def _bytes(data: bytes, start: int, size: int) -> tuple[bytes, int]:
    return data[start : start + size], start + size + 2


def _list(data: bytes, after: int, count: int, table: TableMaker) -> tuple[Any, int]:
    items = []
    for _ in range(count):
        item, after = _value(data, after, table)
        items.append(item)
    return table(items), after
