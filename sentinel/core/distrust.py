"""What others sent and we do not believe: counted, announced, and otherwise as if it had not come.

Owns the reasons and their counts. Who receives something decides whether it makes sense, and calls
`refuse` when it does not; nothing of it may have been adopted by then.

An epoch may be as high as it likes and still be a lie: whoever adopted it could not count on from
there, and neither could anybody who hears of it next. No deployment holds 2^32 elections, so a jump
as far as that is not believed.
"""

from __future__ import annotations

from enum import Enum
from typing import Final

from . import notices
from .machine import Machine
from .model import Master

#: How far an epoch may lie above the highest that we know.
EPOCH_JUMP_MAX: Final = 2**32
#: Two announcements of one kind are at least this far apart; counted is every one.
ANNOUNCE_GAP_MS: Final = 60_000


class Disbelief(Enum):
    """What was refused; the value is its name in events and metrics."""

    HELLO = "hello"  # no hello message
    EPOCH = "epoch"  # higher than anybody can be
    STALE = "stale"  # its sender has said a higher epoch before: old news, or a lie
    INFO = "info"  # no INFO, or none that names a role
    PING = "ping"  # something that answers another command
    VOTE = "vote"  # a request for a vote, or an answer to one, of another shape
    PROTOCOL = "protocol"  # no RESP, or more of it than a reply can have


def refuse(
    machine: Machine, what: Disbelief, source: str, reason: str, master: Master | None = None
) -> None:
    """Count something that is not believed, and say so, unless that was said a moment ago.

    `source` and `reason` are in our words: what was sent is not repeated.
    """
    state = machine.state
    state.refused_counts[what.value] = state.refused_counts.get(what.value, 0) + 1
    if what is Disbelief.STALE:
        return  # a slow way brings it about as well as a liar
    last_ms = state.refused_announced_ms.get(what.value)
    if last_ms is None or machine.now_ms - last_ms >= ANNOUNCE_GAP_MS:
        state.refused_announced_ms[what.value] = machine.now_ms
        notices.about(machine, "+bad-input", f"{what.value} from {source}: {reason}", master)


def is_credible_epoch(machine: Machine, epoch: int) -> bool:
    """Whether somebody may honestly speak of this epoch."""
    return 0 <= epoch <= machine.state.current_epoch + EPOCH_JUMP_MAX
