"""Whose turn it is to stand for leader: the order in which sentinels let one another go first.

Only pace hangs on it, never safety: whoever stands out of turn costs an election more.
"""

from __future__ import annotations

import zlib

from vedette.types import RunId

from . import opinions
from .machine import Machine
from .model import Master, PeerSentinel
from .timing import CROWD_MAX_MS, CROWD_MS, RANK_COURTESY_MS, RANK_DELAY_MS


def rank(machine: Machine, master: Master) -> int:
    """Our place among the sentinels that live, 0 first; all that see the same work it out alike.

    Stock sentinels do not count: they stand at their next tick whatever we do, and to let them go
    first would cost the second that their promotion takes.

    Only pace hangs on it, never safety. The epoch turns the order, so that a first in rank whose
    disk is broken does not hold up every retry.
    """
    return len(_ahead(machine, master))


def candidacy_delay_ms(machine: Machine, master: Master) -> int:
    """How long to let those stand who are ahead in rank: long who can, a moment who may soon."""
    ahead = _ahead(machine, master)
    ready = sum(peer.says_down for peer in ahead)
    if opinions.count_down(master) < opinions.needed_votes(master):
        ready = len(ahead)  # the quorum is less than a majority: who asks for votes is anybody
    waited_ms = ready * RANK_DELAY_MS + (len(ahead) - ready) * RANK_COURTESY_MS
    return waited_ms + len(ahead) * crowd_ms(machine, master)


def crowd_ms(machine: Machine, master: Master) -> int:
    """How much more patience the other masters that are down call for."""
    others = machine.count_down_masters() - master.is_s_down
    return min(max(others, 0) * CROWD_MS, CROWD_MAX_MS)


def _ahead(machine: Machine, master: Master) -> list[PeerSentinel]:
    """Those of our kind that live and are ahead of us in rank.

    The epoch that turns the order is the last of *this* master's elections: the shared one moves
    while many masters are down, and no two sentinels would agree on who is first.
    """
    state = machine.state
    epoch = max(master.config_epoch, master.vote.leader_epoch)

    def order(run_id: RunId) -> tuple[int, RunId]:
        return zlib.crc32(f"{master.name} {epoch} {run_id}".encode()), run_id

    ours = order(state.my_id)
    kin = [run_id for run_id in machine.live_peers(master) if state.peer_links[run_id].is_vedette]
    return [master.peers[run_id] for run_id in kin if order(run_id) < ours]
