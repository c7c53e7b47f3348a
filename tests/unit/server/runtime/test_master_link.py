"""The task that follows a master, the master played byte by byte: above all what goes wrong."""

from __future__ import annotations

import os
import random
from collections.abc import Awaitable, Callable

import pytest
import structlog
import trio
import trio.testing

from server.commands.replication import start_following, stop_following
from server.persistence.rdb.encode import encode_records
from server.persistence.rdb.records import Aux, Entries, Record, SelectDb
from server.replication import pacing
from server.replication.events import Position
from server.replication.identity import NO_REPLID
from server.replication.pacing import LONG_REST_MS, SHORT_REST_MS
from server.runtime.clock import wall_clock_ms
from server.runtime.master_connection import MasterConnection
from tests.support.replication import InProcessServer, Peer, listening, serving
from tests.support.waiting import wait_until_async
from vedette.resp.encode import encode_command
from vedette.types import Address

A, B = b"a" * 40, b"b" * 40
NOW_MS = 1_700_000_000_000

Accept = Callable[[], Awaitable[Peer]]


def snapshot(values: dict[bytes, bytes], *aux: Aux, database: int = 0) -> bytes:
    """Return a snapshot of one database."""
    records: list[Record] = [
        *aux,
        SelectDb(database),
        Entries(values=dict(values), expire_at_ms={}),
    ]
    return b"".join(encode_records(records))


def follow(server: InProcessServer, port: int) -> None:
    start_following(server.engine, Address("127.0.0.1", port), NOW_MS)


async def shake_hands(peer: Peer) -> list[bytes]:
    """Play the master's side of the handshake; return the replica's PSYNC."""
    assert await peer.command() == [b"PING"]
    await peer.send(b"+PONG\r\n")
    assert (await peer.command())[:2] == [b"REPLCONF", b"listening-port"]
    await peer.send(b"+OK\r\n")
    assert await peer.command() == [b"REPLCONF", b"capa", b"eof", b"capa", b"psync2"]
    await peer.send(b"+OK\r\n")
    return await peer.command()


async def give_snapshot(peer: Peer, data: bytes, offset: int, replid: bytes = A) -> None:
    """Answer PSYNC with a snapshot of known size."""
    await peer.send(b"+FULLRESYNC %b %d\r\n\n$%d\r\n%b" % (replid, offset, len(data), data))


async def link(
    server: InProcessServer, accept: Accept, values: dict[bytes, bytes], offset: int = 100
) -> Peer:
    """Bring a link up through a full synchronisation."""
    peer = await accept()
    await shake_hands(peer)
    await give_snapshot(peer, snapshot(values), offset)
    assert await peer.command() == [b"REPLCONF", b"ACK", b"%d" % offset]
    return peer


async def test_follows_loads_and_applies() -> None:
    """From nothing to a copy that keeps up, with exact offsets."""
    async with serving() as server, listening() as (port, accept):
        server.write("own", "forgotten")
        follow(server, port)
        peer = await accept()
        assert (await shake_hands(peer))[0] == b"PSYNC"
        await give_snapshot(peer, snapshot({b"a": b"1"}), 100)
        assert await peer.command() == [b"REPLCONF", b"ACK", b"100"]
        assert server.values() == {b"a": b"1"}

        stream = encode_command([b"SET", b"b", b"2"]) + encode_command([b"DEL", b"a"])
        await peer.send(stream + encode_command([b"REPLCONF", b"GETACK", b"*"]))
        assert await peer.command() == [b"REPLCONF", b"ACK", b"%d" % (100 + len(stream))]
        assert server.values() == {b"b": b"2"}
        assert server.replication.position == Position(A, 137 + len(stream))
        await peer.close()


async def test_a_long_stream_leaves_nothing_behind() -> None:
    """The replies of commands from a master are not even collected."""
    async with serving() as server, listening() as (port, accept):
        follow(server, port)
        peer = await link(server, accept, {})
        await peer.send(encode_command([b"INCR", b"n"]) * 10_000)
        await wait_until_async(lambda: server.values() == {b"n": b"10000"})

        assert [session.outbox for session in server.engine.clients] == [[]]
        await peer.close()


async def test_acknowledges_each_second() -> None:
    """Idle or busy."""
    async with serving() as server, listening() as (port, accept):
        follow(server, port)
        peer = await link(server, accept, {})
        for _ in range(2):
            with trio.fail_after(2):
                assert await peer.command() == [b"REPLCONF", b"ACK", b"100"]
        await peer.close()


async def test_begins_in_the_database_that_the_snapshot_names() -> None:
    """A chained replica is told by `repl-stream-db`: no SELECT comes for it."""
    async with serving() as server, listening() as (port, accept):
        follow(server, port)
        peer = await accept()
        await shake_hands(peer)
        await give_snapshot(peer, snapshot({b"a": b"1"}, Aux(b"repl-stream-db", b"5")), 100)
        await peer.command()
        await peer.send(encode_command([b"SET", b"b", b"2"]))
        databases = server.engine.keyspace.databases
        await wait_until_async(lambda: databases[5].values == {b"b": b"2"})

        assert databases[0].values == {b"a": b"1"}
        await peer.close()


async def test_goes_on_after_a_cut_in_the_same_database() -> None:
    """Half a transaction is asked for again, and SELECT of before still counts."""
    async with serving() as server, listening() as (port, accept):
        follow(server, port)
        peer = await link(server, accept, {})
        whole = encode_command([b"SELECT", b"7"]) + encode_command([b"SET", b"a", b"1"])
        half = encode_command([b"MULTI"]) + encode_command([b"SET", b"lost", b"1"])
        await peer.send(whole + half)
        database = server.engine.keyspace.databases[7]
        await wait_until_async(lambda: database.values == {b"a": b"1"})
        await peer.close()

        again = await accept()
        offset = 100 + len(whole)
        assert await shake_hands(again) == [b"PSYNC", A, b"%d" % (offset + 1)]
        await again.send(b"+CONTINUE " + A + b"\r\n" + half + encode_command([b"EXEC"]))
        await wait_until_async(lambda: b"lost" in database.values)
        await again.close()


async def test_a_session_that_is_killed_is_made_anew() -> None:
    """CLIENT KILL TYPE master on the replica; the position is kept."""
    async with serving() as server, listening() as (port, accept):
        follow(server, port)
        peer = await link(server, accept, {})
        client = await Peer.connect(server.port)
        await client.say("CLIENT", "KILL", "TYPE", "master")
        assert await client.line() == b":1"
        assert await peer.is_closed()

        again = await accept()
        assert await shake_hands(again) == [b"PSYNC", A, b"101"]
        for connection in (peer, again, client):
            await connection.close()


async def test_another_master_is_followed_at_once() -> None:
    """Whatever the link to the old one was doing."""
    async with (
        serving() as server,
        listening() as (old_port, accept_old),
        listening() as (new_port, accept_new),
    ):
        follow(server, old_port)
        old = await accept_old()
        await shake_hands(old)
        await old.send(b"+FULLRESYNC " + B + b" 5\r\n$1000\r\nhalf of it")
        await wait_until_async(lambda: server.replication.follow is not None)
        follow(server, new_port)

        new = await link(server, accept_new, {b"new": b"1"})
        assert await old.is_closed()
        assert server.values() == {b"new": b"1"}
        await old.close()
        await new.close()


async def test_a_master_again_while_a_snapshot_arrives_keeps_its_data() -> None:
    """REPLICAOF NO ONE in the midst of a synchronisation: nothing was touched yet."""
    async with serving() as server, listening() as (port, accept):
        server.write("own", "kept")
        follow(server, port)
        peer = await accept()
        await shake_hands(peer)
        await peer.send(b"+FULLRESYNC " + B + b" 5\r\n$1000\r\nhalf of it")
        stop_following(server.engine, NOW_MS)

        assert await peer.is_closed()
        assert server.values() == {b"own": b"kept"}
        server.write("own", "writable")
        await peer.close()


CORRUPT = snapshot({b"a": b"1"})[:-9] + b"\x00" * 9
UNKNOWN_TYPE = snapshot({b"a": b"1"})[:-8].replace(b"\x00\x01a\xc0", b"\x06\x01a\xc0") + b"\x00" * 8


#: No snapshots, which is seen before they are loaded; and such as are found out when they are.
DAMAGED = {
    "garbage": b"not a snapshot at all",
    "cut checksum": CORRUPT,
    "short": snapshot({b"a": b"1"})[:-20],
}
UNUSABLE = {
    "type": UNKNOWN_TYPE,
    "database": snapshot({b"a": b"1"}, database=99),
    "stream database": snapshot({}, Aux(b"repl-stream-db", b"99")),
}


@pytest.mark.parametrize(
    ("mode", "data"),
    [("disabled", data) for data in DAMAGED.values()]
    + [("swapdb", data) for data in (DAMAGED | UNUSABLE).values()],
    ids=[*DAMAGED, *(f"swapdb: {name}" for name in DAMAGED | UNUSABLE)],
)
async def test_a_snapshot_that_cannot_be_used_costs_nothing(mode: str, data: bytes) -> None:
    """The old data stay, readable, and INFO says why the link is down."""
    async with serving(f"repl-diskless-load {mode}") as server, listening() as (port, accept):
        server.write("own", "kept")
        follow(server, port)
        peer = await accept()
        await shake_hands(peer)
        await give_snapshot(peer, data, 100)

        assert await peer.is_closed()
        await wait_until_async(lambda: bool(server.replication.last_link_error))
        assert server.values() == {b"own": b"kept"}
        assert not server.replication.is_link_up
        await peer.close()


class RecordingAppendOnlyFile:
    """Counts how often it was to begin anew; nothing else is asked of it here."""

    restarts = 0

    def restart(self) -> None:
        self.restarts += 1


@pytest.mark.parametrize("data", UNUSABLE.values(), ids=UNUSABLE)
async def test_the_old_data_make_room_for_a_snapshot_that_came_whole(data: bytes) -> None:
    """There need not be room for two. What then cannot be used leaves nothing to go on from, in
    memory, in the append-only file, and for replicas of our own.
    """
    async with serving("appendonly yes") as server, listening() as (port, accept):
        file = RecordingAppendOnlyFile()
        server.engine.aof.port = file  # type: ignore[assignment]  # the rest is not asked for
        follow(server, port)
        first = await link(server, accept, {b"old": b"1"})
        own = await Peer.connect(server.port)
        await own.synchronise()
        await first.close()
        again = await accept()
        await shake_hands(again)
        await give_snapshot(again, data, 200)

        assert await again.is_closed()
        await wait_until_async(lambda: bool(server.replication.last_link_error))
        assert server.values() == {}
        assert file.restarts == 2
        assert server.replication.position is None
        assert await own.is_closed()
        await own.close()
        await again.close()


async def test_a_command_that_fails_is_counted_and_told() -> None:
    """The copy may not be one any more; the link stays up, as in Redis."""
    async with serving() as server, listening() as (port, accept):
        follow(server, port)
        peer = await link(server, accept, {b"text": b"x"})
        failing = encode_command([b"INCR", b"text"]) * 2
        with structlog.testing.capture_logs() as logs:
            await peer.send(failing + encode_command([b"SET", b"a", b"1"]))
            await wait_until_async(lambda: b"a" in server.values())

        told = [each for each in logs if each["event"] == "stream.command_failed"]
        assert sum(each["failed"] for each in told) == 2
        assert told[0]["error"] == "ERR value is not an integer or out of range"
        client = server.engine.clients.open(address="127.0.0.1:1", local_address="", now_ms=0)
        server.engine.receive(client, b"INFO stats\r\n")
        assert b"unexpected_error_replies:2\r\n" in b"".join(client.outbox)
        server.engine.receive(client, b"CONFIG RESETSTAT\r\nINFO stats\r\n")
        assert b"unexpected_error_replies:0\r\n" in b"".join(client.outbox)
        assert server.replication.is_link_up
        server.engine.disconnect(client)
        await peer.close()


async def test_an_unknown_command_ends_the_link_and_its_position() -> None:
    """What is held is the master's data no more."""
    async with serving() as server, listening() as (port, accept):
        follow(server, port)
        peer = await link(server, accept, {b"a": b"1"})
        await peer.send(encode_command([b"FROM.LATER", b"s", b"v"]))

        assert await peer.is_closed()
        await wait_until_async(lambda: "FROM.LATER" in server.replication.last_link_error)
        assert server.replication.position is None
        await peer.close()


async def test_a_corrupt_stream_means_a_snapshot_next_time() -> None:
    """An offset that may be wrong must not be asked for."""
    async with serving() as server, listening() as (port, accept):
        follow(server, port)
        peer = await link(server, accept, {})
        await peer.send(b"SET inline 1\r\n")
        assert await peer.is_closed()

        again = await accept()
        assert await shake_hands(again) == [b"PSYNC", b"?", b"-1"]
        await peer.close()
        await again.close()


async def test_a_silent_master_is_given_up_after_repl_timeout() -> None:
    """In the handshake as in the stream."""
    async with serving("repl-timeout 1") as server, listening() as (port, accept):
        follow(server, port)
        silent = await accept()
        assert await silent.is_closed()

        peer = await link(server, accept, {})
        assert await peer.is_closed()
        again = await accept()
        assert (await shake_hands(again))[1] == A
        for connection in (silent, peer, again):
            await connection.close()


async def test_a_master_that_is_not_there_yet_is_tried_again() -> None:
    """And again; its absence is told once."""
    async with serving() as server:
        async with listening() as (port, _):
            pass
        follow(server, port)
        await wait_until_async(lambda: "Connection refused" in server.replication.last_link_error)
        listeners = await trio.open_tcp_listeners(port, host="127.0.0.1")
        with trio.fail_after(5):
            peer = Peer(await listeners[0].accept())
        assert await peer.command() == [b"PING"]
        await peer.close()
        await listeners[0].aclose()


async def test_a_host_name_that_cannot_be_one_is_an_error_like_others() -> None:
    """REPLICAOF takes anything for a host."""
    async with serving() as server:
        start_following(server.engine, Address("x" * 300, 1), NOW_MS)
        await wait_until_async(lambda: bool(server.replication.last_link_error))

        assert not server.replication.is_link_up


async def test_an_old_master_is_followed_by_sync() -> None:
    """It knows no offsets, so nothing is acknowledged and no position is kept."""
    async with serving() as server, listening() as (port, accept):
        follow(server, port)
        peer = await accept()
        assert await peer.command() == [b"PING"]
        await peer.send(b"+PONG\r\n")
        for _ in range(3):
            await peer.command()
            await peer.send(b"-ERR unknown command\r\n")
        assert await peer.until(b"\r\n") == b"SYNC\r\n"
        data = snapshot({b"a": b"1"})
        await peer.send(b"$%d\r\n%b" % (len(data), data) + encode_command([b"SET", b"b", b"2"]))
        await wait_until_async(lambda: server.values() == {b"a": b"1", b"b": b"2"})

        assert server.replication.is_link_up
        assert server.replication.position is None
        await peer.close()


async def test_chained_replicas_get_the_bytes_of_the_master() -> None:
    """All of them, PING and GETACK too, so that offsets agree along the chain."""
    async with serving() as server, listening() as (port, accept):
        follow(server, port)
        master = await link(server, accept, {b"a": b"1"})
        below = await Peer.connect(server.port)
        offset, data = await below.synchronise()
        await below.acknowledge(offset)
        stream = (
            encode_command([b"PING"])
            + encode_command([b"REPLCONF", b"GETACK", b"*"])
            + encode_command([b"SET", b"b", b"2"])
        )
        await master.send(stream)

        assert (offset, data[:5]) == (100, b"REDIS")
        assert await below.take(len(stream)) == stream
        await master.close()
        await below.close()


# --- how a snapshot is taken in ------------------------------------------------------------------


async def half_of_a_snapshot(peer: Peer, values: dict[bytes, bytes], replid: bytes = A) -> bytes:
    """Send a snapshot up to amid its values, and return the rest."""
    data = snapshot(values)
    await peer.send(b"+FULLRESYNC %b 100\r\n$EOF:%b\r\n" % (replid, B) + data[:-20])
    return data[-20:] + B


async def ask(server: InProcessServer, *words: bytes) -> bytes:
    """Return the first line that a client of `server` is answered."""
    client = await Peer.connect(server.port)
    await client.say(*words)
    line = await client.line()
    await client.close()
    return line


MANY = {b"key:%d" % number: random.Random(number).randbytes(100) for number in range(50)}


@pytest.mark.parametrize("mode", ["swapdb", "on-empty-db"])
async def test_a_snapshot_is_loaded_while_it_arrives(mode: str) -> None:
    """Without a disk; clients are told LOADING, for there is nothing of that history to serve."""
    config = f"repl-diskless-load {mode}"
    async with serving(config) as server, listening() as (port, accept):
        follow(server, port)
        peer = await accept()
        await shake_hands(peer)
        rest = await half_of_a_snapshot(peer, MANY)
        await wait_until_async(lambda: server.engine.load.loaded_bytes > 1000)
        assert (await ask(server, b"GET", b"key:1")).startswith(b"-LOADING")
        assert (await ask(server, b"REPLICAOF", b"NO", b"ONE")).startswith(b"-LOADING")
        await peer.send(rest)
        assert await peer.command() == [b"REPLCONF", b"ACK", b"100"]

        assert server.values() == MANY
        assert not server.snapshot_file.exists()
        await peer.close()


async def test_data_of_the_same_history_are_served_while_swapdb_loads() -> None:
    """They are old, but nothing that the master did not say; what would change them must wait."""
    async with serving("repl-diskless-load swapdb") as server, listening() as (port, accept):
        follow(server, port)
        first = await link(server, accept, {b"old": b"1"})
        await first.close()
        again = await accept()
        await shake_hands(again)
        rest = await half_of_a_snapshot(again, MANY)
        await wait_until_async(lambda: server.engine.load.is_async)
        assert await ask(server, b"GET", b"old") == b"$1"
        assert (await ask(server, b"REPLICAOF", b"NO", b"ONE")).startswith(b"-LOADING")
        await again.send(rest)
        await wait_until_async(lambda: server.values() == MANY)

        assert not server.engine.load.is_async
        await again.close()


@pytest.mark.parametrize("replid", [A, B], ids=["same history", "another"])
async def test_a_link_lost_while_swapdb_loads_costs_nothing(replid: bytes) -> None:
    """The old data are there again, and clients are served."""
    async with serving("repl-diskless-load swapdb") as server, listening() as (port, accept):
        follow(server, port)
        first = await link(server, accept, {b"old": b"1"})
        await first.close()
        again = await accept()
        await shake_hands(again)
        await half_of_a_snapshot(again, MANY, replid)
        await wait_until_async(lambda: server.engine.load.started_ms is not None)
        await again.close()
        await wait_until_async(lambda: server.engine.load.started_ms is None)

        assert await ask(server, b"GET", b"old") == b"$1"


async def test_a_snapshot_on_disk_becomes_the_servers_own() -> None:
    """A restart then goes on from it, even if nothing was ever saved here."""
    async with serving() as server, listening() as (port, accept):
        follow(server, port)
        peer = await link(server, accept, {b"a": b"1"})
        assert server.snapshot_file.read_bytes() == snapshot({b"a": b"1"})
        await peer.close()

        assert list(server.snapshot_file.parent.iterdir()) == [server.snapshot_file]


async def test_a_damaged_snapshot_does_not_replace_the_file() -> None:
    """What the server would restart from stays good."""
    async with serving() as server, listening() as (port, accept):
        server.snapshot_file.write_bytes(b"good")
        follow(server, port)
        peer = await accept()
        await shake_hands(peer)
        await give_snapshot(peer, CORRUPT, 100)
        assert await peer.is_closed()
        await wait_until_async(lambda: bool(server.replication.last_link_error))

        assert server.snapshot_file.read_bytes() == b"good"
        await peer.close()


async def test_rdb_del_sync_files_leaves_nothing_where_nothing_is_saved() -> None:
    """Some data may not lie on a disk."""
    config = "rdb-del-sync-files yes\nsave ''"
    async with serving(config) as server, listening() as (port, accept):
        follow(server, port)
        peer = await link(server, accept, {b"a": b"1"})

        assert not server.snapshot_file.exists()
        await peer.close()


async def test_what_comes_while_a_replica_rests_is_applied_in_few_pieces(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """To wake for each small piece would cost more than to apply it."""
    is_over = trio.Event()
    rests: list[int] = []

    async def rest_until_told(connection: MasterConnection, rest_ms: int) -> None:
        rests.append(rest_ms)
        await is_over.wait()

    monkeypatch.setattr(MasterConnection, "rest", rest_until_told)
    monkeypatch.setattr(pacing, "_BUSY_GAP_MS", 60_000)  # however slowly this machine sends
    async with serving() as server, listening() as (port, accept):
        follow(server, port)
        peer = await link(server, accept, {})
        sizes: list[int] = []
        apply_raw = server.replication.apply_raw

        def apply_and_note(raw: bytes) -> None:
            sizes.append(len(raw))
            apply_raw(raw)

        monkeypatch.setattr(server.replication, "apply_raw", apply_and_note)
        command = encode_command([b"INCR", b"n"])
        await peer.send(command)
        await wait_until_async(lambda: bool(rests))
        for _ in range(60):
            await peer.send(command)
        is_over.set()
        await wait_until_async(lambda: server.values() == {b"n": b"61"})

        assert len(sizes) <= 5  # one before, and those in which the system hands over the rest
        await peer.close()


async def test_a_replica_that_nobody_reads_rests_longer(monkeypatch: pytest.MonkeyPatch) -> None:
    """While the stream is dense; a client that reads here ends that."""
    rests: list[int] = []
    rest = MasterConnection.rest

    async def rest_and_note(connection: MasterConnection, rest_ms: int) -> None:
        rests.append(rest_ms)
        await rest(connection, rest_ms)

    monkeypatch.setattr(MasterConnection, "rest", rest_and_note)
    monkeypatch.setattr(pacing, "_BUSY_GAP_MS", 60_000)  # however slowly this machine sends
    monkeypatch.setattr(pacing, "_DENSE_BYTES_PER_MS", 1)
    async with serving() as server, listening() as (port, accept), trio.open_nursery() as nursery:
        follow(server, port)
        peer = await link(server, accept, {})

        @nursery.start_soon
        async def _write() -> None:
            command = encode_command([b"GETSET", b"key", b"x" * 8000])  # which looks the key up
            while True:
                await peer.send(command)
                await trio.sleep(0.0005)

        await wait_until_async(lambda: LONG_REST_MS in rests)
        client = server.engine.clients.open(address="127.0.0.1:1", local_address="", now_ms=0)
        server.engine.receive(client, b"GET key\r\n")
        seen = len(rests)
        await wait_until_async(lambda: len(rests) > seen + 10)

        assert set(rests[seen + 2 :]) == {SHORT_REST_MS}
        server.engine.disconnect(client)
        nursery.cancel_scope.cancel()
        with trio.CancelScope(shield=True):
            await peer.close()


async def test_what_is_left_in_the_socket_is_applied_before_its_end() -> None:
    """A master that is killed has its last writes on its replicas, if they left it."""
    async with serving() as server, listening() as (port, accept):
        follow(server, port)
        peer = await link(server, accept, {})
        for _ in range(20):
            await peer.send(encode_command([b"INCR", b"n"]))
            await trio.lowlevel.checkpoint()
        await peer.close()
        await wait_until_async(lambda: not server.replication.is_link_up)

        assert server.values() == {b"n": b"20"}


@pytest.mark.parametrize("in_transaction", [False, True])
async def test_what_has_arrived_is_applied_before_we_become_a_master(in_transaction: bool) -> None:
    """REPLICAOF NO ONE finds it in the socket; sentinels send it within MULTI."""
    async with serving() as server, listening() as (port, accept):
        follow(server, port)
        peer = await link(server, accept, {})
        await trio.testing.wait_all_tasks_blocked()
        increment = encode_command([b"INCR", b"n"])
        whole = b"".join(
            [
                encode_command([b"SELECT", b"3"]),
                encode_command([b"MULTI"]),
                increment * 2,
                encode_command([b"EXEC"]),
                increment,
            ]
        )
        os.write(peer.stream.socket.fileno(), whole + increment[:-1])
        client = server.engine.clients.open(address="127.0.0.1:1", local_address="", now_ms=0)
        words = [b"REPLICAOF NO ONE", b"DBSIZE"]
        requests = [b"MULTI", *words, b"EXEC"] if in_transaction else words
        server.engine.receive(client, b"\r\n".join([*requests, b""]))

        assert b"".join(client.outbox).endswith(b"+OK\r\n:0\r\n"), "it is where it was"
        assert server.engine.keyspace.databases[3].values == {b"n": b"3"}
        assert server.replication.identity.second_repl_offset == 101 + len(whole)
        server.engine.disconnect(client)
        await peer.close()


async def stop_once_applied(server: InProcessServer) -> None:
    """Have the server follow no more right behind the step of a task that has brought data."""

    class Stopper(trio.abc.Instrument):
        def after_task_step(self, task: trio.lowlevel.Task) -> None:
            if server.values() and server.replication.is_replica:
                assert server.replication.follow is not None
                stop_following(server.engine, NOW_MS)

    stopper = Stopper()
    trio.lowlevel.add_instrument(stopper)
    await wait_until_async(lambda: not server.replication.is_replica)
    trio.lowlevel.remove_instrument(stopper)


@pytest.mark.parametrize("is_taken", [False, True])
async def test_what_has_arrived_and_cannot_be_applied_ends_the_history(is_taken: bool) -> None:
    """A master that went on under its old name would be followed by those that know more.

    Also if the link knows already, and is about to close its connection.
    """
    async with serving() as server, listening() as (port, accept):
        follow(server, port)
        peer = await link(server, accept, {})
        await trio.testing.wait_all_tasks_blocked()
        data = encode_command([b"INCR", b"n"]) + encode_command([b"NOSUCH", b"command"])
        assert os.write(peer.stream.socket.fileno(), data) == len(data)
        if is_taken:
            await stop_once_applied(server)
        else:
            stop_following(server.engine, NOW_MS)

        assert server.values() == {b"n": b"1"}
        assert server.replication.identity.replid2 == NO_REPLID
        await peer.close()


async def test_a_pause_outlasts_the_link() -> None:
    """What CLIENT PAUSE keeps away is not let in by the end of following."""
    async with serving() as server, listening() as (port, accept):
        follow(server, port)
        peer = await link(server, accept, {b"n": b"1"})
        await trio.testing.wait_all_tasks_blocked()
        server.engine.pause(wall_clock_ms() + 60_000, writes_only=True)
        os.write(peer.stream.socket.fileno(), encode_command([b"INCR", b"n"]))
        stop_following(server.engine, NOW_MS)

        assert server.values() == {b"n": b"1"}
        await peer.close()


async def test_a_pause_that_begins_while_the_link_waits_keeps_the_dataset() -> None:
    """CLIENT PAUSE holds what its clients see still; what comes meanwhile is applied after it."""
    async with serving() as server, listening() as (port, accept):
        follow(server, port)
        peer = await link(server, accept, {b"n": b"1"})
        await trio.testing.wait_all_tasks_blocked()
        engine = server.engine
        engine.pause(wall_clock_ms() + 60_000, writes_only=False)
        await peer.send(encode_command([b"INCR", b"n"]))
        assert await peer.command() == [b"REPLCONF", b"ACK", b"100"], "what is applied, as ever"
        assert server.values() == {b"n": b"1"}

        engine.unpause()
        await wait_until_async(lambda: server.values() == {b"n": b"2"})
        await peer.close()
