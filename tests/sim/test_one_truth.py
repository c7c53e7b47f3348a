"""Within a sentinel the address, the event and the hello change in one step, and only there."""

from __future__ import annotations

from dataclasses import replace

import pytest

from sentinel.core.actions import Action, Publish, Send
from sentinel.core.events import Event
from sentinel.core.hello import parse_hello
from tests.sim.cluster import NAME, Cluster
from tests.sim.faults import Mischief
from tests.sim.invariants import Judge
from tests.sim.plan import Shape, plan_of
from tests.sim.sentinels import SimSentinel
from vedette.types import Address


class Truth:
    """Checks what a sentinel announces against what it would answer, after each of its steps."""

    def __init__(self, judge: Judge) -> None:
        self.judge = judge
        self.switches = 0
        self._addresses: dict[tuple[str, int], Address] = {}

    def on_step(self, sentinel: SimSentinel, event: Event, actions: list[Action]) -> None:
        self.judge.on_step(sentinel, event, actions)
        key = sentinel.label, sentinel.starts
        master = sentinel.core.state.masters.get(NAME)
        if master is None:  # told to watch it no more
            self._addresses.pop(key, None)
            return
        address = master.address
        before = self._addresses.setdefault(key, address)
        self._addresses[key] = address
        announced = [
            action.payload.decode()
            for action in actions
            if isinstance(action, Publish)
            and (action.event, action.master) == (b"+switch-master", NAME)
        ]
        expected = [f"{NAME} {before.host} {before.port} {address.host} {address.port}"]
        assert announced == (expected if address != before else [])
        self.switches += len(announced)
        told = [hello for action in actions for hello in _hellos(action)]
        assert set(told) <= {before, address}
        assert not announced or told[-1:] in ([], [address])

    def on_announced(self, sentinel: SimSentinel, notice: Publish) -> None:
        self.judge.on_announced(sentinel, notice)


def _hellos(action: Action) -> list[Address]:
    """Where a step's hello messages say that the master is."""
    if not isinstance(action, Send):
        return []
    hellos = [parse_hello(command[2]) for command in action.commands if command[0] == b"PUBLISH"]
    return [hello.master_address for hello in hellos if hello and hello.master_name == NAME]


def observed(cluster: Cluster) -> Truth:
    """Have every step of a cluster's sentinels looked at."""
    truth = Truth(cluster.judge)
    for sentinel in cluster.sentinels:
        sentinel.observer = truth
    return truth


@pytest.mark.parametrize("seed", range(20))
def test_address_and_event_change_in_the_same_step(seed: int) -> None:
    """Whatever happens: no answer names what was not announced, none lags behind what was."""
    plan = plan_of(seed)
    # A name would stand for the address in some of what is compared.
    cluster = Cluster(seed, replace(plan.shape, has_names=False))
    observed(cluster)
    cluster.start_up()

    Mischief(cluster).run(plan.faults)
    cluster.run_for(10_000)

    assert cluster.judge.steps > 0


def test_sentinels_switch_within_a_round_trip_of_each_other() -> None:
    """Counted from the promotion: the leader tells the others in the step that sees it."""
    for seed in range(10):
        cluster = Cluster(seed, Shape(delay_max_us=1_000))
        truth = observed(cluster)
        cluster.start_up()
        old = cluster.master
        old.crash()
        while not truth.switches:
            cluster.run_for(1)
        cluster.run_for(4)
        assert truth.switches == 3, seed
