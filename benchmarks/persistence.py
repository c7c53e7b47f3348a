"""Saving, loading and full synchronisation of a million string keys, beside redis-server.

    python -m benchmarks.persistence [--keys 1000000] [--json FILE]

The same for both: a background save, how long it takes and how much memory server and child take
together at most, over what the server took before; a start on that file, from the first connection
to the end of LOADING; a full synchronisation of an empty replica of the same kind, without delay on
the master's side, until its link is up; and for how long a replica is behind a master that
redis-benchmark writes to as fast as it can.
Exit code 2: redis-server or redis-benchmark is missing.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import subprocess
import tempfile
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass

from tests.support.client import BlockingClient, ReplyError

from .processes import free_ports, require, vedette_program, wait_until_listening, write_json

BATCH_COUNT = 1000
POLL_S = 0.01
WRITES = 200_000
#: What the ratios are to be at most.
AIMS = {"save": 2.5, "memory": 1.5, "load": 3.0, "synchronisation": 2.5}


@dataclass(frozen=True, slots=True)
class Figures:
    """What was measured of one server."""

    save_s: float
    #: Server and child at most, over the server before.
    memory_share: float
    load_s: float
    synchronisation_s: float
    #: The longest that a write took to be acknowledged by a replica under full load.
    lag_s: float


PROGRAMS = {
    "vedette": [vedette_program("vedette-server")],
    "redis": ["redis-server"],
}


@contextlib.contextmanager
def running(name: str, directory: str) -> Iterator[tuple[subprocess.Popen[bytes], int]]:
    """Start a server of that kind in `directory`; yield it and its port; end it with the block."""
    os.makedirs(directory, exist_ok=True)
    (port,) = free_ports(1)
    options = ["--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir", directory]
    options += ["--repl-diskless-sync-delay", "0"]
    process = subprocess.Popen(
        [*PROGRAMS[name], *options], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        wait_until_listening(name, process, port)
        yield process, port
    finally:
        process.kill()
        process.wait()


def info(client: BlockingClient, section: str) -> dict[str, str]:
    """Return the fields of a section of INFO."""
    lines = client.call("INFO", section).decode().splitlines()
    return dict(line.split(":", 1) for line in lines if ":" in line)


def fill(client: BlockingClient, key_count: int) -> None:
    """Write keys of 16 bytes with values of 32."""
    for first in range(0, key_count, BATCH_COUNT):
        words: list[str] = []
        for number in range(first, min(first + BATCH_COUNT, key_count)):
            words += (f"key:{number:012d}", f"{number * 2654435761 % 2**32:032x}")
        client.call("MSET", *words)


def proportional_bytes(pid: int) -> int:
    """Return what a process and its children take, each shared page counted once."""
    total = 0
    for each in [pid, *children_of(pid)]:
        with contextlib.suppress(OSError), open(f"/proc/{each}/smaps_rollup", "rb") as file:
            for line in file:
                if line.startswith(b"Pss:"):
                    total += int(line.split()[1]) * 1024
    return total


def children_of(pid: int) -> list[int]:
    """Return the children of a process, and theirs."""
    found: list[int] = []
    with contextlib.suppress(OSError):
        for task in os.listdir(f"/proc/{pid}/task"):
            with open(f"/proc/{pid}/task/{task}/children", encoding="ascii") as file:
                for child in map(int, file.read().split()):
                    found += [child, *children_of(child)]
    return found


def measure_save(pid: int, client: BlockingClient) -> tuple[float, float]:
    """Return how long a background save takes, and the share of memory that it takes."""
    before_bytes = proportional_bytes(pid)
    peak_bytes = before_bytes
    began_s = time.monotonic()
    client.call("BGSAVE")
    while info(client, "persistence")["rdb_bgsave_in_progress"] == "1":
        peak_bytes = max(peak_bytes, proportional_bytes(pid))
        time.sleep(POLL_S)
    return time.monotonic() - began_s, peak_bytes / before_bytes


def measure_load(name: str, directory: str, key_count: int) -> float:
    """Return how long a server loads the file in `directory`, once it accepts connections."""
    with running(name, directory) as (_, port), BlockingClient(port, timeout_s=60) as client:
        began_s = time.monotonic()
        wait_until_loaded(client)
        elapsed_s = time.monotonic() - began_s
        assert client.call("DBSIZE") == key_count
    return elapsed_s


def wait_until_loaded(client: BlockingClient) -> None:
    """Return when PING is not answered LOADING any more."""
    while True:
        try:
            client.call("PING")
        except ReplyError:
            time.sleep(POLL_S)
        else:
            return


def measure_synchronisation(client: BlockingClient, master_port: int) -> float:
    """Return how long an empty server takes until it is a replica whose link is up."""
    began_s = time.monotonic()
    client.call("REPLICAOF", "127.0.0.1", master_port)
    while info(client, "replication")["master_link_status"] != "up":
        time.sleep(POLL_S)
    return time.monotonic() - began_s


def measure_lag(client: BlockingClient, port: int) -> float:
    """Return the longest that a write takes to reach the replica while others write all the time.

    One that is not acknowledged within ten seconds counts as that.
    """
    command = ["redis-benchmark", "-p", str(port), "-t", "set", "-n", str(WRITES), "-P", "16"]
    command += ["-r", "100000", "-d", "32", "-q"]
    load = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    longest_s = 0.0
    try:
        while load.poll() is None:
            began_s = time.monotonic()
            client.call("SET", "lag", "1")
            client.call("WAIT", 1, 10_000)
            longest_s = max(longest_s, time.monotonic() - began_s)
    finally:
        load.wait()
    return longest_s


def measure(name: str, directory: str, key_count: int) -> Figures:
    """Measure one server and a replica of it."""
    master, replica = (os.path.join(directory, name, role) for role in ("master", "replica"))
    with (
        running(name, master) as (process, port),
        BlockingClient(port, timeout_s=60) as client,
    ):
        wait_until_loaded(client)
        fill(client, key_count)
        save_s, memory_share = measure_save(process.pid, client)
        load_s = measure_load(name, master, key_count)
        with (
            running(name, replica) as (_, replica_port),
            BlockingClient(replica_port, timeout_s=60) as of_replica,
        ):
            wait_until_loaded(of_replica)
            synchronisation_s = measure_synchronisation(of_replica, port)
            assert of_replica.call("DBSIZE") == key_count
            lag_s = measure_lag(client, port)
    return Figures(save_s, memory_share, load_s, synchronisation_s, lag_s)


def main(arguments: list[str] | None = None) -> int:
    """Measure both servers and print the ratios."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.persistence", description=__doc__)
    parser.add_argument("--keys", type=int, default=1_000_000)
    parser.add_argument("--json", metavar="FILE", help="write the figures there as well")
    options = parser.parse_args(arguments)
    require("redis-server", "redis-benchmark")
    with tempfile.TemporaryDirectory(prefix="vedette-bench-") as directory:
        ours, theirs = (measure(name, directory, options.keys) for name in PROGRAMS)
    ratios = {
        "save": ours.save_s / theirs.save_s,
        "memory": ours.memory_share,
        "load": ours.load_s / theirs.load_s,
        "synchronisation": ours.synchronisation_s / theirs.synchronisation_s,
    }
    print(f"{options.keys} keys")
    print(f"save             {ours.save_s:6.2f} s  redis {theirs.save_s:6.2f} s", end="")
    print(f"  ratio {ratios['save']:.2f} (aim {AIMS['save']})")
    print(f"memory meanwhile {ours.memory_share:6.2f}    redis {theirs.memory_share:6.2f}", end="")
    print(f"    (aim {AIMS['memory']})")
    print(f"load             {ours.load_s:6.2f} s  redis {theirs.load_s:6.2f} s", end="")
    print(f"  ratio {ratios['load']:.2f} (aim {AIMS['load']})")
    print(f"synchronisation  {ours.synchronisation_s:6.2f} s", end="")
    print(f"  redis {theirs.synchronisation_s:6.2f} s", end="")
    print(f"  ratio {ratios['synchronisation']:.2f} (aim {AIMS['synchronisation']})")
    print(f"longest lag      {ours.lag_s:6.2f} s  redis {theirs.lag_s:6.2f} s  (aim 1)")
    figures = {"ratios": ratios, "vedette": asdict(ours), "redis": asdict(theirs)}
    write_json(options.json, figures)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
