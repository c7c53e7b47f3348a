"""What the server's command functions are handed: dataset, replication, settings, host."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from vedette.clients import Context
from vedette.errors import CommandError
from vedette.resp.replies import Reply

from ..store.database import Database
from ..store.values import Collection, Value
from .keyspace_events import KeyspaceEvents

if TYPE_CHECKING:
    from .engine import ServerEngine

CollectionT = TypeVar("CollectionT", bound=Collection)

_KEY_MISS = KeyspaceEvents.KEY_MISS
WRONG_TYPE = b"WRONGTYPE Operation against a key holding the wrong kind of value"


@dataclass(slots=True)
class Statistics:
    """Counters of INFO stats beyond the engine's; CONFIG RESETSTAT clears them."""

    keyspace_hits: int = 0
    keyspace_misses: int = 0
    expired_keys: int = 0
    sync_full: int = 0
    sync_partial_ok: int = 0
    sync_partial_err: int = 0
    total_forks: int = 0
    latest_fork_usec: int = 0
    #: What came from the master, and went to replicas: handshakes, snapshots, the stream.
    repl_input_bytes: int = 0
    repl_output_bytes: int = 0


class ServerContext(Context):
    """The one context of a server's engine; `db` is the database of the client that is served."""

    engine: ServerEngine

    def __init__(self, engine: ServerEngine) -> None:
        super().__init__(engine, engine.settings)
        self.keyspace = engine.keyspace
        self.limits = engine.keyspace.limits
        self.random = engine.random
        self.statistics = Statistics()
        self.db: Database = engine.keyspace.databases[0]
        #: What to propagate in place of the command as sent, or None; reset by the engine.
        self.effects: list[list[bytes]] | None = None
        #: Whether any keyspace event is wanted; the hottest commands ask before `notify` does.
        self.is_notifying = False

    def hello_fields(self) -> list[tuple[Reply, Reply]]:
        role = b"replica" if self.engine.is_replica else b"master"
        return [*super().hello_fields(), (b"role", role)]

    def read(self, key: bytes, *, announces_miss: bool = True) -> Value | None:
        """Return what `key` holds for a reader, counting a hit or a miss."""
        db = self.db
        value = db.values.get(key)
        if value is None or (db.expires and self._is_gone(db, key)):
            self.statistics.keyspace_misses += 1
            if self.is_notifying and announces_miss:
                self.notify(_KEY_MISS, b"keymiss", key)
            return None
        self.statistics.keyspace_hits += 1
        return value

    def peek(self, key: bytes) -> Value | None:
        """Return what `key` holds, without counting: the look-up of commands that write."""
        db = self.db
        value = db.values.get(key)
        if value is None:
            return None
        if db.expires and self._is_gone(db, key):
            if self.engine.is_replica and not self.engine.is_replica_read_only:
                # What a client of a writable replica writes to must not be what it cannot see.
                self.engine.expire(db, key)
            return None
        return value

    def string_or_none(self, value: Value | None) -> bytes | None:
        """Return `value` if it is a string or None.

        Raises:
            CommandError: it is of another type.
        """
        if value is None or type(value) is bytes:
            return value
        raise CommandError(WRONG_TYPE)

    def read_as(self, key: bytes, kind: type[CollectionT]) -> CollectionT | None:
        """Return the value of type `kind` at `key` for a reader, counting a hit or a miss.

        Raises:
            CommandError: it is of another type.
        """
        value = self.read(key)
        if value is None or type(value) is kind:
            return value
        raise CommandError(WRONG_TYPE)

    def peek_as(self, key: bytes, kind: type[CollectionT]) -> CollectionT | None:
        """Return the value of type `kind` at `key`, without counting: for commands that write.

        Raises:
            CommandError: it is of another type.
        """
        value = self.peek(key)
        if value is None or type(value) is kind:
            return value
        raise CommandError(WRONG_TYPE)

    def replace_raw(self, key: bytes, value: bytes) -> None:
        """Set `key` to a string that was changed in place, keeping its expiry time."""
        self.db.replace(key, value)
        self.keyspace.raw_strings.note(value)

    def notify(self, kind: int, event: bytes, key: bytes) -> None:
        """Publish that `event` happened to `key` of the present database, if that is wanted.

        Called by each command that changes a key, once it is changed, with Redis' own names.
        """
        # `&` of flags costs more than the whole of most commands, so it comes second.
        if self.is_notifying:
            self.engine.publish_key_event(kind, self.db.index, event, key)

    def _is_gone(self, db: Database, key: bytes) -> bool:
        """Return whether `key` has expired, deleting it where that is ours to do.

        A replica only hides it: its master will send the deletion. So does a master while CLIENT
        PAUSE keeps the dataset as it is (Redis' `db.c: expireIfNeeded`).
        """
        expire_at_ms = db.expires.get(key)
        if expire_at_ms is None or expire_at_ms > self.now_ms:
            return False
        if self.session.is_deaf or self.engine.is_loading:
            # What comes from the master, or a file, is applied to the dataset as it is.
            return False
        if self.engine.is_replica:
            return True
        if self.engine.paused_until_ms > self.now_ms:
            return True
        self.engine.expire_on_access(db, key)
        return True

    def propagate_as(self, *commands: Sequence[bytes]) -> None:
        """Have `commands` propagated in place of the one that runs (none: nothing)."""
        self.effects = [list(command) for command in commands]
