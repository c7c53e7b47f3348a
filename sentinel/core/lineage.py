"""Is this node one of ours? Told by its data, not by its address, which others may come to use.

Theory of operation. A master's lineage (`dataset.py`) is learnt from the INFO of the node in
office, and from nobody else. A node is *kin* if its replication ids share it, or if its process was
kin before: a replica gets its master's id with its first full synchronisation, so ids prove that
one was completed. Without that a node may still be ours. It is not taken for a stranger if

1. it follows one of our nodes: an operator pointed it there, and it is about to become kin;
2. it holds no keys, or none but what it was sent since it started seconds ago: it is new, or came
   back empty, and has nothing to lose; once taken in, its process is known;
3. its history goes on from the one that it had when it was kin, as after a restart from a snapshot,
   though nobody in office ever had that one;
4. it came back from its own append-only file, which keeps no replication id: it had one when it was
   kin, holds about as many keys as then, and leads no strange replicas. A sentinel that was
   restarted itself does not know what the node was; then it is enough that it leads none and holds
   about as many keys as the master in office.

All others are strangers: they are announced (`+foreign-node`) and left alone. They are never
promoted, and never told to follow, for that would erase what they hold.
"""

from __future__ import annotations

from typing import Final

from vedette.types import Address

from . import notices, probes
from .dataset import Dataset
from .machine import Machine
from .model import Master, Node, Role

#: A count of keys is about the same as another up to this factor.
_SIMILAR_FACTOR: Final = 2


def note_master(machine: Machine, master: Master) -> None:
    """The INFO of the node in office was read: its data are the master's, by definition."""
    node = master.node
    if node.dataset.replid and node.role_reported is Role.MASTER:
        master.lineage.learn(node.dataset)
        note_kin(master, node)


def note_replica(machine: Machine, master: Master, node: Node) -> None:
    """A replica's INFO was read: see whose data it holds."""
    lineage, dataset = master.lineage, node.dataset
    if not dataset.replid or not lineage.current:
        return
    if lineage.has(dataset):
        note_kin(master, node)
    elif node.is_master_link_up and node.master_address == master.address:
        # A master that gets its first replica begins a new history.
        probes.info_now(machine, master.node)
    elif _has_nothing_to_lose(dataset):
        lineage.note_run(node.run_id)
    is_foreign = is_stranger(master, node)
    if is_foreign is not node.is_foreign:
        node.is_foreign = is_foreign
        event = "+foreign-node" if is_foreign else "-foreign-node"
        notices.about_node(machine, event, node, f" replid {dataset.replid}")


def note_kin(master: Master, node: Node) -> None:
    """Remember the process, and what it held, for when it comes back as another."""
    master.lineage.note_run(node.run_id)
    node.kin_dataset = node.dataset


def is_stranger(master: Master, node: Node) -> bool:
    """Whether the node holds data that have nothing to do with the master's; see above."""
    lineage, dataset = master.lineage, node.dataset
    if not (dataset.replid and lineage.current) or lineage.has(dataset):
        return False
    if node.run_id in lineage.run_ids or dataset.key_count is None or _has_nothing_to_lose(dataset):
        return False
    if node.role_reported is Role.REPLICA and is_ours(master, node.master_address):
        return False
    before = node.kin_dataset.replid
    if before and before in (dataset.replid, dataset.replid2):
        return False
    return not _came_back(master, node)


def is_ours(master: Master, address: Address | None) -> bool:
    """Whether an address is that of one of the master's nodes."""
    return address is not None and master.find_node(address) is not None


def seems_ours(master: Master, node: Node) -> bool:
    """Whether a replica is one of ours as far as whom it follows tells, it or one of its history.

    For who knows no lineage. An address may lead astray, by a resolver's fault; ids do not.
    """
    replid = node.dataset.replid
    return any(
        other is node or (replid != "" and other.dataset.replid == replid)
        for other in master.replicas.values()
        if is_ours(master, other.master_address)
    )


def may_be_ordered(master: Master, node: Node) -> bool:
    """Whether a node may be told whom to follow: not before we know who answers there now."""
    link = node.link
    if not link.is_up or is_stranger(master, node):
        return False
    return node.info_refresh_ms is not None and node.info_refresh_ms >= link.status_since_ms


def is_level(master: Master, dataset: Dataset) -> bool:
    """Whether the data belong to the master's present history, or began where that ended."""
    current = master.lineage.current
    return not current or current in (dataset.replid, dataset.replid2)


def estimate_lost_bytes(master: Master, promoted: Node) -> int | None:
    """What of the master's stream the promoted node lacks, by the offsets that were last seen.

    A lower bound: what the master took in after its last INFO, nobody saw. None: nothing is known.
    """
    known = [node.repl_offset for node in master.replicas.values() if _follows(master, node)]
    if master.node.kin_dataset.offset is not None:
        known.append(master.node.kin_dataset.offset)
    if not known or not master.lineage.current:
        return None
    dataset = promoted.dataset
    if dataset.replid2 == master.lineage.current and dataset.end_of_previous is not None:
        has_bytes = dataset.end_of_previous - 1  # exactly where the old history ended for it
    else:
        has_bytes = promoted.repl_offset
    return max(max(known) - has_bytes, 0)


def diverged_bytes(master: Master, node: Node) -> int | None:
    """What a node has of the history before the master's beyond where the master left it.

    None: it holds another history, or the master began none that is known.
    """
    new, old = master.node.dataset, node.dataset
    if not new.replid2 or old.replid != new.replid2:
        return None
    if new.end_of_previous is None or old.offset is None:
        return None
    return max(old.offset - (new.end_of_previous - 1), 0)


def _follows(master: Master, node: Node) -> bool:
    return node.role_reported is Role.REPLICA and node.dataset.replid == master.lineage.current


def _has_nothing_to_lose(dataset: Dataset) -> bool:
    return dataset.key_count == 0 or (dataset.is_newborn and not dataset.has_aof)


def _came_back(master: Master, node: Node) -> bool:
    """Whether it may well be the node that we knew at this address, or would have known."""
    now, before = node.dataset, node.kin_dataset
    if not all(is_ours(master, address) for address in now.replicas):
        return False
    if not before.replid:
        before = master.node.dataset
    elif not (before.has_aof and now.has_aof):
        return False
    if not before.key_count or not now.key_count:
        return False
    low, high = sorted((before.key_count, now.key_count))
    return high <= low * _SIMILAR_FACTOR
