"""The quick way of a master's stream: it does what the usual way does."""

from __future__ import annotations

import pytest

from server.engine.applying import apply_stream
from tests.support.engine import TestEngine
from vedette.clients import Session
from vedette.clients.session import ClientKind

STREAM = [
    [b"SELECT", b"3"],
    [b"SET", b"a", b"1"],
    [b"SET", b"b", b"2", b"PXAT", b"99999999999999"],
    [b"incr", b"a"],
    [b"IncrBy", b"a", b"5"],
    [b"MULTI"],
    [b"SET", b"in", b"transaction"],
    [b"INCR", b"in"],
    [b"LPUSH", b"list", b"x", b"y"],
    [b"EXEC"],
    [b"SADD", b"list", b"wrong type"],
    [b"SET", b"too few"],
    [b"SCRIPT", b"FLUSH"],
    [b"GETSET", b"large", b"v" * 2_000_000],
    [b"GETSET", b"large", b"w"],
    [b"SET", b"after", b"all"],
    [b"PUBLISH", b"channel", b"message"],
]


def replica() -> tuple[TestEngine, Session]:
    """Return an engine that follows a master, and the session of that."""
    engine = TestEngine("enable-debug-command yes")
    engine.engine.set_role(is_replica=True)
    session = engine.connect()
    session.is_deaf = True
    session.kind = ClientKind.MASTER
    return engine, session


def summary(engine: TestEngine, session: Session) -> dict[str, object]:
    rows = engine.engine.table.all_rows()
    return {
        "digest": engine.call("DEBUG", "DIGEST"),
        "calls": {row.full_name: row.calls for row in rows if row.calls},
        "failed": {row.full_name: row.failed_calls for row in rows if row.failed_calls},
        "errors": engine.engine.error_replies,
        "database": session.database_index,
        "outbox": session.outbox,
        "dirty": engine.engine.keyspace.dirty,
    }


@pytest.mark.parametrize("is_monitored", [False, True])
def test_the_stream_does_what_the_same_requests_do(is_monitored: bool) -> None:
    """Data, statistics, errors, and the database that it ends in; and nothing is left to send."""
    quick, its_session = replica()
    usual, other_session = replica()
    if is_monitored:
        for engine in (quick, usual):
            engine.raw("MONITOR", session=engine.connect())
    apply_stream(quick.engine, its_session, STREAM)
    for command in STREAM:
        usual.engine.run(other_session, [command])
        other_session.outbox.clear()

    assert summary(quick, its_session) == summary(usual, other_session)
    assert quick.call("GET", "after") is None, "it is in database 3"


def test_a_transaction_may_come_in_two_parts() -> None:
    """Commands are handed over as they arrive."""
    engine, session = replica()
    apply_stream(engine.engine, session, [[b"MULTI"], [b"SET", b"a", b"1"]])
    assert engine.call("GET", "a") is None
    apply_stream(engine.engine, session, [[b"SET", b"b", b"2"], [b"EXEC"], [b"SET", b"c", b"3"]])

    assert [engine.call("GET", key) for key in "abc"] == [b"1", b"2", b"3"]


def note_no_uses(engine: TestEngine) -> None:
    """Let the engine find that it has too much to do to note which keys are used."""
    notes = engine.engine.usage_notes
    notes.on_tick()
    engine.advance(100)
    engine.engine.commands_processed += 10_000
    notes.on_tick()
    assert not notes.is_on


SETS = [[b"SET", b"key:%d" % (number % 40), b"value %d" % number] for number in range(60)]


@pytest.mark.parametrize(
    "before",
    [
        [],
        [["SELECT", "5"]],
        [["LPUSH", "key:1", "element"], ["SET", "key:2", "x", "PX", "100000"]],
        [["SET", "key:2", "x", "PX", "1"]],
        [["CONFIG", "SET", "notify-keyspace-events", "KEA"]],
        [["CONFIG", "SET", "notify-keyspace-events", "KEAn"]],
        [["CONFIG", "SET", "lazyfree-lazy-user-del", "yes"], ["SADD", "key:3", "member"]],
        [["MULTI"], ["SET", "key:0", "queued before"]],
    ],
)
@pytest.mark.parametrize(
    "stream",
    [
        SETS,
        [[b"set", *words] for _, *words in SETS],
        [*SETS, [b"SET", b"key:1"]],
        [*SETS, [b"SET", b"key:1", b"v", b"NX"]],
        [*SETS, [b"SET", b"key:1", b"v", b"GET"]],
        [*SETS, [b"EXEC"]],
        [[b"APPEND", *words] for _, *words in SETS],
    ],
)
def test_many_sets_do_what_one_after_the_other_does(
    before: list[list[str]], stream: list[list[bytes]]
) -> None:
    """Applied as one or not: the same dataset, events, statistics, and the same in the file."""
    quick, its_session = replica()
    usual, other_session = replica()
    for engine, session in ((quick, its_session), (usual, other_session)):
        for words in before:
            engine.engine.run(session, [[word.encode() for word in words]])
            session.outbox.clear()
        note_no_uses(engine)
    listeners = [engine.connect() for engine in (quick, usual)]
    for engine, listener in zip((quick, usual), listeners, strict=True):
        engine.raw("PSUBSCRIBE", "*", session=listener)
    apply_stream(quick.engine, its_session, stream)
    for command in stream:
        usual.engine.run(other_session, [command])
        other_session.outbox.clear()

    assert summary(quick, its_session) == summary(usual, other_session)
    assert quick.sink.units == usual.sink.units
    assert listeners[0].outbox == listeners[1].outbox


def test_who_watches_a_key_hears_of_it_among_many() -> None:
    """Those who wait for a key are told by its own name, so it is looked at one by one."""
    engine, session = replica()
    note_no_uses(engine)
    client = engine.connect()
    engine.raw("WATCH", "key:7", session=client)
    engine.raw("MULTI", session=client)
    engine.raw("PING", session=client)
    apply_stream(engine.engine, session, SETS)

    assert engine.raw("EXEC", session=client) == b"*-1\r\n"


def test_uses_of_keys_are_noted_where_evictions_go_by_them() -> None:
    """Else a replica would evict the wrong keys once it is a master."""
    engine, session = replica()
    engine.raw("CONFIG", "SET", "maxmemory-policy", "allkeys-lru")
    engine.raw("SET", "key:7", "old", session=session)
    engine.advance(100_000)
    apply_stream(engine.engine, session, SETS)

    assert engine.call("OBJECT", "IDLETIME", "key:7") == 0
