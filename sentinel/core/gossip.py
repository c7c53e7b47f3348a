"""A hello came: fellow sentinels become known, epochs and configurations are followed.

Owns the set of peers and the one rule of agreement: a strictly higher config epoch is adopted,
whatever it says; anything else changes nothing. What is heard over any of the three ways (two
nodes' channels, our own port) is the same message and idempotent. Reference: `sentinel.c:
sentinelProcessHelloMessage`.
"""

from __future__ import annotations

from . import conflict, detection, distrust, election, failover, links, names, notices, transitions
from .distrust import Disbelief
from .hello import Hello, parse_hello
from .hosts import same
from .machine import Machine
from .model import Master, PeerSentinel, add_peer, new_node
from .switch import forget_opinion, switch_master


def on_hello(machine: Machine, payload: bytes, source: str) -> None:
    """Process a message of the hello channel that came by way of `source`.

    Our own, and those about masters that we do not watch, are passed over in silence.
    """
    state = machine.state
    if state.my_id.encode() in payload:
        return  # a third of what comes, or more: not even read
    hello = parse_hello(payload)
    if hello is None:
        distrust.refuse(machine, Disbelief.HELLO, source, "no hello message")
        return
    master = state.masters.get(hello.master_name)
    if master is None:
        return
    if not _is_credible(machine, master, hello, source):
        return
    # Who was forgotten is not met again, but may well know a newer configuration.
    may_meet = not master.is_out(hello.run_id) and _can_be_placed(machine, master, hello)
    peer = _meet(machine, master, hello) if may_meet else None
    election.adopt_epoch(machine, hello.current_epoch, master)
    if peer is not None:
        peer.last_hello_ms = machine.now_ms
        peer.hello_count += 1
        peer.spoken_epoch = hello.current_epoch
    # One that was held up on its way through a node says what is no longer so.
    if peer is not None and hello.config_epoch >= peer.hello_config_epoch:
        peer.hello_config_epoch = hello.config_epoch
        peer.hello_master_address = hello.master_address
    if hello.config_epoch > master.config_epoch:
        _adopt_configuration(machine, master, hello)
    conflict.check(machine, master)


def _is_credible(machine: Machine, master: Master, hello: Hello, source: str) -> bool:
    """Whether to believe what a hello says of epochs; nothing is adopted from one that lies.

    A sentinel's epoch never falls, so a lower one than before was held up on its way, or is no news
    of that sentinel's at all.
    """
    highest = max(hello.current_epoch, hello.config_epoch)
    if not distrust.is_credible_epoch(machine, highest):
        reason = f"epoch {highest} is out of reach"
        distrust.refuse(machine, Disbelief.EPOCH, source, reason, master)
        return False
    peer = master.peers.get(hello.run_id)
    if peer is not None and hello.current_epoch < peer.spoken_epoch:
        reason = f"epoch {hello.current_epoch} after {peer.spoken_epoch}"
        distrust.refuse(machine, Disbelief.STALE, source, reason, master)
        return False
    return True


def _can_be_placed(machine: Machine, master: Master, hello: Hello) -> bool:
    """Whether it is known where the sender's address leads; if not, it will say hello again."""
    known = master.peers.get(hello.run_id)
    is_where_it_was = known is not None and known.address == hello.address
    return is_where_it_was or names.may_place(machine, hello.address)


def _meet(machine: Machine, master: Master, hello: Hello) -> PeerSentinel:
    """The sender's record in this master's view; new, moved or as it was."""
    peer = master.peers.get(hello.run_id)
    if peer is not None and same(machine.state, peer.address, hello.address):
        return peer
    if peer is not None:
        _move(machine, master, peer, hello)
        return peer
    _evict_namesakes(machine, master, hello)
    known = machine.state.peer_links.get(hello.run_id)
    if known is not None and known.link.address != hello.address:
        # Another master's view still has the old address.
        links.close(machine, links.peer_owner(known))
        known.link.address = hello.address
        for name in known.masters:
            machine.state.masters[name].peers[hello.run_id].address = hello.address
    peer = add_peer(machine.state, master, hello.run_id, hello.address)
    peer.last_hello_ms = machine.now_ms
    notices.about_peer(machine, "+sentinel", peer)
    machine.mark_found()
    links.open_link(machine, links.peer_owner(peer.peer_link))
    return peer


def _move(machine: Machine, master: Master, peer: PeerSentinel, hello: Hello) -> None:
    """The same sentinel speaks from another address: follow it in all views."""
    host, port = hello.address
    where = f" ip {host} port {port} for {hello.run_id}"
    notices.about_master(machine, "+sentinel-address-switch", master, where)
    links.close(machine, links.peer_owner(peer.peer_link))
    peer.peer_link.link.address = hello.address
    peer.peer_link.link.failed_attempts = 0
    others = 0
    for name in sorted(peer.peer_link.masters):
        view = machine.state.masters[name].peers[hello.run_id]
        view.address = hello.address
        forget_opinion(view)
        others += view is not peer
    if others:
        instances = f" {others} additional matching instances"
        notices.about(
            machine,
            "+sentinel-address-update",
            f"{notices.describe_peer(machine, master, peer)}{instances}",
            master,
        )
    machine.mark_dirty()
    links.open_link(machine, links.peer_owner(peer.peer_link))


def _evict_namesakes(machine: Machine, master: Master, hello: Hello) -> None:
    """A new run id at a known address: the old one is dead for good, in all views."""
    stale = [peer for peer in master.peers.values() if peer.address == hello.address]
    for namesake in stale:
        notices.about_peer(machine, "+sentinel-invalid-addr", namesake)
        for other in list(machine.state.masters.values()):
            view = other.peers.get(namesake.run_id)
            if view is not None:
                links.forget_peer(machine, view)
                if other.is_s_down:
                    detection.check_quorum(machine, other)


def _adopt_configuration(machine: Machine, master: Master, hello: Hello) -> None:
    """Somebody else's failover has succeeded (or an operator's order): follow."""
    epoch = hello.config_epoch
    address = names.recognise(machine, master, hello.master_address)
    if address is None:
        return  # a name that leads nowhere yet; it is said again in two seconds
    if address == master.address:
        if master.failover.state in transitions.LEADING and master.failover.epoch <= epoch:
            # What we promote could not be announced any more; the node is demoted again.
            failover.abort(machine, master, "-failover-abort-slave-timeout")
        master.config_epoch = epoch
        machine.mark_dirty(master)
        return
    sender = notices.describe_sentinel(machine, master, hello.run_id, hello.address)
    notices.about(machine, "+config-update-from", sender, master)
    new = master.replicas.get(address)
    if new is None:
        new = new_node(master.name, address)
    failover.run_reconfig_script(machine, master, new, "observer")
    switch_master(machine, master, address, epoch, hello.run_id)
