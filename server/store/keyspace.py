"""All databases of one server, and the sessions that watch keys in them (`multi.c: WATCH`)."""

from __future__ import annotations

from vedette.clients import Session

from .database import Database


class Keyspace:
    """`databases` by index. `dirty` counts changes since the last save."""

    def __init__(self, database_count: int = 16) -> None:
        self.databases = [Database(index, self._on_touch) for index in range(database_count)]
        self.dirty = 0
        self._watchers: dict[tuple[int, bytes], set[Session]] = {}

    def clear(self) -> int:
        """Delete every key of every database; return how many there were."""
        return sum(database.clear() for database in self.databases)

    def watch(self, session: Session, database: Database, key: bytes) -> None:
        """Have `session` told (`watch_is_broken`) when `key` changes."""
        session.watched.add((database.index, key))
        self._watchers.setdefault((database.index, key), set()).add(session)
        database.watched.add(key)

    def unwatch(self, session: Session) -> None:
        """End all watches of `session`."""
        for index, key in session.watched:
            watchers = self._watchers[index, key]
            watchers.discard(session)
            if not watchers:
                del self._watchers[index, key]
                self.databases[index].watched.discard(key)
        session.watched.clear()
        session.watch_is_broken = False

    def _on_touch(self, database: Database, key: bytes) -> None:
        for session in self._watchers.get((database.index, key), ()):
            session.watch_is_broken = True
