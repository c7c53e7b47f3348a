"""A master that comes back without its data is failed over before its replicas copy the loss.

Theory of operation. A master is killed and restarted within down-after: no failover is due, and its
replicas come back to it as soon as they find it listening, at the latest a second later. If it lost
its data they throw theirs away. So the first INFO of a new run, a round trip after it began to
listen, is judged by what the replicas held when the connection to the old one was lost:

    known run ──new run id──> unjudged ──not loading any more──> sound: a restart like any other
                                 │ loading: asked again         └> lost its data (`+empty-restart`)

Lost is what shares no history with the data it had and was not read from an append-only file
(which keeps no id); and else what has less than half the keys, if of the same history from an
earlier time of it: an old snapshot. But only while a replica still holds them. To *this* sentinel
the master is then down at once; the quorum, the election and the choice of a replica are as ever,
so one sentinel's error does nothing. Replicas that have copied the loss are no candidates, for
their history is the empty one; those that have begun to and not thrown away theirs are. When none
is left, what is there is taken for the truth.

Until the new run is judged a master that was down is not up again: else the failover under way
would be given up for an empty one. One that comes back as a replica is not judged before it is a
master; it stays down if a quorum held it down, for that it will not serve as one is no reason to
give the failover up. If only this sentinel did, it is up, and its role decides in Redis' time.
"""

from __future__ import annotations

from typing import Final

from . import lineage, notices, probes
from .machine import Machine
from .model import Master, Node, Role
from .timers import Timer, TimerKind
from .timing import JUDGE_AGAIN_MS

#: Not less than this share of the keys is expected of what may be the data of before.
_SHRINKING_FACTOR: Final = 2


def on_master_lost(machine: Machine, master: Master) -> None:
    """The connection to the master is lost: note what the replicas hold, while they still do."""
    if master.options.guards_empty_restart:
        for replica in master.replicas.values():
            probes.info_now(machine, replica)


def on_restart(master: Master, node: Node) -> None:
    """The INFO just read shows another run than before."""
    if node is master.node:
        node.lost_data_ms = None
        node.is_unjudged = master.options.guards_empty_restart


def on_master_info(machine: Machine, master: Master) -> None:
    """The master's INFO was read: judge a new run, and learn whose data a sound one holds."""
    node = master.node
    if node.role_reported is Role.MASTER and node.is_unjudged:
        if node.dataset.is_loading:
            timer = Timer(TimerKind.INFO, node.name, node.address)
            machine.timers.set_earlier(timer, machine.now_ms + JUDGE_AGAIN_MS)
            return
        node.is_unjudged = False
        _judge(machine, master)
    review(machine, master)
    if node.lost_data_ms is None and not node.is_unjudged:
        lineage.note_master(machine, master)


def review(machine: Machine, master: Master) -> None:
    """Take an empty master as it is once no replica holds anything better, or the guard is off."""
    node = master.node
    if node.lost_data_ms is None:
        return
    if not master.options.guards_empty_restart or not _keepers(master):
        node.lost_data_ms = None
        probes.info_now(machine, node)


def is_waiting_for_verdict(master: Master, node: Node) -> bool:
    """Whether a master that was down has come back, and has not shown yet with what."""
    if node is not master.node or not node.run_id or not master.options.guards_empty_restart:
        return False
    is_read = node.info_refresh_ms is not None and node.info_refresh_ms >= node.link.status_since_ms
    if is_read and node.role_reported is Role.REPLICA:
        return master.is_o_down
    return node.is_unjudged or (node.link.is_up and node.is_info_waiting and not is_read)


def _judge(machine: Machine, master: Master) -> None:
    node = master.node
    keepers = _keepers(master)
    if not keepers or node.dataset.key_count is None or not node.dataset.replid:
        return
    kept = max(keeper.dataset.key_count or 0 for keeper in keepers)
    if not _has_lost(master, node, kept, max(keeper.repl_offset for keeper in keepers)):
        return
    node.lost_data_ms = machine.now_ms
    text = f" keys {node.dataset.key_count} of {kept}"
    notices.about_master(machine, "+empty-restart", master, text)


def _has_lost(master: Master, node: Node, kept_count: int, kept_offset: int) -> bool:
    dataset = node.dataset
    has_shrunk = (dataset.key_count or 0) * _SHRINKING_FACTOR < kept_count
    if master.lineage.has(dataset):
        # Emptied and saved by an operator, the stream would have gone on.
        return has_shrunk and (dataset.offset or 0) < kept_offset
    if dataset.has_aof:
        return has_shrunk
    return True


def _keepers(master: Master) -> list[Node]:
    """The replicas that still hold the data, as far as is known."""
    return [
        node
        for node in master.replicas.values()
        if node.dataset.key_count
        and not node.dataset.is_loading
        and not node.is_s_down
        and node.role_reported is Role.REPLICA
        and master.lineage.has(node.dataset)
    ]
