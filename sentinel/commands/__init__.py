"""The commands a sentinel answers: one function and one row each.

The connection commands (PING, HELLO, AUTH, CLIENT, SUBSCRIBE, ...) are the kernel's; everything not
in the table is an unknown command, as in redis-sentinel.
"""

from __future__ import annotations

from typing import Final

from vedette.clients.commands import COMMON_MODULES
from vedette.cmdspec import CommandRow, CommandTable

from . import administration, diagnostics, explanations, info, process, queries

#: Commands of every server that a sentinel does not know.
_NOT_OF_A_SENTINEL: Final = frozenset({"echo", "reset"})

#: The subcommands of SENTINEL that redis-sentinel 7.0 has.
_OF_REDIS_SENTINEL: Final = frozenset(
    {
        "ckquorum",
        "config",
        "debug",
        "failover",
        "flushconfig",
        "get-master-addr-by-name",
        "help",
        "info-cache",
        "is-master-down-by-addr",
        "master",
        "masters",
        "monitor",
        "myid",
        "pending-scripts",
        "remove",
        "replicas",
        "reset",
        "sentinels",
        "set",
        "simulate-failure",
        "slaves",
    }
)
#: Not in its table either.
_ADDED: Final = ("quit",)


def command_table() -> CommandTable:
    """Return all commands of the sentinel, in a table with statistics of its own."""
    own = (queries, administration, diagnostics, explanations, info, process)
    table = CommandTable.of([*COMMON_MODULES, *own])
    table = CommandTable(row for row in table if row.full_name not in _NOT_OF_A_SENTINEL)
    del _row(table, "client").subcommands[b"NO-TOUCH"]  # there are no keys to touch
    return table


def served_table() -> CommandTable:
    """Return the table that a sentinel serves: COMMAND lists what redis-sentinel 7.2 lists.

    Tools, and Redis' own tests, tell a sentinel by that list. What it lacks is answered, and
    described when named (COMMAND INFO, COMMAND DOCS), and stands in the containers' HELP.
    """
    table = command_table()
    subcommands = _row(table, "sentinel").subcommands.values()
    added = [row for row in subcommands if row.name not in _OF_REDIS_SENTINEL]
    for row in (*added, *(_row(table, name) for name in _ADDED)):
        row.is_hidden = True
    return table


def _row(table: CommandTable, name: str) -> CommandRow:
    row = table.named(name.encode())
    assert row is not None, name
    return row
