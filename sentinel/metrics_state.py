"""What there is to measure about a sentinel, as plain numbers and names.

Owns the choice of facts, not their names in an exposition: that is `monitoring`'s, which may not
import a sentinel and is handed these records. Pure; counted anew for every scrape.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from vedette.info import parse_info
from vedette.types import Address, RunId

from .commands.queries import quorum_text
from .core import links, opinions, selection, views
from .core.actions import Publish
from .core.distrust import Disbelief
from .core.history import FailoverRecord
from .core.model import FailoverState, Master, Node, PeerSentinel, SentinelState


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplicaMetrics:
    """One replica of a master."""

    address: Address
    is_s_down: bool
    is_connected: bool
    is_master_link_up: bool
    priority: int
    repl_offset: int


@dataclass(frozen=True, slots=True, kw_only=True)
class PeerMetrics:
    """One fellow sentinel, as it is known for a master."""

    run_id: RunId
    address: Address
    flags: str
    is_s_down: bool
    last_hello_age_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class InstanceMetrics:
    """A node or fellow sentinel of a master."""

    #: Its address, or a sentinel's run id.
    name: str
    #: `master`, `replica` or `sentinel`.
    kind: str
    address: Address
    is_s_down: bool
    #: Since it last answered a PING well.
    ok_ping_age_ms: int
    #: Connection -> whether it is up.
    links: Mapping[str, bool]
    #: Since its last INFO, or a sentinel's last hello.
    heard_age_ms: int | None
    #: Of a replica: by how much it is behind the one that has most.
    behind_bytes: int | None = None
    #: Commands sent over its connections and not answered.
    pending_count: int = 0
    #: Of a sentinel: hello messages heard of it.
    hello_count: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class LastFailoverMetrics:
    """The newest failover that has ended the old master's reign."""

    votes: int
    needed_votes: int
    lost_bytes: int | None
    discarded_bytes: int | None
    pause_s: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class MasterMetrics:
    """One monitored master."""

    name: str
    address: Address
    #: `ok`, `sdown` or `odown`.
    status: str
    quorum: int
    down_after_ms: int
    failover_timeout_ms: int
    parallel_syncs: int
    config_epoch: int
    leader_epoch: int
    #: Redis' name of the state our own failover is in; `none` outside of one.
    failover_state: str
    failover_state_age_ms: int
    #: The longest that a PING to the master waited lately, by down-after.
    detection_margin: float
    last_ok_ping_age_ms: int
    #: Sentinels that live, this one included; how many are known; how many a failover needs.
    usable_sentinels: int
    known_sentinels: int
    needed_sentinels: int
    has_quorum: bool
    has_majority: bool
    #: What SENTINEL CKQUORUM answers.
    quorum_text: str
    replicas: tuple[ReplicaMetrics, ...]
    peers: tuple[PeerMetrics, ...]
    #: Sentinels that hold it down, that do not answer, that are to be forgotten, that name another.
    down_count: int
    ghost_count: int
    leaving_count: int
    differing_count: int
    instances: tuple[InstanceMetrics, ...]
    #: Reason -> replicas that may not be promoted for it; all reasons there are.
    excluded: Mapping[str, int]
    last_failover: LastFailoverMetrics | None

    @property
    def is_failing_over(self) -> bool:
        """Whether this sentinel leads, or stands for, a failover of the master."""
        return self.failover_state != FailoverState.NONE.value


@dataclass(frozen=True, slots=True, kw_only=True)
class SaveMetrics:
    """How saving the state has gone since the start."""

    saved_count: int
    failed_count: int
    last_duration_s: float
    is_failing: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class MetricsState:
    """All facts of one moment."""

    my_id: RunId
    current_epoch: int
    is_in_tilt: bool
    #: The time in tilt, the present one included.
    tilted_s: float
    #: Votes that fellows told of: for this sentinel, for others.
    votes_for_us: int
    votes_for_others: int
    #: The fields of this sentinel's own INFO.
    info: Mapping[str, str]
    masters: tuple[MasterMetrics, ...]
    #: By master: whether a fellow names another address in the same epoch.
    conflicts: Mapping[str, bool]
    #: By master: its addresses at which another's data were found.
    foreign_nodes: Mapping[str, int]
    saves: SaveMetrics
    #: Events since the start, by name (`+switch-master`).
    event_counts: Mapping[str, int]
    #: By kind: what others sent that was not believed.
    refused_inputs: Mapping[str, int]


def metrics_state(
    state: SentinelState,
    now_ms: int,
    *,
    info: str,
    saves: SaveMetrics,
    event_counts: Mapping[str, int],
) -> MetricsState:
    """Return the facts of a sentinel whose INFO is `info`; `now_ms` is the machine's time."""
    return MetricsState(
        my_id=state.my_id,
        current_epoch=state.current_epoch,
        is_in_tilt=state.tilt_since_ms is not None,
        tilted_s=_tilted_ms(state, now_ms) / 1000,
        votes_for_us=state.votes_for_us,
        votes_for_others=state.votes_for_others,
        info=parse_info(info),
        conflicts={
            name: master.conflict_since_ms is not None for name, master in state.masters.items()
        },
        foreign_nodes={
            name: sum(node.is_foreign for node in master.replicas.values())
            for name, master in state.masters.items()
        },
        masters=tuple(_master(state, master, now_ms) for master in state.masters.values()),
        saves=saves,
        event_counts=dict(event_counts),
        refused_inputs={kind.value: state.refused_counts.get(kind.value, 0) for kind in Disbelief},
    )


def _tilted_ms(state: SentinelState, now_ms: int) -> int:
    present_ms = 0 if state.tilt_since_ms is None else now_ms - state.tilt_since_ms
    return state.tilted_ms + present_ms


def _master(state: SentinelState, master: Master, now_ms: int) -> MasterMetrics:
    check = views.quorum_check(master)
    return MasterMetrics(
        name=master.name,
        address=master.address,
        status=views.master_status(master),
        quorum=master.options.quorum,
        down_after_ms=master.options.down_after_ms,
        failover_timeout_ms=master.options.failover_timeout_ms,
        parallel_syncs=master.options.parallel_syncs,
        config_epoch=master.config_epoch,
        leader_epoch=master.vote.leader_epoch,
        failover_state=master.failover.state.value,
        failover_state_age_ms=now_ms - master.failover.state_since_ms,
        detection_margin=links.longest_suspicion_ms(master.node.link, now_ms)
        / master.options.down_after_ms,
        last_ok_ping_age_ms=views.ok_pong_age_ms(master.node.link, now_ms),
        usable_sentinels=check.usable,
        known_sentinels=check.voters,
        needed_sentinels=max(check.quorum, check.voters // 2 + 1),
        has_quorum=check.has_quorum,
        has_majority=check.has_majority,
        quorum_text=quorum_text(check),
        replicas=tuple(_replica(replica) for replica in master.replicas.values()),
        peers=tuple(_peer(peer, now_ms) for peer in master.peers.values()),
        down_count=opinions.count_down(master),
        ghost_count=check.voters - check.usable,
        leaving_count=len(master.leaving),
        differing_count=sum(
            peer.hello_master_address not in (None, master.address)
            for peer in master.peers.values()
        ),
        instances=tuple(_instances(master, now_ms)),
        excluded=_excluded(state, master, now_ms),
        last_failover=_last_failover(master),
    )


def _instances(master: Master, now_ms: int) -> Iterator[InstanceMetrics]:
    most = max((node.repl_offset for node in master.replicas.values()), default=0)
    for node in master.nodes():
        is_master = node is master.node
        yield InstanceMetrics(
            name=str(node.address),
            kind="master" if is_master else "replica",
            address=node.address,
            ok_ping_age_ms=views.ok_pong_age_ms(node.link, now_ms),
            is_s_down=node.is_s_down,
            links={"command": node.link.is_up, "pubsub": node.pubsub.is_up},
            heard_age_ms=None if node.info_refresh_ms is None else now_ms - node.info_refresh_ms,
            behind_bytes=None if is_master else most - node.repl_offset,
            pending_count=node.link.pending_count + node.pubsub.pending_count,
        )
    for peer in master.peers.values():
        yield InstanceMetrics(
            name=peer.run_id,
            kind="sentinel",
            address=peer.address,
            ok_ping_age_ms=views.ok_pong_age_ms(peer.link, now_ms),
            is_s_down=peer.is_s_down,
            links={"command": peer.link.is_up},
            heard_age_ms=now_ms - peer.last_hello_ms if peer.last_hello_ms else None,
            pending_count=peer.link.pending_count,
            hello_count=peer.hello_count,
        )


def _excluded(state: SentinelState, master: Master, now_ms: int) -> dict[str, int]:
    counts = {reason.name.lower(): 0 for reason in selection.Unfit}
    for node in master.replicas.values():
        reason = selection.unfit(master, node, now_ms, state.periods)
        if reason is not None:
            counts[reason.name.lower()] += 1
    return counts


def _last_failover(master: Master) -> LastFailoverMetrics | None:
    for record in reversed(master.history):
        if record.has_switched:
            return LastFailoverMetrics(
                votes=record.votes,
                needed_votes=record.needed_votes,
                lost_bytes=record.estimated_lost_bytes,
                discarded_bytes=record.discarded_bytes,
                pause_s=None if record.pause_ms is None else record.pause_ms / 1000,
            )
    return None


def _replica(replica: Node) -> ReplicaMetrics:
    return ReplicaMetrics(
        address=replica.address,
        is_s_down=replica.is_s_down,
        is_connected=replica.is_connected,
        is_master_link_up=replica.is_master_link_up,
        priority=replica.priority,
        repl_offset=replica.repl_offset,
    )


def _peer(peer: PeerSentinel, now_ms: int) -> PeerMetrics:
    return PeerMetrics(
        run_id=peer.run_id,
        address=peer.address,
        flags=",".join(views.peer_flags(peer)),
        is_s_down=peer.is_s_down,
        last_hello_age_ms=now_ms - peer.last_hello_ms,
    )


def cause_of(state: SentinelState, event: Publish) -> str | None:
    """Return what caused the failover that `event` begins, in the words of `history.Cause`."""
    record = _record_about(state, event, b"+try-failover")
    return None if record is None else record.cause.value


def choice_of(state: SentinelState, event: Publish) -> str | None:
    """Return why the replica was chosen that `event` says is promoted: see `selection.REASONS`."""
    record = _record_about(state, event, b"+promoted-slave")
    return None if record is None else record.chosen_by or None


def defeat_of(state: SentinelState, event: Publish) -> str | None:
    """Return why the election was not won that `event` ends, in the words of `history.Defeat`."""
    record = _record_about(state, event, b"-failover-abort-not-elected")
    return None if record is None else record.defeat.value


def _record_about(state: SentinelState, event: Publish, name: bytes) -> FailoverRecord | None:
    master = state.masters.get(event.master or "")
    if event.event != name or master is None or not master.history:
        return None
    return master.history[-1]


def suspected_since_ms(state: SentinelState, event: Publish) -> int | None:
    """Return since when a master has been suspected that `event` just declared down, or None."""
    master = state.masters.get(event.master or "")
    is_about_master = event.event == b"+sdown" and event.payload.startswith(b"master ")
    if master is None or not is_about_master:
        return None
    return master.node.link.suspect_since_ms
