"""Flags of a command row, with Redis' names (`server.h: CMD_*`) and meaning."""

from __future__ import annotations

from typing import Final


class Flag:
    """What a command does and where it may run: bits of an `int`.

    No `enum.IntFlag`: its `&` takes as long as a whole command, and several are asked for where a
    request needs care, such as on a replica.
    """

    NONE: Final = 0
    #: Stands for every row, also one without a flag.
    ANY: Final = -1
    WRITE: Final = 1 << 0  # may change the dataset
    READONLY: Final = 1 << 1  # reads keys, never changes them
    DENYOOM: Final = 1 << 2  # refused when memory is exhausted
    ADMIN: Final = 1 << 3
    PUBSUB: Final = 1 << 4
    NOSCRIPT: Final = 1 << 5
    BLOCKING: Final = 1 << 6  # may block the client
    LOADING: Final = 1 << 7  # allowed while a dataset is loaded
    STALE: Final = 1 << 8  # allowed on a replica whose link is down
    SKIP_MONITOR: Final = 1 << 9
    SKIP_SLOWLOG: Final = 1 << 10
    ASKING: Final = 1 << 11
    FAST: Final = 1 << 12  # O(1) or O(log N)
    NO_AUTH: Final = 1 << 13  # allowed before authentication
    MAY_REPLICATE: Final = 1 << 14  # not a write, yet may propagate (PUBLISH)
    NO_MULTI: Final = 1 << 15  # refused inside MULTI
    NO_MANDATORY_KEYS: Final = 1 << 16
    NO_ASYNC_LOADING: Final = 1 << 17
    ALLOW_BUSY: Final = 1 << 18  # allowed while a script is stuck
    MOVABLE_KEYS: Final = 1 << 19
    #: Not refused by a reply of QUEUED: runs at once inside MULTI (EXEC, DISCARD, WATCH, ...).
    NOT_QUEUED: Final = 1 << 20
    #: Comes upon keys that it does not name (SCAN, RANDOMKEY): what of them has expired is deleted
    #: key by key, not as one unit.
    TOUCHES_ARBITRARY_KEYS: Final = 1 << 21
    #: Looks at keys without that counting as a use of them (TTL, OBJECT).
    NO_TOUCH: Final = 1 << 22
    #: Allowed to a RESP2 client that has subscribed.
    WHILE_SUBSCRIBED: Final = 1 << 23


#: Flags that COMMAND INFO shows, in its order, with their spelling there.
SHOWN_FLAGS: Final = (
    (Flag.WRITE, b"write"),
    (Flag.READONLY, b"readonly"),
    (Flag.DENYOOM, b"denyoom"),
    (Flag.ADMIN, b"admin"),
    (Flag.PUBSUB, b"pubsub"),
    (Flag.NOSCRIPT, b"noscript"),
    (Flag.BLOCKING, b"blocking"),
    (Flag.LOADING, b"loading"),
    (Flag.STALE, b"stale"),
    (Flag.SKIP_MONITOR, b"skip_monitor"),
    (Flag.SKIP_SLOWLOG, b"skip_slowlog"),
    (Flag.ASKING, b"asking"),
    (Flag.FAST, b"fast"),
    (Flag.NO_AUTH, b"no_auth"),
    (Flag.NO_MANDATORY_KEYS, b"no_mandatory_keys"),
    (Flag.NO_ASYNC_LOADING, b"no_async_loading"),
    (Flag.NO_MULTI, b"no_multi"),
    (Flag.MOVABLE_KEYS, b"movablekeys"),
    (Flag.ALLOW_BUSY, b"allow_busy"),
)
