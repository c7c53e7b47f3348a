"""Whom a fault hits, and what is remembered of the moment of the fault."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
import trio
import trio.testing

from drills.faults import COORDINATED_FAILOVER, KILL_MASTER, KILL_REPLICA, STOP_MASTER, Injection
from drills.lab import PortBases, Topology, plan_lab
from drills.observation import NodeSeen, NodeView
from drills.resyncs import Resyncs
from drills.runtime.baseline import Baseline
from drills.runtime.lab import Lab
from drills.settings import DrillError
from vedette.runtime.listening import open_listeners


def lab_with(directory: Path, *roles: str) -> Lab:
    """Return a laboratory of which nothing runs; its nodes were last seen in `roles`."""
    topology = Topology(replica_count=len(roles) - 1)
    lab = Lab(plan_lab(topology, directory, PortBases(), lambda port: True), 0.1)
    for process, role in zip(lab.plan.nodes, roles, strict=True):
        see(lab, process.name, NodeView(time_ns=1, is_reachable=True, role=role))
        process.directory.mkdir(parents=True)
        process.log_path.touch()
    return lab


def see(lab: Lab, name: str, view: NodeView) -> None:
    lab.observer.view.observe(NodeSeen(name=name, view=view))


@pytest.mark.parametrize(
    ("injection", "victim", "gone"),
    [
        (KILL_MASTER, "node-2", {"node-2"}),
        (STOP_MASTER, "node-2", set()),
        (KILL_REPLICA, "node-1", {"node-1"}),
    ],
)
def test_the_fault_hits_whoever_has_the_role_when_it_comes(
    injection: Injection, victim: str, gone: set[str], tmp_path: Path
) -> None:
    """The master need not be the node that began as one."""
    notes: list[str] = []
    injector = lab_with(tmp_path, "slave", "master", "slave").make_injector(injection, notes.append)

    assert injector.aim() == "node-2"
    assert (injector.victim, injector.gone) == (victim, gone)
    assert notes == [f"{injection.name} {victim} (pid None)"]


@pytest.mark.parametrize(
    ("injection", "roles", "reason"),
    [
        (KILL_MASTER, ["slave", "slave"], "0 masters before the fault"),
        (KILL_MASTER, ["master", "master"], "2 masters before the fault: node-1, node-2"),
        (KILL_REPLICA, ["master"], "there is no replica to hit"),
    ],
)
def test_a_drill_is_not_run_where_it_is_unsure_whom_to_hit(
    injection: Injection, roles: Sequence[str], reason: str, tmp_path: Path
) -> None:
    injector = lab_with(tmp_path, *roles).make_injector(injection, lambda text: None)

    with pytest.raises(DrillError, match=reason):
        injector.aim()


async def test_a_sentinel_that_hangs_does_not_hold_the_drill_up(
    tmp_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    """Its kernel takes the connection, and the order, and nothing follows."""
    [listener] = open_listeners(["127.0.0.1"], 0, 1)
    ports = PortBases(sentinel=listener.getsockname()[1])
    lab = Lab(plan_lab(Topology(), tmp_path, ports, lambda port: True), 0.1)
    injector = lab.make_injector(COORDINATED_FAILOVER, lambda text: None)

    with listener, pytest.raises(DrillError, match="sentinel-1 does not answer SENTINEL FAILOVER"):
        await injector.give_order(COORDINATED_FAILOVER)


def test_synchronisations_from_before_the_fault_do_not_count(tmp_path: Path) -> None:
    """Every replica of a fresh laboratory was synchronised once, in full."""
    lab = lab_with(tmp_path, "master", "slave", "slave")
    first, second, third = lab.plan.nodes
    second.log_path.write_text("Full resync from master: abc:0\n")
    looked = NodeView(time_ns=1, is_reachable=True, role="slave", sync_full=1, sync_partial_ok=2)
    see(lab, second.name, looked)

    baseline = Baseline(lab)
    see(lab, second.name, replace(looked, role="master", sync_full=2, sync_partial_ok=5))
    with third.log_path.open("a") as log:
        log.write("Successful partial resynchronization with master.\n")

    assert baseline.served_since(second.name) == Resyncs(full=1, partial=3)
    assert baseline.served_since(None) == Resyncs(full=0, partial=0)
    assert baseline.received_since({first.name}) == {
        second.name: Resyncs(full=0, partial=0),
        third.name: Resyncs(full=0, partial=1),
    }
