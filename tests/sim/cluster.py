"""A master with replicas and sentinels, ready to be mistreated.

Builds the modelled processes, and says when all of them agree again.
"""

from __future__ import annotations

from dataclasses import dataclass

from sentinel.core.model import (
    DurableMaster,
    DurableState,
    FailoverState,
    GlobalOptions,
    Master,
    MasterOptions,
)
from tests.sim.invariants import Judge
from tests.sim.network import Life, World
from tests.sim.nodes import SimNode
from tests.sim.sentinels import Bug, SimSentinel
from vedette.types import Address, RunId

NAME = "mymaster"


@dataclass(frozen=True, kw_only=True)
class Shape:
    """How large, how patient."""

    nodes: int = 3
    sentinels: int = 3
    quorum: int = 2
    down_after_ms: int = 1_000
    failover_timeout_ms: int = 10_000
    parallel_syncs: int = 1
    delay_max_us: int = 2_000


class Cluster:
    """One simulated deployment."""

    def __init__(self, seed: int, shape: Shape, bug: Bug | None = None) -> None:
        self.shape = shape
        self.world = World(seed, delay_max_us=shape.delay_max_us)
        self.judge = Judge(shape.sentinels, shape.quorum)
        addresses = [Address("10.0.0.1", 7001 + index) for index in range(shape.nodes)]
        self.nodes = [
            SimNode(self.world, address, None if index == 0 else addresses[0])
            for index, address in enumerate(addresses)
        ]
        options = MasterOptions(
            quorum=shape.quorum,
            down_after_ms=shape.down_after_ms,
            failover_timeout_ms=shape.failover_timeout_ms,
            parallel_syncs=shape.parallel_syncs,
        )
        self.sentinels = []
        for index in range(shape.sentinels):
            address = Address("10.0.1.1", 26001 + index)
            durable = DurableState(
                my_id=RunId(f"{self.world.random.getrandbits(160):040x}"),
                current_epoch=0,
                options=GlobalOptions(announce_port=address.port),
                masters=(DurableMaster(name=NAME, address=addresses[0], options=options),),
            )
            self.sentinels.append(SimSentinel(self.world, address, durable, self.judge, bug))

    # -- time ------------------------------------------------------------------------------------

    def run_for(self, duration_ms: int) -> None:
        """Let virtual time pass."""
        self.world.run_until(self.world.now_us + duration_ms * 1000)

    def run_until_agreed(self, limit_ms: int, step_ms: int = 50) -> bool:
        """Let time pass until all agree, or the limit."""
        end_us = self.world.now_us + limit_ms * 1000
        while self.world.now_us < end_us:
            if self.disagreement() is None:
                return True
            self.run_for(step_ms)
        return self.disagreement() is None

    def start_up(self) -> None:
        """Let everybody get to know one another; AssertionError if they do not."""
        assert self.run_until_agreed(20_000), self.disagreement()

    # -- look-ups --------------------------------------------------------------------------------

    def node_at(self, address: Address) -> SimNode:
        """The node at an address."""
        return next(node for node in self.nodes if node.address == address)

    def view(self, sentinel: SimSentinel) -> Master:
        """What a sentinel holds of the master."""
        return sentinel.core.state.masters[NAME]

    @property
    def master(self) -> SimNode:
        """The node that the first sentinel takes for the master."""
        return self.node_at(self.view(self.sentinels[0]).address)

    def disagreement(self) -> str | None:
        """The first thing that is not as it should be in a healthy deployment; None if all is."""
        alive = [entry for entry in self.sentinels if entry.life is Life.RUNNING]
        views = [self.view(entry) for entry in alive]
        if not views:
            return "no sentinel alive"
        beliefs = {(view.address, view.config_epoch) for view in views}
        if len(beliefs) > 1:
            return f"sentinels disagree: {sorted(beliefs)}"
        master = self.node_at(views[0].address)
        if master.life is not Life.RUNNING or master.master is not None:
            return f"{master.label} is no master"
        for entry, view in zip(alive, views, strict=True):
            known = view.known_sentinels + len(view.forgotten), len(view.replicas) + 1
            if known != (len(self.sentinels), len(self.nodes)):
                return f"{entry.label} knows {known}"
            if view.is_s_down or view.failover.state is not FailoverState.NONE:
                return f"{entry.label} is not at rest"
            probed = [node.link for node in view.nodes() if self._runs(node.address)]
            probed += [peer.link for peer in view.peers.values() if self._runs(peer.address)]
            if not all(link.is_up for link in probed):
                return f"{entry.label} is still connecting"
        for node in self.nodes:
            if node is master or node.life is not Life.RUNNING:
                continue
            if node.master != master.address or not node.is_link_up:
                return f"{node.label} does not follow {master.label}"
        return None

    def _runs(self, address: Address) -> bool:
        return self.world.processes[address].life is Life.RUNNING

    def events(self, sentinel: SimSentinel) -> list[str]:
        """Names of what a sentinel has announced so far."""
        return [notice.event.decode() for notice in sentinel.published]
