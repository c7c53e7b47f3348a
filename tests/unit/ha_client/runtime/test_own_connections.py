"""What has a connection to the master of its own: waiting, transactions by hand, pub/sub."""

from __future__ import annotations

import pytest
import trio

from ha_client import (
    Gap,
    MasterUnavailable,
    Message,
    ReplyError,
    RetryReason,
    UnsupportedCommand,
    WriteUncertain,
)
from ha_client.runtime import waiting
from ha_client.runtime.waiting import _IDLE_MAX, _IDLE_S
from tests.support.fake_nodes import array, bulk
from tests.support.scene import error_of, scene, wait_received, wait_subscribed
from tests.support.waiting import wait_until_async

POPPED = array(bulk("q"), bulk("job"))
UNBLOCKED = (
    b"-UNBLOCKED force unblock from blocking operation, instance state changed "
    b"(master -> replica?)\r\n"
)


async def test_command_that_waits_holds_up_nobody() -> None:
    async with scene() as it, it.client() as client:
        it.a.blpop_replies = [b""]
        async with trio.open_nursery() as nursery:
            nursery.start_soon(client.execute, "BLPOP", "q", 0)
            await wait_received(it.a, b"BLPOP")

            with trio.fail_after(2):
                assert await client.set("k", "v") == b"OK"
            nursery.cancel_scope.cancel()
        with trio.fail_after(2):
            assert await client.get("k") == b"v"


async def test_reply_timeout_is_not_for_commands_that_wait() -> None:
    """redis-py 8 gives a blpop(timeout=7) up after 5 s of silence, and sends it again and again."""
    async with scene() as it, it.client(reply_timeout_s=0.2) as client:
        it.a.blpop_replies = [b""]
        answered: list[object] = []

        async def pop() -> None:
            call = client.execute
            answered.append(await error_of(lambda: call("BLPOP", "q", 0.8, repeat=False)))

        started = trio.current_time()
        await pop()

        assert 1.0 <= trio.current_time() - started < 3.0, "its time and reply_timeout_s"
        assert isinstance(answered[0], WriteUncertain)
        assert it.a.count(b"BLPOP") == 1


@pytest.mark.parametrize("refusal", [UNBLOCKED, b"-READONLY You can't write\r\n"])
async def test_waiting_goes_on_at_the_next_master_for_the_time_that_is_left(
    refusal: bytes,
) -> None:
    """A master that becomes a replica sends away who waits there."""
    async with scene() as it, it.client() as client:
        await client.wait_master()
        await wait_subscribed(it)
        it.a.blpop_replies = [refusal] * 100
        it.b.blpop_replies = [POPPED]
        answers: list[object] = []

        async def pop() -> None:
            answers.append(await client.execute("BLPOP", "q", 30))

        async with trio.open_nursery() as nursery:
            nursery.start_soon(pop)
            await wait_received(it.a, b"BLPOP")
            it.a.role = b"slave"
            await it.switch()

        assert answers == [[b"q", b"job"]]
        [command] = [it for it in it.b.commands if it[0] == b"BLPOP"]
        assert 0 < float(command[2]) < 30


async def test_an_operators_client_unblock_ends_the_wait() -> None:
    async with scene() as it, it.client() as client:
        it.a.blpop_replies = [b"-UNBLOCKED client unblocked via CLIENT UNBLOCK\r\n"]

        with pytest.raises(ReplyError, match="via CLIENT UNBLOCK"):
            await client.execute("BLPOP", "q", 30)


@pytest.mark.parametrize(
    ("command", "repeat", "is_uncertain"),
    [
        (("BLPOP", "q", 30), None, False),
        (("BLPOP", "q", 30), False, True),
        (("BLMOVE", "q", "r", "LEFT", "LEFT", 30), None, True),
        (("BLMOVE", "q", "r", "LEFT", "LEFT", 30), True, False),
    ],
)
async def test_what_waits_at_a_master_that_dies(
    command: tuple[str | int, ...], repeat: bool | None, is_uncertain: bool
) -> None:
    """A lost pop is lost whoever asks again; what was moved can be looked for."""
    async with scene() as it, it.client() as client:
        it.a.blpop_replies = [b""]
        answers: list[object] = []

        async def take() -> None:
            try:
                answers.append(await client.execute(*command, repeat=repeat))
            except WriteUncertain as error:
                answers.append(error)

        async with trio.open_nursery() as nursery:
            nursery.start_soon(take)
            await wait_received(it.a, str(command[0]).encode())
            await wait_subscribed(it)
            it.a.role = b"slave"
            it.b.blpop_replies = [POPPED]
            await it.a.drop_connections()
            await it.switch()

        told = client.statistics()
        assert told.uncertain_writes == int(is_uncertain)
        repeated = told.retries_by_reason.get((RetryReason.NO_REPLY, repeat is True), 0)
        assert repeated == int(not is_uncertain), "what is not sent again is no retry"
        if is_uncertain:
            assert isinstance(answers[0], WriteUncertain)
            assert answers[0].address == it.a.address
        else:
            assert answers == [[b"q", b"job"]]


async def test_pop_says_why_it_was_not_served_though_nothing_failed_yet() -> None:
    """The master has been found, and is still being connected to."""
    async with scene() as it, it.client(command_timeout_s=0.3, connect_timeout_s=5) as client:
        it.a.is_hanging = True
        error = await error_of(lambda: client.execute("BLPOP", "q", 1))

        assert isinstance(error, MasterUnavailable)
        assert "answer" in error.reason


async def test_pop_that_finds_no_other_master_is_uncertain() -> None:
    """`MasterUnavailable` would say that nothing was popped."""
    async with scene() as it, it.client(command_timeout_s=2) as client:
        await client.wait_master()
        it.a.blpop_replies = [b""]
        errors: list[Exception | None] = []

        async def pop() -> None:
            errors.append(await error_of(lambda: client.execute("BLPOP", "q", 30)))

        async with trio.open_nursery() as nursery:
            nursery.start_soon(pop)
            await wait_received(it.a, b"BLPOP")
            it.a.role = b"slave"
            await it.a.drop_connections()

        assert isinstance(errors[0], WriteUncertain)


@pytest.mark.parametrize("is_left", [True, False])
async def test_master_that_hangs_before_the_wait_begins_holds_nobody(is_left: bool) -> None:
    """It was stopped between telling its role and CLIENT ID: nothing was sent that may pop."""

    def silence(stream: trio.SocketStream, *words: bytes) -> bytes:
        return b""

    async with scene() as it, it.client(connect_timeout_s=0.5) as client:
        await client.wait_master()
        await wait_subscribed(it)
        it.a.on_client = silence  # type: ignore[attr-defined]
        it.a.blpop_replies = it.b.blpop_replies = [POPPED]
        answers: list[object] = []

        async def pop() -> None:
            answers.append(await client.execute("BLPOP", "q", 0))

        async with trio.open_nursery() as nursery:
            nursery.start_soon(pop)
            with trio.fail_after(5):
                await wait_received(it.a, b"CLIENT")
                if is_left:
                    await it.switch()
                else:
                    del it.a.on_client  # type: ignore[attr-defined]
                await wait_until_async(lambda: answers, what="the answer")

        assert answers == [[b"q", b"job"]]
        assert it.a.count(b"BLPOP") == (0 if is_left else 1)


async def test_commands_that_wait_one_after_the_other_take_one_connection() -> None:
    """Who pops in a loop would else use up the ports of its machine."""
    async with scene() as it, it.client() as client:
        await client.wait_master()
        before = it.a.connection_count
        it.a.blpop_replies = [POPPED, b"*-1\r\n", b"-WRONGTYPE no list\r\n", POPPED]
        for _ in range(4):
            await error_of(lambda: client.execute("BLPOP", "q", 1))

        assert it.a.count(b"BLPOP") == 4
        assert it.a.connection_count == before + 1
        told = client.statistics()
        assert (told.own_connections, told.own_connections_made) == (1, 1)


async def test_connection_of_a_cancelled_wait_is_not_used_again() -> None:
    """What it pops would be the next one's, or nobody's."""
    async with scene() as it, it.client() as client:
        it.a.blpop_replies = [b"", POPPED]
        with trio.move_on_after(0.1) as scope:
            await client.execute("BLPOP", "q", 0)
        assert scope.cancelled_caught
        await wait_until_async(lambda: client.statistics().own_connections == 0, what="its end")

        assert await client.execute("BLPOP", "q", 0) == [b"q", b"job"]
        assert client.statistics().own_connections_made == 2


async def test_idle_connections_are_few_and_end_with_the_master() -> None:
    async with scene() as it, it.client() as client:
        await client.wait_master()
        await wait_subscribed(it)
        it.a.blpop_replies = [b""] * (_IDLE_MAX + 3)
        it.b.blpop_replies = [POPPED]
        async with trio.open_nursery() as nursery:
            for _ in range(_IDLE_MAX + 3):
                nursery.start_soon(client.execute, "BLPOP", "q", 0)
            await wait_received(it.a, b"BLPOP", _IDLE_MAX + 3)
            assert client.statistics().own_connections == _IDLE_MAX + 3
            await it.a.answer_all(b"*-1\r\n")
        await wait_until_async(
            lambda: client.statistics().own_connections == _IDLE_MAX, what="some to be closed"
        )

        await it.switch()
        # At once, and not because they were idle for long.
        await wait_until_async(
            lambda: client.statistics().own_connections == 0, _IDLE_S / 2, what="their end"
        )
        assert await client.execute("BLPOP", "q", 0) == [b"q", b"job"]


async def test_connection_that_nothing_waits_on_for_long_is_closed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Before the server does, or what is in between: then a command sent is one of doubt."""
    monkeypatch.setattr(waiting, "_IDLE_S", 0.1)
    async with scene() as it, it.client() as client:
        it.a.blpop_replies = [POPPED, POPPED]
        for _ in range(2):
            assert await client.execute("BLPOP", "q", 1) == [b"q", b"job"]
            await wait_until_async(lambda: client.statistics().own_connections == 0, what="its end")

        assert client.statistics().own_connections_made == 2


async def test_errors_of_a_command_that_waits_are_answers() -> None:
    async with scene() as it, it.client() as client:
        it.a.blpop_replies = [b"-WRONGTYPE no list\r\n"]

        with pytest.raises(ReplyError, match="WRONGTYPE"):
            await client.execute("BLPOP", "q", 1)


async def test_own_connection_takes_what_the_shared_one_refuses() -> None:
    async with scene() as it, it.client() as client:
        async with client.connection() as connection:
            assert await connection.set("k", 1) == b"OK"
            replies = await connection.execute_many([("MULTI",), ("GET", "k"), ("EXEC",)])
            assert replies == [b"OK", b"QUEUED", [b"1"]]
            with pytest.raises(ReplyError, match="unknown command"):
                await connection.execute("NO.SUCH")
            assert await connection.execute_many([]) == []

        names = [command[0] for command in it.a.commands]
        assert names.count(b"ROLE") == 2, "the node says it is master before it is used"
        with pytest.raises(UnsupportedCommand):
            await client.execute("MULTI")


async def test_own_connection_ends_with_the_master_and_says_what_became_of_each() -> None:
    async with scene() as it, it.client() as client:
        await wait_subscribed(it)
        async with client.connection() as connection:
            it.a.blpop_replies = [b""]
            errors: list[Exception | None] = []

            async def pop() -> None:
                errors.append(await error_of(lambda: connection.execute("BLPOP", "q", 0)))

            async with trio.open_nursery() as nursery:
                nursery.start_soon(pop)
                await wait_received(it.a, b"BLPOP")
                await it.switch()
            later = await error_of(lambda: connection.get("k"))

            told = client.statistics()
        [first] = errors
        assert isinstance(first, WriteUncertain)
        assert (first.command, first.address) == ("BLPOP", it.a.address)
        assert (told.uncertain_writes, told.unavailable) == (1, 1)
        assert (told.own_connections, told.own_connections_made) == (1, 1)
        assert client.statistics().own_connections == 0
        assert isinstance(later, MasterUnavailable)
        assert it.b.count(b"BLPOP") == 0


async def test_without_a_master_there_is_no_own_connection_after_the_deadline() -> None:
    async with scene() as it, it.client(command_timeout_s=0.3) as client:
        it.a.role = b"slave"

        with pytest.raises(MasterUnavailable, match="says its role is slave"):
            async with client.connection():
                raise AssertionError("a replica was given for the master")
        told = client.statistics()
        assert (told.unavailable, told.own_connections_made) == (1, 0)


async def test_node_that_was_demoted_unnoticed_is_found_out_by_an_own_connection() -> None:
    """No sentinel said anything: ROLE does."""
    async with scene() as it, it.client(poll_interval_s=60.0) as client:
        await client.wait_master()
        await wait_subscribed(it)
        it.a.role = b"slave"
        await it.switch(is_silent=True)

        with trio.fail_after(5):
            async with client.connection() as connection:
                await connection.set("k", "v")
        assert it.b.count(b"SET") == 1


async def test_subscription_brings_messages_and_follows_the_master_with_a_gap() -> None:
    async with scene() as it, it.client() as client:
        await wait_subscribed(it)
        async with client.subscribe("news") as subscription:
            await it.a.publish("news", "one")
            assert await subscription.receive() == Message(b"news", b"one")

            await it.switch()
            with trio.fail_after(3):
                gap = await subscription.receive()
            await it.b.publish("news", "two")

            assert isinstance(gap, Gap)
            assert (gap.old, gap.new) == (it.a.address, it.b.address)
            assert 0 <= gap.lost_s < 3
            assert "not in use any more" in gap.reason
            assert await subscription.receive() == Message(b"news", b"two")
            told = client.statistics()
            assert (told.subscriptions, told.gaps, told.gap_seconds) == (1, 1, gap.lost_s)
        assert client.statistics().subscriptions == 0


async def test_replica_that_nobody_told_of_is_not_subscribed_to() -> None:
    """It takes subscribers, and cut off from the others delivers nothing."""
    async with scene() as it, it.client(poll_interval_s=60.0) as client:
        await client.wait_master()
        await wait_subscribed(it)
        it.a.role = b"slave"
        await it.switch(is_silent=True)

        with trio.fail_after(5):
            async with client.subscribe("news"):
                assert it.b.count(b"SUBSCRIBE") == 1
        assert it.a.count(b"SUBSCRIBE") == 0


async def test_silent_master_costs_a_gap_and_no_silence() -> None:
    """TCP looks well, nothing comes: only a PING without an answer tells."""
    async with (
        scene() as it,
        it.client(reply_timeout_s=0.2) as client,
        client.subscribe("news") as subscription,
    ):
        it.a.is_hanging = True
        await it.switch(is_silent=True)

        with trio.fail_after(5):
            gap = await subscription.receive()
        assert isinstance(gap, Gap)
        assert gap.new == it.b.address


async def test_reader_that_is_too_slow_is_told_of_a_gap() -> None:
    """What waits is bounded, and nothing is dropped in silence."""
    async with scene() as it, it.client() as client:
        async with client.subscribe("news") as subscription:
            for number in range(6000):
                await it.a.publish("news", str(number))
            await wait_until_async(lambda: not it.a.subscriber_count, what="the end")

            received: list[Message | Gap] = []
            with trio.fail_after(10):
                while not received or isinstance(received[-1], Message):
                    received.append(await subscription.receive())
        gap = received[-1]
        assert isinstance(gap, Gap)
        assert "faster than they were taken" in gap.reason
        assert [it.data for it in received[:-1] if isinstance(it, Message)] == [
            str(number).encode() for number in range(len(received) - 1)
        ]


async def test_subscribing_to_nothing_is_refused() -> None:
    async with scene() as it, it.client() as client:
        with pytest.raises(ValueError, match="at least one"):
            async with client.subscribe():
                raise AssertionError("subscribed to nothing")


async def test_database_is_selected_on_every_connection() -> None:
    """SELECT after each reconnect, or the wrong data are read."""
    async with scene() as it, it.client(database=3) as client:
        await client.set("k", "v")
        async with client.connection() as connection:
            await connection.get("k")

        names = [command[0] for command in it.a.commands]
        introduction = [b"HELLO", b"SELECT", b"ROLE"]
        assert names == [*introduction, b"SET", *introduction, b"GET"]
        assert [it.a.commands[1][1], it.a.commands[5][1]] == [b"3", b"3"]


async def test_database_that_there_is_not_is_said() -> None:
    async with scene() as it, it.client(database=99, command_timeout_s=0.3) as client:
        with pytest.raises(MasterUnavailable, match="database 99 cannot be selected"):
            await client.get("k")


async def test_mapped_addresses_are_connected_to_instead() -> None:
    """Behind NAT sentinels and masters tell of themselves what cannot be reached from here."""
    async with scene() as it:
        it.a.port, real = 1, it.a.port  # what sentinels tell
        async with it.client(address_map={("127.0.0.1", 1): ("127.0.0.1", real)}) as client:
            assert await client.set("k", "v") == b"OK"
            assert client.statistics().master == ("127.0.0.1", 1)
