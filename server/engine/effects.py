"""What commands change, and who is told of it: replicas, the append-only file, keyspace events.

The part of the server's engine through which every change leaves. Replicas and the append-only file
see it by way of `propagate` and its kin, whoever subscribed to keyspace events by
`publish_key_event`. Follows Redis 7.0 `server.c: call, propagateNow`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from vedette.clients import Engine, ServingSettings, Session
from vedette.cmdspec import CommandRow, CommandTable, Flag

from .. import directives
from ..config import Configuration
from ..persistence.aof.log import AppendOnlyLog
from ..replication.propagation import EffectStream, encode_effect
from ..scripting.audience import Audience
from ..store.database import Database
from ..store.keyspace import Keyspace
from .context import ServerContext
from .keyspace_events import KeyspaceEvents
from .memory import Memory

#: The `changes` of a command that found nothing but expired keys.
ONLY_EXPIRED: Final = 1 << 62


class Effects(Engine):
    """What `ServerEngine` is besides; that fills in what is only declared here."""

    context: ServerContext
    keyspace: Keyspace
    configuration: Configuration
    aof: AppendOnlyLog
    memory: Memory
    #: Where writes go besides the dataset; empty while nobody listens.
    sinks: list[EffectStream]

    def __init__(
        self,
        table: CommandTable,
        settings: ServingSettings | None,
        *,
        clock: Callable[[], float],
        on_crash: Callable[[Session, CommandRow, Exception], None] | None,
    ) -> None:
        #: Deletions of expired keys that the running command has come upon.
        self._deletions: list[tuple[int, list[bytes]]] = []
        #: Effects collected while EXEC runs, or None outside.
        self._transaction: list[tuple[int, list[bytes]]] | None = None
        #: Those of them, from one place to before another, of which not everybody is told.
        self._restricted: list[tuple[int, int, Audience]] = []
        #: What `notify-keyspace-events` asks for; changed by `set_notified_events` only.
        self.notified_events = KeyspaceEvents.NONE
        #: A key is being deleted (`drop`), whatever command came upon it.
        self._is_dropping = False
        super().__init__(table, settings, clock=clock, on_crash=on_crash)

    def after_write(
        self, session: Session, row: CommandRow, argv: list[bytes], received: bytes = b""
    ) -> None:
        context = self.context
        changes = context.changes
        context.changes = 0
        effects = context.effects
        if not self.sinks:  # nobody is told; with no one to tell there are no deletions kept either
            if effects is not None:
                context.effects = None
            self.keyspace.dirty += changes
            if self._woken and self._transaction is None:
                self._serve_woken_by(session)
            return
        context.effects = None
        index = context.db.index
        if effects is None and self._transaction is None and not self._deletions:
            # The usual write, told as it was sent: not encoded anew if it can be helped.
            self.keyspace.dirty += changes
            data = received or encode_effect(argv)
            for sink in self.sinks:
                if sink.selected_database == index:
                    sink.pending.append(data)
                else:
                    sink.append(((index, data),))
        elif self._deletions:
            is_unit = not row.flags & Flag.TOUCHES_ARBITRARY_KEYS
            commands = [argv] if effects is None else effects
            self._propagate_with_deletions(changes, index, commands, is_unit=is_unit)
        else:
            self.keyspace.dirty += changes
            if effects is None:
                self.propagate(index, argv)
            else:
                self._propagate_unit([(index, command) for command in effects])
        if self._woken and self._transaction is None:
            self._serve_woken_by(session)

    def _serve_woken_by(self, session: Session) -> None:
        """Serve those who waited for what a command of `session` did, before any other runs.

        What they do in turn it may hear of in the midst of its reply (RESP3): then they are served
        behind that, and behind what it hears of its own command, as by Redis 7.2.
        """
        if session.protocol == 3 and session.needs_care:
            self.after_reply.append(self.serve_woken)
        else:
            self.serve_woken()

    @property
    def wants_received(self) -> bool:
        return bool(self.sinks)

    def _propagate_with_deletions(
        self, changes: int, database_index: int, effects: list[list[bytes]], *, is_unit: bool
    ) -> None:
        """Send the expired keys' deletions and what the command did after them, as one unit or each
        by itself.
        """
        unit, self._deletions = self._deletions, []
        if changes != ONLY_EXPIRED:
            self.keyspace.dirty += changes & ~ONLY_EXPIRED
            unit += [(database_index, command) for command in effects]
        if is_unit:
            self._send_to_sinks(unit)
        else:
            for effect in unit:
                self._send_to_sinks([effect])

    def propagate(self, database_index: int, command: list[bytes]) -> None:
        """Have the sinks see `command`; inside EXEC it is kept until the transaction ends."""
        if self._transaction is not None:
            self._transaction.append((database_index, command))
        elif self.sinks:
            effects = [(database_index, encode_effect(command))]
            for sink in self.sinks:
                sink.append(effects)

    def propagate_each(self, database_index: int, commands: list[list[bytes]]) -> None:
        """Have the sinks see `commands`, outside EXEC; each is a unit by itself."""
        if not self.sinks:
            return
        encoded = list(map(encode_effect, commands))
        for sink in self.sinks:
            for data in encoded:
                if sink.selected_database == database_index:
                    sink.pending.append(data)
                else:
                    sink.append(((database_index, data),))

    def _propagate_unit(self, effects: list[tuple[int, list[bytes]]]) -> None:
        """Have the sinks apply all of `effects` or none."""
        if self._transaction is not None:
            self._transaction += effects
        elif effects:
            self._send_to_sinks(effects)

    def _send_to_sinks(self, effects: list[tuple[int, list[bytes]]]) -> None:
        """Encode one unit for all sinks."""
        if self.sinks:
            encoded = [(database, encode_effect(command)) for database, command in effects]
            for sink in self.sinks:
                sink.append(encoded)

    def _send_by_audience(self, effects: list[tuple[int, list[bytes]]]) -> None:
        """Send to each sink what of one unit is not kept from it (`redis.set_repl`)."""
        encoded = [(database, encode_effect(command)) for database, command in effects]
        for sink in self.sinks:
            own = Audience.FILE if sink is self.aof.effects else Audience.REPLICAS
            kept_from_it = {
                place
                for start, end, audience in self._restricted
                if own not in audience
                for place in range(start, end)
            }
            part = [effect for place, effect in enumerate(encoded) if place not in kept_from_it]
            if part:
                sink.append(part)

    @property
    def is_in_transaction(self) -> bool:
        """Whether EXEC is running."""
        return self._transaction is not None

    def begin_transaction(self) -> None:
        """Collect effects from now on, to leave as one unit."""
        self._transaction = []
        self._restricted = []

    def end_transaction(self) -> None:
        """Send what was collected since `begin_transaction`."""
        effects, self._transaction = self._transaction or [], None
        if self._restricted:
            self._send_by_audience(effects)
        else:
            self._propagate_unit(effects)
        if self.has_woken:
            self._serve_woken_by(self.context.session)

    def expire(self, database: Database, key: bytes) -> None:
        """Delete an expired key of a master and have its replicas do the same."""
        self._forget_expired(database, key)
        self.propagate(database.index, [b"DEL", key])

    def expire_on_access(self, database: Database, key: bytes) -> None:
        """Delete an expired key that a command came upon; replicas see both as one unit."""
        if self._transaction is not None or not self.sinks:
            self.expire(database, key)
            return
        self._forget_expired(database, key)
        self._deletions.append((database.index, [b"DEL", key]))
        self.context.changes |= ONLY_EXPIRED

    def _forget_expired(self, database: Database, key: bytes) -> None:
        self.drop(database, key, is_lazy=self.configuration[directives.LAZYFREE_LAZY_EXPIRE])
        self.context.statistics.expired_keys += 1
        if self.context.is_notifying:
            self.publish_key_event(KeyspaceEvents.EXPIRED, database.index, b"expired", key)

    def drop(self, database: Database, key: bytes, *, is_lazy: bool) -> None:
        """Delete a key that no client has asked to delete: its time has come, or it is evicted."""
        self._is_dropping = True
        value = database.take(key)
        self._is_dropping = False
        if is_lazy and value is not None:
            self.memory.lazy_free.add(value)

    # --- keyspace events -------------------------------------------------------------------------

    def set_notified_events(self, events: int) -> None:
        """Say which keyspace events are published; without a kind of channel it is none."""
        self.notified_events = events
        has_channel = bool(events & (KeyspaceEvents.KEYSPACE | KeyspaceEvents.KEYEVENT))
        self.context.is_notifying = has_channel
        is_new_wanted = has_channel and bool(events & KeyspaceEvents.NEW)
        self.keyspace.announce_new_keys(self._on_new_key if is_new_wanted else None)

    def _on_new_key(self, database: Database, key: bytes) -> None:
        self.publish_key_event(KeyspaceEvents.NEW, database.index, b"new", key)

    def publish_key_event(self, kind: int, database_index: int, event: bytes, key: bytes) -> None:
        """Publish a keyspace event, if its kind is wanted, on the channels that are configured."""
        wanted = self.notified_events
        if not wanted & kind:
            return
        if wanted & KeyspaceEvents.KEYSPACE:
            self.pubsub.publish(b"__keyspace@%d__:%b" % (database_index, key), event)
        if wanted & KeyspaceEvents.KEYEVENT:
            self.pubsub.publish(b"__keyevent@%d__:%b" % (database_index, event), key)
