"""A whole keyspace to RDB records and back: the plumbing between the codec and any store.

Writing takes the databases as plain mappings; reading feeds a `SnapshotSink`, of which
`LoadedKeyspace` is the plainest. What a store's containers look like inside is the business of an
adapter that lives with the store.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final, Protocol, assert_never

from vedette.types import RunId

from .rdb.decode import RUN_SIZE, RdbDecoder, RdbStreamDecoder
from .rdb.errors import CorruptRdbError, UnsupportedDatabaseError, UnsupportedRdbTypeError
from .rdb.lengths import RdbData
from .rdb.records import (
    Aux,
    EndOfFile,
    Entries,
    FunctionLibrary,
    Record,
    ResizeDb,
    SelectDb,
    SlotInfo,
    Value,
)

#: More digits make no integer of 64 bits.
_INTEGER_SIZE_LIMIT: Final = 20
_RUN_ID: Final = re.compile(rb"[0-9a-f]{40}")


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplicationPosition:
    """Where in which replication stream a snapshot was taken.

    A replica that restarts from its own file resumes there by a partial synchronisation.
    """

    run_id: RunId
    offset: int
    #: The database that the stream had selected at that offset.
    selected_db: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SnapshotAux:
    """The facts about itself that a file begins with."""

    redis_version: str
    created_at_s: int
    used_memory_bytes: int
    replication: ReplicationPosition | None = None
    #: Whether the file is the base that append-only files build upon.
    is_aof_base: bool = False


@dataclass(frozen=True, slots=True)
class SavedDatabase:
    """One database as it is saved; `expire_at_ms` holds the keys that expire.

    `idle_s` and `frequency` tell of the keys of which it is known how they are used.
    """

    index: int
    values: Mapping[bytes, Value]
    expire_at_ms: Mapping[bytes, int]
    idle_s: Mapping[bytes, int] = field(default_factory=dict)
    frequency: Mapping[bytes, int] = field(default_factory=dict)


def snapshot_records(
    aux: SnapshotAux, databases: Iterable[SavedDatabase], libraries: Iterable[bytes] = ()
) -> Iterator[Record]:
    """Yield the records of a snapshot in the order in which Redis writes them.

    Empty databases are left out. `libraries` are the source texts of the function libraries.
    """
    yield from _aux_records(aux)
    for code in libraries:
        yield FunctionLibrary(code)
    for database in databases:
        if database.values:
            yield SelectDb(database.index)
            yield ResizeDb(len(database.values), len(database.expire_at_ms))
            yield Entries(
                values=database.values,
                expire_at_ms=database.expire_at_ms,
                idle_s=database.idle_s,
                frequency=database.frequency,
            )


def _aux_records(aux: SnapshotAux) -> Iterator[Aux]:
    yield Aux(b"redis-ver", aux.redis_version.encode())
    yield Aux(b"redis-bits", b"64")
    yield Aux(b"ctime", b"%d" % aux.created_at_s)
    yield Aux(b"used-mem", b"%d" % aux.used_memory_bytes)
    if aux.replication is not None:
        yield Aux(b"repl-stream-db", b"%d" % aux.replication.selected_db)
        yield Aux(b"repl-id", aux.replication.run_id.encode())
        yield Aux(b"repl-offset", b"%d" % aux.replication.offset)
    yield Aux(b"aof-base", b"%d" % aux.is_aof_base)


class SnapshotSink(Protocol):
    """Who takes what a snapshot holds, in file order."""

    def on_entries(self, database: int, entries: Entries) -> int:
        """Take a run of keys, and return how many of them were not there before."""
        ...

    def on_library(self, code: bytes) -> bool:
        """Take a function library; False says that the server has no functions."""
        ...


@dataclass(slots=True)
class LoadedKeyspace:
    """A sink that keeps all it gets in dictionaries, which a store may adopt as they are."""

    values: dict[int, dict[bytes, Value]] = field(default_factory=dict)
    expire_at_ms: dict[int, dict[bytes, int]] = field(default_factory=dict)
    idle_s: dict[int, dict[bytes, int]] = field(default_factory=dict)
    frequency: dict[int, dict[bytes, int]] = field(default_factory=dict)
    libraries: list[bytes] = field(default_factory=list)

    def on_entries(self, database: int, entries: Entries) -> int:
        """Merge the run into its database."""
        values = self.values.setdefault(database, {})
        count_before = len(values)
        values.update(entries.values)
        if entries.expire_at_ms:
            self.expire_at_ms.setdefault(database, {}).update(entries.expire_at_ms)
        if entries.idle_s:
            self.idle_s.setdefault(database, {}).update(entries.idle_s)
        if entries.frequency:
            self.frequency.setdefault(database, {}).update(entries.frequency)
        return len(values) - count_before

    def on_library(self, code: bytes) -> bool:
        """Keep the library."""
        self.libraries.append(code)
        return True


class SnapshotLoad:
    """The loading of one snapshot into a sink, in steps between which others may be served.

    Nothing loaded may be put to use before `is_finished`: the checksum comes last. After an error
    the load is over and what the sink got is void.
    """

    def __init__(
        self,
        data: RdbData | RdbStreamDecoder,
        sink: SnapshotSink,
        *,
        start: int = 0,
        drop_expired_at_ms: int | None = None,
        database_count: int = 16,
    ) -> None:
        """Prepare the loading of the file that begins at `start`, or is fed to a decoder.

        Keys that expired before the time `drop_expired_at_ms` are left out, as a master does. A
        replica passes None and keeps them until its master deletes them.
        """
        if isinstance(data, RdbStreamDecoder):
            self._decoder: RdbDecoder | RdbStreamDecoder = data
        else:
            self._decoder = RdbDecoder(data, start)
        self._decoder.takes_large = False
        self._start = start
        self._sink = sink
        self._drop_expired_at_ms = drop_expired_at_ms
        self._database = 0
        self._database_count = database_count
        self.keys_loaded = 0
        #: What was left out, as (database, key).
        self.expired: list[tuple[int, bytes]] = []
        self.aux: dict[bytes, bytes] = {}
        #: Where the file ended; None until it did.
        self.end_offset: int | None = None

    @property
    def is_finished(self) -> bool:
        """Whether all was loaded and the checksum, if any, was right."""
        return self.end_offset is not None

    @property
    def loaded_bytes(self) -> int:
        """Return how much of the file is done."""
        return self._decoder.position - self._start

    @property
    def is_next_large(self) -> bool:
        """Whether `step` stopped before a key that takes long: `step_large` loads it."""
        return self._decoder.is_next_large

    def run(self) -> None:
        """Load all that is left, at once.

        Raises: what `step` raises.
        """
        self._decoder.takes_large = True
        while self.step():
            pass

    def step_large(self) -> bool:
        """Load the key with many elements before which `step` stopped; otherwise as `step`.

        May run in a thread of its own as long as nothing else is done with this load meanwhile.
        """
        self._decoder.takes_large = True
        try:
            return self.step(run_size=1)
        finally:
            self._decoder.takes_large = False

    def step(self, run_size: int = RUN_SIZE) -> bool:
        """Load one more record or run of keys, of about `run_size` bytes; return False at the end.

        The end of a file that is fed may be one for now: see `is_finished`.

        Raises:
            RdbError: as `RdbDecoder` does, for a key that comes twice, a database beyond those
                configured, or functions that the sink does not take.
        """
        if self.is_finished:
            return False
        decoder = self._decoder
        offset = decoder.position
        decoder.run_size = run_size
        record = next(decoder, None)
        match record:
            case None:
                return False
            case Entries():
                self._load_entries(record)
            case SelectDb(index):
                if index >= self._database_count:
                    raise UnsupportedDatabaseError(index, self._database_count)
                self._database = index
            case Aux(name, value):
                self.aux[name] = value
            case FunctionLibrary(code):
                if not self._sink.on_library(code):
                    raise UnsupportedRdbTypeError("a function library", "FUNCTION2", None, offset)
            case EndOfFile(end_offset):
                self.end_offset = end_offset
            case ResizeDb() | SlotInfo():
                pass  # hints for the size of hash tables, which dictionaries do not take
            case _:
                assert_never(record)
        return not self.is_finished

    @property
    def used_memory_bytes(self) -> int:
        """Return what the server that wrote the file used, as it said; 0 until it did."""
        text = self.aux.get(b"used-mem", b"")
        return int(text) if _is_count(text) else 0

    def _load_entries(self, entries: Entries) -> None:
        kept = entries
        if self._drop_expired_at_ms is not None and entries.expire_at_ms:
            expired = [
                key
                for key, at_ms in entries.expire_at_ms.items()
                if at_ms < self._drop_expired_at_ms
            ]
            kept = _without(entries, set(expired))
            self.expired += [(self._database, key) for key in expired]
        if self._sink.on_entries(self._database, kept) != len(kept.values):
            raise CorruptRdbError(
                self._decoder.position,
                f"a key of database {self._database} that ends before this comes twice",
            )
        self.keys_loaded += len(kept.values)

    @property
    def replication(self) -> ReplicationPosition | None:
        """Return the replication position in the aux fields; None unless it is whole and sane."""
        run_id = self.aux.get(b"repl-id", b"")
        offset = self.aux.get(b"repl-offset", b"")
        selected_db = self.aux.get(b"repl-stream-db", b"")
        if not (_RUN_ID.fullmatch(run_id) and _is_count(offset) and _is_count(selected_db)):
            return None
        return ReplicationPosition(
            run_id=RunId(run_id.decode()), offset=int(offset), selected_db=int(selected_db)
        )


def _is_count(text: bytes) -> bool:
    """Say whether `text` is a decimal number that fits 64 bits."""
    return text.isdigit() and len(text) < _INTEGER_SIZE_LIMIT


def _without(entries: Entries, keys: set[bytes]) -> Entries:
    """Return `entries` without those of `keys`."""
    if not keys:
        return entries
    return Entries(
        values={key: value for key, value in entries.values.items() if key not in keys},
        expire_at_ms={key: ms for key, ms in entries.expire_at_ms.items() if key not in keys},
        idle_s=entries.idle_s,
        frequency=entries.frequency,
    )
