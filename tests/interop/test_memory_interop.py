"""maxmemory, eviction and freeing on real processes: memory, clients, replicas and files agree."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hiredis import ReplyError

from tests.support.processes import VedetteServer
from tests.support.redis import RedisServer
from tests.support.waiting import wait_until

KILOBYTE = 1024
MEGABYTE = 1024 * KILOBYTE
POLICIES = (
    *("allkeys-lru", "allkeys-lfu", "allkeys-random"),
    *("volatile-lru", "volatile-lfu", "volatile-random", "volatile-ttl"),
)


@pytest.fixture(scope="module")
def process() -> Iterator[VedetteServer]:
    with VedetteServer({"enable-debug-command": "yes"}) as server:
        yield server


@pytest.fixture
def server(process: VedetteServer) -> VedetteServer:
    """Return an empty server without limits."""
    process.call("CONFIG", "SET", "maxmemory", 0, "maxmemory-clients", 0)
    process.call("CONFIG", "SET", "maxmemory-policy", "noeviction")
    process.call("FLUSHALL")
    return process


def used(server: VedetteServer) -> int:
    return int(server.info("memory")["used_memory"])


def evicted(server: VedetteServer) -> int:
    return int(server.info("stats")["evicted_keys"])


def limit(server: VedetteServer, policy: str, room: int) -> int:
    """Allow so much more memory than is used; return the limit."""
    limit_bytes = used(server) + room
    server.call("CONFIG", "SET", "maxmemory-policy", policy)
    server.call("CONFIG", "SET", "maxmemory", limit_bytes)
    return limit_bytes


def fill_up(server: VedetteServer) -> None:
    for number in range(3000):
        server.call("SET", f"more:{number}", "x" * 1000)


def test_a_small_limit_leaves_room_for_keys() -> None:
    """The program is counted apart, so that limits mean what they mean to Redis."""
    with VedetteServer({"maxmemory": "3mb"}) as server:
        fields = {name: value for name, value in server.info("memory").items() if value.isdigit()}
        allocated = int(fields["allocator_allocated"])
        assert int(fields["used_memory_startup"]) <= int(fields["used_memory"]) < 2 * MEGABYTE
        assert int(fields["used_memory"]) + int(fields["used_memory_program"]) == allocated

        for number in range(1000):
            server.call("SET", f"key:{number}", "x" * 1000)

        with pytest.raises(ReplyError, match="OOM"):
            fill_up(server)


def test_used_memory_follows_what_is_kept(server: VedetteServer) -> None:
    """It rises by about what is written, and falls again when that is deleted."""
    before = used(server)
    for number in range(20):
        server.call("SET", f"key:{number}", "x" * 500_000)
    server.call("SADD", "set", *range(50_000))
    grown = used(server) - before
    server.call("DEL", *(f"key:{number}" for number in range(20)), "set")

    assert 10_000_000 < grown < 20_000_000
    assert used(server) - before < 200_000


@pytest.mark.parametrize("policy", POLICIES)
def test_memory_stays_within_the_limit(server: VedetteServer, policy: str) -> None:
    """Twice as much is written as there is room for; volatile policies spare what lasts."""
    server.call("CONFIG", "RESETSTAT")
    limit_bytes = limit(server, policy, 2 * MEGABYTE)
    for number in range(20):
        server.call("SET", f"lasting:{number}", "x" * 1000)

    for number in range(400):
        server.call("SET", f"key:{number}", "x" * 10_000, "EX", 1000 + number)

    wait_until(lambda: used(server) <= limit_bytes, what="memory to be within the limit")
    wait_until(  # the question itself may have one more evicted
        lambda: int(server.call("DBSIZE")) == 420 - evicted(server), what="all keys to be counted"
    )
    assert evicted(server) >= 150
    if policy.startswith("volatile"):
        assert server.call("EXISTS", *(f"lasting:{number}" for number in range(20))) == 20


def test_writes_are_refused_beyond_the_limit_without_eviction(server: VedetteServer) -> None:
    """Reads and deletions go on, and room that they make is to be had at once."""
    server.call("EVAL", "return 1", 0)  # what scripts take for themselves is taken before
    limit(server, "noeviction", 4 * MEGABYTE)
    count = _fill_until_refused(server)

    assert server.call("GET", "key:0") == b"x" * 400_000
    assert 5 <= count <= 12

    def refuses_scripts() -> bool:
        # Python may have given something back since: garbage from before the limit was set.
        _fill_until_refused(server)
        return not _is_accepted(server, "EVAL", "return redis.call('SET', 'k', 'v')", 0)

    wait_until(refuses_scripts, what="a script to be refused")
    server.call("DEL", "key:0", "key:1", "key:2")
    wait_until(lambda: _is_accepted(server, "SET", "k", "v"), what="a write to be accepted")


def _fill_until_refused(server: VedetteServer) -> int:
    """Write values of 400,000 bytes until one is refused; return how many keys there are."""
    count = int(server.call("DBSIZE"))
    while count < 100 and _is_accepted(server, "SET", f"key:{count}", "x" * 400_000):
        count += 1
    return count


def _is_accepted(server: VedetteServer, *command: str | int) -> bool:
    try:
        server.call(*command)
    except ReplyError as error:
        assert "OOM command not allowed" in str(error)  # noqa: PT017 (others are faults)
        return False
    return True


def test_a_replica_follows_evictions(server: VedetteServer) -> None:
    """A real one holds what its master holds, though it would not evict itself."""
    with RedisServer({"enable-debug-command": "yes"}) as replica:
        replica.call("REPLICAOF", "127.0.0.1", server.port)
        wait_until(
            lambda: replica.info("replication").get("master_link_status") == "up",
            what="the replica to be linked",
        )
        limit(server, "allkeys-lru", MEGABYTE)
        for number in range(300):
            server.call("SET", f"key:{number}", "x" * 10_000)
        assert 30 < server.call("DBSIZE") < 150

        wait_until(
            lambda: replica.call("DEBUG", "DIGEST") == server.call("DEBUG", "DIGEST"),
            what="the replica to follow",
        )


def test_used_keys_outlive_unused_ones(server: VedetteServer) -> None:
    """LFU: what is read all the time stays, though it is the oldest."""
    limit(server, "allkeys-lfu", MEGABYTE)
    for number in range(20):
        server.call("SET", f"hot:{number}", "x" * 1000)
    for number in range(300):
        server.call("GET", f"hot:{number % 20}")
        server.call("SET", f"cold:{number}", "x" * 10_000)

    assert server.call("EXISTS", *(f"hot:{number}" for number in range(20))) >= 18
    assert server.call("OBJECT", "FREQ", "hot:7") > 5


def test_how_keys_are_used_goes_to_redis_and_back(server: VedetteServer) -> None:
    """Idle times and counters have opcodes of their own in a snapshot."""
    for policy, option, question, amount in (
        ("allkeys-lru", "IDLETIME", "IDLETIME", 5000),
        ("allkeys-lfu", "FREQ", "FREQ", 99),
    ):
        server.call("REPLICAOF", "NO", "ONE")
        server.call("FLUSHALL")
        server.call("CONFIG", "SET", "maxmemory-policy", policy)
        server.call("SET", "k", "v")
        payload = server.call("DUMP", "k")
        server.call("RESTORE", "used", 0, payload, option, amount)
        with RedisServer({"maxmemory-policy": policy}) as redis:
            redis.call("REPLICAOF", "127.0.0.1", server.port)
            wait_until(lambda: redis.call("EXISTS", "used"), what="Redis to have the snapshot")
            assert abs(redis.call("OBJECT", question, "used") - amount) <= 60
            redis.call("REPLICAOF", "NO", "ONE")
            server.call("REPLICAOF", "127.0.0.1", redis.port)
            wait_until(
                lambda: server.info("replication").get("master_link_status") == "up",
                what="Vedette to have the snapshot",
            )
            assert abs(server.call("OBJECT", question, "used") - amount) <= 60
    server.call("REPLICAOF", "NO", "ONE")


def test_the_largest_client_is_closed(server: VedetteServer) -> None:
    """maxmemory-clients, while others are served."""
    with server.connect() as greedy:
        greedy.socket.sendall(b"*2\r\n$3\r\nGET\r\n$50000000\r\n" + bytes(4 * MEGABYTE))
        server.call("CONFIG", "SET", "maxmemory-clients", "3mb")

        with pytest.raises(OSError):  # noqa: PT011 (reset or closed, as the kernel has it)
            greedy.receive()
    assert int(server.info("stats")["evicted_clients"]) >= 1


def test_a_large_value_is_freed_while_others_are_served(server: VedetteServer) -> None:
    """UNLINK returns at once; memory is back some moments later, and INFO says when."""
    before = used(server)
    for first in range(0, 200_000, 10_000):
        server.call("SADD", "large", *range(first, first + 10_000))
    assert used(server) - before > 10 * MEGABYTE

    server.call("UNLINK", "large")

    wait_until(
        lambda: server.info("memory")["lazyfree_pending_objects"] == "0", what="it to be freed"
    )
    assert used(server) - before < MEGABYTE
    assert int(server.info("memory")["lazyfreed_objects"]) >= 1


def test_pauses_of_the_collector_are_shown(server: VedetteServer) -> None:
    """Objects that take part in cycles make it run; how long that takes is INFO's to say."""
    script = "for i = 1, 12000 do redis.call('HSET', 'hash:' .. i, 'f', 'v') end"
    server.call("EVAL", script, 0)

    stats = server.info("stats")
    assert int(stats["gc_collections"]) >= 1
    assert 0 < int(stats["gc_pause_max_usec"]) <= int(stats["gc_pause_total_usec"])
