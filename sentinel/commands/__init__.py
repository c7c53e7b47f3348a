"""The commands a sentinel answers: one function and one row each.

The connection commands (PING, HELLO, AUTH, CLIENT, SUBSCRIBE, ...) are the kernel's; everything not
in the table is an unknown command, as in redis-sentinel.
"""

from __future__ import annotations

from typing import Final

from vedette.clients.commands import COMMON_MODULES
from vedette.cmdspec import CommandTable

from . import administration, diagnostics, explanations, process, queries

#: Commands of every server that a sentinel does not know.
_NOT_OF_A_SENTINEL: Final = frozenset({"echo", "reset"})


def command_table() -> CommandTable:
    """Return the sentinel's command table, with statistics of its own."""
    modules = (queries, administration, diagnostics, explanations, process)
    table = CommandTable.of([*COMMON_MODULES, *modules])
    return CommandTable(row for row in table if row.full_name not in _NOT_OF_A_SENTINEL)
