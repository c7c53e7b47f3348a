"""The failovers' history over restarts: a line for each one that has ended.

Off unless the directive `history-file` names a file. Lines are handed to the kernel at once and not
fsynced: a history is for understanding. It is written anew, as short as may be, at every start and
whenever it has grown by `LINES_MAX`; so its size has a limit. When it cannot be written it ends
with one line in the log, and the sentinel goes on.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

import structlog

from sentinel.core.history import FailoverRecord, Result
from sentinel.core.model import SentinelState
from sentinel.history_lines import HistoryLineError, decode_record, encode_record
from vedette.runtime.durable_file import write_durably

log = structlog.get_logger()

LINES_MAX: Final = 1_000


class HistoryFile:
    """The file of one sentinel; an empty path keeps nothing.

    `to_unix_ms` makes Unix time of a machine time when it is added: fixed at the start, so that
    a clock that is set does not tear a record apart.
    """

    def __init__(self, path: str, state: SentinelState, to_unix_ms: int) -> None:
        self._path = path
        self._state = state
        self._to_unix_ms = to_unix_ms
        self._is_kept = bool(path)
        self._line_count = 0

    def open(self) -> None:
        """Read what is there into the masters' histories, and tidy it up."""
        if not self._is_kept:
            return
        try:
            text = Path(self._path).read_text(encoding="ascii", errors="replace")
        except FileNotFoundError:
            text = ""
        except OSError as error:
            self._end(error)
            return
        for line in text.splitlines():
            self._take_in(line)
        self._rewrite()

    def write(self, name: str) -> None:
        """Append the newest record of a master, if it has ended and a history is kept."""
        master = self._state.masters.get(name)
        if not self._is_kept or master is None or not master.history:
            return
        record = master.history[-1]
        if record.result is Result.RUNNING:
            return
        self._line_count += 1
        if self._line_count > LINES_MAX:
            self._rewrite()
            return
        try:
            with open(self._path, "a", encoding="ascii") as file:
                file.write(encode_record(name, record, self._to_unix_ms) + "\n")
        except OSError as error:
            self._end(error)

    def _take_in(self, line: str) -> None:
        try:
            name, record = decode_record(line, self._to_unix_ms)
        except HistoryLineError as error:
            log.warning("sentinel.history_line_refused", error=str(error))
            return
        master = self._state.masters.get(name)
        if master is None:
            return
        if master.history and _begun_ms(master.history[-1]) == _begun_ms(record):
            master.history.pop()  # the same failover, as it went on
        master.history.append(record)

    def _rewrite(self) -> None:
        """Leave one line for each record that is remembered."""
        lines = [
            encode_record(master.name, record, self._to_unix_ms) + "\n"
            for master in self._state.masters.values()
            for record in master.history
            if record.result is not Result.RUNNING
        ]
        self._line_count = 0
        try:
            write_durably(self._path, "".join(lines).encode("ascii"))
        except OSError as error:
            self._end(error)

    def _end(self, error: OSError) -> None:
        log.error("sentinel.history_ended", path=self._path, error=error.strerror)
        self._is_kept = False


def _begun_ms(record: FailoverRecord) -> int:
    return min(record.phases.values())
