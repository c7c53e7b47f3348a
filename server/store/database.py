"""One numbered database: values, expiry times, and who watches which key.

The one writer of `values` and `expires`. Knows no clock: whether a key has expired is asked with
the time as an argument, and what follows from it (deletion, propagation) is the caller's.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from .dict_places import is_sparse, may_be_halved, random_key, scan
from .encoding_limits import EncodingLimits
from .values import Value


class EveryKey(set[bytes]):
    """The observed keys of a database while every change is of interest.

    Any key is in it; to iterate gives those that were added.
    """

    def __bool__(self) -> bool:
        return True

    def __contains__(self, key: object) -> bool:
        return True


class Database:
    """`index` is the number that SELECT takes.

    `values` and `expires` may be read by anyone (the hot paths do), but are changed only through
    the methods, which keep `expires` a subset of `values` and tell the watchers.
    """

    __slots__ = (
        "_limits",
        "_on_touch",
        "expires",
        "index",
        "observed",
        "on_new_key",
        "on_replaced",
        "usage",
        "values",
    )

    def __init__(
        self,
        index: int,
        on_touch: Callable[[Database, bytes], None],
        limits: EncodingLimits | None = None,
    ) -> None:
        self.index = index
        self._limits = limits or EncodingLimits()
        self.values: dict[bytes, Value] = {}
        #: When a key expires, in milliseconds of the wall clock.
        self.expires: dict[bytes, int] = {}
        #: Keys under WATCH or waited for; `on_touch` is called when one of them changes.
        self.observed: set[bytes] = set()
        self._on_touch = on_touch
        #: Called with each key that is made, while somebody wants to know (`announce_new_keys`).
        self.on_new_key: Callable[[Database, bytes], None] | None = None
        #: Called with what a key held that is set anew, while somebody wants to have it.
        self.on_replaced: Callable[[Value], None] | None = None
        #: When, or how often, keys were used: the marks of `KeyUsage`, which writes them.
        self.usage: dict[bytes, int] = {}

    def __len__(self) -> int:
        return len(self.values)

    def is_expired(self, key: bytes, now_ms: int) -> bool:
        """Return whether `key` has an expiry time that has passed."""
        expire_at_ms = self.expires.get(key)
        return expire_at_ms is not None and expire_at_ms <= now_ms

    def set(self, key: bytes, value: Value) -> None:
        """Set `key`, dropping any expiry time."""
        self.values[key] = value
        if self.expires:
            self.expires.pop(key, None)
        if self.observed:
            self.touch(key)

    def set_all(self, keys: Sequence[bytes], values: Sequence[Value]) -> None:
        """Do as `set` with each of `keys` and the value in the same place of `values`."""
        if self.expires or self.observed:
            for key, value in zip(keys, values, strict=True):
                self.set(key, value)
        else:
            self.values.update(zip(keys, values, strict=True))

    def replace(self, key: bytes, value: Value) -> None:
        """Set `key`, keeping its expiry time."""
        self.values[key] = value
        if self.observed:
            self.touch(key)

    def delete(self, key: bytes) -> bool:
        """Delete `key`; return whether it was there."""
        return self.take(key) is not None

    def take(self, key: bytes) -> Value | None:
        """Delete `key`; return what it held, or None."""
        value = self.values.pop(key, None)
        if value is None:
            return None
        if self.expires:
            self.expires.pop(key, None)
        if self.usage:
            self.usage.pop(key, None)
        if self.observed:
            self.touch(key)
        return value

    def expire_at(self, key: bytes, expire_at_ms: int | None) -> None:
        """Set the expiry time of `key`, which must exist; None makes it persistent."""
        assert key in self.values
        if expire_at_ms is None:
            self.expires.pop(key, None)
        else:
            self.expires[key] = expire_at_ms
        if self.observed:
            self.touch(key)

    def touch(self, key: bytes) -> None:
        """Tell whom it concerns that `key` changed; to be called after a change in place."""
        if key in self.observed:
            self._on_touch(self, key)

    def clear(self) -> int:
        """Delete every key; return how many there were. Watchers of keys that existed are told."""
        return len(self.take_all())

    def take_all(self) -> dict[bytes, Value]:
        """Delete every key as `clear` does; return what they held."""
        return self.adopt({}, {})

    def adopt(self, values: dict[bytes, Value], expires: dict[bytes, int]) -> dict[bytes, Value]:
        """Take over a loaded dataset in place of the present one, which is returned; no copy.

        Its values have the encodings of the default limits, and get those of the limits in force.
        """
        if self._limits != EncodingLimits():
            for value in values.values():
                if not isinstance(value, bytes):
                    value.settle(self._limits)
        touched = [key for key in self.observed if key in self.values or key in values]
        before = self.values
        self.values = values
        self.expires = expires
        self.usage = {}
        for key in touched:
            self._on_touch(self, key)
        return before

    def swap_contents(self, other: Database) -> None:
        """Exchange the datasets of two databases, telling nobody: `Keyspace.swap` does that."""
        self.values, other.values = other.values, self.values
        self.expires, other.expires = other.expires, self.expires
        self.usage, other.usage = other.usage, self.usage

    def scan(self, cursor: int, count: int) -> tuple[int, list[bytes]]:
        """Return the next cursor (0: the end) and about `count` keys."""
        return scan(self.values, cursor, count)

    def random_key(self, random: Callable[[], float]) -> bytes | None:
        """Return a key drawn at random by `random()` (0 to below 1); None: there is none."""
        return random_key(self.values, random) if self.values else None

    def close_gaps(self) -> None:
        """Give back the room of deleted keys, where that is most of it; a pass over what is left.

        Python never does so by itself, and scans and draws would go through the holes.
        """
        if is_sparse(self.values):
            self.values = dict(self.values)
        if is_sparse(self.expires):
            self.expires = dict(self.expires)
        if is_sparse(self.usage):
            self.usage = dict(self.usage)

    def save_room(self) -> bool:
        """Have dictionaries take half of their room, where that can be; return whether one does.

        For when memory is short: a pass over all keys, once for each so many new ones.
        """
        is_smaller = False
        if may_be_halved(self.values):
            self.values = dict(self.values)
            is_smaller = True
        if may_be_halved(self.expires):
            self.expires = dict(self.expires)
            is_smaller = True
        if may_be_halved(self.usage):
            self.usage = dict(self.usage)
            is_smaller = True
        return is_smaller

    def expired_among(self, keys: Iterable[bytes], now_ms: int) -> list[bytes]:
        """Return those of `keys` that have expired (the active expiry cycle's question)."""
        expires = self.expires
        return [key for key in keys if expires.get(key, now_ms + 1) <= now_ms]


class AttentiveDatabase(Database):
    """A database that calls `on_new_key` for each key that is made, `on_replaced` for what goes.

    A class of its own, which a database takes on and off, so that the usual database need not ask
    at every write whether anybody wants to know.
    """

    __slots__ = ()

    def set(self, key: bytes, value: Value) -> None:
        before = self.values.get(key)
        super().set(key, value)
        self._tell(key, before, value)

    def set_all(self, keys: Sequence[bytes], values: Sequence[Value]) -> None:
        for key, value in zip(keys, values, strict=True):
            self.set(key, value)

    def replace(self, key: bytes, value: Value) -> None:
        before = self.values.get(key)
        super().replace(key, value)
        self._tell(key, before, value)

    def _tell(self, key: bytes, before: Value | None, value: Value) -> None:
        if before is None:
            if self.on_new_key is not None:
                self.on_new_key(self, key)
        elif before is not value and self.on_replaced is not None:
            self.on_replaced(before)
