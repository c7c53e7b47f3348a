"""No waits of minutes, by the clock of a real sentinel: what fails is tried again within 300 ms.

Nodes are real where their refusals matter, and fake where they have to hang or die at one moment of
a failover; fake fellows vote as a test says. Times are those of SENTINEL EVENTS.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import ExitStack
from itertools import pairwise

import pytest
import trio

from tests.support.fake_nodes import FakeNode, array, bulk, confirmations
from tests.support.processes import ServerProcess, VedetteSentinel, watching
from tests.support.redis import RedisServer
from tests.support.waiting import wait_until, wait_until_async

RETRY_MS = 300
WAIT_S = 20.0
USER = "user watcher on >pw allchannels +@all"


def moments(sentinel: ServerProcess, event: str) -> list[int]:
    """When the sentinel announced `event`, as dates in ms."""
    reply = sentinel.call("SENTINEL", "EVENTS", "SINCE", 0, "COUNT", 10_000)
    fields = dict(zip(reply[::2], reply[1::2], strict=True))
    events = [dict(zip(entry[::2], entry[1::2], strict=True)) for entry in fields[b"events"]]
    return [int(entry[b"unix-ms"]) for entry in events if entry[b"event"] == event.encode()]


def port_of_master(sentinel: ServerProcess) -> int:
    """The port of the node that the sentinel names."""
    return int(sentinel.call("SENTINEL", "GET-MASTER-ADDR-BY-NAME", "mymaster")[1])


def is_known(sentinel: ServerProcess, replicas: int) -> bool:
    """Whether that many replicas could be promoted."""
    entries = sentinel.call("SENTINEL", "REPLICAS", "mymaster")
    return sum({b"slave", b"ok"} <= set(entry) for entry in entries) == replicas


@pytest.mark.parametrize(
    ("rule", "line"),
    [
        ("-slaveof", ""),
        ("-exec", ""),
        ("", "rename-command SLAVEOF another-word"),
        ("", "rename-command EXEC another-word"),
    ],
)
def test_next_replica_is_tried_at_once_where_the_first_refuses(rule: str, line: str) -> None:
    """No permission, an aborted transaction, a command of another name: the replies tell."""
    with ExitStack() as stack:
        refusing_lines = [f"{USER} {rule}", "replica-priority 1", *([line] if line else [])]
        master, refusing, willing = (
            stack.enter_context(RedisServer(extra_lines=lines))
            for lines in ([USER], refusing_lines, [USER])
        )
        for replica in (refusing, willing):
            replica.config["masteruser"], replica.config["masterauth"] = "watcher", "pw"
            replica.replicate(master)
        credentials = ["sentinel auth-user mymaster watcher", "sentinel auth-pass mymaster pw"]
        watch = [*watching(master.port, quorum=1, down_after_ms=500), *credentials]
        sentinel = stack.enter_context(VedetteSentinel(extra_lines=watch))
        wait_until(lambda: is_known(sentinel, 2), WAIT_S, "both replicas to be known")

        master.kill()

        wait_until(
            lambda: port_of_master(sentinel) == willing.port, WAIT_S, "the other to be master"
        )
        first, second = moments(sentinel, "+selected-slave")
        assert second - first <= RETRY_MS


class FailingReplica(FakeNode):
    """A replica by its INFO, which calls `on_order` when it is told to become master."""

    def __init__(self, master: ServerProcess, on_order: Callable[[], None]) -> None:
        super().__init__()
        fields = master.info("replication")
        self._on_order = on_order
        self._info = "\r\n".join(
            (
                f"run_id:{'f' * 40}",
                "role:slave",
                "master_host:127.0.0.1",
                f"master_port:{master.port}",
                "master_link_status:up",
                f"slave_repl_offset:{fields['master_repl_offset']}",
                f"master_replid:{fields['master_replid']}",
                "slave_priority:1",
            )
        )

    def on_info(self, stream: trio.SocketStream, *sections: bytes) -> bytes:
        return bulk(self._info)

    def on_client(self, stream: trio.SocketStream, *words: bytes) -> bytes:
        return b"+OK\r\n"

    def on_publish(self, stream: trio.SocketStream, *words: bytes) -> bytes:
        return b":1\r\n"

    def on_subscribe(self, stream: trio.SocketStream, *channels: bytes) -> bytes:
        return confirmations(b"subscribe", 2, channels)

    def on_multi(self, stream: trio.SocketStream) -> bytes | None:
        self._on_order()
        return b""


async def live(node: FakeNode, life: trio.CancelScope, task_status: trio.TaskStatus[None]) -> None:
    """Serve until `life` is cancelled; from then on connections are refused."""
    with life:
        async with trio.open_nursery() as nursery:
            await node.listen(nursery)
            task_status.started()


@pytest.mark.parametrize("fault", ["dies", "hangs"])
async def test_next_replica_is_tried_soon_where_the_first_is_lost(fault: str) -> None:
    """Between the choice and the promotion; the other holds as much, so nobody need wait."""
    with ExitStack() as stack:
        master, willing = (stack.enter_context(RedisServer()) for _ in range(2))
        willing.replicate(master)
        life = trio.CancelScope()

        def fail() -> None:
            if fault == "dies":
                life.cancel()
            failing.is_hanging = True

        failing = FailingReplica(master, fail)
        async with trio.open_nursery() as nursery:
            await nursery.start(live, failing, life)
            known = [f"sentinel known-replica mymaster 127.0.0.1 {failing.port}"]
            watch = [*watching(master.port, quorum=1, down_after_ms=2_000), *known]
            sentinel = stack.enter_context(VedetteSentinel(extra_lines=watch))
            await wait_until_async(lambda: is_known(sentinel, 2), WAIT_S, "both replicas")

            master.kill()

            await wait_until_async(
                lambda: port_of_master(sentinel) == willing.port, WAIT_S, "the other as master"
            )
            nursery.cancel_scope.cancel()
        first, second = moments(sentinel, "+selected-slave")
        assert second - first <= RETRY_MS


class FakeFellow(FakeNode):
    """A sentinel of Redis' kind, who agrees that the master is down and votes for itself."""

    def __init__(self, digit: str) -> None:
        super().__init__()
        self.run_id = digit * 40
        self.says_down = False

    def on_client(self, stream: trio.SocketStream, *words: bytes) -> bytes:
        return b"+OK\r\n"

    def on_info(self, stream: trio.SocketStream, *sections: bytes) -> bytes:
        return bulk("redis_version:7.0.15\r\n")

    def on_publish(self, stream: trio.SocketStream, *words: bytes) -> bytes:
        return b":1\r\n"

    def on_sentinel(self, stream: trio.SocketStream, verb: bytes, *words: bytes) -> bytes:
        assert verb == b"is-master-down-by-addr"
        epoch, candidate = int(words[2]), words[3]
        is_down = b":%d\r\n" % self.says_down
        if candidate == b"*":
            return array(is_down, bulk("*"), b":0\r\n")
        return array(is_down, bulk(self.run_id), b":%d\r\n" % epoch)

    def introduce(self, sentinel: ServerProcess, master: ServerProcess) -> None:
        """Say hello, directly."""
        hello = f"127.0.0.1,{self.port},{self.run_id},0,mymaster,127.0.0.1,{master.port},0"
        sentinel.call("PUBLISH", "__sentinel__:hello", hello)


async def a_split_quorum(
    stack: ExitStack, nursery: trio.Nursery
) -> tuple[ServerProcess, ServerProcess, list[FakeFellow], list[trio.CancelScope]]:
    """Return a master, one sentinel, its two fake fellows, and what ends these."""
    master, replica = (stack.enter_context(RedisServer()) for _ in range(2))
    replica.replicate(master)
    watch = watching(master.port, quorum=2, down_after_ms=500)
    sentinel = stack.enter_context(VedetteSentinel(extra_lines=watch))
    fellows = [FakeFellow("a"), FakeFellow("b")]
    lives = [trio.CancelScope() for _ in fellows]
    for fellow, life in zip(fellows, lives, strict=True):
        await nursery.start(live, fellow, life)
        fellow.introduce(sentinel, master)
    await wait_until_async(lambda: is_known(sentinel, 1), WAIT_S, "the replica")
    ready = b"OK 3 usable"
    await wait_until_async(
        lambda: sentinel.call("SENTINEL", "CKQUORUM", "mymaster").startswith(ready),
        WAIT_S,
        "the fellows to be up",
    )
    return master, sentinel, fellows, lives


async def test_split_election_is_repeated_within_300_ms() -> None:
    """Each of three votes for itself, again and again; Redis waits for six minutes."""
    with ExitStack() as stack:
        async with trio.open_nursery() as nursery:
            master, sentinel, fellows, _ = await a_split_quorum(stack, nursery)
            for fellow in fellows:
                fellow.says_down = True

            master.kill()

            await wait_until_async(
                lambda: len(moments(sentinel, "+try-failover")) >= 3, WAIT_S, "three attempts"
            )
            nursery.cancel_scope.cancel()
        stood = moments(sentinel, "+try-failover")
        assert min(later - before for before, later in pairwise(stood)) <= RETRY_MS
        assert len(moments(sentinel, "-failover-abort-not-elected")) >= 2


@pytest.mark.parametrize("fault", ["dies", "hangs"])
async def test_leader_that_is_lost_is_replaced_within_300_ms(fault: str) -> None:
    """The fellow that we voted for does nothing any more; Redis' voters wait for six minutes."""
    with ExitStack() as stack:
        async with trio.open_nursery() as nursery:
            master, sentinel, (leader, other), (life, _) = await a_split_quorum(stack, nursery)
            master.kill()
            await wait_until_async(lambda: moments(sentinel, "+sdown"), WAIT_S, "it to be down")
            query = ("SENTINEL", "is-master-down-by-addr", "127.0.0.1", master.port, 1)
            assert sentinel.call(*query, leader.run_id) == [1, leader.run_id.encode(), 1]
            leader.says_down = other.says_down = True
            await wait_until_async(lambda: moments(sentinel, "+odown"), WAIT_S, "the quorum")

            lost_ms = int(time.time() * 1000)
            leader.is_hanging = True
            if fault == "dies":
                life.cancel()

            def attempts() -> list[int]:
                return [at_ms for at_ms in moments(sentinel, "+try-failover") if at_ms >= lost_ms]

            await wait_until_async(attempts, WAIT_S, "the sentinel to stand")
            nursery.cancel_scope.cancel()
        assert attempts()[0] - lost_ms <= RETRY_MS
