"""The manifest as a file: reading it, making one for the file of an older Redis, removing history.

Functions of the files alone; who calls them keeps the manifest that they return.
"""

from __future__ import annotations

import os
from collections.abc import Iterable

import structlog

from ...persistence.aof.manifest import Manifest, ManifestError
from ..loading import LoadError
from .files import AofFiles

log = structlog.get_logger()


def read_manifest(files: AofFiles) -> Manifest:
    """Return what the manifest says, or an empty one if there is none.

    Raises:
        LoadError: it cannot be read, or is none.
    """
    path = files.path(files.manifest_name)
    try:
        text = files.read_manifest()
        return Manifest() if text is None else Manifest.parse(text)
    except ManifestError as error:
        raise LoadError(f"{path}: {error}") from error
    except OSError as error:
        raise LoadError(f"{path}: {error.strerror}") from error


def adopt_old_file(files: AofFiles, manifest: Manifest) -> Manifest:
    """Move the one file that Redis had before 7.0, if any, into the directory, as a base.

    Return the manifest that names it, or else `manifest`. The manifest comes first, so that a crash
    in between is made up for at the next start. Follows Redis 7.0 `aof.c: aofUpgradePrepare`.

    Raises:
        LoadError: it cannot be moved.
    """
    name = files.name
    old_path = os.path.join(os.path.dirname(files.directory), name)
    was_interrupted = [part.name for part in manifest.parts] == [name] and not files.exists(name)
    if not os.path.isfile(old_path) or (manifest.parts and not was_interrupted):
        return manifest
    try:
        files.make_directory()
        manifest = manifest.with_old_base(name)
        files.write_manifest(manifest.format())
        os.rename(old_path, files.path(name))
    except OSError as error:
        raise LoadError(f"{old_path} cannot be moved: {error.strerror}") from error
    log.info("aof.adopted", path=files.path(name))
    return manifest


def remove_history(files: AofFiles, names: Iterable[str]) -> None:
    """Remove files of history; what cannot be removed does no harm but to the disk's room."""
    for name in names:
        try:
            files.remove(name)
        except OSError as error:
            log.warning("aof.history_stays", path=files.path(name), error=error.strerror)


def forget_history(files: AofFiles, manifest: Manifest) -> Manifest:
    """Have the manifest forget what was removed, and return it so.

    What fails here is made up for by the next manifest that is written.
    """
    manifest = manifest.without_history()
    try:
        files.write_manifest(manifest.format())
    except OSError as error:
        log.warning("aof.history_not_forgotten", error=error.strerror)
    return manifest
