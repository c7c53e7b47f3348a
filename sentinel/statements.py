"""The vocabulary of sentinel.conf: its `sentinel ...` statements, and how many words each takes.

Owns names only. `statement_reader.py` reads what they say, `state_lines.py` writes it. Reference:
`sentinel.c: sentinelHandleConfiguration`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from vedette.conf import Statement

#: Other spellings of a statement -> the one written.
_SYNONYMS: Final = {
    "known-slave": "known-replica",
    "primary-reboot-down-after-period": "master-reboot-down-after-period",
}
#: Statements about the sentinel itself; each has one value.
GLOBAL_STATEMENTS: Final = frozenset(
    {
        "announce-ip",
        "announce-port",
        "deny-scripts-reconfig",
        "sentinel-user",
        "sentinel-pass",
        "current-epoch",
        "myid",
        "resolve-hostnames",
        "announce-hostnames",
        "state-file",
    }
)
#: Statements about one master -> how many values stand behind its name.
MASTER_STATEMENTS: Final[Mapping[str, int]] = {
    "monitor": 3,
    "down-after-milliseconds": 1,
    "failover-timeout": 1,
    "parallel-syncs": 1,
    "notification-script": 1,
    "client-reconfig-script": 1,
    "auth-pass": 1,
    "auth-user": 1,
    "rename-command": 2,
    "master-reboot-down-after-period": 1,
    "refused-after-milliseconds": 1,
    "empty-restart-guard": 1,
    "config-epoch": 1,
    "leader-epoch": 1,
    "known-replica": 2,
    "known-sentinel": 3,
    "removed": 0,
    "leaving-sentinel": 3,
    "forgotten-sentinel": 1,
}
#: Statements about a master that say what it is, not how it is to be treated.
FACTS: Final = frozenset(
    {
        "monitor",
        "known-replica",
        "known-sentinel",
        "leaving-sentinel",
        "forgotten-sentinel",
        "config-epoch",
        "leader-epoch",
        "removed",
    }
)
#: Statements about a master that are not about one that is already known.
WHOLE: Final = frozenset({"monitor", "removed"})


def statement_name(word: str) -> str:
    """Return a `sentinel` statement's name as it is written."""
    name = word.lower()
    return _SYNONYMS.get(name, name)


def told(statement: Statement) -> str:
    """Return what a `sentinel` directive says, by name; empty if it is the bare word."""
    return statement_name(statement.values[0]) if statement.values else ""
