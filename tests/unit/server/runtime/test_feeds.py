"""The tasks that feed replicas, with a replica played byte by byte: above all what goes wrong."""

from __future__ import annotations

import os
import signal
import socket
import struct
import time
from collections.abc import Iterable, Iterator
from functools import partial

import pytest
import trio
import trio.testing

from server.replication.feed import FeedState
from server.replication.replconf import SnapshotContent
from server.runtime.feeds import HOLD_S
from tests.support.replication import InProcessServer, Peer, serving
from tests.support.waiting import wait_until_async

SELECT_0 = [b"SELECT", b"0"]


async def wait_for_replicas(server: InProcessServer, count: int) -> None:
    await wait_until_async(
        lambda: len(server.replication.feeds) == count, 10, f"{count} replicas at the server"
    )


@pytest.mark.parametrize("config", ["repl-diskless-sync yes", "repl-diskless-sync no"])
async def test_a_snapshot_ends_where_the_stream_begins(config: str) -> None:
    """Both transfers end where the stream begins; what was written meanwhile is in the stream."""
    async with serving(config) as server:
        server.write("before", "1")
        peer = await Peer.connect(server.port)
        offset, snapshot = await peer.synchronise()
        server.write("after", "2")
        await peer.acknowledge(offset)

        assert b"before" in snapshot
        assert b"after" not in snapshot
        assert await peer.command() == SELECT_0
        assert await peer.command() == [b"SET", b"after", b"2"]
        await peer.close()


async def test_the_stream_waits_for_the_first_acknowledgement_after_a_mark() -> None:
    """A replica looks for the mark at the end of what it received."""
    async with serving() as server:
        peer = await Peer.connect(server.port)
        offset, _ = await peer.synchronise()
        server.write("key", "value")
        with trio.move_on_after(0.1) as scope:
            await peer.take(1)
        assert scope.cancelled_caught
        await peer.acknowledge(offset)

        assert await peer.command() == SELECT_0
        await peer.close()


async def test_a_replica_that_cannot_find_a_mark_gets_a_size() -> None:
    """Whatever `repl-diskless-sync` says."""
    async with serving("repl-diskless-sync yes") as server:
        peer = await Peer.connect(server.port)
        _, snapshot = await peer.synchronise(knows_eof=False)
        server.write("key", "value")

        assert snapshot.startswith(b"REDIS")
        assert await peer.command() == SELECT_0
        await peer.close()


async def test_partial_resynchronisation_sends_exactly_what_is_missing() -> None:
    """Neither more nor less than a byte."""
    async with serving() as server:
        first = await Peer.connect(server.port)
        offset, _ = await first.synchronise()
        server.write("a", "1")
        server.write("b", "2")
        await first.acknowledge(offset)
        stream = await first.until(b"$1\r\n2\r\n")

        second = await Peer.connect(server.port)
        await second.say("PSYNC", server.replication.identity.replid, offset + 1 + 30)
        assert await second.line() == b"+CONTINUE"
        assert await second.take(len(stream) - 30) == stream[30:]
        await first.close()
        await second.close()


async def test_replies_to_what_came_before_psync_go_first() -> None:
    """A replica may send its handshake in one piece."""
    async with serving() as server:
        first = await Peer.connect(server.port)
        await first.synchronise()
        replid = server.replication.identity.replid
        peer = await Peer.connect(server.port)
        psync = b"PSYNC %b %d\r\n" % (replid, server.replication.offset + 1)
        await peer.send(b"REPLCONF capa psync2\r\nEXISTS key\r\n" + psync)

        assert await peer.line() == b"+OK"
        assert await peer.line() == b":0"
        assert await peer.line() == b"+CONTINUE " + replid
        await first.close()
        await peer.close()


async def test_replicas_that_come_while_a_file_is_written_share_it() -> None:
    """One child serves them all, and each has the stream from the same offset."""
    gate = trio.Event()
    children = 0
    async with serving("repl-diskless-sync no") as server:
        make = server.snapshot

        def slow_snapshot() -> Iterator[bytes]:
            nonlocal children
            children += 1
            yield from _delayed(make())

        server.snapshot = slow_snapshot
        results: list[tuple[int, bytes]] = []

        async def synchronise(peer: Peer) -> None:
            results.append(await peer.synchronise(knows_eof=False))
            if len(results) == 2:
                gate.set()

        peers = [await Peer.connect(server.port) for _ in range(2)]
        async with trio.open_nursery() as nursery:
            nursery.start_soon(synchronise, peers[0])
            await wait_until_async(
                lambda: any(
                    feed.snapshot_offset is not None for feed in server.replication.feeds.values()
                )
            )
            server.write("meanwhile", "1")
            nursery.start_soon(synchronise, peers[1])
            await gate.wait()

        assert results[0] == results[1]
        assert server.engine.context.statistics.total_forks == 1
        for peer in peers:
            assert await peer.command() == SELECT_0
            assert await peer.command() == [b"SET", b"meanwhile", b"1"]
            await peer.close()


def _delayed(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """Yield `chunks` after a while; runs in the child, where nobody else waits."""
    import time

    time.sleep(0.5)
    yield from chunks


@pytest.mark.parametrize("config", ["repl-diskless-sync yes", "repl-diskless-sync no"])
@pytest.mark.parametrize("written", [b"REDIS0010", b""], ids=["in the middle", "at once"])
async def test_a_snapshot_that_fails_costs_only_those_who_waited_for_it(
    config: str, written: bytes
) -> None:
    """The server goes on, and the next one may succeed."""
    async with serving(config) as server:
        make = server.snapshot

        def failing_snapshot() -> Iterator[bytes]:
            yield written
            raise OSError("no space left")

        server.snapshot = failing_snapshot
        peer = await Peer.connect(server.port)
        await peer.say("REPLCONF", "capa", "eof")
        await peer.say("PSYNC", "?", -1)
        assert await peer.is_closed()
        await wait_for_replicas(server, 0)

        server.snapshot = make
        again = await Peer.connect(server.port)
        _, snapshot = await again.synchronise()
        assert snapshot.startswith(b"REDIS")
        await peer.close()
        await again.close()


async def test_a_replica_that_leaves_amid_its_snapshot_ends_the_child() -> None:
    """Nobody reads what it writes; and the next replica gets its own."""
    async with serving() as server:
        for index in range(64):
            server.write(f"key{index}", b"\x80\x81" * 200_000)
        peer = await Peer.connect(server.port)
        await peer.say("REPLCONF", "capa", "eof")
        await peer.say("PSYNC", "?", -1)
        await peer.until(b"$EOF:")
        await peer.close()
        await wait_for_replicas(server, 0)

        again = await Peer.connect(server.port)
        _, snapshot = await again.synchronise()
        assert b"key63" in snapshot
        await again.close()


async def test_a_replica_that_reads_nothing_is_dropped_and_disturbs_nobody() -> None:
    """`client-output-buffer-limit replica` bounds what it may cost."""
    config = "client-output-buffer-limit replica 1mb 0 0\nrepl-backlog-size 16kb"
    async with serving(config) as server:
        stuck, quick = await Peer.connect(server.port), await Peer.connect(server.port)
        for peer in (stuck, quick):
            offset, _ = await peer.synchronise()
            await peer.acknowledge(offset)
        received = 0

        async def read_all() -> None:
            nonlocal received
            while True:
                received += len(await quick.stream.receive_some(1 << 20))

        async with trio.open_nursery() as nursery:
            nursery.start_soon(read_all)
            with trio.fail_after(20):
                while len(server.replication.feeds) == 2:
                    server.write("key", b"x" * 100_000)
                    await trio.sleep(0.001)
            end = server.replication.offset
            await wait_until_async(lambda: received >= end)
            nursery.cancel_scope.cancel()

        assert [feed.state for feed in server.replication.feeds.values()] == [FeedState.ONLINE]
        backlog = server.replication.backlog
        assert backlog is not None
        assert backlog.capacity_bytes <= 1 << 20
        assert await stuck.is_closed()
        await quick.close()
        await stuck.close()


async def test_without_a_limit_a_replica_may_fall_behind_as_far_as_it_does() -> None:
    """Zeros mean no limit, and not that of the backlog: a long synchronisation would never end."""
    config = "client-output-buffer-limit replica 0 0 0\nrepl-backlog-size 16kb"
    async with serving(config) as server:
        peer = await Peer.connect(server.port)
        offset, _ = await peer.synchronise()  # and does not acknowledge, so nothing is sent yet
        start = server.replication.offset
        for number in range(50):
            server.write(f"key{number}", b"x" * 50_000)

        await peer.acknowledge(offset)

        stream = await peer.take(server.replication.offset - start)
        assert stream.count(b"x" * 50_000) == 50
        assert [feed.state for feed in server.replication.feeds.values()] == [FeedState.ONLINE]
        await peer.close()


async def test_what_is_written_without_replicas_is_in_the_backlog_alone() -> None:
    """It keeps so much and no more, whoever comes or does not come to ask for it."""
    async with serving("repl-backlog-size 16kb") as server:
        peer = await Peer.connect(server.port)
        await peer.synchronise()
        await peer.close()
        await wait_for_replicas(server, 0)
        for number in range(20):
            server.write(f"key{number}", b"x" * 10_000)

        assert server.replication.effects.pending == []


async def test_a_silent_replica_is_dropped_after_repl_timeout() -> None:
    """It is not there, whatever TCP says."""
    async with serving("repl-timeout 1") as server:
        peer = await Peer.connect(server.port)
        offset, _ = await peer.synchronise()
        await peer.acknowledge(offset)

        assert await peer.is_closed()
        await wait_for_replicas(server, 0)
        await peer.close()


async def test_a_replica_that_waits_is_kept_alive_by_newlines() -> None:
    """Its own timeout must not end the attempt while a snapshot is due."""
    async with serving("repl-diskless-sync-delay 2") as server:
        peer = await Peer.connect(server.port)
        await peer.say("REPLCONF", "capa", "eof", "capa", "psync2")
        assert await peer.line() == b"+OK"
        await peer.say("PSYNC", "?", -1)

        assert await peer.take(1) == b"\n"
        assert (await peer.line()).startswith(b"+FULLRESYNC")
        await peer.close()


async def test_garbage_from_a_replica_closes_it_alone() -> None:
    """The other one goes on."""
    async with serving() as server:
        peers = [await Peer.connect(server.port) for _ in range(2)]
        offsets = [(await peer.synchronise())[0] for peer in peers]
        await peers[0].send(b"*1\r\n:1\r\n")
        assert await peers[0].is_closed()
        await peers[1].acknowledge(offsets[1])
        server.write("key", "value")

        assert await peers[1].command() == SELECT_0
        assert len(server.replication.feeds) == 1
        for peer in peers:
            await peer.close()


async def test_client_kill_ends_a_replicas_connection() -> None:
    """CLIENT KILL TYPE replica; the replica comes back by itself."""
    async with serving() as server:
        peer, client = await Peer.connect(server.port), await Peer.connect(server.port)
        await peer.synchronise()
        await client.say("CLIENT", "KILL", "TYPE", "replica")

        assert await client.line() == b":1"
        assert await peer.is_closed()
        assert server.replication.feeds == {}
        assert [session.kind.value for session in server.engine.clients] == ["normal"]
        await client.close()
        await peer.close()


async def test_a_killed_replica_gets_nothing_of_what_comes_after() -> None:
    """Not even of the transaction that kills it; so in Redis, where tests cut replicas off so."""
    async with serving() as server:
        peer, client = await Peer.connect(server.port), await Peer.connect(server.port)
        offset, _ = await peer.synchronise()
        await peer.acknowledge(offset)
        server.write("before", "1")
        await peer.until(b"before\r\n$1\r\n1\r\n")
        await client.say("MULTI")
        await client.say("CLIENT", "KILL", "TYPE", "replica")
        await client.say("SET", "after", "2")
        await client.say("EXEC")

        with pytest.raises((ConnectionResetError, trio.BrokenResourceError)):
            await peer.take(1)
        await client.close()
        await peer.close()


async def test_wait_is_answered_when_the_acknowledgement_arrives() -> None:
    """Not at some tick of a clock."""
    async with serving() as server:
        peer, client = await Peer.connect(server.port), await Peer.connect(server.port)
        offset, _ = await peer.synchronise()
        await peer.acknowledge(offset)
        server.write("key", "value")
        await client.say("WAIT", 1, 0)
        while await peer.command() != [b"REPLCONF", b"GETACK", b"*"]:
            pass
        await peer.acknowledge(server.replication.offset)

        assert await client.line() == b":1"
        await client.close()
        await peer.close()


def packets_to_replicas(server: InProcessServer) -> list[tuple[int, int]]:
    """Return of each replica's connection how many bytes the system keeps, and how many packets
    with data it has sent.
    """
    facts = []
    for session in server.engine.clients:
        if session.id in server.replication.feeds:
            with socket.socket(fileno=os.dup(session.file_descriptor)) as connection:
                info = connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 160)
            kept_bytes, _, _, packet_count = struct.unpack_from("4I", info, 144)
            facts.append((kept_bytes, packet_count))
    return facts


async def synchronised_peers(server: InProcessServer, count: int) -> list[Peer]:
    """Return replicas that have read all that the server has written."""
    peers = [await Peer.connect(server.port) for _ in range(count)]
    for peer in peers:
        offset, _ = await peer.synchronise()
        await peer.acknowledge(offset)
    server.write("last", "1")
    for peer in peers:
        await peer.until(b"last\r\n$1\r\n1\r\n")
    return peers


async def test_what_follows_closely_is_sent_together(mock_clock: trio.testing.MockClock) -> None:
    """A packet for each batch would cost more than to run it; but nobody waits for long."""
    async with serving() as server:
        peers = await synchronised_peers(server, 2)
        mock_clock.jump(HOLD_S)
        before = packets_to_replicas(server)
        for number in range(50):
            server.write(f"key {number}", "value")
        after = packets_to_replicas(server)
        # What comes from the replica's system makes ours send what it has, so it may be some more.
        while not all(kept_bytes for kept_bytes, _ in packets_to_replicas(server)):
            server.write("more", "value")
        mock_clock.jump(HOLD_S)
        await trio.testing.wait_all_tasks_blocked()

        assert [kept_bytes for kept_bytes, _ in packets_to_replicas(server)] == [0, 0]
        assert all(now - then < 10 for (_, then), (_, now) in zip(before, after, strict=True))
        for peer in peers:
            for number in range(50):
                assert await peer.command() == [b"SET", b"key %d" % number, b"value"]
            await peer.close()


async def test_what_comes_after_a_while_is_sent_at_once(mock_clock: trio.testing.MockClock) -> None:
    """There is nothing to be sent together with it."""
    async with serving() as server:
        (peer,) = await synchronised_peers(server, 1)
        for _ in range(5):
            mock_clock.jump(HOLD_S)
            server.write("key", "value")
            assert [kept_bytes for kept_bytes, _ in packets_to_replicas(server)] == [0]
        await peer.close()


async def test_what_somebody_waits_for_is_sent_at_once(mock_clock: trio.testing.MockClock) -> None:
    """A client that has asked how many replicas have it, or a switch of roles."""
    async with serving() as server:
        (peer,) = await synchronised_peers(server, 1)
        server.write("key", "value")
        server.replication.wants_acknowledgements = True
        server.pump.settle()

        assert [kept_bytes for kept_bytes, _ in packets_to_replicas(server)] == [0]
        assert await peer.command() == [b"SET", b"key", b"value"]
        assert await peer.command() == [b"REPLCONF", b"GETACK", b"*"]
        await peer.close()


async def test_the_end_of_the_server_closes_its_replicas() -> None:
    """In whatever state they are."""
    async with serving("repl-diskless-sync-delay 60") as server:
        peer = await Peer.connect(server.port)
        await peer.say("REPLCONF", "capa", "eof")
        await peer.say("PSYNC", "?", -1)
        await wait_for_replicas(server, 1)

    assert await peer.is_closed()
    await peer.close()


async def test_many_replicas_come_and_go() -> None:
    """Nothing of them stays: no session, no feed, no reader in the backlog."""
    async with serving() as server:

        async def come_and_go(index: int) -> None:
            peer = await Peer.connect(server.port)
            offset, _ = await peer.synchronise()
            await peer.acknowledge(offset)
            server.write(f"key{index}", "value")
            await peer.until(b"key%d" % index)
            await peer.close()

        async with trio.open_nursery() as nursery:
            for index in range(12):
                nursery.start_soon(partial(come_and_go, index))
        await wait_for_replicas(server, 0)

        assert list(server.engine.clients) == []
        assert server.replication.options == {}


def endless_snapshot(server: InProcessServer) -> Iterator[bytes]:
    """Give a snapshot that is never done, until its child is killed."""
    yield b"REDIS0010"
    while True:
        time.sleep(0.01)
        yield b""


def snapshot_of_a_dying_child() -> Iterator[bytes]:
    """Give more than a replica that does not read is ever sent; its child is killed meanwhile."""
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    signal.setitimer(signal.ITIMER_REAL, 0.5)
    yield b"REDIS0010"
    while True:
        yield bytes(64 * 1024)


async def test_a_killed_child_is_noticed_whatever_the_replicas_do() -> None:
    """No other child may run meanwhile, and a replica that reads nothing would keep it so."""
    async with serving("repl-diskless-sync yes") as server:
        server.snapshot = snapshot_of_a_dying_child
        peer = await Peer.connect(server.port)
        await peer.say("REPLCONF", "capa", "eof")
        await peer.say("PSYNC", "?", -1)
        background = server.engine.background
        await wait_until_async(lambda: background.is_saving, 10, "a child to be forked")

        await wait_until_async(lambda: not background.is_saving, 10, "the child's end")
        assert server.replication.feeds == {}
        await peer.close()


@pytest.mark.parametrize("config", ["repl-diskless-sync yes", "repl-diskless-sync no\nsave ''"])
async def test_a_snapshot_that_nobody_waits_for_any_more_is_given_up(config: str) -> None:
    """Its child would go on for nothing; as long as one replica waits it goes on."""
    async with serving(config) as server:
        server.snapshot = partial(endless_snapshot, server)
        peers = [await Peer.connect(server.port) for _ in range(2)]
        for peer in peers:
            await peer.say("REPLCONF", "capa", "eof")
            await peer.say("PSYNC", "?", -1)
        background = server.engine.background
        await wait_until_async(lambda: background.is_saving, 10, "a child to be forked")
        await wait_for_replicas(server, 2)
        await peers[0].close()
        await wait_for_replicas(server, 1)
        assert background.is_saving
        await peers[1].close()

        await wait_until_async(lambda: background.active is None, 10, "the child to be gone")


async def test_a_file_for_replicas_is_a_save_like_any_other() -> None:
    """Redis' rules: it counts as BGSAVE, and what it holds need not be saved again."""
    async with serving("repl-diskless-sync no\nrdb-key-save-delay 0") as server:
        server.write("key", "value")
        make = server.snapshot
        server.snapshot = lambda: _delayed(iter(make()))
        peer, client = await Peer.connect(server.port), await Peer.connect(server.port)
        async with trio.open_nursery() as nursery:
            results: list[bytes] = []

            async def synchronise() -> None:
                results.append((await peer.synchronise())[1])

            nursery.start_soon(synchronise)
            saves = server.engine.saves
            await wait_until_async(lambda: saves.is_in_progress, 10, "the save to begin")
            await client.say("BGSAVE")
            assert await client.line() == b"-ERR Background save already in progress"

        assert server.snapshot_file.read_bytes() == results[0]
        assert saves.save_count == 1
        assert server.engine.keyspace.dirty == 0
        await peer.close()
        await client.close()


async def test_a_replica_does_not_share_a_save_that_others_asked_for() -> None:
    """Nobody kept the stream since that began."""
    async with serving("repl-diskless-sync no") as server:
        server.write("early", "1")
        make = server.snapshot
        server.snapshot = lambda: _delayed(iter(make()))
        client, peer = await Peer.connect(server.port), await Peer.connect(server.port)
        await client.say("BGSAVE")
        assert await client.line() == b"+Background saving started"
        server.write("late", "2")

        _, snapshot = await peer.synchronise()

        assert b"late" in snapshot
        assert server.engine.saves.save_count == 2
        await peer.close()
        await client.close()


@pytest.mark.parametrize(("save", "is_kept"), [("''", False), ("3600 1", True)])
async def test_rdb_del_sync_files_has_the_file_go_when_all_have_it(
    save: str, is_kept: bool
) -> None:
    """Where nothing is saved, data that may not lie on a disk do not stay there."""
    config = f"repl-diskless-sync no\nrdb-del-sync-files yes\nsave {save}"
    async with serving(config) as server:
        peer = await Peer.connect(server.port)
        await peer.synchronise()

        await wait_until_async(lambda: server.snapshot_file.exists() is is_kept)
        await peer.close()


async def test_a_save_may_be_given_up_in_the_batch_in_which_it_began() -> None:
    """Nobody has come to wait for its child yet, and somebody must: it is another's turn then."""
    async with serving("save ''") as server:
        server.snapshot = partial(endless_snapshot, server)
        client = await Peer.connect(server.port)

        await client.send(b"BGSAVE\r\nFLUSHALL\r\n")

        assert await client.line() == b"+Background saving started"
        assert await client.line() == b"+OK"
        server.snapshot = lambda: [b"REDIS0010"]
        await client.say("BGSAVE")
        assert await client.line() == b"+Background saving started"
        await wait_until_async(lambda: server.engine.saves.save_count == 1)
        assert list(server.snapshot_file.parent.iterdir()) == [server.snapshot_file]
        await client.close()


async def test_the_delay_ends_when_enough_replicas_have_come() -> None:
    """`repl-diskless-sync-max-replicas`: nobody waits for those that are not to come."""
    config = "repl-diskless-sync-delay 3600\nrepl-diskless-sync-max-replicas 2"
    async with serving(config) as server:
        peers = [await Peer.connect(server.port) for _ in range(2)]
        results: list[tuple[int, bytes]] = []

        async def synchronise(peer: Peer) -> None:
            results.append(await peer.synchronise())

        async with trio.open_nursery() as nursery:
            for peer in peers:
                nursery.start_soon(synchronise, peer)

        assert len(results) == 2
        for peer in peers:
            await peer.close()


async def test_replicas_that_want_different_parts_get_different_snapshots() -> None:
    """`rdb-filter-only`; the one without data does not spoil the other's."""
    asked: list[SnapshotContent] = []
    async with serving("repl-diskless-sync-delay 1") as server:
        server.contents = asked
        whole = await Peer.connect(server.port)
        part = await Peer.connect(server.port)
        await part.say("REPLCONF", "rdb-filter-only", "functions")
        assert await part.line() == b"+OK"
        async with trio.open_nursery() as nursery:
            nursery.start_soon(whole.synchronise)
            nursery.start_soon(part.synchronise)

        assert len(asked) == 2
        assert {content.has_data for content in asked} == {True, False}
        await whole.close()
        await part.close()


async def test_a_filter_needs_a_replica_that_finds_a_mark() -> None:
    """A filtered snapshot never goes through a file."""
    async with serving() as server:
        peer = await Peer.connect(server.port)
        await peer.say("REPLCONF", "rdb-filter-only", "functions")
        assert await peer.line() == b"+OK"
        await peer.say("PSYNC", "?", -1)

        assert await peer.line() == b"-ERR Filtered replica requires EOF capability"
        await peer.close()
