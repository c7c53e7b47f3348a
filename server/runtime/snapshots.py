"""The server's own snapshot: who writes it, in the foreground or by a child, and when.

`SnapshotKeeper` is the only one that forks children which write that file. Besides operators and
save points, replicas have it written that are to be sent a file (`feeds.py`): `start` then tells
them how it ended, in the same step in which that is known, so that the file they open is the one
that they waited for.

Follows Redis 7.0 `rdb.c: rdbSaveBackground, backgroundSaveDoneHandlerDisk`.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import Final

import structlog
import trio

from .. import directives
from ..config import Configuration
from ..engine import ServerEngine
from ..engine.host import SaveInProgress
from ..persistence.background import ChildKind
from ..persistence.save_points import due_save_point
from .child import Child, ChildStatus
from .child_progress import SharedProgress
from .clock import wall_clock_ms
from .forks import note_fork
from .saving import save_in_foreground, start_background_save

log = structlog.get_logger()

#: How often the save points are looked at.
SAVE_POINT_CHECK_S: Final = 0.1

#: Hears whether a snapshot was written.
OnEnd = Callable[[bool], None]


class SnapshotKeeper:
    """Writes the snapshot of one server. `run` is to run beside the pump."""

    def __init__(
        self,
        engine: ServerEngine,
        snapshot: Callable[[SharedProgress | None], Iterable[bytes]],
        path: Callable[[], str],
        new_progress: Callable[[], SharedProgress],
        clock_ms: Callable[[], int] = wall_clock_ms,
    ) -> None:
        """Prepare.

        `snapshot` gives the bytes of the dataset as it is when they are consumed, `new_progress`
        what a child tells its progress by, `path` where the file is to be.
        """
        self._engine = engine
        self._snapshot = snapshot
        self._path = path
        self._new_progress = new_progress
        self._clock_ms = clock_ms
        #: The child at work, what it tells, and who waits for its end.
        self._child: Child | None = None
        self._progress: SharedProgress | None = None
        self._on_end: OnEnd | None = None
        #: Children that nobody waits for yet: one, or more where some were aborted at once.
        self._unwaited: list[Child] = []
        #: Set when a child was started; replaced by the task that waits for it.
        self._started = trio.Event()

    def save(self) -> None:
        """See `Host`."""
        if self._engine.background.is_saving:
            raise SaveInProgress("a background save is in progress")
        size_bytes = save_in_foreground(self._path(), self._snapshot(None))
        self._engine.keyspace.dirty = 0
        self._engine.saves.on_foreground_end(self._clock_ms())
        self._engine.review_limits()
        log.info("snapshot.saved", size_bytes=size_bytes)

    def start(self, on_end: OnEnd | None = None) -> None:
        """Fork a child that writes the dataset of this instant.

        `on_end` hears what became of it; that it was aborted is a failure.

        Raises:
            SaveInProgress: one is at work already.
            OSError: the system refused to fork.
        """
        engine = self._engine
        if engine.background.is_saving:
            raise SaveInProgress("a background save is in progress")
        engine.saves.on_background_start(self._clock_ms(), engine.keyspace.dirty)
        progress = self._new_progress()
        try:
            child = start_background_save(self._path(), self._snapshot(progress))
        except OSError:
            engine.saves.on_background_end(self._clock_ms(), is_ok=False)
            engine.review_limits()
            raise
        self._child, self._progress, self._on_end = child, progress, on_end
        note_fork(engine, child, ChildKind.SAVE, engine.keyspace.key_count(), progress)
        log.info("snapshot.started", child_pid=child.pid)
        self._unwaited.append(child)
        self._started.set()

    def abort(self) -> None:
        """See `Host.abort_background_save`. Whoever waits for the child cleans up after it."""
        if not self._engine.background.abort_save():
            return
        log.info("snapshot.aborted")
        if self._child is not None:
            self._engine.saves.on_background_abort()
            self._forget_child(is_ok=False)

    def _forget_child(self, *, is_ok: bool) -> None:
        assert self._progress is not None
        self._engine.background.end(self._progress)
        on_end = self._on_end
        self._child = self._progress = self._on_end = None
        if on_end is not None:
            on_end(is_ok)

    async def run(self) -> None:
        """Wait for children that save, and start one when a save point is met; for ever."""
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._watch_save_points, name="save points")
            while True:
                await self._started.wait()
                self._started = trio.Event()
                while self._unwaited:
                    await self._wait_for(self._unwaited.pop(0))

    async def _wait_for(self, child: Child) -> None:
        outcome = await child.wait()
        if self._child is not child:
            return  # aborted, and maybe followed by another
        progress, engine = self._progress, self._engine
        assert progress is not None
        copied_bytes = max(outcome.copied_bytes, progress.peak_copied_bytes)
        is_ok = outcome.status is ChildStatus.SUCCEEDED
        engine.keyspace.dirty -= engine.saves.on_background_end(
            self._clock_ms(), is_ok=is_ok, copied_bytes=copied_bytes
        )
        engine.review_limits()  # writes may be refused from now on, or taken again
        if is_ok:
            log.info(
                "snapshot.saved",
                size_bytes=outcome.size_bytes,
                elapsed_ms=int(outcome.duration_s * 1000),
                copied_bytes=copied_bytes,
            )
        else:
            log.error("snapshot.failed", error=outcome.error or outcome.status.name.lower())
        self._forget_child(is_ok=is_ok)

    async def _watch_save_points(self) -> None:
        while True:
            await trio.sleep(SAVE_POINT_CHECK_S)
            engine = self._engine
            points = engine.configuration[directives.SAVE]
            now_ms = self._clock_ms()
            point = due_save_point(points, engine.keyspace.dirty, engine.saves, now_ms)
            if point is None or engine.background.active is not None:
                continue
            log.info("save_point.met", changes=point.changes, seconds=point.seconds)
            try:
                self.start()
            except OSError as error:
                log.error("snapshot.failed", error=str(error))


def forget_sync_file(configuration: Configuration, descriptor: int, path: str) -> None:
    """Remove a snapshot that was only written to synchronise, if no data are to lie on the disk.

    `rdb-del-sync-files` says so. The file is left alone if another has taken its place at `path`.
    """
    is_kept = bool(configuration[directives.SAVE]) or configuration[directives.APPEND_ONLY]
    if is_kept or not configuration[directives.RDB_DEL_SYNC_FILES]:
        return
    with suppress(FileNotFoundError):
        if os.path.samestat(os.fstat(descriptor), os.stat(path)):
            os.unlink(path)
