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
