"""Host names: what they stand for, and which name or address is which instance.

Theory of operation. An instance that was given by name (`sentinel monitor`, `replica-announce-ip`,
a hello) is known by that name for good: `Address.host` is the name, and where it leads is kept
apart, in `SentinelState.host_names`. The machine asks for a look-up (`Resolve`) when a name comes
into use, when a connection to it ends, and every few seconds; it never waits for one. A look-up
that fails changes nothing, and an IP that is still among several found is kept. When the IP
changes, the connections are made anew and the instance stays what it was.

The same process may be spoken of by name and by IP: `recognise` finds the instance that is meant. A
strange name is not taken in from the wire before it is known where it leads, or two instances might
be one. With `announce-hostnames` names are spoken to others, else IPs: `hosts.shown`.

Reference: `sentinel.c: createSentinelAddr, sentinelAddrOrHostnameEqual, announceSentinelAddr`;
Redis blocks in each look-up, and follows a name only when a link is down.
"""

from __future__ import annotations

from collections.abc import Iterator

from vedette.types import Address, is_ip

from . import links, notices, probes
from .actions import Resolve
from .events import NameResolved
from .hosts import ip_of, same, target
from .machine import LinkOwner, Machine
from .model import HostName, Master, Node, SentinelState
from .timers import Timer, TimerKind
from .timing import RESOLVE_GAP_MS, RESOLVE_PERIOD_MS


def start(machine: Machine) -> None:
    """Look up every name in use: at the start, and when names have just been allowed."""
    for host in dict.fromkeys(_hosts_in_use(machine.state)):  # a set has another order each time
        use(machine, host)


def use(machine: Machine, host: str) -> None:
    """Have `host` looked up, unless it is no name or was asked for a moment ago."""
    state = machine.state
    if is_ip(host) or not state.options.resolve_hostnames:
        return
    name = state.host_names.setdefault(host, HostName())
    if name.asked_ms is not None and machine.now_ms - name.asked_ms < RESOLVE_GAP_MS:
        return
    name.asked_ms = machine.now_ms
    machine.act(Resolve(host))
    machine.timers.set_earlier(Timer(TimerKind.NAMES), machine.now_ms + RESOLVE_PERIOD_MS)


def on_timer(machine: Machine) -> None:
    """Look all names up again, and forget those that nobody is known by any more."""
    in_use = set(_hosts_in_use(machine.state))
    for host in list(machine.state.host_names):
        if host in in_use:
            use(machine, host)
        else:
            del machine.state.host_names[host]


def on_link_down(machine: Machine, owner: LinkOwner) -> None:
    """The connection to an instance ended: it may have moved."""
    use(machine, owner.link.address.host)


def on_resolved(machine: Machine, event: NameResolved) -> None:
    """Take in where a name leads."""
    name = machine.state.host_names.setdefault(event.host, HostName())
    if not event.ips or name.ip in event.ips:
        return
    old_ip, name.ip = name.ip, event.ips[0]
    for master in machine.state.masters.values():
        _drop_doubles(machine, master)
        if not old_ip:
            # Somebody may have been met under this name when it could not be placed.
            probes.info_now(machine, master.node)
    if old_ip:
        _follow(machine, event.host, old_ip)


def may_place(machine: Machine, address: Address) -> bool:
    """Whether it is known where a strange address leads; if it is a name, it is asked for."""
    if is_ip(address.host):
        return True
    use(machine, address.host)
    name = machine.state.host_names.get(address.host)
    return name is not None and bool(name.ip)


def recognise(machine: Machine, master: Master, address: Address) -> Address | None:
    """The address by which we know, or shall know, an instance that somebody spoke of.

    None: it is a name, and names are not allowed, or it is not known yet where it leads.
    """
    state = machine.state
    if not state.host_names and is_ip(address.host):
        return address
    if master.find_node(address) is not None:
        return address
    if not may_place(machine, address):
        return None
    known = (node.address for node in master.nodes() if same(state, node.address, address))
    return next(known, address)


def _hosts_in_use(state: SentinelState) -> Iterator[str]:
    for master in state.masters.values():
        for node in master.nodes():
            yield node.address.host
        for peer in master.peers.values():
            yield peer.address.host


def _drop_doubles(machine: Machine, master: Master) -> None:
    """Of two records of one process, one by name and one by IP, keep the one by name.

    Two names that lead to the same place are left alone: one of them may be out of date.
    """
    for named in [node for node in master.nodes() if not is_ip(node.address.host)]:
        where = target(machine.state, named.address)
        double = master.find_node(where)
        if double is None or double is named:
            continue
        dropped, kept = (named, double) if double is master.node else (double, named)
        if dropped.address != master.failover.promoted and dropped is not master.node:
            if dropped.link.is_up and not kept.link.is_up:
                _find_alive(machine, kept)
            _drop(machine, master, dropped)


def _find_alive(machine: Machine, node: Node) -> None:
    """It could not be reached by its name, and was heard all the same: connect, and wait anew."""
    owner = links.command_owner(node)
    machine.timers.cancel(Timer(TimerKind.NODE_DOWN, node.name, node.address))
    owner.link.suspect_since_ms = None
    _reconnect(machine, owner)
    links.suspect(machine, owner)


def _drop(machine: Machine, master: Master, node: Node) -> None:
    notices.about_node(machine, "-slave", node)
    links.close_node(machine, node, forever=True)
    del master.replicas[node.address]
    machine.mark_dirty()


def _follow(machine: Machine, host: str, old_ip: str) -> None:
    """Connect to where the name leads now, all who are known by it."""
    state = machine.state
    ip = ip_of(state, host)
    for master in state.masters.values():
        for node in list(master.nodes()):
            if node.address.host == host:
                notices.about_node(machine, "+address-change", node, f" ip {ip} was {old_ip}")
                for owner in (links.pubsub_owner(node), links.command_owner(node)):
                    _reconnect(machine, owner)
        for peer in master.peers.values():
            if peer.address.host == host:
                where = f" ip {ip} port {peer.address.port} for {peer.run_id}"
                notices.about_master(machine, "+sentinel-address-switch", master, where)
    for peer_link in list(state.peer_links.values()):
        if peer_link.link.address.host == host:
            _reconnect(machine, links.peer_owner(peer_link))


def _reconnect(machine: Machine, owner: LinkOwner) -> None:
    owner.link.failed_attempts = 0
    links.close(machine, owner)
