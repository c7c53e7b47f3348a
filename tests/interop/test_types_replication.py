"""Every type over a real link, from redis-server to us and back: the datasets have one digest."""

from __future__ import annotations

import pytest

from tests.support.processes import ServerProcess, VedetteServer, replicate
from tests.support.redis import RedisServer
from tests.support.waiting import wait_until

pytestmark = pytest.mark.timeout(60)

MANY = 600

#: For each type what the snapshot shall hold, and what changes it while the link is up.
BEFORE: list[list[object]] = [
    ["RPUSH", "list", *range(300), "x" * 5000],
    ["HSET", "hash", "f", "v", "n", "7"],
    ["HSET", "large hash", *[f"word{number}" for number in range(2 * MANY)]],
    ["HSET", "long hash", "f", "v" * 5000],
    ["SADD", "integers", *range(-200, 200)],
    ["SADD", "many integers", *range(MANY)],
    ["SADD", "set", "", "a", "b" * 5000, *(f"member{number}" for number in range(MANY))],
    ["ZADD", "zset", "-inf", "low", "0.1", "", "2.5", "b", "1e300", "c", "inf", "high"],
    ["ZADD", "long zset", 7, "b" * 5000],
    ["ZADD", "large zset", *[word for n in range(MANY) for word in (n / 7, f"member{n}")]],
]
AFTER: list[list[object]] = [
    ["LPOP", "list", 7],
    ["LMOVE", "list", "other list", "RIGHT", "LEFT"],
    ["HINCRBYFLOAT", "hash", "n", "0.1"],
    ["HDEL", "large hash", "word0", "word2"],
    ["SMOVE", "set", "moved", "a"],
    ["SPOP", "many integers"],
    ["SPOP", "set", 100],
    ["SPOP", "integers", 1000],
    ["SUNIONSTORE", "union", "set", "many integers"],
    ["ZINCRBY", "zset", "0.2", ""],
    ["ZMPOP", 2, "missing", "zset", "MAX", "COUNT", 2],
    ["BZPOPMIN", "zset", 0],
    ["ZREMRANGEBYSCORE", "large zset", "(3", "10"],
    ["ZUNIONSTORE", "zset union", 3, "zset", "large zset", "set", "WEIGHTS", "0.1", 3, 7],
]


def digest(server: ServerProcess) -> bytes:
    reply = server.call("DEBUG", "DIGEST")
    assert isinstance(reply, bytes)
    return reply


def run(server: ServerProcess, commands: list[list[object]]) -> None:
    for command in commands:
        server.call(*[str(word) for word in command])


@pytest.mark.parametrize("is_ours_the_master", [True, False], ids=["from-us", "to-us"])
def test_replicas_hold_what_their_master_holds(is_ours_the_master: bool) -> None:
    """By the snapshot first, and then by the stream."""
    with RedisServer() as redis, VedetteServer({"enable-debug-command": "yes"}) as ours:
        master, replica = (ours, redis) if is_ours_the_master else (redis, ours)
        run(master, BEFORE)
        replicate(replica, master)
        assert digest(replica) == digest(master)

        run(master, AFTER)

        wait_until(lambda: digest(replica) == digest(master), 20, "the replica to follow")
        assert master.call("DBSIZE") == replica.call("DBSIZE") == 13
