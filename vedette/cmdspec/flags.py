"""Flags of a command row, with Redis' names (`server.h: CMD_*`) and meaning."""

from __future__ import annotations

import enum
from typing import Final


class Flag(enum.IntFlag):
    """What a command does and where it may run."""

    NONE = 0
    WRITE = enum.auto()  # may change the dataset
    READONLY = enum.auto()  # reads keys, never changes them
    DENYOOM = enum.auto()  # refused when memory is exhausted
    ADMIN = enum.auto()
    PUBSUB = enum.auto()
    NOSCRIPT = enum.auto()
    BLOCKING = enum.auto()  # may block the client
    LOADING = enum.auto()  # allowed while a dataset is loaded
    STALE = enum.auto()  # allowed on a replica whose link is down
    SKIP_MONITOR = enum.auto()
    SKIP_SLOWLOG = enum.auto()
    ASKING = enum.auto()
    FAST = enum.auto()  # O(1) or O(log N)
    NO_AUTH = enum.auto()  # allowed before authentication
    MAY_REPLICATE = enum.auto()  # not a write, yet may propagate (PUBLISH)
    NO_MULTI = enum.auto()  # refused inside MULTI
    NO_MANDATORY_KEYS = enum.auto()
    NO_ASYNC_LOADING = enum.auto()
    ALLOW_BUSY = enum.auto()  # allowed while a script is stuck
    MOVABLE_KEYS = enum.auto()
    #: Not refused by a reply of QUEUED: runs at once inside MULTI (EXEC, DISCARD, WATCH, ...).
    NOT_QUEUED = enum.auto()
    #: Comes upon keys that it does not name (SCAN, RANDOMKEY): what of them has expired is deleted
    #: key by key, not as one unit.
    TOUCHES_ARBITRARY_KEYS = enum.auto()
    #: Looks at keys without that counting as a use of them (TTL, OBJECT).
    NO_TOUCH = enum.auto()
    #: Allowed to a RESP2 client that has subscribed.
    WHILE_SUBSCRIBED = enum.auto()


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
