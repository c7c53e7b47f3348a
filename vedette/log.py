"""Logging of every program: structlog, one line an event, to standard output or a file.

An event is a constant `noun.past_tense` with keys beside it; `timestamp` is one of them where the
line is written later than what it tells of. On a terminal the lines are coloured;
elsewhere they are plain `key=value` text that `grep` and log shippers take, or JSON. Values and
passwords are never logged.

Nothing ends for want of a log: a line that cannot be written is lost and counted.
"""

from __future__ import annotations

import logging
import os
import sys
import syslog
from collections.abc import Callable, MutableMapping
from dataclasses import dataclass
from typing import Any, Final, TextIO, cast

import structlog

from .conf.program import (
    SYSLOG_ENABLED,
    SYSLOG_FACILITIES,
    SYSLOG_FACILITY,
    SYSLOG_IDENT,
)
from .conf.settings import Directive

#: Redis' names of log levels, by what they let through.
LEVELS: Final = {
    "debug": logging.DEBUG,
    "verbose": logging.INFO,
    "notice": logging.INFO,
    "warning": logging.WARNING,
    "nothing": logging.CRITICAL,  # which nothing here is logged at
}


#: What the names of `syslog-facility` stand for.
_FACILITIES: Final = {name: getattr(syslog, f"LOG_{name.upper()}") for name in SYSLOG_FACILITIES}
_PRIORITIES: Final = {
    "debug": syslog.LOG_DEBUG,
    "info": syslog.LOG_INFO,
    "warning": syslog.LOG_WARNING,
}


@dataclass(frozen=True, slots=True)
class Syslog:
    """The system's log, as a second place for every line."""

    ident: str
    #: One of `SYSLOG_FACILITIES`.
    facility: str

    # Any: a directive's value is of its own type.
    @classmethod
    def configured(cls, value_of: Callable[[Directive[Any]], Any]) -> Syslog | None:
        """Return what the directives say, or None without `syslog-enabled`."""
        if not value_of(SYSLOG_ENABLED):
            return None
        return cls(value_of(SYSLOG_IDENT), value_of(SYSLOG_FACILITY))


def configure_logging(
    level: str = "notice",
    file: str = "",
    system: Syslog | None = None,
    log_format: str = "console",
) -> None:
    """Set up logging for the process: `level` as Redis names them, `file` empty for stdout.

    `log_format` is `console` (coloured on a terminal, logfmt elsewhere), `logfmt` or `json`.
    With `system` every line goes to the system's log as well. May be called again (CONFIG SET
    loglevel).
    """
    output = _Output(file)
    renderer: Any  # structlog's renderers share no public type
    if log_format == "json":
        renderer = structlog.processors.JSONRenderer()
    elif log_format == "console" and not file and sys.stdout is not None and sys.stdout.isatty():
        # Not rich's: it would show what variables held, and so values and passwords.
        renderer = structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback)
    else:
        renderer = structlog.processors.LogfmtRenderer(
            key_order=["timestamp", "pid", "level", "event"], bool_as_flag=False
        )
    copies = []
    if system is not None:
        syslog.openlog(system.ident, syslog.LOG_PID, _FACILITIES[system.facility])
        copies.append(_copy_to_syslog)
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.format_exc_info,
            *copies,
            structlog.processors.MaybeTimeStamper(fmt="iso", utc=True),
            _add_pid,
            output.add_lost,
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(LEVELS[level]),
        # It is asked for no more than `write` and `flush`.
        logger_factory=structlog.WriteLoggerFactory(cast("TextIO", output)),
        cache_logger_on_first_use=False,
    )


def check_log_file(path: str) -> None:
    """See at the start whether there can be a log at `path` (empty: standard output).

    Raises:
        OSError: it cannot be opened for appending.
    """
    if path:
        with open(path, "ab"):
            pass


class _Output:
    """Writes lines to the file at `path`, or to standard output where that is empty.

    The file is opened for each line, as Redis does: so it may be moved away, and logrotate needs to
    tell nobody. What cannot be written (the disk is full, nobody reads the pipe any more) is lost,
    for a server without a log is better than none; the next line that can be says how many were.
    """

    def __init__(self, path: str) -> None:
        if not path and sys.stdout is None:  # closed by whoever has started us
            path = os.devnull
        self._path = os.path.abspath(path) if path else ""
        self._lost_count = 0

    def write(self, text: str) -> None:
        """Write a line, whose end is part of it."""
        try:
            # Unbuffered: what was not written is not to be tried again at an odd moment.
            is_file = bool(self._path)
            place = self._path if is_file else sys.stdout.fileno()
            with open(place, "ab", buffering=0, closefd=is_file) as output:
                output.write(text.encode("utf-8", "backslashreplace"))
        except OSError:
            self._lost_count += 1
        else:
            self._lost_count = 0

    def flush(self) -> None:
        """Nothing is kept back."""

    def add_lost(
        self, _logger: object, _method: str, event: MutableMapping[str, Any]
    ) -> MutableMapping[str, Any]:
        """Have a line say how many before it are missing."""
        if self._lost_count:
            event["lost_lines"] = self._lost_count
        return event


def _add_pid(
    _logger: object, _method: str, event: MutableMapping[str, Any]
) -> MutableMapping[str, Any]:
    event["pid"] = os.getpid()
    return event


_RENDER_FOR_SYSLOG = structlog.processors.LogfmtRenderer(
    key_order=["level", "event"], bool_as_flag=False
)


def _copy_to_syslog(
    logger: object, method: str, event: MutableMapping[str, Any]
) -> MutableMapping[str, Any]:
    """Send a line to the system's log, which adds time and pid itself."""
    line = _RENDER_FOR_SYSLOG(logger, method, dict(event))
    syslog.syslog(_PRIORITIES.get(event["level"], syslog.LOG_ERR), str(line))
    return event
