"""The count of SRANDMEMBER, HRANDFIELD and ZRANDMEMBER: below zero, elements may come again."""

from __future__ import annotations

from typing import Final

from vedette.errors import CommandError

from .arguments import INT64_MAX, parse_integer

#: How many elements a single reply repeats at most. Redis has no limit, and a request of a few
#: bytes can keep it busy until memory ends; here a reply is made before anything of it is sent.
MOST_REPEATED: Final = 1 << 22


def parse_random_count(text: bytes) -> int:
    """Return the count: that many distinct elements, or if negative as many as may repeat.

    Raises:
        CommandError: it is no integer.
    """
    count = parse_integer(text)
    if count < -INT64_MAX:
        raise CommandError(
            b"ERR value is out of range, value must between %d and %d" % (-INT64_MAX, INT64_MAX)
        )
    return count


def repeats(count: int) -> range:
    """Return the rounds in which a negative `count` is drawn.

    Raises:
        CommandError: they are more than `MOST_REPEATED`.
    """
    if -count > MOST_REPEATED:
        raise CommandError(b"ERR value is out of range")
    return range(-count)
