"""Logging of every program: structlog, one line an event, to standard output or a file.

An event is a constant `noun.past_tense` with keys beside it. On a terminal the lines are coloured;
elsewhere they are plain `key=value` text that `grep` and log shippers take. Values and passwords
are never logged.
"""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import MutableMapping
from typing import Any, Final, TextIO

import structlog

#: Redis' names of log levels, by what they let through.
LEVELS: Final = {
    "debug": logging.DEBUG,
    "verbose": logging.INFO,
    "notice": logging.INFO,
    "warning": logging.WARNING,
    "nothing": logging.CRITICAL + 10,
}


def configure_logging(level: str = "notice", file: str = "") -> None:
    """Set up logging for the process: `level` as Redis names them, `file` empty for stdout.

    May be called again (CONFIG SET loglevel).

    Raises:
        OSError: `file` cannot be opened for appending.
    """
    output: TextIO = open(file, "a", encoding="utf-8", buffering=1) if file else sys.stdout  # noqa: SIM115 (kept for the life of the process)
    renderer: Any  # structlog's renderers share no public type
    if not file and sys.stdout.isatty():
        renderer = structlog.dev.ConsoleRenderer()
    else:
        renderer = structlog.processors.LogfmtRenderer(
            key_order=["timestamp", "pid", "level", "event"], bool_as_flag=False
        )
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            _add_pid,
            structlog.processors.format_exc_info,
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
