"""Links that are cut at random bytes under random writes: in the end replica and master agree.

    python -m tests.interop.links [--rounds 50] [--seed 1]

`make fuzz` runs many rounds; `test_cut_links.py` a few. A round is one master and one replica, of
either program, with a proxy between them that cuts each of the first connections after a random
number of bytes in a random direction: in the handshake, in the snapshot, or in the stream. A round
that fails prints the command that runs it again (its timing may differ).
"""

from __future__ import annotations

import argparse
import random
import sys
import threading
import time
from contextlib import ExitStack

from tests.support.client import ReplyError
from tests.support.cutting import Cut, CuttingProxy
from tests.support.processes import ServerProcess, VedetteServer
from tests.support.random_writes import random_unit
from tests.support.redis import RedisServer
from tests.support.waiting import wait_until

__all__ = ["PAIRS", "run_round"]

#: Programs of master and replica.
PAIRS: tuple[tuple[type[ServerProcess], type[ServerProcess]], ...] = (
    (VedetteServer, VedetteServer),
    (RedisServer, VedetteServer),
    (VedetteServer, RedisServer),
)
_DIRECTIVES = {
    "enable-debug-command": "yes",
    "repl-diskless-sync-delay": "0",
    "repl-ping-replica-period": "1",
    "save": '""',
}
#: Bytes of a handshake, in either direction, are fewer.
_HANDSHAKE_BYTES = 250
#: For one connection, which may be cut only after 300 kB of writes, on a machine with other work.
_CUT_WITHIN_S = 300.0
_AGREE_WITHIN_S = 40.0


def run_round(pair: int, seed: int, cut_count: int) -> int:
    """Run one round; return how many cuts it had. Raises AssertionError if the two disagree."""
    rng = random.Random(f"{pair} {seed}")
    kind_of_master, kind_of_replica = PAIRS[pair]
    options = {
        "repl-diskless-sync": rng.choice(["yes", "no"]),
        "repl-backlog-size": rng.choice(["16kb", "1mb"]),
    }
    loads = {"repl-diskless-load": rng.choice(["disabled", "swapdb", "on-empty-db"])}
    cuts = [_random_cut(rng) for _ in range(cut_count)]
    with ExitStack() as stack:
        master = stack.enter_context(kind_of_master(_DIRECTIVES | options))
        replica = stack.enter_context(kind_of_replica(_DIRECTIVES | loads))
        _fill(master, rng)
        proxy = stack.enter_context(
            CuttingProxy(master.port, lambda: cuts.pop(0) if cuts else None)
        )
        with _writing(master, rng.randrange(2**32)):
            replica.call("REPLICAOF", "127.0.0.1", proxy.port)
            while before := len(cuts):
                wait_until(lambda: len(cuts) < before, _CUT_WITHIN_S, "the next cut")
            wait_until(lambda: _is_link_up(replica), _CUT_WITHIN_S, "the link to be up for good")
        wait_until(
            lambda: _digest(replica) == _digest(master),
            _AGREE_WITHIN_S,
            f"the datasets to agree; pair {pair} seed {seed}",
        )
        return proxy.cut_count


def _random_cut(rng: random.Random) -> Cut:
    """Draw where a connection breaks: each part of its life as often as the others."""
    if rng.random() < 0.4:
        return Cut(rng.randrange(1, _HANDSHAKE_BYTES), rng.random() < 0.5)
    return Cut(int(10 ** rng.uniform(2, 5.5)), is_towards_replica=True)


class _writing:
    """Writes to a server from a thread of its own for as long as the block lasts."""

    def __init__(self, server: ServerProcess, seed: int) -> None:
        self._server = server
        self._rng = random.Random(seed)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._write)

    def __enter__(self) -> None:
        self._thread.start()

    def __exit__(self, *details: object) -> None:
        self._stop.set()
        self._thread.join()

    def _write(self) -> None:
        with self._server.connect(timeout_s=30) as client:
            while not self._stop.is_set():
                for command in random_unit(self._rng):
                    try:
                        client.call(*command)
                    except ReplyError:
                        continue  # of the wrong type, or the like: as good as others
                time.sleep(0.001)


def _fill(server: ServerProcess, rng: random.Random) -> None:
    """Write some data of every type, and enough strings for a snapshot of some size."""
    with server.connect() as client:
        for number in range(300):
            client.call("SET", f"filling:{number}", rng.randbytes(rng.randrange(2000)))
        for _ in range(200):
            for command in random_unit(rng):
                try:
                    client.call(*command)
                except ReplyError:
                    continue


def _is_link_up(replica: ServerProcess) -> bool:
    return replica.info("replication")["master_link_status"] == "up"


def _digest(server: ServerProcess) -> bytes:
    digest: bytes = server.call("DEBUG", "DIGEST")
    return digest


def main() -> None:
    """Run rounds over all pairs, until one fails."""
    parser = argparse.ArgumentParser(prog="python -m tests.interop.links", description=__doc__)
    parser.add_argument("--rounds", type=int, default=50)
    parser.add_argument("--seed", type=int, default=1, help="of the first round")
    parser.add_argument("--pair", type=int, choices=range(len(PAIRS)))
    options = parser.parse_args()
    pairs = range(len(PAIRS)) if options.pair is None else [options.pair]
    cut_count = 0
    for seed in range(options.seed, options.seed + options.rounds):
        for pair in pairs:
            try:
                cut_count += run_round(pair, seed, 20)
            except AssertionError:
                again = f"--pair {pair} --seed {seed} --rounds 1"
                sys.stdout.write(f"again: python -m tests.interop.links {again}\n")
                raise
        sys.stdout.write(f"seed {seed}: all agree, {cut_count} cuts so far\n")
        sys.stdout.flush()
    round_count = options.rounds * len(pairs)
    sys.stdout.write(f"{round_count} rounds, {cut_count} cuts: all agree\n")


if __name__ == "__main__":
    main()
