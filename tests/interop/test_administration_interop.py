"""Commands for administrators and tests beside a real redis-server: the same bytes."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.differential import RawClient
from tests.support.engine import TestEngine
from tests.support.redis import RedisServer
from vedette.resp.encode import encode_command


@pytest.fixture(scope="module")
def redis() -> Iterator[RedisServer]:
    """Yield a real server that allows DEBUG and MODULE."""
    with RedisServer({"enable-module-command": "yes"}) as server:
        yield server


SEQUENCES = [
    "CLUSTER INFO;CLUSTER SLOTS;CLUSTER MYID;CLUSTER NOPE;CLUSTER;CLUSTER SETSLOT 1;CLUSTER HELP",
    "CLUSTER KEYSLOT a;CLUSTER RESET HARD;CLUSTER MEET 1 2;READONLY;READWRITE;ASKING",
    "MODULE LIST;MODULE UNLOAD x;MODULE NOPE;MODULE LOAD",
    "SLOWLOG GET x;SLOWLOG GET -2;SLOWLOG NOPE;SLOWLOG LEN 1;SLOWLOG GET 1 2;SLOWLOG RESET",
    "LATENCY LATEST;LATENCY HISTORY x;LATENCY GRAPH x;LATENCY RESET a b;LATENCY HISTOGRAM nope",
    "LATENCY DOCTOR x;LATENCY NOPE;LATENCY HISTORY;CONFIG GET latency-tracking-info*",
    "CONFIG SET latency-tracking-info-percentiles x",
    "CONFIG SET latency-tracking-info-percentiles -1",
    "CONFIG SET latency-tracking-info-percentiles '50 101'",
    "CONFIG SET tracking-table-max-keys -1;CONFIG SET slowlog-max-len -1",
    "CONFIG SET slowlog-log-slower-than -2;CONFIG SET latency-monitor-threshold -1",
    "SET s v;DEBUG DIGEST-VALUE s none;EXPIRE s 100;DEBUG DIGEST-VALUE s;DEBUG DIGEST-VALUE",
    "SADD t a b c;HSET h f v;ZADD z 1 a;RPUSH l a b;XADD x 1-1 f v;DEBUG DIGEST-VALUE t h z l x",
    "DEBUG HTSTATS-KEY none;SET s v;DEBUG HTSTATS-KEY s;DEBUG HTSTATS x;DEBUG HTSTATS 99",
    "DEBUG PAUSE-CRON 1;DEBUG PAUSE-CRON 0;DEBUG REPLICATE PING;DEBUG LOG x;DEBUG NOPE",
    "LOLWUT VERSION x",
    "RESTORE-ASKING a 0 x;RESTORE-ASKING a",
    "CLIENT TRACKING;CLIENT TRACKING x;CLIENT TRACKING ON PREFIX a;CLIENT TRACKING ON REDIRECT 99",
    "CLIENT TRACKING ON BCAST OPTIN;CLIENT TRACKING ON OPTIN OPTOUT;CLIENT CACHING YES",
    "CLIENT TRACKING ON BCAST PREFIX ab PREFIX a;CLIENT TRACKINGINFO;CLIENT GETREDIR",
    "MULTI;MONITOR;EXEC;MULTI;SSUBSCRIBE a;EXEC;PUBSUB SHARDCHANNELS a b;PUBSUB SHARDNUMSUB",
    "MIGRATE;MIGRATE h 1 k 0 x;MIGRATE h 1 k x 1;MIGRATE h 1 none 0 1 COPY REPLACE",
    "MIGRATE h 1 k 0 1 Z;MIGRATE h 1 k 0 1 AUTH",
    "FUNCTION LOAD a\0b x;FUNCTION LIST a\0b;HELLO 3 a\0b;CONFIG SET a\0b x;CLIENT a\0b",
    "ACL CAT a\0b;ACL DRYRUN a\0b get k;ACL DRYRUN default a\0b;a\0b c\0d",
    "CLIENT KILL USER a\0b;CLIENT KILL TYPE a\0b;CLIENT LIST TYPE a\0b",
]


@pytest.mark.parametrize("protocol", [2, 3])
@pytest.mark.parametrize("sequence", SEQUENCES)
def test_replies_are_those_of_redis(redis: RedisServer, sequence: str, protocol: int) -> None:
    """Errors, counts and shapes, in both protocols."""
    engine = TestEngine("enable-debug-command yes\nenable-module-command yes")
    commands = [
        tuple(word.strip("'").encode() for word in _split(request))
        for request in sequence.split(";")
    ]
    hello = (b"HELLO", b"%d" % protocol)
    client = RawClient(redis.port)
    try:
        client.exchange([hello, (b"FLUSHALL",)])
        engine.raw(*hello)
        ours = engine.send(b"".join(map(encode_command, commands)))
        assert ours == client.exchange(commands)
    finally:
        client.close()


def _split(request: str) -> list[str]:
    """Return the words of a request; one in single quotes may have a space in it."""
    if "'" not in request:
        return request.split()
    head, quoted, _ = request.split("'")
    return [*head.split(), quoted]


def test_a_picture_is_drawn_anew_each_time_in_the_size_that_is_asked_for() -> None:
    """Ours is not Redis', but ends with the version as well."""
    engine = TestEngine()
    first, second = engine.call("LOLWUT"), engine.call("LOLWUT")

    assert first != second
    assert b"Redis ver. 7.2.4" in first
    lines = engine.call("LOLWUT", "VERSION", "5", "30", "20").splitlines()
    assert len(lines) == 22
    assert max(map(len, lines[:20])) <= 30
    assert engine.call("LOLWUT", "-1", "999999").count(b"\n") <= 64


def test_modules_are_refused_by_name_and_only_to_whom_may_ask() -> None:
    """There is no way to load one."""
    assert "MODULE command not allowed" in TestEngine().error("MODULE", "LOAD", "x", "y")
    allowed = TestEngine("enable-module-command local")
    assert "loads no modules" in allowed.error("MODULE", "LOAD", "x", "y")
    assert "loads no modules" in allowed.error("MODULE", "LOADEX", "x", "y")


def test_nothing_happens_by_itself_while_timers_are_paused() -> None:
    """A test can then look at what a timer would take away."""
    engine = TestEngine("enable-debug-command yes")
    engine.call("SET", "k", "v", "PX", 5)
    engine.call("DEBUG", "PAUSE-CRON", 1)
    engine.advance(10)
    engine.engine.on_tick(engine.now_ms)
    assert engine.call("DBSIZE") == 1

    engine.call("DEBUG", "PAUSE-CRON", 0)
    engine.engine.on_tick(engine.now_ms)
    assert engine.call("DBSIZE") == 0
