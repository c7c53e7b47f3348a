"""The command table beside the real server's: what COMMAND INFO says of a command is the same."""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Any, TypeAlias

import pytest

from server.commands import command_table
from tests.support.differential import RawClient
from tests.support.engine import TestEngine
from tests.support.redis import RedisServer
from vedette.cmdspec import CommandTable

# Any: COMMAND INFO is an array of arrays of everything.
Info: TypeAlias = list[Any]

_EARLY = [b"noscript", b"loading", b"stale"]
_OF_CONNECTIONS = [b"@slow", b"@connection"]
_ALL_NODES = [b"request_policy:all_nodes", b"response_policy:all_succeeded"]
_ALL_SHARDS = [b"request_policy:all_shards", b"response_policy:agg_min"]
#: Made for Redis 7.2, so a 7.0 does not know them: arity, flags, categories and tips as 7.2.4 has
#: them. None of them has keys.
NEWER: dict[bytes, tuple[int, list[bytes], list[bytes], list[bytes]]] = {
    b"client|setinfo": (4, _EARLY, _OF_CONNECTIONS, _ALL_NODES),
    b"client|no-touch": (3, _EARLY, _OF_CONNECTIONS, []),
    b"waitaof": (4, [b"noscript"], _OF_CONNECTIONS, _ALL_SHARDS),
    b"cluster|myshardid": (2, [b"stale"], [b"@slow"], [b"nondeterministic_output"]),
}
#: 7.0.15 gives three less arguments than it takes.
ARITY_WRONG_IN_REDIS = {b"command|getkeys", b"command|getkeysandflags"}
#: Read just as the command reads them, lest access control be led astray by a group called STREAMS.
READ_STRICTLY = {b"xread", b"xreadgroup"}
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


def test_newer_rows_are_those_of_redis_7_2() -> None:
    """Where no real server of 7.2 is at hand to ask."""
    ours = by_name(TestEngine().call("COMMAND"))
    for name, (arity, *described) in NEWER.items():
        info = ours[name]
        assert (info[1], info[3:6], info[8]) == (arity, [0, 0, 0], []), name
        assert [sorted(info[place]) for place in (2, 6, 7)] == list(map(sorted, described)), name


def test_every_row_has_a_summary_of_one_sentence() -> None:
    """COMMAND DOCS and docs/commands.md show it."""
    table: CommandTable = command_table()

    wrong = [row.full_name for row in table.all_rows() if not row.summary.endswith(".")]
    assert wrong == []


def test_every_command_of_redis_is_there(redis: RedisServer) -> None:
    """In COMMAND and in COMMAND LIST, containers and subcommands included."""
    engine = TestEngine()

    assert by_name(redis.call("COMMAND")).keys() - by_name(engine.call("COMMAND")).keys() == set()
    assert set(redis.call("COMMAND", "LIST")) - set(engine.call("COMMAND", "LIST")) == set()


def documents_by_name(documents: list[Any]) -> dict[bytes, dict[bytes, Any]]:
    """Return the fields of COMMAND DOCS by full name, those of subcommands too."""
    found = {}
    for name, fields in zip(documents[::2], documents[1::2], strict=True):
        found[name] = dict(zip(fields[::2], fields[1::2], strict=True))
        found |= documents_by_name(found[name].pop(b"subcommands", []))
    return found


def test_documents_are_those_of_redis_but_for_the_sentences(redis: RedisServer) -> None:
    """What redis-cli makes its hints of: the arguments above all, with tokens and versions."""
    ours = documents_by_name(TestEngine().call("COMMAND", "DOCS"))
    theirs = documents_by_name(redis.call("COMMAND", "DOCS"))
    fields = (b"since", b"group", b"doc_flags", b"deprecated_since", b"replaced_by", b"arguments")
    differences = [
        (name, field, ours[name].get(field), documents.get(field))
        for name, documents in theirs.items()
        if name not in ARITY_WIDER
        for field in fields
        if ours[name].get(field) != documents.get(field)
    ]

    assert differences == []
    for name, documents in theirs.items():
        if name in ARITY_WIDER:  # and so with a change more
            continue
        assert bool(documents.get(b"complexity")) == bool(ours[name].get(b"complexity")), name
        our_changes, their_changes = (each.get(b"history", []) for each in (ours[name], documents))
        assert [version for version, _ in our_changes] == [version for version, _ in their_changes]
        assert all(sentence.endswith(b".") for _, sentence in our_changes)


@pytest.mark.parametrize("category", ["dangerous", "pubsub", "scripting", "read", "nope"])
def test_lists_by_category_and_pattern_are_those_of_redis(
    redis: RedisServer, category: str
) -> None:
    """Apart from what is newer."""
    engine = TestEngine()
    for filter_ in (("ACLCAT", category), ("PATTERN", f"*{category[:3]}*"), ("MODULE", "x")):
        words = ("COMMAND", "LIST", "FILTERBY", *filter_)
        assert set(engine.call(*words)) - NEWER.keys() == set(redis.call(*words))


#: What arguments are drawn from: keys, numbers, and every word that says where keys stand.
VOCABULARY = [
    *[b"a", b"b", b"c", b"", b"0", b"1", b"2", b"3", b"-1", b"x1"],
    *[b"STORE", b"STOREDIST", b"KEYS", b"AUTH", b"AUTH2", b"COPY", b"REPLACE", b"BY", b"GET"],
    *[b"LIMIT", b"STREAMS", b"COUNT", b"BLOCK", b"GROUP", b"WEIGHTS", b"AGGREGATE", b"LEFT"],
]


def argument_lists(arity: int, draw: random.Random) -> list[list[bytes]]:
    """Return some lists of arguments, most of them as many as a command of that arity takes."""
    fewest = max(0, abs(arity) - 1)
    lists = [[b"k%d" % number for number in range(fewest + extra)] for extra in (0, 1, 3)]
    for _ in range(25):
        count = fewest + (draw.randrange(5) if arity < 0 else draw.choice([0, 0, 1]))
        lists.append([draw.choice(VOCABULARY) for _ in range(count)])
    return lists


def test_keys_are_found_where_redis_finds_them(redis: RedisServer) -> None:
    """For every command that Redis has, with arguments that make sense and with some that do not.

    What is done to the keys as well: access control goes by it.
    """
    draw = random.Random(7)
    engine = TestEngine()
    differences = []
    client = RawClient(redis.port)
    for name, info in sorted(by_name(redis.call("COMMAND")).items()):
        if name in ARITY_WIDER | READ_STRICTLY:
            continue
        for arguments in argument_lists(info[1], draw):
            words = (*name.split(b"|"), *arguments)
            for question in (b"GETKEYS", b"GETKEYSANDFLAGS"):
                request = (b"COMMAND", question, *words)
                if len(request) < 4:
                    continue  # 7.0 takes fewer arguments there: see ARITY_WRONG_IN_REDIS
                ours, theirs = engine.raw(*request), client.exchange([request])
                if ours != theirs:
                    differences.append((words, ours, theirs))
    client.close()

    assert differences == []
