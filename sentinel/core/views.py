"""Read-only answers about the state, for SENTINEL commands, INFO and metrics.

Pure functions of the model; the wire shape (maps, texts) belongs to `sentinel.commands`.
"""

from __future__ import annotations

from dataclasses import dataclass

from .link_state import Link
from .model import FailoverState, Master, Node, PeerSentinel, ReconfState, Role, SentinelState

#: States in which SENTINEL FAILOVER is refused and the flag failover_in_progress is shown.
_IN_PROGRESS = frozenset(FailoverState) - {FailoverState.NONE}


def master_flags(master: Master) -> tuple[str, ...]:
    """The `flags` of SENTINEL MASTER, in Redis' order."""
    flags = []
    if master.is_s_down:
        flags.append("s_down")
    if master.is_o_down:
        flags.append("o_down")
    flags.append("master")
    if not master.node.is_connected:
        flags.append("disconnected")
    if master.failover.state in _IN_PROGRESS:
        flags.append("failover_in_progress")
        if master.failover.is_forced:
            flags.append("force_failover")
    if master.node.is_script_kill_sent:
        flags.append("script_kill_sent")
    if master.node.rebooted_ms is not None:
        flags.append("master_reboot")
    return tuple(flags)


def replica_flags(master: Master, replica: Node) -> tuple[str, ...]:
    """The `flags` of one entry of SENTINEL REPLICAS."""
    flags = []
    if replica.is_s_down:
        flags.append("s_down")
    flags.append("slave")
    if not replica.is_connected:
        flags.append("disconnected")
    if replica.address == master.failover.promoted:
        flags.append("promoted")
    if replica.reconf is not ReconfState.NONE:
        flags.append(replica.reconf.value)
    if replica.is_script_kill_sent:
        flags.append("script_kill_sent")
    return tuple(flags)


def peer_flags(peer: PeerSentinel) -> tuple[str, ...]:
    """The `flags` of one entry of SENTINEL SENTINELS."""
    flags = []
    if peer.is_s_down:
        flags.append("s_down")
    flags.append("sentinel")
    if not peer.link.is_up:
        flags.append("disconnected")
    if peer.says_down:
        flags.append("master_down")
    return tuple(flags)


def master_status(master: Master) -> str:
    """`status` in INFO's sentinel section: ok, sdown or odown."""
    if master.is_o_down:
        return "odown"
    return "sdown" if master.is_s_down else "ok"


def role_reported(master: Master, node: Node) -> Role:
    """The role to show: what INFO said, or what the node is taken for until it was read."""
    if node.role_reported is not None:
        return node.role_reported
    return Role.MASTER if node is master.node else Role.REPLICA


@dataclass(frozen=True, slots=True)
class QuorumCheck:
    """What SENTINEL CKQUORUM is about; `usable` and `voters` count ourselves."""

    usable: int
    voters: int
    quorum: int

    @property
    def has_quorum(self) -> bool:
        """Whether enough sentinels live to call the master objectively down."""
        return self.usable >= self.quorum

    @property
    def has_majority(self) -> bool:
        """Whether enough sentinels live to elect a leader."""
        return self.usable >= self.voters // 2 + 1


def quorum_check(master: Master) -> QuorumCheck:
    """Count the sentinels that are not subjectively down."""
    usable = 1 + sum(not peer.is_s_down for peer in master.peers.values())
    return QuorumCheck(usable, master.known_sentinels, master.options.quorum)


def tilt_since_seconds(state: SentinelState, now_ms: int) -> int:
    """`sentinel_tilt_since_seconds`: -1 outside of tilt."""
    if state.tilt_since_ms is None:
        return -1
    return (now_ms - state.tilt_since_ms) // 1000


def ok_pong_age_ms(link: Link, now_ms: int) -> int:
    """How long ago a PING was last answered acceptably; never: since the first attempt."""
    return now_ms - (link.last_valid_pong_ms or link.opened_ms or now_ms)


def pong_age_ms(link: Link, now_ms: int) -> int:
    """The same for an answer of any kind."""
    return now_ms - (link.last_pong_ms or link.opened_ms or now_ms)
