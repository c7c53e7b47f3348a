"""A master with replicas, sentinels and a client, ready to be mistreated.

Builds the modelled processes, and says when all of them agree again.
"""

from __future__ import annotations

import math
from collections import Counter

from sentinel.core.model import FailoverState, Master
from tests.sim.clients import SimClient
from tests.sim.invariants import Judge
from tests.sim.network import Life, World
from tests.sim.nodes import SimNode
from tests.sim.plan import Shape
from tests.sim.sentinels import SimSentinel
from tests.sim.stock import StockSentinel
from vedette.types import Address

NAME = "mymaster"
#: The name of the host of all nodes, where they have one.
NODES_HOST = "nodes.test"
#: Where a confused resolver may lead: nobody is there.
NOWHERE = "10.9.9.9"


class Cluster:
    """One simulated deployment."""

    def __init__(self, seed: int, shape: Shape) -> None:
        self.shape = shape
        self.world = World(seed, delay_max_us=shape.delay_max_us)
        self.judge = Judge(shape.sentinels, shape.quorum)
        addresses = [Address("10.0.0.1", 7001 + index) for index in range(shape.nodes)]
        self.nodes = [
            SimNode(
                self.world,
                address,
                None if index == 0 else addresses[0],
                lag_us=shape.lags_us[index] if shape.lags_us else 20_000,
            )
            for index, address in enumerate(addresses)
        ]
        self.sentinels = []
        for index in range(shape.sentinels - shape.stock):
            address = Address("10.0.1.1", 26001 + index)
            master = addresses[0]
            if shape.has_names:
                self.world.names[NODES_HOST] = master.host
                master = Address(NODES_HOST, master.port)
            text = configuration(self.world, address.port, {NAME: master}, shape)
            sentinel = SimSentinel(self.world, address, text, self.judge)
            if shape.rates:
                sentinel.set_rate(shape.rates[index])
            self.sentinels.append(sentinel)
        #: Redis' sentinels, as modelled.
        self.stock = [
            StockSentinel(
                self.world,
                Address("10.0.1.2", 27_001 + index),
                NAME,
                addresses[0],
                shape,
                self.judge,
            )
            for index in range(shape.stock)
        ]
        self.client: SimClient | None = None
        if shape.write_gap_ms:
            self.client = SimClient(
                self.world,
                Address("10.0.2.1", 50_000),
                [*self.sentinels, *self.stock],
                name=NAME,
                replicas=shape.nodes - 1,
                gap_ms=shape.write_gap_ms,
            )

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
        place = self.world.place(address)
        return next(node for node in self.nodes if node.address == place)

    def view(self, sentinel: SimSentinel) -> Master:
        """What a sentinel holds of the master."""
        return sentinel.core.state.masters[NAME]

    def watches(self, sentinel: SimSentinel) -> bool:
        """Whether a sentinel has not been told to watch it no more."""
        return NAME in sentinel.core.state.masters

    @property
    def believed(self) -> Address:
        """Where most sentinels that live have the master."""
        beliefs = Counter(
            self.world.place(self.view(entry).address)
            for entry in self.sentinels
            if self.watches(entry)
        )
        beliefs.update(other.address_of_master for other in self.stock)
        return beliefs.most_common(1)[0][0]

    @property
    def master(self) -> SimNode:
        """The node that the first sentinel takes for the master."""
        return self.node_at(self.view(self.sentinels[0]).address)

    def disagreement(self) -> str | None:
        """The first thing that is not as it should be in a healthy deployment; None if all is."""
        alive = [entry for entry in self.sentinels if entry.life is Life.RUNNING]
        if not alive:
            return "no sentinel alive"
        for entry in alive:
            if not self.watches(entry):
                return f"{entry.label} does not watch the master"
        views = [self.view(entry) for entry in alive]
        beliefs = {(self.world.place(view.address), view.config_epoch) for view in views}
        beliefs |= {
            (other.address_of_master, other.config_epoch)
            for other in self.stock
            if other.life is Life.RUNNING
        }
        if len(beliefs) > 1:
            return f"sentinels disagree: {sorted(beliefs)}"
        announced = self.judge.announced.get(views[0].name, 0)
        if views[0].config_epoch < announced:
            return f"the switch announced in epoch {announced} is forgotten"
        master = self.node_at(views[0].address)
        if master.life is not Life.RUNNING or master.master is not None:
            return f"{master.label} is no master"
        for other in self.stock:
            if other.life is Life.RUNNING and not other.is_at_rest:
                return f"{other.label} is not at rest"
        sentinel_count = len(self.sentinels) + len(self.stock)
        for entry, view in zip(alive, views, strict=True):
            # What was met under a wrong address stays until an operator has it forgotten.
            nodes = [node for node in view.nodes() if node.address.host != NOWHERE]
            known = view.known_sentinels + len(view.forgotten), len(nodes)
            if known != (sentinel_count, len(self.nodes)):
                return f"{entry.label} knows {known}"
            if view.is_s_down or view.failover.state is not FailoverState.NONE:
                return f"{entry.label} is not at rest"
            running = [node for node in nodes if self._runs(node.address)]
            if any(node.role_reported is None for node in running):
                return f"{entry.label} waits for INFO"
            probed = [node.link for node in running]
            probed += [peer.link for peer in view.peers.values() if self._runs(peer.address)]
            if not all(link.is_up for link in probed):
                return f"{entry.label} is still connecting"
            # Longer than a round trip: the way may yet turn out to be dead.
            silent_since_ms = entry.clock_ms() - 5 - 2 * self.shape.delay_max_us // 1000
            if any((link.suspect_since_ms or math.inf) < silent_since_ms for link in probed):
                return f"{entry.label} waits for an answer"
        for node in self.nodes:
            if node is master or node.life is not Life.RUNNING:
                continue
            if node.master != master.address or not node.is_link_up:
                return f"{node.label} does not follow {master.label}"
        return None

    def lost_writes(self) -> set[int]:
        """Writes that every replica had, and that the master has not any more."""
        if self.client is None:
            return set()
        return self.client.safe.difference(self.master.writes)

    def _runs(self, address: Address) -> bool:
        return self.world.processes[self.world.place(address)].life is Life.RUNNING

    def events(self, sentinel: SimSentinel) -> list[str]:
        """Names of what a sentinel has announced so far."""
        return [notice.event.decode() for notice in sentinel.published]


def configuration(world: World, port: int, masters: dict[str, Address], shape: Shape) -> str:
    """The text of a sentinel's configuration file for its first start."""
    lines = [f"port {port}", f"sentinel myid {world.random.getrandbits(160):040x}"]
    if shape.has_names:
        lines.append("sentinel resolve-hostnames yes")
    for name, (host, master_port) in masters.items():
        lines += [
            f"sentinel monitor {name} {host} {master_port} {shape.quorum}",
            f"sentinel down-after-milliseconds {name} {shape.down_after_ms}",
            f"sentinel failover-timeout {name} {shape.failover_timeout_ms}",
            f"sentinel parallel-syncs {name} {shape.parallel_syncs}",
            f"sentinel refused-after-milliseconds {name} {shape.refused_after_ms}",
        ]
    return "\n".join(lines) + "\n"
