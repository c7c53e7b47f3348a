"""Running an append-only file: transactions whole, keys that do not expire, faults told."""

from __future__ import annotations

import pytest

from server.engine.replay import Replay
from server.persistence.aof.reading import AofReader, CorruptAofError, TruncatedAofError
from tests.support.engine import TestEngine
from vedette.resp.encode import encode_command


def encoded(*commands: str) -> bytes:
    return b"".join(encode_command(command.encode().split()) for command in commands)


def replayed(data: bytes, engine: TestEngine) -> Replay:
    engine.engine.sinks.clear()
    replay = Replay(engine.engine, AofReader(data))
    while replay.step(engine.now_ms, 64):
        pass
    return replay


def test_commands_run_in_their_databases_and_nobody_is_told() -> None:
    """The session of whoever is served meanwhile stays as it was."""
    engine = TestEngine()
    engine.call("SELECT", "2")
    replay = replayed(encoded("SELECT 1", "SET a 1", "SELECT 0", "INCR b", "INCR b"), engine)

    assert (replay.command_count, replay.errors) == (5, [])
    assert engine.engine.keyspace.databases[1].values == {b"a": b"1"}
    assert engine.engine.keyspace.databases[0].values == {b"b": b"2"}
    assert engine.engine.keyspace.dirty == 0
    assert engine.call("DBSIZE") == 0


def test_a_transaction_runs_when_its_exec_has_come() -> None:
    """Across windows, too: one of them is shorter than this transaction."""
    engine = TestEngine()
    commands = ["MULTI", *(f"RPUSH l {number}" for number in range(20)), "EXEC"]
    replayed(encoded(*commands), engine)

    assert engine.call("LLEN", "l") == 20


def test_a_transaction_without_exec_leaves_nothing_and_counts_for_nothing() -> None:
    """The file is to be cut off before its MULTI."""
    engine = TestEngine()
    before = encoded("SET a 1")
    replay = Replay(engine.engine, AofReader(before + encoded("MULTI", "SET b 1")))
    engine.engine.sinks.clear()
    assert replay.step(engine.now_ms)
    with pytest.raises(TruncatedAofError):
        replay.step(engine.now_ms)

    assert replay.complete_offset == len(before)
    assert engine.call("EXISTS", "a", "b") == 1


def test_no_key_expires_before_its_deletion_has_come() -> None:
    """An expiry time that has passed is set, and later commands find the key."""
    engine = TestEngine()
    engine.engine.begin_loading(engine.now_ms)
    replayed(
        encoded("SET a 1 PXAT 1000", "INCR a", "SET b 1", "PEXPIREAT b 1000", "APPEND b x"), engine
    )
    engine.engine.end_loading()
    database = engine.engine.keyspace.databases[0]

    assert database.values == {b"a": b"2", b"b": b"1x"}
    assert database.expires == {b"a": 1000, b"b": 1000}
    assert engine.call("GET", "a") is None


def test_commands_that_fail_are_told_with_their_offsets() -> None:
    """As in Redis they do not end the loading."""
    engine = TestEngine()
    replay = replayed(encoded("SET a x", "INCR a", "SET b 1"), engine)

    assert replay.errors == [(27, "ERR value is not an integer or out of range")]
    assert engine.call("GET", "b") == b"1"


@pytest.mark.parametrize(
    ("commands", "offset", "reason"),
    [
        (["SET a 1", "BLA x"], 27, "Unknown command 'BLA'"),
        (["SET a 1", "CONFIG"], 27, "wrong number of arguments for b'CONFIG'|Unknown command"),
        (["SET a 1", "GET"], 27, "wrong number of arguments"),
        (["SET a 1", "EXEC"], 27, "EXEC without MULTI"),
        (["MULTI", "MULTI"], 15, "MULTI within a transaction"),
    ],
)
def test_what_no_server_would_have_written_is_damage(
    commands: list[str], offset: int, reason: str
) -> None:
    """To pass over it would be to guess."""
    engine = TestEngine()
    with pytest.raises(CorruptAofError, match=reason) as caught:
        replayed(encoded(*commands), engine)
    assert caught.value.offset == offset


def test_scripts_and_functions_of_old_files_run() -> None:
    """Before 7.0 Redis wrote scripts, not what they did; and on a replica as well."""
    engine = TestEngine()
    engine.engine.set_role(is_replica=True)
    script = encode_command([b"EVAL", b"redis.call('INCR', KEYS[1])", b"1", b"n"])
    replayed(script + script + encoded("MULTI") + script + encoded("EXEC"), engine)

    assert engine.engine.keyspace.databases[0].values == {b"n": b"3"}
