"""What an append-only file and replicas cost a server, and how long it takes to load one.

    python -m benchmarks.append_only [--rounds N] [--requests N] [--keys N]

Writes (SET of 100,000 keys, 50 clients, not pipelined) without any of it, with `appendfsync
everysec` and `always`, and with everysec and two replicas, for vedette-server and redis-server in
turn. What counts is each server's ratio to itself without. Replicas are of the same kind as the
master. Then both load the same append-only file of a million SETs. Exit code 2: redis-server or
redis-benchmark is missing.
"""

from __future__ import annotations

import argparse
import contextlib
import random
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from .processes import cpu_seconds, free_ports, require, vedette_program, wait_until_listening
from .server import Measurement, Server

LOAD_TIMEOUT_S = 600.0
#: Name of each setting, the options of the master, and how many replicas it has.
SETTINGS = {
    "without": ([], 0),
    "everysec": (["--appendonly", "yes"], 0),
    "always": (["--appendonly", "yes", "--appendfsync", "always"], 0),
    "everysec, 2 replicas": (["--appendonly", "yes"], 2),
}
PROGRAMS = {"vedette": vedette_program("vedette-server"), "redis": "redis-server"}


@contextlib.contextmanager
def running(name: str, directory: Path, options: list[str]) -> Iterator[Server]:
    """Run one server of kind `name` in a directory of its own."""
    directory.mkdir(parents=True, exist_ok=True)
    (port,) = free_ports(1)
    common = ["--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir", str(directory)]
    process = subprocess.Popen(
        [PROGRAMS[name], *common, "--repl-diskless-sync-delay", "0", *options],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        wait_until_listening(name, process, port)
        yield Server(name, process, port)
    finally:
        process.kill()
        process.wait()


def ask(server: Server, command: bytes) -> bytes:
    """Send an inline command and return what comes back at once."""
    with socket.create_connection(("127.0.0.1", server.port), LOAD_TIMEOUT_S) as connection:
        connection.sendall(command + b"\r\n")
        return connection.recv(65536)


def wait_for(server: Server, command: bytes, text: bytes) -> None:
    """Ask until the reply contains `text`. Raises SystemExit if that takes too long."""
    deadline_s = time.monotonic() + LOAD_TIMEOUT_S
    while text not in ask(server, command):
        if time.monotonic() > deadline_s:
            raise SystemExit(f"{server.name} never answered {text!r}")
        time.sleep(0.02)


def measure(name: str, setting: str, directory: Path, requests: int) -> Measurement:
    """Measure one server under one setting; its replicas are up before."""
    options, replica_count = SETTINGS[setting]
    with contextlib.ExitStack() as stack:
        master = stack.enter_context(running(name, directory / "master", options))
        for number in range(replica_count):
            following = ["--replicaof", "127.0.0.1", str(master.port)]
            replica = running(name, directory / f"replica{number}", following)
            wait_for(stack.enter_context(replica), b"INFO replication", b"master_link_status:up")
        wait_for(master, b"PING", b"PONG")
        return master.measure("set", 1, requests)


def compare_settings(directory: Path, rounds: int, requests: int) -> None:
    """Print what each setting costs either server."""
    runs: dict[tuple[str, str], list[Measurement]] = {}
    for index in range(rounds):
        for setting in SETTINGS:
            for name in PROGRAMS:
                home = directory / f"{name}-{setting.replace(' ', '')}-{index}"
                result = measure(name, setting, home, requests)
                runs.setdefault((name, setting), []).append(result)
    for setting in SETTINGS:
        parts = []
        for name in PROGRAMS:
            pairs = list(zip(runs[name, setting], runs[name, "without"], strict=True))
            speed = statistics.median(
                a.commands_per_second / b.commands_per_second for a, b in pairs
            )
            cpu_us = statistics.median(a.cpu_us_per_command for a, _ in pairs)
            parts.append(f"{name} {speed:4.2f} of its speed without, {cpu_us:5.1f} us of CPU")
        print(f"{setting:22s} {'; '.join(parts)}", flush=True)


def write_append_only_file(directory: Path, key_count: int) -> None:
    """Make the append-only file that is loaded: one increment of SETs."""
    home = directory / "appendonlydir"
    home.mkdir(parents=True)
    generator = random.Random(1)
    with (home / "appendonly.aof.1.incr.aof").open("wb") as file:
        file.write(b"*2\r\n$6\r\nSELECT\r\n$1\r\n0\r\n")
        for number in range(key_count):
            value = generator.randbytes(16).hex().encode()
            file.write(b"*3\r\n$3\r\nSET\r\n$16\r\nkey:%012d\r\n$32\r\n%b\r\n" % (number, value))
    manifest = b"file appendonly.aof.1.incr.aof seq 1 type i\n"
    (home / "appendonly.aof.manifest").write_bytes(manifest)


def loading_times(name: str, directory: Path, key_count: int) -> tuple[float, float]:
    """Return how long a start with the file takes until it is loaded, and its CPU, in seconds.

    What a start without a file takes is left out.
    """
    times = []
    for options in (["--appendonly", "yes"], []):
        began_s = time.monotonic()
        with running(name, directory, options) as server:
            wait_for(server, b"DBSIZE", b":%d\r\n" % (key_count if options else 0))
            times.append((time.monotonic() - began_s, cpu_seconds(server.process)))
    return times[0][0] - times[1][0], times[0][1] - times[1][1]


def compare_loading(directory: Path, rounds: int, key_count: int) -> None:
    """Print how long either server loads."""
    ratios = []
    for index in range(rounds):
        results = {}
        for name in PROGRAMS:
            home = directory / f"load-{name}-{index}"
            write_append_only_file(home, key_count)
            results[name] = loading_times(name, home, key_count)
            shutil.rmtree(home)
        (ours_s, our_cpu_s), (theirs_s, their_cpu_s) = results["vedette"], results["redis"]
        ratios.append((ours_s / theirs_s, our_cpu_s / their_cpu_s))
        print(
            f"loading {key_count} SETs: vedette {ours_s:.2f} s ({our_cpu_s:.2f} s of CPU),"
            f" redis {theirs_s:.2f} s ({their_cpu_s:.2f} s of CPU)",
            flush=True,
        )
    time_ratio = statistics.median(ratio for ratio, _ in ratios)
    cpu_ratio = statistics.median(ratio for _, ratio in ratios)
    print(f"loading: {time_ratio:.2f} of redis-server's time, {cpu_ratio:.2f} of its CPU")


def main() -> int:
    """Measure and print; return the exit code."""
    parser = argparse.ArgumentParser(description="the append-only file, beside redis-server")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--requests", type=int, default=200_000)
    parser.add_argument("--keys", type=int, default=1_000_000)
    options = parser.parse_args()
    require("redis-server", "redis-benchmark")
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        compare_settings(directory, options.rounds, options.requests)
        compare_loading(directory, options.rounds, options.keys)
    return 0


if __name__ == "__main__":
    sys.exit(main())
