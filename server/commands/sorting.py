"""SORT and SORT_RO: the elements of a list, set or sorted set in order (Redis 7.0 `sort.c`).

Text is ordered by its bytes, which is what Redis does in the locale C. A set that is not to be
sorted is sorted all the same: its order is nobody's, and this one is the same on every replica.
"""

from __future__ import annotations

import math
import re
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from vedette.acl.check import may_run_over_all_keys
from vedette.acl.selector import KeyAccess
from vedette.cmdspec import Flag, Keys, command
from vedette.cmdspec.keys import KeySpec
from vedette.errors import CommandError
from vedette.resp.replies import Reply

from ..engine import ServerContext
from ..engine.context import WRONG_TYPE
from ..engine.keyspace_events import KeyspaceEvents
from ..store.hashes import Hash
from ..store.lists import List
from ..store.sorted_sets import SortedSet
from ..store.values import Collection
from .arguments import parse_integer, syntax_error
from .doubles import FINITE_DIGITS
from .storing import store_result

_NO_NUMBER: Final = b"ERR One or more scores can't be converted into double"
_DENIED: Final = b"ERR %b option of SORT denied due to insufficient ACL permissions."
_COMPLEXITY: Final = "O(N*log(N)) where N is the number of elements; O(N) when nothing is sorted"
_CATEGORIES: Final = ("set", "sortedset", "list", "dangerous")
_HEXADECIMAL: Final = re.compile(rb"\s*[+-]?0[xX]")
_DIGIT_NOT_ZERO: Final = re.compile(rb"[1-9]")

_SORTED_KEY: Final = KeySpec(1, ("RO", "ACCESS"))
_PATTERN_KEYS: Final = KeySpec(
    0,
    ("RO", "ACCESS"),
    is_unknown=True,
    notes="BY and GET make the names of these keys out of the elements",
)


def _stored_key(argv: list[bytes]) -> range:
    """Return the index of the key behind the last STORE, as the options are read."""
    found = range(0)
    index = 2
    while index < len(argv):
        option = argv[index].upper()
        if option == b"STORE" and index + 1 < len(argv):
            found = range(index + 1, index + 2)
        index += {b"LIMIT": 3, b"GET": 2, b"BY": 2, b"STORE": 2}.get(option, 1)
    return found


_STORED_KEY: Final = KeySpec(
    0,
    ("OW", "UPDATE"),
    is_unknown=True,
    find=_stored_key,
    notes="STORE may stand anywhere among the options",
)


@dataclass(slots=True)
class _Options:
    is_descending: bool = False
    is_alphabetic: bool = False
    offset: int = 0
    #: How many elements are wanted; negative: all.
    count: int = -1
    by: bytes | None = None
    #: A BY without `*` says that there is nothing to sort by, whatever others there are.
    is_sorted: bool = True
    gets: list[bytes] = field(default_factory=list)
    store_key: bytes | None = None

    @classmethod
    def parse(
        cls, words: list[bytes], *, may_store: bool, may_read_all: Callable[[], bool]
    ) -> _Options:
        """Read the options. `may_read_all` says whether the user may read any key there is.

        Raises:
            CommandError: they make no sense, or read keys that the user may not name.
        """
        options = cls()
        rest = iter(words)
        left = len(words)
        for word in rest:
            left -= 1
            name = word.upper()
            if name in (b"ASC", b"DESC"):
                options.is_descending = name == b"DESC"
            elif name == b"ALPHA":
                options.is_alphabetic = True
            elif name == b"LIMIT" and left >= 2:
                options.offset = parse_integer(next(rest))
                options.count = parse_integer(next(rest))
                left -= 2
            elif name == b"STORE" and may_store and left:
                options.store_key = next(rest)
                left -= 1
            elif name == b"BY" and left:
                options.by = next(rest)
                left -= 1
                if b"*" not in options.by:
                    options.is_sorted = False
                elif not may_read_all():
                    raise CommandError(_DENIED % b"BY")
            elif name == b"GET" and left:
                options.gets.append(next(rest))
                left -= 1
                if not may_read_all():
                    raise CommandError(_DENIED % b"GET")
            else:
                raise syntax_error()
        return options

    def cut(self, elements: list[bytes]) -> list[bytes]:
        """Return the elements that LIMIT leaves."""
        start = max(self.offset, 0)
        return elements[start:] if self.count < 0 else elements[start : start + self.count]


@command(
    "SORT",
    arity=-2,
    flags=Flag.WRITE | Flag.DENYOOM | Flag.MOVABLE_KEYS,
    keys=Keys(1, 1, 1, groups=(_SORTED_KEY, _PATTERN_KEYS, _STORED_KEY)),
    group="generic",
    since="1.0.0",
    complexity=_COMPLEXITY,
    categories=_CATEGORIES,
    summary="Returns the elements of a list, set or sorted set in order, or stores them as a list.",
)
def sort(ctx: ServerContext, argv: list[bytes]) -> Reply:
    options = _Options.parse(
        argv[2:], may_store=True, may_read_all=lambda: _may_read_all(ctx, argv)
    )
    results = _results(ctx, argv[1], options)
    if options.store_key is None:
        return results
    return _store(ctx, options.store_key, [result or b"" for result in results])


@command(
    "SORT_RO",
    arity=-2,
    flags=Flag.READONLY | Flag.MOVABLE_KEYS,
    keys=Keys(1, 1, 1, groups=(_SORTED_KEY, _PATTERN_KEYS)),
    group="generic",
    since="7.0.0",
    complexity=_COMPLEXITY,
    categories=_CATEGORIES,
    summary="Does what SORT does without STORE.",
)
def sort_ro(ctx: ServerContext, argv: list[bytes]) -> Reply:
    options = _Options.parse(
        argv[2:], may_store=False, may_read_all=lambda: _may_read_all(ctx, argv)
    )
    return _results(ctx, argv[1], options)


def _may_read_all(ctx: ServerContext, argv: list[bytes]) -> bool:
    user = ctx.session.user
    if user is None or not user.is_restricted:
        return True
    row = ctx.engine.table.find(argv)
    return may_run_over_all_keys(user, row, argv, KeyAccess.READ)


def _store(ctx: ServerContext, key: bytes, results: list[bytes]) -> int:
    value = List(deque(results)) if results else None
    store_result(ctx, key, value, KeyspaceEvents.LIST, b"sortstore")
    if results:
        ctx.changes = len(results)
    return len(results)


def _results(ctx: ServerContext, key: bytes, options: _Options) -> tuple[bytes | None, ...]:
    """Return the elements as asked for, or for each of them what the GETs fetch."""
    value = ctx.read(key)
    if value is None:
        elements: list[bytes] = []
    else:
        found = value.elements() if isinstance(value, Collection) else None
        if found is None:
            raise CommandError(WRONG_TYPE)
        elements = list(found)
        if type(value) is SortedSet:
            value.unpack()  # so does Redis, and never packs it again
        if options.is_sorted:
            _sort(ctx, elements, options)
        elif isinstance(value, Collection) and value.type_name == b"set":
            elements.sort(reverse=options.is_descending)
        elif options.is_descending:
            elements.reverse()
    chosen = options.cut(elements)
    if not options.gets:
        return tuple(chosen)
    return tuple([_fetch(ctx, pattern, each) for each in chosen for pattern in options.gets])


def _sort(ctx: ServerContext, elements: list[bytes], options: _Options) -> None:
    """Sort in place, by the elements or by what BY fetches for them; a missing weight is least."""
    by = options.by
    if options.is_alphabetic:
        if by is None:
            elements.sort(reverse=options.is_descending)
            return
        texts = {each: _fetch(ctx, by, each) for each in elements}
        elements.sort(
            key=lambda each: (texts[each] is not None, texts[each] or b""),
            reverse=options.is_descending,
        )
        return
    scores: dict[bytes, float] = {}
    for each in elements:
        text = each if by is None else _fetch(ctx, by, each)
        scores[each] = 0.0 if text is None else _score_of(text)
    # Those of one score by themselves; sorting is stable, and twice without a pair for each faster.
    elements.sort(reverse=options.is_descending)
    elements.sort(key=scores.__getitem__, reverse=options.is_descending)


def _score_of(text: bytes) -> float:
    """Return the number that `text` begins and ends with, as C's `strtod` takes it.

    Raises:
        CommandError: it is no number, not a number, or too large or small for one.
    """
    if text.isdigit() and len(text) < FINITE_DIGITS:  # what is mostly sorted: nothing to check
        return float(text)
    text = text.partition(b"\0")[0]
    if not text:
        return 0.0
    try:
        is_hexadecimal = _HEXADECIMAL.match(text) is not None
        score = float.fromhex(text.decode("latin-1")) if is_hexadecimal else float(text)
    except (ValueError, OverflowError) as error:
        raise CommandError(_NO_NUMBER) from error
    is_spelled_otherwise = b"_" in text or text[-1:].isspace()
    is_out_of_range = (math.isinf(score) and b"n" not in text.lower()) or (
        score == 0 and _DIGIT_NOT_ZERO.search(text.lower().partition(b"e")[0]) is not None
    )
    if math.isnan(score) or is_spelled_otherwise or is_out_of_range:
        raise CommandError(_NO_NUMBER)
    return score


def _fetch(ctx: ServerContext, pattern: bytes, element: bytes) -> bytes | None:
    """Return what stands where `pattern` leads for `element`; None: there is nothing.

    The first `*` becomes the element; `->` and what follows it name the field of a hash; `#` is the
    element itself (`sort.c: lookupKeyByPattern`).
    """
    if pattern == b"#":
        return element
    before, star, after = pattern.partition(b"*")
    if not star:
        return None
    middle, arrow, name = after.partition(b"->")
    if not (arrow and name):
        value = ctx.read(before + element + after)
        return value if isinstance(value, bytes) else None
    value = ctx.read(before + element + middle)
    return value.fields.get(name) if type(value) is Hash else None
