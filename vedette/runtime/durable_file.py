"""Replacing a file so that a crash at any instant leaves the old content or the new, whole.

Owns the order of system calls: temporary file beside the target, write, fsync, rename, fsync of the
directory. It blocks for as long as the disk takes; callers in the loop decide on which thread.
"""

from __future__ import annotations

import contextlib
import glob
import os
import stat
import tempfile

_NEW_FILE_MODE = 0o644
_TEMPORARY_SUFFIX = ".tmp"


class DirectoryNotSyncedError(OSError):
    """The new content is in place, but its name may not survive: then the old is there again."""


def write_durably(path: str | os.PathLike[str], data: bytes) -> os.stat_result:
    """Replace the content of `path`; on return it survives a crash of the machine.

    Returns the new file's status as it was left (but for its times of access and of renaming).
    The permission bits of an existing file are kept; a symbolic link is followed and stays.

    Raises:
        DirectoryNotSyncedError: the last step failed: the new content is visible but may not
            survive.
        OSError: nothing was replaced.
    """
    target = os.path.realpath(path)
    directory = os.path.dirname(target)
    mode = _mode_of(target)
    descriptor, temporary = tempfile.mkstemp(
        prefix=_temporary_prefix(target), suffix=_TEMPORARY_SUFFIX, dir=directory
    )
    try:
        try:
            os.fchmod(descriptor, mode)
            _write_all(descriptor, data)
            os.fsync(descriptor)
            status = os.fstat(descriptor)
        finally:
            os.close(descriptor)
        os.rename(temporary, target)
    except OSError:
        os.unlink(temporary)
        raise
    try:
        sync_directory(directory)
    except OSError as error:
        raise DirectoryNotSyncedError(error.errno, error.strerror) from error
    return status


def remove_leftovers(path: str | os.PathLike[str]) -> None:
    """Remove the temporary files that crashes have left beside `path`; nobody may be writing it.

    One that cannot be removed does no harm and stays.
    """
    target = os.path.realpath(path)
    directory = glob.escape(os.path.dirname(target))
    pattern = f"{glob.escape(_temporary_prefix(target))}*{_TEMPORARY_SUFFIX}"
    for name in glob.glob(os.path.join(directory, pattern), include_hidden=True):
        with contextlib.suppress(OSError):
            os.unlink(name)


def _temporary_prefix(target: str) -> str:
    return f".{os.path.basename(target)}-"


def _mode_of(path: str) -> int:
    try:
        return stat.S_IMODE(os.stat(path).st_mode)
    except FileNotFoundError:
        return _NEW_FILE_MODE


def _write_all(descriptor: int, data: bytes) -> None:
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(descriptor, rest) :]


def sync_directory(directory: str) -> None:
    """Make the names in `directory` durable.

    Raises:
        OSError: it cannot be opened or synced.
    """
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
