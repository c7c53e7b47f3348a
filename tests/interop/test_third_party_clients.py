"""Clients that others wrote, against ours: redis-py (blocking and asyncio), coredis, redis-cli.

They are what users will come with, and each insists on something of its own: coredis on RESP3,
redis-py on the maps and flags of SENTINEL MASTERS, redis-cli on COMMAND DOCS and SYNC.
"""

from __future__ import annotations

import asyncio
import re
import subprocess
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import ExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import coredis
import pytest
import redis
import redis.asyncio
import redis.asyncio.sentinel
import redis.sentinel
from coredis.connection import TCPLocation
from redis.backoff import NoBackoff
from redis.retry import Retry

from tests.support.processes import VedetteSentinel, VedetteServer, watching
from tests.support.redis import require_redis
from tests.support.waiting import wait_until

QUORUM = 2


@pytest.fixture(scope="module")
def server() -> Iterator[VedetteServer]:
    """Yield one vedette-server for the tests that need no more."""
    with VedetteServer() as process:
        yield process


@pytest.fixture(autouse=True)
def _no_keys(request: pytest.FixtureRequest) -> None:
    """Begin each test that uses the server of the module without keys."""
    if "server" in request.fixturenames:
        request.getfixturevalue("server").call("FLUSHALL")


class Group:
    """A master, its replica and three sentinels that know all of them."""

    def __init__(self, stack: ExitStack) -> None:
        self.master = stack.enter_context(VedetteServer())
        self.replica = stack.enter_context(VedetteServer())
        self.replica.replicate(self.master)
        self.sentinels = [
            stack.enter_context(
                VedetteSentinel(extra_lines=watching(self.master.port, quorum=QUORUM))
            )
            for _ in range(3)
        ]
        for sentinel in self.sentinels:
            wait_until(lambda each=sentinel: self._knows_all(each), what="sentinels to meet")

    @staticmethod
    def _knows_all(sentinel: VedetteSentinel) -> bool:
        return sentinel.info("sentinel")["master0"].endswith(",slaves=1,sentinels=3")

    @property
    def addresses(self) -> list[tuple[str, int]]:
        """Where the sentinels are."""
        return [("127.0.0.1", sentinel.port) for sentinel in self.sentinels]


@pytest.fixture(scope="module")
def group() -> Iterator[Group]:
    """Yield one group for the tests that change nothing in it."""
    with ExitStack() as stack:
        yield Group(stack)


# --- redis-py -------------------------------------------------------------------------------------


@pytest.fixture(params=[2, 3], ids=["RESP2", "RESP3"])
def client(server: VedetteServer, request: pytest.FixtureRequest) -> Iterator[redis.Redis]:
    """Yield a redis-py client that speaks RESP2, then one that speaks RESP3."""
    with redis.Redis(port=server.port, protocol=request.param, decode_responses=True) as found:
        yield found


def test_redis_py_reads_and_writes(client: redis.Redis) -> None:
    """Options and replies of every kind, as redis-py turns them into Python's."""
    assert client.ping() is True
    assert client.set("key", "value", ex=100, nx=True) is True
    assert client.set("key", "other", nx=True) is None
    assert client.set("key", "other", keepttl=True, get=True) == "value"
    assert client.get("key") == "other"
    assert client.get("none") is None
    assert 0 < client.ttl("key") <= 100
    assert client.incrby("number", 41) == 41
    assert client.incrbyfloat("number", 0.5) == 41.5
    assert client.mset({"a": 1, "b": 2}) is True
    assert client.mget("a", "none", "b") == ["1", None, "2"]
    assert client.delete("a", "b", "none") == 2
    assert client.type("key") == "string"
    assert client.dbsize() == 2


def test_redis_py_asks_about_the_server(client: redis.Redis) -> None:
    """What it parses itself: INFO, CONFIG GET, CLIENT LIST, ROLE, COMMAND, TIME."""
    assert client.info("replication")["role"] == "master"
    assert client.info()["redis_mode"] == "standalone"
    assert client.config_get("maxmemory-policy") == {"maxmemory-policy": "noeviction"}
    assert client.config_set("timeout", 0) is True
    assert client.client_setname("me") is True
    assert client.client_info()["name"] == "me"
    assert [each["id"] for each in client.client_list() if each["name"] == "me"] == [
        str(client.client_id())
    ]
    assert client.role()[0] == "master"
    assert client.command()["get"]["arity"] == 2
    assert client.command_getkeys("MSET", "a", "1", "b", "2") == ["a", "b"]
    assert client.time()[0] > 1_600_000_000


def test_redis_py_pipelines_and_transactions(client: redis.Redis) -> None:
    """With and without MULTI, an error in the midst, and a WATCH that is broken."""
    for is_transaction in (True, False):
        with client.pipeline(transaction=is_transaction) as pipeline:
            pipeline.set("n", 1).incr("n").get("n")
            assert pipeline.execute() == [True, 2, "2"]
    with client.pipeline() as pipeline:
        pipeline.set("text", "x").incr("text").get("text")
        outcome = pipeline.execute(raise_on_error=False)
    assert [type(each) for each in outcome] == [bool, redis.ResponseError, str]
    with client.pipeline() as pipeline:
        pipeline.watch("n")
        client.incr("n")
        pipeline.multi()
        pipeline.set("n", 100)
        with pytest.raises(redis.WatchError):
            pipeline.execute()

    assert client.get("n") == "3"


def test_redis_py_scans(client: redis.Redis) -> None:
    """Each key once, while none comes or goes."""
    names = {f"key:{number}" for number in range(500)}
    client.mset(dict.fromkeys(names, "x"))
    client.set("other", "x")

    assert sorted(client.scan_iter("key:*", count=50)) == sorted(names)
    assert sorted(client.scan_iter(_type="list")) == []


def next_message(pubsub: Any) -> tuple[str, str | None, str, object]:
    """Return the next message of a redis-py subscription: type, pattern, channel, data."""
    message = pubsub.get_message(timeout=5)
    assert message is not None
    return message["type"], message["pattern"], message["channel"], message["data"]


def test_redis_py_subscribes(client: redis.Redis) -> None:
    """Channels and patterns, and commands beside them on other connections."""
    with client.pubsub() as pubsub:
        pubsub.subscribe("news")
        pubsub.psubscribe("n*")
        assert next_message(pubsub) == ("subscribe", None, "news", 1)
        assert next_message(pubsub) == ("psubscribe", None, "n*", 2)

        assert client.publish("news", "hello") == 2

        assert next_message(pubsub) == ("message", None, "news", "hello")
        assert next_message(pubsub) == ("pmessage", "n*", "news", "hello")
        assert client.pubsub_numsub("news") == [("news", 1)]


def test_redis_py_recognises_errors(client: redis.Redis) -> None:
    """By their text, which therefore must be Redis'."""
    client.set("text", "x")

    with pytest.raises(redis.ResponseError, match=r"^value is not an integer or out of range$"):
        client.incr("text")
    with pytest.raises(redis.ResponseError, match=r"^unknown command 'NOSUCH'"):
        client.execute_command("NOSUCH")
    with client.pipeline() as pipeline:
        pipeline.execute_command("NOSUCH")
        with pytest.raises(redis.ResponseError, match="unknown command 'NOSUCH'") as caught:
            pipeline.execute()
    assert isinstance(caught.value.__context__, redis.exceptions.ExecAbortError)


@pytest.mark.parametrize("protocol", [2, 3])
def test_redis_py_authenticates(protocol: int) -> None:
    """With a password, with a wrong one, and with none."""

    def ping(port: int, password: str | None) -> bool:
        once = Retry(NoBackoff(), 0)
        with redis.Redis(port=port, password=password, protocol=protocol, retry=once) as client:
            return bool(client.ping())

    with VedetteServer({"requirepass": "secret"}) as locked:
        assert ping(locked.port, "secret")
        for password in ("wrong", None):
            with pytest.raises(redis.AuthenticationError):
                ping(locked.port, password)


@pytest.fixture(params=[2, 3], ids=["RESP2", "RESP3"])
def sentinel_client(
    group: Group, request: pytest.FixtureRequest
) -> Iterator[redis.sentinel.Sentinel]:
    """Yield redis-py's sentinel client, asking in RESP2 and in RESP3."""
    protocol = {"protocol": request.param}
    found = redis.sentinel.Sentinel(
        group.addresses, min_other_sentinels=2, sentinel_kwargs=protocol, **protocol
    )
    yield found
    for sentinel in found.sentinels:
        sentinel.close()


def test_redis_py_finds_master_and_replicas(
    sentinel_client: redis.sentinel.Sentinel, group: Group
) -> None:
    """By SENTINEL MASTERS and SLAVES, of which it reads the flags."""
    assert sentinel_client.discover_master("mymaster") == ("127.0.0.1", group.master.port)
    assert sentinel_client.discover_slaves("mymaster") == [("127.0.0.1", group.replica.port)]
    with pytest.raises(redis.sentinel.MasterNotFoundError):
        sentinel_client.discover_master("nobody")


def test_redis_py_writes_to_the_master_and_reads_from_the_replica(
    sentinel_client: redis.sentinel.Sentinel, group: Group
) -> None:
    """`master_for` and `slave_for` check who it is they talk to."""
    with (
        sentinel_client.master_for("mymaster") as master,
        sentinel_client.slave_for("mymaster") as replica,
    ):
        assert master.set("key", "value") is True
        assert master.wait(1, 5000) == 1
        assert replica.get("key") == b"value"
        assert replica.role()[0] in (b"slave", "slave")
        with pytest.raises(redis.ReadOnlyError):
            replica.set("key", "other")


def test_redis_py_administers_a_sentinel(
    sentinel_client: redis.sentinel.Sentinel, group: Group
) -> None:
    """Its wrappers of SENTINEL's subcommands."""
    sentinel = sentinel_client.sentinels[0]

    assert sentinel.sentinel_get_master_addr_by_name("mymaster") in (
        ("127.0.0.1", group.master.port),
        (b"127.0.0.1", group.master.port),
    )
    shown = sentinel.sentinel_master("mymaster")
    assert int(shown["num-other-sentinels"]) == 2
    assert int(shown["quorum"]) == QUORUM
    assert len(sentinel.sentinel_slaves("mymaster")) == 1
    assert len(sentinel.sentinel_sentinels("mymaster")) == 2
    assert sentinel.sentinel_set("mymaster", "parallel-syncs", 1)
    assert sentinel.sentinel_flushconfig()
    assert sentinel.info("sentinel")["master0"]["status"] == "ok"


def test_redis_py_follows_a_failover() -> None:
    """The same `master_for` client writes to the new master once the old one is gone."""
    with ExitStack() as stack:
        group = Group(stack)
        finder = redis.sentinel.Sentinel(group.addresses, socket_timeout=1)
        for sentinel in finder.sentinels:
            stack.callback(sentinel.close)
        master = stack.enter_context(finder.master_for("mymaster", socket_timeout=1))
        master.set("key", "before")
        assert master.wait(1, 5000) == 1

        group.master.kill()

        def write() -> bool:
            try:
                return bool(master.set("key", "after"))
            except redis.RedisError as error:
                raise ConnectionError(str(error)) from error

        wait_until(write, timeout_s=15, what="a write to the new master")
        with group.replica.connect() as successor:
            assert successor.call("GET", "key") == b"after"


# --- redis.asyncio --------------------------------------------------------------------------------


@pytest.mark.parametrize("protocol", [2, 3])
def test_redis_asyncio_talks_to_the_server(server: VedetteServer, protocol: int) -> None:
    """Commands, pipeline, subscription and many requests at once over one pool."""

    async def main() -> None:
        async with redis.asyncio.Redis(
            port=server.port, protocol=protocol, decode_responses=True
        ) as client:
            assert await client.set("key", "value") is True
            async with client.pipeline(transaction=True) as pipeline:
                assert await pipeline.incr("n").get("key").execute() == [1, "value"]
            await asyncio.gather(*(client.incr("n") for _ in range(20)))
            assert await client.get("n") == "21"
            assert {key async for key in client.scan_iter()} == {"key", "n"}
            async with client.pubsub() as pubsub:
                await pubsub.subscribe("news")
                assert (await pubsub.get_message(timeout=5))["type"] == "subscribe"
                await client.publish("news", "hello")
                assert (await pubsub.get_message(timeout=5))["data"] == "hello"

    asyncio.run(main())


@pytest.mark.parametrize("protocol", [2, 3])
def test_redis_asyncio_finds_the_master(group: Group, protocol: int) -> None:
    """Its sentinel client is a program of its own."""

    async def main() -> None:
        finder = redis.asyncio.sentinel.Sentinel(
            group.addresses, sentinel_kwargs={"protocol": protocol}, protocol=protocol
        )
        try:
            assert await finder.discover_master("mymaster") == ("127.0.0.1", group.master.port)
            async with finder.master_for("mymaster") as master:
                assert await master.set("key", "value")
                assert await master.get("key") == b"value"
        finally:
            for sentinel in finder.sentinels:
                await sentinel.aclose()

    asyncio.run(main())


# --- coredis, in trio -----------------------------------------------------------------------------


@asynccontextmanager
async def coredis_client(server: VedetteServer) -> AsyncIterator[coredis.Redis[str]]:
    """Yield a coredis client, which speaks RESP3 only."""
    async with coredis.Redis(host="127.0.0.1", port=server.port, decode_responses=True) as client:
        yield client


async def test_coredis_reads_and_writes(server: VedetteServer) -> None:
    """It refuses whoever does not take HELLO 3, and checks versions and types of replies."""
    async with coredis_client(server) as client:
        assert await client.ping() == "PONG"
        assert await client.set("key", "value")
        assert await client.get("key") == "value"
        assert await client.get("none") is None
        assert await client.incr("n") == 1
        assert await client.mget(["key", "none"]) == ("value", None)
        assert await client.config_get(["maxmemory-policy"]) == {"maxmemory-policy": "noeviction"}
        assert (await client.info("replication"))["role"] == "master"
        assert (await client.role()).role == "master"
        assert {key async for key in client.scan_iter()} == {"key", "n"}


async def test_coredis_pipelines_and_subscribes(server: VedetteServer) -> None:
    """A transaction, and pushes of RESP3."""
    async with coredis_client(server) as client:
        async with client.pipeline(transaction=True) as pipeline:
            written = pipeline.set("n", "1")
            counted = pipeline.incr("n")
        assert await written
        assert await counted == 2
        async with client.pubsub(channels=["news"]) as pubsub:
            assert (await pubsub.get_message(timeout=5))["type"] == "subscribe"
            await client.publish("news", "hello")
            assert (await pubsub.get_message(timeout=5))["data"] == "hello"


async def test_coredis_finds_the_master(group: Group) -> None:
    """Through its own sentinel client."""
    locations = [TCPLocation(host, port) for host, port in group.addresses]
    async with coredis.Sentinel(sentinels=locations, decode_responses=True) as finder:
        assert await finder.discover_primary("mymaster") == ("127.0.0.1", group.master.port)
        assert await finder.discover_replicas("mymaster") == [("127.0.0.1", group.replica.port)]
        async with finder.primary_for("mymaster") as client:
            assert await client.set("key", "value")
            assert await client.get("key") == "value"


# --- redis-cli and redis-benchmark ----------------------------------------------------------------


def run_cli(port: int, *args: str, stdin: str = "") -> str:
    """Return what redis-cli prints; it must end well and say nothing on standard error."""
    require_redis("redis-cli")
    ended = subprocess.run(
        ["redis-cli", "-p", str(port), *args],
        input=stdin,
        capture_output=True,
        text=True,
        timeout=20,
        check=True,
    )
    assert ended.stderr == ""
    return ended.stdout


def test_redis_cli_runs_commands(server: VedetteServer) -> None:
    """One by one, from standard input, and with replies formatted for people."""
    assert run_cli(server.port, "SET", "key", "value") == "OK\n"
    assert run_cli(server.port, stdin="GET key\nMULTI\nINCR n\nEXEC\n") == (
        "value\nOK\nQUEUED\n1\n"
    )
    assert run_cli(server.port, "--no-raw", "MGET", "key", "none") == '1) "value"\n2) (nil)\n'
    assert run_cli(server.port, "--csv", "MGET", "key", "n") == '"value","1"\n'
    assert "\nredis_mode:standalone" in run_cli(server.port, "INFO")
    assert "(error) ERR unknown command 'NOSUCH'" in run_cli(server.port, "--no-raw", "NOSUCH")


def test_redis_cli_speaks_resp3(server: VedetteServer) -> None:
    """Maps are shown as maps."""
    shown = run_cli(server.port, "-3", "--no-raw", "CONFIG", "GET", "maxmemory-policy")

    assert shown == '1# "maxmemory-policy" => "noeviction"\n'
    assert '"proto" => (integer) 3\n' in run_cli(server.port, "-3", "--no-raw", "HELLO")


def test_redis_cli_looks_through_the_keys(server: VedetteServer) -> None:
    """--scan, --bigkeys and --memkeys go by SCAN, TYPE, STRLEN and MEMORY USAGE."""
    for number in range(100):
        server.call("SET", f"key:{number}", "x" * number)

    assert len(run_cli(server.port, "--scan", "--pattern", "key:1?").splitlines()) == 10
    biggest = run_cli(server.port, "--bigkeys")
    assert re.search(r"Biggest string found .*key:99.* has 99 bytes", biggest)
    assert "100 strings with " in run_cli(server.port, "--memkeys")


def test_redis_cli_loads_data_in_bulk(server: VedetteServer) -> None:
    """--pipe sends requests as they are and ends with an ECHO of its own."""
    stream = "".join(f"SET key:{number} {number}\r\n" for number in range(1000))

    printed = run_cli(server.port, "--pipe", stdin=stream)

    assert "errors: 0, replies: 1000\n" in printed
    assert server.call("DBSIZE") == 1000


def test_redis_cli_takes_a_snapshot(server: VedetteServer, tmp_path: Path) -> None:
    """--rdb asks for a synchronisation; redis-check-rdb finds the file sound."""
    require_redis("redis-cli", "redis-check-rdb")
    server.call("SET", "key", "value")
    path = str(tmp_path / "taken.rdb")
    for command in (
        ["redis-cli", "-p", str(server.port), "--rdb", path],
        ["redis-check-rdb", path],
    ):
        ended = subprocess.run(command, capture_output=True, text=True, timeout=20, check=True)

    assert "RDB looks OK" in ended.stdout
    assert "1 keys read" in ended.stdout


def test_redis_cli_shows_statistics(server: VedetteServer) -> None:
    """--stat prints a line of INFO's numbers over and over."""
    require_redis("redis-cli")
    server.call("SET", "key", "value")
    with subprocess.Popen(
        ["redis-cli", "-p", str(server.port), "--stat", "-i", "0.05"],
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        lines = [process.stdout.readline().split() for _ in range(3)]
        process.kill()

    assert lines[1][:4] == ["keys", "mem", "clients", "blocked"]
    assert lines[2][0] == "1"


def test_redis_cli_asks_a_sentinel(group: Group) -> None:
    """INFO, maps of RESP3, errors of subcommands."""
    port = group.sentinels[0].port

    assert "\nredis_mode:sentinel" in run_cli(port, "INFO")
    address = run_cli(port, "SENTINEL", "GET-MASTER-ADDR-BY-NAME", "mymaster")
    assert address == f"127.0.0.1\n{group.master.port}\n"
    assert '"flags" => "master"' in run_cli(port, "-3", "--no-raw", "SENTINEL", "MASTERS")
    assert "Try SENTINEL HELP." in run_cli(port, "SENTINEL", "NOSUCH")


@pytest.mark.parametrize(
    "options", [(), ("-P", "16"), ("-3",)], ids=["plain", "pipelined", "RESP3"]
)
def test_redis_benchmark_runs(server: VedetteServer, options: Sequence[str]) -> None:
    """The usual yardstick: it reads CONFIG first, and stops at the first error."""
    require_redis("redis-benchmark")
    tests = ["ping", "set", "get", "incr", "mset"]
    command = ["redis-benchmark", "-p", str(server.port), "-n", "500", "-c", "5", "--csv"]

    ended = subprocess.run(
        [*command, "-t", ",".join(tests), *options],
        capture_output=True,
        text=True,
        timeout=30,
        check=True,
    )

    names = [line.split(",")[0].strip('"') for line in ended.stdout.splitlines()[1:]]
    assert names == ["PING_INLINE", "PING_MBULK", "SET", "GET", "INCR", "MSET (10 keys)"]
    assert ended.stderr == ""
