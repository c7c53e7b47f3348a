"""The engine of the server: its state, and the gates before commands.

What commands change is told in `effects.py`, which calls are watched in `observed.py`.
Follows Redis 7.0 `server.c: processCommand`.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Final

from monitoring.server_meter import MASTER, REPLICA, ServerMeter
from vedette.clients import Block, ServingSettings, Session
from vedette.clients.blocking import Reason
from vedette.clients.rates import Rates, Totals
from vedette.cmdspec import CommandRow, CommandTable, Flag
from vedette.errors import CommandError
from vedette.resp.replies import Reply

from .. import directives
from ..config import Configuration
from ..observation.latency import EXPIRE_CYCLE
from ..persistence.aof.log import AppendOnlyLog
from ..persistence.background import BackgroundWork
from ..persistence.load_status import LoadStatus
from ..persistence.save_points import SaveStatus
from ..replication.psync import FullSyncReason
from ..replication.state import Replication
from ..scripting import Scripting
from ..scripting.audience import Audience
from ..scripting.run import OUT_OF_MEMORY as OUT_OF_MEMORY_TEXT
from ..scripting.scripting import RUNNING_SCRIPTS
from ..store.expiry_cycle import ExpiryCycle
from ..store.keyspace import Keyspace
from ..store.local_expiries import LocalExpiries
from .binding import bind_configuration
from .client_eviction import ClientEviction
from .context import ServerContext
from .host import Host, ProcessFacts
from .memory import Memory
from .migration import MigrationPort
from .observed import Observed
from .shutdown import Shutdown
from .usage_notes import UsageNotes

READONLY = CommandError(b"READONLY You can't write against a read only replica.")
LOADING = CommandError(b"LOADING Redis is loading the dataset in memory")
MASTERDOWN = CommandError(
    b"MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to 'no'."
)
NOREPLICAS = CommandError(b"NOREPLICAS Not enough good replicas to write.")
UNBLOCKED = CommandError(
    b"UNBLOCKED force unblock from blocking operation, instance state changed (master -> replica?)"
)
OUT_OF_MEMORY = CommandError(OUT_OF_MEMORY_TEXT)
SAVING_BROKEN = CommandError(
    b"MISCONF Redis is configured to save RDB snapshots, but it's currently unable to persist to"
    b" disk. Commands that may modify the data set are disabled, because this instance is"
    b" configured to report errors during writes if RDB snapshotting fails"
    b" (stop-writes-on-bgsave-error option). Please check the Redis logs for details about the RDB"
    b" error."
)
#: Monitors are a sort of replica to Redis, and neither can be paused.
NO_KEYS_FOR_REPLICAS = CommandError(b"ERR Replica can't interact with the keyspace")
_TOUCHING_KEYS: Final = Flag.READONLY | Flag.WRITE | Flag.MAY_REPLICATE
AOF_BROKEN = b"MISCONF Errors writing to the AOF file: %b"


class ServerEngine(Observed):
    """Runs the server's commands over one `Keyspace`.

    State that gates commands is set through methods, which `recheck` whether rows need care; the
    fast path looks at nothing else.
    """

    def __init__(
        self,
        table: CommandTable,
        host: Host,
        settings: ServingSettings | None = None,
        *,
        configuration: Configuration | None = None,
        facts: ProcessFacts | None = None,
        database_count: int = 16,
        clock: Callable[[], float] = time.perf_counter,
        on_crash: Callable[[Session, CommandRow, Exception], None] | None = None,
    ) -> None:
        self.keyspace = Keyspace(database_count, self.wake)
        self.host = host
        self.random = random.Random(int(host.random_hex(16), 16))
        self.configuration = configuration or Configuration()
        self.facts = facts or ProcessFacts()
        self.run_id = host.random_hex(40)
        #: How saving stands; written by whoever saves.
        self.saves = SaveStatus()
        #: The child process at work, if there is one; written by whoever forks.
        self.background = BackgroundWork()
        #: How loading stands; written by whoever loads, which begins and ends it here.
        self.load = LoadStatus()
        self.sinks = []
        self.replication = Replication(lambda: host.random_hex(40).encode(), self.sinks)
        self.aof = AppendOnlyLog(self.sinks, lambda: self.replication.offset)
        self.is_replica = False
        self.is_replica_read_only = True
        #: A dataset is being loaded, and there is none meanwhile.
        self.is_loading = False
        self.is_link_down = False
        self.serves_stale_data = True
        #: Asked before a write on a master: False refuses it with NOREPLICAS. None: no such rule.
        self.has_enough_replicas: Callable[[], bool] | None = None
        #: Whether writes are refused because the dataset could not be saved.
        self.is_saving_broken = False
        self.scripting = Scripting(self)
        self.rates = Rates()
        self.local_expiries = LocalExpiries(self.expire)
        self.expiry_cycle = ExpiryCycle(self.keyspace, self.expire, self.random, clock)
        #: How long expiry in the background has taken in all.
        self.expire_cycle_s = 0.0
        #: A shutdown that waits for replicas; written by the host.
        self.shutdown = Shutdown()
        #: How many commands had run at the last tick.
        self._ticked_after = 0
        #: DEBUG PAUSE-CRON: nothing happens by itself.
        self.are_timers_paused = False
        #: Whether RESTORE and its like look at the checksum of what they are given.
        self.checks_payloads = True
        #: Sends keys to other servers; the runtime's, which sets it. None: keys cannot be sent.
        self.migrations: MigrationPort | None = None
        #: What takes time and has no place in INFO, for metrics.
        self.meter = ServerMeter(reason.value for reason in FullSyncReason)
        #: Whom tasks of the server, which no client has asked for, are taken to be done by.
        self.nobody = Session(0)
        super().__init__(table, settings, clock=clock, on_crash=on_crash)
        self.memory = Memory(self)
        self.client_eviction = ClientEviction(self)
        self.usage_notes = UsageNotes(self, self.memory.usage)
        bind_configuration(self)

    def make_context(self) -> ServerContext:
        return ServerContext(self)

    def enter(self, session: Session) -> None:
        context = self.context
        context.session = session
        context.db = self.keyspace.databases[session.database_index]

    def random_hex(self, size: int) -> str:
        return self.host.random_hex(size + size % 2)[:size]

    # --- gates -----------------------------------------------------------------------------------

    def set_role(
        self, *, is_replica: bool, is_read_only: bool = True, is_starting: bool = False
    ) -> None:
        """Say whether we follow a master, and whether clients may write all the same.

        Clients that wait for a write or for replicas would wait for ever on a replica: those are
        told, and their connections closed (`blocked.c: disconnectAllBlockedClients`).
        """
        has_become_replica = is_replica and not self.is_replica
        if is_replica != self.is_replica and not is_starting:
            self.meter.on_role_change(REPLICA if is_replica else MASTER)
            self.host.adjust_oom_score()
        self.is_replica = is_replica
        self.is_replica_read_only = is_read_only
        if not is_replica:
            self.local_expiries.forget_all()
        self.recheck()
        if has_become_replica:
            self.turn_away_waiting(UNBLOCKED)

    def begin_loading(
        self, now_ms: int, total_bytes: int = 0, *, is_beside_present: bool = False
    ) -> None:
        """Note that a dataset is being loaded: clients are told so until `end_loading`.

        If it goes on beside a present dataset that may still be served, only what would change that
        is refused.
        """
        self.load.begin(now_ms, total_bytes, is_async=is_beside_present)
        self.is_loading = not is_beside_present
        self.recheck()

    def end_loading(self) -> None:
        """Note that the loading is over, whichever way."""
        self.load.end()
        self.is_loading = False
        self.recheck()

    def set_link_state(self, *, is_down: bool, serves_stale_data: bool) -> None:
        """Say whether the link to our master is down, and whether we then answer all the same."""
        self.is_link_down = is_down
        self.serves_stale_data = serves_stale_data
        self.recheck()

    def set_write_guard(self, guard: Callable[[], bool] | None) -> None:
        """Have writes refused while `guard` returns False (min-replicas-to-write)."""
        self.has_enough_replicas = guard
        self.recheck()

    def gated_flags(self) -> int:
        if (
            self.load.started_ms is not None
            or (self.is_replica and self.is_link_down and not self.serves_stale_data)
            or self.is_saving_broken
            or self.aof.error
            or self.scripting.slow_refusal is not None
        ):
            return Flag.ANY
        flags = super().gated_flags()
        if self.is_replica or self.has_enough_replicas is not None:
            flags |= Flag.WRITE
        if self.memory.is_exceeded:
            flags |= Flag.DENYOOM
        return flags

    def may_have(self, row: CommandRow, flags: int) -> bool:
        is_script = flags != Flag.NONE and row.full_name in RUNNING_SCRIPTS
        return is_script or super().may_have(row, flags)

    def refuse(self, session: Session, row: CommandRow, argv: list[bytes]) -> CommandError | None:
        self.tracked_keys.keep_within_limit()
        refusal = super().refuse(session, row, argv)
        if refusal is not None or session.is_deaf:
            return refusal
        if not (self.needs_care or session.is_monitor):
            return None  # it is the session that needs care: nothing below concerns it
        any_flags, all_flags = self.flags_of(session, row, argv)
        if self.is_loading and not all_flags & Flag.LOADING:
            return LOADING
        if self.load.is_async and any_flags & Flag.NO_ASYNC_LOADING:
            return LOADING
        is_to_be_queued = session.queued_commands is not None and not row.flags & Flag.NOT_QUEUED
        needs_memory = any_flags & Flag.DENYOOM or is_to_be_queued
        if needs_memory and not self.memory.may_allocate():
            return OUT_OF_MEMORY
        is_write = bool(any_flags & Flag.WRITE)
        if (is_write or row.full_name == "ping") and (refusal := self._disk_refusal()) is not None:
            return refusal  # PING, so that whoever watches a master learns that it is of little use
        if is_write and (refusal := self.refusal_of_write()) is not None:
            return refusal
        if self.is_link_down and not self.serves_stale_data and not all_flags & Flag.STALE:
            return MASTERDOWN
        slow = self.scripting.slow_refusal
        if slow is not None and not all_flags & Flag.ALLOW_BUSY:
            return slow
        if session.is_monitor and any_flags & _TOUCHING_KEYS:
            return NO_KEYS_FOR_REPLICAS
        return None

    def flags_of(self, session: Session, row: CommandRow, argv: list[bytes]) -> tuple[int, int]:
        if row.full_name in RUNNING_SCRIPTS:
            flags = self.scripting.flags_of(row, argv)
            return flags, flags
        return super().flags_of(session, row, argv)

    def refusal_of_write(self) -> CommandError | None:
        """Return why a client may not change the dataset now, or None."""
        if self.is_replica and self.is_replica_read_only:
            return READONLY
        if (refusal := self._disk_refusal()) is not None:
            return refusal
        guard = self.has_enough_replicas
        if guard is not None and not self.is_replica and not guard():
            return NOREPLICAS
        return None

    def is_taking_writes(self) -> bool:
        """Whether a client's write to this master would be carried out now; False of a replica."""
        return not (
            self.is_replica
            or self.is_loading
            or self.memory.is_exceeded
            or self.scripting.slow_refusal is not None
            or self.paused_until_ms > self.context.now_ms
            or self.refusal_of_write() is not None
        )

    def _disk_refusal(self) -> CommandError | None:
        """Return why nothing new may be promised to be kept, or None."""
        if self.is_saving_broken:
            return SAVING_BROKEN
        if self.aof.error:
            return CommandError(AOF_BROKEN % self.aof.error.encode())
        return None

    def call(self, session: Session, row: CommandRow, argv: list[bytes]) -> Reply | Block:
        """Run one command whose gates are passed; return its reply, errors included.

        All writes of a replica come this way, for they need care.
        """
        reply = super().call(session, row, argv)
        if self.is_replica and not self.is_replica_read_only:
            self._note_local_expiries(session, row, argv)
        return reply

    @property
    def plain_rows(self) -> Mapping[bytes, CommandRow]:
        """The commands without subcommands, by their names as usually sent."""
        return self._rows

    def note_failure(self, session: Session, row: CommandRow, error: Exception) -> None:
        """Account for a command that raised, whose reply nobody is to have."""
        self._failed(session, row, error)

    def _note_local_expiries(self, session: Session, row: CommandRow, argv: list[bytes]) -> None:
        """Keep track of what a client of a writable replica let expire: nobody else does."""
        if row.flags & Flag.WRITE and not session.is_deaf:
            self.local_expiries.note(self.context.db, row.keys.of(argv))

    # --- scripts ---------------------------------------------------------------------------------

    def call_from_script(
        self, session: Session, row: CommandRow, argv: list[bytes], audience: Audience
    ) -> Reply | Block:
        """Run and account for a command of a script, whose gates are passed.

        Effects join the unit that was begun, of which only `audience` is told.
        """
        self.enter(session)
        context = self.context
        assert self._transaction is not None
        size_before = len(self._transaction)
        started = self._clock()
        try:
            reply: Reply | Block = row.handler(context, argv)  # type: ignore[misc]
        except CommandError as error:
            row.failed_calls += 1
            reply = self.error_reply(error.text)
        if context.changes:
            self.after_write(session, row, argv)
        if self.is_replica:
            self._note_local_expiries(session, row, argv)
        context.effects = None
        elapsed = self._clock() - started
        row.durations.append(elapsed)
        self.commands_processed += 1
        if self.is_watching_calls or elapsed >= self.slow_call_s:
            self.on_call(session, row, argv, elapsed)
        if audience is not Audience.ALL:
            self._restricted.append((size_before, len(self._transaction), audience))
        return reply

    @contextmanager
    def set_aside(self) -> Iterator[None]:
        """Let requests of others run while a script is in progress, then have all as it was."""
        context = self.context
        kept = (context.session, context.now_ms, context.changes, context.effects)
        unit, self._transaction = self._transaction, None
        restricted, self._restricted = self._restricted, []
        after_reply, self.after_reply = self.after_reply, []
        context.changes = 0
        context.effects = None
        try:
            yield
        finally:
            self._transaction = unit
            self._restricted = restricted
            self.after_reply = after_reply
            session, context.now_ms, context.changes, context.effects = kept
            self.enter(session)

    # --- keys that are waited for ----------------------------------------------------------------

    def on_wait_begun(self, wait: Block) -> None:
        for reason in wait.reasons:
            if not isinstance(reason, str):
                self.keyspace.await_change(reason)

    def on_wait_ended(self, wait: Block) -> None:
        for reason in wait.reasons:
            if not isinstance(reason, str) and not self.is_awaited(reason):
                self.keyspace.await_change_no_more(reason)

    def is_used_up(self, reason: Reason) -> bool:
        """Return whether `reason` is a key that is gone."""
        return (
            isinstance(reason, tuple) and reason[1] not in self.keyspace.databases[reason[0]].values
        )

    # --- time ------------------------------------------------------------------------------------

    def on_tick(self, now_ms: int) -> None:
        """Do what the passing of time asks for; to be called `hz` times a second."""
        self.begin_batch(now_ms)
        if self.are_timers_paused:
            return
        self.enter(self.nobody)
        self.tracked_keys.keep_within_limit()
        statistics = self.context.statistics
        self.rates.sample(
            now_ms,
            Totals(
                commands=self.commands_processed,
                input_bytes=self.input_bytes + statistics.repl_input_bytes,
                output_bytes=self.output_bytes + statistics.repl_output_bytes,
                repl_input_bytes=statistics.repl_input_bytes,
                repl_output_bytes=statistics.repl_output_bytes,
                cycles=self.cycles,
                cycles_s=self.cycles_s,
            ),
        )
        has_run = self.commands_processed != self._ticked_after
        self._ticked_after = self.commands_processed
        if not (self.is_replica or self.is_loading or self.paused_until_ms > now_ms):
            started = self._clock()
            has_run |= self.expiry_cycle.run(now_ms) > 0
            elapsed_s = self._clock() - started
            self.expire_cycle_s += elapsed_s
            self.latency.note(EXPIRE_CYCLE, elapsed_s * 1000, now_ms)
        if self.local_expiries:
            self.local_expiries.run(now_ms)
        if has_run:
            for database in self.keyspace.databases:
                database.close_gaps()
        self.usage_notes.on_tick()
        self.client_eviction.review()
        self.memory.on_tick(has_run=has_run)
        self._review_saving()
        if self.saves.is_scheduled and self.background.active is None:
            self._start_scheduled_save(now_ms)

    def _start_scheduled_save(self, now_ms: int) -> None:
        if not self.saves.may_try(now_ms):
            return
        try:
            self.host.start_background_save()
        except OSError:
            return  # the status of the saves says so; it is tried again
        self.saves.is_scheduled = False

    def review_limits(self) -> None:
        """See whether memory is short, and whether writes are refused because saving fails."""
        self.memory.review()
        self._review_saving()

    def _review_saving(self) -> None:
        configuration = self.configuration
        is_saving_broken = (
            not self.saves.is_last_background_save_ok
            and configuration[directives.STOP_WRITES_ON_SAVE_ERROR]
            and bool(configuration[directives.SAVE])
        )
        if is_saving_broken != self.is_saving_broken:
            self.is_saving_broken = is_saving_broken
            self.recheck()

    # --- the end ---------------------------------------------------------------------------------

    def discard_transaction(self, session: Session) -> None:
        super().discard_transaction(session)
        self.keyspace.unwatch(session)

    def on_disconnect(self, session: Session) -> None:
        super().on_disconnect(session)
        self.keyspace.unwatch(session)
        self.replication.forget_session(session, self.context.now_ms)
