"""The client in failovers of real redis-server nodes under real redis-sentinels.

Every write is a unique token appended to a list, so that what became of it can be told afterwards:
acknowledged and there, acknowledged and lost with the old master, uncertain, or there twice.
"""

from __future__ import annotations

import os
import re
import signal
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import trio

from ha_client import (
    ClientClosed,
    FailoverClient,
    Gap,
    MasterUnavailable,
    Message,
    WriteUncertain,
)
from ha_client.core.kinds import Kind, kind_of
from tests.support.processes import watching
from tests.support.redis import RedisSentinel, RedisServer
from tests.support.waiting import wait_until, wait_until_async

WRITER_COUNT = 4
ACL = Path(__file__).parents[2] / "docs" / "acl.md"


@dataclass
class Lab:
    """One master, one replica, three sentinels that know each other."""

    master: RedisServer
    replica: RedisServer
    sentinels: list[RedisSentinel]

    @property
    def addresses(self) -> list[tuple[str, int]]:
        return [("127.0.0.1", sentinel.port) for sentinel in self.sentinels]

    def is_complete(self) -> bool:
        return all(
            len(sentinel.call("SENTINEL", "SENTINELS", "mymaster")) == 2
            and len(sentinel.call("SENTINEL", "REPLICAS", "mymaster")) == 1
            for sentinel in self.sentinels
        )


@pytest.fixture
def lab() -> Iterator[Lab]:
    with ExitStack() as stack:
        master, replica = (stack.enter_context(RedisServer()) for _ in range(2))
        replica.replicate(master)
        lines = watching(master.port, down_after_ms=500)
        sentinels = [stack.enter_context(RedisSentinel(extra_lines=lines)) for _ in range(3)]
        lab = Lab(master, replica, sentinels)
        wait_until(lab.is_complete, 20.0, "the sentinels to find each other and the replica")
        yield lab


@dataclass
class Ledger:
    """What the writers were told about each token."""

    acknowledged: dict[bytes, float] = field(default_factory=dict)
    uncertain: set[bytes] = field(default_factory=set)
    longest_wait_s: float = 0.0
    #: Ends the writers, each after the outcome of its last write: a cancelled one has none.
    is_enough: bool = False

    async def write(self, client: FailoverClient, writer: int) -> None:
        """Append one token after the other. Any other error fails the test."""
        number = 0
        while not self.is_enough:
            number += 1
            token = b"%d:%d" % (writer, number)
            started = trio.current_time()
            try:
                await client.rpush("tokens", token)
            except WriteUncertain:
                self.uncertain.add(token)
            else:
                self.acknowledged[token] = trio.current_time()
            self.longest_wait_s = max(self.longest_wait_s, trio.current_time() - started)
            await trio.sleep(0.001)

    async def check(self, client: FailoverClient, *, fault_at: float) -> None:
        """Compare with what the master holds.

        A write acknowledged by the old master may be lost with it, for replication is
        asynchronous; one acknowledged after the fault's effect may not.
        """
        tokens: list[bytes] = await client.lrange("tokens", 0, -1)
        twice = [token for token, count in Counter(tokens).items() if count > 1]
        assert twice == []
        assert set(tokens) <= set(self.acknowledged) | self.uncertain
        lost = set(self.acknowledged) - set(tokens)
        assert [token for token in lost if self.acknowledged[token] > fault_at] == []
        assert len(self.uncertain) <= WRITER_COUNT


async def wait_progress(ledger: Ledger, count: int) -> None:
    """Wait for so many further acknowledged writes."""
    goal = len(ledger.acknowledged) + count
    await wait_until_async(
        lambda: len(ledger.acknowledged) >= goal, 20.0, f"{count} more acknowledged writes"
    )


async def test_master_killed_under_writes(lab: Lab) -> None:
    """Writers see a pause and a few uncertain writes, no error, no double; then all is well."""
    ledger = Ledger()
    async with FailoverClient("mymaster", lab.addresses[:1]) as client:
        async with trio.open_nursery() as nursery:
            for writer in range(WRITER_COUNT):
                nursery.start_soon(ledger.write, client, writer)
            await wait_progress(ledger, 200)
            fault_at = trio.current_time()
            lab.master.process.kill()
            await wait_progress(ledger, 1000)
            ledger.is_enough = True
        await ledger.check(client, fault_at=fault_at)

        statistics = client.statistics()
        assert statistics.master == ("127.0.0.1", lab.replica.port)
        assert (statistics.failovers, statistics.epoch) == (1, 1)
        assert statistics.sentinels_known == 3
        assert statistics.uncertain_writes == len(ledger.uncertain)
    assert ledger.longest_wait_s > 0.5  # there was a failover


async def test_manual_failover_under_writes(lab: Lab) -> None:
    """The old master lives on and is demoted: refused writes move, none is executed twice."""
    ledger = Ledger()
    async with FailoverClient("mymaster", lab.addresses) as client:
        async with trio.open_nursery() as nursery:
            for writer in range(WRITER_COUNT):
                nursery.start_soon(ledger.write, client, writer)
            await wait_progress(ledger, 200)
            await trio.to_thread.run_sync(
                lambda: lab.sentinels[1].call("SENTINEL", "FAILOVER", "mymaster")
            )
            await wait_until_async(lambda: client.statistics().failovers == 1, 20.0)
            switched_at = trio.current_time()
            await wait_progress(ledger, 1000)
            ledger.is_enough = True
        await ledger.check(client, fault_at=switched_at)

        statistics = client.statistics()
        assert statistics.master == ("127.0.0.1", lab.replica.port)
        assert (statistics.failovers, statistics.unavailable) == (1, 0)


async def test_stopped_master_is_left_when_the_switch_is_announced(lab: Lab) -> None:
    """Its sockets stay open and silent; the client must not wait for their timeout."""
    async with FailoverClient("mymaster", lab.addresses, reply_timeout_s=60.0) as client:
        await client.set("k", "before")
        await wait_until_async(lambda: client.statistics().sentinels_connected == 3)
        lab.master.stop_with_sigstop()
        try:
            with pytest.raises(WriteUncertain, match="may have been executed"):
                await client.incr("n")
            assert await client.set("k", "after") == b"OK"
            assert await client.get("n") is None
        finally:
            lab.master.resume()

        # Resumed, the old master still says that it is one; a client that reconnects must not
        # fall for it.
        assert lab.master.call("ROLE")[0] == b"master"
        lab.replica.close_client()  # the promotion has cut it
        lab.replica.call("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
        assert await client.get("k") == b"after"
        assert await client.set("k", "later") == b"OK"
        assert client.statistics().master == ("127.0.0.1", lab.replica.port)
        assert lab.replica.call("GET", "k") == b"later"


async def test_wedged_sentinel_does_not_delay(lab: Lab) -> None:
    """Stopped, it accepts connections and never answers; the other two are enough."""
    os.kill(lab.sentinels[0].process.pid, signal.SIGSTOP)
    started = trio.current_time()
    async with FailoverClient("mymaster", lab.addresses, ask_timeout_s=10.0) as client:
        await client.set("k", "v")

        assert trio.current_time() - started < 2.0


async def test_no_sentinel_no_master(lab: Lab) -> None:
    """The reason says what was tried, in the operating system's words."""
    for sentinel in lab.sentinels:
        sentinel.kill()
    async with FailoverClient("mymaster", lab.addresses, command_timeout_s=0.5) as client:
        with pytest.raises(MasterUnavailable, match="Connection refused"):
            await client.get("k")


#: Reads that Redis does not flag `readonly`: they ask about the server, or about nothing.
SERVER_QUERIES = frozenset(b"echo eval_ro evalsha_ro fcall_ro info lastsave ping role time".split())


def test_reads_are_those_of_the_server(redis_server: RedisServer) -> None:
    """To take a write for a read would execute it twice some day."""
    rows = redis_server.call("COMMAND")
    flags = {row[0]: {flag.lower() for flag in row[2]} for row in rows}
    reads = {name for name in flags if kind_of([name]) is Kind.READ} - SERVER_QUERIES
    containers = {row[0] for row in rows if row[9]}

    assert {name for name in reads if b"write" in flags[name]} == set()
    assert {name for name in reads - containers if b"readonly" not in flags[name]} == set()
    # Repeating these would be safe too; they are few enough to know them all.
    assert {name for name, own in flags.items() if b"readonly" in own} <= reads | SERVER_QUERIES


async def test_who_waits_and_who_listens_move_with_the_master(lab: Lab) -> None:
    """In a failover that an operator orders, nobody is forgotten at the old master."""
    async with FailoverClient("mymaster", lab.addresses) as client:
        await client.wait_master()
        popped: list[object] = []

        async def pop() -> None:
            popped.append(await client.execute("BLPOP", "queue", 60))

        async with (
            client.subscribe("news", patterns=["ne?s"]) as subscription,
            trio.open_nursery() as nursery,
        ):
            nursery.start_soon(pop)
            await client.publish("news", "old")
            before = [await subscription.receive() for _ in range(2)]
            lab.sentinels[0].call("SENTINEL", "FAILOVER", "mymaster")
            with trio.fail_after(30):
                gap = await subscription.receive()
                await client.publish("news", "new")
                after = [await subscription.receive() for _ in range(2)]
                assert await client.rpush("queue", "job") == 1

    assert {(it.data, it.pattern) for it in before if isinstance(it, Message)} == {
        (b"old", None),
        (b"old", b"ne?s"),
    }
    assert isinstance(gap, Gap)
    assert (gap.old, gap.new) == (
        ("127.0.0.1", lab.master.port),
        ("127.0.0.1", lab.replica.port),
    )
    assert all(isinstance(it, Message) and it.data == b"new" for it in after)
    assert popped == [[b"queue", b"job"]]


async def test_who_waits_when_the_client_ends_is_told_that_nothing_was_popped(lab: Lab) -> None:
    """`ClientClosed` says so; `WriteUncertain` would leave it open."""
    ends: list[Exception] = []

    async def pop(client: FailoverClient) -> None:
        try:
            await client.execute("BLPOP", "queue", 0)
        except ClientClosed as closed:
            ends.append(closed)

    async with (
        trio.open_nursery() as nursery,
        FailoverClient("mymaster", lab.addresses) as client,
    ):
        nursery.start_soon(pop, client)
        await wait_until_async(
            lambda: lab.master.info("clients")["blocked_clients"] == "1", what="BLPOP to wait"
        )

    assert len(ends) == 1
    assert lab.master.info("clients")["blocked_clients"] == "0"


async def test_replica_of_real_servers_is_read_and_the_new_one_after_a_failover(lab: Lab) -> None:
    async with FailoverClient("mymaster", lab.addresses, poll_interval_s=0.3) as client:
        await client.set("k", "v")
        async with client.replicas(or_master=False) as reader:
            assert await reader.get("k") == b"v"
            assert reader.addresses == [("127.0.0.1", lab.replica.port)]
            lab.sentinels[0].call("SENTINEL", "FAILOVER", "mymaster")
            await wait_until_async(
                lambda: reader.addresses == [("127.0.0.1", lab.master.port)],
                timeout_s=30.0,
                what="the old master to be read as a replica",
            )
            await client.set("k", "w")
            with trio.fail_after(10):
                while await reader.get("k") != b"w":
                    pass  # replication is asynchronous


async def test_documented_user_of_sentinels_is_enough_for_the_client() -> None:
    """And not more than it: without `+sentinel|master` the epoch cannot be asked."""
    [documented] = re.findall(r"^user app .*sentinel.*", ACL.read_text(), re.MULTILINE)
    user = documented.replace(" +client|setinfo", "")  # of 7.2
    with RedisServer() as master:
        less = user.replace("user app", "user less").replace(" +sentinel|master", "")
        lines = [*watching(master.port, quorum=1), user, less]
        with RedisSentinel(extra_lines=lines) as sentinel:

            def client(name: str) -> FailoverClient:
                return FailoverClient(
                    "mymaster",
                    [("127.0.0.1", sentinel.port)],
                    sentinel_username=name,
                    sentinel_password="secret",
                    command_timeout_s=5.0,
                )

            async with client("app") as able:
                assert await able.set("k", "v") == b"OK"
            async with client("less") as unable:
                with pytest.raises(MasterUnavailable, match="NOPERM"):
                    await unable.get("k")
