"""Why things are as they are: who believes what, who would be promoted, what a failover waits for.

Pure functions of the state, for SENTINEL EXPLAIN. They ask the same functions that decide
(`selection`, `election`), so that an explanation cannot differ from what will be done.
"""

from __future__ import annotations

from dataclasses import dataclass

from vedette.types import Address, RunId

from . import opinions, selection
from .model import FailoverState, Master, Node, SentinelState
from .views import QuorumCheck, quorum_check


@dataclass(frozen=True, slots=True, kw_only=True)
class Opinion:
    """What one sentinel thinks of the master, as far as we know; ourselves included."""

    run_id: RunId
    address: Address | None  # None: ourselves
    #: `up`, or why it cannot be asked: `down` (subjectively), `disconnected`.
    state: str
    says_down: bool
    #: How old its word on that is; None: it was not asked, or has said nothing that still counts.
    age_ms: int | None
    voted_leader: RunId | None
    voted_epoch: int
    #: The master's address and the configuration's epoch in its last hello; our own for ourselves.
    master_address: Address | None
    config_epoch: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """One replica; the first with `rank` 1 would be promoted now."""

    address: Address
    #: 1 is promoted first; 0: not at all, see `reason`.
    rank: int
    #: Why it may not be promoted, or why another comes before it; "" for the first.
    reason: str
    priority: int
    repl_offset: int
    #: Since its INFO was read; None: never.
    info_age_ms: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Prospect:
    """Whether a failover runs or will, and what for it waits."""

    #: One word: idle, waiting, running.
    status: str
    text: str
    #: When the next attempt may begin, in ms from now; None: nothing is planned.
    next_attempt_in_ms: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """All that bears on the next failover of one master."""

    prospect: Prospect
    check: QuorumCheck
    #: Sentinels that hold it down, ourselves included; and votes for us in our own election.
    down_count: int
    votes: int
    needed_votes: int
    opinions: tuple[Opinion, ...]
    candidates: tuple[Candidate, ...]


def explain(state: SentinelState, master: Master, now_ms: int) -> Explanation:
    """Explain one master's situation; `now_ms` is the machine's time."""
    ranked = selection.candidates(master, now_ms, state.periods)
    is_standing = master.failover.state is FailoverState.WAIT_START
    return Explanation(
        prospect=_prospect(state, master, ranked, now_ms),
        check=quorum_check(master),
        down_count=opinions.count_down(master),
        votes=_votes_for_us(state, master) if is_standing else 0,
        needed_votes=opinions.needed_votes(master),
        opinions=(_own_opinion(state, master), *_opinions(master, now_ms)),
        candidates=tuple(_candidates(state, master, ranked, now_ms)),
    )


def _votes_for_us(state: SentinelState, master: Master) -> int:
    epoch, vote = master.failover.epoch, master.vote
    is_own = (vote.leader, vote.leader_epoch) == (state.my_id, epoch)
    return int(is_own and vote.save_id <= state.saved_id) + sum(
        (peer.answered_epoch, peer.voted_leader, peer.voted_leader_epoch)
        == (epoch, state.my_id, epoch)
        for peer in master.peers.values()
    )


# -- who thinks what -------------------------------------------------------------------------------


def _own_opinion(state: SentinelState, master: Master) -> Opinion:
    return Opinion(
        run_id=state.my_id,
        address=None,
        state="up",
        says_down=master.is_s_down,
        age_ms=0,
        voted_leader=master.vote.leader,
        voted_epoch=master.vote.leader_epoch,
        master_address=master.address,
        config_epoch=master.config_epoch,
    )


def _opinions(master: Master, now_ms: int) -> list[Opinion]:
    found = []
    for peer in master.peers.values():
        state = "up" if peer.link.is_up else "disconnected"
        is_known = peer.says_down_ms > 0
        found.append(
            Opinion(
                run_id=peer.run_id,
                address=peer.address,
                state="down" if peer.is_s_down else state,
                says_down=peer.says_down,
                age_ms=now_ms - peer.says_down_ms if is_known else None,
                voted_leader=peer.voted_leader,
                voted_epoch=peer.voted_leader_epoch,
                master_address=peer.hello_master_address,
                config_epoch=peer.hello_config_epoch,
            )
        )
    return found


# -- who would be promoted -------------------------------------------------------------------------


def _candidates(
    state: SentinelState, master: Master, ranked: list[Node], now_ms: int
) -> list[Candidate]:
    ranks = {node.address: rank for rank, node in enumerate(ranked, 1)}
    found = []
    for node in master.replicas.values():
        unfit = selection.unfit(master, node, now_ms, state.periods)
        refresh_ms = node.info_refresh_ms
        found.append(
            Candidate(
                address=node.address,
                rank=ranks.get(node.address, 0),
                reason=_why_not_first(ranked[0], node, now_ms) if unfit is None else unfit.value,
                priority=node.priority,
                repl_offset=node.repl_offset,
                info_age_ms=None if refresh_ms is None else now_ms - refresh_ms,
            )
        )
    return sorted(found, key=lambda entry: (entry.rank == 0, entry.rank, str(entry.address)))


def _why_not_first(first: Node, node: Node, now_ms: int) -> str:
    if node is first:
        return ""
    if node.role_reported is not first.role_reported:
        return f"the first reports the role {_role_name(first)}, this one {_role_name(node)}"
    if node.priority != first.priority:
        return f"priority {node.priority}, the first has {first.priority}"
    if node.repl_offset != first.repl_offset:
        return f"{first.repl_offset - node.repl_offset} bytes behind the first"
    if selection.is_suspect(node, now_ms) and not selection.is_suspect(first, now_ms):
        return "has not answered for a moment"
    return "as good as the first, whose run id comes before"


def _role_name(node: Node) -> str:
    return "unknown" if node.role_reported is None else node.role_reported.value


# -- what it waits for -----------------------------------------------------------------------------


def _prospect(state: SentinelState, master: Master, ranked: list[Node], now_ms: int) -> Prospect:
    failover = master.failover
    if failover.state is not FailoverState.NONE:
        since_ms = now_ms - failover.state_since_ms
        text = (
            f"a failover in epoch {failover.epoch} is in {failover.state.value} for {since_ms} ms"
        )
        return Prospect(status="running", text=text)
    if not master.is_s_down:
        return Prospect(status="idle", text="the master answers")
    if not master.is_o_down:
        have, need = opinions.count_down(master), master.options.quorum
        return Prospect(
            status="waiting",
            text=f"{have} of the {need} sentinels that the quorum takes believe the master down",
        )
    return _prospect_when_down(state, master, ranked, now_ms)


def _prospect_when_down(
    state: SentinelState, master: Master, ranked: list[Node], now_ms: int
) -> Prospect:
    """The master is objectively down and we do not stand: say for what that waits."""
    failover = master.failover
    pause_ms = max(0, failover.not_before_ms - now_ms)
    live = 1 + sum(peer.link.is_up and not peer.is_s_down for peer in master.peers.values())
    needed = opinions.needed_votes(master)
    if state.tilt_since_ms is not None:
        text = "this sentinel was not running a moment ago and looks again first (tilt)"
    elif live < needed:
        text = f"{live} sentinels can be reached and {needed} votes are needed to be elected"
    elif not ranked:
        text = "no replica may be promoted: see the candidates"
    elif failover.awaited_leader is not None and pause_ms:
        text = f"we voted for {failover.awaited_leader} and wait for it"
    elif pause_ms:
        text = f"the last attempt failed, {failover.attempts} in a row"
    else:
        text = "this sentinel is about to stand for election"
    return Prospect(status="waiting", text=text, next_attempt_in_ms=pause_ms)
