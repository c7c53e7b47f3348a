"""The stream that random commands leave makes the same dataset anew, whatever they were."""

from __future__ import annotations

import random

import pytest

from server.engine.applying import apply_stream
from server.replication.scanner import StreamScanner
from server.store.digest import DIGEST_SIZE
from tests.support.engine import TestEngine
from tests.support.random_writes import random_unit
from vedette.clients.session import ClientKind

UNITS = 400
CONFIG = "enable-debug-command yes\nrepl-backlog-size 100mb"


def contents(engine: TestEngine) -> dict[tuple[int, bytes], tuple[bytes, int | None]]:
    """Return what each key holds, as DEBUG DIGEST-VALUE would name it, and when it expires."""
    return {
        (database.index, key): (
            value if isinstance(value, bytes) else value.add_to_digest(bytes(DIGEST_SIZE)),
            database.expires.get(key),
        )
        for database in engine.engine.keyspace.databases
        for key, value in database.values.items()
    }


@pytest.mark.parametrize("seed", range(6))
def test_a_replay_of_the_stream_gives_the_same_dataset(seed: int) -> None:
    """What is random, timed or a script's on the master is plain in its stream."""
    rng = random.Random(seed)
    source = TestEngine(CONFIG)
    source.engine.sinks.clear()
    replica_session = source.connect()
    replication = source.engine.replication
    assert replication.synchronise(replica_session, None, source.now_ms) is not None
    for _ in range(UNITS):
        for command in random_unit(rng):
            source.raw(*command)
        source.advance(rng.choice([2, 20]))
        source.engine.on_tick(source.now_ms)
        source.engine.expire_waits()
    assert source.session.blocked is None
    backlog = replication.backlog
    assert backlog is not None
    stream = backlog.read(0, backlog.end_offset)

    copy = TestEngine(CONFIG, now_ms=source.now_ms)
    copy.engine.set_role(is_replica=True)
    session = copy.connect()
    session.is_deaf = True
    session.kind = ClientKind.MASTER
    scanner = StreamScanner()
    for start in range(0, len(stream), 1000):
        commands = scanner.scan(stream[start : start + 1000]).commands
        apply_stream(copy.engine, session, commands)

    assert copy.engine.error_replies == 0
    assert contents(copy) == contents(source)
    assert copy.call("DEBUG", "DIGEST") == source.call("DEBUG", "DIGEST")
    assert sum(map(len, source.engine.keyspace.databases)) > 10
