"""System calls on the directory of an append-only file; tests put others in their place.

All names are of files in that directory. Every method may block for as long as the disk takes.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable

from vedette.runtime.durable_file import sync_directory, write_durably

from ...persistence.aof.reading import AofData
from ..mapped_file import map_file
from ..saving import write_chunks

_FLAGS = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC
_MODE = 0o666  # the umask narrows it


class AofFiles:
    """The files of `directory`, of an append-only file called `name` (`appendfilename`).

    Methods raise OSError, unless they say otherwise.
    """

    def __init__(self, directory: str, name: str) -> None:
        self.directory = directory
        self.name = name

    @property
    def manifest_name(self) -> str:
        """The manifest's name."""
        return f"{self.name}.manifest"

    def temporary_base_name(self, pid: int) -> str:
        """Return the name of a base that process `pid` has completed and no manifest names yet.

        The child of a server that has crashed may still be writing: its base must not be taken for
        that of the next.
        """
        return f"temp-{self.name}.{pid}.base"

    @property
    def temporary_increment_name(self) -> str:
        """The name of the increment that is gathered while the first base is made."""
        return f"temp-{self.name}.incr"

    def path(self, name: str) -> str:
        """Return the path of a file."""
        return os.path.join(self.directory, name)

    # --- the file that is written to -------------------------------------------------------------

    def open(self, name: str, *, is_new: bool) -> int:
        """Open a file for appending, emptied if `is_new`; the caller closes the descriptor."""
        return os.open(self.path(name), _FLAGS | (os.O_TRUNC if is_new else 0), _MODE)

    def write(self, descriptor: int, data: bytes | memoryview) -> int:
        """Write what can be written of `data`, and return its size."""
        return os.write(descriptor, data)

    def sync(self, descriptor: int) -> None:
        """Have everything written on the disk."""
        os.fdatasync(descriptor)

    def truncate(self, descriptor: int, size_bytes: int) -> None:
        """Cut the file off."""
        os.ftruncate(descriptor, size_bytes)

    def close(self, descriptor: int) -> None:
        """Close a descriptor."""
        os.close(descriptor)

    # --- the others ------------------------------------------------------------------------------

    def make_directory(self) -> None:
        """Make the directory unless it is there."""
        if not os.path.isdir(self.directory):
            os.mkdir(self.directory)
            sync_directory(os.path.dirname(self.directory))

    def exists(self, name: str) -> bool:
        """Say whether there is a file of that name; raises nothing."""
        return os.path.exists(self.path(name))

    def size(self, name: str) -> int:
        """Return the size of a file."""
        return os.stat(self.path(name)).st_size

    def read(self, name: str) -> AofData:
        """Return what a file holds, mapped into memory."""
        return map_file(self.path(name))

    def cut(self, name: str, size_bytes: int) -> None:
        """Cut a file off that is not open, durably."""
        descriptor = os.open(self.path(name), os.O_WRONLY | os.O_CLOEXEC)
        try:
            os.ftruncate(descriptor, size_bytes)
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    def rename(self, old: str, new: str) -> None:
        """Give a file another name."""
        os.rename(self.path(old), self.path(new))

    def remove(self, name: str) -> None:
        """Remove a file, if it is there."""
        try:
            os.unlink(self.path(name))
        except FileNotFoundError:
            pass  # removed before a crash that kept the manifest from forgetting it

    def read_manifest(self) -> bytes | None:
        """Return the text of the manifest; None: there is none."""
        try:
            with open(self.path(self.manifest_name), "rb") as file:
                return file.read()
        except (FileNotFoundError, NotADirectoryError):
            return None

    def write_manifest(self, text: bytes) -> None:
        """Replace the manifest. When it returns, the manifest and the names of all files made
        before are on the disk.

        Raises:
            DirectoryNotSyncedError: it is replaced, but after a crash of the machine it may be the
                one before that is there.
        """
        write_durably(self.path(self.manifest_name), text)

    # --- bases -----------------------------------------------------------------------------------

    def partial_base_path(self, pid: int) -> str:
        """Return where process `pid` writes a base, as long as it is not complete."""
        return self.path(f"temp-{self.name}.{pid}")

    def write_base(self, chunks: Iterable[bytes]) -> int:
        """Write a whole base under this process' `temporary_base_name`, synced; return its size."""
        pid = os.getpid()
        partial = self.partial_base_path(pid)
        try:
            descriptor = os.open(partial, _FLAGS | os.O_TRUNC, _MODE)
            try:
                size_bytes = write_chunks(descriptor, chunks)
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
            os.rename(partial, self.path(self.temporary_base_name(pid)))
        except BaseException:
            self.remove(os.path.basename(partial))
            raise
        return size_bytes

    def remove_leftovers(self) -> None:
        """Remove what rewrites that a crash has ended left behind; nobody may be rewriting.

        What cannot be removed does no harm and stays.
        """
        name = re.escape(self.name)
        leftover = re.compile(rf"temp-{name}\.(\d+(\.base)?|incr)|\.{name}\.manifest-.*\.tmp")
        try:
            names = os.listdir(self.directory)
        except FileNotFoundError:
            return
        for each in names:
            if leftover.fullmatch(each):
                try:
                    os.unlink(self.path(each))
                except OSError:
                    continue
