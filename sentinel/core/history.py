"""The last failovers of a master, each as one record: cause, votes, times of its phases, result.

Theory of operation. The records follow the notices: `notices.about` hands every event here, so what
SENTINEL HISTORY tells can never differ from what was announced. One record is one incident. An
election that is lost and repeated for the same outage goes on in the same record, and so does the
outage that somebody else's failover ends in the end; an operator's order always begins a new one.

    (none) ──+try-failover──> RUNNING ──+failover-end, -failover-abort-...──> ended
       └──+config-update-from, +switch-master (another sentinel led)──> FOLLOWED

What no event tells is filled in by who knows it, through `current()`: the bytes that were lost, the
measured pause of a coordinated switchover. All times are the machine's (monotonic milliseconds);
who shows them adds the wall clock. Nothing here decides anything.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING, Final

from vedette.types import Address, RunId

if TYPE_CHECKING:  # `model.py` holds the records
    from .model import Master

#: Records kept for each master.
RECORDS_MAX: Final = 16


class Phase(Enum):
    """Moments of a failover, in their order; each is kept as it came first."""

    SUSPECTED = "suspected"  # the first PING that was not answered was sent
    SDOWN = "sdown"
    ODOWN = "odown"
    STARTED = "started"
    ELECTED = "elected"
    SELECTED = "selected"  # this one as it came last: who was passed over took its time before
    PROMOTED = "promoted"
    ANNOUNCED = "announced"
    RECONFIGURED = "reconfigured"


class Cause(Enum):
    """Why a failover began."""

    ODOWN = "odown"
    ORDERED = "ordered"  # SENTINEL FAILOVER
    COORDINATED = "coordinated"  # SENTINEL FAILOVER ... COORDINATED
    EMPTY_RESTART = "empty-restart"
    CONFLICT = "conflict"  # sentinels named different masters
    UNKNOWN = "unknown"  # somebody else's, of a master that was not down to us


class Result(Enum):
    """How a failover ended."""

    RUNNING = "running"
    COMPLETED = "completed"
    TIMED_OUT = "timed-out"  # the new master serves, not every replica followed it in time
    FOLLOWED = "followed"  # another sentinel led it
    NOT_ELECTED = "not-elected"
    NO_GOOD_REPLICA = "no-good-replica"
    REPLICA_TIMEOUT = "replica-timeout"
    ABORTED = "aborted"  # for any other reason: see `ended_by`
    SUPERSEDED = "superseded"  # a newer configuration came before its replicas had followed


class Defeat(Enum):
    """Why an election that this sentinel stood for was not won."""

    LOST = "lost"  # another was elected, or about to be
    SPLIT = "split"  # all answered, and nobody had a majority that we know of
    TIMEOUT = "timeout"  # the answers did not come
    UNSAVED = "unsaved"  # our own vote could not be saved
    STALLED = "stalled"  # this sentinel was not run meanwhile
    NEEDLESS = "needless"  # the master answers again


_ENDS: Final = {
    "+failover-end": Result.COMPLETED,
    "+failover-end-for-timeout": Result.TIMED_OUT,
    "-failover-abort-not-elected": Result.NOT_ELECTED,
    "-failover-abort-no-good-slave": Result.NO_GOOD_REPLICA,
    "-failover-abort-slave-timeout": Result.REPLICA_TIMEOUT,
}
_ABORT: Final = "-failover-abort-"


@dataclass(slots=True, kw_only=True)
class FailoverRecord:
    """One failover as this sentinel saw it."""

    cause: Cause
    old_address: Address
    #: Who led it, or stood for it last; None if we followed a configuration of nobody we know.
    leader: RunId | None
    #: The epoch of the last attempt, and so of the configuration it led to.
    epoch: int
    result: Result = Result.RUNNING
    #: The event that ended it, "" while it runs.
    ended_by: str = ""
    ended_ms: int | None = None
    #: The replica chosen last; the new master once PROMOTED or ANNOUNCED is there.
    new_address: Address | None = None
    #: Elections stood for, and replicas chosen: more than one means that one was passed over.
    attempts: int = 0
    selections: int = 0
    #: What set the chosen replica apart from the next best: see `selection.decided_by`; "" before.
    chosen_by: str = ""
    #: Votes for us in the last election, ourselves included; and how many it took. 0: none held.
    votes: int = 0
    needed_votes: int = 0
    #: Why the last election that was not won was not.
    defeat: Defeat = Defeat.LOST
    #: Moment -> machine time. Only what was seen: followers see the first three and ANNOUNCED.
    phases: dict[Phase, int] = field(default_factory=dict)
    #: What of the old master's stream the new one did not have, estimated; None: not known.
    estimated_lost_bytes: int | None = None
    #: What the old master had beyond that when it was back, by its own offset: the new master has
    #: none of it. None: it has not come back, or not with its history.
    discarded_bytes: int | None = None
    #: How long a coordinated switchover kept writes waiting; None: there was no pause.
    pause_ms: int | None = None

    @property
    def has_switched(self) -> bool:
        """Whether it ended the old master's reign."""
        return Phase.ANNOUNCED in self.phases


def new_history() -> deque[FailoverRecord]:
    """An empty history, oldest first once there is something."""
    return deque(maxlen=RECORDS_MAX)


def current(master: Master) -> FailoverRecord | None:
    """The record of the failover that is under way, None outside of one."""
    if master.history and master.history[-1].result is Result.RUNNING:
        return master.history[-1]
    return None


def note_defeat(master: Master, defeat: Defeat) -> None:
    """Say why the election under way is about to be given up."""
    record = current(master)
    if record is not None:
        record.defeat = defeat


def note(master: Master, event: str, payload: str, my_id: RunId, now_ms: int) -> None:
    """Take note of an event about a master, at the moment it is announced."""
    if event == "+try-failover":
        _begin(master, my_id, now_ms)
        return
    if event == "+config-update-from":
        _follow(master, RunId(payload.split()[1]), now_ms)
        return
    record = current(master)
    if event == "+switch-master":
        _switch(master, record, payload, now_ms)
    elif record is None:
        return
    elif event == "+elected-leader":
        record.phases[Phase.ELECTED] = now_ms
        if not master.failover.is_forced:
            record.votes = _votes_for(master, my_id)
    elif event == "+selected-slave":
        record.phases[Phase.SELECTED] = now_ms
        record.new_address = master.failover.promoted
        record.selections += 1
    elif event == "+promoted-slave":
        record.phases[Phase.PROMOTED] = now_ms
    elif event == "-config-conflict" and record.cause is Cause.CONFLICT:
        _end(record, Result.COMPLETED, event, now_ms)
    elif event in _ENDS or event.startswith(_ABORT):
        _end(record, _ENDS.get(event, Result.ABORTED), event, now_ms)


def _begin(master: Master, my_id: RunId, now_ms: int) -> None:
    failover = master.failover
    cause = _cause(master)
    is_about_outage = cause in (Cause.ODOWN, Cause.EMPTY_RESTART)
    record = _same_outage(master) if is_about_outage else None
    if record is None:
        record = _open(master, cause)
        record.phases[Phase.STARTED] = now_ms
    record.leader = my_id
    record.epoch = failover.epoch
    record.attempts += 1
    record.defeat = Defeat.LOST
    record.votes = 0
    record.needed_votes = 0 if failover.is_forced else _needed_votes(master)


def _cause(master: Master) -> Cause:
    if master.failover.is_settling:
        return Cause.CONFLICT
    if master.failover.is_coordinated:
        return Cause.COORDINATED
    if master.failover.is_forced:
        return Cause.ORDERED
    return Cause.ODOWN if master.node.lost_data_ms is None else Cause.EMPTY_RESTART


def _follow(master: Master, leader: RunId, now_ms: int) -> None:
    """Another sentinel's configuration is about to be adopted."""
    record = current(master)
    if record is not None and record.has_switched:
        _end(record, Result.SUPERSEDED, "+config-update-from", now_ms)
    record = _same_outage(master) or _open(master, _cause_seen(master))
    record.leader = leader
    record.votes = record.needed_votes = 0


def _switch(master: Master, record: FailoverRecord | None, payload: str, now_ms: int) -> None:
    """The switch is made; `master` is in its new state already, so the payload names the old."""
    if record is None:
        _, host, port, _, _ = payload.split()
        record = _open(master, Cause.UNKNOWN)
        record.old_address = Address(host, int(port))
    record.new_address = master.address
    record.epoch = master.config_epoch
    record.phases[Phase.ANNOUNCED] = now_ms
    if Phase.PROMOTED not in record.phases:
        _end(record, Result.FOLLOWED, "+switch-master", now_ms)


def _end(record: FailoverRecord, result: Result, event: str, now_ms: int) -> None:
    record.result = result
    record.ended_by = event
    record.ended_ms = now_ms
    if result is Result.COMPLETED:
        record.phases[Phase.RECONFIGURED] = now_ms


def _open(master: Master, cause: Cause) -> FailoverRecord:
    record = FailoverRecord(
        cause=cause, old_address=master.address, leader=None, epoch=master.config_epoch
    )
    for phase, at_ms in (
        (Phase.SUSPECTED, master.node.link.suspect_since_ms),
        (Phase.SDOWN, master.node.s_down_since_ms),
        (Phase.ODOWN, master.o_down_since_ms),
    ):
        if at_ms is not None:
            record.phases[phase] = at_ms
    master.history.append(record)
    return record


def _same_outage(master: Master) -> FailoverRecord | None:
    """The last record, taken up again, if it is about the outage that goes on."""
    down_ms = master.node.s_down_since_ms
    if not master.history or down_ms is None:
        return None
    record = master.history[-1]
    if record.has_switched or record.phases.get(Phase.SDOWN) != down_ms:
        return None
    if master.o_down_since_ms is not None:
        record.phases.setdefault(Phase.ODOWN, master.o_down_since_ms)
    record.result = Result.RUNNING
    record.ended_by = ""
    record.ended_ms = None
    return record


def _cause_seen(master: Master) -> Cause:
    return Cause.ODOWN if master.is_s_down else Cause.UNKNOWN


def _votes_for(master: Master, my_id: RunId) -> int:
    """The votes of an election that has just been won; our own is one of them."""
    epoch = master.failover.epoch
    return 1 + sum(
        peer.voted_leader == my_id and peer.voted_leader_epoch == epoch
        for peer in master.peers.values()
    )


def _needed_votes(master: Master) -> int:
    return max(master.known_sentinels // 2 + 1, master.options.quorum)
