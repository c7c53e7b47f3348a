"""A file's bytes without a copy: pages are read as they are needed, and can be given up."""

from __future__ import annotations

import mmap
import os

from ..persistence.rdb.lengths import RdbData


def map_file(path: str | os.PathLike[str]) -> RdbData:
    """Return what a file holds, which must not shrink as long as it is used.

    Raises:
        OSError: it cannot be read.
    """
    with open(path, "rb") as file:
        if not os.fstat(file.fileno()).st_size:
            return b""  # of nothing there is no map
        return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
