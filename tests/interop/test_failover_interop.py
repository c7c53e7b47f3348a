"""FAILOVER between Vedette and the real redis-server 7.0.15, in both directions.

Facts of Redis' own `tests/integration/failover.tcl`, and above all that nothing acknowledged is
lost while writers go on.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import pytest

from tests.support.client import ReplyError
from tests.support.processes import ServerProcess, VedetteServer
from tests.support.redis import RedisServer
from tests.support.waiting import wait_until

pytestmark = pytest.mark.timeout(60)

WAIT_S = 20.0
WRITERS = 4
PAIRS = [("redis", "vedette"), ("vedette", "redis"), ("vedette", "vedette")]
PROGRAMS = {"redis": RedisServer, "vedette": VedetteServer}


@pytest.fixture
def processes() -> Iterator[ExitStack]:
    """Yield a stack that ends the processes a test enters into it."""
    with ExitStack() as stack:
        yield stack


def start(processes: ExitStack, program: str) -> ServerProcess:
    directives = {"repl-diskless-sync-delay": "0"}
    return processes.enter_context(PROGRAMS[program](directives))


def state(server: ServerProcess) -> str:
    """Return `master_failover_state`."""
    return server.info("replication")["master_failover_state"]


def role(server: ServerProcess) -> str:
    return server.info("replication")["role"]


def follow(replica: ServerProcess, master: ServerProcess) -> None:
    """Make `replica` follow `master` and wait until it is online there."""
    replica.call("REPLICAOF", "127.0.0.1", master.port)
    wait_until(
        lambda: any(
            f"port={replica.port}" in value and "state=online" in value
            for name, value in master.info("replication").items()
            if name.startswith("slave")
        ),
        WAIT_S,
        "the replica to be online",
    )


def hand_over(master: ServerProcess, target: ServerProcess, *more: str) -> None:
    assert master.call("FAILOVER", "TO", "127.0.0.1", target.port, *more) == b"OK"


def wait_until_over(master: ServerProcess) -> None:
    wait_until(lambda: state(master) == "no-failover", WAIT_S, "the failover to be over")


@contextmanager
def counting(server: ServerProcess) -> Iterator[dict[str, int]]:
    """Have writers count up, each its own key, until refused; yield what was acknowledged."""
    acknowledged: dict[str, int] = {}
    refusals: list[str] = []
    stop = threading.Event()

    def write(key: str) -> None:
        with server.connect() as client:
            while not stop.is_set():
                try:
                    acknowledged[key] = client.call("INCR", key)
                except ReplyError as error:
                    refusals.append(str(error))
                    return

    threads = [threading.Thread(target=write, args=(f"count:{i}",)) for i in range(WRITERS)]
    for thread in threads:
        thread.start()
    wait_until(lambda: len(acknowledged) == WRITERS, WAIT_S, "all writers to write")
    try:
        yield acknowledged
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    assert all(text.startswith("READONLY") for text in refusals), refusals


@pytest.mark.parametrize(("old", "new"), PAIRS)
def test_roles_are_changed_and_nothing_acknowledged_is_lost(
    processes: ExitStack, old: str, new: str
) -> None:
    """Writers that wait are refused by the former master; all others go on by partial sync."""
    master, target, third = (start(processes, program) for program in (old, new, "redis"))
    follow(target, master)
    follow(third, master)

    with counting(master) as acknowledged:
        hand_over(master, target)
        wait_until(lambda: role(target) == "master", WAIT_S, "the target to be master")
        wait_until_over(master)
    third.call("REPLICAOF", "127.0.0.1", target.port)
    for replica in (master, third):
        wait_until(
            lambda replica=replica: replica.info("replication")["master_link_status"] == "up",
            WAIT_S,
            "the link",
        )

    assert {key: int(target.call("GET", key)) for key in acknowledged} == acknowledged
    assert role(master) == "slave"
    statistics = target.info("stats")
    assert (statistics["sync_full"], statistics["sync_partial_ok"]) == ("0", "2")


def test_the_pause_ends_as_soon_as_the_replica_has_answered(processes: ExitStack) -> None:
    """A master of ours asks for the acknowledgement, which Redis' replicas send once a second.

    What the replica is asked for by its master counts there as a command.
    """
    master, target = start(processes, "vedette"), start(processes, "redis")
    follow(target, master)
    master.call("SET", "key", "value")
    target.call("CONFIG", "RESETSTAT")

    with master.connect() as client:
        client.call("FAILOVER")
        with pytest.raises(ReplyError, match="READONLY"):
            client.call("SET", "key", "other")

    assert "cmdstat_replconf" in target.info("commandstats"), "it was not asked"
    assert target.call("GET", "key") == b"value"


def test_error_texts_are_those_of_redis(processes: ExitStack) -> None:
    """Asked of a master without replicas, one with a replica, and a replica."""
    orders: list[tuple[str | int, ...]] = [
        ("ABORT",),
        (),
        ("TO", "127.0.0.1", 1),
        ("TO", "invalidhost", 1),
        ("TO", "127.0.0.1", "invalidport"),
        ("TO", "127.0.0.1"),
        ("FORCE", "TIMEOUT", 100),
        ("TO", "127.0.0.1", 1, "FORCE"),
        ("TIMEOUT", 0),
        ("TIMEOUT", -1),
        ("TIMEOUT", "x"),
        ("TIMEOUT", 5, "TIMEOUT", 5),
        ("ABORT", "TIMEOUT", 5),
        ("FORCE", "FORCE"),
        ("NONSENSE",),
    ]

    def answers(program: str) -> list[object]:
        master, replica = start(processes, program), start(processes, program)
        found: list[object] = [tell(master, *order) for order in orders if order]
        follow(replica, master)
        for order in orders:
            if order:
                found.append(tell(master, *order))
            found.append(tell(replica, *order))
        found.append(tell_raw(replica, "PSYNC", "0" * 40, 1, "FAILOVER"))
        found.append(tell_raw(master, "PSYNC", "0" * 40, 1, "FAILOVER"))
        replica.process.send_signal(signal.SIGSTOP)
        master.call("SET", "key", "value")
        hand_over(master, replica, "TIMEOUT", "60000")
        found.append(state(master))
        found += [
            tell(master, "TO", "127.0.0.1", replica.port),
            tell_raw(master, "REPLICAOF", "127.0.0.1", 1),
            tell_raw(master, "PSYNC", "?", -1),
            tell(master, "ABORT"),
            state(master),
        ]
        replica.process.send_signal(signal.SIGCONT)
        return found

    assert answers("vedette") == answers("redis")


def tell(server: ServerProcess, *words: str | int) -> object:
    return tell_raw(server, "FAILOVER", *words)


def tell_raw(server: ServerProcess, *words: str | int) -> object:
    with server.connect() as client:
        try:
            return client.call(*words)
        except ReplyError as error:
            return str(error)


def test_a_target_that_never_catches_up_lets_the_master_go_on(processes: ExitStack) -> None:
    """What waited is written after all, nobody synchronises anew, reads went on."""
    master, target = start(processes, "vedette"), start(processes, "redis")
    follow(target, master)
    target.process.send_signal(signal.SIGSTOP)
    master.call("SET", "key", "1")
    hand_over(master, target, "TIMEOUT", "500")

    assert master.call("GET", "key") == b"1"
    assert master.call("INCR", "key") == 2
    assert (state(master), role(master)) == ("no-failover", "master")
    target.process.send_signal(signal.SIGCONT)
    wait_until(lambda: target.call("GET", "key") == b"2", WAIT_S, "the replica to catch up")
    statistics = master.info("stats")
    assert (statistics["sync_full"], statistics["sync_partial_ok"]) == ("1", "0")


def test_a_target_that_refuses_leaves_the_master_what_it_was(processes: ExitStack) -> None:
    """A write that waited is acknowledged by the master that stayed, and reaches the replica."""
    master, target = start(processes, "vedette"), start(processes, "redis")
    follow(target, master)
    target.call("ACL", "SETUSER", "default", "-psync")
    hand_over(master, target)

    assert master.call("SET", "key", "value") == b"OK"
    assert (state(master), role(master)) == ("no-failover", "master")
    target.call("ACL", "SETUSER", "default", "+psync")
    wait_until(lambda: target.call("GET", "key") == b"value", WAIT_S, "the replica to follow")
    assert master.info("stats")["sync_full"] == "1"


def test_a_forced_failover_goes_on_after_its_time(processes: ExitStack) -> None:
    """The former master is a replica before the target is a master: never two."""
    master, target = start(processes, "vedette"), start(processes, "redis")
    follow(target, master)
    target.process.send_signal(signal.SIGSTOP)
    master.call("SET", "key", "value")
    hand_over(master, target, "TIMEOUT", "100", "FORCE")
    wait_until(lambda: state(master) == "failover-in-progress", WAIT_S, "the time to pass")
    assert role(master) == "slave"
    target.process.send_signal(signal.SIGCONT)
    wait_until_over(master)

    assert (role(master), role(target)) == ("slave", "master")
