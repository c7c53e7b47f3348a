"""Which short strings were changed in place: Redis keeps those apart from their header (raw).

A string here is its bytes and nothing else, and most say by themselves how Redis keeps them. Only
APPEND, SETRANGE, the commands on bits and the like leave behind a short string, or one that reads
as an integer, that is raw. Those are noted by identity, so that it holds wherever the value goes
(RENAME, SWAPDB), and ends when the key is set anew, of which nobody has to tell.

Of the two generations of notes the older one is dropped when the younger is full, so that they stay
few: after some thousand such changes a string reads as if it had been set so.

Reference: Redis 7.0 `db.c: dbUnshareStringValue`, `t_string.c: appendCommand`.
"""

from __future__ import annotations

from typing import Final

#: The longest string that Redis keeps in one piece with its header.
EMBEDDED_SIZE_MAX: Final = 44
_GENERATION_SIZE: Final = 4096


class RawStrings:
    """The short raw strings of one keyspace, those noted last."""

    def __init__(self) -> None:
        # By `id`, which stays theirs because they are held here.
        self._young: dict[int, bytes] = {}
        self._old: dict[int, bytes] = {}

    def note(self, value: bytes) -> None:
        """Note that `value` was made by a change in place.

        Long ones are raw anyway. Python has but one string of each single byte, so of those nothing
        can be told.
        """
        if 1 < len(value) <= EMBEDDED_SIZE_MAX:
            self._young[id(value)] = value
            if len(self._young) >= _GENERATION_SIZE:
                self._old, self._young = self._young, {}

    def __contains__(self, value: bytes) -> bool:
        return id(value) in self._young or id(value) in self._old
