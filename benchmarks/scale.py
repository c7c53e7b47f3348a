"""What a sentinel costs as its masters grow, beside redis-sentinel.

    python -m benchmarks.scale [--masters 100,1000] [--seconds N] [--down-after MS] [--json FILE]

Starts so many small redis-server masters and lets first three Vedette sentinels, then three
redis-sentinels watch them all. Once every sentinel knows its fellows for every master: CPU per
watched master over a quiet window, memory, and how late the latest ping came, read from the ages of
the last valid replies that SENTINEL MASTERS tells (an age beyond the ping period is lateness, the
round trip included). Exit code 1: Vedette is beyond its limits (CPU 5 times redis-sentinel's,
100 MiB, half a ping period); 2: a program is missing.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass

from sentinel.core.timing import Periods, master_ping_period_ms
from vedette.resp.exchange import Answer, Exchange

from .processes import (
    cpu_seconds,
    free_ports,
    require,
    resident_bytes,
    vedette_program,
    wait_until_listening,
    write_json,
)

#: redis-sentinel saves its whole file for each fellow of each master: minutes at a thousand.
SETTLE_TIMEOUT_S = 900.0
REPLY_TIMEOUT_S = 300.0
SAMPLES = 20
CPU_RATIO_MAX = 5.0
RESIDENT_MAX_BYTES = 100 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Cost:
    """What watching took, for one kind of sentinel: means of the three, the worst of the rest."""

    cpu_us_per_master_second: float
    resident_bytes: int
    ping_period_ms: int
    latest_ping_ms: int


class Watcher:
    """A running sentinel."""

    def __init__(self, process: subprocess.Popen[bytes], port: int) -> None:
        self.process = process
        self.port = port

    def ask(self, *words: str) -> object:
        """Return the reply to one command."""
        argv = [word.encode() for word in words]
        exchange: Exchange[None] = Exchange()
        with socket.create_connection(("127.0.0.1", self.port), REPLY_TIMEOUT_S) as connection:
            connection.sendall(exchange.request(argv, None))
            while True:
                for event in exchange.receive(connection.recv(1 << 20)):
                    if isinstance(event, Answer):
                        return event.reply

    def masters(self) -> list[dict[str, str]]:
        """Return SENTINEL MASTERS."""
        reply = self.ask("SENTINEL", "MASTERS")
        assert isinstance(reply, list)
        tables = []
        for fields in reply:
            assert isinstance(fields, list)
            words = [field.decode() for field in fields if isinstance(field, bytes)]
            tables.append(dict(zip(words[::2], words[1::2], strict=True)))
        return tables

    def has_settled(self) -> bool:
        """Whether it knows both fellows for every master, and all masters are well."""
        return all(
            table["num-other-sentinels"] == "2" and table["flags"] == "master"
            for table in self.masters()
        )


@contextlib.contextmanager
def running_masters(directory: str, count: int) -> Iterator[list[int]]:
    """Start redis-servers without data, and end them with the block; yield their ports."""
    ports = free_ports(count)
    with contextlib.ExitStack() as stack:
        processes = []
        for port in ports:
            # One cron run a second: a thousand idle servers must not be what is measured.
            options = ["--port", str(port), "--bind", "127.0.0.1", "--save", "", "--hz", "1"]
            process = subprocess.Popen(
                ["redis-server", *options, "--dir", directory], stdout=subprocess.DEVNULL
            )
            stack.callback(process.wait)
            stack.callback(process.kill)
            processes.append(process)
        for port, process in zip(ports, processes, strict=True):
            wait_until_listening("redis-server", process, port)
        yield ports


@contextlib.contextmanager
def running_sentinels(
    program: str, directory: str, master_ports: list[int], down_after_ms: int
) -> Iterator[list[Watcher]]:
    """Start three sentinels that watch all of `master_ports`, and end them with the block."""
    with contextlib.ExitStack() as stack:
        watchers = []
        for port in free_ports(3):
            home = os.path.join(directory, f"{os.path.basename(program)}-{port}")
            os.makedirs(home)
            file = os.path.join(home, "sentinel.conf")
            lines = [f"port {port}", "bind 127.0.0.1", f"dir {home}"]
            for index, master_port in enumerate(master_ports):
                name = f"m{index}"
                lines.append(f"sentinel monitor {name} 127.0.0.1 {master_port} 2")
                lines.append(f"sentinel down-after-milliseconds {name} {down_after_ms}")
            with open(file, "w", encoding="ascii") as output:
                output.write("\n".join(lines) + "\n")
            process = subprocess.Popen(
                [program, file], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
            )
            stack.callback(process.wait)
            stack.callback(process.kill)
            wait_until_listening(program, process, port)
            watchers.append(Watcher(process, port))
        yield watchers


def measure(watchers: list[Watcher], masters: int, seconds: float, ping_period_ms: int) -> Cost:
    """Wait until all is settled, then measure; raises SystemExit if it does not settle."""
    deadline_s = time.monotonic() + SETTLE_TIMEOUT_S
    while not all(watcher.has_settled() for watcher in watchers):
        if time.monotonic() > deadline_s:
            raise SystemExit(f"the sentinels did not find one another in {SETTLE_TIMEOUT_S:.0f} s")
        time.sleep(1)
    before_s = [cpu_seconds(watcher.process) for watcher in watchers]
    started_s = time.monotonic()
    time.sleep(seconds)
    used_s = sum(cpu_seconds(watcher.process) for watcher in watchers) - sum(before_s)
    elapsed_s = time.monotonic() - started_s
    latest_ms = 0
    for _ in range(SAMPLES):
        ages_ms = [int(table["last-ok-ping-reply"]) for table in watchers[0].masters()]
        latest_ms = max(latest_ms, max(ages_ms) - ping_period_ms)
        time.sleep(0.37)  # no multiple of a period
    return Cost(
        cpu_us_per_master_second=used_s / len(watchers) / elapsed_s / masters * 1e6,
        resident_bytes=max(resident_bytes(watcher.process) for watcher in watchers),
        ping_period_ms=ping_period_ms,
        latest_ping_ms=latest_ms,
    )


def compare(count: int, seconds: float, down_after_ms: int) -> tuple[Cost, Cost]:
    """Return what `count` masters cost Vedette's sentinel and redis-sentinel, in one run."""
    longest_ms = Periods().ping_period_ms  # Redis' too
    with (
        tempfile.TemporaryDirectory() as directory,
        running_masters(directory, count) as ports,
    ):
        costs = []
        for program, period_ms in (
            (vedette_program("vedette-sentinel"), master_ping_period_ms(down_after_ms, longest_ms)),
            ("redis-sentinel", min(down_after_ms, longest_ms)),
        ):
            with running_sentinels(program, directory, ports, down_after_ms) as watchers:
                costs.append(measure(watchers, count, seconds, period_ms))
        return costs[0], costs[1]


def is_within_limits(ours: Cost, theirs: Cost) -> bool:
    """Whether Vedette's sentinel costs no more than it may."""
    return (
        ours.cpu_us_per_master_second <= CPU_RATIO_MAX * theirs.cpu_us_per_master_second
        and ours.resident_bytes <= RESIDENT_MAX_BYTES
        and ours.latest_ping_ms <= ours.ping_period_ms // 2
    )


def main() -> int:
    """Measure and print; return the exit code."""
    parser = argparse.ArgumentParser(description="vedette-sentinel beside redis-sentinel")
    parser.add_argument("--masters", default="100,1000")
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--down-after", type=int, default=5000, metavar="MS")
    parser.add_argument("--json", help="write the costs to this file")
    options = parser.parse_args()
    require("redis-server", "redis-sentinel")
    rows = []
    is_good = True
    for count in map(int, options.masters.split(",")):
        ours, theirs = compare(count, options.seconds, options.down_after)
        is_good = is_good and is_within_limits(ours, theirs)
        rows.append({"masters": count, "vedette": asdict(ours), "redis": asdict(theirs)})
        ratio = ours.cpu_us_per_master_second / max(theirs.cpu_us_per_master_second, 0.01)
        print(f"{count} masters: CPU {ratio:.2f} times redis-sentinel's")
        for name, cost in (("vedette", ours), ("redis", theirs)):
            print(
                f"  {name:8s} {cost.cpu_us_per_master_second:6.0f} us a master and second"
                f" {cost.resident_bytes / 2**20:7.1f} MiB"
                f"  latest ping {max(cost.latest_ping_ms, 0)} ms beyond {cost.ping_period_ms} ms",
                flush=True,
            )
    write_json(options.json, rows)
    if not is_good:
        print("beyond the limits", file=sys.stderr)
    return 0 if is_good else 1


if __name__ == "__main__":
    sys.exit(main())
