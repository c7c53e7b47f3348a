"""The append-only file of a server whose disk fails: nothing is lost, nothing comes twice."""

from __future__ import annotations

import os
import signal
from collections.abc import Awaitable, Callable, Iterable
from contextlib import nullcontext
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pytest
import trio.testing

from server.commands.debug import dataset_digest
from server.engine import ServerEngine
from server.engine.host import ShutdownRequest
from server.persistence.aof.log import AofState
from server.persistence.aof.manifest import Manifest
from server.persistence.rdb.encode import encode_records
from server.persistence.snapshot import SavedDatabase, SnapshotAux, snapshot_records
from server.runtime.append_only import AofLostError, AppendOnlyFile
from server.runtime.child_progress import SharedProgress
from server.runtime.loading import LoadError
from server.runtime.stopping import Stopping
from tests.support.engine import TestEngine
from tests.support.faulty_files import Crash, FaultyFiles, disk_full, io_error
from tests.support.waiting import wait_until, wait_until_async
from vedette.runtime.background import open_background_nursery

MISCONF = "MISCONF Errors writing to the AOF file: No space left on device"


@pytest.fixture(autouse=True)
def _in_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


class Server:
    """An engine with an append-only file in the working directory; `settle` ends a batch."""

    def __init__(self, config: str = "", *, fsync: str = "always") -> None:
        self.test = TestEngine(f"appendonly yes\nappendfsync {fsync}\n{config}")
        self.test.engine.sinks.clear()
        self.now_ms = self.test.now_ms
        self.made_files: list[FaultyFiles] = []
        self._calls_left: int | None = None
        self.settled = 0
        self.aof = AppendOnlyFile(
            self.test.engine,
            snapshot=self._snapshot,
            new_progress=SharedProgress,
            settle=self.settle,
            make_files=self._make_files,
            clock_ms=lambda: self.now_ms,
        )
        self.log = self.test.engine.aof

    @property
    def files(self) -> FaultyFiles:
        """The files in use."""
        return self.made_files[-1]

    def _make_files(self, directory: str, name: str) -> FaultyFiles:
        self.made_files.append(FaultyFiles(directory, name))
        self.files.calls_left = self._calls_left
        return self.files

    @property
    def calls_left(self) -> int | None:
        """After how many calls to the system the process is gone."""
        return self.files.calls_left

    @calls_left.setter
    def calls_left(self, count: int) -> None:
        self.files.calls_left = self._calls_left = count

    def _snapshot(self, progress: SharedProgress | None) -> Iterable[bytes]:
        databases = [
            SavedDatabase(database.index, database.values, database.expires)
            for database in self.test.engine.keyspace.databases
        ]
        aux = SnapshotAux(redis_version="7", created_at_s=1, used_memory_bytes=1, is_aof_base=True)
        return encode_records(snapshot_records(aux, databases))

    async def start(self) -> Server:
        await self.aof.load()
        await self.aof.open()
        self.files.calls.clear()
        return self

    def settle(self) -> None:
        self.settled += 1
        self.aof.flush()

    def write(self, *words: str | int) -> None:
        """Run one write in a batch of its own."""
        reply = self.test.call(*words)
        assert not isinstance(reply, Exception), reply
        self.settle()

    def digest(self) -> bytes:
        return dataset_digest(self.test.engine.keyspace.databases)

    def advance(self, milliseconds: int) -> None:
        self.now_ms += milliseconds
        self.test.advance(milliseconds)

    def manifest(self) -> list[str]:
        text = Path(self.files.path(self.files.manifest_name)).read_text()
        return [line.split()[1] for line in text.splitlines()]


async def restarted(config: str = "") -> Server:
    """Return a server that has loaded what is on the disk."""
    return await Server(config).start()


async def rewrite(server: Server) -> None:
    """Have a rewrite run to its end."""
    async with open_background_nursery() as nursery:
        nursery.start_soon(server.aof.run)
        server.aof.rewrite()
        await wait_until_async(lambda: not server.log.rewrite.is_in_progress, 10, "the rewrite")


# --- what is written when -------------------------------------------------------------------------


async def test_a_batch_is_written_once_and_synced_once_before_its_replies() -> None:
    """The group commit: all who wrote in one batch share an fsync."""
    server = await Server().start()
    for number in range(20):
        server.test.call("SET", f"k{number}", number, session=server.test.connect())
    assert server.files.calls == []
    server.settle()

    assert server.files.calls == ["write", "sync"]
    server.settle()
    assert server.files.calls == ["write", "sync"]
    assert (await restarted()).digest() == server.digest()


async def test_everysec_syncs_on_a_thread_once_a_second() -> None:
    """Writing happens at once all the same."""
    server = await Server(fsync="everysec").start()
    async with open_background_nursery() as nursery:
        nursery.start_soon(server.aof.run)
        server.write("SET", "a", "1")
        await wait_until_async(lambda: server.log.is_all_synced, 5, "the first fsync")
        server.write("SET", "a", "2")
        assert server.files.calls == ["write", "sync", "write"]
        server.advance(999)
        server.settle()
        assert not server.log.is_all_synced
        server.advance(1)
        server.settle()
        await wait_until_async(lambda: server.log.is_all_synced, 5, "the second fsync")

    assert server.files.calls == ["write", "sync", "write", "sync"]


async def test_a_slow_fsync_delays_writes_for_two_seconds_and_never_the_loop() -> None:
    """After that the write happens whether or not the fsync is done."""
    server = await Server(fsync="everysec").start()
    server.files.may_sync.clear()
    async with open_background_nursery() as nursery:
        nursery.start_soon(server.aof.run)
        server.write("SET", "a", "1")
        await wait_until_async(lambda: server.aof.pending_sync_count == 1, 5, "the fsync to begin")
        await trio.testing.wait_all_tasks_blocked()
        server.write("SET", "a", "2")
        server.advance(1999)
        server.write("SET", "a", "3")
        assert server.files.calls.count("write") == 1
        assert server.log.buffered_bytes
        server.advance(1)
        server.settle()
        assert server.files.calls.count("write") == 2
        assert (server.log.buffered_bytes, server.log.delayed_count) == (0, 1)
        server.files.may_sync.set()

    server.aof.finish()
    assert (await restarted()).digest() == server.digest()


async def test_no_fsync_while_a_child_writes_if_so_configured() -> None:
    """`no-appendfsync-on-rewrite` trades safety for latency, even with `always`."""
    server = Server("no-appendfsync-on-rewrite yes")
    server.aof._writer._has_child = lambda: True
    await server.start()
    server.write("SET", "a", "1")

    assert server.files.calls == ["write"]


# --- what fails -----------------------------------------------------------------------------------


@pytest.mark.parametrize("room_bytes", [0, 7])
async def test_with_always_a_failed_write_is_the_end(room_bytes: int) -> None:
    """No reply may leave any more: every later attempt to end a batch fails, too."""
    server = await Server().start()
    server.write("SET", "a", "1")
    server.files.write_error, server.files.room_bytes = disk_full(), room_bytes
    server.test.call("SET", "a", "2")
    with pytest.raises(AofLostError, match="No space left on device"):
        server.settle()
    server.files.write_error = None
    with pytest.raises(AofLostError):
        server.settle()

    server.aof.finish()
    assert (await restarted()).test.call("GET", "a") == b"1"


async def test_with_always_a_failed_fsync_is_the_end() -> None:
    """What was written may be on the disk or not."""
    server = await Server().start()
    server.files.sync_error = io_error()
    server.test.call("SET", "a", "2")
    for _ in range(2):
        with pytest.raises(AofLostError, match="Input/output error"):
            server.settle()


@pytest.mark.parametrize("room_bytes", [0, 7, 30])
async def test_a_full_disk_refuses_writes_and_loses_nothing(room_bytes: int) -> None:
    """What was accepted before is kept, tried again each second, and written exactly once."""
    server = await Server(fsync="everysec").start()
    server.write("RPUSH", "l", "0")
    server.files.write_error, server.files.room_bytes = disk_full(), room_bytes
    for number in (1, 2):
        server.test.call("RPUSH", "l", number)
    server.settle()

    assert server.test.error("RPUSH", "l", "3") == MISCONF
    assert server.test.error("PING") == MISCONF
    assert server.test.call("LLEN", "l") == 3
    assert b"aof_last_write_status:err" in server.test.call("INFO", "persistence")
    assert (await restarted()).test.call("LLEN", "l") == 1  # a crash now loses no more than this
    server.files.write_error = None
    server.advance(500)
    server.settle()
    assert server.test.error("RPUSH", "l", "3") == MISCONF
    server.advance(500)
    server.settle()
    server.write("RPUSH", "l", "3")
    assert (await restarted()).test.call("LRANGE", "l", 0, -1) == [b"0", b"1", b"2", b"3"]


async def test_a_short_write_that_cannot_be_taken_back_is_gone_on_with() -> None:
    """The rest follows where the first part ended, not the whole once more."""
    server = await Server(fsync="no").start()
    server.files.write_error, server.files.room_bytes = disk_full(), 12
    server.files.truncate_error = io_error()
    server.write("RPUSH", "l", "0")
    server.files.write_error = None
    server.advance(1000)
    server.settle()

    assert server.log.buffered_bytes == 0
    assert (await restarted()).test.call("LRANGE", "l", 0, -1) == [b"0"]


async def test_a_failed_fsync_refuses_writes_and_asks_for_a_rewrite() -> None:
    """Linux forgets the pages of a failed fsync, so that the next proves nothing about them."""
    server = await Server(fsync="everysec").start()
    server.files.sync_error = io_error()
    async with open_background_nursery() as nursery:
        nursery.start_soon(server.aof.run)
        server.write("SET", "a", "1")
        await wait_until_async(lambda: bool(server.log.error), 5, "the fsync to fail")
        text = "MISCONF Errors writing to the AOF file: Input/output error"
        assert server.test.error("SET", "a", "2") == text
        server.files.sync_error = None
        server.advance(1000)
        server.settle()
        await wait_until_async(lambda: not server.log.error, 5, "an fsync to succeed")
        server.write("SET", "a", "3")
        server.aof.tick()
        await wait_until_async(lambda: not server.log.rewrite.is_in_progress, 10, "the rewrite")

    assert not server.log.is_suspect
    assert server.manifest() == ["appendonly.aof.2.base.rdb", "appendonly.aof.2.incr.aof"]


@pytest.mark.parametrize(("ignores", "is_end"), [("no", True), ("yes", False)])
async def test_a_replica_that_cannot_write_ends_unless_told_otherwise(
    ignores: str, is_end: bool
) -> None:
    """It cannot refuse what its master sends, and would acknowledge what it has not."""
    config = f"replica-ignore-disk-write-errors {ignores}"
    server = await Server(config, fsync="everysec").start()
    server.test.engine.set_role(is_replica=True, is_read_only=False)
    server.files.write_error = disk_full()
    server.test.call("SET", "a", "1")
    if is_end:
        with pytest.raises(AofLostError):
            server.settle()
    else:
        server.settle()
        assert server.log.error


# --- rewriting ------------------------------------------------------------------------------------


@pytest.mark.parametrize("preamble", ["yes", "no"])
async def test_a_rewrite_leaves_one_base_and_what_came_after(preamble: str) -> None:
    """What is written while the child works is in the increment that was begun with it."""
    server = await Server(f"aof-use-rdb-preamble {preamble}").start()
    for number in range(100):
        server.write("RPUSH", "l", number)
    async with open_background_nursery() as nursery:
        nursery.start_soon(server.aof.run)
        server.aof.rewrite()
        server.write("RPUSH", "l", "during")
        await wait_until_async(lambda: not server.log.rewrite.is_in_progress, 10, "the rewrite")
    server.write("RPUSH", "l", "after")

    suffix = {"yes": "rdb", "no": "aof"}[preamble]
    assert server.manifest() == [f"appendonly.aof.2.base.{suffix}", "appendonly.aof.2.incr.aof"]
    assert sorted(os.listdir("appendonlydir")) == sorted(
        [*server.manifest(), "appendonly.aof.manifest"]
    )
    assert (await restarted()).digest() == server.digest()


async def test_a_rewrite_whose_manifest_cannot_be_written_changes_nothing() -> None:
    """The files before stay the dataset, and no base stands beside them."""
    server = await Server().start()
    server.write("SET", "a", "1")
    async with open_background_nursery() as nursery:
        nursery.start_soon(server.aof.run)
        server.aof.rewrite()
        server.files.manifest_error = disk_full()
        await wait_until_async(lambda: not server.log.rewrite.is_in_progress, 10, "the rewrite")
        assert not server.log.rewrite.is_last_ok
        with pytest.raises(OSError, match="No space"):
            server.aof.rewrite()
    server.files.manifest_error = None
    server.write("SET", "b", "1")

    assert "appendonly.aof.2.base.rdb" not in os.listdir("appendonlydir")
    assert (await restarted()).digest() == server.digest()


@pytest.mark.parametrize("is_new", [False, True])
async def test_a_rewrite_whose_directory_cannot_be_synced_keeps_the_files_of_both_manifests(
    is_new: bool,
) -> None:
    """After a crash of the machine either may be there; another rewrite settles it."""
    server = await Server().start()
    server.write("SET", "a", "1")
    if is_new:
        server.aof.turn_off()
    before = content("appendonly.aof.manifest")
    async with open_background_nursery() as nursery:
        nursery.start_soon(server.aof.run)
        if is_new:
            server.aof.turn_on()
        else:
            server.aof.rewrite()
            before = content("appendonly.aof.manifest")
        server.files.directory_error = io_error()
        await wait_until_async(lambda: not server.log.rewrite.is_in_progress, 10, "the rewrite")
        server.files.directory_error = None
        assert not server.log.rewrite.is_last_ok
        server.write("SET", "b", "1")
        files = everything()
        assert (await restarted()).digest() == server.digest()
        restore({**files, "appendonly.aof.manifest": before})
        assert (await restarted()).test.call("GET", "a") == b"1"
        restore(files)
        server.aof.tick()
        await wait_until_async(lambda: not server.log.rewrite.is_in_progress, 10, "the next")

    assert server.log.rewrite.is_last_ok
    assert sorted([*server.manifest(), "appendonly.aof.manifest"]) == sorted(everything())
    assert (await restarted()).digest() == server.digest()


async def test_a_rewrite_makes_up_for_no_fsync_that_fails_after_it_began() -> None:
    """What that fsync was for is in the increment, not in the base."""
    server = await Server(fsync="everysec").start()
    async with open_background_nursery() as nursery:
        nursery.start_soon(server.aof.run)
        server.aof.rewrite()
        assert server.aof.child_pid is not None
        os.kill(server.aof.child_pid, signal.SIGSTOP)
        server.files.sync_error = io_error()
        server.write("SET", "a", "1")
        await wait_until_async(lambda: bool(server.log.error), 5, "the fsync to fail")
        os.kill(server.aof.child_pid, signal.SIGCONT)
        await wait_until_async(lambda: not server.log.rewrite.is_in_progress, 10, "the rewrite")

    assert server.log.rewrite.is_last_ok
    assert server.log.is_suspect


async def test_no_base_stays_of_a_rewrite_that_came_to_nothing() -> None:
    """One of gigabytes would take the room that the disk may lack, until the next start."""
    server = await Server().start()
    server.write("SET", "a", "1")
    async with open_background_nursery() as nursery:
        nursery.start_soon(server.aof.run)
        server.files.rename_error = io_error()
        server.aof.rewrite()
        await wait_until_async(lambda: not server.log.rewrite.is_in_progress, 10, "the rewrite")
        assert not server.log.rewrite.is_last_ok
        assert sorted([*server.manifest(), "appendonly.aof.manifest"]) == sorted(everything())
        server.files.rename_error = None
        server.aof.rewrite()
        base = server.files.path(server.files.temporary_base_name(server.aof.child_pid or 0))
        wait_until(lambda: os.path.exists(base), 10, "the base")
        server.aof.turn_off()
        await wait_until_async(lambda: not server.log.rewrite.is_in_progress, 10, "the child's end")

    assert sorted([*server.manifest(), "appendonly.aof.manifest"]) == sorted(everything())


async def is_survived(server: Server, work: Callable[[], Awaitable[None]], steps: int) -> bool:
    """Do `work`, after `steps` of whose calls the process is gone; say whether it ended before."""
    server.calls_left = steps
    is_over = False
    try:
        await work()
        is_over = True
    except* Crash:
        pass
    return is_over


async def test_a_crash_at_any_step_of_a_rewrite_leaves_the_whole_dataset() -> None:
    """After each call to the system the process may be gone; each time a start finds all."""
    for steps in range(100):
        server = await Server().start()
        server.write("RPUSH", "l", steps)
        expected = server.digest()
        is_over = await is_survived(server, partial(rewrite, server), steps)
        assert (await restarted()).digest() == expected
        if is_over:
            break
    assert steps > 5


async def turn_on(server: Server) -> None:
    async with open_background_nursery() as nursery:
        nursery.start_soon(server.aof.run)
        server.aof.turn_on()
        await wait_until_async(lambda: not server.log.rewrite.is_in_progress, 10, "the rewrite")


async def test_a_crash_at_any_step_of_turning_on_leaves_the_old_dataset_or_the_new() -> None:
    """Until the first base is in the manifest, what was there before is what a start loads."""
    for steps in range(100):
        server = await Server().start()
        server.write("SET", "generation", steps)
        server.aof.turn_off()
        server.test.call("SET", "generation", "new")
        is_over = await is_survived(server, partial(turn_on, server), steps)
        value = (await restarted()).test.call("GET", "generation")
        assert value in ((b"new",) if is_over else (b"%d" % steps, b"new"))
        if is_over:
            break
    assert steps > 4


async def test_effects_wait_for_the_rewrite_that_makes_the_file_exist() -> None:
    """Turned on at run time; a rewrite that fails is followed by another."""
    server = Server()
    server.test.call("SET", "before", "1")
    async with open_background_nursery() as nursery:
        nursery.start_soon(server.aof.run)
        server.aof.turn_on()
        assert server.log.state is AofState.AWAITING_REWRITE
        server.write("SET", "during", "1")
        assert server.aof.child_pid is not None
        os.kill(server.aof.child_pid, 9)
        await wait_until_async(lambda: not server.log.rewrite.is_in_progress, 10, "the child's end")
        if server.log.state is not AofState.ON:  # unless it was done already
            assert server.log.rewrite.is_scheduled
            assert "temp-appendonly.aof.incr" not in os.listdir("appendonlydir")
            server.aof.tick()
            await wait_until_async(lambda: server.log.state is AofState.ON, 10, "the second")
        server.write("SET", "after", "1")
    assert (await restarted()).digest() == server.digest()


async def test_turning_off_stops_the_rewrite_and_keeps_the_files() -> None:
    """They are as of that moment."""
    server = await Server().start()
    server.write("SET", "a", "1")
    expected = server.digest()
    async with open_background_nursery() as nursery:
        nursery.start_soon(server.aof.run)
        server.aof.rewrite()
        server.aof.turn_off()
        server.test.call("SET", "b", "1")
        server.settle()
        await wait_until_async(lambda: not server.log.rewrite.is_in_progress, 10, "the child's end")

    assert server.log.rewrite.failures == 0
    assert (await restarted()).digest() == expected


async def test_turning_off_ends_the_waits_for_the_file() -> None:
    """Nothing will be synced any more; who waits for replicas alone goes on waiting."""
    server = await Server(fsync="no").start()
    test = server.test
    waiting, for_replicas = test.connect(), test.connect()
    server.write("SET", "a", "1")
    assert test.send(b"WAITAOF 1 0 0\r\n", waiting) == b""
    assert test.send(b"WAITAOF 0 1 0\r\n", for_replicas) == b""

    server.aof.turn_off()
    test.engine.end_batch()

    assert b"".join(waiting.outbox).startswith(b"-ERR WAITAOF cannot be used when numlocal is set")
    assert for_replicas.outbox == []
    assert for_replicas.blocked is not None


@dataclass
class Stopper:
    """What a shutdown asks of the process; notes when it saves."""

    engine: ServerEngine
    saves: int = 0

    def save(self) -> None:
        self.saves += 1

    def abort_background_save(self) -> None:
        """There is none."""


async def test_a_shutdown_gives_the_rewrite_up_before_it_saves() -> None:
    """Both would take turns at the disk, and the rewrite comes to nothing anyway."""
    server = await Server().start()
    server.write("SET", "a", "1")
    stopper = Stopper(server.test.engine)
    stopping = Stopping(stopper, lambda: None)
    async with open_background_nursery() as nursery:
        nursery.start_soon(server.aof.run)
        server.aof.rewrite()
        assert server.aof.child_pid is not None
        os.kill(server.aof.child_pid, signal.SIGSTOP)
        stopping.request(ShutdownRequest(save=True))
        await wait_until_async(lambda: not server.log.rewrite.is_in_progress, 10, "the child's end")

    assert stopper.saves == 1
    assert server.log.rewrite.failures == 0
    assert server.manifest()[0] == "appendonly.aof.1.base.rdb"


@pytest.mark.parametrize("is_forced", [False, True])
async def test_a_shutdown_during_the_first_rewrite_has_to_be_forced(is_forced: bool) -> None:
    """No file holds the dataset yet, and who turned it on counts on one."""
    server = Server()
    ends: list[bool] = []
    stopping = Stopping(Stopper(server.test.engine), lambda: ends.append(True))
    async with open_background_nursery() as nursery:
        nursery.start_soon(server.aof.run)
        server.aof.turn_on()
        request = ShutdownRequest(save=False, is_forced=is_forced)
        with nullcontext() if is_forced else pytest.raises(OSError, match="Writing initial AOF"):
            stopping.request(request)
        await wait_until_async(lambda: not server.log.rewrite.is_in_progress, 10, "the child's end")

    assert ends == [True] * is_forced
    assert (server.log.state is AofState.ON) is not is_forced


async def test_growth_starts_a_rewrite() -> None:
    """`auto-aof-rewrite-percentage` of what there was after the last."""
    server = Server("auto-aof-rewrite-min-size 100\nauto-aof-rewrite-percentage 100")
    await server.start()
    server.aof.tick()
    assert server.aof.child_pid is None
    async with open_background_nursery() as nursery:
        nursery.start_soon(server.aof.run)
        server.write("SET", "a", "x" * 300)
        server.aof.tick()
        assert server.aof.child_pid is not None
        await wait_until_async(lambda: not server.log.rewrite.is_in_progress, 10, "the rewrite")


# --- loading --------------------------------------------------------------------------------------


def make(files: dict[str, bytes]) -> None:
    """Lay out an append-only directory; the manifest names increments in order."""
    manifest = Manifest()
    for data in files.values():
        manifest = manifest.with_increment("appendonly.aof")
        put(manifest.increments[-1].name, data)
    put("appendonly.aof.manifest", manifest.format())


def content(name: str) -> bytes:
    return Path("appendonlydir", name).read_bytes()


def put(name: str, data: bytes = b"") -> None:
    Path("appendonlydir").mkdir(exist_ok=True)
    Path("appendonlydir", name).write_bytes(data)


def restore(files: dict[str, bytes]) -> None:
    for name, data in files.items():
        put(name, data)


def everything() -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in Path("appendonlydir").iterdir()}


SET_A = b"*3\r\n$3\r\nSET\r\n$1\r\na\r\n$1\r\n1\r\n"
MULTI = b"*1\r\n$5\r\nMULTI\r\n"


@pytest.mark.parametrize("tail", [SET_A[:-1], SET_A[:1], MULTI, MULTI + SET_A, MULTI + SET_A[:9]])
async def test_a_last_file_that_ends_too_early_is_cut_off_where_it_was_whole(tail: bytes) -> None:
    """And then is written on."""
    make({"1": SET_A, "2": SET_A + tail})
    server = await restarted()

    assert content("appendonly.aof.2.incr.aof") == SET_A
    server.write("SET", "b", "1")
    assert (await restarted()).digest() == server.digest()


@pytest.mark.parametrize(
    ("files", "config", "reason"),
    [
        (
            [SET_A + SET_A[:-1]],
            "aof-load-truncated no",
            "Unexpected end of file reading the append",
        ),
        ([SET_A + SET_A[:-1], SET_A], "", "it is not the last file"),
        ([SET_A + b"!!!\r\n" + SET_A], "", "1.incr.aof: offset 27: expected"),
        ([SET_A + b"*1\r\n$3\r\nBLA\r\n"], "", "offset 27: Unknown command 'BLA'"),
        ([b"REDIS0010 and then nothing"], "", "1.incr.aof: corrupt RDB data at offset"),
    ],
)
async def test_damage_stops_the_start_with_file_and_offset(
    files: list[bytes], config: str, reason: str
) -> None:
    """Nothing on the disk is touched."""
    make({str(number): data for number, data in enumerate(files)})
    before = everything()
    with pytest.raises(LoadError, match=reason):
        await restarted(config)

    assert everything() == before


async def test_a_file_that_the_manifest_names_must_be_there() -> None:
    """To start without it would be to lose what it held."""
    make({"1": SET_A, "2": SET_A})
    os.unlink("appendonlydir/appendonly.aof.1.incr.aof")
    with pytest.raises(LoadError, match=r"1\.incr\.aof No such file or directory"):
        await restarted()


@pytest.mark.parametrize("is_interrupted", [False, True])
async def test_the_one_file_of_an_old_redis_becomes_the_first_base(is_interrupted: bool) -> None:
    """Also when a crash came between the manifest and the move."""
    put("../appendonly.aof", SET_A)
    if is_interrupted:
        put("appendonly.aof.manifest", b"file appendonly.aof seq 1 type b\n")
    server = await restarted()

    assert server.test.call("GET", "a") == b"1"
    assert server.manifest() == ["appendonly.aof", "appendonly.aof.1.incr.aof"]
    assert "appendonly.aof" not in os.listdir()


async def test_what_a_crash_left_of_a_rewrite_is_removed_and_nothing_else() -> None:
    """A server beside this one may have files in the same directory."""
    make({"1": SET_A})
    theirs = ["temp-other.aof.77", "temp-appendonly.aof.77x", "appendonly.aof.9.incr.aof"]
    ours = ["temp-appendonly.aof.77", "temp-appendonly.aof.77.base", "temp-appendonly.aof.incr"]
    for name in [*theirs, *ours]:
        put(name)
    await restarted()

    left = set(os.listdir("appendonlydir"))
    assert set(theirs) <= left
    assert not left & set(ours)


async def test_reloading_replaces_the_dataset_by_what_the_files_hold() -> None:
    """DEBUG LOADAOF, also of what is not yet flushed; replicas hear nothing of it."""
    server = await Server("enable-debug-command yes").start()
    server.test.call("SET", "a", "1")
    server.test.engine.keyspace.databases[0].set(b"unlogged", b"1")
    assert server.test.call("DEBUG", "LOADAOF") == b"OK"

    assert server.test.call("KEYS", "*") == [b"a"]
    assert server.log.is_gathering
    put("appendonly.aof.1.incr.aof", b"!!!\r\n")
    assert "offset 0" in server.test.error("DEBUG", "LOADAOF")
