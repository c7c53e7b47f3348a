"""The classes of keyspace events, and the letters of `notify-keyspace-events` for them.

Reference: Redis 7.0 `notify.c: keyspaceEventsStringToFlags, keyspaceEventsFlagsToString`.
"""

from __future__ import annotations

import enum
from typing import Final


class KeyspaceEvents(enum.IntFlag):
    """Which events are published, and on which of the two kinds of channel."""

    NONE = 0
    #: `__keyspace@<db>__:<key>`, with the event as message.
    KEYSPACE = enum.auto()
    #: `__keyevent@<db>__:<event>`, with the key as message.
    KEYEVENT = enum.auto()
    GENERIC = enum.auto()  # DEL, EXPIRE, RENAME ...
    STRING = enum.auto()
    LIST = enum.auto()
    SET = enum.auto()
    HASH = enum.auto()
    SORTED_SET = enum.auto()
    EXPIRED = enum.auto()
    EVICTED = enum.auto()
    STREAM = enum.auto()
    MODULE = enum.auto()
    KEY_MISS = enum.auto()
    NEW = enum.auto()


_LETTERS: Final = {
    "g": KeyspaceEvents.GENERIC,
    "$": KeyspaceEvents.STRING,
    "l": KeyspaceEvents.LIST,
    "s": KeyspaceEvents.SET,
    "h": KeyspaceEvents.HASH,
    "z": KeyspaceEvents.SORTED_SET,
    "x": KeyspaceEvents.EXPIRED,
    "e": KeyspaceEvents.EVICTED,
    "t": KeyspaceEvents.STREAM,
    "d": KeyspaceEvents.MODULE,
}
#: What `A` stands for: all but misses and new keys, which Redis added later.
_ALL: Final = KeyspaceEvents(sum(_LETTERS.values()))
_FURTHER_LETTERS: Final = {
    "K": KeyspaceEvents.KEYSPACE,
    "E": KeyspaceEvents.KEYEVENT,
    "m": KeyspaceEvents.KEY_MISS,
    "n": KeyspaceEvents.NEW,
}


def parse_keyspace_events(letters: str) -> KeyspaceEvents:
    """Return what `letters` select.

    Raises:
        ValueError: one of them means nothing.
    """
    events = KeyspaceEvents.NONE
    for letter in letters:
        found = _ALL if letter == "A" else (_LETTERS | _FURTHER_LETTERS).get(letter)
        if found is None:
            raise ValueError(f"no class of events has the letter {letter!r}")
        events |= found
    return events


def format_keyspace_events(events: KeyspaceEvents) -> str:
    """Return the letters for `events`, in the order in which Redis gives them back."""
    if events & _ALL == _ALL:
        letters = "A"
    else:
        letters = "".join(letter for letter, event in _LETTERS.items() if events & event)
    return letters + "".join(letter for letter, event in _FURTHER_LETTERS.items() if events & event)
