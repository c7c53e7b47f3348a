"""Logging of every program: structlog, one line an event, to standard output or a file.

An event is a constant `noun.past_tense` with keys beside it; `timestamp` is one of them where the
line is written later than what it tells of. On a terminal the lines are coloured;
elsewhere they are plain `key=value` text that `grep` and log shippers take, or JSON. Values and
passwords are never logged.
"""

from __future__ import annotations

import logging
import os
import sys
import syslog
from collections.abc import MutableMapping
from dataclasses import dataclass
from typing import Any, Final, TextIO

import structlog

#: Redis' names of log levels, by what they let through.
LEVELS: Final = {
    "debug": logging.DEBUG,
    "verbose": logging.INFO,
    "notice": logging.INFO,
    "warning": logging.WARNING,
    "nothing": logging.CRITICAL,  # which nothing here is logged at
}


#: Names of `syslog-facility`, as Redis has them.
FACILITIES: Final = {
    "user": syslog.LOG_USER,
    **{f"local{number}": syslog.LOG_LOCAL0 + 8 * number for number in range(8)},
}
_PRIORITIES: Final = {
    "debug": syslog.LOG_DEBUG,
    "info": syslog.LOG_INFO,
    "warning": syslog.LOG_WARNING,
}


@dataclass(frozen=True, slots=True)
class Syslog:
    """The system's log, as a second place for every line."""

    ident: str
    #: One of `FACILITIES`.
    facility: str


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

    Raises:
        OSError: `file` cannot be opened for appending.
    """
    output: TextIO = open(file, "a", encoding="utf-8", buffering=1) if file else sys.stdout  # noqa: SIM115 (kept for the life of the process)
    renderer: Any  # structlog's renderers share no public type
    if log_format == "json":
        renderer = structlog.processors.JSONRenderer()
    elif log_format == "console" and not file and sys.stdout.isatty():
        renderer = structlog.dev.ConsoleRenderer()
    else:
        renderer = structlog.processors.LogfmtRenderer(
            key_order=["timestamp", "pid", "level", "event"], bool_as_flag=False
        )
    copies = []
    if system is not None:
        syslog.openlog(system.ident, syslog.LOG_PID, FACILITIES[system.facility])
        copies.append(_copy_to_syslog)
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.format_exc_info,
            *copies,
            structlog.processors.MaybeTimeStamper(fmt="iso", utc=True),
            _add_pid,
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(LEVELS[level]),
        logger_factory=structlog.WriteLoggerFactory(output),
        cache_logger_on_first_use=False,
    )


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
