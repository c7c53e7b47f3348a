"""The client against masters and sentinels that do as the test says, over real sockets."""

from __future__ import annotations

from typing import Any

import pytest
import trio
from prometheus_client import CollectorRegistry

from ha_client import (
    ClientClosed,
    FailoverClient,
    Leaving,
    MasterUnavailable,
    ReplyError,
    RetryReason,
    UnsupportedCommand,
    WriteUncertain,
)
from monitoring.client_metrics import ClientCollector
from tests.support.scene import error_of, scene, wait_received, wait_subscribed
from tests.support.waiting import wait_until_async

READONLY = b"READONLY You can't write against a read only replica."


async def test_first_command_finds_the_master_and_checks_its_role() -> None:
    """ROLE comes before any command."""
    async with scene() as it, it.client() as client:
        assert await client.set("k", "v") == b"OK"
        assert await client.get("k") == b"v"

        names = [command[0] for command in it.a.commands]
        assert names == [b"HELLO", b"ROLE", b"SET", b"GET"]
        assert await client.wait_master() == it.a.address
        statistics = client.statistics()
        assert (statistics.master, statistics.epoch) == (it.a.address, 1)
        assert (statistics.state, statistics.failovers) == ("following", 0)


async def test_sentinel_that_hangs_delays_nothing() -> None:
    """The bound on an answer is far away here: the majority's word is enough."""
    async with scene() as it, it.client(ask_timeout_s=30.0, connect_timeout_s=30.0) as client:
        it.sentinels[0].is_hanging = True
        started = trio.current_time()
        await client.set("k", "v")

        assert trio.current_time() - started < 2.0


async def test_sentinels_slower_than_the_client_waits_for_are_heard() -> None:
    """Far away, or with too little of their machine: each answer takes longer than a round."""
    async with scene() as it, it.client(ask_timeout_s=0.05, command_timeout_s=20) as client:
        for sentinel in it.sentinels:
            sentinel.delay_s = 0.15
        assert await client.set("k", "v") == b"OK"
        await wait_subscribed(it)

        await it.switch(is_silent=True)
        await wait_until_async(lambda: client.statistics().failovers == 1, what="the switch")
        assert all(sentinel.connection_count == 1 for sentinel in it.sentinels)


async def test_error_reply_is_raised_as_it_came() -> None:
    """A refusal by the master itself is an answer."""
    async with scene() as it, it.client() as client:
        it.a.write_error = b"OOM command not allowed"

        with pytest.raises(ReplyError, match="OOM") as raised:
            await client.set("k", "v")
        assert raised.value.code == "OOM"
        assert it.a.count(b"SET") == 1


async def test_announced_switch_closes_the_old_connection_and_moves_commands() -> None:
    """What is under way on the old master ends at once: reads move, writes are uncertain."""
    async with scene() as it, it.client() as client:
        await client.wait_master()
        await wait_subscribed(it)
        it.a.is_hanging = True
        it.b.values[b"k"] = b"new"
        outcomes: dict[str, object] = {}

        async def read() -> None:
            outcomes["read"] = await client.get("k")

        async def write() -> None:
            outcomes["write"] = await error_of(lambda: client.incr("n"))

        async with trio.open_nursery() as nursery:
            nursery.start_soon(read)
            nursery.start_soon(write)
            await wait_received(it.a, b"INCRBY")
            await wait_received(it.a, b"GET")
            started = trio.current_time()
            await it.sentinels[1].switch(it.b, 2)

        assert trio.current_time() - started < 1.0
        assert outcomes["read"] == b"new"
        uncertain = outcomes["write"]
        assert isinstance(uncertain, WriteUncertain)
        assert (uncertain.command, uncertain.address, uncertain.epoch) == (
            "INCRBY",
            it.a.address,
            1,
        )
        assert it.b.count(b"INCRBY") == 0
        statistics = client.statistics()
        assert (statistics.failovers, statistics.uncertain_writes) == (1, 1)
        assert (statistics.master, statistics.epoch) == (it.b.address, 2)


async def test_switch_nobody_announced_is_found_by_asking() -> None:
    """Messages get lost, and sentinels restart."""
    async with scene() as it, it.client(poll_interval_s=0.1) as client:
        await client.set("k", "v")
        await it.switch(is_silent=True)

        await wait_until_async(
            lambda: client.statistics().master == it.b.address, what="the new master in use"
        )


async def test_claim_of_the_past_is_not_followed() -> None:
    """The one sentinel still reachable lives in the past: better no master than that one."""
    async with scene() as it, it.client(command_timeout_s=0.8) as client:
        await it.switch(epoch=7)
        await client.set("k", "v")
        assert it.b.count(b"SET") == 1
        for sentinel in it.sentinels[:2]:
            sentinel.is_hanging = True
            await sentinel.drop_connections()
        await it.sentinels[2].switch(it.a, 6)
        it.b.role = b"slave"
        await it.b.drop_connections()

        with pytest.raises(MasterUnavailable):
            await client.set("k", "v")
        assert it.a.commands == []


@pytest.mark.parametrize(
    "form",
    [
        READONLY,
        b"ERR " + READONLY,
        b"ERR Error running script (call to f_1): @user_script:1: -" + READONLY,
        b"LOADING Redis is loading the dataset in memory",
    ],
)
async def test_refusal_by_a_replica_is_never_seen_by_callers(form: bytes) -> None:
    """Refused is not executed, so it goes to the master instead."""
    async with scene() as it, it.client() as client:
        await client.get("k")
        it.a.write_error = form
        await it.switch(is_silent=True)

        assert await client.incr("n") == 1
        assert it.b.values == {b"n": b"1"}
        assert client.statistics().retries >= 1


async def test_replies_in_flight_on_a_doubted_connection_still_arrive() -> None:
    """READONLY to one task must not make another task's write uncertain."""
    async with scene() as it, it.client() as client:
        await client.get("k")
        await it.switch(is_silent=True)
        it.a.write_error = READONLY
        errors: list[Exception | None] = []

        async def write() -> None:
            errors.append(await error_of(lambda: client.incr("n")))

        async with trio.open_nursery() as nursery:
            for _ in range(50):
                nursery.start_soon(write)

        assert errors == [None] * 50
        assert it.b.values == {b"n": b"50"}


async def test_node_that_says_it_is_a_replica_gets_no_command() -> None:
    """Sentinels learn of a changed role late; asking the node itself does not."""
    async with scene() as it, it.client(command_timeout_s=0.5) as client:
        it.a.role = b"slave"

        with pytest.raises(MasterUnavailable, match="role is slave") as raised:
            await client.set("k", "v")
        assert raised.value.command == "SET"
        assert it.a.count(b"SET") == 0


async def test_user_that_may_not_ask_role_is_told_it_by_hello() -> None:
    """ROLE is among the dangerous commands, which users of applications often may not run."""
    async with scene() as it, it.client(command_timeout_s=1.0) as client:
        it.a.may_ask_role = False
        it.a.role = b"slave"
        with pytest.raises(MasterUnavailable, match="says its role is slave"):
            await client.set("k", "v")

        it.a.role = b"master"
        assert await client.wait_master() == it.a.address


async def test_write_cut_off_is_uncertain_and_not_repeated() -> None:
    """It was executed; to send it again would count twice."""
    async with scene() as it, it.client() as client:
        it.a.drops_after_write = True

        with pytest.raises(WriteUncertain, match="may have been executed"):
            await client.incr("n")
        it.a.drops_after_write = False
        assert await client.get("n") == b"1"


@pytest.mark.parametrize("way", ["by call", "by policy"])
async def test_write_is_repeated_if_the_caller_says_so(way: str) -> None:
    """Only the caller can know that nobody else writes this key."""
    async with scene() as it, it.client(repeat_last_wins=way == "by policy") as client:
        await client.wait_master()
        it.a.drops_after_write = True

        async def stop_dropping() -> None:
            await wait_received(it.a, b"SET")
            it.a.drops_after_write = False

        async with trio.open_nursery() as nursery:
            nursery.start_soon(stop_dropping)
            repeat = True if way == "by call" else None
            assert await client.execute("SET", "k", "v", repeat=repeat) == b"OK"
        assert it.a.count(b"SET") >= 2


async def test_repeated_write_that_is_never_answered_is_uncertain() -> None:
    """`MasterUnavailable` would say that it was not executed; it was, each time."""
    async with scene() as it, it.client(command_timeout_s=0.5) as client:
        it.a.drops_after_write = True

        with pytest.raises(WriteUncertain):
            await client.execute("SET", "k", "v", repeat=True)
        assert it.a.count(b"SET") >= 2
        assert client.statistics().uncertain_writes == 1
        assert client.statistics().unavailable == 0


async def test_read_is_repeated_when_the_master_hangs() -> None:
    """A stopped process keeps its sockets; silence is noticed and the next attempt succeeds."""
    async with scene() as it, it.client(reply_timeout_s=0.2) as client:
        await client.set("k", "v")
        it.b.values[b"k"] = b"new"
        it.a.is_hanging = True
        async with trio.open_nursery() as nursery:
            nursery.start_soon(lambda: it.switch(is_silent=True))
            assert await client.get("k") == b"new"


async def test_write_waits_for_a_master_and_is_sent_once() -> None:
    """During a failover nothing is sent, so there is nothing to be uncertain about."""
    async with scene() as it, it.client() as client:
        await client.set("k", "v")
        await wait_subscribed(it)
        it.a.role = it.b.role = b"slave"
        await it.a.drop_connections()
        await wait_until_async(lambda: client.statistics().master is None)

        async def finish_failover() -> None:
            await wait_received(it.a, b"ROLE", 3)
            it.b.role = b"master"
            await it.switch()

        async with trio.open_nursery() as nursery:
            nursery.start_soon(finish_failover)
            assert await client.incr("n") == 1
        assert it.b.count(b"INCRBY") == 1


async def test_deadline_tells_why_there_is_no_master() -> None:
    """`timed out` alone helps nobody."""
    async with scene() as it:
        async with it.client(command_timeout_s=0.3, sentinels=it.sentinels[:1]) as client:
            it.sentinels[0].password = b"secret"
            with pytest.raises(MasterUnavailable, match="NOAUTH"):
                await client.get("k")
            assert client.statistics().unavailable == 1
        other = FailoverClient("misspelt", [it.sentinels[1].address], command_timeout_s=0.3)
        async with other as client:
            with pytest.raises(MasterUnavailable, match="does not know this master's name"):
                await client.get("k")


async def test_deadline_of_a_sent_write_is_uncertain_and_of_a_read_is_not() -> None:
    """The master hangs for longer than the caller waits."""
    async with scene() as it, it.client(command_timeout_s=0.3) as client:
        await client.wait_master()
        it.a.is_hanging = True

        assert isinstance(await error_of(lambda: client.incr("n")), WriteUncertain)
        assert isinstance(await error_of(lambda: client.get("n")), MasterUnavailable)


async def test_cancelled_command_leaves_the_client_whole() -> None:
    """The reply of who gave up must not go to who asks next."""
    async with scene() as it, it.client() as client:
        it.a.values.update({b"x": b"1", b"y": b"2"})
        await client.wait_master()
        for _ in range(20):
            with trio.move_on_after(0):
                await client.get("x")
            async with trio.open_nursery() as nursery:
                nursery.start_soon(client.get, "x")
                await trio.lowlevel.checkpoint()
                nursery.cancel_scope.cancel()
            assert await client.get("y") == b"2"


async def test_many_tasks_make_one_connection_to_the_new_master() -> None:
    """A reconnect storm is what kills a master that has just been promoted."""
    async with scene() as it, it.client() as client:
        await client.get("k")
        await wait_subscribed(it)
        await it.a.drop_connections()
        await it.switch()
        async with trio.open_nursery() as nursery:
            for _ in range(500):
                nursery.start_soon(client.get, "k")

        assert it.b.connection_count == 1


async def test_one_sentinel_leads_to_the_others() -> None:
    """The configured one dies; the client has long known the rest."""
    async with scene() as it, it.client(sentinels=it.sentinels[:1]) as client:
        await client.get("k")
        await wait_subscribed(it)
        it.sentinels[0].is_hanging = True
        await it.sentinels[0].drop_connections()
        await it.sentinels[2].switch(it.b, 2)

        await wait_until_async(lambda: client.statistics().master == it.b.address)
        assert client.statistics().sentinels_known == 3


async def test_sentinels_before_resp3_are_watched_over_two_connections() -> None:
    """A subscribed RESP2 connection takes no questions."""
    async with scene() as it:
        for node in (it.a, it.b, *it.sentinels):
            node.knows_resp3 = False
        async with it.client() as client:
            await client.set("k", "v")
            await wait_subscribed(it)
            await it.sentinels[0].switch(it.b, 2)
            await wait_until_async(lambda: client.statistics().master == it.b.address)


async def test_passwords_go_to_their_own_kind() -> None:
    """Sentinels and masters have separate credentials."""
    async with scene() as it:
        it.a.password = b"for-masters"
        for sentinel in it.sentinels:
            sentinel.password = b"for-sentinels"
        async with it.client(password="for-masters", sentinel_password="for-sentinels") as client:
            assert await client.set("k", "v") == b"OK"

    assert not any(b"for-sentinels" in command for command in it.a.commands)


async def test_execute_many_keeps_the_order_across_a_refusal() -> None:
    """The replica answers the read; the writes run on the master in their order."""
    async with scene() as it, it.client() as client:
        it.a.values[b"k"] = b"old"
        await client.wait_master()
        it.a.write_error = READONLY
        await it.switch(is_silent=True)

        replies = await client.execute_many([("INCRBY", "n", 1), ("GET", "k"), ("INCRBY", "n", 5)])
        assert replies == [1, b"old", 6]
        assert await client.execute_many([]) == []


async def test_execute_many_tells_of_each_command() -> None:
    """Executed, unknown, repeated: in one list."""
    async with scene() as it, it.client() as client:
        await client.wait_master()
        it.a.drops_after_write = True

        async def stop_dropping() -> None:
            await wait_received(it.a, b"INCRBY")
            it.a.drops_after_write = False

        async with trio.open_nursery() as nursery:
            nursery.start_soon(stop_dropping)
            replies = await client.execute_many([("GET", "k"), ("INCRBY", "n", 1), ("GET", "n")])
        assert replies[0] is None
        assert isinstance(replies[1], WriteUncertain)
        assert replies[2] == b"1"


async def test_pipeline_is_a_transaction_by_default() -> None:
    """As in redis-py. Without it the commands go as they are."""
    async with scene() as it, it.client() as client:
        async with client.pipeline() as pipeline:
            assert await pipeline.set("k", "v").incr("n").execute() == [b"OK", 1]
            assert len(pipeline) == 0
        assert (it.a.count(b"MULTI"), it.a.count(b"EXEC")) == (1, 1)
        replies = (
            await client.pipeline(transaction=False)
            .get("k")
            .execute_command("BAD")
            .execute(raise_on_error=False)
        )
        assert replies == [b"v", ReplyError("ERR unknown command")]
        assert it.a.count(b"MULTI") == 1
        with pytest.raises(ReplyError, match="unknown command"):
            await client.pipeline(transaction=False).execute_command("BAD").execute()


async def test_transaction_refused_inside_moves_as_a_whole() -> None:
    """Old replicas execute a transaction and answer READONLY to its writes."""
    async with scene() as it, it.client() as client:
        await client.wait_master()
        it.a.write_error = READONLY
        await it.switch(is_silent=True)

        assert await client.transaction([("INCRBY", "n", 1), ("GET", "n")]) == [1, b"1"]


async def test_transaction_cut_off_is_uncertain_as_a_whole() -> None:
    """EXEC was sent and its reply did not come."""
    async with scene() as it, it.client() as client:
        await client.wait_master()
        it.a.drops_after_write = True

        with pytest.raises(WriteUncertain, match="a transaction"):
            await client.transaction([("INCRBY", "n", 1)])


async def test_unshareable_command_is_refused_unsent() -> None:
    """Also in the midst of others: nothing of them is sent."""
    async with scene() as it, it.client() as client:
        await client.wait_master()
        with pytest.raises(UnsupportedCommand, match="would block"):
            await client.execute("WAIT", 1, 0)
        with pytest.raises(UnsupportedCommand, match="would block"):
            await client.execute_many([("SET", "k", "v"), ("BLPOP", "k", 0)])
        with pytest.raises(UnsupportedCommand, match="would change"):
            await client.execute_many([("SET", "k", "v"), ("MULTI",)])

        assert it.a.count(b"SET") == 0


async def test_client_is_of_no_use_outside_its_block() -> None:
    """Before, after, and for tasks that still wait when it ends."""
    async with scene() as it:
        it.a.role = b"slave"
        client = it.client()
        with pytest.raises(ClientClosed):
            await client.get("k")
        errors: list[Exception | None] = []

        async def read() -> None:
            errors.append(await error_of(lambda: client.get("k")))

        async with trio.open_nursery() as nursery, client:
            nursery.start_soon(read)
            await wait_received(it.a, b"ROLE")
        assert isinstance(errors[0], ClientClosed)
        with pytest.raises(ClientClosed, match="only once"):
            async with client:
                raise AssertionError("opened twice")


async def test_statistics_are_told_before_and_after_the_block() -> None:
    """Whoever logs them at the end does so when all is done."""
    async with scene() as it:
        client = it.client()
        before = client.statistics()
        async with client:
            await wait_subscribed(it)
            await client.set("k", "v")  # else the first master that it finds may be the second
            await it.switch()
            await wait_until_async(lambda: client.statistics().failovers == 1, what="the switch")
        after = client.statistics()

    assert (before.state, before.failovers, before.topology_age_s) == ("closed", 0, None)
    assert (after.state, after.failovers, after.topology_age_s) == ("closed", 1, None)
    assert (after.master, after.sentinels_known, after.sentinels_connected) == (None, 3, 0)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"sentinels": ["127.0.0.1:26379"]}, "no pair of a host and a port"),
        ({"sentinels": [("127.0.0.1", "26379")]}, "no pair of a host and a port"),
        ({"sentinels": [("127.0.0.1", 0)]}, "no pair of a host and a port"),
        ({"sentinels": []}, "at least one sentinel"),
        ({"address_map": {("a", 1): ("b", 99999)}}, "no pair of a host and a port"),
        ({"protocol": 4}, "protocol is 4"),
        ({"database": -1}, "database is -1"),
        ({"max_pending": 0}, "max_pending is 0"),
        ({"poll_interval_s": 0}, "poll_interval_s is 0"),
        ({"reply_timeout_s": -1}, "reply_timeout_s is -1"),
        ({"command_timeout_s": float("nan")}, "command_timeout_s is nan"),
    ],
)
def test_option_out_of_its_bounds_is_refused_at_once(options: dict[str, Any], message: str) -> None:
    """Later it would be a busy loop, or an error out of a task that nobody knows."""
    with pytest.raises(ValueError, match=message):
        FailoverClient("mymaster", **{"sentinels": [("127.0.0.1", 26379)], **options})


async def test_url_says_all_that_a_client_needs() -> None:
    async with scene() as it:
        places = ",".join(f"{host}:{port}" for host, port in (s.address for s in it.sentinels))
        url = f"redis+sentinel://app:s%40crt@{places}/mymaster/2?protocol=2"
        async with FailoverClient.from_url(url, database=3) as client:
            await client.set("k", "v")

        assert [b"AUTH", b"app", b"s@crt"] in it.a.commands
        assert [b"SELECT", b"3"] in it.a.commands


async def test_error_of_the_block_leaves_as_itself() -> None:
    """Background tasks must not turn a caller's error into a group."""
    async with scene() as it:
        with pytest.raises(KeyError):
            async with it.client():
                raise KeyError("the caller's own")


async def test_what_a_client_has_been_through_is_exposed() -> None:
    """A failover by event: one outage, one leaving, and all else from 0."""
    collector = ClientCollector()
    registry = CollectorRegistry()
    registry.register(collector)
    async with scene() as it, it.client() as client:
        with collector.watching("orders", client):
            await wait_subscribed(it)
            await client.set("k", "v")
            async with client.connection(), client.subscribe("news"), client.replicas() as reader:
                await reader.get("k")
                before = samples_of(registry)
            await it.switch()
            await wait_until_async(lambda: client.statistics().failovers == 1, what="the switch")
            await client.set("k", "v")
            samples = samples_of(registry)

    assert before["vedette_client_failover_seconds_count{orders}"] == 0
    used = {
        "own_connections{orders}": 1,
        "own_connections_made_total{orders}": 1,
        "subscriptions{orders}": 1,
        "subscription_gaps_total{orders}": 0,
        "subscription_gap_seconds_total{orders}": 0,
        "reads_total{orders,replica}": 0,
        "reads_total{orders,master}": 1,
        "usable_replicas{orders}": 0,
    }
    assert {name: before[f"vedette_client_{name}"] for name in used} == used
    assert samples["vedette_client_own_connections{orders}"] == 0
    assert samples["vedette_client_failover_seconds_count{orders}"] <= 1
    # By the event, or by a question that came to be asked in that moment.
    left = {
        reason: samples[f"vedette_client_reresolve_total{{orders,{reason}}}"]
        for reason in ("switch_event", "poll", "closed", "timeout", "refused")
    }
    assert left["switch_event"] + left["poll"] == sum(left.values()) == 1
    assert samples["vedette_client_failovers_total{orders}"] == 1
    assert samples["vedette_client_has_master{orders}"] == 1
    assert samples["vedette_client_epoch{orders}"] == 2
    assert samples["vedette_client_sentinels{orders,connected}"] == 3
    assert 0 <= samples["vedette_client_topology_age_seconds{orders}"] < 60
    assert samples_of(registry) == {}


async def test_a_client_that_is_closed_does_not_spoil_the_scrape_of_others() -> None:
    """Blocks may end in any order; what it has been through is still told."""
    collector = ClientCollector()
    registry = CollectorRegistry()
    registry.register(collector)
    async with scene() as it, it.client() as open_client:
        async with it.client() as closed_client:
            pass
        with collector.watching("a", closed_client), collector.watching("b", open_client):
            samples = samples_of(registry)
            with pytest.raises(ValueError, match="named b is watched"):
                collector.watching("b", closed_client).__enter__()

    assert samples["vedette_client_has_master{a}"] == 0
    assert "vedette_client_has_master{b}" in samples


async def test_time_without_a_master_is_measured_from_the_first_command_that_lost_it() -> None:
    """Not from the last that was answered: an idle client misses nothing."""
    async with scene() as it, it.client(reply_timeout_s=0.2) as client:
        await client.set("k", "v")
        it.a.is_hanging = True
        error = await error_of(lambda: client.incr("n"))
        assert isinstance(error, WriteUncertain)
        await wait_until_async(lambda: bool(client.statistics().leavings), what="it to be left")
        await it.switch()
        await client.set("k", "v")
        statistics = client.statistics()

    assert statistics.outages.count == 1
    assert statistics.outages.sum >= 0.2
    assert statistics.leavings[Leaving.TIMEOUT] == 1
    assert statistics.uncertain_writes == 1
    assert sum(statistics.retries_by_reason.values()) == statistics.retries


async def test_refused_commands_are_counted_by_whether_they_could_be_done_twice() -> None:
    """A replica that was master refuses; the command runs on the next one."""
    async with scene() as it, it.client() as client:
        await client.set("k", "v")
        it.a.write_error = READONLY
        await it.switch(is_silent=True)
        await client.incr("n")
        statistics = client.statistics()

    assert statistics.retries_by_reason[RetryReason.REFUSED, False] >= 1
    assert statistics.leavings[Leaving.REFUSED] >= 1


async def test_claims_of_the_past_are_counted() -> None:
    """A sentinel that was restored from a backup shows so."""
    async with scene() as it, it.client() as client:
        await it.switch(epoch=5)
        await client.set("k", "v")
        await wait_subscribed(it)
        it.sentinels[0].epoch = 1
        await wait_until_async(
            lambda: client.statistics().stale_claims > 0, what="the claim of the past"
        )
        assert client.statistics().master == it.b.address


def samples_of(registry: CollectorRegistry) -> dict[str, float]:
    return {
        f"{sample.name}{{{','.join(sample.labels.values())}}}": sample.value
        for metric in registry.collect()
        for sample in metric.samples
        if not sample.name.endswith("_bucket")
    }
