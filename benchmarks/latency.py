"""Latency at half of the maximal rate: what a request waits that comes at its own time.

    python -m benchmarks.latency [--seconds 10] [--connections 50] [--rate N] [--json FILE]

An open loop: requests are sent at fixed times, whether earlier ones have been answered or not, and
their latency counts from when they were due. So a pause of the server is felt by all requests that
fall into it, as by clients that do not know of one another. GET and SET in turn, of random keys.
The rate is half of what redis-benchmark reaches with vedette-server, the same for both servers.
Exit code 2: redis-server or redis-benchmark is missing.
"""

from __future__ import annotations

import argparse
import random
import selectors
import socket
import sys
import tempfile
import time
from collections import deque
from dataclasses import asdict, dataclass
from typing import Final

import hiredis

from vedette.resp.encode import encode_command

from .processes import require, write_json
from .server import Server, running_servers

_KEY_COUNT: Final = 100_000
_VALUE: Final = b"x" * 32


@dataclass(frozen=True, slots=True, kw_only=True)
class Latencies:
    """Milliseconds by percentile, and how many requests were not sent in time."""

    server: str
    rate: int
    requests: int
    p50: float
    p99: float
    p999: float
    longest: float
    #: Share of requests that were sent more than a millisecond after they were due: the driver's
    #: own fault, which is in the latencies of both servers.
    late_share: float


class _Connection:
    """A connection with the times at which its unanswered requests were due."""

    def __init__(self, port: int) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), 10)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.reader = hiredis.Reader()
        self.due: deque[float] = deque()


def drive(server: Server, rate: int, seconds: float, connections: int, seed: int) -> Latencies:
    """Send `rate` requests a second for so long, and return how long they took."""
    generator = random.Random(seed)
    selector = selectors.DefaultSelector()
    clients = [_Connection(server.port) for _ in range(connections)]
    for client in clients:
        selector.register(client.socket, selectors.EVENT_READ, client)
    requests = int(rate * seconds)
    taken: list[float] = []
    late = sent = 0
    clock = time.perf_counter
    began_s = clock()
    while len(taken) < requests:
        now_s = clock()
        while sent < requests and (due_s := began_s + sent / rate) <= now_s:
            late += now_s - due_s > 0.001
            client = clients[sent % connections]
            client.due.append(due_s)
            key = b"key:%012d" % generator.randrange(_KEY_COUNT)
            words = [b"GET", key] if sent % 2 else [b"SET", key, _VALUE]
            client.socket.sendall(encode_command(words))
            sent += 1
        wait_s = began_s + sent / rate - clock() if sent < requests else 1.0
        for ready, _ in selector.select(max(0.0, min(wait_s, 0.0005))):
            client = ready.data
            client.reader.feed(client.socket.recv(65536))
            while client.reader.gets() is not False:
                taken.append(clock() - client.due.popleft())
    for client in clients:
        client.socket.close()
    taken.sort()

    def at(share: float) -> float:
        return round(taken[min(len(taken) - 1, int(len(taken) * share))] * 1000, 3)

    return Latencies(
        server=server.name,
        rate=rate,
        requests=requests,
        p50=at(0.5),
        p99=at(0.99),
        p999=at(0.999),
        longest=at(1.0),
        late_share=late / requests,
    )


def main() -> int:
    """Measure and print; return the exit code."""
    parser = argparse.ArgumentParser(description="latency at half of the maximal rate")
    parser.add_argument("--seconds", type=float, default=10)
    parser.add_argument("--connections", type=int, default=50)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--rate", type=int, default=0, help="requests a second; 0: half the most")
    parser.add_argument("--json", help="write the rows to this file")
    options = parser.parse_args()
    require("redis-server", "redis-benchmark")
    rows: list[Latencies] = []
    with tempfile.TemporaryDirectory() as directory, running_servers(directory) as servers:
        rate = options.rate
        if not rate:
            rate = int(servers[0].measure("get", 1, 50_000).commands_per_second / 2)
        for number in range(options.rounds):
            for server in servers:
                row = drive(server, rate, options.seconds, options.connections, number)
                rows.append(row)
                print(
                    f"{row.server:8} {row.rate}/s  p50 {row.p50:7.3f}  p99 {row.p99:7.3f}"
                    f"  p99.9 {row.p999:7.3f}  longest {row.longest:8.3f} ms"
                    f"  ({row.late_share:.1%} sent late)",
                    flush=True,
                )
    write_json(options.json, [asdict(row) for row in rows])
    return 0


if __name__ == "__main__":
    sys.exit(main())
