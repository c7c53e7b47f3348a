"""Carries out a plan's faults, and undoes them all in the end.

Every fault ends by itself or by `heal`, so that what follows is a healthy network with every
process running: then the sentinels must agree, however the day went.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from sentinel.core.events import (
    Event,
    FailoverRequested,
    ForgetRequested,
    HelloReceived,
    MonitorRequested,
    OptionsRequested,
    PeriodsChanged,
    RemoveRequested,
    RequestId,
    ResetRequested,
    VoteRequested,
)
from sentinel.core.hello import Hello, format_hello
from sentinel.core.model import PeerSentinel
from sentinel.core.options import MasterOptions
from sentinel.core.timing import DEFAULT_PERIODS
from tests.sim.cluster import NAME, NODES_HOST, NOWHERE, Cluster
from tests.sim.network import Life, Process
from tests.sim.nodes import SimNode
from tests.sim.plan import FAULTS_MS, PERIODS, Fault
from tests.sim.sentinels import SimSentinel, Trap
from vedette.types import Address

#: The name and the nodes of the second deployment; see `Mischief.watch_another`.
OTHER_NAME = "other"
_OTHER_NODES = (Address("10.0.3.1", 7_101), Address("10.0.3.1", 7_102))
#: Higher than anybody can believe.
_FAR = 2**40


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
        for sentinel in self.cluster.sentinels:
            self._end_watching_another(sentinel)
            self._watch_again(sentinel)
            self._set(sentinel, self._options())
            self._debug(sentinel, {})

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

    def misdirect_names(self, for_ms: int) -> None:
        """Names lead, by the word of a confused resolver, to where nobody is."""
        self.world.misdirected = NOWHERE
        if NODES_HOST in self.world.names:
            # For whoever asks what an address stands for; nobody gets there by it.
            self.world.names[NOWHERE] = self.world.names[NODES_HOST]
        self._later(for_ms, setattr, self.world, "misdirected", None)

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
        is_coordinated = options == ("coordinated",)
        self._order(name, FailoverRequested, NAME, is_coordinated)

    def order_to_forget(self, name: str, *gone: str, for_ms: int) -> None:
        """Ask a sentinel to have others forgotten; they may live on, and come back."""
        asker = self._sentinel(name)
        if asker.life is not Life.RUNNING or not self.cluster.watches(asker):
            return
        view = self.cluster.view(asker)
        known = [
            run_id
            for run_id in (self._sentinel(each).run_id for each in gone)
            if run_id in view.peers or run_id in view.leaving
        ]
        if known:
            self._order(name, ForgetRequested, NAME, tuple(known))

    def forget_replica(self, name: str, node: str, for_ms: int) -> None:
        sentinel, address = self._sentinel(name), self._process(node).address
        if self._may_forget(sentinel) and address in self.cluster.view(sentinel).replicas:
            self._order(name, ForgetRequested, NAME, (), (address,))

    def order_reset(self, name: str, for_ms: int) -> None:
        if self._may_forget(self._sentinel(name)):
            self._order(name, ResetRequested, (NAME,))

    def watch_anew(self, name: str, for_ms: int) -> None:
        """Tell a sentinel to watch the master no more, and to do so again later."""
        sentinel = self._sentinel(name)
        if self._may_forget(sentinel):
            self._order(name, RemoveRequested, NAME)
            self._later(for_ms, self._watch_again, sentinel)

    def set_option(self, name: str, option: str, value: int, for_ms: int) -> None:
        # Any: each option has its own type.
        changed: dict[str, Any] = {option: value}
        sentinel = self._sentinel(name)
        self._set(sentinel, replace(self._options(), **changed))
        self._later(for_ms, self._set, sentinel, self._options())

    def change_periods(self, name: str, preset: str, for_ms: int) -> None:
        """SENTINEL DEBUG."""
        sentinel = self._sentinel(name)
        self._debug(sentinel, PERIODS[preset])
        self._later(for_ms, self._debug, sentinel, {})

    def watch_another(self, until_death_ms: int, for_ms: int) -> None:
        """Have all watch a second deployment, whose master then dies."""
        master, replica = _OTHER_NODES
        if master not in self.world.processes:
            SimNode(self.world, master, None)
            SimNode(self.world, replica, master)
        for node in (self.world.processes[address] for address in _OTHER_NODES):
            node.restart()
        for sentinel in self._own():
            if OTHER_NAME not in sentinel.core.state.masters:
                # A majority, for who was not there does not know how many they are.
                quorum = self.cluster.shape.sentinels // 2 + 1
                self._tell(sentinel, MonitorRequested, OTHER_NAME, master, quorum)
                options = replace(self._options(), quorum=quorum)
                self._tell(sentinel, OptionsRequested, OTHER_NAME, options, ())
            self._later(for_ms, self._end_watching_another, sentinel)
        self._later(until_death_ms, self.world.processes[master].crash)

    # -- lies ------------------------------------------------------------------------------------

    def lie(self, name: str, kind: str, node: str, by: int, for_ms: int) -> None:
        """Say something in a fellow's name that no fellow would say, or with no sense in it."""
        sentinel = self._sentinel(name)
        if sentinel.life is not Life.RUNNING or not self.cluster.watches(sentinel):
            return
        view, place = self.cluster.view(sentinel), self._process(node).address
        if not view.peers:
            return
        fellow = view.peers[min(view.peers)]
        if kind == "candidate":
            epoch = sentinel.core.state.current_epoch + _FAR
            self._tell(sentinel, VoteRequested, view.address, epoch, fellow.run_id)
            return
        payload = b"\xff,,\0" * by
        if kind != "garbage":
            payload = format_hello(self._false_hello(sentinel, fellow, kind, place, by))
        sentinel.step(HelloReceived(sentinel.clock_ms(), payload))
        via = self._process(node)
        assert isinstance(via, SimNode)
        if not self.cluster.stock and via.life is Life.RUNNING:
            via.publish(payload)  # Redis' sentinels believe anything

    def _false_hello(
        self, sentinel: SimSentinel, fellow: PeerSentinel, kind: str, place: Address, by: int
    ) -> Hello:
        state, view = sentinel.core.state, self.cluster.view(sentinel)
        honest = Hello(
            address=fellow.address,
            run_id=fellow.run_id,
            current_epoch=state.current_epoch,
            master_name=NAME,
            master_address=view.address,
            config_epoch=view.config_epoch,
        )
        match kind:
            case "far":
                return replace(honest, current_epoch=state.current_epoch + _FAR)
            case "far-config":
                return replace(honest, master_address=place, config_epoch=_FAR)
            case "ahead":
                return replace(honest, current_epoch=state.current_epoch + by)
            case "stale":
                epoch = max(view.config_epoch - by, 0)
                return replace(honest, master_address=place, config_epoch=epoch)
            case "rival":
                # Who has not heard of that epoch yet cannot know better.
                self.cluster.judge.lied_about.add((NAME, view.config_epoch))
                return replace(honest, master_address=place)
        raise AssertionError(f"no lie is called {kind}")

    def lie_in_answers(self, name: str, for_ms: int) -> None:
        """Answer every question for a vote with an epoch out of reach."""
        sentinel = self._sentinel(name)
        sentinel.lies = True
        self._later(for_ms, setattr, sentinel, "lies", False)

    # -- orders ----------------------------------------------------------------------------------

    def _own(self) -> list[SimSentinel]:
        return [entry for entry in self.cluster.sentinels if entry.life is Life.RUNNING]

    def _may_forget(self, sentinel: SimSentinel) -> bool:
        """Whether a sentinel may forget nodes: a node that nobody knows is lost to all for good."""
        views = [
            self.cluster.view(other)
            for other in self._own()
            if other is not sentinel and self.cluster.watches(other)
        ]
        places = [{self.world.place(node.address) for node in view.nodes()} for view in views]
        known = set[Address]().union(*places)
        return (
            self.cluster.watches(sentinel)
            and {node.address for node in self.cluster.nodes} <= known
        )

    # Any: what the kind of event takes after its time and request.
    def _order(self, name: str, kind: type[Event], *arguments: Any) -> None:
        sentinel = self._sentinel(name)
        if sentinel.life is Life.RUNNING and self.cluster.watches(sentinel):
            self._tell(sentinel, kind, *arguments)

    # Any: as above.
    def _tell(self, sentinel: SimSentinel, kind: Any, *arguments: Any) -> None:
        """Have a sentinel that runs take a client's request."""
        if sentinel.life is Life.RUNNING:
            self._requests += 1
            sentinel.step(kind(sentinel.clock_ms(), RequestId(self._requests), *arguments))

    def _options(self) -> MasterOptions:
        """What every sentinel is configured with."""
        shape = self.cluster.shape
        return MasterOptions(
            quorum=shape.quorum,
            down_after_ms=shape.down_after_ms,
            failover_timeout_ms=shape.failover_timeout_ms,
            parallel_syncs=shape.parallel_syncs,
            refused_after_ms=shape.refused_after_ms,
        )

    def _set(self, sentinel: SimSentinel, options: MasterOptions) -> None:
        if self.cluster.watches(sentinel) and self.cluster.view(sentinel).options != options:
            self._tell(sentinel, OptionsRequested, NAME, options, ())

    def _debug(self, sentinel: SimSentinel, changed: dict[str, int]) -> None:
        periods = replace(DEFAULT_PERIODS, **changed)
        if sentinel.life is Life.RUNNING and sentinel.core.state.periods != periods:
            sentinel.step(PeriodsChanged(sentinel.clock_ms(), periods))

    def _watch_again(self, sentinel: SimSentinel) -> None:
        if not self.cluster.watches(sentinel):
            shape = self.cluster.shape
            self._tell(sentinel, MonitorRequested, NAME, self.cluster.believed, shape.quorum)
            self._set(sentinel, self._options())

    def _end_watching_another(self, sentinel: SimSentinel) -> None:
        if OTHER_NAME in sentinel.core.state.masters:
            self._tell(sentinel, RemoveRequested, OTHER_NAME)

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
            return self.world.processes[self.cluster.believed]
        kinds: dict[str, Sequence[Process]] = {
            "n": self.cluster.nodes,
            "s": self.cluster.sentinels,
            "r": self.cluster.stock,
        }
        return kinds[name[0]][int(name[1:])]

    def _sentinel(self, name: str) -> SimSentinel:
        process = self._process(name)
        assert isinstance(process, SimSentinel)
        return process

    def _everybody(self) -> list[Process]:
        return [*self.cluster.nodes, *self.cluster.sentinels, *self.cluster.stock]
