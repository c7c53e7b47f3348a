"""What happens to a child that saves when the dataset, or its parent, goes away."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from tests.support.processes import VedetteServer
from tests.support.waiting import wait_until

#: So long that no test waits for such a child to end by itself.
SLOW = {"rdb-key-save-delay": "10000000", "repl-diskless-sync-delay": "0"}


def children_of(server: VedetteServer) -> list[int]:
    pid = server.process.pid
    return [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def begin_synchronisation(master: VedetteServer, replica: VedetteServer) -> None:
    """Have `replica` wait for a snapshot that `master` takes for ever to make."""
    master.call("MSET", "a", "1", "b", "2", "c", "3")
    replica.call("REPLICAOF", "127.0.0.1", master.port)
    wait_until(lambda: master.info("persistence")["rdb_bgsave_in_progress"] == "1", what="a child")


@pytest.mark.parametrize("diskless", ["yes", "no"])
def test_flushall_gives_up_the_snapshot_for_a_replica(diskless: str) -> None:
    """It is of what is no more; the replica gets another."""
    with (
        VedetteServer(SLOW | {"repl-diskless-sync": diskless}) as master,
        VedetteServer() as replica,
    ):
        begin_synchronisation(master, replica)
        master.call("FLUSHALL")

        wait_until(
            lambda: replica.info("replication")["master_link_status"] == "up",
            what="the replica to have the empty dataset",
        )
        assert replica.call("DBSIZE") == 0


def test_a_stop_with_a_save_does_not_wait_for_a_replicas_snapshot(tmp_path: Path) -> None:
    """Nor is it refused because of it."""
    master = VedetteServer(SLOW | {"dir": str(tmp_path)}, directory=tmp_path)
    with master, VedetteServer() as replica:
        begin_synchronisation(master, replica)
        master.call("CONFIG", "SET", "rdb-key-save-delay", "0")
        with master.connect() as client:
            client.send("SHUTDOWN", "SAVE")
            master.process.wait(20)

    assert (tmp_path / "dump.rdb").stat().st_size > 80


@pytest.mark.parametrize("command", [["BGSAVE"], ["SAVE"]])
def test_a_save_is_refused_while_a_child_saves(command: list[str]) -> None:
    """As in Redis: one at a time."""
    with VedetteServer(SLOW) as server:
        server.call("SET", "a", "1")
        server.call("BGSAVE")
        assert server.info("persistence")["current_save_keys_total"] == "1"

        with pytest.raises(Exception, match="Background save already in progress"):
            server.call(*command)


def test_a_child_ends_with_its_parent() -> None:
    """Nobody would make use of what it writes."""
    with VedetteServer(SLOW | {"rdb-key-save-delay": "100000"}) as server:
        with server.connect() as client:
            for number in range(1000):
                client.call("SET", f"key:{number}", number)
        server.call("BGSAVE")
        wait_until(lambda: bool(children_of(server)), what="a child")
        (child,) = children_of(server)
        server.process.send_signal(signal.SIGKILL)
        server.process.wait(10)

        wait_until(lambda: not is_alive(child), 20, "the child to end")


def is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    return state != "Z"
