"""The one list of modules whose commands the server answers."""

from __future__ import annotations

from types import ModuleType
from typing import Final

from vedette.clients.commands import COMMON_MODULES
from vedette.cmdspec import CommandTable

from . import (
    append_only,
    bitfields,
    bitmaps,
    cluster,
    config,
    counters,
    databases,
    debug,
    dumping,
    expiry,
    failover,
    functions,
    geo,
    hashes,
    hyperloglog,
    info,
    introspection,
    keys,
    latency,
    lcs,
    lists,
    memory,
    monitor,
    pubsub,
    replication,
    scanning,
    scripting,
    server_admin,
    sets,
    slow_log,
    sorted_sets,
    sorting,
    streams,
    string_ranges,
    strings,
    transactions,
)

MODULES: Final[tuple[ModuleType, ...]] = (
    *COMMON_MODULES,
    strings,
    counters,
    string_ranges,
    lcs,
    bitmaps,
    bitfields,
    hyperloglog,
    *hashes.MODULES,
    *sets.MODULES,
    *lists.MODULES,
    sorting,
    *sorted_sets.MODULES,
    *geo.MODULES,
    *streams.MODULES,
    keys,
    scanning,
    expiry,
    dumping,
    introspection,
    memory,
    databases,
    transactions,
    scripting,
    functions,
    pubsub,
    replication,
    failover,
    cluster,
    info,
    config,
    server_admin,
    append_only,
    slow_log,
    latency,
    monitor,
    debug,
)


def command_table() -> CommandTable:
    """Return a new table of all commands, with statistics of its own."""
    return CommandTable.of(MODULES)
