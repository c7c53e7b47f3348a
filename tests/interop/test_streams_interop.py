"""Streams beside the real server: replies, datasets, streams of changes, payloads."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import strategies as st

from tests.support.differential import (
    Command,
    RawClient,
    Replica,
    check_same_replies,
    check_same_streams,
    with_options,
    words,
)
from tests.support.processes import ServerProcess, VedetteServer, replicate
from tests.support.redis import RedisServer
from tests.support.waiting import wait_until


@pytest.fixture(scope="module")
def redis() -> Iterator[RedisServer]:
    """Yield a real server that deletes expired keys only when they are touched."""
    with RedisServer({"rdbcompression": "no", "stream-node-max-entries": "4"}) as server:
        server.call("DEBUG", "SET-ACTIVE-EXPIRE", 0)
        yield server


@pytest.fixture(scope="module")
def replica(redis: RedisServer) -> Iterator[Replica]:
    """Yield a listening replica of the real server."""
    listener = Replica(redis.port)
    yield listener
    listener.close()


def choice(text: bytes) -> st.SearchStrategy[bytes]:
    """Draw one of the words of `text`."""
    return st.sampled_from(text.split())


keys = st.sampled_from([b"a", b"b", b"\x00\r\n"])
groups = choice(b"g h")
consumers = choice(b"x y z")
#: Small, so that they meet, in every form that Redis reads, and in some that it does not.
ids = choice(
    b"1 2 3 4 5 6-0 6-1 6-2 7 8 9-18446744073709551615 10 11 12 13-3 14 15-1 16 2-1 3-1 4-7"
    b" 1-1 1-2 5-5 18446744073709551615-18446744073709551614"
)
odd_ids = choice(
    b"0 0-0 0-* 1-* 5-* 9-* 99-* - + $ > x 1- -1 1-2-3 1-x 007 +5 5-+3 5--0 5--1 5--07"
    b" 18446744073709551615-18446744073709551615 18446744073709551616"
    b" 18446744073709551615-* 99999999999999999999-1"
)
any_id = st.one_of(ids, ids, ids, odd_ids)
bounds = st.one_of(ids, choice(b"- + (1 (5 (6-1 (0 (0-0 (+ (- ( (x - +"), odd_ids)
bounds_too = st.one_of(bounds, st.just(b"(18446744073709551615-18446744073709551615"))
counts = choice(b"0 1 2 3 10 -1 x 9223372036854775807 -9223372036854775808")
values = st.sampled_from([b"v", b"1", b"-300", b"", b"a\0b", b"q" * 70, b"70000", b"007"])
fields = choice(b"f f f g 1")
pairs = st.one_of(
    st.tuples(fields, values),
    st.tuples(fields, values),
    st.tuples(fields, values, fields, values),
    st.tuples(fields),
)
lengths = choice(b"0 1 2 3 5 -1 x 9223372036854775807")
limits = st.one_of(words(b"LIMIT", counts), words(b"limit", choice(b"1 4 8")))
trims = st.one_of(
    words(b"MAXLEN", lengths),
    words(st.sampled_from([b"MAXLEN", b"maxlen"]), choice(b"~ ="), lengths),
    words(b"MINID", any_id),
    words(b"MINID", choice(b"~ ="), any_id),
)


def joined(*parts: st.SearchStrategy[Command]) -> st.SearchStrategy[Command]:
    """Draw a command of several drawn parts."""
    return st.tuples(*parts).map(lambda drawn: sum(drawn, ()))


def maybe(part: st.SearchStrategy[Command]) -> st.SearchStrategy[Command]:
    """Draw a part, or nothing."""
    return st.one_of(st.just(()), part)


additions = joined(
    words(st.sampled_from([b"XADD", b"xadd"]), keys),
    st.one_of(st.just(()), st.just(()), trims, joined(trims, limits), words(b"NOMKSTREAM")),
    words(st.one_of(ids, ids, any_id)),
    pairs,
)
trimming = joined(words(b"XTRIM", keys), trims, maybe(st.one_of(limits, trims)))
removals = st.one_of(
    words(b"XDEL", keys, any_id),
    words(b"XDEL", keys, ids, ids, ids),
    trimming,
    with_options(
        words(b"XSETID", keys, any_id),
        words(b"ENTRIESADDED", counts),
        words(b"MAXDELETEDID", any_id),
        words(b"ENTRIESADDED"),
        most=2,
    ),
)
reads = st.one_of(
    with_options(words(b"XRANGE", keys, bounds, bounds_too), words(b"COUNT", counts), most=1),
    with_options(words(b"XREVRANGE", keys, bounds, bounds_too), words(b"COUNT", counts), most=1),
    words(b"XRANGE", keys, b"-", b"+", b"COUNT"),
    words(b"XLEN", keys),
    words(b"XINFO", b"STREAM", keys),
    words(b"XINFO", b"GROUPS", keys),
    words(b"XINFO", b"STREAM", keys, b"x"),
    words(b"XREAD", b"STREAMS", keys, any_id),
    words(b"XREAD", b"COUNT", counts, b"streams", keys, keys, any_id, any_id),
    words(b"XREAD", b"COUNT", b"2", b"BLOCK", b"x", b"STREAMS", keys, any_id),
    words(b"XREAD", b"GROUP", groups, consumers, b"STREAMS", keys, any_id),
    words(b"XREAD", b"NOACK", b"STREAMS", keys, any_id),
    words(b"XREAD", b"STREAMS", keys, any_id, keys),
    words(b"TYPE", keys),
    words(b"OBJECT", b"ENCODING", keys),
)
#: Where no consumer is: payloads tell when those were seen.
dumps = words(b"DUMP", keys)
management = st.one_of(
    words(b"XGROUP", b"CREATE", keys, groups, choice(b"0 $ 3 6-1 + x")),
    with_options(
        words(b"XGROUP", b"CREATE", keys, groups, choice(b"0 $ 3")),
        words(b"MKSTREAM"),
        words(b"ENTRIESREAD", counts),
        words(b"ENTRIESREAD"),
    ),
    with_options(
        words(b"XGROUP", b"SETID", keys, groups, choice(b"0 $ 3 - + 5 x")),
        words(b"ENTRIESREAD", counts),
        words(b"MKSTREAM"),
        most=2,
    ),
    words(b"XGROUP", b"CREATECONSUMER", keys, groups, consumers),
    words(b"XGROUP", b"DELCONSUMER", keys, groups, consumers),
    words(b"XGROUP", b"DESTROY", keys, groups),
    words(b"XGROUP", choice(b"CREATE SETID HELPED"), keys, groups),
)
idle_times = choice(b"0 -1 x 9999999999")
claims = with_options(
    joined(
        words(b"XCLAIM", keys, groups, consumers, idle_times),
        st.lists(any_id, min_size=1, max_size=3).map(tuple),
    ),
    words(b"FORCE"),
    words(b"JUSTID"),
    words(b"RETRYCOUNT", counts),
    words(b"TIME", choice(b"0 1000000 99999999999999 x")),
    words(b"IDLE", choice(b"-5 x 99999999999999")),
    words(b"LASTID", any_id),
    words(b"OTHER"),
)
reading = st.one_of(
    words(b"XREADGROUP", b"GROUP", groups, consumers, b"STREAMS", keys, b">"),
    words(
        b"XREADGROUP", b"GROUP", groups, consumers, b"COUNT", choice(b"1 2"), b"STREAMS", keys, b">"
    ),
    words(b"XREADGROUP", b"GROUP", groups, consumers, b"NOACK", b"STREAMS", keys, b">"),
    words(b"XREADGROUP", b"GROUP", groups, consumers, b"STREAMS", keys, keys, b">", any_id),
    words(b"XREADGROUP", b"COUNT", counts, b"GROUP", groups, consumers, b"STREAMS", keys, any_id),
    words(b"XREADGROUP", b"COUNT", b"1", b"NOACK", b"STREAMS", keys, b">"),
    words(b"XACK", keys, groups, any_id),
    words(b"XACK", keys, groups, ids, ids, ids, ids),
    claims,
    with_options(
        words(b"XAUTOCLAIM", keys, groups, consumers, idle_times, bounds),
        words(b"COUNT", choice(b"1 2 0 -1 x")),
        words(b"JUSTID"),
        words(b"COUNT"),
        most=2,
    ),
    words(b"XPENDING", keys, groups),
    words(b"XPENDING", keys, groups, b"IDLE", idle_times),
)
#: Their replies have times in them, unless nothing is pending.
timed = st.one_of(
    words(b"XPENDING", keys, groups, bounds, bounds, b"0"),
    words(b"XPENDING", keys, groups, b"IDLE", b"99999999", bounds, bounds, counts, consumers),
    words(b"XPENDING", keys, groups, b"-", b"+", b"10", b"nobody"),
    words(b"XPENDING", keys, groups, b"IDLE", b"1", b"-", b"+"),
)
#: Only inside MULTI, where nothing waits.
blocking = st.one_of(
    words(b"XREAD", b"BLOCK", choice(b"0 10 -1 x"), b"STREAMS", keys, any_id),
    words(b"XREADGROUP", b"GROUP", groups, consumers, b"BLOCK", b"0", b"STREAMS", keys, b">"),
)
others = st.one_of(
    words(b"SET", keys, values),
    words(b"DEL", keys),
    words(b"COPY", keys, keys, b"REPLACE"),
    words(b"RENAME", keys, keys),
    words(b"SORT", keys),
    words(b"PEXPIREAT", keys, st.sampled_from([b"1", b"4102444800000"])),
)


def steps(*kinds: st.SearchStrategy[Command]) -> st.SearchStrategy[list[Command]]:
    """Draw a long sequence of commands of these kinds."""
    anything = st.one_of(
        *[st.tuples(kind) for kind in kinds],
        blocking.map(lambda command: ((b"MULTI",), command, (b"EXEC",))),
    )
    return st.lists(anything, min_size=15, max_size=50).map(
        lambda parts: [command for part in parts for command in part]
    )


entries = steps(additions, additions, additions, additions, reads, reads, dumps, removals, others)
#: A group that follows a stream from its beginning, else most groups would be missing.
PREPARED: list[Command] = [
    *[(b"XADD", b"a", b"%d" % n, b"f", b"%d" % n) for n in range(1, 4)],
    (b"XGROUP", b"CREATE", b"a", b"g", b"0"),
    (b"XGROUP", b"CREATE", b"a", b"h", b"$", b"ENTRIESREAD", b"3"),
]
consuming = steps(
    additions, additions, reading, reading, reading, reading, management, removals, reads, timed
).map(lambda drawn: PREPARED + drawn)


@pytest.mark.parametrize("protocol", [2, 3])
@pytest.mark.parametrize("sequences", [entries, consuming], ids=["entries", "groups"])
def test_replies_and_datasets_are_those_of_redis(
    redis: RedisServer, protocol: int, sequences: st.SearchStrategy[list[Command]]
) -> None:
    """What a client sees, errors included, must not depend on which server it talks to."""
    check_same_replies(redis.port, protocol, sequences, 60, config="stream-node-max-entries 4")


@pytest.mark.parametrize("sequences", [entries, consuming], ids=["entries", "groups"])
def test_replicas_are_told_what_redis_tells_them(
    redis: RedisServer, replica: Replica, sequences: st.SearchStrategy[list[Command]]
) -> None:
    """IDs as they were given, trimming as far as it came, reading as what it left pending."""
    check_same_streams(redis.port, replica, sequences, 60, config="stream-node-max-entries 4")


def fill(server: ServerProcess) -> None:
    """Make streams of all sorts, with fixed times so that two servers make the same."""
    for number in range(1, 400):
        server.call(
            "XADD", "large", f"{number}-{number % 3}", "field", f"value:{number}", "n", number
        )
    server.call("XDEL", "large", *range(3, 300, 3))
    server.call("XADD", "large", "500-0", "another", "x" * 5000)
    server.call("XADD", "large", "501-0", "field", "", "n", -(2**63))
    server.call("XTRIM", "large", "MINID", "50")
    server.call("XADD", "jumping", "1-18446744073709551615", "f", "v")
    server.call("XADD", "jumping", "2-0", "f", "v")
    server.call("XADD", "jumping", "18446744073709551615-5", "f", "v")
    server.call("XGROUP", "CREATE", "empty", "nobody", "5-5", "MKSTREAM", "ENTRIESREAD", 7)
    server.call("XSETID", "empty", "9-9", "ENTRIESADDED", 8, "MAXDELETEDID", "8-8")
    server.call("XGROUP", "CREATE", "large", "g", "60", "ENTRIESREAD", 50)
    server.call("XGROUP", "CREATE", "large", "h", "$")
    for name, ids in (("a", (61, 62, 64)), ("b", (65, "70-1")), ("a", (71,))):
        server.call("XCLAIM", "large", "g", name, 0, *ids, "FORCE", "TIME", 1_700_000_000_000)
    server.call("XGROUP", "CREATECONSUMER", "large", "g", "idle")
    server.call("XDEL", "large", "62-2")


KEYS = ("large", "jumping", "empty")


@pytest.mark.parametrize("kinds", [(VedetteServer, RedisServer), (RedisServer, VedetteServer)])
def test_streams_replicate_both_ways(
    kinds: tuple[type[ServerProcess], type[ServerProcess]],
) -> None:
    """By the snapshot what was there, by the stream what happens since, waits included."""
    config = {"enable-debug-command": "yes"}
    with kinds[0](config) as master, kinds[1](config) as replica:
        fill(master)
        replicate(replica, master)
        for key in KEYS:
            assert facts(replica, key) == facts(master, key)
        reader = RawClient(master.port)
        reader.socket.sendall(b"XREADGROUP GROUP h c BLOCK 0 STREAMS large >\r\n")
        wait_until(lambda: b"blocked_clients:1" in master.call("INFO", "clients"))
        added = master.call("XADD", "large", "MAXLEN", "~", 100, "*", "field", "v", "n", 1)
        assert added in reader.socket.recv(1000)
        reader.close()
        master.call("XADD", "large", "*", "field", "w", "n", 2)
        master.call("XREADGROUP", "GROUP", "h", "d", "NOACK", "STREAMS", "large", ">")
        master.call("XAUTOCLAIM", "large", "g", "b", 0, 0, "COUNT", 4)
        master.call("XACK", "large", "g", 71)
        master.call("XGROUP", "DELCONSUMER", "large", "g", "a")
        master.call("RESTORE", "copy", 0, master.call("DUMP", "large"))
        assert master.call("WAIT", 1, 10_000) == 1

        assert replica.call("DEBUG", "DIGEST") == master.call("DEBUG", "DIGEST")
        for key in (*KEYS, "copy"):
            assert facts(replica, key) == facts(master, key)


def facts(server: ServerProcess, key: str) -> list[object]:
    """Return all that two servers must say alike of a stream: not when consumers asked."""
    info = server.call("XINFO", "STREAM", key, "FULL", "COUNT", 0)
    pending = [
        [name, [each[:2] + each[3:] for each in server.call("XPENDING", key, name, "-", "+", 99)]]
        for name in group_names(server, key)
    ]
    fields = dict(zip(info[::2], info[1::2], strict=True))
    del fields[b"groups"]
    return [fields, server.call("XINFO", "GROUPS", key), pending]


def group_names(server: ServerProcess, key: str) -> list[bytes]:
    """Return the names of a stream's groups."""
    return [group[1] for group in server.call("XINFO", "GROUPS", key)]


def test_payloads_are_the_same_on_both_sides() -> None:
    """MIGRATE, full synchronisation and snapshots move streams by them."""
    with RedisServer({"rdbcompression": "no"}) as redis, VedetteServer() as ours:
        fill(redis)
        ours.call("CONFIG", "SET", "rdbcompression", "no")
        for key in KEYS:
            payload = redis.call("DUMP", key)
            assert ours.call("RESTORE", key, 0, payload) == b"OK"
            assert ours.call("DUMP", key) == payload
            assert facts(ours, key) == facts(redis, key)
            assert redis.call("RESTORE", f"{key}:back", 0, ours.call("DUMP", key)) == b"OK"
            assert facts(redis, f"{key}:back") == facts(redis, key)
