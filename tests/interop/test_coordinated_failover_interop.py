"""SENTINEL FAILOVER COORDINATED over real nodes: the switch, the refusals, the words."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from tests.support.client import BlockingClient, ReplyError
from tests.support.processes import ServerProcess, VedetteSentinel, VedetteServer, watching
from tests.support.redis import RedisSentinel, RedisServer, require_redis
from tests.support.waiting import wait_until

pytestmark = pytest.mark.timeout(90)

WAIT_S = 30.0


@pytest.fixture
def processes() -> Iterator[ExitStack]:
    """Yield a stack that ends the processes a test enters into it."""
    with ExitStack() as stack:
        yield stack


def deploy(
    processes: ExitStack, nodes: list[type[ServerProcess]], sentinels: list[type[ServerProcess]]
) -> tuple[list[ServerProcess], list[ServerProcess]]:
    """Start a master with replicas and sentinels that all know one another."""
    servers = [
        processes.enter_context(program({"repl-diskless-sync-delay": "0"})) for program in nodes
    ]
    for replica in servers[1:]:
        replica.call("REPLICAOF", "127.0.0.1", servers[0].port)
    watchers = [
        processes.enter_context(program(extra_lines=watching(servers[0].port, down_after_ms=3_000)))
        for program in sentinels
    ]
    for watcher in watchers:
        wait_until(lambda watcher=watcher: knows_all(watcher, nodes, sentinels), WAIT_S, "all")
    wait_until(
        lambda: (
            servers[0].info("replication").get("connected_slaves") == str(len(nodes) - 1)
            and all(r.info("replication")["master_link_status"] == "up" for r in servers[1:])
        ),
        WAIT_S,
        "replicas to be online",
    )
    return servers, watchers


def knows_all(watcher: ServerProcess, nodes: list[type], sentinels: list[type]) -> bool:
    words = watcher.call("SENTINEL", "MASTER", "mymaster")
    fields = dict(zip(words[::2], words[1::2], strict=True))
    replicas = watcher.call("SENTINEL", "REPLICAS", "mymaster")
    return (
        int(fields[b"num-slaves"]) == len(nodes) - 1
        and int(fields[b"num-other-sentinels"]) == len(sentinels) - 1
        and all(dict(zip(r[::2], r[1::2], strict=True))[b"slave-repl-offset"] for r in replicas)
    )


def master_port(watcher: ServerProcess) -> int:
    return int(watcher.call("SENTINEL", "GET-MASTER-ADDR-BY-NAME", "mymaster")[1])


@pytest.mark.parametrize(
    ("nodes", "fellows"),
    [
        ([RedisServer, VedetteServer], [RedisSentinel, RedisSentinel]),
        ([VedetteServer, RedisServer, VedetteServer], [VedetteSentinel, VedetteSentinel]),
    ],
    ids=["redis-master", "vedette-master"],
)
def test_nothing_acknowledged_is_lost(
    processes: ExitStack, nodes: list[type[ServerProcess]], fellows: list[type[ServerProcess]]
) -> None:
    """Writers find the new master by themselves; the roles are changed by partial resyncs."""
    require_redis()
    servers, watchers = deploy(processes, nodes, [VedetteSentinel, *fellows])
    leader = watchers[0]
    acknowledged: dict[str, int] = {}
    stop = threading.Event()

    def write(key: str) -> None:
        while not stop.is_set():
            try:
                with BlockingClient(master_of(leader.port)) as client:
                    while not stop.is_set():
                        acknowledged[key] = client.call("INCR", key)
            except (ReplyError, OSError):
                continue

    threads = [threading.Thread(target=write, args=(f"count:{i}",)) for i in range(4)]
    for thread in threads:
        thread.start()
    try:
        wait_until(lambda: len(acknowledged) == 4, WAIT_S, "all to write")
        assert leader.call("SENTINEL", "FAILOVER", "mymaster", "Coordinated") == b"OK"
        wait_until(lambda: master_port(leader) != servers[0].port, WAIT_S, "the switch")
        before = dict(acknowledged)
        wait_until(lambda: all(acknowledged[k] > before[k] for k in before), WAIT_S, "writes")
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    new = next(server for server in servers if server.port == master_port(leader))
    with new.connect() as client:
        assert all(int(client.call("GET", key)) >= n for key, n in acknowledged.items())
    record = leader.call("SENTINEL", "HISTORY", "mymaster")[0]
    fields = dict(zip(record[::2], record[1::2], strict=True))
    assert fields[b"cause"] == b"coordinated"
    assert 0 < fields[b"pause-ms"] < 5_000
    for watcher in watchers:
        wait_until(lambda w=watcher: master_port(w) == new.port, WAIT_S, "agreement")
    with new.connect() as client:
        assert b"sync_full:0" in client.call("INFO", "stats")


def master_of(port: int) -> int:
    with BlockingClient(port) as client:
        return int(client.call("SENTINEL", "GET-MASTER-ADDR-BY-NAME", "mymaster")[1])


def test_a_master_whose_user_may_not_say_it_stays(processes: ExitStack) -> None:
    """An old access control list: refused at once, nobody waits, and the plain form still works."""
    require_redis()
    servers, watchers = deploy(processes, [RedisServer, RedisServer], [VedetteSentinel] * 3)
    servers[0].call("ACL", "SETUSER", "default", "-failover")
    leader = watchers[0]
    assert leader.call("SENTINEL", "FAILOVER", "mymaster", "COORDINATED") == b"OK"

    def refused() -> bool:
        records = leader.call("SENTINEL", "HISTORY", "mymaster")
        return bool(records) and b"-failover-abort-master-refused" in records[0]

    wait_until(refused, WAIT_S, "the refusal")
    with servers[0].connect() as client:
        assert client.call("SET", "key", "value") == b"OK"
    assert leader.call("SENTINEL", "FAILOVER", "mymaster") == b"OK"
    wait_until(lambda: master_port(leader) == servers[1].port, WAIT_S, "the plain failover")


def test_errors_have_their_texts(processes: ExitStack) -> None:
    require_redis()
    _, watchers = deploy(processes, [VedetteServer, VedetteServer], [VedetteSentinel])

    def error(*words: str) -> str:
        with pytest.raises(ReplyError) as caught, watchers[0].connect() as client:
            client.call("SENTINEL", "FAILOVER", *words)
        return str(caught.value)

    assert error("mymaster", "GENTLY") == "ERR Unknown failover option specified"
    assert error("other", "COORDINATED") == "ERR No such master with that name"
    assert error("mymaster", "COORDINATED", "NOW") == "ERR Unknown failover option specified"
