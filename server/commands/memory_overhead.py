"""What memory is used for: the reckoning behind INFO memory, MEMORY STATS and MEMORY DOCTOR.

Follows Redis 7.0 `object.c: getMemoryOverheadData`. What the allocators have given out is counted;
the parts of it are reckoned from what is known of them.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass

from vedette.clients import ClientKind
from vedette.clients.footprint import footprint_of

from ..engine import ServerContext


@dataclass(frozen=True, slots=True, kw_only=True)
class DatabaseOverhead:
    """What the dictionaries of one database take, without keys and values."""

    index: int
    main_bytes: int
    expires_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class MemoryOverhead:
    """Sizes are bytes."""

    used: int
    #: What the program itself takes, which is not among what is used.
    program: int
    #: Counted when the server started, and the most that has been.
    startup: int
    peak: int
    #: What the allocators hold, and what of the process is in memory.
    held: int
    resident: int
    backlog: int
    clients_replicas: int
    clients_normal: int
    aof_buffer: int
    scripts: int
    functions: int
    databases: tuple[DatabaseOverhead, ...]
    key_count: int
    #: How many clients there are, by whether they are replicas.
    replica_count: int
    client_count: int
    script_count: int

    @property
    def allocated(self) -> int:
        """All that the allocators have given out."""
        return self.program + self.used

    @property
    def total(self) -> int:
        """All that is not keys and values."""
        return (
            self.startup
            + self.backlog
            + self.clients_replicas
            + self.clients_normal
            + self.aof_buffer
            + self.scripts
            + self.functions
            + sum(each.main_bytes + each.expires_bytes for each in self.databases)
        )

    @property
    def dataset(self) -> int:
        """Keys and values."""
        return max(0, self.used - self.total)

    @property
    def net(self) -> int:
        """What has been added since the start; never 0, so that it can be divided by."""
        return max(1, self.used - self.startup)

    @property
    def dataset_percentage(self) -> float:
        """How much of what has been added is keys and values."""
        return 100 * self.dataset / self.net

    @property
    def peak_percentage(self) -> float:
        """How much of the peak is in use."""
        return 100 * self.used / self.peak

    @property
    def bytes_per_key(self) -> int:
        """What a key takes, everything counted that has been added since the start."""
        return self.net // self.key_count if self.key_count else 0


def memory_overhead(ctx: ServerContext) -> MemoryOverhead:
    """Count and reckon how memory is used now."""
    engine = ctx.engine
    memory = engine.memory
    memory.review()
    resident = engine.host.resident_bytes()
    memory.peak_resident_bytes = max(memory.peak_resident_bytes, resident)
    backlog = engine.replication.backlog
    scripting = engine.scripting
    replicas, others = [], []
    for session in ctx.clients:
        if session.kind is ClientKind.REPLICA:
            replicas.append(session.unsent_bytes)
        else:
            others.append(footprint_of(session).total_bytes)
    return MemoryOverhead(
        used=memory.used_bytes,
        program=engine.host.program_bytes(),
        startup=memory.startup_bytes,
        peak=memory.peak_bytes,
        held=engine.host.held_bytes(),
        resident=resident,
        backlog=0 if backlog is None else backlog.size_bytes,
        clients_replicas=sum(replicas) + (0 if backlog is None else backlog.excess_bytes),
        clients_normal=sum(others),
        aof_buffer=engine.aof.buffered_bytes,
        scripts=scripting.texts_bytes + scripting.lua_bytes,
        functions=scripting.functions.libraries.texts_bytes + scripting.functions.lua_bytes,
        databases=tuple(
            DatabaseOverhead(
                index=database.index,
                main_bytes=sys.getsizeof(database.values) + sys.getsizeof(database.usage),
                expires_bytes=sys.getsizeof(database.expires),
            )
            for database in ctx.keyspace.databases
            if database.values
        ),
        key_count=ctx.keyspace.key_count(),
        replica_count=len(replicas),
        client_count=len(others),
        script_count=len(scripting.scripts),
    )
