"""The one list of modules whose commands the server answers."""

from __future__ import annotations

from collections.abc import Iterable
from types import ModuleType
from typing import Final

from vedette.clients.commands import COMMON_MODULES
from vedette.cmdspec import CommandRow, CommandTable
from vedette.conf import Statement
from vedette.conf.quoting import encode_word

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
    lolwut,
    memory,
    migration,
    modules,
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
from .syntax import complexity_by_name, history_by_name, syntax_by_name

#: For servers among themselves, and for tests.
SYSTEM_COMMANDS: Final = ("debug", "pfdebug", "pfselftest", "replconf", "restore-asking")

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
    lolwut,
    modules,
    migration,
    debug,
)


def command_table(renames: Iterable[Statement] = ()) -> CommandTable:
    """Return a new table of all commands, with statistics of its own.

    `renames` are the `rename-command` directives.

    Raises:
        ConfigError: one of them names no command, or a name that is taken.
    """
    table = CommandTable.of(MODULES)

    def row_of(name: str) -> CommandRow:
        row = table.by_own_name(name)
        assert row is not None, name
        return row

    for name in SYSTEM_COMMANDS:
        row_of(name).is_system_command = True
    for name, syntax in syntax_by_name().items():
        row_of(name).syntax = syntax
    for name, complexity in complexity_by_name().items():
        row_of(name).complexity = complexity
    for name, history in history_by_name().items():
        row_of(name).history = history
    for statement in renames:
        if len(statement.values) != 2:
            raise statement.error("wrong number of arguments")
        try:
            table.rename(*map(encode_word, statement.values))
        except ValueError as error:
            raise statement.error(str(error)) from error
    return table
