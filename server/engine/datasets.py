"""The dataset as a whole, as it is saved and as it is taken over from a snapshot."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .. import directives
from ..persistence.snapshot import LoadedKeyspace, SavedDatabase
from ..store.usage import Measure, SavedMarks

if TYPE_CHECKING:
    from .engine import ServerEngine


def saved_databases(engine: ServerEngine) -> list[SavedDatabase]:
    """Return what of each database is saved: how keys are used too, if eviction goes by it."""
    now_s = engine.context.now_ms // 1000
    usage = engine.memory.usage
    has_marks = engine.memory.eviction.policy.needs_usage
    saved = []
    for database in engine.keyspace.databases:
        marks = SavedMarks(usage, database, now_s) if has_marks else {}
        is_recency = usage.measure is Measure.RECENCY
        saved.append(
            SavedDatabase(
                database.index,
                database.values,
                database.expires,
                idle_s=marks if is_recency else {},
                frequency={} if is_recency else marks,
            )
        )
    return saved


def give_up_dataset(engine: ServerEngine) -> None:
    """Delete every key without telling anybody, to make room for the master's dataset.

    They are freed bit by bit if replica-lazy-flush says so.
    """
    is_lazy = engine.configuration[directives.REPLICA_LAZY_FLUSH]
    for database in engine.keyspace.databases:
        values = database.take_all()
        engine.keyspace.dirty += len(values)
        if is_lazy:
            engine.memory.lazy_free.add_dataset(values)
    engine.on_flush()


def adopt_loaded(
    engine: ServerEngine, loaded: LoadedKeyspace, *, is_from_master: bool = False
) -> None:
    """Have all databases hold what was loaded, and nothing else.

    What they held before is freed bit by bit if replica-lazy-flush says so.
    """
    now_s = engine.context.now_ms // 1000
    is_lazy = is_from_master and engine.configuration[directives.REPLICA_LAZY_FLUSH]
    for database in engine.keyspace.databases:
        index = database.index
        before = database.adopt(loaded.values.get(index, {}), loaded.expire_at_ms.get(index, {}))
        if is_lazy:
            engine.memory.lazy_free.add_dataset(before)
        engine.memory.usage.adopt(
            database, loaded.idle_s.get(index, {}), loaded.frequency.get(index, {}), now_s
        )
