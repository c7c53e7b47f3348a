"""Keyspace events beside the real server: the same messages in the same order."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from server.persistence.rdb.payload import dump_payload
from tests.support.differential import BEGIN, FAR_MS, SETTINGS, Command, RawClient, words
from tests.support.engine import TestEngine
from tests.support.redis import RedisServer
from vedette.resp.encode import encode_command

PATTERNS: Command = (b"PSUBSCRIBE", b"__key*__:*")
END_OF_EVENTS = b"end-of-events"
END_MESSAGE = b"*3\r\n$7\r\nmessage\r\n$13\r\n" + END_OF_EVENTS + b"\r\n$1\r\n.\r\n"


@pytest.fixture(scope="module")
def redis() -> Iterator[RedisServer]:
    """Yield a real server that deletes expired keys only when they are touched."""
    with RedisServer({}) as server:
        server.call("DEBUG", "SET-ACTIVE-EXPIRE", 0)
        yield server


keys = st.sampled_from([b"a", b"b", b"c"])
values = st.sampled_from([b"1", b"x", b"2.5", b"", b"10"])
PAYLOAD = dump_payload(b"hello", compress=False)
PAST, FAR = b"1", b"%d" % FAR_MS

STRINGS = st.one_of(
    words(b"SET", keys, values),
    words(b"SET", keys, values, st.sampled_from([b"NX", b"XX", b"GET", b"KEEPTTL"])),
    words(b"SET", keys, values, b"PXAT", FAR),
    words(st.sampled_from([b"SETNX", b"GETSET", b"APPEND"]), keys, values),
    words(st.sampled_from([b"SETEX", b"PSETEX"]), keys, b"1000000", values),
    words(st.sampled_from([b"GET", b"GETDEL", b"GETEX", b"STRLEN", b"INCR", b"DECR"]), keys),
    words(b"GETEX", keys, b"PXAT", st.sampled_from([PAST, FAR])),
    words(b"GETEX", keys, b"PERSIST"),
    words(b"SETRANGE", keys, st.sampled_from([b"0", b"3"]), values),
    words(b"GETRANGE", keys, b"0", b"-1"),
    words(b"INCRBYFLOAT", keys, values),
    words(b"MGET", keys, keys),
    words(st.sampled_from([b"MSET", b"MSETNX"]), keys, values, keys, values),
)
GENERIC = st.one_of(
    words(st.sampled_from([b"DEL", b"UNLINK", b"EXISTS", b"TOUCH"]), keys, keys),
    words(st.sampled_from([b"TYPE", b"TTL", b"PTTL", b"EXPIRETIME", b"PERSIST", b"DUMP"]), keys),
    words(st.sampled_from([b"RENAME", b"RENAMENX", b"COPY"]), keys, keys),
    words(b"COPY", keys, keys, b"REPLACE"),
    words(b"COPY", keys, keys, b"DB", b"1"),
    words(b"COPY", keys, keys, b"DB", b"1", b"REPLACE"),
    words(b"MOVE", keys, b"1"),
    words(b"PEXPIREAT", keys, st.sampled_from([PAST, FAR])),
    words(b"EXPIRE", keys, st.sampled_from([b"-1", b"1000000"])),
    words(b"EXPIRE", keys, b"1000000", st.sampled_from([b"NX", b"XX", b"GT", b"LT"])),
    words(b"RESTORE", keys, b"0", PAYLOAD),
    words(b"RESTORE", keys, st.sampled_from([b"0", b"1000000"]), PAYLOAD, b"REPLACE"),
    words(b"RESTORE", keys, PAST, PAYLOAD, b"REPLACE", b"ABSTTL"),
    words(b"OBJECT", b"ENCODING", keys),
    words(b"SORT", keys, b"BY", b"nosort", b"STORE", keys),
)
LISTS = st.one_of(
    words(st.sampled_from([b"LPUSH", b"RPUSH", b"LPUSHX"]), keys, values),
    words(st.sampled_from([b"LPOP", b"RPOP", b"LLEN"]), keys),
    words(st.sampled_from([b"LPOP", b"RPOP"]), keys, st.sampled_from([b"0", b"2"])),
    words(b"LSET", keys, b"0", values),
    words(b"LREM", keys, b"0", values),
    words(b"LTRIM", keys, b"1", st.sampled_from([b"0", b"2"])),
    words(b"LINSERT", keys, b"BEFORE", values, values),
    words(st.sampled_from([b"RPOPLPUSH"]), keys, keys),
    words(b"LMOVE", keys, keys, b"LEFT", b"RIGHT"),
    words(b"LMPOP", b"2", keys, keys, b"LEFT"),
)
SETS = st.one_of(
    words(st.sampled_from([b"SADD", b"SREM", b"SISMEMBER"]), keys, values),
    words(st.sampled_from([b"SPOP", b"SCARD", b"SRANDMEMBER"]), keys),
    words(b"SPOP", keys, st.sampled_from([b"0", b"100"])),
    words(b"SMOVE", keys, keys, values),
    words(st.sampled_from([b"SINTER", b"SUNION", b"SDIFF"]), keys, keys),
    words(st.sampled_from([b"SINTERSTORE", b"SUNIONSTORE", b"SDIFFSTORE"]), keys, keys, keys),
)
HASHES = st.one_of(
    words(st.sampled_from([b"HSET", b"HSETNX"]), keys, values, values),
    words(st.sampled_from([b"HDEL", b"HGET", b"HEXISTS"]), keys, values),
    words(st.sampled_from([b"HINCRBY", b"HINCRBYFLOAT"]), keys, values, b"2"),
    words(st.sampled_from([b"HLEN", b"HGETALL"]), keys),
)
SORTED_SETS = st.one_of(
    words(b"ZADD", keys, st.sampled_from([b"1", b"2"]), values),
    words(b"ZADD", keys, st.sampled_from([b"NX", b"XX", b"GT", b"INCR"]), b"2", values),
    words(b"ZINCRBY", keys, b"1", values),
    words(b"ZREM", keys, values),
    words(st.sampled_from([b"ZPOPMIN", b"ZPOPMAX", b"ZCARD"]), keys),
    words(st.sampled_from([b"ZREMRANGEBYRANK", b"ZREMRANGEBYSCORE"]), keys, b"0", b"1"),
    words(st.sampled_from([b"ZUNIONSTORE", b"ZINTERSTORE"]), keys, b"2", keys, keys),
    words(b"ZRANGESTORE", keys, keys, b"0", b"1"),
    words(b"ZSCORE", keys, values),
)
BITS = st.one_of(
    words(b"SETBIT", keys, b"3", st.sampled_from([b"0", b"1"])),
    words(b"GETBIT", keys, b"3"),
    words(b"BITOP", st.sampled_from([b"AND", b"OR"]), keys, keys, keys),
    words(b"BITFIELD", keys, b"INCRBY", b"u8", b"0", b"1"),
    words(b"BITFIELD", keys, b"GET", b"u8", b"0"),
    words(b"BITCOUNT", keys),
    words(b"PFADD", keys, values),
    words(b"PFCOUNT", keys),
    words(b"PFMERGE", keys, keys),
)
ids = st.sampled_from([b"1", b"2", b"3", b"4-1", b"5"])
names = st.sampled_from([b"g", b"h"])
STREAMS = st.one_of(
    words(b"XADD", keys, ids, b"f", b"v"),
    words(b"XADD", keys, ids, b"f", b"v"),
    words(b"XADD", keys, b"MAXLEN", st.sampled_from([b"0", b"1"]), ids, b"f", b"v"),
    words(b"XADD", keys, b"NOMKSTREAM", ids, b"f", b"v"),
    words(b"XTRIM", keys, b"MINID", ids),
    words(st.sampled_from([b"XDEL", b"XSETID"]), keys, ids),
    words(b"XGROUP", b"CREATE", keys, names, b"0", b"MKSTREAM"),
    words(b"XGROUP", b"SETID", keys, names, ids),
    words(b"XGROUP", st.sampled_from([b"DESTROY"]), keys, names),
    words(b"XGROUP", st.sampled_from([b"CREATECONSUMER", b"DELCONSUMER"]), keys, names, b"c"),
    words(b"XREADGROUP", b"GROUP", names, b"c", b"STREAMS", keys, b">"),
    words(b"XREADGROUP", b"GROUP", names, b"c", b"STREAMS", keys, keys, b">", b"0"),
    words(b"XREAD", b"STREAMS", keys, keys, b"0", b"$"),
    words(b"XACK", keys, names, ids),
    words(b"XCLAIM", keys, names, b"d", b"0", ids, b"FORCE"),
    words(b"XAUTOCLAIM", keys, names, b"d", b"0", b"0"),
    words(b"XPENDING", keys, names),
    words(b"XRANGE", keys, b"-", b"+"),
    words(b"XLEN", keys),
    words(b"XINFO", b"STREAM", keys),
)
FAMILIES = {
    "strings": STRINGS,
    "generic": GENERIC,
    "lists": LISTS,
    "sets": SETS,
    "hashes": HASHES,
    "sorted-sets": SORTED_SETS,
    "streams": STREAMS,
    "bits": BITS,
}


def our_events(letters: bytes, commands: Sequence[Command]) -> bytes:
    """Return what a subscriber of our engine is sent while `commands` run."""
    engine = TestEngine()
    engine.advance(int(time.time() * 1000) - engine.now_ms)
    listener = engine.connect()
    engine.send(b"".join(map(encode_command, [PATTERNS])), listener)
    setting = (b"CONFIG", b"SET", b"notify-keyspace-events", letters)
    engine.send(b"".join(map(encode_command, [setting, *commands])))
    return engine.send(b"", listener)


def their_events(
    listener: RawClient, client: RawClient, letters: bytes, commands: Sequence[Command]
) -> bytes:
    """Return what a subscriber of the real server is sent while `commands` run."""
    setting = (b"CONFIG", b"SET", b"notify-keyspace-events", letters)
    client.exchange([(b"CONFIG", b"SET", b"notify-keyspace-events", b""), *BEGIN, setting])
    client.exchange([*commands, (b"PUBLISH", END_OF_EVENTS, b".")])
    received = b""
    while not received.endswith(END_MESSAGE):
        data = listener.socket.recv(1 << 16)
        assert data, "the server closed the connection"
        received += data
    return received[: -len(END_MESSAGE)]


@pytest.mark.parametrize("family", FAMILIES)
def test_events_are_the_real_servers(redis: RedisServer, family: str) -> None:
    """Whoever follows a dataset by its events sees no difference, nor another order."""
    listener, client = RawClient(redis.port), RawClient(redis.port)
    for word in ((b"PSUBSCRIBE", b"__key*__:*"), (b"SUBSCRIBE", END_OF_EVENTS)):
        listener.socket.sendall(encode_command(word))
        time_limit = time.monotonic() + 10
        received = b""
        while b":1\r\n" not in received and b":2\r\n" not in received:
            assert time.monotonic() < time_limit
            received += listener.socket.recv(1 << 16)
    commands = st.one_of(FAMILIES[family], FAMILIES[family], STRINGS, GENERIC)
    sequences = st.lists(commands, min_size=5, max_size=25)

    @settings(SETTINGS, max_examples=120)
    @given(sequences, st.sampled_from([b"KEAmn", b"KEA", b"Km$g", b"En", b"Ag"]))
    def compare(sequence: list[Command], letters: bytes) -> None:
        theirs = their_events(listener, client, letters, sequence)

        assert our_events(letters, sequence) == theirs

    try:
        compare()
    finally:
        listener.close()
        client.close()
