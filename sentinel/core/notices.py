"""The one place where the machine says what happened: events with Redis' names, texts and levels.

Owns the table of events and the wording of their payloads. The payload's first words describe an
instance: `<type> <name> <ip> <port>`, and for replicas and sentinels ` @ <master> <ip> <port>`
(reference: `sentinel.c: sentinelEvent`). A WARNING that belongs to a master also runs its
notification script.
"""

from __future__ import annotations

from typing import Final

from vedette.types import Address, RunId

from . import history
from .actions import Level, Publish, RunScript
from .hosts import shown
from .machine import Machine
from .model import Master, Node, PeerSentinel

_W, _N, _V = Level.WARNING, Level.NOTICE, Level.VERBOSE

#: Every event that this machine emits, and how loud it is.
LEVELS: Final[dict[str, Level]] = {
    "+monitor": _W,
    "-monitor": _W,
    "+set": _W,
    "+reset-master": _W,
    "+slave": _N,
    "-slave": _N,
    "+sentinel": _N,
    "-sentinel": _N,
    "+sentinel-leaving": _N,
    "-sentinel-leaving": _N,
    "+sentinel-address-switch": _N,
    "+sentinel-address-update": _N,
    "+sentinel-invalid-addr": _N,
    "+address-change": _N,
    "+reboot": _N,
    "+role-change": _V,
    "-role-change": _V,
    "+sdown": _W,
    "-sdown": _W,
    "+odown": _W,
    "-odown": _W,
    "+new-epoch": _W,
    "+try-failover": _W,
    "+vote-for-leader": _W,
    "+elected-leader": _W,
    "+failover-state-select-slave": _W,
    "-failover-abort-not-elected": _W,
    "-failover-abort-no-good-slave": _W,
    "-failover-abort-slave-timeout": _W,
    "-failover-abort-master-timeout": _W,
    "-failover-abort-master-refused": _W,
    "+selected-slave": _W,
    "-selected-slave": _W,
    "+order-reduced": _W,
    "+failover-state-send-failover": _N,
    "+failover-state-send-slaveof-noone": _N,
    "+failover-state-wait-promotion": _N,
    "+promoted-slave": _W,
    "+failover-state-reconf-slaves": _W,
    "+slave-reconf-sent": _N,
    "+slave-reconf-inprog": _N,
    "+slave-reconf-done": _N,
    "-slave-reconf-sent-timeout": _N,
    "+slave-reconf-sent-be": _N,
    "+failover-end-for-timeout": _W,
    "+failover-end": _W,
    "+estimated-loss": _N,
    "+coordinated-pause": _N,
    "+switch-master": _W,
    "+config-update-from": _W,
    "+config-conflict": _W,
    "-config-conflict": _W,
    "+empty-restart": _W,
    "+convert-to-slave": _N,
    "+fix-slave-config": _N,
    "+rejoined": _N,
    "+foreign-node": _W,
    "-foreign-node": _N,
    "+tilt": _W,
    "-tilt": _W,
    "+bad-input": _N,
    "+save-failed": _W,
    "-save-failed": _W,
}


def describe_master(machine: Machine, master: Master) -> str:
    """`master <name> <ip> <port>`."""
    return f"master {_at(machine, master)}"


def describe_node(machine: Machine, master: Master, node: Node) -> str:
    """The node as master or as replica, whichever it is to us."""
    if node is master.node:
        return describe_master(machine, master)
    address = shown(machine.state, node.address)
    return f"slave {address} {address.host} {address.port} @ {_at(machine, master)}"


def describe_peer(machine: Machine, master: Master, peer: PeerSentinel) -> str:
    """`sentinel <run id> <ip> <port> @ <master> <ip> <port>`."""
    return describe_sentinel(machine, master, peer.run_id, peer.address)


def describe_sentinel(machine: Machine, master: Master, run_id: RunId, address: Address) -> str:
    """The same of one that is not known any more."""
    host, port = shown(machine.state, address)
    return f"sentinel {run_id} {host} {port} @ {_at(machine, master)}"


def _at(machine: Machine, master: Master) -> str:
    host, port = shown(machine.state, master.address)
    return f"{master.name} {host} {port}"


def about_master(machine: Machine, event: str, master: Master, extra: str = "") -> None:
    """Emit an event about a master; `extra` follows its description."""
    about(machine, event, f"{describe_master(machine, master)}{extra}", master)


def about_node(machine: Machine, event: str, node: Node, extra: str = "") -> None:
    """Emit an event about a master's or replica's process."""
    master = machine.master_of(node)
    about(machine, event, f"{describe_node(machine, master, node)}{extra}", master)


def about_peer(machine: Machine, event: str, peer: PeerSentinel) -> None:
    """Emit an event about a fellow sentinel."""
    master = machine.master_of(peer)
    about(machine, event, describe_peer(machine, master, peer), master)


def about(machine: Machine, event: str, payload: str, master: Master | None = None) -> None:
    """Emit an event with this whole payload, as belonging to `master` if one is given."""
    level = LEVELS[event]
    name = master.name if master is not None else None
    machine.act(Publish(event.encode(), payload.encode(), level, name))
    if master is not None:
        history.note(master, event, payload, machine.state.my_id, machine.now_ms)
    if level is Level.WARNING and master is not None:
        script = master.options.notification_script
        if script is not None:
            machine.act(RunScript(script, (event, payload)))
