"""The failover's states: which may follow which, and the one writer, which also emits the notice.

    NONE ──> WAIT_START ──> SELECT_SLAVE ──> SEND_SLAVEOF_NOONE ──> WAIT_PROMOTION ──> RECONF_SLAVES
     ^           │               │  ^                                  │    │                │
     │           │               │  └────(refused, next replica)───────┘    │                │
     └───────────┴───────────────┴──────────────────────────────────────────┴────────────────┘

A coordinated failover passes through SEND_FAILOVER instead of SEND_SLAVEOF_NOONE (`switchover.py`).
RECONF_SLAVES is the only state after the switch; all others end with one when somebody else's newer
configuration arrives (`switch.py` then replaces the whole record).
"""

from __future__ import annotations

from typing import Final

from . import notices
from .machine import Machine
from .model import FailoverState, Master
from .timers import Timer, TimerKind
from .timing import RECHECK_MS

_S = FailoverState

LEGAL: Final[dict[FailoverState, frozenset[FailoverState]]] = {
    _S.NONE: frozenset({_S.WAIT_START}),
    _S.WAIT_START: frozenset({_S.SELECT_SLAVE, _S.NONE}),
    _S.SELECT_SLAVE: frozenset({_S.SEND_SLAVEOF_NOONE, _S.SEND_FAILOVER, _S.NONE}),
    _S.SEND_FAILOVER: frozenset({_S.WAIT_PROMOTION}),
    _S.SEND_SLAVEOF_NOONE: frozenset({_S.WAIT_PROMOTION}),
    _S.WAIT_PROMOTION: frozenset({_S.RECONF_SLAVES, _S.SELECT_SLAVE, _S.NONE}),
    _S.RECONF_SLAVES: frozenset({_S.NONE}),
}

#: What entering a state announces, and whether it is said of the promoted replica.
_NOTICES: Final[dict[FailoverState, tuple[str, bool]]] = {
    _S.WAIT_START: ("+try-failover", False),
    _S.SELECT_SLAVE: ("+failover-state-select-slave", False),
    _S.SEND_FAILOVER: ("+failover-state-send-failover", True),
    _S.SEND_SLAVEOF_NOONE: ("+failover-state-send-slaveof-noone", True),
    _S.WAIT_PROMOTION: ("+failover-state-wait-promotion", True),
    _S.RECONF_SLAVES: ("+failover-state-reconf-slaves", False),
}

#: States in which this sentinel is the elected (or ordered) leader and nobody is promoted yet.
LEADING: Final = frozenset(
    {_S.SELECT_SLAVE, _S.SEND_FAILOVER, _S.SEND_SLAVEOF_NOONE, _S.WAIT_PROMOTION}
)


def become(machine: Machine, master: Master, state: FailoverState) -> None:
    """Move a failover on and say so. Raises AssertionError for a move that is not legal."""
    assert state is not FailoverState.NONE, "a failover ends through finish()"
    _move(machine, master, state)
    event, is_about_promoted = _NOTICES[state]
    if is_about_promoted:
        assert master.failover.promoted is not None
        notices.about_node(machine, event, master.replicas[master.failover.promoted])
    else:
        notices.about_master(machine, event, master)


def finish(machine: Machine, master: Master, event: str) -> None:
    """End a failover, well or not, and say how; when the next may begin stays with the caller."""
    notices.about_master(machine, event, master)
    _move(machine, master, FailoverState.NONE)
    failover = master.failover
    failover.promoted = None
    failover.is_proven = False
    failover.is_forced = False
    failover.is_settling = False
    failover.is_coordinated = False
    failover.told_ms = None
    failover.hushed_until_ms = 0
    for kind in (TimerKind.ELECTION, TimerKind.FAILOVER, TimerKind.RECONF):
        machine.timers.cancel(Timer(kind, master.name))
    if master.is_o_down:
        # The reason for it is still there; `election.on_candidacy_timer` knows when it may be.
        machine.timers.set(Timer(TimerKind.CANDIDACY, master.name), machine.now_ms + RECHECK_MS)


def _move(machine: Machine, master: Master, state: FailoverState) -> None:
    failover = master.failover
    assert state in LEGAL[failover.state], f"illegal transition {failover.state} -> {state}"
    failover.state = state
    failover.state_since_ms = machine.now_ms
