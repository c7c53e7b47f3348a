"""The command table beside the real server's: what COMMAND INFO says of a command is the same."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, TypeAlias

import pytest

from server.commands import command_table
from tests.support.engine import TestEngine
from tests.support.redis import RedisServer
from vedette.cmdspec import CommandTable

# Any: COMMAND INFO is an array of arrays of everything.
Info: TypeAlias = list[Any]

#: Made for Redis 7.2, so a 7.0 does not know them.
NEWER = {b"client|setinfo", b"client|no-touch", b"waitaof"}
#: 7.0.15 gives three less arguments than it takes.
ARITY_WRONG_IN_REDIS = {b"command|getkeys", b"command|getkeysandflags"}
#: 7.2 has more arguments for these.
ARITY_WIDER = {b"zrank", b"zrevrank"}


@pytest.fixture(scope="module")
def redis() -> Iterator[RedisServer]:
    """Yield a real server."""
    with RedisServer() as server:
        yield server


def by_name(infos: list[Info]) -> dict[bytes, Info]:
    """Return the rows and their subcommands' by full name."""
    rows = {}
    for info in infos:
        rows[info[0]] = info
        rows |= by_name(info[9])
    return rows


def without_notes(specs: list[list[Any]]) -> list[list[Any]]:
    """Return key specifications without their explanations, which are in everybody's own words."""
    return [
        [
            item
            for name, value in zip(spec[::2], spec[1::2], strict=True)
            if name != b"notes"
            for item in (name, value)
        ]
        for spec in specs
    ]


def test_rows_are_those_of_redis(redis: RedisServer) -> None:
    """Clients route, and proxies authorise, by these; a wrong flag is a bug somewhere else."""
    ours = by_name(TestEngine().call("COMMAND"))
    theirs = by_name(redis.call("COMMAND"))
    differences = []
    for name, info in ours.items():
        if name in NEWER:
            continue
        real = theirs[name]
        if name not in ARITY_WRONG_IN_REDIS | ARITY_WIDER and info[1] != real[1]:
            differences.append((name, "arity", info[1], real[1]))
        if info[3:6] != real[3:6]:
            differences.append((name, "keys", info[3:6], real[3:6]))
        for place, what in ((2, "flags"), (6, "categories"), (7, "tips")):
            if sorted(info[place]) != sorted(real[place]):
                differences.append((name, what, info[place], real[place]))
        if without_notes(info[8]) != without_notes(real[8]):
            differences.append((name, "key specifications", info[8], real[8]))

    assert differences == []


def test_every_row_has_a_summary_of_one_sentence() -> None:
    """COMMAND DOCS and docs/commands.md show it."""
    table: CommandTable = command_table()

    wrong = [row.full_name for row in table.all_rows() if not row.summary.endswith(".")]
    assert wrong == []


def test_every_command_of_redis_in_complete_groups_is_there(redis: RedisServer) -> None:
    """Whole groups, so that nothing is forgotten."""
    ours = by_name(TestEngine().call("COMMAND"))
    documents: list[Any] = redis.call("COMMAND", "DOCS")
    groups = {
        name: dict(zip(fields[::2], fields[1::2], strict=True))[b"group"]
        for name, fields in zip(documents[::2], documents[1::2], strict=True)
    }
    complete = (
        b"string",
        b"list",
        b"hash",
        b"set",
        b"sorted-set",
        b"stream",
        b"geo",
        b"transactions",
    )
    wanted = {name for name, group in groups.items() if group in complete}

    assert wanted - ours.keys() == set()
