"""Compare longer: `python -m tests.conformance --examples 5000 --seed 7`.

Needs redis-server; one of another version is taken if it comes first on PATH. Exit code 1: a
difference was found, and the shortest sequence is printed.
"""

from __future__ import annotations

import argparse
import sys

from tests.conformance.machine import GROUPS, Machine
from tests.support.redis import RedisServer


def main() -> int:
    """Return 0 if both servers answered the same."""
    parser = argparse.ArgumentParser(prog="python -m tests.conformance", description=__doc__)
    parser.add_argument("--examples", type=int, default=1000, help="sequences in each protocol")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--groups", default=",".join(GROUPS), help="groups of commands to draw")
    options = parser.parse_args()
    with RedisServer() as server:
        server.call("DEBUG", "SET-ACTIVE-EXPIRE", 0)
        machine = Machine(server.port, options.groups.split(","))
        for protocol in (2, 3):
            machine.compare(protocol, options.examples, options.seed)
            sys.stdout.write(f"RESP{protocol}: {options.examples} sequences, the same\n")
            sys.stdout.flush()
    return 0


if __name__ == "__main__":
    sys.exit(main())
