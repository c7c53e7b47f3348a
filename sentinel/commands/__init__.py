"""The commands a sentinel answers: one function and one row each.

The connection commands (PING, HELLO, AUTH, CLIENT, SUBSCRIBE, ...) are the kernel's; everything not
in the table is an unknown command, as in redis-sentinel.
"""

from __future__ import annotations

from vedette.cmdspec import CommandTable

from . import administration, process, queries


def command_table() -> CommandTable:
    """Return the sentinel's command table, with statistics of its own."""
    return CommandTable.of([queries, administration, process])
