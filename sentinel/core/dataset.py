"""Whose data a node holds: what its INFO says of that, and what is remembered of a master's.

Pure values. A replication id names one history of writes, an offset a position in it. A promoted
replica begins a new history and keeps the old one's id as its second, so ids that were seen one
after another at the head of a group form its *lineage*. What follows from a match or its absence is
decided in `lineage.py`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from vedette.types import Address

#: How many ids and runs a lineage remembers; the oldest are forgotten first.
REPLIDS_MAX: Final = 64
RUNS_MAX: Final = 256


@dataclass(frozen=True, slots=True, kw_only=True)
class Dataset:
    """What one INFO says of the node's data; "" and None where it says nothing."""

    replid: str = ""
    #: The history before this one, "" if there was none.
    replid2: str = ""
    #: `second_repl_offset`: where the history before this one ended.
    end_of_previous: int | None = None
    #: `master_repl_offset`.
    offset: int | None = None
    #: Keys in all databases.
    key_count: int | None = None
    has_aof: bool = False
    #: The process was started seconds ago and found nothing to load.
    is_newborn: bool = False
    is_loading: bool = False
    #: A full synchronisation is being received.
    is_syncing: bool = False
    #: Its link to its master has never been up (`master_link_down_since_seconds` of -1).
    is_never_linked: bool = False
    #: Those that it lists as its replicas.
    replicas: tuple[Address, ...] = ()


UNKNOWN: Final = Dataset()


@dataclass(slots=True)
class Lineage:
    """The histories that a master's data have been through, as far as this sentinel saw them.

    Empty until a master's INFO was read: then nothing can be told apart, and nothing is refused.
    Not durable: after a restart it is learnt anew from the master that is then in office.
    """

    #: Ids of the master's histories, oldest first.
    replids: dict[str, None] = field(default_factory=dict)
    #: Run ids of processes that were once seen to hold these data.
    run_ids: dict[str, None] = field(default_factory=dict)
    #: The id that the master has now, "" until one was read.
    current: str = ""

    def learn(self, dataset: Dataset) -> None:
        """Take in the ids of the master in office."""
        for replid in (dataset.replid2, dataset.replid):
            if replid:
                _remember(self.replids, replid, REPLIDS_MAX)
        self.current = dataset.replid

    def note_run(self, run_id: str) -> None:
        """Take in a process that holds the master's data."""
        if run_id:
            _remember(self.run_ids, run_id, RUNS_MAX)

    def has(self, dataset: Dataset) -> bool:
        """Whether these data have a history in common with the master's."""
        return dataset.replid in self.replids or dataset.replid2 in self.replids


def _remember(known: dict[str, None], entry: str, limit: int) -> None:
    known.pop(entry, None)
    known[entry] = None
    while len(known) > limit:
        del known[next(iter(known))]
