"""The failover's states follow one another only as the table says."""

from __future__ import annotations

import itertools
import random

import pytest

from sentinel.core import transitions
from sentinel.core.durable import initial_state
from sentinel.core.machine import Machine
from sentinel.core.model import FailoverState
from tests.unit.sentinel.core.rig import NAME, REPLICA_1, durable

_S = FailoverState


def machine_in(state: FailoverState) -> Machine:
    """A machine whose failover stands in a state."""
    machine = Machine(initial_state(durable()), random.Random(0))
    failover = machine.state.masters[NAME].failover
    failover.state = state
    failover.promoted = REPLICA_1
    return machine


@pytest.mark.parametrize(("before", "after"), list(itertools.product(_S, _S)))
def test_only_legal_moves_are_made(before: FailoverState, after: FailoverState) -> None:
    """An illegal one is a bug of ours and must not pass silently."""
    machine = machine_in(before)
    master = machine.state.masters[NAME]

    def move() -> None:
        if after is _S.NONE:
            transitions.finish(machine, master, "+failover-end")
        else:
            transitions.become(machine, master, after)

    if after in transitions.LEGAL[before]:
        move()
        assert master.failover.state is after
        assert len(machine.outbox) == 1, "every move is announced"
    else:
        with pytest.raises(AssertionError, match="illegal transition"):
            move()


def test_every_state_can_be_left_and_reached() -> None:
    """No dead ends, no orphans."""
    reached = {state for targets in transitions.LEGAL.values() for state in targets}

    assert set(transitions.LEGAL) == set(_S)
    assert reached == set(_S)
    assert all(transitions.LEGAL.values())


def test_end_of_a_failover_clears_what_belongs_to_it() -> None:
    """The next one starts clean."""
    machine = machine_in(_S.WAIT_PROMOTION)
    master = machine.state.masters[NAME]
    master.failover.is_forced = True

    transitions.finish(machine, master, "-failover-abort-slave-timeout")

    assert master.failover.promoted is None
    assert not master.failover.is_forced
