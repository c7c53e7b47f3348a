"""DEBUG LISTPACK, QUICKLIST and SDSLEN: what a value is made of.

Redis prints the first two on its standard output; here they are written to the log. Only what Redis
would pack has a listpack, and lists have no nodes, so that it is the elements that are told.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable
from itertools import chain, islice
from typing import Final

from vedette.conf.quoting import quote_argument
from vedette.errors import CommandError
from vedette.resp.encode import format_double
from vedette.resp.replies import Reply, SimpleString

from ..engine import ServerContext
from ..store.hashes import Hash
from ..store.lists import List
from ..store.sets import Set
from ..store.sorted_sets import SortedSet
from ..store.values import Value
from .arguments import NO_SUCH_KEY
from .introspection import encoding_of

#: Elements of one value that are written to the log.
_SHOWN_ELEMENTS: Final = 1000
_WARNING: Final = 3


def string_sizes(ctx: ServerContext, argv: list[bytes]) -> Reply:
    """Return the sizes of a key and of the string there; strings have no room to spare here."""
    value = _value_at(ctx, argv[2])
    if not isinstance(value, bytes) or encoding_of(value, ctx.keyspace.raw_strings) == b"int":
        raise CommandError(b"ERR Not an sds encoded string.")
    return SimpleString(
        b"key_sds_len:%d, key_sds_avail:0, key_zmalloc: %d, "
        b"val_sds_len:%d, val_sds_avail:0, val_zmalloc: %d"
        % (len(argv[2]), sys.getsizeof(argv[2]), len(value), sys.getsizeof(value))
    )


def log_listpack(ctx: ServerContext, argv: list[bytes]) -> Reply:
    """Write the elements of a packed value to the log."""
    value = _value_at(ctx, argv[2])
    if isinstance(value, bytes) or value.encoding() != b"listpack":
        raise CommandError(b"ERR Not a listpack encoded object.")
    elements = _packed_elements(value)
    _log(ctx, b"LISTPACK", argv[2], b"%d elements" % len(elements), elements)
    return SimpleString(b"Listpack structure printed on stdout")


def log_quicklist(ctx: ServerContext, argv: list[bytes]) -> Reply:
    """Write the number of a list's elements to the log, and with another word than 0 these, too."""
    value = _value_at(ctx, argv[2])
    if not isinstance(value, List):
        raise CommandError(b"ERR Not a quicklist encoded object.")
    is_full = len(argv) == 4 and argv[3].strip() != b"0"
    elements = value.elements() if is_full else ()
    _log(ctx, b"QUICKLIST", argv[2], b"%d elements" % len(value), elements)
    return SimpleString(b"Quicklist structure printed on stdout")


def _value_at(ctx: ServerContext, key: bytes) -> Value:
    value: Value | None = ctx.db.values.get(key)
    if value is None:
        raise CommandError(NO_SUCH_KEY)
    return value


def _packed_elements(value: Value) -> list[bytes]:
    """Return the elements in the order in which Redis packs them."""
    match value:
        case Hash():
            return [*chain.from_iterable(value.fields.items())]
        case SortedSet():
            pairs = value.slice(0, len(value))
            return [word for score, member in pairs for word in (member, format_double(score))]
        case Set():
            return [*value.members]
    raise AssertionError(f"a packed {type(value).__name__}")


def _log(
    ctx: ServerContext, name: bytes, key: bytes, text: bytes, elements: Iterable[bytes]
) -> None:
    shown = b" ".join(map(quote_argument, islice(elements, _SHOWN_ELEMENTS)))
    line = b"DEBUG %b %b: %b %b" % (name, quote_argument(key), text, shown)
    ctx.engine.scripting.log(_WARNING, line.rstrip())
