"""Vedette's sentinel with the real thing: over redis-server nodes, and among redis-sentinels."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import pytest

from tests.support.client import BlockingClient
from tests.support.processes import ServerProcess, VedetteSentinel, watching
from tests.support.redis import RedisSentinel, RedisServer, require_redis
from tests.support.waiting import wait_until

DOWN_AFTER_MS = 500
SentinelKind = type[VedetteSentinel] | type[RedisSentinel]


@dataclass
class Group:
    """A master, its replicas, and the sentinels that watch them."""

    nodes: list[RedisServer]
    sentinels: list[ServerProcess]

    @property
    def master(self) -> RedisServer:
        """The node that was master at the start."""
        return self.nodes[0]

    @property
    def replicas(self) -> list[RedisServer]:
        return self.nodes[1:]


@contextlib.contextmanager
def running(kinds: Sequence[SentinelKind], *, replica_count: int = 2) -> Iterator[Group]:
    """Run a group whose sentinels are of `kinds`, until every sentinel knows all others."""
    require_redis("redis-server", "redis-sentinel")
    with contextlib.ExitStack() as stack:
        nodes = [stack.enter_context(RedisServer()) for _ in range(1 + replica_count)]
        for replica in nodes[1:]:
            replica.replicate(nodes[0])
        quorum = len(kinds) // 2 + 1
        lines = watching(nodes[0].port, quorum=quorum, down_after_ms=DOWN_AFTER_MS)
        sentinels: list[ServerProcess] = [
            stack.enter_context(kind(extra_lines=lines)) for kind in kinds
        ]
        group = Group(nodes, sentinels)
        wait_until(lambda: knows_all(group), 20, "all sentinels to know replicas and each other")
        yield group


def master_fields(sentinel: ServerProcess) -> dict[str, str]:
    """Return SENTINEL MASTER of the group's master as a map."""
    words = [word.decode() for word in sentinel.call("SENTINEL", "MASTER", "mymaster")]
    return dict(zip(words[::2], words[1::2], strict=True))


def knows_all(group: Group) -> bool:
    """Whether each sentinel sees a healthy group of the right size."""
    return all(
        (fields["num-slaves"], fields["num-other-sentinels"], fields["flags"])
        == (str(len(group.replicas)), str(len(group.sentinels) - 1), "master")
        for fields in map(master_fields, group.sentinels)
    )


def master_port(sentinel: ServerProcess) -> int:
    """Return the port of the master as clients are told it."""
    return int(sentinel.call("SENTINEL", "GET-MASTER-ADDR-BY-NAME", "mymaster")[1])


def check_failed_over(group: Group) -> RedisServer:
    """Check that all sentinels agree on one promoted replica that the other one follows."""
    old = group.master.port
    wait_until(
        lambda: all(master_port(sentinel) != old for sentinel in group.sentinels),
        20,
        "every sentinel to name another master",
    )
    ports = {master_port(sentinel) for sentinel in group.sentinels}
    assert len(ports) == 1
    (new,) = (node for node in group.replicas if node.port in ports)
    # The failover closes the connections of normal clients, ours among them: hence the waiting.
    wait_until(lambda: new.call("ROLE")[0] == b"master", what="the promoted replica to be master")
    for other in group.replicas:
        if other is not new:
            wait_for_following(other, new)
    return new


def wait_for_following(replica: RedisServer, master: RedisServer) -> None:
    """Wait until `replica` replicates from `master` over a link that is up."""

    def follows() -> bool:
        fields = replica.info("replication")
        port, status = fields.get("master_port"), fields.get("master_link_status")
        return (port, status) == (str(master.port), "up")

    wait_until(follows, 20, f"{replica!r} to follow {master!r}")


@pytest.mark.parametrize("fault", [RedisServer.kill, RedisServer.stop_with_sigstop])
def test_three_vedette_sentinels_replace_a_lost_redis_master(
    fault: Callable[[RedisServer], None],
) -> None:
    """The promise of the project, over the server that most people run."""
    with running([VedetteSentinel] * 3) as group:
        group.master.call("SET", "key", "value")
        group.master.call("WAIT", 2, 1000)

        fault(group.master)

        new = check_failed_over(group)
        assert new.call("GET", "key") == b"value"
        assert all(master_fields(each)["config-epoch"] != "0" for each in group.sentinels)


def test_returning_master_is_demoted() -> None:
    """Two masters may not stay: what the old one acknowledges would be lost."""
    with running([VedetteSentinel] * 3, replica_count=1) as group:
        group.master.stop_with_sigstop()
        new = check_failed_over(group)

        group.master.resume()

        wait_for_following(group.master, new)


def test_vedette_sentinel_leads_among_redis_sentinels() -> None:
    """The others must count it as one of theirs: vote for it, and accept its outcome."""
    with running([VedetteSentinel, RedisSentinel, RedisSentinel]) as group:
        leader, *voters = group.sentinels
        leader_id = leader.call("SENTINEL", "MYID").decode()
        # Voters need not believe the master down themselves, so these never stand as candidates.
        for voter in voters:
            voter.call("SENTINEL", "SET", "mymaster", "down-after-milliseconds", "60000")
        leader.call("SENTINEL", "SET", "mymaster", "quorum", "1")
        with BlockingClient(leader.port, timeout_s=20) as listener:
            listener.call("SUBSCRIBE", "+elected-leader")
            group.master.kill()
            message = listener.receive()

        check_failed_over(group)

        assert message[1] == b"+elected-leader"
        votes = [f"+vote-for-leader {leader_id}" in voter.log() for voter in voters]
        assert any(votes)


def test_mixed_sentinels_agree_by_quorum_whoever_leads() -> None:
    """With a quorum of two the opinions of one kind must count for the other."""
    with running([VedetteSentinel, RedisSentinel, RedisSentinel]) as group:
        group.master.stop_with_sigstop()

        check_failed_over(group)

        epochs = {master_fields(sentinel)["config-epoch"] for sentinel in group.sentinels}
        assert len(epochs) == 1


def test_vedette_sentinel_votes_for_a_redis_sentinel() -> None:
    """Its vote must be one that redis-sentinel counts, and its failover one it follows."""
    with running([VedetteSentinel, RedisSentinel, RedisSentinel]) as group:
        vedette, leader, bystander = group.sentinels
        leader_id = leader.call("SENTINEL", "MYID").decode()
        # With the third one gone the vote of Vedette decides, and Vedette itself does not stand:
        # to it the master looks fine for a minute.
        bystander.kill()
        vedette.call("SENTINEL", "SET", "mymaster", "down-after-milliseconds", "60000")
        leader.call("SENTINEL", "SET", "mymaster", "quorum", "1")
        with BlockingClient(vedette.port, timeout_s=20) as listener:
            listener.call("SUBSCRIBE", "+switch-master", "+config-update-from", "+vote-for-leader")
            for _ in range(2):
                listener.receive()
            group.master.kill()
            messages = [listener.receive() for _ in range(3)]

        group.sentinels.remove(bystander)
        new = check_failed_over(group)

        assert [message[1] for message in messages] == [
            b"+vote-for-leader",
            b"+config-update-from",
            b"+switch-master",
        ]
        assert messages[0][2].decode().split()[0] == leader_id
        assert messages[2][2].decode().split()[-1] == str(new.port)


def test_vedette_sentinel_takes_part_in_a_manual_failover() -> None:
    """SENTINEL FAILOVER on either kind moves the master on all."""
    with running([VedetteSentinel, RedisSentinel, RedisSentinel]) as group:
        group.sentinels[0].call("SENTINEL", "FAILOVER", "mymaster")
        new = check_failed_over(group)

        wait_for_following(group.master, new)


@pytest.mark.parametrize("query", ["MASTER", "REPLICAS", "SENTINELS"])
def test_replies_have_the_fields_of_redis_sentinel_in_its_order(query: str) -> None:
    """Clients read the flat replies by position."""
    with running([VedetteSentinel, RedisSentinel], replica_count=1) as group:
        names = []
        for sentinel in group.sentinels:
            reply = sentinel.call("SENTINEL", query, "mymaster")
            flat = reply if query == "MASTER" else reply[0]
            names.append([word.decode() for word in flat[::2]])

    assert names[0] == names[1]


def test_files_of_both_programs_start_the_other() -> None:
    """Moving from redis-sentinel to Vedette, and back, keeps all that was learnt."""
    with running([VedetteSentinel, RedisSentinel]) as group:
        vedette, redis = group.sentinels
        ids = [each.call("SENTINEL", "MYID") for each in group.sentinels]
        for each in group.sentinels:
            each.call("SENTINEL", "FLUSHCONFIG")
            assert each.stop() == 0

        with contextlib.ExitStack() as stack:
            swapped: list[ServerProcess] = []
            for kind, before in ((RedisSentinel, vedette), (VedetteSentinel, redis)):
                after = kind(port=before.port, directory=before.directory)
                # The file is what the other program left, not one of our making.
                after.config_name = before.config_name
                after.write_config = lambda: None  # type: ignore[method-assign]  # see above
                swapped.append(stack.enter_context(after))
            group.sentinels = swapped
            wait_until(lambda: knows_all(group), 15, "the swapped sentinels to know all")

            assert [each.call("SENTINEL", "MYID") for each in swapped] == ids
