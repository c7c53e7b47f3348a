"""The classes of keyspace events, and the letters of `notify-keyspace-events` for them.

Reference: Redis 7.0 `notify.c: keyspaceEventsStringToFlags, keyspaceEventsFlagsToString`.
"""

from __future__ import annotations

from typing import Final


class KeyspaceEvents:
    """Which events are published, and on which of the two kinds of channel: bits of an `int`.

    No `enum.IntFlag`: its `&` takes longer than to publish an event that nobody listens to.
    """

    NONE: Final = 0
    #: `__keyspace@<db>__:<key>`, with the event as message.
    KEYSPACE: Final = 1 << 0
    #: `__keyevent@<db>__:<event>`, with the key as message.
    KEYEVENT: Final = 1 << 1
    GENERIC: Final = 1 << 2  # DEL, EXPIRE, RENAME ...
    STRING: Final = 1 << 3
    LIST: Final = 1 << 4
    SET: Final = 1 << 5
    HASH: Final = 1 << 6
    SORTED_SET: Final = 1 << 7
    EXPIRED: Final = 1 << 8
    EVICTED: Final = 1 << 9
    STREAM: Final = 1 << 10
    MODULE: Final = 1 << 11
    KEY_MISS: Final = 1 << 12
    NEW: Final = 1 << 13


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
_ALL: Final = sum(_LETTERS.values())
_FURTHER_LETTERS: Final = {
    "K": KeyspaceEvents.KEYSPACE,
    "E": KeyspaceEvents.KEYEVENT,
    "m": KeyspaceEvents.KEY_MISS,
    "n": KeyspaceEvents.NEW,
}


def parse_keyspace_events(letters: str) -> int:
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


def format_keyspace_events(events: int) -> str:
    """Return the letters for `events`, in the order in which Redis gives them back."""
    if events & _ALL == _ALL:
        letters = "A"
    else:
        letters = "".join(letter for letter, event in _LETTERS.items() if events & event)
    return letters + "".join(letter for letter, event in _FURTHER_LETTERS.items() if events & event)
