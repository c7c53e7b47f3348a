"""Writing a base: the dataset of one moment, by a child process, as a rule.

Owns the child and what is seen of its progress. What becomes of the base, and of the files it takes
the place of, is the append-only file's business.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import structlog
import trio

from ... import directives
from ...engine import ServerEngine
from ...engine.datasets import saved_databases
from ...persistence.aof.rebuilding import encode_commands
from ...persistence.background import ChildKind
from ...persistence.rdb.encode import BATCH_SIZE
from ..child import Child, ChildOutcome, ChildStatus, start_child
from ..child_progress import SharedProgress
from ..forks import note_fork
from .files import AofFiles

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Ended:
    """A child that rewrote has ended."""

    pid: int
    outcome: ChildOutcome
    #: Where it wrote the base.
    files: AofFiles
    #: The form of the base.
    is_rdb: bool
    #: It was killed, since what it wrote is of no use any more.
    is_unwanted: bool


class BaseWriter:
    """Writes bases of the dataset of `engine`; one rewrites at a time.

    `snapshot(progress)` gives the bytes of a base in RDB form, made by a child that has `progress`
    of `new_progress()`, or here (None).
    """

    def __init__(
        self,
        engine: ServerEngine,
        *,
        snapshot: Callable[[SharedProgress | None], Iterable[bytes]],
        new_progress: Callable[[], SharedProgress],
        clock_ms: Callable[[], int],
    ) -> None:
        self._engine = engine
        self._snapshot = snapshot
        self._new_progress = new_progress
        self._clock_ms = clock_ms
        #: The child that rewrites, and in which form; None while there is none.
        self._child: Child | None = None
        self._files: AofFiles | None = None
        self._progress: SharedProgress | None = None
        self._is_rdb = True
        self._is_unwanted = False
        #: Set when a child was started; replaced by the task that waits for it.
        self._started = trio.Event()

    @property
    def child_pid(self) -> int | None:
        """The process that rewrites; None while there is none."""
        return None if self._child is None else self._child.pid

    async def write_first(self, files: AofFiles, *, is_rdb: bool) -> tuple[int, int]:
        """Write what was loaded as a base; return by which process it was written, and its size.

        A child does it, so that clients are served meanwhile, as far as a server that loads serves.

        Raises:
            OSError: it cannot be written.
        """
        engine = self._engine
        if not engine.keyspace.key_count():
            return os.getpid(), files.write_base(self._chunks(None, is_rdb=is_rdb))
        child, progress = self._fork(files, is_rdb=is_rdb)
        try:
            outcome = await child.wait()
        finally:
            engine.background.end(progress)
        if outcome.status is not ChildStatus.SUCCEEDED:
            raise OSError(errno.EIO, outcome.error or "the child was killed")
        return child.pid, outcome.size_bytes

    def start(self, files: AofFiles) -> None:
        """Start a child that rewrites. Raises OSError when it cannot be forked."""
        assert self._child is None
        self._is_rdb = self._engine.configuration[directives.AOF_USE_RDB_PREAMBLE]
        self._is_unwanted = False
        self._files = files
        self._child, self._progress = self._fork(files, is_rdb=self._is_rdb)
        log.info("aof.rewrite_started", child_pid=self._child.pid)
        self._started.set()

    def _fork(self, files: AofFiles, *, is_rdb: bool) -> tuple[Child, SharedProgress]:
        engine = self._engine
        progress = self._new_progress()
        chunks = self._chunks(progress, is_rdb=is_rdb)
        child = start_child(lambda: files.write_base(chunks), leftover=files.partial_base_path)
        note_fork(engine, child, ChildKind.REWRITE, engine.keyspace.key_count(), progress)
        return child, progress

    def _chunks(self, progress: SharedProgress | None, *, is_rdb: bool) -> Iterable[bytes]:
        """Return the bytes of a base; the dataset is read as they are consumed."""
        if is_rdb:
            return self._snapshot(progress)
        engine = self._engine
        return encode_commands(
            saved_databases(engine),
            engine.scripting.functions.libraries.codes,
            timestamp_s=self._clock_ms() // 1000 if engine.aof.annotates_time else None,
            on_keys=None if progress is None else progress.on_keys,
            batch_size=1 if engine.configuration[directives.RDB_KEY_SAVE_DELAY] else BATCH_SIZE,
        )

    def kill(self) -> None:
        """Kill the child that rewrites, if there is one."""
        if self._child is not None:
            log.info("aof.rewrite_killed", child_pid=self._child.pid)
            self._is_unwanted = True
            self._child.kill()

    async def wait_until_started(self) -> None:
        """Wait until a child rewrites."""
        await self._started.wait()
        self._started = trio.Event()

    async def wait(self) -> Ended:
        """Wait until the child that rewrites has ended. It counts until `forget`."""
        child, files = self._child, self._files
        assert child is not None
        assert files is not None
        outcome = await child.wait()
        return Ended(child.pid, outcome, files, self._is_rdb, self._is_unwanted)

    @staticmethod
    def discard(ended: Ended) -> None:
        """Remove the base of a rewrite that came to nothing, if the child had completed it."""
        try:
            ended.files.remove(ended.files.temporary_base_name(ended.pid))
        except OSError as error:
            log.warning("aof.leftover_stays", error=error.strerror)

    def forget(self) -> None:
        """Have the child that has ended, or is given up, count no more."""
        self._child = None
        if self._progress is not None:
            self._engine.background.end(self._progress)
            self._progress = None
