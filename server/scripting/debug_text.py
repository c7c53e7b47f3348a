"""What the debugger of scripts shows: replies in a line, and the list of its commands.

Follows Redis 7.0 `eval.c: ldbRedisProtocolToHuman`.
"""

from __future__ import annotations

from typing import Final

from vedette.conf.quoting import quote_argument

HELP: Final = (
    b"Commands of the debugger, each by its first letter too:",
    b"help                 This list.",
    b"step, next           Run the line and stop at the next one.",
    b"continue             Run on to a breakpoint.",
    b"list [line] [lines]  Show the source around the line, or around the present one,",
    b"                     and so many lines before and after it (5).",
    b"whole                Show all of the source.",
    b"print [name]         Show all local variables, or the nearest of that name;",
    b"                     KEYS and ARGV can be named too.",
    b"break                List the breakpoints.",
    b"break [line] ...     Add breakpoints; -line removes one, 0 all of them.",
    b"trace                Show which functions are being called.",
    b"eval [code]          Run some Lua, apart from the local variables.",
    b"redis [command]      Run a command of the server.",
    b"maxlen [size]        Cut what is shown to so many bytes; 0: show all of it.",
    b"abort                End the script; in synchronous mode what it wrote stays.",
    b"",
    b"A script may itself call:",
    b"redis.debug(...)     Show the values.",
    b"redis.breakpoint()   Stop at the next line.",
)


def describe_reply(data: bytes) -> bytes:
    """Return the encoded reply `data` in one line."""
    return _described(data, 0)[0]


def _described(data: bytes, start: int) -> tuple[bytes, int]:
    """Return the reply that begins at `start` in words, and where it ends."""
    end = data.index(b"\r\n", start)
    line, after = data[start + 1 : end], end + 2
    match data[start : start + 1]:
        case b"$" | b"=" if line != b"-1":
            size = int(line)
            return quote_argument(data[after : after + size]), after + size + 2
        case b"$" | b"*" if line == b"-1":
            return b"NULL", after
        case b"*" | b">":
            items, after = _items(data, after, int(line))
            return b"[%b]" % b",".join(items), after
        case b"~":
            items, after = _items(data, after, int(line))
            return b"~(%b)" % b",".join(items), after
        case b"%":
            items, after = _items(data, after, 2 * int(line))
            pairs = zip(items[::2], items[1::2], strict=True)
            return b"{%b}" % b",".join(map(b" => ".join, pairs)), after
        case b"_":
            return b"(null)", after
        case b"#":
            return (b"#true" if line == b"t" else b"#false"), after
        case b",":
            return b"(double) " + line, after
        case b"+" | b"-":
            return quote_argument(data[start:end]), after
    return line, after


def _items(data: bytes, start: int, count: int) -> tuple[list[bytes], int]:
    items = []
    for _ in range(count):
        item, start = _described(data, start)
        items.append(item)
    return items, start
