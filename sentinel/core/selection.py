"""Which replica becomes master: who may, and who of them first.

Pure: decides, sends nothing. Reference: `sentinel.c: sentinelSelectSlave`; differences are numbered
where they stand.
"""

from __future__ import annotations

from enum import Enum
from typing import Final

from . import lineage
from .model import Master, Node, Role
from .timing import DEFAULT_PERIODS, SILENCE_MS, Periods

#: The limit on a link down counts from before the master's failure by this many down-afters.
_LINK_DOWN_FACTOR: Final = 10


#: Why a replica was chosen: nobody else could be, it was master already, its data are of the
#: present history, its priority, its offset, the silence of the others, and what is left to tell
#: equals apart.
REASONS: Final = ("only_candidate", "role", "history", "priority", "offset", "silence", "run_id")
#: The same by place in `_rank`.
_REASON_OF_PLACE: Final = (
    "role", "history", "history", "history", "priority", "offset", "silence",
    "run_id", "run_id", "run_id",
)  # fmt: skip


class Unfit(Enum):
    """Why a replica cannot be promoted now."""

    DOWN = "subjectively down"
    DISCONNECTED = "command link not up"
    SILENT = "no acceptable reply to PING in 5 s"
    NEVER = "priority 0"
    INFO_STALE = "INFO too old"
    FOREIGN = "holds data of another master"
    UNSYNCED = "has not got the master's data"
    LOADING = "is loading its data"
    SYNCING = "is in the middle of a full synchronisation"
    LINK_DOWN_TOO_LONG = "was cut from the master long before the master failed"
    REFUSED = "refused or missed a promotion a moment ago"


def unfit(
    master: Master, replica: Node, now_ms: int, periods: Periods = DEFAULT_PERIODS
) -> Unfit | None:
    """Why this replica may not be promoted, or None if it may.

    (1) Redis also wants the pub/sub link up. A promotion needs the command link alone, and the
    other is the first to be missing after a reconfiguration that kills clients.
    """
    if replica.is_s_down:
        return Unfit.DOWN
    if not replica.link.is_up:
        return Unfit.DISCONNECTED
    if now_ms - replica.link.last_valid_pong_ms > periods.candidate_pong_age_ms:
        return Unfit.SILENT
    if replica.priority == 0:
        return Unfit.NEVER
    # With the master down INFO comes every second; a replica that misses several is not well.
    info_age_max_ms = (
        periods.candidate_pong_age_ms if master.is_s_down else periods.candidate_info_age_ms
    )
    if replica.info_refresh_ms is None or now_ms - replica.info_refresh_ms > info_age_max_ms:
        return Unfit.INFO_STALE
    if (why := _unfit_data(master, replica)) is not None:
        return why
    if replica.master_link_down_ms > _link_down_max_ms(master, now_ms):
        return Unfit.LINK_DOWN_TOO_LONG
    return Unfit.REFUSED if is_set_aside(master, replica, now_ms) else None


def is_set_aside(master: Master, replica: Node, now_ms: int) -> bool:
    """Whether the replica refused or missed its promotion a moment ago."""
    return master.failover.refused.get(replica.address, now_ms) > now_ms


def _unfit_data(master: Master, replica: Node) -> Unfit | None:
    """What is wrong with the data it holds; Redis looks at offsets alone.

    A replica gets the id of its master's history with its first full synchronisation, so one that
    shares none has never ended one. Its word is taken if it has had its link to our master up: a
    master begins a new history for its first replica, and may die before it told us.
    """
    dataset = replica.dataset
    if dataset.is_loading:
        return Unfit.LOADING
    has_master_lost = master.node.lost_data_ms is not None
    if dataset.is_syncing and not has_master_lost:
        return Unfit.SYNCING  # from an empty master: while it transfers, the old data are there
    if not (dataset.replid and master.lineage.current) or master.lineage.has(dataset):
        return None
    if replica.is_foreign:
        return Unfit.FOREIGN
    if has_master_lost:
        return Unfit.UNSYNCED
    if replica.role_reported is Role.MASTER:
        return None if dataset.key_count else Unfit.UNSYNCED
    has_followed = lineage.is_ours(master, replica.master_address) and not dataset.is_never_linked
    return None if has_followed else Unfit.UNSYNCED


def _link_down_max_ms(master: Master, now_ms: int) -> int:
    """How long a replica may have been without the master: not much longer than that is down.

    (2) Redis takes the start of its own SDOWN for the master's failure. A sentinel that started
    later never saw the master alive and would find every replica cut off too long, for ever; it
    goes by the replica that lost the master last.
    """
    allowance_ms = _LINK_DOWN_FACTOR * master.options.down_after_ms
    if master.node.s_down_since_ms is None:
        return allowance_ms
    if master.node.link.last_valid_pong_ms == 0:
        return allowance_ms + min(node.master_link_down_ms for node in master.replicas.values())
    return allowance_ms + now_ms - master.node.s_down_since_ms


def candidates(master: Master, now_ms: int, periods: Periods = DEFAULT_PERIODS) -> list[Node]:
    """The replicas that may be promoted, best first."""
    fit = [
        node for node in master.replicas.values() if unfit(master, node, now_ms, periods) is None
    ]
    return sorted(fit, key=lambda node: _rank(master, node, now_ms))


def is_suspect(node: Node, now_ms: int) -> bool:
    """Whether it has answered nothing for longer than one that works would take."""
    since_ms = node.link.suspect_since_ms
    return since_ms is not None and now_ms - since_ms >= SILENCE_MS


def holds_as_much(master: Master, node: Node, other: Node) -> bool:
    """Whether nothing is lost by promoting `node` in the place of `other`."""
    is_of_no_less = _standing(master, node) <= _standing(master, other)
    return is_of_no_less and node.repl_offset >= other.repl_offset


def decided_by(master: Master, ranked: list[Node], now_ms: int) -> str:
    """What set the best of some candidates apart from the second: a word of `REASONS`."""
    if len(ranked) == 1:
        return REASONS[0]
    first, second = (_rank(master, node, now_ms) for node in ranked[:2])
    differs = [one != other for one, other in zip(first, second, strict=True)]
    return _REASON_OF_PLACE[differs.index(True)]


def _rank(
    master: Master, node: Node, now_ms: int
) -> tuple[int, bool, bool, bool, int, int, bool, bool, str, str]:
    """Sort key: Redis' priority, offset, run id; then the address, so that no two are equal.

    Before all that comes the standing. Of equals those come last that are silent (3): what took the
    master often took replicas with it, and they are no more than suspects yet.
    """
    return (
        *_standing(master, node),
        node.priority,
        -node.repl_offset,
        is_suspect(node, now_ms),
        not node.run_id,
        node.run_id,
        str(node.address),
    )


def _standing(master: Master, node: Node) -> tuple[int, bool, bool, bool]:
    """How close a node is to being the master already, and to the master's data.

    (4) First what role the node has. One that was promoted since the master went down, by a leader
    that died over it, or that the master itself follows, is the master already for whoever asks it.
    One that claims the role otherwise is a stray whose offset says nothing; it comes last. Then,
    who has the master's present history: offsets in an older one are no measure of what was
    acknowledged in it. A sentinel that never saw the master alive knows no history; it goes by whom
    a replica follows, since another deployment's at a reused address follows another.
    """
    old = master.node
    is_master = node.role_reported is Role.MASTER
    is_followed = old.role_reported is Role.REPLICA and old.master_address == node.address
    if is_followed and (is_master or old.is_failing_over):
        role_rank = 0  # the master has handed over to it, or would not have begun to follow it
    elif is_master:
        down_since_ms = old.s_down_since_ms
        is_successor = (
            node.turned_master_ms is not None
            and down_since_ms is not None
            and node.turned_master_ms >= down_since_ms
        )
        role_rank = 0 if is_successor else 2
    else:
        role_rank = 1
    return (
        role_rank,
        node.dataset.is_syncing,  # may throw its data away before the order comes
        not lineage.is_level(master, node.dataset),
        not master.lineage.current and not lineage.seems_ours(master, node),
    )
