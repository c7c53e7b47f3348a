"""The process as commands see it: the `Host` of a running server.

Everything here may block or fork, and runs between two checkpoints of the pump's task; what takes
longer is left to a task (`SnapshotKeeper` waits for the child, the app for the shutdown).
"""

from __future__ import annotations

import gc
import os
import platform
import resource
import secrets
import signal
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from itertools import islice
from typing import TYPE_CHECKING

import structlog

from vedette import REDIS_VERSION
from vedette.acl.directives import user_lines
from vedette.runtime.acl_file import DiskAclFile
from vedette.runtime.durable_file import write_durably
from vedette.runtime.process import Supervisor
from vedette.types import RunId

from .. import directives
from ..config import Configuration
from ..engine.datasets import saved_databases
from ..engine.host import CollectorPauses, ProcessFacts, ShutdownRequest
from ..observation.latency import GARBAGE_COLLECTION
from ..persistence.rdb.encode import BATCH_SIZE, EncodeItems, encode_records
from ..persistence.rdb.records import Value
from ..persistence.snapshot import (
    ReplicationPosition,
    SnapshotAux,
    snapshot_records,
)
from ..replication.replconf import EVERYTHING, SnapshotContent
from .allocations import Allocations, UncountedError, resident_bytes
from .child_progress import SharedProgress, sleep_for_keys
from .clock import wall_clock_ms
from .collector import Collector
from .oom_score import OomScore
from .segments import encode_in_parts, is_worth_parts
from .snapshots import SnapshotKeeper
from .stopping import Stopping

if TYPE_CHECKING:
    from ..engine import ServerEngine

log = structlog.get_logger()


class ServerHost:
    """Implements `server.engine.host.Host`. `attach` completes it once there is an engine."""

    def __init__(self, configuration: Configuration, on_shutdown: Callable[[], None]) -> None:
        self.stopping = Stopping(self, on_shutdown)
        self.oom_score = OomScore(configuration)
        self._engine: ServerEngine | None = None
        self._snapshots: SnapshotKeeper | None = None
        self.collector = Collector(self._on_collector_pause)
        #: None: the allocators cannot be asked, and the resident size has to do.
        self._allocations: Allocations | None = None
        try:
            self._allocations = Allocations()
        except UncountedError as error:
            log.warning("memory.not_counted", error=str(error))
        # What the imports left behind is not to be taken for memory that the server gave back.
        gc.collect()
        self._program_bytes = self._allocated_bytes()

    def _on_collector_pause(self, took_ms: float) -> None:
        if self._engine is not None:
            self._engine.latency.note(GARBAGE_COLLECTION, took_ms, wall_clock_ms())

    def attach(self, engine: ServerEngine) -> None:
        """Take the engine whose dataset is saved."""
        self._engine = engine
        self._snapshots = SnapshotKeeper(
            engine, self.snapshot, self.snapshot_path, self.new_progress
        )

    @property
    def snapshots(self) -> SnapshotKeeper:
        """What keeps the server's own snapshot; there is one whenever a command runs."""
        assert self._snapshots is not None
        return self._snapshots

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
        self.snapshots.save()

    def start_background_save(self) -> None:
        """See `Host`."""
        self.snapshots.start()

    def abort_background_save(self) -> None:
        """See `Host`."""
        self.snapshots.abort()

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

    def crash(self) -> None:
        """See `Host`."""
        log.error("server.crashing", error="DEBUG asked for it")
        os.kill(os.getpid(), signal.SIGSEGV)

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
        return max(1, self._allocated_bytes() - self._program_bytes)

    def large_bytes(self) -> int:
        """See `Host`."""
        return resident_bytes() if self._allocations is None else self._allocations.large_bytes()

    def program_bytes(self) -> int:
        """See `Host`."""
        return self._program_bytes

    def _allocated_bytes(self) -> int:
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

    def thread_cpu_seconds(self) -> tuple[float, float]:
        """See `Host`; called by that thread."""
        own = resource.getrusage(resource.RUSAGE_THREAD)
        return (own.ru_stime, own.ru_utime)

    def adjust_oom_score(self, child_pid: int | None = None) -> None:
        """See `Host`."""
        if child_pid is None:
            self.oom_score.adjust()
        else:
            self.oom_score.adjust_child(child_pid)

    def rewrite_configuration(self, *, is_complete: bool = False) -> None:
        """See `Host`."""
        configuration = self.engine.configuration
        with open(configuration.path, encoding="utf-8", errors="surrogateescape") as file:
            text = file.read()
        password = configuration[directives.REQUIRE_PASS]
        lines = user_lines(self.engine.access, password=password)
        rewritten = configuration.rewrite(text, lines, is_complete=is_complete)
        write_durably(configuration.path, rewritten.encode("utf-8", "surrogateescape"))


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


def process_facts(supervisor: Supervisor) -> ProcessFacts:
    """Return what stays the same while this process runs."""
    system = platform.uname()
    pages = os.sysconf("SC_PHYS_PAGES")
    return ProcessFacts(
        pid=os.getpid(),
        supervisor=supervisor.value,
        started_ms=wall_clock_ms(),
        executable=os.path.abspath(sys.argv[0]),
        operating_system=f"{system.system} {system.release} {system.machine}",
        python_version=platform.python_version(),
        machine_memory_bytes=pages * resource.getpagesize(),
    )
