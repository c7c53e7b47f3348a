"""What is sent without being asked for: PING, INFO and the hello message.

Owns when each goes out. What the replies mean belongs to `detection.py`, `discovery.py` and the
other sentinels. Redis' periods are upper bounds here: every edge that makes news worth having (a
link that came up, a suspicion, a promotion, a new configuration) sends at once.
"""

from __future__ import annotations

from vedette.types import Address, RunId

from . import links
from .hello import Hello, format_hello
from .hosts import shown
from .link_state import LinkKind, LinkStatus, PeerLink
from .links import HELLO_CHANNEL
from .machine import LinkOwner, Machine, Request, RequestKind
from .model import FailoverState, Master, Node, PeerSentinel, Role
from .timers import Timer, TimerKind
from .timing import (
    LEADER_PING_PERIOD_MS,
    RELAY_MS,
    STRANGERS_HASTE_MS,
    STRANGERS_HOLD_MS,
    master_ping_period_ms,
    ping_period_ms,
)


def on_link_up(machine: Machine, owner: LinkOwner) -> None:
    """Probe what is behind a connection that has just come up, and introduce ourselves."""
    if owner.link.kind is LinkKind.PUBSUB:
        machine.timers.set(owner.timer, _link_due_ms(machine, owner))
        return
    send_ping(machine, owner)
    if owner.node is not None:
        info_now(machine, owner.node)
        if owner.node.pubsub.is_up:
            introduce_to_node(machine, owner.node)
        return
    assert owner.peer_link is not None
    for name in sorted(owner.peer_link.masters):
        introduce_to_peer(machine, machine.state.masters[name].peers[owner.peer_link.run_id])


def on_link_timer(machine: Machine, owner: LinkOwner) -> None:
    """Do what a link's one timer is for: connect, PING, or replace a connection half dead."""
    link = owner.link
    if link.status is LinkStatus.DOWN:
        links.open_link(machine, owner)
        return
    if link.status is LinkStatus.CONNECTING:
        links.close(machine, owner)
        return
    if link.kind is LinkKind.PUBSUB:
        if machine.now_ms >= _link_due_ms(machine, owner):
            links.close(machine, owner)
        else:
            machine.timers.set(owner.timer, _link_due_ms(machine, owner))
        return
    if link.ping_waiting_since_ms is None:
        send_ping(machine, owner)
        return
    if machine.now_ms >= _half_dead_ms(machine, owner):
        links.close(machine, owner)
        links.suspect(machine, owner)
    else:
        machine.timers.set(owner.timer, _half_dead_ms(machine, owner))


def send_ping(machine: Machine, owner: LinkOwner) -> None:
    """Send a PING and let down-after run until it is answered; one at a time."""
    link = owner.link
    assert link.ping_waiting_since_ms is None
    command: tuple[bytes, ...] = (b"PING",)
    if owner.node is not None:
        command = links.rename(machine, owner.node, command)
    link.ping_waiting_since_ms = machine.now_ms
    link.last_ping_sent_ms = machine.now_ms
    machine.send(link, Request(RequestKind.PING, machine.now_ms, 1, owner.node), (command,))
    links.suspect(machine, owner)
    machine.timers.set(owner.timer, _half_dead_ms(machine, owner))


def schedule_ping(machine: Machine, owner: LinkOwner) -> None:
    """Plan the next PING after a reply to the last."""
    period_ms = _ping_period_ms(machine, owner)
    due_ms = owner.link.last_ping_sent_ms + period_ms
    machine.timers.set_periodic(owner.timer, due_ms, period_ms, machine.now_ms)


def watch_leader(machine: Machine, peer_link: PeerLink, until_ms: int) -> None:
    """Ping a fellow more often for a while: we voted for it, and stand ourselves if it is lost."""
    peer_link.awaited_until_ms = max(peer_link.awaited_until_ms, until_ms)
    link = peer_link.link
    if link.is_up and link.ping_waiting_since_ms is None:
        due_ms = max(link.last_ping_sent_ms + LEADER_PING_PERIOD_MS, machine.now_ms + 1)
        machine.timers.set_earlier(links.peer_owner(peer_link).timer, due_ms)


def _ping_period_ms(machine: Machine, owner: LinkOwner) -> int:
    down_after_ms = links.down_after_ms(machine, owner)
    longest_ms = machine.state.periods.ping_period_ms
    node = owner.node
    if owner.peer_link is not None and machine.now_ms < owner.peer_link.awaited_until_ms:
        return min(LEADER_PING_PERIOD_MS, longest_ms)
    if node is not None and machine.master_of(node).node is node:
        return master_ping_period_ms(down_after_ms, longest_ms)
    return ping_period_ms(down_after_ms, longest_ms)


def _half_dead_ms(machine: Machine, owner: LinkOwner) -> int:
    """When a connection whose PING stays unanswered is replaced."""
    link = owner.link
    assert link.ping_waiting_since_ms is not None
    overdue_ms = link.ping_waiting_since_ms + links.down_after_ms(machine, owner) // 2
    return max(
        overdue_ms, link.status_since_ms + machine.state.periods.min_link_reconnect_period_ms
    )


def hasten(machine: Machine) -> None:
    """Periods have changed: let nothing wait longer than the new ones."""
    state = machine.state
    owners = [links.peer_owner(peer_link) for peer_link in state.peer_links.values()]
    hello_ms = machine.now_ms + state.periods.publish_period_ms
    for master in state.masters.values():
        for node in master.nodes():
            owners += [links.command_owner(node), links.pubsub_owner(node)]
            timer = Timer(TimerKind.INFO, node.name, node.address)
            machine.timers.set_earlier(timer, machine.now_ms + _info_period_ms(machine, node))
            timer = Timer(TimerKind.NODE_HELLO, node.name, node.address)
            machine.timers.set_earlier(timer, hello_ms)
        for peer in master.peers.values():
            timer = Timer(TimerKind.PEER_HELLO, peer.name, peer.run_id)
            machine.timers.set_earlier(timer, hello_ms)
    for owner in owners:
        if owner.link.is_up:
            due_ms = max(_link_due_ms(machine, owner), machine.now_ms)
            machine.timers.set_earlier(owner.timer, due_ms)


def _link_due_ms(machine: Machine, owner: LinkOwner) -> int:
    """When the timer of a link that is up has something to do."""
    link = owner.link
    if link.kind is LinkKind.PUBSUB:
        periods = machine.state.periods
        silent_ms = link.last_activity_ms + periods.pubsub_silence_ms
        return max(silent_ms, link.status_since_ms + periods.min_link_reconnect_period_ms)
    if link.ping_waiting_since_ms is None:
        return link.last_ping_sent_ms + _ping_period_ms(machine, owner)
    return _half_dead_ms(machine, owner)


# -- INFO ------------------------------------------------------------------------------------------


def info_now(machine: Machine, node: Node) -> None:
    """Ask for INFO at once, unless that is under way or impossible; then plan the next."""
    if not node.is_info_waiting and machine.can_send(node.link):
        node.is_info_waiting = True
        node.info_sent_ms = machine.now_ms
        command = links.rename(machine, node, (b"INFO",))
        request = Request(RequestKind.INFO, machine.now_ms, 1, node)
        machine.send(node.link, request, (command,))
    schedule_info(machine, node)


def schedule_info(machine: Machine, node: Node) -> None:
    """Plan the next INFO by how urgent the node's news are."""
    timer = Timer(TimerKind.INFO, node.name, node.address)
    period_ms = _info_period_ms(machine, node)
    machine.timers.set_periodic(timer, machine.now_ms + period_ms, period_ms, machine.now_ms)


def _info_period_ms(machine: Machine, node: Node) -> int:
    master = machine.master_of(node)
    periods = machine.state.periods
    if node.info_refresh_ms is None:
        return periods.info_period_urgent_ms
    if machine.now_ms < master.failover.hushed_until_ms:
        return periods.info_period_urgent_ms
    if node is master.node:
        if master.replicas:
            return periods.info_period_ms
        # It is being set up, or was just reset: look closely at first, then less and less so.
        known_for_ms = machine.now_ms - node.link.status_since_ms
        return min(max(known_for_ms // 2, periods.info_period_urgent_ms), periods.info_period_ms)
    is_urgent = (
        master.is_o_down
        or master.node.lost_data_ms is not None
        or master.failover.state is not FailoverState.NONE
        or (node.role_reported is Role.REPLICA and not node.is_master_link_up)
        or is_misplaced(master, node)
    )
    return periods.info_period_urgent_ms if is_urgent else periods.info_period_ms


def is_misplaced(master: Master, replica: Node) -> bool:
    """Whether a replica says something else of itself than our configuration does."""
    if replica.role_reported is Role.MASTER:
        return True
    return replica.master_address is not None and replica.master_address != master.address


# -- hello -----------------------------------------------------------------------------------------


def tell_fellows(machine: Machine, master: Master) -> None:
    """Tell the other sentinels our view of a master before anything else is done: it has changed.

    Redis-sentinels are told a little later if their down-after is short.
    """
    for peer in master.peers.values():
        introduce_to_peer(machine, peer, is_urgent=True)


def tell_nodes(machine: Machine, master: Master) -> None:
    """Have a master's nodes pass our changed view on, later if redis-sentinels are spared it."""
    for node in master.nodes():
        introduce_to_node(machine, node)


def relay_hello(machine: Machine, master: Master, teller: RunId) -> None:
    """Repeat to the other fellows, a moment later, the view that one of them has told us.

    It tells them too, and everybody's nodes as well; this is for those whom it cannot reach.
    """
    held_ms = _held_ms(machine, master)
    for peer in master.peers.values():
        if peer.run_id != teller:
            is_held = held_ms > 0 and not peer.peer_link.is_vedette
            _schedule_peer_hello(machine, peer, held_ms if is_held else RELAY_MS)
    if held_ms > 0:
        for node in master.nodes():
            _schedule_node_hello(machine, node, held_ms)


def introduce_to_peer(machine: Machine, peer: PeerSentinel, *, is_urgent: bool = False) -> None:
    """Say hello to a fellow sentinel at once, or when the news may be told to such as it is."""
    held_ms = _held_ms(machine, machine.master_of(peer))
    if held_ms > 0 and not peer.peer_link.is_vedette:
        _schedule_peer_hello(machine, peer, held_ms)
    else:
        send_hello_to_peer(machine, peer, is_urgent=is_urgent)


def introduce_to_node(machine: Machine, node: Node) -> None:
    """Say hello through a node at once, or when the news may be told to all who listen there."""
    held_ms = _held_ms(machine, machine.master_of(node))
    if held_ms > 0:
        _schedule_node_hello(machine, node, held_ms)
    else:
        send_hello_to_node(machine, node)


def _held_ms(machine: Machine, master: Master) -> int:
    """For how long yet redis-sentinels are not to hear of the last switch; see `timing.py`."""
    if not _holds_strangers(master):
        return 0
    return max(0, master.switched_ms + STRANGERS_HOLD_MS - machine.now_ms)


def _holds_strangers(master: Master) -> bool:
    is_hasty = master.options.down_after_ms < STRANGERS_HASTE_MS
    return is_hasty and not all(peer.peer_link.is_vedette for peer in master.peers.values())


def on_node_hello_timer(machine: Machine, node: Node) -> None:
    """Repeat the hello to a node, if the last was answered; in one packet with the next PING."""
    if node.is_hello_waiting:
        _schedule_node_hello(machine, node)
        return
    if node.link.is_up and node.link.ping_waiting_since_ms is None:
        ping_ms = machine.timers.due_ms(links.command_owner(node).timer)
        soon_ms = machine.now_ms + machine.state.periods.publish_period_ms // 4
        if ping_ms is not None and machine.now_ms < ping_ms <= soon_ms:
            machine.timers.set(Timer(TimerKind.NODE_HELLO, node.name, node.address), ping_ms)
            return
    send_hello_to_node(machine, node)


def on_peer_hello_timer(machine: Machine, peer: PeerSentinel) -> None:
    """Repeat the hello to a fellow sentinel, if the last was answered."""
    if peer.is_hello_waiting:
        _schedule_peer_hello(machine, peer)
    else:
        send_hello_to_peer(machine, peer)


def send_hello_to_node(machine: Machine, node: Node) -> None:
    """PUBLISH our hello through a node, and plan the next."""
    master = machine.master_of(node)
    link = node.link
    is_hushed = node is master.node and machine.now_ms < master.failover.hushed_until_ms
    if machine.can_send(link) and not is_hushed:
        node.is_hello_waiting = True
        body = _hello_body(machine, master, link.local_host)
        command = links.rename(machine, node, (b"PUBLISH", HELLO_CHANNEL, body))
        machine.send(link, Request(RequestKind.HELLO, machine.now_ms, 1, node), (command,))
    _schedule_node_hello(machine, node)


def send_hello_to_peer(machine: Machine, peer: PeerSentinel, *, is_urgent: bool = False) -> None:
    """PUBLISH our hello directly to a fellow sentinel, and plan the next."""
    master = machine.master_of(peer)
    link = peer.link
    if machine.can_send(link, peer.peer_link.refcount):
        peer.is_hello_waiting = True
        body = _hello_body(machine, master, link.local_host)
        request = Request(RequestKind.HELLO, machine.now_ms, 1, peer=peer)
        machine.send(link, request, ((b"PUBLISH", HELLO_CHANNEL, body),), is_urgent=is_urgent)
    _schedule_peer_hello(machine, peer)


def _schedule_node_hello(machine: Machine, node: Node, delay_ms: int | None = None) -> None:
    if delay_ms is None:
        delay_ms = machine.state.periods.publish_period_ms
    timer = Timer(TimerKind.NODE_HELLO, node.name, node.address)
    machine.timers.set_periodic(timer, machine.now_ms + delay_ms, delay_ms, machine.now_ms)


def _schedule_peer_hello(machine: Machine, peer: PeerSentinel, delay_ms: int | None = None) -> None:
    if delay_ms is None:
        delay_ms = machine.state.periods.publish_period_ms
    timer = Timer(TimerKind.PEER_HELLO, peer.name, peer.run_id)
    machine.timers.set_periodic(timer, machine.now_ms + delay_ms, delay_ms, machine.now_ms)


def _hello_body(machine: Machine, master: Master, local_host: str) -> bytes:
    """Our hello; of epochs only what is on disk is spoken.

    A configuration that we have followed may be newer than the disk: its leader's holds it, and it
    is unique to its epoch by the votes behind it, which were saved before they were counted.
    """
    state = machine.state
    options = state.options
    return format_hello(
        Hello(
            address=Address(options.announce_ip or local_host, options.announced_port),
            run_id=state.my_id,
            current_epoch=state.saved_epoch,
            master_name=master.name,
            master_address=shown(state, master.address),
            config_epoch=master.config_epoch,
        )
    )
