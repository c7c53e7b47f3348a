"""Directives that are known and change nothing.

`WITHOUT_EFFECT` are accepted so that a file written for Redis starts a server as it is; each tunes
something that is absent or works otherwise here. `ONLY_DEFAULT` would promise a feature that is not
there, so nothing but their default is accepted.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, Final

from vedette.conf import Choice, Directive, Flag, Integer, Text, YesNo
from vedette.conf.tls import TLS_WITHOUT_EFFECT

from .kinds import ANY_INTEGER, UINT_MAX

#: Text and the variables that Redis knows; `{{` is a brace.
_TITLE_TEMPLATE: Final = re.compile(
    r"([^{]|\{\{|\{(title|listen-addr|server-mode|port|tls-port|unixsocket|config-file)\})+",
    re.DOTALL,
)


def _only(*accepted: object, reason: str) -> Callable[[Any], str | None]:
    """Return a validation that accepts nothing but `accepted`."""
    return lambda value: None if value in accepted else reason


def _title_template(value: str) -> str | None:
    if _TITLE_TEMPLATE.fullmatch(value) is None:
        return "template format is invalid or contains unknown variables"
    return None


#: Accepted and kept, and without effect.
WITHOUT_EFFECT: Final[tuple[Directive[Any], ...]] = (
    Directive("always-show-logo", YesNo(), False, Flag.IMMUTABLE),
    Directive("set-proc-title", YesNo(), True, Flag.IMMUTABLE),
    Directive(
        "proc-title-template",
        Text(),
        "{title} {listen-addr} {server-mode}",
        validate=_title_template,
    ),
    Directive("crash-log-enabled", YesNo(), True),
    Directive("crash-memcheck-enabled", YesNo(), True),
    Directive("use-exit-on-panic", YesNo(), False, Flag.HIDDEN),
    Directive("watchdog-period", Integer(), 0, Flag.HIDDEN),
    Directive("ignore-warnings", Text(), ""),
    Directive("disable-thp", YesNo(), True, Flag.IMMUTABLE),
    Directive("io-threads", Integer(1, 128), 1, Flag.IMMUTABLE),
    Directive("io-threads-do-reads", YesNo(), False, Flag.IMMUTABLE),
    Directive("jemalloc-bg-thread", YesNo(), True),
    Directive("activerehashing", YesNo(), True),
    Directive("dynamic-hz", YesNo(), True),
    Directive("active-expire-effort", Integer(1, 10), 1),
    Directive("socket-mark-id", Integer(0, UINT_MAX), 0, Flag.IMMUTABLE),
    Directive("rdb-save-incremental-fsync", YesNo(), True),
    Directive("aof-rewrite-incremental-fsync", YesNo(), True),
    Directive("sanitize-dump-payload", Choice("no", "yes", "clients"), "no"),
    Directive("repl-disable-tcp-nodelay", YesNo(), False),
    Directive(
        "propagation-error-behavior", Choice("ignore", "panic", "panic-on-replicas"), "ignore"
    ),
    Directive("list-max-listpack-size", ANY_INTEGER, -2, aliases=("list-max-ziplist-size",)),
    Directive("list-compress-depth", Integer(), 0),
    Directive("enable-debug-assert", YesNo(), False, Flag.IMMUTABLE | Flag.HIDDEN),  # Valkey's
    *TLS_WITHOUT_EFFECT,
)

#: Known, and refused with any value that would switch the feature on.
ONLY_DEFAULT: Final[tuple[Directive[Any], ...]] = (
    Directive(
        "cluster-enabled",
        YesNo(),
        False,
        Flag.IMMUTABLE,
        validate=_only(False, reason="this server has no cluster mode"),
    ),
    Directive(
        "locale-collate",
        Text(),
        "",
        validate=_only("", "C", "POSIX", reason="text is ordered by its bytes, as in the locale C"),
    ),
    Directive(
        "tls-ciphersuites",
        Text(),
        "",
        validate=_only("", reason="the cipher suites of TLS 1.3 cannot be chosen"),
    ),
    Directive(
        "activedefrag",
        YesNo(),
        False,
        validate=_only(False, reason="memory cannot be defragmented in this server"),
    ),
)
