"""The ledger's file: of one size, its bytes overwritten in place and synced one record at a time.

Owns the file beside the sentinel's own, and where the next record goes. Its blocks are written once
before they are used, so that a record changes nothing but their content, and reaches the disk in
one write. Each record begins at a sector of its own: one that is torn harms none before it.
"""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from typing import Final

from sentinel.ledger import LedgerRecord, decode_records, encode_record
from vedette.runtime.durable_file import sync_directory

SIZE_BYTES: Final = 64 * 1024
_SECTOR_BYTES: Final = 512


def ledger_path(path: str) -> str:
    """Where the ledger of the sentinel's file at `path` is."""
    return f"{os.path.realpath(path)}.ledger"


def read_ledger(path: str) -> list[LedgerRecord]:
    """Return what the ledger beside `path` holds, nothing if there is none.

    Raises:
        OSError: it cannot be read.
    """
    try:
        return decode_records(Path(ledger_path(path)).read_bytes())
    except FileNotFoundError:
        return []


class LedgerFile:
    """The ledger of the sentinel's file at `path`, to be written by one process alone."""

    def __init__(self, path: str) -> None:
        self.path = ledger_path(path)
        self._descriptor: int | None = None
        self._inode = 0
        self._position = 0

    def begin(self) -> None:
        """The sentinel's file says all: let records go to the beginning again. Blocks.

        Raises:
            OSError: there is no ledger, and none can be made.
        """
        self._position = 0
        if self._descriptor is None or not self._is_in_place():
            self.close()
            self._open()

    def _open(self) -> None:
        descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            status = os.fstat(descriptor)
            if status.st_size != SIZE_BYTES:
                os.ftruncate(descriptor, 0)
                _write_at(descriptor, bytes(SIZE_BYTES), 0)
                os.fsync(descriptor)
                sync_directory(os.path.dirname(self.path))
        except BaseException:
            os.close(descriptor)
            raise
        self._descriptor, self._inode = descriptor, status.st_ino

    def append(self, record: LedgerRecord) -> bool:
        """Make a record durable; False if it cannot be, for it has no place. Blocks.

        Raises:
            OSError: it is not certain to be on disk.
        """
        line = encode_record(record)
        size = -(-len(line) // _SECTOR_BYTES) * _SECTOR_BYTES
        if self._descriptor is None or self._position + size > SIZE_BYTES:
            return False
        if not self._is_in_place():
            return False
        _write_at(self._descriptor, line.ljust(size), self._position)
        os.fdatasync(self._descriptor)
        self._position += size
        return True

    def _is_in_place(self) -> bool:
        """Whether a start would find the file that we write."""
        try:
            return os.stat(self.path).st_ino == self._inode
        except FileNotFoundError:
            return False

    def close(self) -> None:
        """Leave the file as it is."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def remove(self) -> None:
        """Take the file away: the sentinel's own says all, and is going to be left alone.

        Raises:
            OSError: it cannot be removed; it does no harm.
        """
        if self._descriptor is not None:
            self.close()
            with contextlib.suppress(FileNotFoundError):
                os.unlink(self.path)


def _write_at(descriptor: int, data: bytes, position: int) -> None:
    rest = memoryview(data)
    while rest:
        written = os.pwrite(descriptor, rest, position)
        rest, position = rest[written:], position + written
