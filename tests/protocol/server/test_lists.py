"""Waiting for lists: who is served, with what, in which order, and what replicas are told."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.support.engine import TestEngine
from vedette.clients import Block, Session
from vedette.clients.blocking import Waiting
from vedette.resp.replies import Reply

Retry = Callable[[int], Reply | Waiting]
NULL_ARRAY = b"*-1\r\n"


def waiting(test: TestEngine, *words: bytes | str | int) -> Session:
    """Return a new client that waits in the command `words`."""
    session = test.connect()
    assert test.raw(*words, session=session) == b""
    assert session.blocked is not None
    return session


def taken(session: Session) -> bytes:
    """Return what the client has been sent since the last time."""
    output = b"".join(session.outbox)
    session.outbox.clear()
    return output


@pytest.fixture
def test() -> TestEngine:
    """Return a fresh engine."""
    return TestEngine()


def test_who_waited_longest_is_served_first(test: TestEngine) -> None:
    """And one element serves one client."""
    first = waiting(test, "BLPOP", "k", 0)
    second = waiting(test, "BRPOP", "other", "k", 0)
    assert test.call("RPUSH", "k", "a") == 1

    assert taken(first) == b"*2\r\n$1\r\nk\r\n$1\r\na\r\n"
    assert taken(second) == b""
    assert test.call("RPUSH", "k", "b", "c") == 2
    assert taken(second) == b"*2\r\n$1\r\nk\r\n$1\r\nc\r\n"
    assert test.call("LRANGE", "k", 0, -1) == [b"b"]


def test_waiting_clients_come_before_the_next_request_of_a_pipeline(test: TestEngine) -> None:
    """An element somebody waits for is not to be had by those who come later."""
    client = waiting(test, "BLPOP", "k", 0)
    output = test.send(b"LPUSH k a\r\nLPOP k\r\nEXISTS k\r\n")

    assert output == b":1\r\n$-1\r\n:0\r\n"
    assert taken(client) == b"*2\r\n$1\r\nk\r\n$1\r\na\r\n"


def test_a_transaction_is_over_before_anyone_is_served(test: TestEngine) -> None:
    """What it has pushed and taken back was never there for others."""
    client = waiting(test, "BLPOP", "k", 0)
    test.send(b"MULTI\r\nLPUSH k a\r\nDEL k\r\nEXEC\r\n")
    assert taken(client) == b""
    test.send(b"MULTI\r\nLPUSH k a\r\nDEL k\r\nSET k string\r\nEXEC\r\nDEL k\r\n")
    assert taken(client) == b""
    test.send(b"MULTI\r\nLPUSH k a\r\nLPUSH k b\r\nEXEC\r\n")

    assert taken(client) == b"*2\r\n$1\r\nk\r\n$1\r\nb\r\n"


def test_replicas_are_sent_pops_behind_the_push(test: TestEngine) -> None:
    """A replica that waited itself would not know for whom."""
    waiting(test, "BLPOP", "a", 0)
    waiting(test, "BLMPOP", 0, 2, "x", "b", "RIGHT", "COUNT", 5)
    waiting(test, "BLMOVE", "c", "d", "left", "right", 0)
    waiting(test, "BRPOPLPUSH", "e", "f", 0)
    for key in "abce":
        test.call("RPUSH", key, 1, 2)

    assert test.sink.take_commands() == [
        [b"RPUSH", b"a", b"1", b"2"],
        [b"LPOP", b"a"],
        [b"RPUSH", b"b", b"1", b"2"],
        [b"RPOP", b"b", b"2"],
        [b"RPUSH", b"c", b"1", b"2"],
        [b"LMOVE", b"c", b"d", b"left", b"right"],
        [b"RPUSH", b"e", b"1", b"2"],
        [b"RPOPLPUSH", b"e", b"f"],
    ]


def test_a_moved_element_wakes_whoever_waits_for_where_it_goes(test: TestEngine) -> None:
    """Chains of moves run to their end at once, circles too."""
    last = waiting(test, "BLPOP", "c", 0)
    second = waiting(test, "BLMOVE", "b", "c", "LEFT", "RIGHT", 0)
    first = waiting(test, "BLMOVE", "a", "b", "LEFT", "RIGHT", 0)
    test.call("RPUSH", "a", "x")

    assert taken(first) == taken(second) == b"$1\r\nx\r\n"
    assert taken(last) == b"*2\r\n$1\r\nc\r\n$1\r\nx\r\n"
    assert test.call("DBSIZE") == 0
    one = waiting(test, "BRPOPLPUSH", "a", "b", 0)
    other = waiting(test, "BRPOPLPUSH", "b", "a", 0)
    test.call("RPUSH", "a", "x")
    assert taken(one) == taken(other) == b"$1\r\nx\r\n"
    assert test.call("LRANGE", "a", 0, -1) == [b"x"]


def test_a_move_to_something_else_than_a_list_fails_and_takes_nothing(test: TestEngine) -> None:
    """The element goes to the next who waits."""
    test.call("SET", "string", "v")
    first = waiting(test, "BLMOVE", "k", "string", "LEFT", "LEFT", 0)
    second = waiting(test, "BLMOVE", "k", "list", "LEFT", "LEFT", 0)
    test.call("RPUSH", "k", "x")

    assert taken(first).startswith(b"-WRONGTYPE ")
    assert taken(second) == b"$1\r\nx\r\n"


def test_a_key_of_another_type_leaves_clients_waiting(test: TestEngine) -> None:
    """They asked for a list; it may still come, there or at another of their keys."""
    client = waiting(test, "BLPOP", "a", "b", 0)
    test.call("SET", "a", "string")
    assert taken(client) == b""
    test.call("RPUSH", "b", "x")

    assert taken(client) == b"*2\r\n$1\r\nb\r\n$1\r\nx\r\n"


def test_a_key_of_another_type_is_not_even_found_to_have_expired(test: TestEngine) -> None:
    """Redis looks at none but the key that is new; found by a random conversation."""
    waiting(test, "BLPOP", "a", "c", 0)
    test.call("SET", "c", "v", "PX", 5)
    test.advance(10)

    test.call("SET", "a", "v")

    assert b"expired_keys:0" in test.call("INFO", "stats")
    assert test.call("EXISTS", "c") == 0
    assert b"expired_keys:1" in test.call("INFO", "stats")


@pytest.mark.parametrize("way", ["RENAME", "RESTORE", "COPY", "MOVE", "SWAPDB"])
def test_a_list_that_comes_from_elsewhere_wakes(test: TestEngine, way: str) -> None:
    """However a list comes to be at the key."""
    client = waiting(test, "BLPOP", "k", 0)
    test.call("RPUSH", "source", "x")
    payload = test.call("DUMP", "source")
    match way:
        case "RENAME":
            test.call("RENAME", "source", "k")
        case "RESTORE":
            test.call("RESTORE", "k", 0, payload)
        case "COPY":
            test.call("COPY", "source", "k")
        case _:
            test.call("SELECT", 1)
            test.call("RPUSH", "k", "x")
            test.call(*(("MOVE", "k", "0") if way == "MOVE" else ("SWAPDB", "0", "1")))

    assert taken(client) == b"*2\r\n$1\r\nk\r\n$1\r\nx\r\n"


def test_timeouts_end_with_a_null_array(test: TestEngine) -> None:
    """In either protocol, and for moves too."""
    pop = waiting(test, "BLPOP", "k", "0.5")
    move = waiting(test, "BLMOVE", "k", "l", "LEFT", "LEFT", "0.5")
    third = test.connect()
    test.raw("HELLO", 3, session=third)
    test.raw("BLMPOP", "0.5", 1, "k", "LEFT", session=third)
    test.advance(499)
    test.engine.expire_waits()
    assert taken(pop) == b""
    test.advance(1)
    test.engine.expire_waits()

    assert taken(pop) == taken(move) == NULL_ARRAY
    assert taken(third) == b"_\r\n"


def test_unblocked_clients_get_what_was_asked_for_them(test: TestEngine) -> None:
    """CLIENT UNBLOCK, and their next requests run."""
    client = waiting(test, "BLPOP", "k", 0)
    assert test.call("CLIENT", "UNBLOCK", client.id) == 1
    assert taken(client) == NULL_ARRAY
    assert test.raw("BLPOP", "k", 0, session=client) == b""
    assert test.call("CLIENT", "UNBLOCK", client.id, "ERROR") == 1
    assert taken(client) == b"-UNBLOCKED client unblocked via CLIENT UNBLOCK\r\n"
    assert test.call("CLIENT", "UNBLOCK", client.id) == 0
    assert test.raw("PING", session=client) == b"+PONG\r\n"


def test_nobody_waits_on_a_server_that_becomes_a_replica(test: TestEngine) -> None:
    """No client's push will come; what comes from the master is not theirs to take."""
    client = waiting(test, "BLPOP", "k", 0)
    test.call("REPLICAOF", "127.0.0.1", 6399)

    assert taken(client).startswith(b"-UNBLOCKED force unblock from blocking operation")
    assert client.is_close_requested


def test_a_client_that_is_gone_takes_nothing(test: TestEngine) -> None:
    """Its element would be lost."""
    client = waiting(test, "BLPOP", "k", 0)
    test.engine.disconnect(client)

    assert test.call("RPUSH", "k", "x") == 1
    assert test.call("LLEN", "k") == 1


def test_a_push_asks_no_more_clients_than_there_are_elements(
    test: TestEngine,
) -> None:
    """Of a thousand workers that wait for one queue, each push wakes one."""
    clients = [waiting(test, "BLPOP", "k", 0) for _ in range(50)]
    asked = []
    for client in clients:
        wait = client.blocked
        assert wait is not None

        def retry(now_ms: int, wait: Block = wait, serve: Retry = wait.retry) -> Reply | Waiting:
            asked.append(wait)
            return serve(now_ms)

        wait.retry = retry
    test.call("RPUSH", "k", "x", "y")

    assert len(asked) == 2
    assert [bool(taken(client)) for client in clients] == [True] * 2 + [False] * 48


def test_keys_named_twice_serve_once(test: TestEngine) -> None:
    """And leave nothing behind that waits."""
    client = waiting(test, "BLPOP", "k", "k", 0)
    test.call("RPUSH", "k", "x", "y")

    assert taken(client) == b"*2\r\n$1\r\nk\r\n$1\r\nx\r\n"
    assert not test.engine.keyspace.databases[0].observed
