"""Saving to a file: whole or not at all, whatever happens on the way."""

from __future__ import annotations

import os
import resource
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from server.runtime.child import ChildStatus
from server.runtime.saving import (
    save_in_foreground,
    start_background_save,
    temporary_path,
    write_chunks,
)
from tests.support.waiting import wait_until_async


def files_in(directory: Path) -> list[Path]:
    return sorted(directory.iterdir())


def failing_chunks() -> Iterator[bytes]:
    yield b"half of it"
    raise ValueError("no more")


def test_file_is_written_and_nothing_else_is_left(tmp_path: Path) -> None:
    """The temporary file becomes the file; it must not stay beside it."""
    path = tmp_path / "dump.rdb"

    size_bytes = save_in_foreground(str(path), [b"one ", b"two"])

    assert size_bytes == 7
    assert path.read_bytes() == b"one two"
    assert files_in(tmp_path) == [path]


def test_path_may_be_relative(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`dbfilename` alone names a file in the working directory, whose entry is synced too."""
    monkeypatch.chdir(tmp_path)

    save_in_foreground("dump.rdb", [b"data"])

    assert (tmp_path / "dump.rdb").read_bytes() == b"data"


def test_failed_save_keeps_the_file_before_it(tmp_path: Path) -> None:
    """The last good snapshot is what a restart needs most after a failed save."""
    path = tmp_path / "dump.rdb"
    path.write_bytes(b"old")

    with pytest.raises(ValueError, match="no more"):
        save_in_foreground(str(path), failing_chunks())

    assert path.read_bytes() == b"old"
    assert files_in(tmp_path) == [path]


def test_directory_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    """SAVE must answer an error, not OK."""
    with pytest.raises(FileNotFoundError):
        save_in_foreground(str(tmp_path / "missing" / "dump.rdb"), [b"data"])


async def test_background_save_writes_the_state_at_the_fork(tmp_path: Path) -> None:
    """What is written after the fork belongs to the stream that follows the snapshot."""
    path = tmp_path / "dump.rdb"
    state = {b"key": b"before"}

    child = start_background_save(str(path), (value for value in state.values()))
    state[b"key"] = b"after!"
    outcome = await child.wait()

    assert outcome.status is ChildStatus.SUCCEEDED
    assert outcome.size_bytes == 6
    assert outcome.error is None
    assert path.read_bytes() == b"before"
    assert files_in(tmp_path) == [path]


async def test_full_disk_fails_the_save_and_keeps_the_file_before_it(tmp_path: Path) -> None:
    """A file size limit stands for the full disk: one write comes back short, the next fails."""
    path = tmp_path / "dump.rdb"
    path.write_bytes(b"old")

    def chunks() -> Iterator[bytes]:
        resource.setrlimit(resource.RLIMIT_FSIZE, (5000, 5000))
        yield b"x" * 4000
        yield b"y" * 4000

    outcome = await start_background_save(str(path), chunks()).wait()

    assert outcome.status is ChildStatus.FAILED
    assert outcome.error is not None
    assert "File too large" in outcome.error
    assert path.read_bytes() == b"old"
    assert files_in(tmp_path) == [path]


async def test_temporary_file_of_a_killed_child_is_removed(tmp_path: Path) -> None:
    """SHUTDOWN NOSAVE and a new full synchronisation kill the child; its file would pile up."""
    path = tmp_path / "dump.rdb"

    def endless_chunks() -> Iterator[bytes]:
        yield b"the first chunk"
        signal.pause()

    child = start_background_save(str(path), endless_chunks())
    temporary = Path(temporary_path(str(path), child.pid))
    await wait_until_async(lambda: temporary.exists() and temporary.stat().st_size > 0)
    child.kill()
    outcome = await child.wait()

    assert outcome.status is ChildStatus.KILLED
    assert outcome.error is None
    assert files_in(tmp_path) == []


def test_write_chunks_goes_to_any_descriptor() -> None:
    """A diskless synchronisation writes the same chunks into a pipe."""
    reader, writer = os.pipe()

    assert write_chunks(writer, [b"one ", b"", b"two"]) == 7

    os.close(writer)
    assert os.read(reader, 100) == b"one two"
    os.close(reader)


def test_temporary_file_lies_beside_its_target() -> None:
    """A rename across file systems is not atomic."""
    assert temporary_path("/data/dump.rdb", 7) == "/data/temp-7.rdb"
    assert temporary_path("dump.rdb", 7) == "temp-7.rdb"
