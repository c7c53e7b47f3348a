"""The one list of modules whose commands the server answers."""

from __future__ import annotations

from types import ModuleType
from typing import Final

from vedette.cmdspec import CommandTable

from . import (
    counters,
    expiry,
    lcs,
    replication,
    string_ranges,
    strings,
    transactions,
)

MODULES: Final[tuple[ModuleType, ...]] = (
    strings,
    counters,
    string_ranges,
    lcs,
    expiry,
    transactions,
    replication,
)


def command_table() -> CommandTable:
    """Return a new table of all commands, with statistics of its own."""
    return CommandTable.of(MODULES)
