"""Throughput and CPU of vedette-server beside redis-server, driven by redis-benchmark.

    python -m benchmarks.server [--rounds N] [--tests get,set] [--pipeline 1,16] [--json FILE]

The tests are redis-benchmark's standard ones; at the end stand the median and the least over them.

Both servers run on loopback with the same settings and are loaded in turn (A B A B ...), so that a
machine that gets slower or faster meanwhile is no one's advantage. A row's ratios are medians over
the pairs: throughput (Vedette / Redis, higher is better) and server CPU per command (lower is
better). Exit code 2: redis-server or redis-benchmark is missing.
"""

from __future__ import annotations

import argparse
import contextlib
import csv
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import asdict, dataclass

from .processes import (
    cpu_seconds,
    free_ports,
    require,
    vedette_program,
    wait_until_listening,
    write_json,
)

#: redis-benchmark's standard tests, and how many requests of each make one of a plain command's.
TESTS = {
    **dict.fromkeys(["ping_inline", "ping_mbulk", "set", "get", "incr", "lpush", "rpush"], 1),
    **dict.fromkeys(["lpop", "rpop", "sadd", "hset", "spop", "zadd", "zpopmin"], 1),
    "lrange_100": 4,
    "lrange_300": 10,
    "lrange_500": 16,
    "lrange_600": 20,
    "mset": 4,
}
CLIENTS = 50
KEYS = 100_000
RUN_TIMEOUT_S = 120.0


@dataclass(frozen=True, slots=True)
class Measurement:
    """One run of redis-benchmark against one server."""

    commands_per_second: float
    cpu_us_per_command: float


@dataclass(frozen=True, slots=True)
class Row:
    """The ratios, Vedette / Redis, of one test at one pipeline depth."""

    test: str
    pipeline: int
    throughput_ratio: float
    cpu_ratio: float
    vedette: Measurement
    redis: Measurement


class Server:
    """A running server process and its port."""

    def __init__(self, name: str, process: subprocess.Popen[bytes], port: int) -> None:
        self.name = name
        self.process = process
        self.port = port

    def measure(self, test: str, pipeline: int, requests: int) -> Measurement:
        """Run one test of redis-benchmark; raises CalledProcessError or TimeoutExpired."""
        before_s = cpu_seconds(self.process)
        command = ["redis-benchmark", "-p", str(self.port), "-t", test, "-n", str(requests)]
        command += ["-c", str(CLIENTS), "-P", str(pipeline), "-r", str(KEYS), "--csv"]
        result = subprocess.run(
            command, capture_output=True, text=True, timeout=RUN_TIMEOUT_S, check=True
        )
        rows = [row for row in csv.reader(result.stdout.splitlines()) if row and row[0] != "test"]
        cpu_us = (cpu_seconds(self.process) - before_s) / requests * 1e6
        return Measurement(float(rows[-1][1]), cpu_us)


@contextlib.contextmanager
def running_servers(directory: str) -> Iterator[tuple[Server, Server]]:
    """Start both servers with the same configuration, and end them with the block."""
    programs = {
        "vedette": [vedette_program("vedette-server")],
        "redis": ["redis-server"],
    }
    with contextlib.ExitStack() as stack:
        servers = []
        for (name, program), port in zip(programs.items(), free_ports(2), strict=True):
            home = os.path.join(directory, name)
            os.makedirs(home)
            options = ["--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir", home]
            process = subprocess.Popen(
                [*program, *options], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
            )
            stack.callback(process.wait)
            stack.callback(process.terminate)
            wait_until_listening(name, process, port)
            servers.append(Server(name, process, port))
        yield servers[0], servers[1]


def compare(
    vedette: Server, redis: Server, test: str, pipeline: int, requests: int, rounds: int
) -> Row:
    """Measure both in turn, `rounds` times, and return the medians of the ratios."""
    pairs = [
        (vedette.measure(test, pipeline, requests), redis.measure(test, pipeline, requests))
        for _ in range(rounds)
    ]
    return Row(
        test,
        pipeline,
        statistics.median(a.commands_per_second / b.commands_per_second for a, b in pairs),
        statistics.median(a.cpu_us_per_command / max(b.cpu_us_per_command, 0.01) for a, b in pairs),
        _median([a for a, _ in pairs]),
        _median([b for _, b in pairs]),
    )


def print_summary(rows: list[Row]) -> None:
    """Print the median and the worst of the ratios over the tests of one pipeline depth."""
    throughput = [row.throughput_ratio for row in rows]
    cpu = [row.cpu_ratio for row in rows]
    print(
        f"{'all':12s} pipeline {rows[0].pipeline:<3d}"
        f" throughput {statistics.median(throughput):5.2f} (least {min(throughput):.2f})"
        f"  cpu {statistics.median(cpu):5.2f} (most {max(cpu):.2f})",
        flush=True,
    )


def _median(runs: list[Measurement]) -> Measurement:
    return Measurement(
        statistics.median(run.commands_per_second for run in runs),
        statistics.median(run.cpu_us_per_command for run in runs),
    )


def main() -> int:
    """Measure and print; return the exit code."""
    parser = argparse.ArgumentParser(description="vedette-server beside redis-server")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--tests", default=",".join(TESTS))
    parser.add_argument("--pipeline", default="1,16")
    parser.add_argument("--requests", type=int, default=100_000, help="of a test without pipeline")
    parser.add_argument("--json", help="write the rows to this file")
    options = parser.parse_args()
    require("redis-server", "redis-benchmark")
    rows = []
    with tempfile.TemporaryDirectory() as directory, running_servers(directory) as (ours, theirs):
        for pipeline in map(int, options.pipeline.split(",")):
            for test in options.tests.split(","):
                requests = options.requests * (5 if pipeline > 1 else 1) // TESTS.get(test, 1)
                row = compare(ours, theirs, test, pipeline, requests, options.rounds)
                rows.append(row)
                print(
                    f"{test:12s} pipeline {pipeline:<3d}"
                    f" throughput {row.throughput_ratio:5.2f}  cpu {row.cpu_ratio:5.2f}"
                    f"   (vedette {row.vedette.commands_per_second:9.0f}/s"
                    f" {row.vedette.cpu_us_per_command:5.2f} us,"
                    f" redis {row.redis.commands_per_second:9.0f}/s"
                    f" {row.redis.cpu_us_per_command:5.2f} us)",
                    flush=True,
                )
            print_summary([row for row in rows if row.pipeline == pipeline])
    write_json(options.json, [asdict(row) for row in rows])
    return 0


if __name__ == "__main__":
    sys.exit(main())
