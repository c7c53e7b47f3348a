"""The process as commands see it: the `Host` of a running server.

Everything here may block or fork, and runs between two checkpoints of the pump's task; what takes
longer is left to a task (`SnapshotKeeper` waits for the child, the app for the shutdown).
"""

from __future__ import annotations

import os
import platform
import resource
import secrets
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from itertools import islice
from typing import TYPE_CHECKING, Final

import structlog
import trio

from vedette import REDIS_VERSION
from vedette.acl.directives import user_lines
from vedette.runtime.acl_file import DiskAclFile
from vedette.runtime.durable_file import write_durably
from vedette.types import RunId

from .. import directives
from ..engine.datasets import saved_databases
from ..engine.host import CollectorPauses, ProcessFacts, SaveInProgress, ShutdownRequest
from ..observation.latency import FORK, GARBAGE_COLLECTION
from ..persistence.background import ChildKind
from ..persistence.rdb.encode import BATCH_SIZE, EncodeItems, encode_records
from ..persistence.rdb.records import Value
from ..persistence.save_points import due_save_point
from ..persistence.snapshot import (
    ReplicationPosition,
    SnapshotAux,
    snapshot_records,
)
from ..replication.feed import EVERYTHING, SnapshotContent
from .allocations import Allocations, UncountedError, resident_bytes
from .child import Child, ChildStatus
from .child_progress import SharedProgress, sleep_for_keys
from .collector import Collector
from .saving import save_in_foreground, start_background_save
from .segments import encode_in_parts, is_worth_parts
from .stopping import Stopping

if TYPE_CHECKING:
    from ..engine import ServerEngine

log = structlog.get_logger()

#: How often the save points are looked at.
SAVE_POINT_CHECK_S: Final = 0.1


class ServerHost:
    """Implements `server.engine.host.Host`. `attach` completes it once there is an engine."""

    def __init__(self, on_shutdown: Callable[[], None]) -> None:
        self.stopping = Stopping(self, on_shutdown)
        self._engine: ServerEngine | None = None
        self._child: Child | None = None
        self._progress: SharedProgress | None = None
        #: Set when a child was started; replaced by the task that waits for it.
        self._child_started = trio.Event()
        self.collector = Collector(self._on_collector_pause)
        #: None: the allocators cannot be asked, and the resident size has to do.
        self._allocations: Allocations | None = None
        try:
            self._allocations = Allocations()
        except UncountedError as error:
            log.warning("memory.not_counted", error=str(error))

    def _on_collector_pause(self, took_ms: float) -> None:
        if self._engine is not None:
            self._engine.latency.note(GARBAGE_COLLECTION, took_ms, self._now_ms())

    def attach(self, engine: ServerEngine) -> None:
        """Take the engine whose dataset is saved."""
        self._engine = engine

    @property
    def engine(self) -> ServerEngine:
        """The engine; there is one whenever a command runs."""
        assert self._engine is not None
        return self._engine

    # --- saving ----------------------------------------------------------------------------------

    def snapshot_path(self) -> str:
        """Return where snapshots are kept."""
        configuration = self.engine.configuration
        return os.path.join(os.getcwd(), configuration[directives.DB_FILE_NAME])

    def new_progress(self) -> SharedProgress:
        """Return what a child that is about to be forked tells its progress by."""
        delay_us = self.engine.configuration[directives.RDB_KEY_SAVE_DELAY]
        return SharedProgress(key_delay_us=delay_us)

    def snapshot(
        self,
        progress: SharedProgress | None = None,
        content: SnapshotContent = EVERYTHING,
        *,
        is_aof_base: bool = False,
    ) -> Iterator[bytes]:
        """Return the bytes of a snapshot; the dataset is read as they are consumed.

        With `progress` that is to happen in the child that it belongs to. Only what `content` asks
        for is in it.

        The base of an append-only file says nothing of replication: it ends before the file does.
        """
        engine = self.engine
        configuration = engine.configuration
        saved = None if is_aof_base else engine.replication.saved_position()
        position = None
        if saved is not None:
            where, stream_database = saved
            position = ReplicationPosition(
                run_id=RunId(where.replid.decode()),
                offset=where.offset,
                selected_db=stream_database,
            )
        aux = SnapshotAux(
            redis_version=REDIS_VERSION,
            created_at_s=int(time.time()),
            used_memory_bytes=self.used_bytes(),
            replication=position,
            is_aof_base=is_aof_base,
        )
        databases = saved_databases(engine) if content.has_data else []
        libraries = engine.scripting.functions.libraries.codes if content.has_functions else ()
        key_delay_us = configuration[directives.RDB_KEY_SAVE_DELAY]

        def on_keys(count: int) -> None:
            if progress is not None:
                progress.on_keys(count)
            else:
                sleep_for_keys(key_delay_us, count)

        return encode_records(
            snapshot_records(aux, databases, libraries),
            compress=configuration[directives.RDB_COMPRESSION],
            checksum=configuration[directives.RDB_CHECKSUM],
            on_keys=on_keys,
            batch_size=1 if key_delay_us else BATCH_SIZE,
            walk=None if progress is None or key_delay_us else partial(_walk_in_child, progress),
        )

    def read_snapshot(self) -> bytes:
        """See `Host`."""
        with open(self.snapshot_path(), "rb") as file:
            return file.read()

    def save(self) -> None:
        """See `Host`."""
        if self.engine.background.is_saving:
            raise SaveInProgress("a background save is in progress")
        size_bytes = save_in_foreground(self.snapshot_path(), self.snapshot())
        self.engine.keyspace.dirty = 0
        self.engine.saves.on_foreground_end(self._now_ms())
        log.info("snapshot.saved", size_bytes=size_bytes)

    def start_background_save(self) -> None:
        """See `Host`."""
        engine = self.engine
        if engine.background.is_saving:
            raise SaveInProgress("a background save is in progress")
        engine.saves.on_background_start(self._now_ms(), engine.keyspace.dirty)
        progress = self.new_progress()
        try:
            self._child = start_background_save(self.snapshot_path(), self.snapshot(progress))
        except OSError:
            engine.saves.on_background_end(self._now_ms(), is_ok=False)
            raise
        engine.context.statistics.total_forks += 1
        engine.context.statistics.latest_fork_usec = int(self._child.fork_duration_s * 1e6)
        engine.latency.note(FORK, self._child.fork_duration_s * 1000, self._now_ms())
        self._progress = progress
        engine.background.begin(
            ChildKind.SAVE, engine.keyspace.key_count(), progress, self._child.kill
        )
        log.info("snapshot.started", child_pid=self._child.pid)
        self._child_started.set()

    def abort_background_save(self) -> None:
        """See `Host`. Whoever waits for the child cleans up after it."""
        if not self.engine.background.abort_save():
            return
        log.info("snapshot.aborted")
        if self._child is not None:
            self._forget_child()
            self.engine.saves.on_background_abort()

    def _forget_child(self) -> None:
        self._child = None
        assert self._progress is not None
        self.engine.background.end(self._progress)
        self._progress = None

    async def keep_snapshots(self) -> None:
        """Wait for children that save, and start one when a save point is met; for ever."""
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._watch_save_points, name="save points")
            while True:
                await self._child_started.wait()
                self._child_started = trio.Event()
                await self._wait_for_child()

    async def _wait_for_child(self) -> None:
        child = self._child
        assert child is not None
        outcome = await child.wait()
        if self._child is not child:
            return  # aborted, and maybe followed by another
        progress = self._progress
        assert progress is not None
        self._forget_child()
        copied_bytes = max(outcome.copied_bytes, progress.peak_copied_bytes)
        engine = self.engine
        is_ok = outcome.status is ChildStatus.SUCCEEDED
        engine.keyspace.dirty -= engine.saves.on_background_end(
            self._now_ms(), is_ok=is_ok, copied_bytes=copied_bytes
        )
        if is_ok:
            log.info(
                "snapshot.saved",
                size_bytes=outcome.size_bytes,
                elapsed_ms=int(outcome.duration_s * 1000),
                copied_bytes=copied_bytes,
            )
        else:
            log.error("snapshot.failed", error=outcome.error or outcome.status.name.lower())

    async def _watch_save_points(self) -> None:
        while True:
            await trio.sleep(SAVE_POINT_CHECK_S)
            engine = self.engine
            points = engine.configuration[directives.SAVE]
            now_ms = self._now_ms()
            point = due_save_point(points, engine.keyspace.dirty, engine.saves, now_ms)
            if point is None or engine.background.active is not None:
                continue
            log.info("save_point.met", changes=point.changes, seconds=point.seconds)
            try:
                self.start_background_save()
            except OSError as error:
                log.error("snapshot.failed", error=str(error))

    # --- the process -----------------------------------------------------------------------------

    def request_shutdown(self, request: ShutdownRequest) -> None:
        """See `Host`."""
        self.stopping.request(request)

    def abort_shutdown(self) -> bool:
        """See `Host`."""
        return self.stopping.abort()

    def sleep(self, seconds: float) -> None:
        """See `Host`."""
        time.sleep(seconds)  # noqa: TID251 (DEBUG SLEEP blocks the whole process: that is its use)

    def acl_file(self, path: str) -> DiskAclFile:
        """See `Host`."""
        return DiskAclFile(path)

    def random_hex(self, size: int) -> str:
        """See `Host`."""
        return secrets.token_hex(size // 2)

    def resident_bytes(self) -> int:
        """See `Host`."""
        return resident_bytes()

    def used_bytes(self) -> int:
        """See `Host`."""
        return resident_bytes() if self._allocations is None else self._allocations.used_bytes()

    def held_bytes(self) -> int:
        """See `Host`."""
        return resident_bytes() if self._allocations is None else self._allocations.held_bytes()

    def allocator_report(self) -> str:
        """See `Host`."""
        return "" if self._allocations is None else self._allocations.report()

    def release_memory(self) -> None:
        """See `Host`."""
        self.collector.collect_all()
        if self._allocations is not None:
            self._allocations.release()

    def collector_pauses(self) -> CollectorPauses:
        """See `Host`."""
        return self.collector.pauses()

    def cpu_seconds(self) -> tuple[float, float, float, float]:
        """See `Host`."""
        own = resource.getrusage(resource.RUSAGE_SELF)
        children = resource.getrusage(resource.RUSAGE_CHILDREN)
        return (own.ru_stime, own.ru_utime, children.ru_stime, children.ru_utime)

    def rewrite_configuration(self, *, is_complete: bool = False) -> None:
        """See `Host`."""
        configuration = self.engine.configuration
        with open(configuration.path, encoding="utf-8", errors="surrogateescape") as file:
            text = file.read()
        password = configuration[directives.REQUIRE_PASS]
        lines = user_lines(self.engine.access, password=password)
        rewritten = configuration.rewrite(text, lines, is_complete=is_complete)
        write_durably(configuration.path, rewritten.encode("utf-8", "surrogateescape"))

    @staticmethod
    def _now_ms() -> int:
        return time.time_ns() // 1_000_000


def _walk_in_child(
    progress: SharedProgress, values: Mapping[bytes, Value], encode: EncodeItems
) -> Iterator[bytes]:
    """Yield what `encode` makes of all items, in parts if they are many (see `segments`)."""
    if isinstance(values, dict) and is_worth_parts(values):
        yield from encode_in_parts(values, encode, BATCH_SIZE, progress.on_part)
        return
    items = iter(values.items())
    while batch := list(islice(items, BATCH_SIZE)):
        yield from encode(batch)
        progress.on_keys(len(batch))


def process_facts() -> ProcessFacts:
    """Return what stays the same while this process runs."""
    system = platform.uname()
    pages = os.sysconf("SC_PHYS_PAGES")
    return ProcessFacts(
        pid=os.getpid(),
        started_ms=time.time_ns() // 1_000_000,
        executable=os.path.abspath(sys.argv[0]),
        operating_system=f"{system.system} {system.release} {system.machine}",
        python_version=platform.python_version(),
        machine_memory_bytes=pages * resource.getpagesize(),
    )
