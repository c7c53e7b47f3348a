"""PSYNC2 identity: which replication histories the data set of this server belongs to.

Two servers hold the same data at the same offset exactly if they share a replication ID. A server
has one (`replid`), and after a promotion a second: the history it shared with its former master up
to `second_repl_offset`, so that its former fellow replicas can go on with it. Follows Redis 7.0
`replication.c: shiftReplicationId, changeReplicationId, clearReplicationId2` and what
`slaveTryPartialResynchronization` does at `+CONTINUE <new id>`.

Identities are values: each operation returns the next one, `state.py` keeps the current one. New
IDs are arguments, because randomness is the runtime's.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

REPLID_SIZE: Final = 40
#: What Redis shows where there is no second ID.
NO_REPLID: Final = b"0" * REPLID_SIZE


@dataclass(frozen=True, slots=True)
class Identity:
    """The histories this server can serve."""

    #: 40 hexadecimal digits that name the current history.
    replid: bytes
    #: The history before the current one, or `NO_REPLID`.
    replid2: bytes = NO_REPLID
    #: The first byte (counted from 1, as in PSYNC) that `replid2` does not have; -1 without one.
    second_repl_offset: int = -1

    def __post_init__(self) -> None:
        """Check that there is a second offset exactly if there is a second ID."""
        assert len(self.replid) == REPLID_SIZE
        assert len(self.replid2) == REPLID_SIZE
        assert (self.second_repl_offset == -1) == (self.replid2 == NO_REPLID)

    def become_master(self, new_replid: bytes, offset: int) -> Identity:
        """Return the identity of a replica promoted at `offset`: its old ID becomes the second."""
        return _sequel(new_replid, self.replid, offset)

    def follow_renamed(self, new_replid: bytes, offset: int) -> Identity:
        """Return what `+CONTINUE <new_replid>` at `offset` makes of a replica.

        Its master was promoted, so the stream goes on under another name. Nothing changes if
        the name is the same.
        """
        if new_replid == self.replid:
            return self
        return _sequel(new_replid, self.replid, offset)

    def adopt(self, replid: bytes) -> Identity:
        """Return the identity after a full synchronisation: only the master's history."""
        return Identity(replid)

    def change_id(self, new_replid: bytes) -> Identity:
        """Return the identity of a history that nobody else has seen.

        Needed whenever the stream's offset stood still while data changed: before a backlog is
        created, and when one is given up. Otherwise two different data sets would share an ID and
        an offset.
        """
        return Identity(new_replid)

    def restored(self, saved_replid: bytes, saved_offset: int) -> Identity:
        """Return this fresh identity with the history of a snapshot loaded at start as its second.

        The replicas from before the restart can then go on, if nothing was written between.
        """
        return _sequel(self.replid, saved_replid, saved_offset)


def _sequel(replid: bytes, former: bytes, former_offset: int) -> Identity:
    """Return the history `replid` that goes on from the end of another, `former`.

    What is called by zeros has no name: a master that is not Redis may do without.
    """
    if former == NO_REPLID:
        return Identity(replid)
    return Identity(replid, former, former_offset + 1)
