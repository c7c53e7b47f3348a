"""All databases of one server, and the sessions that watch keys in them (`multi.c: WATCH`).

A watch remembers whether its key had expired already: deleting such a key is no change to anyone,
while a key that expires under a watch breaks it (`multi.c: touchWatchedKey, isWatchedKeyExpired`).
"""

from __future__ import annotations

from collections.abc import Callable

from vedette.clients import Session
from vedette.clients.blocking import KeyLoss

from .database import AttentiveDatabase, Database, EveryKey
from .encoding_limits import EncodingLimits
from .raw_strings import RawStrings
from .values import Value


class Keyspace:
    """`databases` by index. `dirty` counts changes since the last save."""

    def __init__(
        self,
        database_count: int = 16,
        on_awaited_change: Callable[[tuple[int, bytes] | KeyLoss], object] = lambda change: None,
    ) -> None:
        #: Where the encodings of collections change; written by whoever applies directives.
        self.limits = EncodingLimits()
        self.databases = [
            Database(index, self._on_touch, self.limits) for index in range(database_count)
        ]
        self.dirty = 0
        self.raw_strings = RawStrings()
        #: Whether expired keys are looked for; DEBUG SET-ACTIVE-EXPIRE switches it for tests.
        self.is_active_expiry_on = True
        #: Who watches a key, and whether it had expired when the watch began.
        self._watchers: dict[tuple[int, bytes], dict[Session, bool]] = {}
        #: Keys (database index, key) whose next change somebody waits for.
        self._awaited: set[tuple[int, bytes]] = set()
        #: Keys whose going somebody waits for.
        self._awaited_losses: set[tuple[int, bytes]] = set()
        self._on_awaited_change = on_awaited_change
        #: Called with every key that changes, while somebody wants to know (`announce_changes`).
        self._on_change: Callable[[bytes], None] | None = None

    def clear(self) -> int:
        """Delete every key of every database; return how many there were."""
        return sum(database.clear() for database in self.databases)

    def announce_new_keys(self, on_new_key: Callable[[Database, bytes], None] | None) -> None:
        """Have `on_new_key` called with each key that is made from now on; None: nobody."""
        for database in self.databases:
            database.on_new_key = on_new_key
            self._choose_class(database)

    def hand_over_replaced(self, on_replaced: Callable[[Value], None] | None) -> None:
        """Have `on_replaced` called with what keys held that are set anew; None: nobody."""
        for database in self.databases:
            database.on_replaced = on_replaced
            self._choose_class(database)

    @staticmethod
    def _choose_class(database: Database) -> None:
        is_plain = database.on_new_key is None and database.on_replaced is None
        database.__class__ = Database if is_plain else AttentiveDatabase

    def announce_changes(self, on_change: Callable[[bytes], None] | None) -> None:
        """Have `on_change` called with each key that changes from now on; None: nobody."""
        if (self._on_change is None) != (on_change is None):
            kind = set if on_change is None else EveryKey
            for database in self.databases:
                database.observed = kind(database.observed)
        self._on_change = on_change

    def key_count(self) -> int:
        """Return the number of keys in all databases."""
        return sum(len(database) for database in self.databases)

    def swap(self, first: Database, second: Database, now_ms: int) -> None:
        """Exchange the contents of two databases, breaking the watches that notice."""
        for database, replacement in ((first, second), (second, first)):
            for key in database.observed:
                if key in database.values or key in replacement.values:
                    self._judge_replacement(database, replacement, key, now_ms)
        first.swap_contents(second)
        for database in (first, second):
            for key in list(database.observed):
                self._tell_who_waits(database, key)

    def _judge_replacement(
        self, database: Database, replacement: Database, key: bytes, now_ms: int
    ) -> None:
        """Break the watches of `key` unless it had expired, or was not there, and so it stays."""
        watchers = self._watchers.get((database.index, key), {})
        is_stale = replacement.is_expired(key, now_ms)
        for session, was_expired in watchers.items():
            if was_expired and key not in replacement.values:
                watchers[session] = False
            elif not was_expired and is_stale and key not in database.values:
                watchers[session] = True
            elif not (was_expired and is_stale):
                session.watch_is_broken = True

    def watch(
        self, session: Session, database: Database, key: bytes, *, is_expired: bool = False
    ) -> None:
        """Have `session` told (`watch_is_broken`) when `key` changes."""
        place = (database.index, key)
        if place in session.watched:
            return
        session.watched.add(place)
        self._watchers.setdefault(place, {})[session] = is_expired
        database.observed.add(key)

    def unwatch(self, session: Session) -> None:
        """End all watches of `session`."""
        for index, key in session.watched:
            watchers = self._watchers[index, key]
            del watchers[session]
            if not watchers:
                del self._watchers[index, key]
                self._observe_no_more((index, key))
        session.watched.clear()
        session.watch_is_broken = False

    def await_change(self, change: tuple[int, bytes] | KeyLoss) -> None:
        """Have `on_awaited_change(change)` called when the key is created or changes, or goes."""
        awaited, place = self._awaited_as(change)
        awaited.add(place)
        self.databases[place[0]].observed.add(place[1])

    def await_change_no_more(self, change: tuple[int, bytes] | KeyLoss) -> None:
        """Undo `await_change`."""
        awaited, place = self._awaited_as(change)
        awaited.discard(place)
        self._observe_no_more(place)

    def _awaited_as(
        self, change: tuple[int, bytes] | KeyLoss
    ) -> tuple[set[tuple[int, bytes]], tuple[int, bytes]]:
        """Return where a wait for `change` is kept, and under which place."""
        if isinstance(change, KeyLoss):
            return self._awaited_losses, (change.database_index, change.key)
        return self._awaited, change

    def _observe_no_more(self, place: tuple[int, bytes]) -> None:
        if not (place in self._awaited or place in self._awaited_losses or place in self._watchers):
            self.databases[place[0]].observed.discard(place[1])

    def _tell_who_waits(self, database: Database, key: bytes) -> None:
        """End the waits for what `key` has become."""
        place = (database.index, key)
        if key not in database.values:
            if place in self._awaited_losses:
                self._on_awaited_change(KeyLoss(*place))
        elif place in self._awaited:
            self._on_awaited_change(place)

    def has_watched_key_expired(self, session: Session, now_ms: int) -> bool:
        """Return whether a key has expired since `session` began to watch it."""
        return any(
            self.databases[index].is_expired(key, now_ms)
            and not self._watchers[index, key][session]
            for index, key in session.watched
        )

    def _on_touch(self, database: Database, key: bytes) -> None:
        self._tell_who_waits(database, key)
        watchers = self._watchers.get((database.index, key), {})
        for session, was_expired in watchers.items():
            if was_expired and key not in database.values:
                watchers[session] = False  # what had gone before is gone for good
            else:
                session.watch_is_broken = True
        if self._on_change is not None:
            self._on_change(key)
