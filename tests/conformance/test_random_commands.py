"""Random commands of every type answer as the real server's; `make conformance` runs more."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.conformance.machine import GROUPS, Machine
from tests.support.redis import RedisServer

EXAMPLES = 120


@pytest.fixture(scope="module")
def machine() -> Iterator[Machine]:
    """Yield a machine with a real server of its own."""
    with RedisServer() as server:
        server.call("DEBUG", "SET-ACTIVE-EXPIRE", 0)
        yield Machine(server.port)


@pytest.mark.parametrize("protocol", [2, 3])
def test_random_commands_are_answered_as_by_redis(machine: Machine, protocol: int) -> None:
    """The commands and options are those that the real server says it has, so none is forgotten."""
    machine.compare(protocol, EXAMPLES)


def test_commands_of_every_group_are_drawn(machine: Machine) -> None:
    """A group that the real server names otherwise would be left out silently."""
    assert set(GROUPS) == {grammar.group for grammar in machine.grammars}


def test_time_that_passes_between_the_two_servers_is_no_difference(machine: Machine) -> None:
    """On a busy machine a sequence takes a while, and the clock of our engine stands still."""
    busy = (b"EVAL", b"for i = 1, 1e7 do end", b"0")

    machine.check(2, [(b"EXPIRE", b"s0", b"1000"), busy, (b"PEXPIRETIME", b"s0"), (b"TTL", b"s0")])


@pytest.mark.parametrize("protocol", [2, 3])
def test_what_only_a_newer_redis_tells_of_consumers_is_no_difference(
    machine: Machine, protocol: int
) -> None:
    """All else that is told of them is compared."""
    made = (b"XGROUP", b"CREATECONSUMER", b"x0", b"g1", b"c1")

    machine.check(protocol, [made, (b"XINFO", b"CONSUMERS", b"x0", b"g1")])
