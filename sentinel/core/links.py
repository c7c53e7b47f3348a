"""Connections: made, lost, made again.

Owns `Link.status` and everything about one connection's life; what goes over it belongs to others.
A node's pub/sub link is only made while its command link is up, so a dead node costs one attempt at
a time.

    DOWN --(timer)--> CONNECTING --LinkUp--> UP
     ^------------------LinkDown, close--------'
"""

from __future__ import annotations

from typing import Final

from vedette.resp.exchange import Received, ReplyError

from .actions import Connect, Disconnect
from .events import LinkLoss
from .hosts import target
from .link_state import Link, LinkKind, LinkStatus, PeerLink
from .machine import LinkOwner, Machine, Request, RequestKind
from .model import Node, PeerSentinel
from .timers import Timer, TimerKind
from .timing import (
    CONNECT_GUARD_MS,
    RECONNECT_MEDIUM_ATTEMPTS,
    RECONNECT_SHARE_MS,
    RECONNECT_SLOW_MS,
    REFUSALS_MIN,
    SUSPICION_WINDOW_MS,
    connect_timeout_ms,
    master_ping_period_ms,
    reconnect_delay_ms,
)

HELLO_CHANNEL: Final = b"__sentinel__:hello"

#: Which status may follow which; `_become` is the only writer.
LEGAL: Final = {
    LinkStatus.DOWN: {LinkStatus.CONNECTING},
    LinkStatus.CONNECTING: {LinkStatus.UP, LinkStatus.DOWN},
    LinkStatus.UP: {LinkStatus.DOWN},
}


def command_owner(node: Node) -> LinkOwner:
    """The node's command link."""
    return LinkOwner(node.link, node, None)


def pubsub_owner(node: Node) -> LinkOwner:
    """The node's pub/sub link."""
    return LinkOwner(node.pubsub, node, None)


def peer_owner(peer_link: PeerLink) -> LinkOwner:
    """The link to a fellow sentinel."""
    return LinkOwner(peer_link.link, None, peer_link)


def down_after_ms(machine: Machine, owner: LinkOwner) -> int:
    """The down-after that governs a link; of several masters the shortest."""
    masters = machine.state.masters
    if owner.node is not None:
        return masters[owner.node.name].options.down_after_ms
    peer_link = owner.peer_link
    assert peer_link is not None
    if peer_link.shortest_down_after_ms is None:
        peer_link.shortest_down_after_ms = min(
            (masters[name].options.down_after_ms for name in peer_link.masters),
            default=machine.state.periods.ping_period_ms,
        )
    return peer_link.shortest_down_after_ms


def open_node(machine: Machine, node: Node) -> None:
    """Begin to connect to a node that has just become known."""
    node.role_reported_ms = machine.now_ms
    node.master_address_ms = machine.now_ms
    open_link(machine, command_owner(node))


def open_link(machine: Machine, owner: LinkOwner) -> None:
    """Connect now, unless that is under way or done."""
    link = owner.link
    if link.status is not LinkStatus.DOWN:
        return
    _become(machine, link, LinkStatus.CONNECTING)
    link.opened_ms = link.opened_ms or machine.now_ms
    link.id = machine.new_link_id(owner)
    timeout_ms = connect_timeout_ms(down_after_ms(machine, owner))
    machine.act(Connect(link.id, link.kind, target(machine.state, link.address), timeout_ms))
    # The runtime reports every outcome; this only bounds what a bug of its would cost.
    machine.timers.set(owner.timer, machine.now_ms + timeout_ms + CONNECT_GUARD_MS)


def on_up(machine: Machine, owner: LinkOwner, local_host: str) -> None:
    """The connection stands: authenticate, say who we are, subscribe."""
    link = owner.link
    machine.timers.cancel(owner.timer)
    machine.unreached.discard(owner.timer)
    _become(machine, link, LinkStatus.UP)
    end_refusals(link)
    link.local_host = local_host
    link.last_activity_ms = machine.now_ms
    commands = _setup_commands(machine, owner)
    request = Request(RequestKind.SETUP, machine.now_ms, len(commands), owner.node)
    machine.send(link, request, commands)
    if link.kind is LinkKind.COMMAND and owner.node is not None:
        owner.node.declined.clear()
        open_link(machine, pubsub_owner(owner.node))


def on_set_up(machine: Machine, owner: LinkOwner, replies: tuple[Received, ...]) -> None:
    """The replies to what `on_up` sent.

    What was refused shows in the replies to PING; a hello channel, over which none go, is closed,
    so that the node shows as disconnected, and tried again at the slowest pace.
    """
    link = owner.link
    if link.kind is LinkKind.PUBSUB:
        if isinstance(replies[-1], ReplyError):
            link.failed_attempts = max(link.failed_attempts, RECONNECT_MEDIUM_ATTEMPTS)
            close(machine, owner)
        else:
            mark_sound(link)
    elif owner.peer_link is not None and isinstance(replies[-1], bytes):
        owner.peer_link.is_vedette = b"vedette_version:" in replies[-1]


def on_down(machine: Machine, owner: LinkOwner, reason: LinkLoss) -> None:
    """The connection is gone or was not made: suspect what is behind it, and try again."""
    link = owner.link
    if link.status is LinkStatus.CONNECTING and reason is LinkLoss.REFUSED:
        if link.refused_since_ms is None:
            link.refused_since_ms = machine.now_ms
        link.refused_last_ms = machine.now_ms
        link.refusal_count += 1
    else:
        end_refusals(link)  # nobody said that nobody listens
    machine.forget_link(link)
    _become(machine, link, LinkStatus.DOWN)
    if link.kind is not LinkKind.PUBSUB:
        suspect(machine, owner)
    _schedule_reconnect(machine, owner)


def suspect(machine: Machine, owner: LinkOwner) -> None:
    """Let down-after run from now, unless it runs already.

    Every PING that is sent starts it and its reply ends it, so the first unanswered one counts; so
    does a connection lost, when there is none to send a PING over.
    """
    link = owner.link
    if link.suspect_since_ms is None:
        link.suspect_since_ms = machine.now_ms
    masters = machine.state.masters
    if owner.node is not None:
        node = owner.node
        silent_since_ms = silence_began_ms(machine, node)
        assert silent_since_ms is not None
        deadline_ms = silent_since_ms + masters[node.name].options.down_after_ms
        machine.timers.set_earlier(Timer(TimerKind.NODE_DOWN, node.name, node.address), deadline_ms)
        return
    assert owner.peer_link is not None
    timer = Timer(TimerKind.PEER_DOWN, "", owner.peer_link.run_id)
    machine.timers.set_earlier(timer, link.suspect_since_ms + down_after_ms(machine, owner))


def end_suspicion(machine: Machine, link: Link) -> None:
    """What is behind a link has answered: note how near it was to being held down."""
    now_ms = machine.now_ms
    if now_ms - link.window_since_ms >= SUSPICION_WINDOW_MS:
        is_next = now_ms - link.window_since_ms < 2 * SUSPICION_WINDOW_MS
        link.suspected_most_before_ms = link.suspected_most_ms if is_next else 0
        link.suspected_most_ms = 0
        link.window_since_ms = now_ms
    if link.suspect_since_ms is not None:
        link.suspected_most_ms = max(link.suspected_most_ms, now_ms - link.suspect_since_ms)
        link.suspect_since_ms = None


def longest_suspicion_ms(link: Link, now_ms: int) -> int:
    """The longest that a PING waited lately: for five to ten minutes back, and still waiting."""
    most_ms = 0 if link.suspect_since_ms is None else now_ms - link.suspect_since_ms
    window_ms = now_ms - link.window_since_ms
    if window_ms < 2 * SUSPICION_WINDOW_MS:
        most_ms = max(most_ms, link.suspected_most_ms)
    if window_ms < SUSPICION_WINDOW_MS:
        most_ms = max(most_ms, link.suspected_most_before_ms)
    return most_ms


def silence_began_ms(machine: Machine, node: Node) -> int | None:
    """When down-after began to run for a node; None while every PING was answered in its time.

    For a replica that is the first unanswered PING. A master's last answer was its last sign of
    life, so for it that counts; but never more than one period before the unanswered PING, lest a
    PING that *we* sent late be held against it. The pause of a healthy master must therefore last
    nine tenths of down-after before it can be taken for a death.
    """
    link = node.link
    suspect_since_ms = link.suspect_since_ms
    master = machine.master_of(node)
    if suspect_since_ms is None or master.node is not node:
        return suspect_since_ms
    if link.last_valid_pong_ms == 0:
        return suspect_since_ms  # never since it is known, or was met anew after a reset
    answered_ms = max(link.last_valid_pong_ms, master.switched_ms)
    longest_ms = machine.state.periods.ping_period_ms
    period_ms = master_ping_period_ms(master.options.down_after_ms, longest_ms)
    return min(suspect_since_ms, max(answered_ms, suspect_since_ms - period_ms))


def refused_long_enough(link: Link, refused_after_ms: int) -> bool:
    """Whether connections were refused often enough, and over a long enough time, to prove it."""
    if refused_after_ms == 0 or link.refused_since_ms is None:
        return False
    refused_for_ms = link.refused_last_ms - link.refused_since_ms
    return link.refusal_count >= REFUSALS_MIN and refused_for_ms >= refused_after_ms


def restart_refusals(machine: Machine, link: Link) -> None:
    """Have the time of a row of refusals begin now: what lies before proves nothing."""
    if link.refused_since_ms is not None:
        link.refused_since_ms = link.refused_last_ms = machine.now_ms


def end_refusals(link: Link) -> None:
    """Forget a row of refusals."""
    link.refused_since_ms = None
    link.refusal_count = 0


def close(machine: Machine, owner: LinkOwner, *, forever: bool = False) -> None:
    """Give up the connection, to make a new one or for good."""
    link = owner.link
    machine.timers.cancel(owner.timer)
    if link.id is not None:
        machine.act(Disconnect(link.id))
        machine.forget_link(link)
        _become(machine, link, LinkStatus.DOWN)
    if forever:
        machine.unreached.discard(owner.timer)
    else:
        _schedule_reconnect(machine, owner)


def close_node(machine: Machine, node: Node, *, forever: bool = False) -> None:
    """Give up both connections to a node."""
    close(machine, pubsub_owner(node), forever=True)
    close(machine, command_owner(node), forever=forever)
    if forever:
        for kind in (TimerKind.INFO, TimerKind.NODE_HELLO, TimerKind.NODE_DOWN):
            machine.timers.cancel(Timer(kind, node.name, node.address))


def forget_peer(machine: Machine, peer: PeerSentinel) -> None:
    """Take a fellow sentinel out of one master's view; the last view closes the link."""
    del machine.master_of(peer).peers[peer.run_id]
    machine.timers.cancel(Timer(TimerKind.PEER_HELLO, peer.name, peer.run_id))
    peer.peer_link.masters.discard(peer.name)
    peer.peer_link.down_for.discard(peer.name)
    peer.peer_link.shortest_down_after_ms = None
    if not peer.peer_link.masters:
        machine.timers.cancel(Timer(TimerKind.PEER_DOWN, "", peer.run_id))
        close(machine, peer_owner(peer.peer_link), forever=True)
        del machine.state.peer_links[peer.run_id]


def mark_sound(link: Link) -> None:
    """The link has proved to work: the next loss is followed up at once."""
    link.failed_attempts = 0


def _schedule_reconnect(machine: Machine, owner: LinkOwner) -> None:
    link = owner.link
    if link.kind is LinkKind.PUBSUB and (owner.node is None or not owner.node.link.is_up):
        return  # made again when the command link is up
    delay_ms = reconnect_delay_ms(link.failed_attempts)
    if link.failed_attempts > 0:
        machine.unreached.add(owner.timer)
        if not _gathers_refusals(machine, owner):
            shared_ms = len(machine.unreached) * RECONNECT_SHARE_MS
            delay_ms = max(delay_ms, min(shared_ms, RECONNECT_SLOW_MS))
    link.failed_attempts += 1
    machine.timers.set(owner.timer, machine.now_ms + delay_ms)


def _gathers_refusals(machine: Machine, owner: LinkOwner) -> bool:
    """Whether each refusal may be the one that proves a master dead."""
    if owner.node is None or owner.node.is_s_down:
        return False
    master = machine.master_of(owner.node)
    return owner.node is master.node and master.options.refused_after_ms > 0


def _become(machine: Machine, link: Link, status: LinkStatus) -> None:
    assert status in LEGAL[link.status], f"{link.status} -> {status}"
    link.status = status
    link.status_since_ms = machine.now_ms


def _setup_commands(machine: Machine, owner: LinkOwner) -> tuple[tuple[bytes, ...], ...]:
    state = machine.state
    if owner.node is not None:
        options = state.masters[owner.node.name].options
        user, password = options.auth_user, options.auth_pass
    else:
        user, password = state.options.peer_credentials
    suffix = "pubsub" if owner.link.kind is LinkKind.PUBSUB else "cmd"
    name = f"sentinel-{state.my_id[:8]}-{suffix}".encode()
    commands: list[tuple[bytes, ...]] = []
    if password is not None:
        commands.append(
            (b"AUTH", password) if user is None else (b"AUTH", user, password),
        )
    commands.append((b"CLIENT", b"SETNAME", name))
    if owner.link.kind is LinkKind.PUBSUB:
        commands.append((b"SUBSCRIBE", HELLO_CHANNEL))
    if owner.node is not None:
        return tuple(rename(machine, owner.node, command) for command in commands)
    commands.append((b"INFO", b"server"))
    return tuple(commands)


def rename(machine: Machine, node: Node, command: tuple[bytes, ...]) -> tuple[bytes, ...]:
    """The command as this node knows it (`sentinel rename-command`)."""
    renamed = machine.master_of(node).options.renamed_commands
    if not renamed:
        return command
    return (renamed.get(command[0], command[0]), *command[1:])
