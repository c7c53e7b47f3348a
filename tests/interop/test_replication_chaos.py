"""Cuts, pauses, chains and promotions in random order under writes: in the end all hold the same.

What is random is drawn from the seed in the test's name, so a failure can be run again (its timing
cannot). Wrong offsets, a forgotten SELECT or half a transaction would show as different data.
"""

from __future__ import annotations

import random
import threading
import time
from contextlib import ExitStack

import hiredis
import pytest

from tests.support.processes import ServerProcess, VedetteServer
from tests.support.redis import RedisServer
from tests.support.waiting import wait_until

pytestmark = pytest.mark.timeout(90)

STEPS = 15
MIXTURES = {
    1: (VedetteServer, VedetteServer, VedetteServer),
    2: (VedetteServer, RedisServer, VedetteServer),
    3: (RedisServer, VedetteServer, RedisServer),
}


class Group:
    """Three servers, one of them the master, with two tasks that write to whoever that is."""

    def __init__(self, servers: list[ServerProcess], seed: int) -> None:
        self.servers = servers
        self.master = servers[0]
        self.rng = random.Random(seed)
        self._stop = threading.Event()
        self._writers = [
            threading.Thread(target=self._write, args=(random.Random(seed + n),)) for n in (1, 2)
        ]

    @property
    def replicas(self) -> list[ServerProcess]:
        return [server for server in self.servers if server is not self.master]

    def __enter__(self) -> Group:
        self.follow_master()
        for writer in self._writers:
            writer.start()
        return self

    def __exit__(self, *details: object) -> None:
        self._stop.set()
        for writer in self._writers:
            writer.join()

    def _write(self, rng: random.Random) -> None:
        while not self._stop.is_set():
            master = self.master
            try:
                with master.connect() as client:
                    while master is self.master and not self._stop.is_set():
                        client.call("SELECT", rng.randrange(3))
                        for command in write_commands(rng):
                            client.call(*command)
            except (OSError, hiredis.ReplyError):
                continue  # demoted or paused: the next round finds the new master

    def follow_master(self) -> None:
        for replica in self.replicas:
            replica.call("REPLICAOF", "127.0.0.1", self.master.port)

    def step(self) -> None:
        """Do one thing to the group."""
        first, second = self.rng.sample(self.replicas, 2)
        match self.rng.randrange(5):
            case 0:
                self.master.call("CLIENT", "KILL", "TYPE", "replica")
            case 1:
                first.call("CLIENT", "KILL", "TYPE", "master")
            case 2 if is_link_up(first):
                first.call("REPLICAOF", "NO", "ONE")
                self.master = first
                self.follow_master()
            case 3 if is_link_up(first):
                first.call("REPLICAOF", "127.0.0.1", self.master.port)
                second.call("REPLICAOF", "127.0.0.1", first.port)
            case _:
                server = self.rng.choice(self.servers)
                server.stop_with_sigstop()
                time.sleep(self.rng.random() * 0.2)
                server.resume()
        time.sleep(self.rng.random() * 0.3)


def write_commands(rng: random.Random) -> list[tuple[str | int, ...]]:
    """Return a write, or a transaction of two."""
    key = f"key:{rng.randrange(200)}"
    match rng.randrange(5):
        case 0:
            return [("MULTI",), ("SET", key, "x" * rng.randrange(300)), ("INCR", "n"), ("EXEC",)]
        case 1:
            return [("SET", key, "y" * rng.choice([1, 100, 5000]))]
        case 2:
            return [("DEL", key)]
        case 3:
            return [("APPEND", key, "z")]
        case _:
            return [("PEXPIRE", key, rng.choice([3, 100_000]))]


def is_link_up(server: ServerProcess) -> bool:
    return server.info("replication").get("master_link_status") == "up"


def contents(server: ServerProcess) -> dict[tuple[int, bytes], bytes | None]:
    """Return every string that has not expired."""
    found: dict[tuple[int, bytes], bytes | None] = {}
    with server.connect() as client:
        for database in range(3):
            client.call("SELECT", database)
            keys: list[bytes] = client.call("KEYS", "*")
            if keys:
                for key, value in zip(keys, client.call("MGET", *keys), strict=True):
                    found[database, key] = value
    return found


@pytest.mark.parametrize("seed", MIXTURES)
def test_whatever_happens_to_links_and_roles_all_end_with_the_same_data(seed: int) -> None:
    """The offsets, histories and snapshots of both programs fit together."""
    with ExitStack() as stack:
        config = {"repl-backlog-size": "100kb", "repl-diskless-sync-delay": "0"}
        servers: list[ServerProcess] = [
            stack.enter_context(kind(config)) for kind in MIXTURES[seed]
        ]
        with Group(servers, seed) as group:
            for _ in range(STEPS):
                group.step()
        group.follow_master()
        master = group.master
        for replica in group.replicas:
            wait_until(
                lambda replica=replica: (
                    is_link_up(replica) and contents(replica) == contents(master)
                ),
                timeout_s=20,
                what=f"{replica!r} to hold what {master!r} holds, seed {seed}",
            )
        replids = {server.info("replication")["master_replid"] for server in servers}

        assert len(contents(master)) > 100, "there was something to lose"

    assert len(replids) == 1
