"""An append-only file's files with faults as a test sets them: full disks, slow fsyncs, crashes."""

from __future__ import annotations

import errno
import os
import threading

from server.runtime.append_only import AofFiles
from vedette.runtime.durable_file import DirectoryNotSyncedError

__all__ = ["Crash", "FaultyFiles", "disk_full", "io_error"]


class Crash(BaseException):
    """The process is gone in the middle of what it did; nothing after it happens."""


def disk_full() -> OSError:
    return OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def io_error() -> OSError:
    return OSError(errno.EIO, os.strerror(errno.EIO))


class FaultyFiles(AofFiles):
    """Real files, whose calls are noted in `calls` and fail as the test says."""

    def __init__(self, directory: str, name: str) -> None:
        super().__init__(directory, name)
        #: Names of the calls that change something, in order.
        self.calls: list[str] = []
        self.write_error: OSError | None = None
        #: How many bytes of a write succeed before `write_error` strikes.
        self.room_bytes = 0
        self.sync_error: OSError | None = None
        self.truncate_error: OSError | None = None
        self.manifest_error: OSError | None = None
        #: Strikes when the manifest is replaced already.
        self.directory_error: OSError | None = None
        self.rename_error: OSError | None = None
        #: While cleared, an fsync does not return.
        self.may_sync = threading.Event()
        self.may_sync.set()
        #: The number of calls after which the process is gone; None: never.
        self.calls_left: int | None = None

    def _note(self, call: str) -> None:
        if self.calls_left is not None:
            if not self.calls_left:
                raise Crash
            self.calls_left -= 1
        self.calls.append(call)

    def open(self, name: str, *, is_new: bool) -> int:
        self._note("open")
        return super().open(name, is_new=is_new)

    def write(self, descriptor: int, data: bytes | memoryview) -> int:
        self._note("write")
        if self.write_error is None:
            return super().write(descriptor, data)
        if not self.room_bytes:
            raise self.write_error
        written = super().write(descriptor, data[: self.room_bytes])
        self.room_bytes -= written
        return written

    def sync(self, descriptor: int) -> None:
        self._note("sync")
        assert self.may_sync.wait(10)
        if self.sync_error is not None:
            raise self.sync_error
        super().sync(descriptor)

    def truncate(self, descriptor: int, size_bytes: int) -> None:
        self._note("truncate")
        if self.truncate_error is not None:
            raise self.truncate_error
        super().truncate(descriptor, size_bytes)

    def rename(self, old: str, new: str) -> None:
        self._note("rename")
        if self.rename_error is not None:
            raise self.rename_error
        super().rename(old, new)

    def remove(self, name: str) -> None:
        self._note("remove")
        super().remove(name)

    def write_manifest(self, text: bytes) -> None:
        self._note("manifest")
        if self.manifest_error is not None:
            raise self.manifest_error
        super().write_manifest(text)
        if self.directory_error is not None:
            raise DirectoryNotSyncedError(*self.directory_error.args)
