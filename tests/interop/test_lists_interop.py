"""Lists beside the real server: replies, datasets, streams, payloads."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator

import pytest
from hypothesis import strategies as st

from server.persistence.rdb.payload import dump_payload, restore_payload
from server.store.lists import List
from tests.support.differential import (
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
    with RedisServer({"rdbcompression": "no"}) as server:
        server.call("DEBUG", "SET-ACTIVE-EXPIRE", 0)
        yield server


@pytest.fixture(scope="module")
def replica(redis: RedisServer) -> Iterator[Replica]:
    """Yield a listening replica of the real server."""
    listener = Replica(redis.port)
    yield listener
    listener.close()


keys = st.sampled_from([b"a", b"b", b"c", b"\x00\r\n"])
elements = st.sampled_from([b"x", b"y", b"z", b"", b"1", b"-300", b"a\0b", b"q" * 70])
indexes = st.sampled_from(b"0|1|-1|2|-2|5|-100|100|x|9223372036854775807|007".split(b"|"))
counts = st.sampled_from(b"0|1|2|3|100|-1|x|9223372036854775807|-9223372036854775808".split(b"|"))
ends = st.sampled_from([b"LEFT", b"right", b"LEFT", b"right", b"up"])
timeouts = st.sampled_from([b"1", b"0.01", b"0", b"-1", b"x", b"nan", b"1e-3"])

pushes = st.one_of(
    words(st.sampled_from([b"LPUSH", b"rpush"]), keys, elements),
    words(st.sampled_from([b"LPUSH", b"RPUSH"]), keys, elements, elements, elements),
    words(st.sampled_from([b"LPUSHX", b"RPUSHX"]), keys, elements, elements),
    words(b"LINSERT", keys, st.sampled_from([b"before", b"AFTER", b"at"]), elements, elements),
    words(b"LSET", keys, indexes, elements),
)
reads = st.one_of(
    words(b"LLEN", keys),
    words(b"LINDEX", keys, indexes),
    words(b"LRANGE", keys, indexes, indexes),
    with_options(
        words(b"LPOS", keys, elements),
        words(st.sampled_from([b"RANK", b"count", b"MAXLEN"]), counts),
        words(b"RANK"),
    ),
    words(st.sampled_from([b"DUMP", b"TYPE"]), keys),
    words(b"OBJECT", b"ENCODING", keys),
)
removals = st.one_of(
    words(st.sampled_from([b"LPOP", b"RPOP"]), keys),
    words(st.sampled_from([b"LPOP", b"RPOP"]), keys, counts),
    words(b"LPOP", keys, counts, counts),
    words(b"LTRIM", keys, indexes, indexes),
    words(b"LREM", keys, counts, elements),
    words(b"LMOVE", keys, keys, ends, ends),
    words(b"RPOPLPUSH", keys, keys),
    with_options(
        words(b"LMPOP", st.sampled_from([b"1", b"2", b"0", b"x"]), keys, keys, ends),
        words(b"COUNT", counts),
        words(b"COUNT"),
        most=2,
    ),
    words(b"LMPOP", b"1", keys, ends),
)
#: Only inside MULTI, where nothing waits.
blocking = st.one_of(
    words(st.sampled_from([b"BLPOP", b"BRPOP"]), keys, timeouts),
    words(st.sampled_from([b"BLPOP", b"BRPOP"]), keys, keys, timeouts),
    words(b"BLMOVE", keys, keys, ends, ends, timeouts),
    words(b"BRPOPLPUSH", keys, keys, timeouts),
    with_options(
        words(b"BLMPOP", timeouts, st.sampled_from([b"1", b"2", b"0"]), keys, keys, ends),
        words(b"COUNT", counts),
        most=2,
    ),
)
others = st.one_of(
    words(b"SET", keys, elements),
    words(b"DEL", keys),
    words(b"COPY", keys, keys, b"REPLACE"),
    words(b"RENAME", keys, keys),
    words(b"PEXPIREAT", keys, st.sampled_from([b"1", b"4102444800000"])),
)
#: What may stand in a transaction; it is opened and closed around each of these.
anything = st.one_of(
    *[st.tuples(each) for each in (pushes, pushes, pushes, reads, removals, others)],
    blocking.map(lambda command: ((b"MULTI",), command, (b"EXEC",))),
)
sequences = st.lists(anything, min_size=10, max_size=40).map(
    lambda parts: [command for part in parts for command in part]
)


@pytest.mark.parametrize("protocol", [2, 3])
def test_replies_and_datasets_are_those_of_redis(redis: RedisServer, protocol: int) -> None:
    """What a client sees, errors included, must not depend on which server it talks to."""
    check_same_replies(redis.port, protocol, sequences, 300)


def test_replicas_are_told_what_redis_tells_them(redis: RedisServer, replica: Replica) -> None:
    """Pops that wait and pops from several keys leave as pops from one key."""
    check_same_streams(redis.port, replica, sequences, 200)


LISTS = [
    [b"a"],
    [b"%d" % number for number in (0, 127, 128, -1, 4095, -4096, 2**31, -(2**63), 2**63 - 1)],
    [b"", b"007", b"-0", b"9223372036854775808", b"x" * 63, b"x" * 64, b"x" * 5000, b"y" * 20_000],
    [b"element:%d" % number for number in range(3000)],
]


@pytest.mark.parametrize("items", LISTS, ids=["one", "integers", "odd", "long"])
def test_payloads_are_the_same_on_both_sides(redis: RedisServer, items: list[bytes]) -> None:
    """MIGRATE, full synchronisation and snapshots move lists by them."""
    redis.call("DEL", "ours", "theirs")
    redis.call("RPUSH", "theirs", *items)
    theirs = redis.call("DUMP", "theirs")

    restored = restore_payload(theirs)
    assert list(restored.elements()) == items
    assert redis.call("RESTORE", "ours", 0, dump_payload(List(deque(items)))) == b"OK"
    assert redis.call("LRANGE", "ours", 0, -1) == items
    assert dump_payload(List(deque(items)), compress=False) == theirs


@pytest.mark.parametrize("kinds", [(VedetteServer, RedisServer), (RedisServer, VedetteServer)])
def test_lists_replicate_both_ways(kinds: tuple[type[ServerProcess], type[ServerProcess]]) -> None:
    """By the snapshot what was there, by the stream what happens since, waits included."""
    config = {"enable-debug-command": "yes"}
    with kinds[0](config) as master, kinds[1](config) as replica:
        for number, items in enumerate(LISTS):
            master.call("RPUSH", f"before:{number}", *items)
        replicate(replica, master)
        waiter = RawClient(master.port)
        waiter.socket.sendall(b"BLMOVE queue taken LEFT RIGHT 0\r\n")
        wait_until(lambda: b"blocked_clients:1" in master.call("INFO", "clients"))
        master.call("RPUSH", "queue", "a", "b", "c")
        master.call("LMPOP", 2, "none", "queue", "RIGHT")
        master.call("LTRIM", "before:3", 10, -10)
        master.call("SORT", "before:3", "ALPHA", "STORE", "sorted")
        assert waiter.socket.recv(100) == b"$1\r\na\r\n"
        waiter.close()
        assert master.call("WAIT", 1, 10_000) == 1

        assert replica.call("LRANGE", "taken", 0, -1) == [b"a"]
        assert replica.call("DEBUG", "DIGEST") == master.call("DEBUG", "DIGEST")
