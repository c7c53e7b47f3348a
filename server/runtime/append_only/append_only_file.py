"""The append-only file as a whole: from start to stop, rewriting, turning it on and off.

Theory of operation. The manifest says which files are the dataset; it is replaced on the disk
before anything relies on what it says.

A rewrite: what is buffered is written, a new increment is begun (named in the manifest before
anything goes into it), and a child is forked that writes the dataset of that very moment as a base.
When it has succeeded, the base gets its name, a manifest makes it the base and all older files
history, those are deleted, and a manifest forgets them. A crash at any point leaves a manifest
whose files are all there. When the rewrite fails, the new increment just follows the old ones.
If only the fsync of the directory fails, either manifest may be there after a crash of the machine:
the files of both stay, and another rewrite follows.

Turned on at run time (and after a replica has loaded its master's snapshot) there is no base yet:
the new increment is a temporary file until the rewrite is done, and nothing but that rewrite makes
the append-only file exist. Until then the old files, if any, stay what a start would load. So it is
where a rewrite finds that `dir` was set to another directory.

Implements `AofPort`. Follows Redis 7.0 `aof.c: rewriteAppendOnlyFileBackground,
backgroundRewriteDoneHandler, startAppendOnly, aofOpenIfNeededOnServerStart`.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable

import structlog
import trio

from vedette.runtime.durable_file import DirectoryNotSyncedError

from ... import directives
from ...commands.replication import WAIT_REASON
from ...engine import ServerEngine
from ...persistence.aof.log import AofState
from ...persistence.aof.manifest import Manifest
from ..child import ChildStatus
from ..child_progress import SharedProgress
from ..loading import LoadError, Pacer
from .base_writer import BaseWriter, Ended
from .files import AofFiles
from .loading import AofLoad
from .manifest_file import adopt_old_file, forget_history, read_manifest, remove_history
from .writer import AofWriter

log = structlog.get_logger()


class AppendOnlyFile:
    """The append-only file of `engine`.

    `snapshot` and `new_progress` are what `BaseWriter` takes; `settle()` ends a batch (the pump's).
    """

    def __init__(
        self,
        engine: ServerEngine,
        *,
        snapshot: Callable[[SharedProgress | None], Iterable[bytes]],
        new_progress: Callable[[], SharedProgress],
        settle: Callable[[], None],
        make_files: Callable[[str, str], AofFiles] = AofFiles,
        clock_ms: Callable[[], int] = lambda: time.time_ns() // 1_000_000,
    ) -> None:
        self._engine = engine
        self._log = engine.aof
        self._make_files = make_files
        self._clock_ms = clock_ms
        self._files = self._found_files()
        self._manifest = Manifest()
        #: The failed fsyncs that the running rewrite makes up for: those before it began.
        self._syncs_to_mend = 0
        self._bases = BaseWriter(
            engine, snapshot=snapshot, new_progress=new_progress, clock_ms=clock_ms
        )
        self._writer = AofWriter(
            engine,
            settle=settle,
            has_child=lambda: engine.background.active is not None,
            clock_ms=clock_ms,
        )
        engine.aof.port = self
        engine.aof.clock_ms = clock_ms
        configuration = engine.configuration
        configuration.on_change(self._apply_timestamps, directives.AOF_TIMESTAMP_ENABLED)
        self._apply_timestamps()

    def _found_files(self) -> AofFiles:
        """Return the files by what the configuration, and the working directory, say now."""
        configuration = self._engine.configuration
        return self._make_files(self._found_directory(), configuration[directives.APPEND_FILE_NAME])

    def _found_directory(self) -> str:
        return os.path.join(os.getcwd(), self._engine.configuration[directives.APPEND_DIR_NAME])

    def _apply_timestamps(self) -> None:
        self._log.annotates_time = self._engine.configuration[directives.AOF_TIMESTAMP_ENABLED]

    @property
    def child_pid(self) -> int | None:
        """The process that rewrites; None while there is none."""
        return self._bases.child_pid

    @property
    def pending_sync_count(self) -> int:
        """How many fsyncs are under way or wait to be made."""
        return self._writer.pending_sync_count

    # --- start and end ---------------------------------------------------------------------------

    async def load(self) -> bool:
        """Load the dataset at start, serving others meanwhile; return False if there is none.

        Raises:
            LoadError: it cannot be used.
        """
        self._files.remove_leftovers()
        self._manifest = adopt_old_file(self._files, read_manifest(self._files))
        if not self._manifest.parts:
            return False
        began_s = time.monotonic()
        load = AofLoad(self._engine, self._files, self._manifest)
        await load.run(Pacer(self._engine))
        self._log.current_bytes = load.total_bytes
        self._log.base_bytes = load.base_bytes
        log.info(
            "aof.loaded",
            path=self._files.path(self._files.manifest_name),
            keys=self._engine.keyspace.key_count(),
            size_bytes=load.total_bytes,
            elapsed_ms=int((time.monotonic() - began_s) * 1000),
        )
        return True

    async def open(self) -> None:
        """Begin to write, once the dataset is loaded; makes a base if there is none.

        Nobody may write before it returns: what is written is to go into the increment.

        Raises:
            LoadError: the files cannot be written.
        """
        files, manifest = self._files, self._manifest
        try:
            files.make_directory()
            if not manifest.parts:
                is_rdb = self._engine.configuration[directives.AOF_USE_RDB_PREAMBLE]
                manifest = manifest.with_base(files.name, is_rdb=is_rdb)
                assert manifest.base is not None
                writer_pid, size_bytes = await self._bases.write_first(files, is_rdb=is_rdb)
                files.rename(files.temporary_base_name(writer_pid), manifest.base.name)
                self._log.base_bytes = self._log.current_bytes = size_bytes
            if not manifest.increments:
                manifest = manifest.with_increment(files.name)
            name = manifest.increments[-1].name
            descriptor = files.open(name, is_new=False)
            if manifest != self._manifest:
                files.write_manifest(manifest.format())
            self._manifest = manifest
            self._writer.begin(files, descriptor, files.size(name))
        except OSError as error:
            raise LoadError(f"{files.directory} cannot be written: {error.strerror}") from error
        self._log.state = AofState.ON
        self._log.gather()
        self.collect_history()
        log.info("aof.opened", path=files.path(name))

    async def run(self) -> None:
        """Sync, and wait for children that rewrite, until cancelled."""
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._writer.run, name="fsync")
            while True:
                await self._bases.wait_until_started()
                await self._wait_for_child()

    def finish(self) -> None:
        """Write and sync what is left; the end of the process. Raises AofLostError."""
        self._writer.finish()

    def flush(self) -> None:
        """Write what the batch has appended. Raises AofLostError."""
        self._writer.flush()

    # --- turning on and off ----------------------------------------------------------------------

    def turn_on(self) -> None:
        """See `AofPort`."""
        aof, engine = self._log, self._engine
        assert aof.state is AofState.OFF
        self._files = self._found_files()
        self._manifest = _read_manifest_or_fail(self._files)
        aof.state = AofState.AWAITING_REWRITE
        aof.write_error = aof.sync_error = ""
        self._bases.kill()  # one that runs began before effects were gathered
        if engine.background.active is not None or engine.is_in_transaction:
            aof.rewrite.is_scheduled = True
            log.info("aof.rewrite_scheduled", reason="the append-only file was turned on")
        else:
            try:
                self.rewrite()
            except OSError:
                aof.state = AofState.OFF
                raise
        engine.recheck()

    def turn_off(self) -> None:
        """See `AofPort`."""
        aof = self._log
        if aof.state is AofState.OFF:
            return
        if aof.state is AofState.AWAITING_REWRITE:
            self._drop_temporary_increment()
        else:
            self._writer.close()
            aof.stop_gathering()
        aof.state = AofState.OFF
        aof.rewrite.is_scheduled = False
        aof.write_error = aof.sync_error = ""
        self._bases.kill()
        self._engine.recheck()
        self._engine.wake(WAIT_REASON)
        log.info("aof.turned_off")

    def restart(self) -> None:
        """Begin anew with another dataset: a replica has taken its master's.

        What the files hold is of no use any more; the rewrite that begins makes new ones.
        """
        self.turn_off()
        try:
            self.turn_on()
        except OSError as error:
            log.error("aof.not_turned_on", error=error.strerror or str(error))
            self._log.state = AofState.AWAITING_REWRITE
            self._log.rewrite.is_scheduled = True

    # --- rewriting -------------------------------------------------------------------------------

    def stop_rewriting(self) -> None:
        """See `AofPort`."""
        self._bases.kill()

    def tick(self) -> None:
        """Start a rewrite that is due or was put off; to be called some times a second."""
        rewrite = self._log.rewrite
        if self._engine.background.active is not None:
            return
        now_ms = self._clock_ms()
        configuration = self._engine.configuration
        is_due = self._log.is_rewrite_due(
            configuration[directives.AUTO_AOF_REWRITE_PERCENTAGE],
            configuration[directives.AUTO_AOF_REWRITE_MIN_SIZE],
        )
        is_suspect = self._log.is_suspect and self._log.state is AofState.ON
        if not (rewrite.is_scheduled or is_due or is_suspect):
            return
        delay_minutes = rewrite.delay_minutes(now_ms)
        if delay_minutes is not None:
            if delay_minutes:
                log.warning(
                    "aof.rewrite_limited", failures=rewrite.failures, delay_minutes=delay_minutes
                )
            return
        if is_due:
            log.info("aof.rewrite_due", growth_percent=self._log.growth_percent())
        try:
            self.rewrite()
        except OSError:
            return  # it is logged and counted

    def rewrite(self) -> None:
        """See `AofPort`."""
        aof = self._log
        assert self._bases.child_pid is None
        try:
            self._follow_directory()
            self._files.make_directory()
            self._writer.flush(is_forced=True)
            self._begin_increment()
            self._syncs_to_mend = aof.failed_syncs
            self._bases.start(self._files)
            aof.rewrite.count += 1
            aof.rewrite.on_start(self._clock_ms())
        except OSError as error:
            aof.rewrite.on_failure()
            log.error("aof.rewrite_failed", error=error.strerror or str(error))
            if aof.state is AofState.AWAITING_REWRITE:
                self._drop_temporary_increment()
            raise

    def _follow_directory(self) -> None:
        """Go to the directory that `dir` names by now, to begin anew there if there is a file."""
        if self._found_directory() == self._files.directory:
            return
        files, aof = self._found_files(), self._log
        files.make_directory()
        manifest = _read_manifest_or_fail(files)
        if aof.state is AofState.ON:
            log.info("aof.moved", path=files.directory, path_before=self._files.directory)
            self.turn_off()
            aof.state = AofState.AWAITING_REWRITE
            aof.rewrite.is_scheduled = True  # until one has started there
        self._files, self._manifest = files, manifest

    def _begin_increment(self) -> None:
        """Have what comes after the fork go into a file of its own, if there is a file at all."""
        files, aof = self._files, self._log
        if aof.state is AofState.OFF:
            self._manifest = _read_manifest_or_fail(files)
            return
        if aof.state is AofState.AWAITING_REWRITE:
            descriptor = files.open(files.temporary_increment_name, is_new=True)
            self._writer.begin(files, descriptor, 0)
            aof.gather()
            return
        if aof.buffered_bytes:
            raise OSError(f"what was written before cannot be: {aof.write_error}")
        manifest = self._manifest.with_increment(files.name)
        name = manifest.increments[-1].name
        descriptor = files.open(name, is_new=True)
        try:
            files.write_manifest(manifest.format())
        except OSError:
            files.close(descriptor)
            raise
        self._manifest = manifest
        self._writer.begin(files, descriptor, 0)

    async def _wait_for_child(self) -> None:
        aof = self._log
        is_ok: bool | None = False
        copied_bytes = 0
        try:
            ended = await self._bases.wait()
            copied_bytes = ended.outcome.copied_bytes
            if ended.is_unwanted:
                is_ok = None
            elif ended.outcome.status is ChildStatus.SUCCEEDED:
                is_ok = await self._complete(ended)
            else:
                log.error("aof.rewrite_failed", error=ended.outcome.error)
            if not is_ok:
                self._bases.discard(ended)
        finally:
            self._bases.forget()
            aof.rewrite.on_end(self._clock_ms(), is_ok=is_ok, copied_bytes=copied_bytes)
        if aof.state is AofState.AWAITING_REWRITE:
            self._drop_temporary_increment()
            aof.rewrite.is_scheduled = True

    async def _complete(self, ended: Ended) -> bool:
        """Put the base that the child wrote into use; return False if that failed."""
        outcome = ended.outcome
        try:
            self._adopt_base(ended)
        except OSError as error:
            log.error("aof.rewrite_failed", error=error.strerror or str(error))
            return False
        log.info(
            "aof.rewritten",
            size_bytes=outcome.size_bytes,
            elapsed_ms=int(outcome.duration_s * 1000),
            copied_bytes=outcome.copied_bytes,
        )
        names = self._removable()
        if names:
            # It can take long for large files; no other rewrite begins meanwhile.
            await trio.to_thread.run_sync(remove_history, self._files, names)
            self._manifest = forget_history(self._files, self._manifest)
        return True

    def _adopt_base(self, ended: Ended) -> None:
        """Make the base that the child wrote the dataset, with what has been gathered since.

        Raises:
            DirectoryNotSyncedError: it is, but after a crash of the machine it may not be.
            OSError: it is not; what was the dataset still is.
        """
        aof, files = self._log, self._files
        manifest = self._manifest.with_base(files.name, is_rdb=ended.is_rdb)
        assert manifest.base is not None
        files.rename(files.temporary_base_name(ended.pid), manifest.base.name)
        renamed = [manifest.base.name]
        try:
            if aof.state is AofState.AWAITING_REWRITE:
                manifest = manifest.with_increments_rewritten(but_last=False)
                manifest = manifest.with_increment(files.name)
                self._writer.flush(is_forced=True)
                files.rename(files.temporary_increment_name, manifest.increments[-1].name)
                renamed.append(manifest.increments[-1].name)
            else:
                is_on = aof.state is AofState.ON
                manifest = manifest.with_increments_rewritten(but_last=is_on)
            files.write_manifest(manifest.format())
        except DirectoryNotSyncedError:
            self._take_over(manifest, ended)
            aof.failed_syncs += 1
            raise
        except OSError:
            for name in renamed:
                files.remove(name)
            raise
        self._take_over(manifest, ended)
        aof.mended_syncs = self._syncs_to_mend

    def _take_over(self, manifest: Manifest, ended: Ended) -> None:
        """Go by `manifest`, which is the one in the directory now."""
        aof = self._log
        self._manifest = manifest
        if aof.state is not AofState.OFF:
            aof.base_bytes = aof.current_bytes = ended.outcome.size_bytes + aof.file_bytes
            aof.state = AofState.ON
        self._engine.wake(WAIT_REASON)

    # --- history ---------------------------------------------------------------------------------

    def collect_history(self) -> None:
        """See `AofPort`."""
        names = self._removable()
        if names:
            remove_history(self._files, names)
            self._manifest = forget_history(self._files, self._manifest)

    def _removable(self) -> list[str]:
        if self._engine.configuration[directives.AOF_DISABLE_AUTO_GC]:
            return []
        return [each.name for each in self._manifest.history]

    # --- loading at run time ---------------------------------------------------------------------

    def reload(self) -> None:
        """See `AofPort`."""
        engine, aof = self._engine, self._log
        if aof.state is AofState.OFF:
            self._files = self._found_files()
        else:
            self._writer.flush(is_forced=True)
        manifest = read_manifest(self._files)
        sinks = list(engine.sinks)
        engine.sinks.clear()
        engine.keyspace.clear()
        engine.scripting.functions.flush()
        engine.begin_loading(self._clock_ms())
        try:
            load = AofLoad(engine, self._files, manifest)
            load.run_at_once()
        finally:
            engine.end_loading()
            engine.sinks += sinks
        self._manifest = manifest
        engine.keyspace.dirty = 0
        log.info("aof.reloaded", keys=engine.keyspace.key_count(), size_bytes=load.total_bytes)

    def _drop_temporary_increment(self) -> None:
        files = self._files
        self._writer.drop()
        self._log.stop_gathering()
        try:
            files.remove(files.temporary_increment_name)
        except OSError as error:
            log.warning("aof.leftover_stays", error=error.strerror)


def _read_manifest_or_fail(files: AofFiles) -> Manifest:
    """Read the manifest for who can't begin without; raise OSError in LoadError's place."""
    try:
        return read_manifest(files)
    except LoadError as error:
        raise OSError(str(error)) from error
