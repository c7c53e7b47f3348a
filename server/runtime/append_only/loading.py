"""Loading an append-only file: its base, then its increments in order.

In steps, between which others may be served. Nothing but the dataset is changed, except that a last
file which ends too early is cut off where it was still whole (`aof-load-truncated`). Follows Redis
7.0 `aof.c: loadAppendOnlyFiles`.
"""

from __future__ import annotations

import time

import structlog

from vedette.errors import CommandError

from ... import directives
from ...engine import ServerEngine
from ...engine.datasets import adopt_loaded
from ...engine.replay import Replay
from ...persistence.aof.manifest import AofFile, Manifest
from ...persistence.aof.reading import (
    WINDOW_BYTES,
    AofData,
    AofReader,
    CorruptAofError,
    TruncatedAofError,
)
from ...persistence.rdb.errors import RdbError
from ...persistence.rdb.opcodes import MAGIC
from ...persistence.snapshot import LoadedKeyspace, SnapshotLoad
from ..clock import wall_clock_ms
from ..loading import LoadError, Pacer
from .files import AofFiles

log = structlog.get_logger()


class AofLoad:
    """The loading of all parts of `manifest` into the empty keyspace of `engine`."""

    def __init__(self, engine: ServerEngine, files: AofFiles, manifest: Manifest) -> None:
        """Look for the files.

        Raises:
            LoadError: one of them is not there.
        """
        self._engine = engine
        self._files = files
        self._base = manifest.base
        self._waiting = list(manifest.parts)
        self._part: AofFile | None = None
        self._data: AofData = b""
        #: How the present part is read: first as a snapshot, if it begins with one.
        self._snapshot: SnapshotLoad | None = None
        self._loaded = LoadedKeyspace()
        self._replay: Replay | None = None
        self._began_s = 0.0
        #: Bytes of the parts that are done, of all of them, and of the base.
        self._done_bytes = 0
        self.total_bytes = 0
        self.base_bytes = 0
        for part in manifest.parts:
            try:
                size_bytes = files.size(part.name)
            except OSError as error:
                raise LoadError(f"{files.path(part.name)} {error.strerror}") from error
            self.total_bytes += size_bytes
            if part is self._base:
                self.base_bytes = size_bytes

    async def run(self, pacer: Pacer) -> None:
        """Load all, at the pace of `pacer`.

        Raises:
            LoadError: a file cannot be read, is damaged, or ends too early and may not.
        """
        self._engine.load.total_bytes = self.total_bytes
        while True:
            snapshot = self._snapshot
            if snapshot is not None:
                try:
                    goes_on = await pacer.step(snapshot)
                except RdbError as error:
                    raise self._damage(error) from error
                if not goes_on:
                    self._end_snapshot(snapshot)
                continue
            count_before = 0 if self._replay is None else self._replay.command_count
            replay = self._replay
            if not self._step(wall_clock_ms(), max(pacer.run_size, 512)):
                return
            count = 0 if replay is None else replay.command_count - count_before
            await pacer.after_step(self._loaded_bytes, count)

    def run_at_once(self) -> None:
        """Load all before anything else happens.

        Raises: what `run` raises.
        """
        while True:
            if self._snapshot is not None:
                try:
                    self._snapshot.run()
                except RdbError as error:
                    raise self._damage(error) from error
                self._end_snapshot(self._snapshot)
            elif not self._step(wall_clock_ms(), WINDOW_BYTES):
                return

    @property
    def _loaded_bytes(self) -> int:
        replay = self._replay
        return self._done_bytes + (0 if replay is None else replay.complete_offset)

    def _step(self, now_ms: int, window_bytes: int) -> bool:
        """Begin the next part or run some commands of the present one; False: all is loaded."""
        if self._part is None:
            if not self._waiting:
                return False
            self._begin(self._waiting.pop(0))
            return True
        replay = self._replay
        assert replay is not None
        try:
            if not replay.step(now_ms, window_bytes):
                self._done_bytes += len(self._data)
                self._end_part()
        except TruncatedAofError as error:
            self._cut(self._part, replay.complete_offset, error)
        except CorruptAofError as error:
            raise self._damage(error) from error
        return True

    def _begin(self, part: AofFile) -> None:
        path = self._files.path(part.name)
        try:
            self._data = self._files.read(part.name)
        except OSError as error:
            raise LoadError(f"{path} {error.strerror}") from error
        self._part = part
        self._began_s = time.monotonic()
        if self._data[: len(MAGIC)] == MAGIC:
            # A base, or the beginning of a file as Redis wrote it before 7.0.
            databases = self._engine.keyspace.databases
            self._loaded = LoadedKeyspace()
            self._snapshot = SnapshotLoad(self._data, self._loaded, database_count=len(databases))
        else:
            self._replay = Replay(self._engine, AofReader(self._data))

    def _end_snapshot(self, snapshot: SnapshotLoad) -> None:
        """Put the dataset that a part began with to use; commands may follow."""
        assert snapshot.end_offset is not None
        functions = self._engine.scripting.functions
        try:
            functions.adopt(functions.load_apart(self._loaded.libraries))
        except CommandError as error:
            raise LoadError(
                f"{self._path}: a function library cannot be loaded: {error}"
            ) from error
        adopt_loaded(self._engine, self._loaded)
        self._engine.saves.last_load_keys_loaded = snapshot.keys_loaded
        self._snapshot = None
        self._replay = Replay(self._engine, AofReader(self._data, snapshot.end_offset))

    def _cut(self, part: AofFile, offset: int, error: TruncatedAofError) -> None:
        """Go on with what is whole of the last file, if that is allowed."""
        path = self._path
        problem = f"Unexpected end of file reading the append only file {path}: {error}"
        if self._waiting:
            raise LoadError(f"{problem}, and it is not the last file") from error
        if not self._engine.configuration[directives.AOF_LOAD_TRUNCATED]:
            raise LoadError(
                f"{problem}. Make a copy of it, then run 'vedette check-aof --fix', or set"
                " aof-load-truncated to yes"
            ) from error
        lost_bytes = len(self._data) - offset
        log.warning("aof.truncated", path=path, offset=offset, lost_bytes=lost_bytes)
        self.total_bytes -= lost_bytes
        if part is self._base:
            self.base_bytes -= lost_bytes
        self._done_bytes += offset
        self._end_part()
        try:
            self._files.cut(part.name, offset)
        except OSError as refusal:
            raise LoadError(f"{path} cannot be truncated: {refusal.strerror}") from refusal

    def _damage(self, error: CorruptAofError | RdbError) -> LoadError:
        return LoadError(
            f"Bad file format reading the append only file {self._path}: {error}. Make a copy of"
            " it, then see 'vedette check-aof --help'"
        )

    @property
    def _path(self) -> str:
        assert self._part is not None
        return self._files.path(self._part.name)

    def _end_part(self) -> None:
        replay = self._replay
        assert replay is not None
        for offset, text in replay.errors:
            log.error("aof.command_failed", path=self._path, offset=offset, error=text)
        log.info(
            "aof.part_loaded",
            path=self._path,
            commands=replay.command_count,
            failed=replay.error_count,
            elapsed_ms=int((time.monotonic() - self._began_s) * 1000),
        )
        self._part = self._replay = None
        self._data = b""
