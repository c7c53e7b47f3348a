"""The ledger: votes, epochs and switches that are on disk before the sentinel's file says them.

A vote is spoken once it is on disk, so everybody waits for that. To replace the whole file takes
several times as long as to overwrite a few bytes that are there already. So what an election
changes is first written as one line into a small file beside it, the ledger, and the file is
rewritten a moment later. The ledger counts only while it is ahead of the file: after a crash.

A line is `<crc32> <json>`. Each stands for itself, is written once, and may be torn, from another
time, or of another sentinel whose file was copied here: such are passed over. Epochs are the
highest of all lines, so a line too many does no harm. Where a master is does hang on the file that
a line was written beside: `base` names its content. Pure: bytes in, records out.
"""

from __future__ import annotations

import hashlib
import json
import zlib
from collections.abc import Iterable
from dataclasses import dataclass, replace

from vedette.types import Address, RunId

from .core.durable import DurableMaster, DurableState


@dataclass(frozen=True, slots=True)
class Entry:
    """What an election has changed about one master."""

    name: str
    leader_epoch: int
    config_epoch: int
    address: Address


@dataclass(frozen=True, slots=True, kw_only=True)
class LedgerRecord:
    """One line: what is new since the line before it, or since the file."""

    my_id: RunId
    #: `base_of` the file's content.
    base: str
    current_epoch: int
    entries: tuple[Entry, ...] = ()


def base_of(content: bytes) -> str:
    """Name the content of a sentinel's file."""
    return hashlib.blake2b(content, digest_size=8).hexdigest()


def record_of(before: DurableState, after: DurableState, base: str) -> LedgerRecord | None:
    """What turns `before` into `after`, or None if that is nothing, or more than a ledger holds."""
    if before.my_id != after.my_id or before.options != after.options:
        return None
    if len(before.masters) != len(after.masters) or after.current_epoch < before.current_epoch:
        return None
    entries = []
    for old, new in zip(before.masters, after.masters, strict=True):
        if old is new or old == new:
            continue
        entry = Entry(new.name, new.leader_epoch, new.config_epoch, new.address)
        if old.name != new.name or _with_entry(old, entry, is_of_base=True) != new:
            return None
        entries.append(entry)
    if not entries and after.current_epoch == before.current_epoch:
        return None  # whoever has such saved wants the file written
    return LedgerRecord(
        my_id=after.my_id, base=base, current_epoch=after.current_epoch, entries=tuple(entries)
    )


def restored(state: DurableState, records: Iterable[LedgerRecord], base: str) -> DurableState:
    """What was on disk, of the state that the file with this `base` holds and its ledger."""
    masters = {master.name: master for master in state.masters}
    epoch = state.current_epoch
    for record in records:
        if record.my_id != state.my_id:
            continue
        epoch = max(epoch, record.current_epoch)
        for entry in record.entries:
            master = masters.get(entry.name)
            if master is not None:
                masters[entry.name] = _with_entry(master, entry, is_of_base=record.base == base)
    return replace(state, current_epoch=epoch, masters=tuple(masters.values()))


def _with_entry(master: DurableMaster, entry: Entry, *, is_of_base: bool) -> DurableMaster:
    leader_epoch = max(master.leader_epoch, entry.leader_epoch)
    if not is_of_base or entry.config_epoch <= master.config_epoch:
        return replace(master, leader_epoch=leader_epoch)
    address, replicas = master.address, master.replicas
    if entry.address != address:  # a switch: see `core/switch.py`
        replicas = (*(each for each in replicas if each != entry.address), address)
    return replace(
        master,
        leader_epoch=leader_epoch,
        config_epoch=entry.config_epoch,
        address=entry.address,
        replicas=replicas,
    )


def encode_record(record: LedgerRecord) -> bytes:
    """One line, ASCII, between two line ends: the one before it may have lost its own."""
    entries = [
        (entry.name, entry.leader_epoch, entry.config_epoch, *entry.address)
        for entry in record.entries
    ]
    body = json.dumps((record.my_id, record.base, record.current_epoch, entries)).encode()
    return b"\n%08x %b\n" % (zlib.crc32(body), body)


def decode_records(content: bytes) -> list[LedgerRecord]:
    """The records of all lines that are whole, in their order."""
    found = (_decode(line.strip(b" \0")) for line in content.split(b"\n"))
    return [record for record in found if record is not None]


def _decode(line: bytes) -> LedgerRecord | None:
    checksum, _, body = line.partition(b" ")
    if checksum != b"%08x" % zlib.crc32(body):
        return None
    try:
        my_id, base, current_epoch, rows = json.loads(body)
        entries = tuple(
            Entry(name, leader_epoch, config_epoch, Address(host, port))
            for name, leader_epoch, config_epoch, host, port in rows
        )
    except (TypeError, ValueError):
        return None  # whole, but none of ours: of a version that keeps other things
    return LedgerRecord(my_id=RunId(my_id), base=base, current_epoch=current_epoch, entries=entries)
