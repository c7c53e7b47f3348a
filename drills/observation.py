"""What is seen of a deployment from outside: views of nodes and sentinels, and their events.

Owns the reading of INFO, SENTINEL MASTER and the sentinels' pub/sub messages into records, the
latest of which `View` keeps, and the two questions asked of it: is the deployment ready, has it
converged. Pure: whoever looks (`drills.runtime.observer`) passes the replies and the time.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

from vedette.info import parse_info_line
from vedette.types import Address

from .deployment import Deployment, node_of

#: Events kept for display.
EVENT_LIMIT = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeView:
    """One look at a node, by its INFO; without one (`is_reachable` False) all else is empty."""

    time_ns: int
    is_reachable: bool = False
    #: Whose answer it is, by INFO; 0: unknown.
    process_id: int = 0
    #: `master`, `slave`, or empty.
    role: str = ""
    #: Whom a replica follows.
    master: Address | None = None
    link_is_up: bool = False
    #: Position in the replication stream, as the node itself has it.
    offset: int = 0
    #: Seconds since each online replica's last acknowledgement, as the master says.
    lag_s: Mapping[Address, int] = field(default_factory=dict)
    sync_full: int = 0
    sync_partial_ok: int = 0

    @property
    def is_master(self) -> bool:
        return self.role == "master"

    def is_replica_since(self, time_ns: int) -> bool:
        """Whether this look is later than that moment, and shows a node that is no master."""
        return self.time_ns > time_ns and self.is_reachable and not self.is_master


@dataclass(frozen=True, slots=True, kw_only=True)
class SentinelView:
    """One look at a sentinel, by its SENTINEL MASTER."""

    time_ns: int
    is_reachable: bool = False
    #: Whose answer it is, by INFO; 0: unknown.
    process_id: int = 0
    #: Whom it tells clients to use.
    master: Address | None = None
    flags: frozenset[str] = frozenset()
    config_epoch: int = 0
    replica_count: int = 0
    other_sentinel_count: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeSeen:
    """A node was looked at."""

    name: str
    view: NodeView


@dataclass(frozen=True, slots=True, kw_only=True)
class SentinelSeen:
    """A sentinel was looked at."""

    name: str
    view: SentinelView


@dataclass(frozen=True, slots=True, kw_only=True)
class SentinelEvent:
    """A sentinel published `payload` on `channel`, such as `+sdown`."""

    name: str
    channel: str
    payload: str
    time_ns: int


Observation: TypeAlias = NodeSeen | SentinelSeen | SentinelEvent


def read_node_info(fields: Mapping[str, str], time_ns: int) -> NodeView:
    """Return the view that the fields of INFO (replication and stats) give."""
    is_master = fields.get("role") == "master"
    offset = fields.get("master_repl_offset" if is_master else "slave_repl_offset", "0")
    master = None
    if not is_master and "master_host" in fields:
        master = Address(fields["master_host"], int(fields.get("master_port", "0")))
    return NodeView(
        time_ns=time_ns,
        is_reachable=True,
        role=fields.get("role", ""),
        master=master,
        link_is_up=fields.get("master_link_status") == "up",
        offset=int(offset),
        lag_s=_read_lags(fields),
        sync_full=int(fields.get("sync_full", "0")),
        sync_partial_ok=int(fields.get("sync_partial_ok", "0")),
    )


def _read_lags(fields: Mapping[str, str]) -> dict[Address, int]:
    """Return the lag of every replica that a master lists as online."""
    lags = {}
    for index in range(int(fields.get("connected_slaves", "0"))):
        replica = parse_info_line(fields.get(f"slave{index}", ""))
        if replica.get("state") == "online":
            address = Address(replica.get("ip", ""), int(replica.get("port", "0")))
            lags[address] = int(replica.get("lag", "0"))
    return lags


def read_sentinel_master(
    reply: Sequence[bytes] | Mapping[bytes, bytes], time_ns: int
) -> SentinelView:
    """Return the view that a reply to SENTINEL MASTER gives (a flat array, or RESP3's map)."""
    pairs = (
        reply.items() if isinstance(reply, Mapping) else zip(reply[::2], reply[1::2], strict=True)
    )
    fields = {name.decode(): value.decode("utf-8", "replace") for name, value in pairs}
    return SentinelView(
        time_ns=time_ns,
        is_reachable=True,
        master=Address(fields["ip"], int(fields["port"])),
        flags=frozenset(fields["flags"].split(",")),
        config_epoch=int(fields["config-epoch"]),
        replica_count=int(fields["num-slaves"]),
        other_sentinel_count=int(fields["num-other-sentinels"]),
    )


class View:
    """The latest look at every process, and the last events of the sentinels."""

    def __init__(self, deployment: Deployment) -> None:
        self.deployment = deployment
        self.nodes = {process.name: NodeView(time_ns=0) for process in deployment.nodes}
        self.sentinels = {process.name: SentinelView(time_ns=0) for process in deployment.sentinels}
        self.events: deque[SentinelEvent] = deque(maxlen=EVENT_LIMIT)

    def observe(self, observation: Observation) -> None:
        """Take in one observation."""
        match observation:
            case NodeSeen():
                self.nodes[observation.name] = observation.view
            case SentinelSeen():
                self.sentinels[observation.name] = observation.view
            case SentinelEvent():
                self.events.append(observation)

    def masters(self) -> list[str]:
        """Return the names of the reachable nodes that say they are masters."""
        return [name for name, view in self.nodes.items() if view.is_reachable and view.is_master]


def strangers(view: View, process_ids: Mapping[str, int | None]) -> list[str]:
    """Return, in words, which of the named processes' ports others answer at.

    Two laboratories that start at the same time may have found the same ports free.
    """
    views: dict[str, NodeView | SentinelView] = {**view.nodes, **view.sentinels}
    return [
        f"another program (pid {views[name].process_id}) answers at the port of {name}"
        for name, process_id in process_ids.items()
        if views[name].process_id not in (0, process_id)
    ]


def missing_links(view: View) -> list[str]:
    """Return, in words, what keeps the nodes of a fresh laboratory from being one group."""
    return _missing_in_group(view, view.deployment.nodes[0].name, gone=())


def missing_knowledge(view: View) -> list[str]:
    """Return, in words, what the sentinels of a fresh laboratory do not know yet."""
    replica_count = len(view.deployment.nodes) - 1
    fellow_count = len(view.deployment.sentinels) - 1
    master = view.deployment.nodes[0].address
    missing = []
    for name, sentinel in view.sentinels.items():
        if not sentinel.is_reachable:
            missing.append(f"{name} does not answer")
        elif sentinel.master != master or sentinel.flags != {"master"}:
            flags = ",".join(sorted(sentinel.flags))
            missing.append(f"{name} sees {sentinel.master} as {flags}, not {master} as master")
        elif sentinel.replica_count != replica_count:
            missing.append(f"{name} knows {sentinel.replica_count} of {replica_count} replicas")
        elif sentinel.other_sentinel_count != fellow_count:
            missing.append(
                f"{name} knows {sentinel.other_sentinel_count} of {fellow_count} fellow sentinels"
            )
    return missing


def missing_agreement(view: View, master: str, gone: Collection[str]) -> list[str]:
    """Return, in words, which sentinels do not (or not calmly) say that `master` is the master."""
    address = node_of(view.deployment, master).address
    missing = []
    for name, sentinel in view.sentinels.items():
        if name in gone:
            continue
        if not sentinel.is_reachable:
            missing.append(f"{name} does not answer")
        elif sentinel.master != address:
            missing.append(f"{name} says the master is {sentinel.master}, not {address}")
        elif sentinel.flags != {"master"}:
            missing.append(f"{name} sees the master as {','.join(sorted(sentinel.flags))}")
    return missing


def missing_order(view: View, gone: Collection[str]) -> list[str]:
    """Return, in words, what keeps the processes without `gone` from being in order again.

    That is: one master, which all sentinels name calmly and to which every other node is linked.
    """
    masters = [name for name in view.masters() if name not in gone]
    if len(masters) != 1:
        return [f"{len(masters)} masters: {', '.join(masters) or 'none'}"]
    master = masters[0]
    return missing_agreement(view, master, gone) + _missing_in_group(view, master, gone)


def missing_rest(view: View, gone: Collection[str]) -> list[str]:
    """Return, in words, what keeps the deployment from rest: order, and all offsets equal.

    It can only come to rest when nobody writes.
    """
    missing = missing_order(view, gone)
    if missing:
        return missing
    offsets = {name: node.offset for name, node in view.nodes.items() if name not in gone}
    newest = max(offsets.values())
    return [
        f"{name} is at offset {offset} of {newest}"
        for name, offset in offsets.items()
        if offset != newest
    ]


def _missing_in_group(view: View, master: str, gone: Collection[str]) -> list[str]:
    """Return what keeps the nodes from being one master with all others linked to it."""
    address = node_of(view.deployment, master).address
    missing = []
    for name, node in view.nodes.items():
        if name in gone:
            continue
        if not node.is_reachable:
            missing.append(f"{name} does not answer")
        elif name == master:
            if not node.is_master:
                missing.append(f"{name} is no master")
        elif node.is_master:
            missing.append(f"{name} is a second master")
        elif node.master != address or not node.link_is_up:
            missing.append(f"{name} is not linked to {master}")
        elif node_of(view.deployment, name).address not in view.nodes[master].lag_s:
            missing.append(f"{name} is not online for {master}")
    return missing
