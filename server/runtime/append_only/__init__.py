"""The append-only file of a running server: files, writer and fsyncs, rewriting, loading."""

from __future__ import annotations

from .append_only_file import AppendOnlyFile
from .files import AofFiles
from .writer import AofLostError

__all__ = ["AofFiles", "AofLostError", "AppendOnlyFile"]
