"""When each phase of a failover was reached, seen from outside, relative to the fault.

A `Timeline` takes every observation as it is made, from the fault on, and notes the first time of
each phase; it asks nobody and knows no clock. Whoever runs the drill adds what only a client can
tell: the first write each node accepted, and the first acknowledgement each writer got.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from vedette.types import Address

from .deployment import Deployment, node_of
from .observation import NodeSeen, NodeView, Observation, SentinelEvent, SentinelSeen
from .units import elapsed_ms

#: Names of the phases in the order in which a failover reaches them, and what each means.
PHASES = {
    "sdown": "first sentinel holds the master down",
    "odown": "a quorum holds it down",
    "elected": "a leader is elected",
    "selected": "the replica to promote is chosen",
    "promoted": "it accepts the first write",
    "announced": "first +switch-master",
    "agreed": "every sentinel names the new master",
    "client_first_ok": "first writer is served again",
    "client_all_ok": "every writer is served again",
    "reconfigured": "every other replica follows it",
    "converged": "one master, all agree, all linked",
}

#: The phases that a sentinel's message about the master marks.
_PHASE_OF_CHANNEL = {
    "+sdown": "sdown",
    "+odown": "odown",
    "+elected-leader": "elected",
    "+selected-slave": "selected",
    "+switch-master": "announced",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Phase:
    """One phase; `after_ms` counts from the fault and is None if it was never reached."""

    name: str
    meaning: str
    after_ms: float | None


class Timeline:
    """Collects the phases of one failover; all times are of one monotonic clock."""

    def __init__(self, deployment: Deployment, *, old_master: str, fault_ns: int) -> None:
        self.fault_ns = fault_ns
        self.old_master = old_master
        self._master_name = deployment.master_name
        self._old_address = node_of(deployment, old_master).address
        self._names = {process.address: process.name for process in deployment.nodes}
        self._sentinels = {process.name for process in deployment.sentinels}
        self._reached: dict[str, int] = {}
        #: Every message of the sentinels since the fault.
        self.events: list[SentinelEvent] = []
        #: When each sentinel first named another master than the old one.
        self.agreed_ns: dict[str, int] = {}
        #: When each node first accepted a write.
        self.accepted_ns: dict[str, int] = {}
        #: When each remaining replica was first seen linked to the new master.
        self.reconfigured_ns: dict[str, int] = {}

    @property
    def leader(self) -> str | None:
        """The sentinel that led the failover: the last that was elected."""
        elected = [event.name for event in self.events if event.channel == "+elected-leader"]
        return elected[-1] if elected else None

    @property
    def new_master(self) -> str | None:
        """The node that the last +switch-master names."""
        for event in reversed(self.events):
            if event.channel == "+switch-master":
                return self._names.get(_new_address(event.payload))
        return None

    @property
    def pause_ms(self) -> float | None:
        """How long writes were kept waiting, as the leader of a coordinated failover says."""
        for event in reversed(self.events):
            if event.channel == "+coordinated-pause":
                return float(event.payload.split()[-1])
        return None

    @property
    def switched_to(self) -> list[str]:
        """The distinct addresses that +switch-master named, in the order of appearance."""
        named = (_new_address(e.payload) for e in self.events if e.channel == "+switch-master")
        return list(dict.fromkeys(str(address) for address in named))

    @property
    def epochs(self) -> list[int]:
        """The epochs that were opened since the fault, ascending."""
        return sorted({int(e.payload) for e in self.events if e.channel == "+new-epoch"})

    @property
    def elections(self) -> int:
        """How many times a sentinel tried to become the leader."""
        return sum(event.channel == "+try-failover" for event in self.events)

    def observe(self, observation: Observation) -> None:
        """Take in one observation made after the fault; sentinels may watch other masters too."""
        match observation:
            case SentinelEvent():
                if _concerns(observation, self._master_name):
                    self._observe_event(observation)
            case SentinelSeen(name=name, view=view):
                if view.is_reachable and view.master not in (None, self._old_address):
                    self.agreed_ns.setdefault(name, view.time_ns)
            case NodeSeen(name=name, view=view):
                self._note_reconfigured(name, view)

    def accepted_write(self, name: str, time_ns: int) -> None:
        """Node `name` acknowledged a write at `time_ns`."""
        self.accepted_ns.setdefault(name, time_ns)
        self._reach("promoted", time_ns)

    def acknowledged(self, first_ns_of: Collection[int | None]) -> None:
        """Each writer's first acknowledgement of what it asked after the fault, None if none."""
        times = [time_ns for time_ns in first_ns_of if time_ns is not None]
        if times:
            self._reach("client_first_ok", min(times))
            self._reach("promoted", min(times))  # a prober asks less often than writers write
        if times and len(times) == len(first_ns_of):
            self._reach("client_all_ok", max(times))

    def converged(self, time_ns: int) -> None:
        """The laboratory was first seen in order again at `time_ns`."""
        self._reach("converged", time_ns)

    def phases(self) -> list[Phase]:
        """Return all phases in their usual order."""
        reached = dict(self._reached)
        if self.agreed_ns.keys() == self._sentinels and self.agreed_ns:
            reached["agreed"] = max(self.agreed_ns.values())
        others = set(self._names.values()) - {self.old_master, self.new_master}
        if self.new_master and others <= self.reconfigured_ns.keys():
            times = [self.reconfigured_ns[name] for name in others]
            if times:
                reached["reconfigured"] = max(times)
        return [
            Phase(name=name, meaning=meaning, after_ms=self._after_ms(reached.get(name)))
            for name, meaning in PHASES.items()
        ]

    def _observe_event(self, event: SentinelEvent) -> None:
        self.events.append(event)
        phase = _PHASE_OF_CHANNEL.get(event.channel)
        # +sdown and its kin are published of replicas and sentinels too.
        is_ours = event.channel in ("+switch-master", "+selected-slave") or (
            event.payload.startswith("master ")
        )
        if phase is not None and is_ours:
            self._reach(phase, event.time_ns)
        if event.channel == "+switch-master":
            self.agreed_ns.setdefault(event.name, event.time_ns)

    def _note_reconfigured(self, name: str, view: NodeView) -> None:
        """Note that `name` follows a node other than the old master, which is the new one."""
        if view.link_is_up and view.master in self._names and view.master != self._old_address:
            self.reconfigured_ns.setdefault(name, view.time_ns)

    def _reach(self, phase: str, time_ns: int) -> None:
        self._reached[phase] = min(time_ns, self._reached.get(phase, time_ns))

    def _after_ms(self, time_ns: int | None) -> float | None:
        return None if time_ns is None else elapsed_ms(self.fault_ns, time_ns)


def _concerns(event: SentinelEvent, master_name: str) -> bool:
    """Whether an event is of that master, or of none in particular (such as `+new-epoch`).

    `<name> <old> <new>` tells of a switch, `master <name> <ip> <port> ...` of the master itself,
    `<kind> <name> <ip> <port> @ <master> <ip> <port> ...` of its replicas and sentinels.
    """
    words = event.payload.split()
    if event.channel == "+switch-master":
        return words[:1] == [master_name]
    if words[:1] == ["master"]:
        return words[1:2] == [master_name]
    return "@" not in words or words[words.index("@") + 1 :][:1] == [master_name]


def _new_address(payload: str) -> Address:
    """Return where `<name> <old ip> <old port> <new ip> <new port>` points to."""
    words = payload.split()
    return Address(words[-2], int(words[-1]))
