"""Saving a snapshot to a file: the blocking file work, here or in a forked child.

What is written is an iterable of byte chunks; where they come from (`persistence.rdb.encode`, as
a rule) is not known here. Reference behaviour: redis rdb.c: rdbSave, rdbSaveBackground.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from contextlib import suppress

from vedette.runtime.durable_file import sync_directory

from .child import Child, start_child


def temporary_path(path: str, pid: int) -> str:
    """Return where process `pid` writes a snapshot that is to become `path`."""
    return os.path.join(os.path.dirname(path), f"temp-{pid}.rdb")


def save_in_foreground(path: str, chunks: Iterable[bytes]) -> int:
    """Write `chunks` to `path`, whole or not at all, and return their size in bytes.

    Blocks. When it returns, both the file and its name are on the disk. When it raises, what was
    at `path` before is still there (or, if it was the directory that could not be synced, the
    whole of the new file).

    Raises:
        OSError: the file could not be written.
    """
    temporary = temporary_path(path, os.getpid())
    try:
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC
        descriptor = os.open(temporary, flags, 0o666)  # the umask narrows it, as for Redis
        try:
            size_bytes = write_chunks(descriptor, chunks)
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        os.rename(temporary, path)
        sync_directory(os.path.dirname(path) or ".")
    except BaseException:
        _remove_if_there(temporary)
        raise
    return size_bytes


def write_chunks(descriptor: int, chunks: Iterable[bytes]) -> int:
    """Write all of `chunks` to a blocking `descriptor` and return their size in bytes."""
    size_bytes = 0
    for chunk in chunks:
        written = os.write(descriptor, chunk)
        if written < len(chunk):
            _write_rest(descriptor, memoryview(chunk)[written:])
        size_bytes += len(chunk)
    return size_bytes


def _write_rest(descriptor: int, rest: memoryview) -> None:
    while rest:
        rest = rest[os.write(descriptor, rest) :]


def _remove_if_there(path: str) -> None:
    with suppress(FileNotFoundError):
        os.unlink(path)


def start_background_save(path: str, chunks: Iterable[bytes]) -> Child:
    """Fork a child that does `save_in_foreground(path, chunks)`.

    `chunks` is consumed by the child alone, so a generator must not have been started. What it
    reads is the state at the time of this call.

    Raises:
        OSError: the system refused to fork.
    """
    return start_child(
        lambda: save_in_foreground(path, chunks),
        leftover=lambda pid: temporary_path(path, pid),
    )
