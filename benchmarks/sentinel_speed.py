"""How quick three sentinels are, from their own events, over many failovers.

    python -m benchmarks.sentinel_speed [--runs N] [--fault kill|stop] [--down-after MS]
        [--masters M] [--replicas N] [--refused-after MS] [--json FILE]

Starts `--masters` tiny redis-servers with replicas and three Vedette sentinels (quorum 2), then
kills (SIGKILL) or stops (SIGSTOP) all masters at the same moment, again and again. One client
subscribes to every event of every sentinel and notes when each arrives. Printed in milliseconds,
median, 90th and 99th percentile and maximum over all failovers:

- odown to promoted: from the first +odown of any sentinel to +promoted-slave;
- fault to agreed: from the signal to the last sentinel's +switch-master;
- last answer to agreed: the same from the last PING that the master answered to anybody, minus
  down-after (`last-ok-ping-reply`, of the sentinel that heard it last);
- spread: from the first to the last sentinel's +switch-master.

Exit code 1: a failover did not happen, or happened twice; 2: redis-server is missing.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import random
import selectors
import signal
import statistics
import sys
import threading
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass

from tests.support.client import BlockingClient
from tests.support.processes import VedetteSentinel, watching
from tests.support.redis import RedisServer
from tests.support.waiting import wait_until

from .processes import require, write_json

SENTINELS = 3
AGREEMENT_TIMEOUT_S = 30.0
SETTLE_TIMEOUT_S = 60.0
#: How long after agreement a second, needless failover would still be noticed.
AFTERMATH_S = 0.5


@dataclass(frozen=True, slots=True)
class Seen:
    """One event as it arrived: when (monotonic seconds), from which sentinel."""

    at_s: float
    sentinel: int
    event: str
    payload: list[str]

    @property
    def master(self) -> str:
        """The name of the master it is about."""
        if "@" in self.payload:
            return self.payload[self.payload.index("@") + 1]
        position = 0 if self.event == "+switch-master" else 1
        return self.payload[position] if len(self.payload) > position else ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Failover:
    """What one failover took, in milliseconds."""

    master: str
    odown_to_promoted: float
    fault_to_agreed: float
    last_answer_to_agreed: float
    spread: float
    elections: int


class Listener:
    """Subscribed to everything that the sentinels publish, in a thread of its own.

    Messages are kept as they came and looked at afterwards: what watches must not slow down what
    it watches.
    """

    def __init__(self, sentinels: Sequence[VedetteSentinel]) -> None:
        self._received: list[tuple[float, int, bytes]] = []
        self.switch_count = 0
        self._selector = selectors.DefaultSelector()
        for index, sentinel in enumerate(sentinels):
            client = BlockingClient(sentinel.port)
            client.call("PSUBSCRIBE", "*")
            self._selector.register(client.socket, selectors.EVENT_READ, (index, client))
        threading.Thread(target=self._listen, daemon=True).start()

    def _listen(self) -> None:
        while True:
            for key, _ in self._selector.select():
                index, _client = key.data
                now_s = time.monotonic()
                data = key.fileobj.recv(65536)  # type: ignore[union-attr]  # a socket
                if not data:
                    self._selector.unregister(key.fileobj)
                    continue
                self._received.append((now_s, index, data))
                self.switch_count += data.count(b"$14\r\n+switch-master\r\n")

    def take(self) -> dict[str, list[Seen]]:
        """Return what came since the last call, by the master it is about."""
        received, self._received = self._received, []
        found: dict[str, list[Seen]] = {}
        rests = dict.fromkeys(range(SENTINELS), b"")
        self.switch_count = 0
        for at_s, index, data in received:
            messages, rests[index] = parse_messages(rests[index] + data)
            for event, payload in messages:
                seen = Seen(at_s, index, event, payload.split())
                found.setdefault(seen.master, []).append(seen)
        return found


def parse_messages(data: bytes) -> tuple[list[tuple[str, str]], bytes]:
    """Return the (channel, payload) of every complete pmessage in `data`, and the rest."""
    found: list[tuple[str, str]] = []
    while True:
        words, position = [], data.find(b"\r\n") + 2
        if position < 2:
            return found, data
        for _ in range(int(data[1 : position - 2])):
            end = data.find(b"\r\n", position)
            if end < 0:
                return found, data
            start = end + 2
            position = start + int(data[position + 1 : end]) + 2
            if position > len(data):
                return found, data
            words.append(data[start : position - 2].decode())
        found.append((words[2], words[3]))
        data = data[position:]


class Lab:
    """Masters with replicas, and who watches them."""

    def __init__(self, stack: contextlib.ExitStack, options: argparse.Namespace) -> None:
        self.options = options
        self.groups: dict[str, list[RedisServer]] = {}
        lines: list[str] = []
        for index in range(options.masters):
            name = f"m{index}"
            group = [stack.enter_context(RedisServer()) for _ in range(1 + options.replicas)]
            for replica in group[1:]:
                replica.replicate(group[0])
            self.groups[name] = group
            lines += watching(group[0].port, name=name, down_after_ms=options.down_after)
            if options.refused_after:
                lines.append(f"sentinel refused-after-milliseconds {name} {options.refused_after}")
        self.sentinels = [
            stack.enter_context(VedetteSentinel(extra_lines=lines)) for _ in range(SENTINELS)
        ]
        self.wait_settled()
        self.listener = Listener(self.sentinels)

    def wait_settled(self) -> None:
        """Wait until every sentinel knows everybody and holds nobody down."""
        wait_until(self._is_settled, timeout_s=SETTLE_TIMEOUT_S, what="all to be at rest")

    def _is_settled(self) -> bool:
        for sentinel in self.sentinels:
            for flat in sentinel.call("SENTINEL", "MASTERS"):
                view = fields(flat)
                is_complete = (view["num-slaves"], view["num-other-sentinels"]) == (
                    str(self.options.replicas),
                    str(SENTINELS - 1),
                )
                if not is_complete or view["flags"] != "master":
                    return False
                for replica in sentinel.call("SENTINEL", "REPLICAS", view["name"]):
                    state = fields(replica)
                    is_sound = not {"s_down", "disconnected"} & set(state["flags"].split(","))
                    if not is_sound or state["master-link-status"] != "ok":
                        return False
                    if state["master-port"] != view["port"]:
                        return False
        return True

    def fail_over(self) -> list[Failover]:
        """Break every master at once, and measure until all sentinels agree on the new ones."""
        masters = {name: self._master_of(name) for name in self.groups}
        self.listener.take()
        number = signal.SIGKILL if self.options.fault == "kill" else signal.SIGSTOP
        began_s = time.monotonic()
        for server in masters.values():
            os.kill(server.process.pid, number)
        wait_until(
            lambda: self.listener.switch_count >= SENTINELS * len(masters),
            timeout_s=AGREEMENT_TIMEOUT_S,
            what="every sentinel to announce every new master",
        )
        answers = {name: self._last_answer_s(name, old) for name, old in masters.items()}
        time.sleep(AFTERMATH_S)
        events = self.listener.take()
        for name, old in masters.items():
            switches = [seen for seen in events[name] if seen.event == "+switch-master"]
            if len(switches) > SENTINELS:
                raise SystemExit(f"{name} was failed over twice")
            if number == signal.SIGKILL:
                old.kill()
                old.start()
            else:
                old.resume()
        return [self._measure(name, events[name], began_s, answers[name]) for name in masters]

    def _master_of(self, name: str) -> RedisServer:
        view = fields(self.sentinels[0].call("SENTINEL", "MASTER", name))
        return next(server for server in self.groups[name] if str(server.port) == view["port"])

    def _last_answer_s(self, name: str, old: RedisServer) -> float:
        """When the master last answered a PING of any sentinel."""
        found = []
        for sentinel in self.sentinels:
            now_s = time.monotonic()
            for flat in sentinel.call("SENTINEL", "REPLICAS", name):
                state = fields(flat)
                if state["port"] == str(old.port):
                    found.append(now_s - int(state["last-ok-ping-reply"]) / 1000)
        return max(found)

    def _measure(
        self, name: str, events: list[Seen], began_s: float, last_answer_s: float
    ) -> Failover:
        switches = [seen.at_s for seen in events if seen.event == "+switch-master"]
        odown_s = min(seen.at_s for seen in events if seen.event == "+odown")
        promoted_s = min(seen.at_s for seen in events if seen.event == "+promoted-slave")
        down_after_s = self.options.down_after / 1000
        return Failover(
            master=name,
            odown_to_promoted=1000 * (promoted_s - odown_s),
            fault_to_agreed=1000 * (max(switches) - began_s),
            last_answer_to_agreed=1000 * (max(switches) - last_answer_s - down_after_s),
            spread=1000 * (max(switches) - min(switches)),
            elections=sum(seen.event == "+try-failover" for seen in events),
        )


def fields(flat: list[bytes]) -> dict[str, str]:
    """Return a RESP2 map as a dictionary of strings."""
    words = [word.decode() for word in flat]
    return dict(zip(words[::2], words[1::2], strict=True))


def summarise(title: str, values: Sequence[float]) -> str:
    """Return one line of the table."""
    ordered = sorted(values)

    def at(share: float) -> float:
        return ordered[min(len(ordered) - 1, int(share * len(ordered)))]

    cells = [statistics.median(ordered), at(0.9), at(0.99), ordered[-1]]
    return f"{title:38s}" + "".join(f"{cell:9.1f}" for cell in cells)


def main() -> int:
    """Measure and print; return the exit code."""
    parser = argparse.ArgumentParser(description="How quick Vedette's sentinels are")
    parser.add_argument("--runs", type=int, default=20)
    parser.add_argument("--fault", choices=("kill", "stop"), default="kill")
    parser.add_argument("--down-after", type=int, default=1000)
    parser.add_argument("--masters", type=int, default=1)
    parser.add_argument("--replicas", type=int, default=2)
    parser.add_argument("--refused-after", type=int, default=0)
    parser.add_argument("--seed", type=int, help="of the pauses before each fault")
    parser.add_argument("--json", help="write every failover to this file")
    options = parser.parse_args()
    require("redis-server")
    pauses = random.Random(options.seed)
    failovers: list[Failover] = []
    with contextlib.ExitStack() as stack:
        lab = Lab(stack, options)
        for run in range(options.runs):
            time.sleep(0.2 + pauses.random())
            found = lab.fail_over()
            failovers += found
            slowest = max(entry.odown_to_promoted for entry in found)
            print(f"{run + 1}/{options.runs}: {slowest:.1f} ms", file=sys.stderr)
            lab.wait_settled()
    print(f"{len(failovers)} failovers, load average {os.getloadavg()[0]:.1f}")
    print(f"{'ms':38s}" + "".join(f"{head:>9s}" for head in ("median", "p90", "p99", "max")))
    for title, values in (
        ("first +odown to +promoted-slave", [f.odown_to_promoted for f in failovers]),
        ("fault to agreed", [f.fault_to_agreed for f in failovers]),
        (
            f"last answer + {options.down_after} to agreed",
            [f.last_answer_to_agreed for f in failovers],
        ),
        ("spread of +switch-master", [f.spread for f in failovers]),
        ("elections", [f.elections for f in failovers]),
    ):
        print(summarise(title, values))
    write_json(options.json, [asdict(entry) for entry in failovers])
    return 0


if __name__ == "__main__":
    sys.exit(main())
