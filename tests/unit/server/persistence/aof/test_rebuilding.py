"""A base without a preamble: the commands that it is made of rebuild the dataset."""

from __future__ import annotations

import pytest

from server.commands.debug import dataset_digest
from server.engine.replay import Replay
from server.persistence.aof.reading import AofReader
from server.persistence.aof.rebuilding import encode_commands
from server.persistence.snapshot import SavedDatabase
from tests.support.engine import TestEngine


def chunks_of(engine: TestEngine) -> bytes:
    return b"".join(
        encode_commands(
            SavedDatabase(database.index, database.values, database.expires)
            for database in engine.engine.keyspace.databases
        )
    )


def test_every_type_is_rebuilt_with_its_lifetime_and_database() -> None:
    """The digests say that nothing is missing, and nothing too many."""
    source = TestEngine()
    source.call("SET", "s", "\r\n\x00text")
    source.call("SET", "expiring", "1", "PX", "100000")
    source.call("RPUSH", "l", *range(200))
    source.call("SADD", "ints", *range(200))
    source.call("SELECT", "3")
    source.call("SADD", "words", *(f"w{number}" for number in range(200)))
    source.call("HSET", "h", *range(400))
    source.call("ZADD", "z", *(text for n in range(200) for text in (str(n / 7), f"m{n}")))
    source.call("ZADD", "infinite", "inf", "a", "-inf", "b", "1e300", "c")
    source.call("FUNCTION", "LOAD", "#!lua name=mine\nredis.register_function('f', function() end)")

    target = TestEngine()
    target.engine.sinks.clear()
    replay = Replay(target.engine, AofReader(chunks_of(source)))
    while replay.step(target.now_ms):
        pass

    assert replay.errors == []
    databases = source.engine.keyspace.databases
    assert dataset_digest(target.engine.keyspace.databases) == dataset_digest(databases)
    assert target.engine.keyspace.databases[0].expires == databases[0].expires


def test_no_command_has_more_than_64_items() -> None:
    """A server that loads it serves others in between."""
    engine = TestEngine()
    engine.call("HSET", "h", *range(400))
    commands, _ = AofReader(chunks_of(engine)).read()

    assert [len(command) - 2 for command in commands[1:]] == [128, 128, 128, 16]


def test_libraries_and_the_time_come_first() -> None:
    """Functions may be wanted by what follows; the time is that of the whole base."""
    data = b"".join(encode_commands([], [b"#!lua name=a\n"], timestamp_s=1700000000))

    assert data.startswith(b"#TS:1700000000\r\n*3\r\n$8\r\nFUNCTION\r\n$4\r\nLOAD\r\n")


def test_a_type_that_nothing_rebuilds_is_refused() -> None:
    """A base without it would be taken for the dataset."""
    with pytest.raises(TypeError, match="rebuild a value of object"):
        list(encode_commands([SavedDatabase(0, {b"k": object()}, {})]))
