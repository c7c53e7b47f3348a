"""How much memory is used, and what is done when it is more than `maxmemory`.

Theory of operation. The host counts what the allocators have given out; that takes as long as some
dozen commands, so it is not asked before every command as Redis asks zmalloc. `after_batch` looks
after a batch, before its replies leave, as often as a share of the time allows, which is larger
when the server has little to do. Then it also looks, where it is too early for a count, at the
books of large pieces alone: what one command takes too much is evicted before the next is answered.
What has come since the last look is evicted then (but for a little), and of what was too much
before as much as can be in the time that maxmemory-eviction-tenacity gives; `reclaim` goes on with
it between batches. Where nothing may be evicted, commands that need memory are refused until there
is some again (`is_exceeded`).

Values that are freed lazily are freed by `reclaim` too. Follows Redis 7.0 `evict.c:
performEvictions`, `lazyfree.c`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from .. import directives
from ..observation.latency import EVICTION_CYCLE
from ..store.eviction import Eviction, Policy, entry_bytes
from ..store.keyspace_events import KeyspaceEvents
from ..store.lazy_free import LazyFree
from ..store.usage import KeyUsage

if TYPE_CHECKING:
    from ..store.database import Database
    from .engine import ServerEngine

#: While there is much to do, at most one part in so many of the time goes into counting.
_BUSY_SHARE: Final = 20
#: With so few commands since the last count there is little to do.
_FEW_COMMANDS: Final = 8
_QUIET_SHARE: Final = 3
#: How often to count where nothing runs.
_IDLE_PERIOD_S: Final = 1.0
#: Keys that are evicted between two looks at the clock.
_KEYS_A_LOOK: Final = 16
#: How long to evict at a time with the default tenacity: four times as long as Redis, which takes
#: a tenth of the time for a key.
_SLICE_S: Final = 0.002
#: How long to evict at a time for what has come since memory was reviewed: to evict a key takes
#: several times as long as to write one, so that slices alone would be outrun by a pipeline.
_GROWTH_SLICE_S: Final = 0.5
#: So much too much is left to the slices: notes of calls, and buffers, come and go by themselves.
_PASSING_BYTES: Final = 128 * 1024
#: How long values are freed at a time.
_FREEING_SLICE_S: Final = 0.001


class Memory:
    """The memory of one engine; `measure`, `after_batch` and `reclaim` are to be called often."""

    def __init__(self, engine: ServerEngine) -> None:
        self._engine = engine
        self.usage = KeyUsage(engine.keyspace.databases, engine.random)
        self.eviction = Eviction(engine.keyspace, self.usage, engine.random)
        self.lazy_free = LazyFree()
        #: `maxmemory`; 0: no limit.
        self.limit_bytes = 0
        self.ignores_limit_as_replica = True
        #: What was counted last, at the start, and at most.
        self.used_bytes = 0
        self.startup_bytes = engine.host.used_bytes()
        self.peak_bytes = self.startup_bytes
        self.peak_resident_bytes = 0
        #: What was used when it was reviewed last, and evicted as far as there was time.
        self._reviewed_bytes = self.startup_bytes
        #: Commands that need memory are refused: too much is used, and nothing may be evicted.
        self.is_exceeded = False
        #: Evicting takes longer than one slice: `reclaim` has to go on.
        self.is_evicting = False
        self.evicted_keys = 0
        self._exceeded_since_s: float | None = None
        self._exceeded_s = 0.0
        #: When memory was counted last, after how many commands, and how long that takes.
        self._counted_at_s = 0.0
        self._counted_after = 0
        #: What was in large pieces then.
        self._counted_large_bytes = 0
        self._count_s = 0.0

    # --- counting --------------------------------------------------------------------------------

    def measure(self) -> int:
        """Count how much memory is used, and return it."""
        engine = self._engine
        started_s = engine.clock()
        self.used_bytes = engine.host.used_bytes()
        if self.limit_bytes:
            self._counted_large_bytes = engine.host.large_bytes()
        self._counted_at_s = engine.clock()
        self._counted_after = engine.commands_processed
        took_s = self._counted_at_s - started_s
        # One that was interrupted says little about the next.
        self._count_s = min(took_s, self._count_s * 1.25) if self._count_s else took_s
        self.peak_bytes = max(self.peak_bytes, self.used_bytes)
        return self.used_bytes

    @property
    def exceeded_ms(self) -> tuple[int, int]:
        """For how long more than the limit was used: in all, and by now without a break."""
        current_s = 0.0
        if self._exceeded_since_s is not None:
            current_s = self._engine.clock() - self._exceeded_since_s
        return int((self._exceeded_s + current_s) * 1000), int(current_s * 1000)

    def reset_statistics(self) -> None:
        """Forget what CONFIG RESETSTAT is to forget."""
        self.evicted_keys = 0
        self._exceeded_s = 0.0
        if self._exceeded_since_s is not None:
            self._exceeded_since_s = self._engine.clock()
        self.lazy_free.freed_count = 0

    # --- the limit -------------------------------------------------------------------------------

    def after_batch(self) -> None:
        """Keep to the limit after some commands have run; cheap where it is too early to count."""
        if not self.limit_bytes:
            return
        elapsed_s = self._engine.clock() - self._counted_at_s
        has_little_to_do = self._engine.commands_processed - self._counted_after <= _FEW_COMMANDS
        share = _QUIET_SHARE if has_little_to_do else _BUSY_SHARE
        if elapsed_s >= self._count_s * share or (has_little_to_do and self._has_outgrown_limit()):
            evicted_keys = self.evicted_keys
            self.review()
            if self.evicted_keys != evicted_keys:
                self._engine.end_batch()  # clients that cache the keys, or wait for them, are told
                # What they are told is no growth that more keys have to go for.
                self._reviewed_bytes = self._engine.host.used_bytes()

    def on_tick(self, *, has_run: bool) -> None:
        """Review; not each time where nothing has run since the last tick.

        What grows without a command, such as what a client is about to send, waits for a second.
        To count takes most of what an idle server takes.
        """
        is_quiet = not (has_run or self.is_evicting or self.is_exceeded)
        if not is_quiet or self._engine.clock() - self._counted_at_s >= _IDLE_PERIOD_S:
            self.review()

    def review(self) -> None:
        """Count, evict what is too much, and see whether commands have to be refused."""
        self.is_evicting = False
        is_exceeded = self._is_over() and not self._evict_noted()
        self._reviewed_bytes = self.used_bytes
        if is_exceeded != self.is_exceeded:
            self.is_exceeded = is_exceeded
            self._engine.recheck()

    def may_allocate(self) -> bool:
        """Return whether a command that needs memory may run, for one that is to be refused."""
        if self.is_exceeded and self._engine.clock() - self._counted_at_s >= (
            self._count_s * _QUIET_SHARE
        ):
            self.review()
        return not self.is_exceeded

    def _is_over(self) -> bool:
        """Count, and return whether it is too much."""
        self.measure()
        is_over = bool(self.limit_bytes) and self._excess_bytes() > 0
        now_s = self._counted_at_s
        if is_over and self._exceeded_since_s is None:
            self._exceeded_since_s = now_s
        elif not is_over and self._exceeded_since_s is not None:
            self._exceeded_s += now_s - self._exceeded_since_s
            self._exceeded_since_s = None
        return is_over

    def _has_outgrown_limit(self) -> bool:
        """Return whether large pieces since the last count, which kept to the limit, go beyond."""
        room_bytes = -self._excess_bytes()
        grown_bytes = self._engine.host.large_bytes() - self._counted_large_bytes
        return grown_bytes > room_bytes >= 0

    @property
    def not_counted_bytes(self) -> int:
        """What the limit does not count: deletions written there must not lead to more of them.

        So it is with what waits for the disk, or for replicas that lag.
        """
        backlog = self._engine.replication.backlog
        lagging_bytes = 0 if backlog is None else backlog.excess_bytes
        return self._engine.aof.buffered_bytes + lagging_bytes

    def _excess_bytes(self) -> int:
        """Return how much too much was used when it was counted last."""
        return self.used_bytes - self.not_counted_bytes - self.limit_bytes

    @property
    def _is_eviction_safe(self) -> bool:
        """Whether the dataset may be changed now (`evict.c: isSafeToPerformEvictions`)."""
        engine = self._engine
        return not (
            engine.is_loading
            or engine.scripting.slow_refusal is not None
            or (engine.is_replica and self.ignores_limit_as_replica)
            or engine.paused_until_ms > engine.context.now_ms
        )

    def _evict_noted(self) -> bool:
        """Do as `_evict`, and let the latency monitor know how long it took."""
        engine = self._engine
        started_s = engine.clock()
        result = self._evict()
        took_ms = (engine.clock() - started_s) * 1000
        engine.latency.note(EVICTION_CYCLE, took_ms, engine.context.now_ms)
        return result

    def _evict(self) -> bool:
        """Evict until the limit is kept, or time is over; False: there is nothing left to evict."""
        engine = self._engine
        if not self._is_eviction_safe:
            return True  # as Redis says, though nothing was done
        is_smaller = [database.save_room() for database in engine.keyspace.databases]
        if any(is_smaller) and not self._is_over():
            return True
        now_s = engine.context.now_ms // 1000
        ends_s = engine.clock() + self._slice_s()
        growth_ends_s = ends_s + _GROWTH_SLICE_S
        grown_bytes = min(
            self.used_bytes - self._reviewed_bytes, self._excess_bytes() - _PASSING_BYTES
        )
        count = 0
        while True:
            missing_bytes = excess_bytes = self._excess_bytes()
            while missing_bytes > 0:
                choice = self.eviction.choose(now_s)
                if choice is None:
                    # What is being freed may be enough.
                    self.is_evicting = bool(self.lazy_free.pending_count)
                    return self.is_evicting or not self._is_over()
                size_bytes = entry_bytes(*choice)
                missing_bytes -= size_bytes
                grown_bytes -= size_bytes
                self._evict_key(*choice)
                count += 1
                if count % _KEYS_A_LOOK == 0 and engine.clock() > (
                    ends_s if grown_bytes <= 0 else growth_ends_s
                ):
                    self.is_evicting = True
                    self.lazy_free.on_work()
                    return True
            # Where that has brought nothing, telling clients that cache the keys took as much. It
            # is sent in a moment; else each key that is evicted would cost the next.
            if not self._is_over() or self._excess_bytes() >= excess_bytes:
                return True

    def _slice_s(self) -> float:
        """Return how long to evict at a time (`evict.c: evictionTimeLimitUs`)."""
        tenacity = self._engine.configuration[directives.MAX_MEMORY_EVICTION_TENACITY]
        if tenacity <= 10:
            return _SLICE_S * tenacity / 10
        return _SLICE_S * float(1.15 ** (tenacity - 10)) if tenacity < 100 else float("inf")

    def _evict_key(self, database: Database, key: bytes) -> None:
        engine = self._engine
        is_lazy = engine.configuration[directives.LAZYFREE_LAZY_EVICTION]
        engine.drop(database, key, is_lazy=is_lazy)
        self.evicted_keys += 1
        if engine.context.is_notifying:
            engine.publish_key_event(KeyspaceEvents.EVICTED, database.index, b"evicted", key)
        engine.propagate(database.index, [b"UNLINK" if is_lazy else b"DEL", key])

    def reclaim(self) -> bool:
        """Go on with what was left to do, for a moment; return whether there is more of it."""
        clock = self._engine.clock
        ends_s = clock() + _FREEING_SLICE_S
        has_more = self.lazy_free.run(lambda: clock() > ends_s)
        if self.is_evicting:
            self.review()
        return has_more or self.is_evicting

    # --- settings --------------------------------------------------------------------------------

    def apply_settings(self) -> None:
        """Put what the configuration says of memory into effect."""
        engine = self._engine
        configuration = engine.configuration
        self.limit_bytes = configuration[directives.MAX_MEMORY]
        self.ignores_limit_as_replica = configuration[directives.REPLICA_IGNORE_MAX_MEMORY]
        self.eviction.samples = configuration[directives.MAX_MEMORY_SAMPLES]
        self.usage.log_factor = configuration[directives.LFU_LOG_FACTOR]
        self.usage.decay_minutes = configuration[directives.LFU_DECAY_TIME]
        policy = Policy.parse(configuration[directives.MAX_MEMORY_POLICY])
        if policy != self.eviction.policy:
            self.eviction.set_policy(policy)
            engine.usage_notes.set_policy(policy)
        engine.keyspace.hand_over_replaced(
            self.lazy_free.add if configuration[directives.LAZYFREE_LAZY_SERVER_DEL] else None
        )
        if engine.is_in_transaction:
            # The rest of it finds the keys that were there; no deletion gets between its effects.
            self.is_evicting = bool(self.limit_bytes)
            self.lazy_free.on_work()
        else:
            self.review()
