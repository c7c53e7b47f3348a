"""A sentinel as a process of its own: start, memory across restarts, stop, bad input."""

from __future__ import annotations

import contextlib
import random
import signal
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from sentinel.core import SentinelCore, initial_state
from sentinel.core.durable import durable_state
from sentinel.journal import StartRecord, decode_line
from tests.support.client import BlockingClient, ReplyError
from tests.support.processes import VedetteSentinel, console_script, free_port, watching
from tests.support.waiting import wait_until


@pytest.fixture
def sentinel() -> Iterator[VedetteSentinel]:
    """Yield a sentinel that watches a master which does not exist."""
    lines = watching(free_port(), down_after_ms=60_000)
    with VedetteSentinel(extra_lines=lines) as process:
        yield process


def test_identity_epochs_and_settings_survive_a_crash(sentinel: VedetteSentinel) -> None:
    """What was acknowledged is on disk, even if the process is killed the next moment."""
    my_id = sentinel.call("SENTINEL", "MYID")
    voter = b"a" * 40
    port = int(sentinel.call("SENTINEL", "GET-MASTER-ADDR-BY-NAME", "mymaster")[1])
    vote = sentinel.call("SENTINEL", "IS-MASTER-DOWN-BY-ADDR", "127.0.0.1", port, 7, voter)
    sentinel.call("SENTINEL", "SET", "mymaster", "quorum", "5", "auth-pass", 'a "b"')
    sentinel.call("SENTINEL", "MONITOR", "other", "127.0.0.1", free_port(), 1)

    sentinel.kill()
    sentinel.start()

    rival = sentinel.call("SENTINEL", "IS-MASTER-DOWN-BY-ADDR", "127.0.0.1", port, 7, b"b" * 40)
    assert vote == [0, voter, 7]
    assert rival[1:] != [b"b" * 40, 7]
    assert sentinel.call("SENTINEL", "MYID") == my_id
    assert sentinel.call("ROLE") == [b"sentinel", [b"mymaster", b"other"]]
    assert 'sentinel auth-pass mymaster "a \\"b\\""' in sentinel.config_path.read_text()


def test_vote_alone_survives_a_crash_in_the_ledger(sentinel: VedetteSentinel) -> None:
    """The file does not say it yet; after the next start, and after a stop, it does."""
    port = int(sentinel.call("SENTINEL", "GET-MASTER-ADDR-BY-NAME", "mymaster")[1])
    ledger = sentinel.config_path.with_name(f"{sentinel.config_path.name}.ledger")
    sentinel.call("SENTINEL", "IS-MASTER-DOWN-BY-ADDR", "127.0.0.1", port, 7, b"a" * 40)
    sentinel.kill()

    sentinel.start()
    rival = sentinel.call("SENTINEL", "IS-MASTER-DOWN-BY-ADDR", "127.0.0.1", port, 7, b"b" * 40)
    assert rival[1:] != [b"b" * 40, 7]
    assert "sentinel leader-epoch mymaster 7\n" in sentinel.config_path.read_text()

    vote = sentinel.call("SENTINEL", "IS-MASTER-DOWN-BY-ADDR", "127.0.0.1", port, 8, b"b" * 40)
    assert vote[1:] == [b"b" * 40, 8]
    assert ledger.exists()
    assert sentinel.stop() == 0
    assert "sentinel leader-epoch mymaster 8\n" in sentinel.config_path.read_text()
    assert not ledger.exists()


def test_vote_is_refused_when_it_cannot_be_saved(sentinel: VedetteSentinel) -> None:
    """Two leaders of one epoch begin with a vote that a restart forgets."""
    port = int(sentinel.call("SENTINEL", "GET-MASTER-ADDR-BY-NAME", "mymaster")[1])
    directory = sentinel.config_path.parent
    moved = directory.with_name(directory.name + "-moved")
    directory.rename(moved)
    try:
        reply = sentinel.call("SENTINEL", "IS-MASTER-DOWN-BY-ADDR", "127.0.0.1", port, 9, b"a" * 40)
    finally:
        moved.rename(directory)

    assert reply[1] != b"a" * 40


def test_disk_that_fails_is_told_and_recovers_by_itself(sentinel: VedetteSentinel) -> None:
    """An error to who ordered something, an event, and an event when it works again."""
    directory = sentinel.config_path.parent
    moved = directory.with_name(directory.name + "-away")
    with BlockingClient(sentinel.port) as events:
        events.call("PSUBSCRIBE", "?save-failed")
        directory.rename(moved)
        try:
            with pytest.raises(ReplyError, match="ERR Failed to save config file"):
                sentinel.call("SENTINEL", "SET", "mymaster", "quorum", "6")
            failed = events.receive()
        finally:
            moved.rename(directory)
        recovered = events.receive()

    assert failed[2:] == [b"+save-failed", b"No such file or directory"]
    assert recovered[2:] == [b"-save-failed", b"the state is saved again"]
    assert " 6\n" in sentinel.config_path.read_text(), "the order that could not be saved"


def test_journal_replays_to_the_state_that_was_saved(tmp_path: Path) -> None:
    """The same events lead the machine to the same state, so an incident can be looked at again."""
    journal = tmp_path / "journal"
    lines = watching(free_port(), down_after_ms=60_000)
    with VedetteSentinel({"journal": str(journal)}, lines) as sentinel:
        sentinel.call("SENTINEL", "SET", "mymaster", "quorum", "7")
        sentinel.call("SENTINEL", "MONITOR", "other", "127.0.0.1", free_port(), 3)
        assert sentinel.stop() == 0
        saved = sentinel.config_path.read_text()

    start, *events = map(decode_line, journal.read_text().splitlines())
    assert isinstance(start, StartRecord)
    core = SentinelCore(initial_state(start.state), random.Random(start.seed))
    for event in events:
        assert not isinstance(event, StartRecord)
        core.step(event)

    replayed = durable_state(core.state)
    assert [(each.name, each.options.quorum) for each in replayed.masters] == [
        ("mymaster", 7),
        ("other", 3),
    ]
    for each in replayed.masters:
        assert f"sentinel monitor {each.name} 127.0.0.1 {each.address.port} " in saved
    assert f"sentinel myid {replayed.my_id}" in saved


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_signal_stops_it_cleanly(sentinel: VedetteSentinel, number: signal.Signals) -> None:
    """Service managers expect exit code 0."""
    sentinel.close_client()
    sentinel.process.send_signal(number)

    assert sentinel.process.wait(10) == 0
    assert "sentinel.stopped" in sentinel.log()


def test_shutdown_closes_the_connection_and_ends_the_process(sentinel: VedetteSentinel) -> None:
    """redis-cli shutdown, as in operators' scripts."""
    with pytest.raises(ConnectionError):
        sentinel.call("SHUTDOWN")

    assert sentinel.process.wait(10) == 0


def test_events_reach_subscribers_of_channel_and_pattern(sentinel: VedetteSentinel) -> None:
    """The way clients and tools learn of everything."""
    with contextlib.ExitStack() as stack:
        by_name = stack.enter_context(BlockingClient(sentinel.port))
        by_pattern = stack.enter_context(BlockingClient(sentinel.port))
        by_name.call("SUBSCRIBE", "+set")
        by_pattern.call("PSUBSCRIBE", "*")
        sentinel.call("SENTINEL", "SET", "mymaster", "quorum", "3")
        message, matched = by_name.receive(), by_pattern.receive()

    port = sentinel.extra_lines[0].split()[4]
    payload = f"master mymaster 127.0.0.1 {port} quorum 3".encode()
    assert message == [b"message", b"+set", payload]
    assert matched == [b"pmessage", b"*", b"+set", payload]


def test_failover_without_a_replica_is_refused(sentinel: VedetteSentinel) -> None:
    """The answer comes from the machine itself."""
    with pytest.raises(ReplyError, match="NOGOODSLAVE No suitable replica to promote"):
        sentinel.call("SENTINEL", "FAILOVER", "mymaster")


def test_removed_master_is_gone_from_answers_and_file(sentinel: VedetteSentinel) -> None:
    """A master taken out of service must not come back at the next start."""
    assert sentinel.call("SENTINEL", "REMOVE", "mymaster") == b"OK"

    assert sentinel.call("SENTINEL", "MASTERS") == []
    assert "mymaster" not in sentinel.config_path.read_text()


def test_password_is_required_and_hello_speaks_resp3() -> None:
    """requirepass guards all but AUTH and HELLO."""
    with (
        VedetteSentinel({"requirepass": "secret"}) as sentinel,
        BlockingClient(sentinel.port) as client,
    ):
        with pytest.raises(ReplyError, match="NOAUTH"):
            client.call("SENTINEL", "MASTERS")
        hello = client.call("HELLO", "3", "AUTH", "default", "secret")
        masters = client.call("SENTINEL", "MASTERS")

    assert (hello[b"mode"], hello[b"proto"]) == (b"sentinel", 3)
    assert b"role" not in hello
    assert masters == []


@pytest.mark.parametrize(
    "command", ["ECHO x", "SELECT 0", "MULTI", "MONITOR", "CONFIG GET *", "RESET", "DEBUG SLEEP 0"]
)
def test_commands_of_a_datastore_are_unknown(sentinel: VedetteSentinel, command: str) -> None:
    """As in redis-sentinel: what is not in the table does not exist."""
    with pytest.raises(ReplyError, match="ERR unknown command"):
        sentinel.call(*command.split())


def test_bad_input_disturbs_nobody_else(sentinel: VedetteSentinel) -> None:
    """Garbage ends its own connection, with Redis' protocol error, and nothing more."""
    errors = []
    for garbage in (b"*1\r\n$x\r\n", b"*9999999999\r\n", b"*1\r\n:1\r\n"):
        with socket.create_connection(("127.0.0.1", sentinel.port), 5) as client:
            client.sendall(garbage)
            errors.append(client.recv(200))
            assert client.recv(200) == b""

    assert all(error.startswith(b"-ERR Protocol error: ") for error in errors)
    assert sentinel.call("PING") == b"PONG"


def test_configuration_may_come_from_standard_input_and_options_too(tmp_path: Path) -> None:
    """`vedette-sentinel FILE --port N -`: later sources win, and the file keeps the state."""
    path = tmp_path / "sentinel.conf"
    path.write_text("port 1\n")
    port = free_port()
    process = subprocess.Popen(
        [console_script("vedette-sentinel"), str(path), "--port", str(port), "-"],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
    )
    try:
        assert process.stdin is not None
        process.stdin.write(b"port 2\nbind 127.0.0.1\nsentinel monitor m 127.0.0.1 3 1\n")
        process.stdin.close()

        def masters() -> list[bytes]:
            with BlockingClient(port) as client:
                role = client.call("ROLE")
            names: list[bytes] = role[1]
            return names

        assert wait_until(masters, what="the sentinel to answer") == [b"m"]
        wait_until(lambda: "sentinel monitor m 127.0.0.1 3 1" in path.read_text())
    finally:
        process.kill()
        process.wait(10)


def test_with_a_state_file_the_configuration_is_never_written(tmp_path: Path) -> None:
    """So it may be mounted read-only; votes, switches and settings survive all the same."""
    state = tmp_path / "state" / "sentinel.state"
    state.parent.mkdir()
    lines = [*watching(free_port(), down_after_ms=60_000), f"sentinel state-file {state}"]
    with VedetteSentinel(extra_lines=lines) as sentinel:
        path = sentinel.config_path
        path.chmod(0o444)
        before = path.read_bytes()
        port = int(sentinel.call("SENTINEL", "GET-MASTER-ADDR-BY-NAME", "mymaster")[1])
        vote = sentinel.call("SENTINEL", "IS-MASTER-DOWN-BY-ADDR", "127.0.0.1", port, 7, b"a" * 40)
        sentinel.call("SENTINEL", "SET", "mymaster", "quorum", "5")
        sentinel.call("SENTINEL", "MONITOR", "other", "127.0.0.1", free_port(), 1)
        my_id = sentinel.call("SENTINEL", "MYID")

        sentinel.kill()
        after = path.read_bytes()
        sentinel.start()

        assert vote == [0, b"a" * 40, 7]
        assert after == before
        assert sentinel.call("SENTINEL", "MYID") == my_id
        assert sentinel.call("ROLE") == [b"sentinel", [b"mymaster", b"other"]]
        rival = ("SENTINEL", "IS-MASTER-DOWN-BY-ADDR", "127.0.0.1", port, 7, b"b" * 40)
        assert sentinel.call(*rival)[1:] != [b"b" * 40, 7]
        assert f"sentinel monitor mymaster 127.0.0.1 {port} 5" in state.read_text()
