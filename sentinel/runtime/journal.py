"""The journal's file: every event on its way to the machine, appended as one line.

Off unless the directive `journal` names a file. Lines are handed to the kernel at once and not
fsynced: a journal is for understanding, not for recovery. When the file cannot be written the
journal ends with one line in the log, and the sentinel goes on. It grows without a limit of its
own: keep it on only while something is being looked for.
"""

from __future__ import annotations

from types import TracebackType
from typing import Self, TextIO

import structlog

from sentinel.core.events import Event
from sentinel.journal import StartRecord, encode_line

log = structlog.get_logger()


class JournalFile:
    """An open journal; a context manager that closes it. An empty path writes nothing."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._file: TextIO | None = None

    def __enter__(self) -> Self:
        if self._path:
            self._file = open(self._path, "a", encoding="ascii", buffering=1)
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None

    def write(self, record: StartRecord | Event) -> None:
        """Append `record`, if a journal is kept."""
        if self._file is None:
            return
        try:
            self._file.write(encode_line(record) + "\n")
        except OSError as error:
            log.error("sentinel.journal_ended", path=self._path, error=error.strerror)
            self._file = None
