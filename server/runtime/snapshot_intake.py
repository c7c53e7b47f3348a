"""A master's snapshot as it arrives: kept in a file or loaded at once, and then put into place.

`repl-diskless-load` chooses. `disabled`: a file takes all of it first; once its checksum is right
the file becomes this server's own snapshot, from which a restart would go on. Then the present
dataset is given up, so that there is never room needed for two, and the file is loaded.

`swapdb`, and `on-empty-db` where there are no keys: it is loaded while it arrives, and no disk is
needed. With `swapdb` the new dataset grows beside the present one, which is replaced in one step
when the new one is whole: a snapshot that cannot be used costs nothing.

Clients are told LOADING meanwhile, unless the present dataset is of the same history (`swapdb`):
then they are served it. Follows Redis 7.0 `replication.c: useDisklessLoad, readSyncBulkPayload`.
"""

from __future__ import annotations

import mmap
import os
import time
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Final

import trio

from vedette.runtime.durable_file import sync_directory

from .. import directives
from ..engine import ServerEngine
from ..engine.datasets import adopt_loaded, give_up_dataset
from ..persistence.rdb.decode import RdbStreamDecoder, check_file
from ..persistence.rdb.errors import UnsupportedDatabaseError
from ..persistence.snapshot import LoadedKeyspace, SnapshotLoad
from ..scripting.libraries import Libraries
from .clock import wall_clock_ms
from .loading import Pacer
from .snapshots import forget_sync_file

#: What a file takes before it is told to be written out, so that the last `fsync` is short.
SYNC_EVERY_BYTES: Final = 8 * 1024 * 1024

#: Called between two steps of loading, with what there is to be done for the link meanwhile.
Meanwhile = Callable[[], Awaitable[None]]


class SnapshotIntake(ABC):
    """One snapshot from its first byte to the end. `close` ends it in any case."""

    def __init__(self, engine: ServerEngine, meanwhile: Meanwhile) -> None:
        self._engine = engine
        self._meanwhile = meanwhile
        self._loaded = LoadedKeyspace()
        self._load: SnapshotLoad | None = None
        self._is_loading = False
        self._libraries: Libraries | None = None
        self._pacer = Pacer(engine)
        #: Whether the present dataset was given up before the new one was whole.
        self.has_given_up_present = False
        #: How much has arrived.
        self.size_bytes = 0
        #: The database in which the stream after the snapshot begins; known when it is whole.
        self.stream_database = 0

    @abstractmethod
    def begin(self, total_bytes: int) -> None:
        """Begin, `total_bytes` being what the master announced (0: nothing)."""

    @abstractmethod
    async def take(self, data: bytes) -> None:
        """Take what has arrived.

        Raises:
            OSError: it cannot be kept.
            RdbError: it is no snapshot, or not one that can be used.
        """

    @abstractmethod
    async def complete(self) -> None:
        """Load what is left, all having arrived; `put_into_place` may then be called.

        Raises:
            OSError: it cannot be kept, or not be read again.
            RdbError: it is no snapshot, or not one that can be used.
            CommandError: a function library in it cannot be loaded.
        """

    def close(self) -> None:
        """Give up what is held; clients are not told LOADING any more."""
        if self._is_loading:
            self._is_loading = False
            self._engine.end_loading()

    @property
    def key_count(self) -> int:
        """How many keys are loaded by now."""
        return 0 if self._load is None else self._load.keys_loaded

    def put_into_place(self) -> None:
        """Replace the present dataset and functions by what was loaded."""
        engine = self._engine
        assert self._load is not None
        assert self._load.is_finished
        assert self._libraries is not None
        engine.scripting.functions.adopt(self._libraries)
        adopt_loaded(engine, self._loaded, is_from_master=True)
        engine.keyspace.dirty += 1
        engine.on_flush()
        engine.saves.last_load_keys_loaded = self._load.keys_loaded
        engine.saves.last_load_keys_expired = 0
        self.close()

    def _begin(
        self, data: RdbStreamDecoder | mmap.mmap, total_bytes: int, *, is_beside_present: bool
    ) -> None:
        engine = self._engine
        self._is_loading = True
        now_ms = wall_clock_ms()
        engine.begin_loading(now_ms, total_bytes, is_beside_present=is_beside_present)
        database_count = len(engine.keyspace.databases)
        self._load = SnapshotLoad(data, self._loaded, database_count=database_count)

    async def _load_what_is_there(self) -> None:
        assert self._load is not None
        while await self._pacer.step(self._load):
            await self._meanwhile()

    def _finish(self) -> None:
        """Make what comes with the keys, all of which are loaded."""
        assert self._load is not None
        self.stream_database = _stream_database(self._load, len(self._engine.keyspace.databases))
        functions = self._engine.scripting.functions
        self._libraries = functions.load_apart(self._loaded.libraries)


class DisklessIntake(SnapshotIntake):
    """A snapshot that is loaded while it arrives."""

    def __init__(
        self, engine: ServerEngine, meanwhile: Meanwhile, *, is_of_same_history: bool
    ) -> None:
        super().__init__(engine, meanwhile)
        self._is_of_same_history = is_of_same_history
        self._decoder = RdbStreamDecoder()

    def begin(self, total_bytes: int) -> None:
        self._begin(self._decoder, total_bytes, is_beside_present=self._is_of_same_history)

    async def take(self, data: bytes) -> None:
        self.size_bytes += len(data)
        self._decoder.feed(data)
        await self._load_what_is_there()

    async def complete(self) -> None:
        self._decoder.finish()
        await self._load_what_is_there()
        self._finish()


class FileIntake(SnapshotIntake):
    """A snapshot that is kept in a file, which becomes the server's own, and then loaded."""

    def __init__(self, engine: ServerEngine, meanwhile: Meanwhile, path: str) -> None:
        """Begin a file beside `path`. Raises OSError when there can be none."""
        super().__init__(engine, meanwhile)
        self._path = path
        name = f"temp-{int(time.time())}.{os.getpid()}.rdb"
        self._temporary: str | None = os.path.join(os.path.dirname(path), name)
        self._file = open(self._temporary, "w+b")  # noqa: SIM115 (closed by `close`)
        self._unsynced_bytes = 0

    def begin(self, total_bytes: int) -> None:
        pass  # loading begins when all has arrived

    async def take(self, data: bytes) -> None:
        self._file.write(data)
        self.size_bytes += len(data)
        self._unsynced_bytes += len(data)
        if self._unsynced_bytes >= SYNC_EVERY_BYTES:
            self._unsynced_bytes = 0
            await trio.to_thread.run_sync(self._sync)

    def _sync(self) -> None:
        self._file.flush()
        os.fdatasync(self._file.fileno())

    async def complete(self) -> None:
        await trio.to_thread.run_sync(self._sync)
        with _map_of(self._file.fileno(), self.size_bytes) as data:
            await trio.to_thread.run_sync(check_file, data)
            self._engine.host.abort_background_save()
            await trio.to_thread.run_sync(self._take_its_place)
            self._begin(data, self.size_bytes, is_beside_present=False)
            self.has_given_up_present = True
            give_up_dataset(self._engine)
            self._engine.replication.give_up_position(wall_clock_ms())
            await self._load_what_is_there()
            self._finish()
            forget_sync_file(self._engine.configuration, self._file.fileno(), self._path)

    def _take_its_place(self) -> None:
        """Make the file the server's own snapshot, as durably as one that it saved."""
        assert self._temporary is not None
        os.rename(self._temporary, self._path)
        self._temporary = None
        sync_directory(os.path.dirname(self._path) or ".")

    def close(self) -> None:
        super().close()
        self._file.close()
        if self._temporary is not None:
            with suppress(FileNotFoundError):
                os.unlink(self._temporary)
            self._temporary = None


def _map_of(descriptor: int, size_bytes: int) -> mmap.mmap:
    if not size_bytes:
        raise OSError("the snapshot is empty")
    return mmap.mmap(descriptor, 0, access=mmap.ACCESS_READ)


def open_intake(
    engine: ServerEngine, meanwhile: Meanwhile, path: str, replid: bytes | None
) -> SnapshotIntake:
    """Return what takes a snapshot of the history `replid`, as `repl-diskless-load` has it.

    `path` is where this server keeps its own snapshot.

    Raises:
        OSError: there can be no file for it.
    """
    mode = engine.configuration[directives.REPL_DISKLESS_LOAD]
    is_empty = not engine.keyspace.key_count()
    if mode == "swapdb" or (mode == "on-empty-db" and is_empty):
        replication = engine.replication
        is_of_same_history = (
            mode == "swapdb"
            and replid is not None
            and replication.position is not None
            and replid == replication.identity.replid
        )
        return DisklessIntake(engine, meanwhile, is_of_same_history=is_of_same_history)
    return FileIntake(engine, meanwhile, path)


def _stream_database(load: SnapshotLoad, database_count: int) -> int:
    """Return the database in which the stream after the snapshot begins.

    Raises:
        UnsupportedDatabaseError: we have no such database.
    """
    text = load.aux.get(b"repl-stream-db", b"")
    number = int(text) if text.isdigit() and len(text) < 10 else 0  # -1: the master knows it not
    if number >= database_count:
        raise UnsupportedDatabaseError(number, database_count)
    return number
