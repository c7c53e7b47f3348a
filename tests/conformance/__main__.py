"""Compare longer: `python -m tests.conformance --examples 5000 --seed 7`.

Sequences of commands in each protocol, and a quarter as many conversations of several clients.
Needs redis-server; one of another version is taken if it comes first on PATH. Exit code 1: a
difference was found, and the shortest sequence is printed.
"""

from __future__ import annotations

import argparse
import contextlib
import sys

from tests.conformance.conversations import Conversation, Place
from tests.conformance.machine import GROUPS, Machine
from tests.support.processes import ServerProcess, VedetteServer
from tests.support.redis import RedisServer


def main() -> int:
    """Return 0 if both servers answered the same."""
    parser = argparse.ArgumentParser(prog="python -m tests.conformance", description=__doc__)
    parser.add_argument("--examples", type=int, default=1000, help="sequences in each protocol")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--groups", default=",".join(GROUPS), help="groups of commands to draw")
    parser.add_argument("--newer", help="a redis-server of 7.2, for conversations of all kinds")
    options = parser.parse_args()
    with RedisServer() as server:
        server.call("DEBUG", "SET-ACTIVE-EXPIRE", 0)
        machine = Machine(server.port, options.groups.split(","))
        for protocol in (2, 3):
            machine.compare(protocol, options.examples, options.seed)
            sys.stdout.write(f"RESP{protocol}: {options.examples} sequences, the same\n")
            sys.stdout.flush()
    hold_conversations(options.newer, options.examples // 4, options.seed)
    return 0


def hold_conversations(newer: str | None, examples: int, seed: int) -> None:
    """Compare what several clients hear; raises Difference."""
    debugging = {"enable-debug-command": "yes"}
    with contextlib.ExitStack() as stack:
        servers: list[ServerProcess] = [stack.enter_context(RedisServer())]
        if newer is not None:
            servers.append(stack.enter_context(NewerRedis(newer)))
        servers.append(stack.enter_context(VedetteServer(debugging)))
        places = [stack.enter_context(contextlib.closing(Place(each.port))) for each in servers]
        Conversation(places[:-1], places[-1]).compare(examples, seed)
    sys.stdout.write(f"{examples} conversations, the same\n")


class NewerRedis(RedisServer):
    """The redis-server at `program`."""

    def __init__(self, program: str) -> None:
        self._program = program
        super().__init__()

    def command(self) -> list[str]:
        return [self._program]


if __name__ == "__main__":
    sys.exit(main())
