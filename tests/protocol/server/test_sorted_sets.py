"""Sorted sets on the wire: events, waits, typed replies; the real server agrees (tests/interop)."""

from __future__ import annotations

import pytest

from server.store.keyspace_events import parse_keyspace_events
from tests.support.engine import TestEngine
from vedette.clients import Session


def waiting(engine: TestEngine, *words: bytes | str | int) -> Session:
    """Return a new client that waits in the command `words`."""
    session = engine.connect()
    assert engine.raw(*words, session=session) == b""
    assert session.blocked is not None
    return session


def taken(session: Session) -> bytes:
    """Return what the client has been sent since the last time."""
    output = b"".join(session.outbox)
    session.outbox.clear()
    return output


def test_scores_are_doubles_in_resp3() -> None:
    """Beside their members, where RESP2 has one flat array of strings."""
    engine = TestEngine()
    engine.call("ZADD", "z", "1.5", "a")

    assert engine.raw("ZRANGE", "z", 0, -1, "WITHSCORES") == b"*2\r\n$1\r\na\r\n$3\r\n1.5\r\n"
    engine.raw("HELLO", 3)
    assert engine.raw("ZRANGE", "z", 0, -1, "WITHSCORES") == b"*1\r\n*2\r\n$1\r\na\r\n,1.5\r\n"
    assert engine.raw("ZRANK", "z", "a", "WITHSCORE") == b"*2\r\n:0\r\n,1.5\r\n"
    assert engine.raw("ZRANK", "z", "b", "WITHSCORE") == b"_\r\n"
    assert engine.raw("ZPOPMIN", "z") == b"*2\r\n$1\r\na\r\n,1.5\r\n"
    assert engine.raw("ZPOPMIN", "z") == b"*0\r\n"


def test_rank_with_score_refuses_what_7_2_refuses() -> None:
    """7.0 has no such option to compare with."""
    engine = TestEngine()
    engine.call("ZADD", "z", 1, "a", 2, "b")

    assert engine.call("ZREVRANK", "z", "a", "withscore") == [1, b"1"]
    assert engine.error("ZRANK", "z", "a", "WITHSCORES") == "ERR syntax error"
    assert engine.error("ZRANK", "z", "a", "WITHSCORE", "x") == (
        "ERR wrong number of arguments for 'zrank' command"
    )


@pytest.mark.parametrize(
    ("command", "events"),
    [
        ("ZADD z 1 a", []),
        ("ZADD z 2 a", ["zadd z"]),
        ("ZADD new 2 a", ["zadd new"]),
        ("ZADD z XX 2 c", []),
        ("ZADD z INCR 2 a", ["zincr z"]),
        ("ZINCRBY z 0 a", []),
        ("ZINCRBY z 1 a", ["zincr z"]),
        ("ZREM z a c", ["zrem z"]),
        ("ZREM z a b", ["zrem z", "del z"]),
        ("ZREMRANGEBYSCORE z 1 1", ["zremrangebyscore z"]),
        ("ZREMRANGEBYRANK z 0 -1", ["zremrangebyrank z", "del z"]),
        ("ZREMRANGEBYLEX z [c +", []),
        ("ZPOPMIN z", ["zpopmin z"]),
        ("ZPOPMAX z 2", ["zpopmax z", "del z"]),
        ("ZMPOP 2 none z MAX", ["zpopmax z"]),
        ("BZPOPMIN z 0", ["zpopmin z"]),
        ("ZUNIONSTORE z 1 z", ["zunionstore z"]),
        ("ZINTERSTORE z 2 z none", ["del z"]),
        ("ZDIFFSTORE t 1 z", ["zdiffstore t"]),
        ("ZRANGESTORE t z 0 0", ["zrangestore t"]),
        ("ZRANGESTORE z z 5 6", ["del z"]),
        ("ZRANGESTORE none z 5 6", []),
        ("GEOADD z 1 1 p", ["zadd z"]),
        ("GEOSEARCHSTORE t z FROMLONLAT 0 0 BYRADIUS 1 m", []),
        ("GEOSEARCHSTORE t z FROMMEMBER a BYRADIUS 1 m", ["geosearchstore t"]),
        ("GEORADIUSBYMEMBER z a 1 m STORE z", ["georadiusstore z"]),
        ("GEORADIUS z 0 0 1 m STORE z", ["del z"]),
    ],
)
def test_events_are_those_of_redis(command: str, events: list[str]) -> None:
    """Their names, their order, and none where nothing changed; WATCH sees the same."""
    engine = TestEngine()
    engine.call("ZADD", "z", 1, "a", 2, "b")
    listener = engine.connect()
    engine.send(b"PSUBSCRIBE *\r\n", listener)
    engine.engine.set_notified_events(parse_keyspace_events("EA"))
    watcher = engine.connect()
    engine.call("WATCH", "z", "t", "new", session=watcher)
    engine.call("MULTI", session=watcher)

    engine.call(*command.split())

    words = b"".join(listener.outbox).split(b"\r\n")
    heard = [
        f"{name.decode().rpartition(':')[2]} {words[place + 2].decode()}"
        for place, name in enumerate(words)
        if name.startswith(b"__keyevent@0__:")
    ]
    assert heard == events
    assert engine.call("EXEC", session=watcher) == (None if events else [])


def test_who_waited_longest_is_served_first_with_what_is_there() -> None:
    """One addition may serve several; what is left over stays."""
    engine = TestEngine()
    first = waiting(engine, "BZPOPMAX", "k", 0)
    second = waiting(engine, "BZMPOP", 0, 2, "other", "k", "MIN", "COUNT", 2)

    assert engine.call("ZADD", "k", 1, "a", 2, "b", 3, "c", 4, "d") == 4

    assert taken(first) == b"*3\r\n$1\r\nk\r\n$1\r\nd\r\n$1\r\n4\r\n"
    assert taken(second) == (
        b"*2\r\n$1\r\nk\r\n*2\r\n*2\r\n$1\r\na\r\n$1\r\n1\r\n*2\r\n$1\r\nb\r\n$1\r\n2\r\n"
    )
    assert engine.call("ZRANGE", "k", 0, -1) == [b"c"]
    stream = [b" ".join(each).decode() for each in engine.sink.take_commands()]
    assert stream == ["ZADD k 1 a 2 b 3 c 4 d", "ZPOPMAX k", "ZPOPMIN k 2"]


def test_a_key_of_another_type_leaves_clients_waiting() -> None:
    """The type is judged when the command comes, and then only waited for."""
    engine = TestEngine()
    client = waiting(engine, "BZPOPMIN", "k", 0)

    engine.call("SET", "k", "v")
    assert taken(client) == b""
    assert engine.error("BZPOPMIN", "k", 0).startswith("WRONGTYPE")
    engine.call("DEL", "k")
    engine.call("GEOADD", "k", 0, 0, "m")
    assert taken(client).startswith(b"*3\r\n$1\r\nk\r\n$1\r\nm\r\n")


@pytest.mark.parametrize(
    "command",
    [
        "ZUNIONSTORE k 1 src",
        "ZRANGESTORE k src 0 -1",
        "GEOSEARCHSTORE k src FROMMEMBER a BYRADIUS 1 m",
        "RENAME src k",
        "ZINCRBY k 1 a",
    ],
)
def test_a_sorted_set_that_comes_in_any_way_wakes(command: str) -> None:
    """Not only ZADD makes one."""
    engine = TestEngine()
    engine.call("ZADD", "src", 1, "a")
    client = waiting(engine, "BZPOPMIN", "k", 0)

    engine.call(*command.split())

    assert taken(client).startswith(b"*3\r\n$1\r\nk\r\n$1\r\na\r\n")
    assert engine.call("EXISTS", "k") == 0


def test_timeouts_end_with_a_null_array() -> None:
    """And within MULTI they are over at once."""
    engine = TestEngine()
    client = waiting(engine, "BZMPOP", "0.5", 1, "k", "MIN")

    engine.advance(500)
    engine.engine.expire_waits()

    assert taken(client) == b"*-1\r\n"
    engine.call("MULTI")
    engine.call("BZPOPMIN", "k", 0)
    assert engine.raw("EXEC") == b"*1\r\n*-1\r\n"


def test_scan_returns_all_that_stays_while_others_come_and_go() -> None:
    """The guarantee of SCAN, for a large one; a small one comes in one piece."""
    engine = TestEngine()
    for number in range(2000):
        engine.call("ZADD", "z", number, f"stays:{number}")
    cursor, found = b"0", set()
    for step in range(10_000):
        cursor, items = engine.call("ZSCAN", "z", cursor, "COUNT", 20)
        found |= set(items[::2])
        engine.call("ZADD", "z", step, f"comes:{step}")
        engine.call("ZREM", "z", f"comes:{step - 5}")
        if cursor == b"0":
            break

    assert cursor == b"0"
    assert {b"stays:%d" % number for number in range(2000)} <= found


def test_keys_behind_store_are_found_where_the_command_finds_them() -> None:
    """Access control goes by them: a key called STORE must not hide another."""
    engine = TestEngine()
    for words, keys in (
        ("g 0 0 1 m STORE d", [b"g", b"d"]),
        ("g 0 0 1 m STORE STORE", [b"g", b"STORE"]),
        ("g 0 0 1 m STORE STORE ASC", [b"g", b"STORE"]),
        ("g 0 0 1 m STOREDIST store COUNT 1 STORE d", [b"g", b"d"]),
        ("g 0 0 1 m WITHDIST", [b"g"]),
    ):
        assert engine.call("COMMAND", "GETKEYS", "GEORADIUS", *words.split()) == keys


def test_a_limit_without_an_end_means_nothing_among_ranks() -> None:
    """Redis refuses LIMIT there by its count alone, and then does not look at it."""
    engine = TestEngine()
    engine.call("ZADD", "z", "1", "a", "2", "b", "3", "c")

    assert engine.call("ZRANGE", "z", "0", "-1", "LIMIT", "1", "-1") == [b"a", b"b", b"c"]
    assert engine.call("ZRANGE", "z", "0", "-1", "LIMIT", "-1", "-1") == [b"a", b"b", b"c"]
    assert "LIMIT is only supported" in engine.error("ZRANGE", "z", "0", "-1", "LIMIT", "1", "1")
