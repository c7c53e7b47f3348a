"""Carries out a plan's faults, and undoes them all in the end.

Every fault ends by itself or by `heal`, so that what follows is a healthy network with every
process running: then the sentinels must agree, however the day went.
"""

from __future__ import annotations

from collections import Counter

from sentinel.core.events import FailoverRequested, ForgetRequested, RequestId
from tests.sim.cluster import NAME, Cluster
from tests.sim.network import Life, Process
from tests.sim.nodes import SimNode
from tests.sim.plan import FAULTS_MS, Fault
from tests.sim.sentinels import SimSentinel, Trap
from vedette.types import Address


class Mischief:
    """Does what faults say; see `plan.Fault`."""

    def __init__(self, cluster: Cluster) -> None:
        self.cluster = cluster
        self.world = cluster.world
        self._requests = 1_000_000
        #: How many faults hold each cut, so that one's end does not undo another's.
        self._cuts: Counter[tuple[Address, Address]] = Counter()

    def run(self, faults: tuple[Fault, ...]) -> None:
        """Let faults strike, then undo all."""
        for fault in faults:
            self.world.at(fault.at_ms * 1000, self._strike, fault)
        self.cluster.run_for(FAULTS_MS)
        self.heal()

    def _strike(self, fault: Fault) -> None:
        self.world.note("mischief", str(fault))
        getattr(self, fault.kind)(*fault.arguments, for_ms=fault.for_ms)

    def heal(self) -> None:
        """Undo everything."""
        self.world.note("mischief", "heals")
        self._cuts.clear()
        self.world.heal()
        self.world.delay_max_us = self.cluster.shape.delay_max_us
        for sentinel in self.cluster.sentinels:
            sentinel.traps.clear()
            self._mend_disk(sentinel)
        for node in self.cluster.nodes:
            node.refuses_orders = False
        if all(node.priority == 0 for node in self.cluster.nodes):
            self.cluster.nodes[0].priority = 100
        for process in self._everybody():
            process.resume()
            process.restart()

    # -- processes -------------------------------------------------------------------------------

    def crash(self, name: str, for_ms: int) -> None:
        process = self._process(name)
        process.crash()
        self._later(for_ms, process.restart)

    def lose_power(self, name: str, for_ms: int) -> None:
        process = self._process(name)
        process.lose_power()
        self._later(for_ms, process.restart)

    def pause(self, name: str, for_ms: int) -> None:
        process = self._process(name)
        process.pause()
        self._later(for_ms, process.resume)

    def trap(self, name: str, label: str, skip: int, restart_ms: int, for_ms: int) -> None:
        self._sentinel(name).traps.append(Trap(label, skip, restart_ms))

    def step_clock(self, name: str, ahead_ms: int, for_ms: int) -> None:
        sentinel = self._sentinel(name)
        if sentinel.life is Life.RUNNING:
            sentinel.step_clock(ahead_ms)

    # -- network ---------------------------------------------------------------------------------

    def cut(self, one: str, other: str, for_ms: int) -> None:
        here, there = self._process(one).address, self._process(other).address
        self._cut({(here, there), (there, here)}, for_ms)

    def cut_one_way(self, one: str, other: str, for_ms: int) -> None:
        self._cut({(self._process(one).address, self._process(other).address)}, for_ms)

    def isolate(self, *names: str, for_ms: int) -> None:
        side = [self._process(name) for name in names]
        others = [process for process in self._everybody() if process not in side]
        pairs = {(one.address, other.address) for one in side for other in others}
        self._cut(pairs | {(there, here) for here, there in pairs}, for_ms)

    def reject(self, one: str, other: str, for_ms: int) -> None:
        here, there = self._process(one), self._process(other).address
        pair = here.address, there
        self.world.rejects.add(pair)
        for connection in list(here.connections):
            if connection.client is here and connection.target == there:
                connection.reset()
        self._later(for_ms, self.world.rejects.discard, pair)

    def reset(self, name: str, for_ms: int) -> None:
        for connection in list(self._process(name).connections):
            connection.reset()

    def silence(self, name: str, for_ms: int) -> None:
        for connection in self._process(name).connections:
            connection.silence()

    def lose_packets(self, percent: int, for_ms: int) -> None:
        self.world.loss = percent / 100
        self._later(for_ms, self._lose_none)

    def slow_network(self, delay_max_us: int, for_ms: int) -> None:
        self.world.delay_max_us = delay_max_us
        self._later(for_ms, self._be_quick)

    def slow_link(self, one: str, other: str, delay_us: int, for_ms: int) -> None:
        here, there = self._process(one).address, self._process(other).address
        self.world.detours_us[here, there] = delay_us
        self._later(for_ms, self._take_straight_way, here, there)

    def lose_names(self, for_ms: int) -> None:
        self.world.are_look_ups_failing = True
        self._later(for_ms, setattr, self.world, "are_look_ups_failing", False)

    def slow_names(self, for_ms: int) -> None:
        self.world.look_up_max_us = 5_000_000
        self._later(for_ms, setattr, self.world, "look_up_max_us", 5_000)

    # -- disks -----------------------------------------------------------------------------------

    def break_disk(self, name: str, for_ms: int) -> None:
        sentinel = self._sentinel(name)
        sentinel.disk.is_broken = True
        self._later(for_ms, self._mend_disk, sentinel)

    def slow_disk(self, name: str, slow_ms: int, for_ms: int) -> None:
        sentinel = self._sentinel(name)
        sentinel.disk.slow_us = slow_ms * 1000
        self._later(for_ms, self._mend_disk, sentinel)

    # -- nodes and operators ---------------------------------------------------------------------

    def refuse_orders(self, name: str, for_ms: int) -> None:
        node = self._process(name)
        assert isinstance(node, SimNode)
        node.refuses_orders = True
        self._later(for_ms, setattr, node, "refuses_orders", False)

    def change_priority(self, name: str, priority: int, for_ms: int) -> None:
        node = self._process(name)
        assert isinstance(node, SimNode)
        node.priority = priority

    def order_failover(self, name: str, *options: str, for_ms: int) -> None:
        sentinel = self._sentinel(name)
        if sentinel.life is Life.RUNNING:
            self._requests += 1
            is_coordinated = options == ("coordinated",)
            sentinel.step(
                FailoverRequested(
                    sentinel.clock_ms(), RequestId(self._requests), NAME, is_coordinated
                )
            )

    def order_to_forget(self, name: str, *gone: str, for_ms: int) -> None:
        """Ask a sentinel to have others forgotten; they may live on, and come back."""
        asker = self._sentinel(name)
        if asker.life is not Life.RUNNING:
            return
        view = self.cluster.view(asker)
        known = [
            run_id
            for run_id in (self._sentinel(each).run_id for each in gone)
            if run_id in view.peers or run_id in view.leaving
        ]
        if known:
            self._requests += 1
            request = RequestId(self._requests)
            event = ForgetRequested(asker.clock_ms(), request, NAME, sentinels=tuple(known))
            asker.step(event)

    # -- helpers ---------------------------------------------------------------------------------

    def _later(self, delay_ms: int, action: object, *arguments: object) -> None:
        assert callable(action)
        self.world.at(delay_ms * 1000, action, *arguments)

    def _cut(self, pairs: set[tuple[Address, Address]], for_ms: int) -> None:
        for pair in sorted(pairs):
            self._cuts[pair] += 1
            self.world.cut(*pair)
        self._later(for_ms, self._mend, pairs)

    def _mend(self, pairs: set[tuple[Address, Address]]) -> None:
        self._cuts.subtract(pairs)
        self.world.mend([pair for pair in sorted(pairs) if self._cuts[pair] <= 0])

    def _lose_none(self) -> None:
        self.world.loss = 0.0

    def _be_quick(self) -> None:
        self.world.delay_max_us = self.cluster.shape.delay_max_us

    def _take_straight_way(self, here: Address, there: Address) -> None:
        self.world.detours_us.pop((here, there), None)

    def _mend_disk(self, sentinel: SimSentinel) -> None:
        sentinel.disk.is_broken = False
        sentinel.disk.slow_us = 8_000

    def _process(self, name: str) -> Process:
        """The process of a name in a fault; the master is whom most sentinels take for it."""
        if name == "master":
            views = [self.cluster.view(entry) for entry in self.cluster.sentinels]
            beliefs = Counter(self.world.place(view.address) for view in views)
            return self.world.processes[beliefs.most_common(1)[0][0]]
        processes = self.cluster.nodes if name.startswith("n") else self.cluster.sentinels
        return processes[int(name[1:])]

    def _sentinel(self, name: str) -> SimSentinel:
        process = self._process(name)
        assert isinstance(process, SimSentinel)
        return process

    def _everybody(self) -> list[Process]:
        return [*self.cluster.nodes, *self.cluster.sentinels]
