"""MULTI, EXEC and WATCH on the wire; the real server agrees (tests/interop)."""

from __future__ import annotations

import pytest

from tests.support.engine import TestEngine
from tests.support.kernel import as_request
from tests.support.transcripts import check_transcript


def test_a_transaction_runs_whole() -> None:
    """Commands are queued, then run; an error in one leaves the others done."""
    check_transcript(r"""
        > MULTI
        < +OK\r\n
        > SET a x
        < +QUEUED\r\n
        > INCR a
        < +QUEUED\r\n
        > GET a
        < +QUEUED\r\n
        > EXEC
        < *3\r\n+OK\r\n-ERR value is not an integer or out of range\r\n$1\r\nx\r\n
        > EXEC
        < -ERR EXEC without MULTI\r\n
        > DISCARD
        < -ERR DISCARD without MULTI\r\n
    """)


def test_a_wrong_command_dooms_the_transaction() -> None:
    """What cannot be queued is known before anything has run."""
    check_transcript(r"""
        > MULTI
        < +OK\r\n
        > SET a 1
        < +QUEUED\r\n
        > nosuch
        < -ERR unknown command 'nosuch', with args beginning with: \r\n
        > EXEC
        < -EXECABORT Transaction discarded because of previous errors.\r\n
        > GET a
        < $-1\r\n
        > MULTI
        < +OK\r\n
        > GET
        < -ERR wrong number of arguments for 'get' command\r\n
        > EXEC
        < -EXECABORT Transaction discarded because of previous errors.\r\n
    """)


def test_multi_and_watch_do_not_nest() -> None:
    """The mistake is told, and the transaction goes on."""
    check_transcript(r"""
        > MULTI
        < +OK\r\n
        > MULTI
        < -ERR MULTI calls can not be nested\r\n
        > WATCH a
        < -ERR WATCH inside MULTI is not allowed\r\n
        > SAVE
        < -ERR Command not allowed inside a transaction\r\n
        > DISCARD
        < +OK\r\n
        > EXEC
        < -ERR EXEC without MULTI\r\n
    """)


def test_discard_drops_commands_and_watches() -> None:
    """The next transaction starts afresh."""
    check_transcript(r"""
        > WATCH a
        < +OK\r\n
        > SET a 1
        < +OK\r\n
        > MULTI
        < +OK\r\n
        > SET a 2
        < +QUEUED\r\n
        > DISCARD
        < +OK\r\n
        > MULTI
        < +OK\r\n
        > GET a
        < +QUEUED\r\n
        > EXEC
        < *1\r\n$1\r\n1\r\n
    """)


def test_an_exec_of_too_many_words_ends_watches_too() -> None:
    """As in Redis, which gives up the transaction that there might be."""
    engine = TestEngine()
    engine.call("WATCH", "k")
    engine.call("SET", "k", "1")

    assert engine.raw("EXEC", "now").startswith(b"-EXECABORT")
    engine.call("MULTI")
    assert engine.call("EXEC") == []


@pytest.mark.parametrize(
    "change",
    [
        ("SET", "k", "2"),
        ("DEL", "k"),
        ("EXPIRE", "k", "100"),
        ("RENAME", "other", "k"),
        ("FLUSHALL",),
        ("SWAPDB", "0", "1"),
        ("COPY", "other", "k", "REPLACE"),
    ],
)
def test_a_watched_key_that_changed_stops_exec(change: tuple[str, ...]) -> None:
    """Optimistic locking: whoever changes the key, nothing of the transaction runs."""
    engine = TestEngine()
    engine.call("MSET", "k", "1", "other", "3")
    engine.call("WATCH", "k")
    engine.call(*change, session=engine.connect())
    engine.call("MULTI")
    engine.call("SET", "done", "1")

    assert engine.call("EXEC") is None
    assert engine.call("EXISTS", "done") == 0
    engine.call("MULTI")
    assert engine.call("EXEC") == [], "the watch is over"


@pytest.mark.parametrize(
    "harmless",
    [
        ("GET", "k"),
        ("SET", "j", "1"),
        ("DEL", "missing"),
        ("EXPIRE", "k", "x"),
        ("SWAPDB", "2", "3"),
    ],
)
def test_other_changes_do_not_stop_exec(harmless: tuple[str, ...]) -> None:
    """Only the watched keys count."""
    engine = TestEngine()
    engine.call("SET", "k", "1")
    engine.call("WATCH", "k", "missing")
    engine.call(*harmless, session=engine.connect())
    engine.call("MULTI")

    assert engine.call("EXEC") == []


def test_a_watched_key_that_expires_stops_exec() -> None:
    """Even if nobody has touched it since."""
    engine = TestEngine()
    engine.call("SET", "k", "1", "PX", "10")
    engine.call("WATCH", "k")
    engine.advance(10)
    engine.call("MULTI")
    engine.call("SET", "k", "2")

    assert engine.call("EXEC") is None


def test_commands_of_a_transaction_are_counted_one_by_one() -> None:
    """INFO commandstats shows what ran, not only EXEC."""
    engine = TestEngine()
    for words in (("MULTI",), ("GET", "a"), ("GET", "b"), ("EXEC",)):
        engine.call(*words)
    table = engine.engine.table

    calls = {name: table.find([name]).calls for name in (b"get", b"exec", b"multi")}
    assert calls == {b"get": 2, b"exec": 1, b"multi": 1}


def test_a_replica_refuses_a_transaction_that_writes() -> None:
    """The refusal comes with the write, and dooms EXEC, as in Redis."""
    engine = TestEngine()
    engine.engine.set_role(is_replica=True)
    engine.call("MULTI")

    assert engine.error("SET", "a", "1").startswith("READONLY")
    assert engine.error("EXEC").startswith("EXECABORT")


def test_exec_is_refused_when_the_server_became_a_replica_meanwhile() -> None:
    """What was queued when it was allowed is not run when it is not; the transaction is over."""
    engine = TestEngine()
    engine.call("MULTI")
    engine.call("SET", "a", "1")
    engine.engine.set_role(is_replica=True)

    assert engine.error("EXEC") == (
        "EXECABORT Transaction discarded because of: "
        "READONLY You can't write against a read only replica."
    )
    assert engine.error("EXEC") == "ERR EXEC without MULTI"


def test_exec_of_reads_runs_on_a_replica() -> None:
    """Only transactions that write are refused there."""
    engine = TestEngine()
    engine.engine.set_role(is_replica=True)
    engine.call("MULTI")
    engine.call("GET", "a")

    assert engine.call("EXEC") == [None]


def test_replies_of_a_transaction_are_of_the_protocol_of_their_moment() -> None:
    """HELLO may be queued: what was answered before it is not said anew in another protocol."""
    test = TestEngine()
    test.call("MULTI")
    for words in (("GET", "none"), ("HELLO", "3"), ("GET", "none"), ("HELLO", "2")):
        test.call(*words)

    replies = test.send(as_request("EXEC"))

    assert replies.startswith(b"*4\r\n$-1\r\n%7\r\n")
    assert b"_\r\n*14\r\n" in replies
