"""Tables of Lua as Python makes them."""

from __future__ import annotations

from typing import Any, Protocol


class TableMaker(Protocol):
    """Makes a Lua table of a sequence or mapping."""

    # Any: lupa has no types, and a table holds anything.
    def __call__(self, items: Any, /) -> Any: ...


# Any: what lupa gives.
def error_table(text: bytes, table: TableMaker) -> Any:
    """Return an error that is counted already as Lua sees it; `text` begins with its code."""
    if b" " not in text:
        text = b"ERR " + text
    return table({b"err": text, b"ignore_error_stats_update": True})
