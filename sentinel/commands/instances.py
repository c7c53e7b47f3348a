"""Masters, replicas and fellow sentinels as SENTINEL's maps: which fields, in which order.

Clients index into the flat RESP2 reply by position, so the order is part of the protocol. Every
value is a bulk string, numbers too. Follows Redis' `sentinel.c: addReplySentinelRedisInstance`.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TypeAlias

from sentinel.core import views
from sentinel.core.hosts import shown
from sentinel.core.link_state import Link
from sentinel.core.model import FailoverState, Master, Node, PeerSentinel, SentinelState
from vedette.conf.quoting import encode_word
from vedette.resp.replies import MapReply

Field: TypeAlias = tuple[str, str | int]


def master_map(state: SentinelState, master: Master, now_ms: int) -> MapReply:
    """Return a master as SENTINEL MASTER shows it."""
    return _map(_master_fields(state, master, now_ms))


def replica_map(state: SentinelState, master: Master, replica: Node, now_ms: int) -> MapReply:
    """Return a replica as SENTINEL REPLICAS shows it."""
    return _map(_replica_fields(state, master, replica, now_ms))


def peer_map(state: SentinelState, master: Master, peer: PeerSentinel, now_ms: int) -> MapReply:
    """Return a fellow sentinel as SENTINEL SENTINELS shows it."""
    return _map(_peer_fields(state, master, peer, now_ms))


def _map(fields: Iterator[Field]) -> MapReply:
    return MapReply([(name.encode(), encode_word(str(value))) for name, value in fields])


def _master_fields(state: SentinelState, master: Master, now_ms: int) -> Iterator[Field]:
    node, options = master.node, master.options
    yield "name", master.name
    yield from _identity(state, node, views.master_flags(master))
    yield "link-pending-commands", node.link.pending_count
    yield "link-refcount", 1
    if master.failover.state is not FailoverState.NONE:
        yield "failover-state", master.failover.state.value
    yield from _health(node.link, node.s_down_since_ms, now_ms)
    if master.o_down_since_ms is not None:
        yield "o-down-time", now_ms - master.o_down_since_ms
    yield "down-after-milliseconds", options.down_after_ms
    yield from _role(master, node, now_ms)
    yield "config-epoch", master.config_epoch
    yield "num-slaves", len(master.replicas)
    yield "num-other-sentinels", len(master.peers)
    yield "quorum", options.quorum
    yield "failover-timeout", options.failover_timeout_ms
    yield "parallel-syncs", options.parallel_syncs
    if options.notification_script:
        yield "notification-script", options.notification_script
    if options.client_reconfig_script:
        yield "client-reconfig-script", options.client_reconfig_script


def _replica_fields(
    state: SentinelState, master: Master, replica: Node, now_ms: int
) -> Iterator[Field]:
    followed = replica.master_address
    host, port = ("?", 0) if followed is None else shown(state, followed)
    yield "name", str(shown(state, replica.address))
    yield from _identity(state, replica, views.replica_flags(master, replica))
    yield "link-pending-commands", replica.link.pending_count
    yield "link-refcount", 1
    yield from _health(replica.link, replica.s_down_since_ms, now_ms)
    yield "down-after-milliseconds", master.options.down_after_ms
    yield from _role(master, replica, now_ms)
    yield "master-link-down-time", replica.master_link_down_ms
    yield "master-link-status", "ok" if replica.is_master_link_up else "err"
    yield "master-host", host
    yield "master-port", port
    yield "slave-priority", replica.priority
    yield "slave-repl-offset", replica.repl_offset
    yield "replica-announced", int(replica.is_announced)


def _peer_fields(
    state: SentinelState, master: Master, peer: PeerSentinel, now_ms: int
) -> Iterator[Field]:
    yield "name", peer.run_id
    host, port = shown(state, peer.address)
    yield "ip", host
    yield "port", port
    yield "runid", peer.run_id
    yield "flags", ",".join(views.peer_flags(peer))
    yield "link-pending-commands", peer.link.pending_count
    yield "link-refcount", peer.peer_link.refcount
    yield from _health(peer.link, peer.s_down_since_ms, now_ms)
    yield "down-after-milliseconds", master.options.down_after_ms
    yield "last-hello-message", now_ms - peer.last_hello_ms
    yield "voted-leader", peer.voted_leader or "?"
    yield "voted-leader-epoch", peer.voted_leader_epoch


def _identity(state: SentinelState, node: Node, flags: tuple[str, ...]) -> Iterator[Field]:
    host, port = shown(state, node.address)
    yield "ip", host
    yield "port", port
    yield "runid", node.run_id
    yield "flags", ",".join(flags)


def _health(link: Link, s_down_since_ms: int | None, now_ms: int) -> Iterator[Field]:
    suspect_ms = link.suspect_since_ms
    yield "last-ping-sent", 0 if suspect_ms is None else now_ms - suspect_ms
    yield "last-ok-ping-reply", views.ok_pong_age_ms(link, now_ms)
    yield "last-ping-reply", views.pong_age_ms(link, now_ms)
    if s_down_since_ms is not None:
        yield "s-down-time", now_ms - s_down_since_ms


def _role(master: Master, node: Node, now_ms: int) -> Iterator[Field]:
    refreshed_ms = node.info_refresh_ms
    yield "info-refresh", 0 if refreshed_ms is None else now_ms - refreshed_ms
    yield "role-reported", views.role_reported(master, node).value
    yield "role-reported-time", now_ms - node.role_reported_ms
