"""What a command costs as the collection grows that it works on, and what an element takes.

    python -m benchmarks.growth [--sizes 1000,1000000] [--json FILE]

vedette-server and redis-server are each given collections of growing size; the time of a command is
the server's own (`INFO commandstats`). What is O(1) stays where it is, what is O(log N) hardly
grows. Memory is the growth of the process over the elements added at the largest size.
Exit code 2: redis-server is missing.
"""

from __future__ import annotations

import argparse
import socket
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import hiredis

from vedette.resp.encode import encode_command

from .processes import require, resident_bytes, write_json
from .server import Server, running_servers

#: Elements that are added by one command.
BATCH_COUNT = 1000
#: How often each command is measured, and how many are sent at once.
CALLS = 2000
PIPELINE = 16

Word = str | int


@dataclass(frozen=True, slots=True, kw_only=True)
class Collection:
    """A type: how `count` elements from `first` on are added, and what is measured of it.

    The word `@` in a command stands for a number that grows from call to call.
    """

    name: str
    add: Callable[[int, int], list[Word]]
    commands: tuple[str, ...]
    #: How many elements one command adds.
    batch: int = BATCH_COUNT


def _members(first: int, count: int) -> list[str]:
    return [f"m{number:015d}" for number in range(first, first + count)]


COLLECTIONS = (
    Collection(
        name="database",
        add=lambda first, count: [
            "MSET",
            *(word for key in _members(first, count) for word in (key, key * 2)),
        ],
        commands=(
            "GET m000000000000500",
            "SET new@ v",
            "SCAN 500",
            "SCAN 0",
            "RANDOMKEY",
            "DEL new@",
        ),
    ),
    Collection(
        name="list",
        add=lambda first, count: [
            "RPUSH",
            "k",
            *(f"m{n:015d}" for n in range(first, first + count)),
        ],
        commands=("LPUSH k v", "LPOP k", "LINDEX k 10", "LINDEX k -10", "LRANGE k 0 9"),
    ),
    Collection(
        name="hash",
        add=lambda first, count: [
            "HSET",
            "k",
            *(word for field in _members(first, count) for word in (field, field * 2)),
        ],
        commands=(
            "HSET k new@ v",
            "HGET k m000000000000500",
            "HRANDFIELD k",
            "HRANDFIELD k 10",
            "HSCAN k 500",
            "HDEL k new@",
        ),
    ),
    Collection(
        name="set",
        add=lambda first, count: [
            "SADD",
            "k",
            *(f"m{n:015d}" for n in range(first, first + count)),
        ],
        commands=(
            "SADD k new@",
            "SISMEMBER k m000000000000500",
            "SRANDMEMBER k",
            "SRANDMEMBER k 10",
            "SSCAN k 500",
            "SREM k new@",
            "SPOP k",
        ),
    ),
    Collection(
        name="sorted set",
        add=lambda first, count: [
            "ZADD",
            "k",
            *(
                word
                for n in range(first, first + count)
                for word in (n * 7919 % 1_000_003, f"m{n:015d}")
            ),
        ],
        commands=(
            "ZADD k 500 new@",
            "ZINCRBY k 1 m000000000000500",
            "ZSCORE k m000000000000500",
            "ZRANK k m000000000000500",
            "ZRANGE k 500 509",
            "ZRANGEBYSCORE k 500 +inf LIMIT 0 10",
            "ZRANDMEMBER k 10",
            "ZREM k new@",
            "ZPOPMIN k",
        ),
    ),
    Collection(
        name="stream",
        add=lambda first, count: ["XADD", "k", f"{first + 1}-0", "field", f"m{first:015d}"],
        commands=(
            "XADD k * field new@",
            "XADD k MAXLEN ~ 2000000 * field new@",
            "XLEN k",
            "XRANGE k 500 500",
            "XRANGE k 500 + COUNT 10",
            "XREVRANGE k + - COUNT 1",
            "XREAD COUNT 10 STREAMS k 500",
            "XDEL k @",
        ),
        batch=1,
    ),
)


class Client:
    """A connection that sends many commands and reads their replies."""

    def __init__(self, port: int) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), 60)
        self.reader = hiredis.Reader()

    # Any: a reply is whatever the command answers.
    def run(self, commands: Iterable[list[Word]]) -> list[Any]:
        """Run all of `commands`; raises hiredis.ReplyError for the first that fails."""
        encoded = [encode_command([str(word).encode() for word in each]) for each in commands]
        self.socket.sendall(b"".join(encoded))
        replies: list[Any] = []
        while len(replies) < len(encoded):
            reply = self.reader.gets()
            if reply is False:
                self.reader.feed(self.socket.recv(1 << 16))
            elif isinstance(reply, hiredis.ReplyError):
                raise reply
            else:
                replies.append(reply)
        return replies

    def close(self) -> None:
        self.socket.close()


def time_us(client: Client, command: str) -> float:
    """Return the server's mean time for `command`, but for the first call, which may prepare."""
    calls: list[list[Word]] = [
        [word.replace("@", str(number)) for word in command.split()] for number in range(CALLS)
    ]
    client.run([calls[0], ["CONFIG", "RESETSTAT"]])
    for start in range(1, CALLS, PIPELINE):
        client.run(calls[start : start + PIPELINE])
    (text,) = client.run([["INFO", "commandstats"]])
    head = f"cmdstat_{command.split()[0].lower()}:"
    line = next(each for each in text.decode().splitlines() if each.startswith(head))
    fields = dict(field.split("=") for field in line.removeprefix(head).split(","))
    return float(fields["usec_per_call"])


def measure(server: Server, collection: Collection, sizes: list[int]) -> Iterator[dict[str, Any]]:
    """Yield a row for each command: server, command, microseconds by size."""
    client = Client(server.port)
    times: dict[str, dict[int, float]] = {command: {} for command in collection.commands}
    bytes_per_element = 0.0
    for size in sorted(sizes, reverse=True):  # the largest first, when no freed memory is about
        client.run([["FLUSHALL"]])
        before_bytes = resident_bytes(server.process)
        step = collection.batch
        for first in range(0, size, BATCH_COUNT):
            end = min(first + BATCH_COUNT, size)
            client.run([collection.add(n, min(step, end - n)) for n in range(first, end, step)])
        if size == max(sizes):
            bytes_per_element = (resident_bytes(server.process) - before_bytes) / size
        for command in collection.commands:
            times[command][size] = time_us(client, command)
    client.close()
    for command, by_size in times.items():
        in_order = {size: by_size[size] for size in sizes}
        yield {"server": server.name, "command": command, "us": in_order}
    yield {"server": server.name, "type": collection.name, "bytes_per_element": bytes_per_element}


def describe(row: dict[str, Any]) -> str:
    """Return a row of `measure` as a line."""
    if "us" in row:
        return f"{row['server']:8} {row['command']:26}" + "".join(
            f"{time:10.2f}" for time in row["us"].values()
        )
    return f"{row['server']:8} bytes an element of a {row['type']}: {row['bytes_per_element']:.0f}"


def main() -> int:
    """Measure and print; return the exit code."""
    parser = argparse.ArgumentParser(description="cost of commands by size of their collection")
    parser.add_argument("--sizes", default="1000,10000,100000,1000000")
    parser.add_argument("--json", help="write the rows to this file")
    options = parser.parse_args()
    require("redis-server")
    sizes = [int(size) for size in options.sizes.split(",")]
    rows: list[dict[str, Any]] = []
    print(f"{'':8} {'us of a call by size':26}" + "".join(f"{size:>10}" for size in sizes))
    for collection in COLLECTIONS:
        with tempfile.TemporaryDirectory() as directory, running_servers(directory) as servers:
            for server in servers:
                for row in measure(server, collection, sizes):
                    rows.append(row)
                    print(describe(row))
    write_json(options.json, rows)
    return 0


if __name__ == "__main__":
    sys.exit(main())
