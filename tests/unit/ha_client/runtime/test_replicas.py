"""Reading from replicas: which, in what turn, and what happens when one is of no use."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
import trio

from ha_client import (
    FailoverClient,
    MasterUnavailable,
    ReadBy,
    ReplicaReader,
    ReplyError,
    UnsupportedCommand,
)
from tests.support.fake_nodes import FakeMaster, opened
from tests.support.scene import Scene, scene, wait_received, wait_subscribed
from tests.support.waiting import wait_until_async


class Replicas:
    """A scene whose master has two replicas, `b` and `c`; each node tells its name at `k`."""

    def __init__(self, it: Scene) -> None:
        self.a, self.b, self.c = it.a, it.b, FakeMaster()
        self.scene = it
        for node, name in ((self.a, b"a"), (self.b, b"b"), (self.c, b"c")):
            node.values[b"k"] = name
            node.role = b"master" if node is self.a else b"slave"
        for sentinel in it.sentinels:
            sentinel.replicas = [self.b, self.c]

    def client(self) -> FailoverClient:
        return self.scene.client(poll_interval_s=0.1, command_timeout_s=2.0)


@asynccontextmanager
async def replicas() -> AsyncIterator[Replicas]:
    async with scene() as it:
        them = Replicas(it)
        async with opened(them.c):
            yield them


async def wait_usable(reader: ReplicaReader, *nodes: FakeMaster) -> None:
    expected = {node.address for node in nodes}
    await wait_until_async(lambda: set(reader.addresses) == expected, what=f"{expected}")


async def test_user_that_may_not_ask_role_reads_from_those_the_sentinels_name() -> None:
    """HELLO tells the role, and the sentinels whether the link to the master is up."""
    async with replicas() as them:
        them.b.may_ask_role = them.c.may_ask_role = False
        them.c.role = b"master"
        async with them.client() as client, client.replicas(or_master=False) as reader:
            await wait_usable(reader, them.b)

            assert await reader.get("k") == b"b"


async def test_replicas_are_read_in_turn_and_the_master_is_not() -> None:
    async with replicas() as them, them.client() as client, client.replicas() as reader:
        await wait_usable(reader, them.b, them.c)

        values = [await reader.get("k") for _ in range(4)]

        assert sorted(values) == [b"b", b"b", b"c", b"c"]
        assert values[0] != values[1]
        assert them.a.count(b"GET") == 0
        told = client.statistics()
        assert (told.reads, told.usable_replicas) == ({ReadBy.REPLICA: 4}, 2)


async def test_replica_without_a_link_is_not_read_until_it_has_one() -> None:
    """Its data are as old as its link is down."""
    async with replicas() as them, them.client() as client, client.replicas() as reader:
        them.c.link_state = b"connect"
        await wait_usable(reader, them.b)
        assert {await reader.get("k") for _ in range(3)} == {b"b"}

        them.c.link_state = b"connected"
        await wait_usable(reader, them.b, them.c)
        them.b.link_state = b"sync"
        await wait_usable(reader, them.c)


async def test_replica_that_breaks_is_passed_over_and_nobody_notices() -> None:
    async with replicas() as them, them.client() as client, client.replicas() as reader:
        await wait_usable(reader, them.b, them.c)
        await them.b.drop_connections()
        them.b.role = b"master"  # promoted: no replica any more

        assert {await reader.get("k") for _ in range(4)} == {b"c"}
        await wait_usable(reader, them.c)


async def test_without_a_replica_the_master_is_read_if_it_may() -> None:
    async with replicas() as them, them.client() as client:
        for sentinel in them.scene.sentinels:
            sentinel.replicas = []
        async with client.replicas() as reader:
            assert await reader.get("k") == b"a"
        async with client.replicas(or_master=False) as reader:
            with pytest.raises(
                MasterUnavailable, match="no replica is usable: no sentinel tells of one"
            ):
                await reader.get("k")
        told = client.statistics()
        assert (told.reads, told.usable_replicas) == ({ReadBy.MASTER: 1}, 0)
        assert told.unavailable == 1


async def test_replica_that_sentinels_take_off_their_list_is_left() -> None:
    async with replicas() as them, them.client() as client, client.replicas() as reader:
        await wait_usable(reader, them.b, them.c)
        for sentinel in them.scene.sentinels:
            sentinel.replicas = [them.c]

        await wait_usable(reader, them.c)


async def test_only_reads_are_taken() -> None:
    async with replicas() as them, them.client() as client, client.replicas() as reader:
        await wait_usable(reader, them.b, them.c)
        for command in (("SET", "k", "v"), ("BLPOP", "k", 1), ("SUBSCRIBE", "c")):
            with pytest.raises(UnsupportedCommand):
                await reader.execute(*command)
        with pytest.raises(ReplyError, match="unknown command"):
            await reader.execute("STRLEN", "k")

        assert not any(node.count(b"SET") for node in (them.a, them.b, them.c))


async def test_replica_that_a_sentinel_finds_down_is_left_at_once() -> None:
    """Sentinels notice a hang sooner than `reply_timeout_s` has passed, and say so."""
    async with (
        replicas() as them,
        them.scene.client(poll_interval_s=60.0, reply_timeout_s=60.0) as client,
        client.replicas() as reader,
    ):
        await wait_subscribed(them.scene)
        await wait_usable(reader, them.b, them.c)
        them.b.is_hanging = True
        values: list[object] = []

        async def read() -> None:
            values.append(await reader.get("k"))

        with trio.fail_after(5):
            async with trio.open_nursery() as nursery:
                for _ in range(2):
                    nursery.start_soon(read)
                await wait_received(them.b, b"GET")
                for sentinel in them.scene.sentinels:
                    sentinel.replicas = [them.c]
                host, port = them.b.address
                node = f"slave {host}:{port} {host} {port} @ mymaster 127.0.0.1 {them.a.port}"
                await them.scene.sentinels[1].publish("+sdown", node)

        assert values == [b"c", b"c"]
        [subscribed] = [it for it in them.scene.sentinels[1].commands if it[0] == b"SUBSCRIBE"]
        assert b"+sdown" in subscribed


async def test_replica_that_hangs_is_given_up_and_the_read_repeated() -> None:
    async with (
        replicas() as them,
        them.scene.client(poll_interval_s=0.1, reply_timeout_s=0.3) as client,
        client.replicas() as reader,
    ):
        await wait_usable(reader, them.b, them.c)
        them.b.is_hanging = True

        with trio.fail_after(5):
            assert {await reader.get("k") for _ in range(3)} == {b"c"}
