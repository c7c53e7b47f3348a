"""The decision about PSYNC: may the replica go on where it stopped, or must it start afresh?

Follows Redis 7.0 `replication.c: masterTryPartialResynchronization`. Pure: it changes nothing and
sends nothing.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum
from typing import Final

from vedette.errors import CommandError

from .backlog import Backlog
from .identity import Identity

_INTEGER: Final = re.compile(rb"-?(0|[1-9]\d{0,17})")


@dataclass(frozen=True, slots=True)
class PsyncRequest:
    """`PSYNC <replid> <byte>`: the history a replica has and the first byte it lacks.

    Bytes are counted from 1, so a replica that has `n` bytes asks for `n + 1`. A replica without
    any history says `? -1`.
    """

    replid: bytes
    wanted_byte: int

    @classmethod
    def parse(cls, arguments: list[bytes]) -> PsyncRequest:
        """Read `[b"PSYNC", replid, byte]`.

        Raises:
            CommandError: the byte is not an integer.
        """
        if _INTEGER.fullmatch(arguments[2]) is None:
            raise CommandError(b"ERR value is not an integer or out of range")
        return cls(arguments[1], int(arguments[2]))


class FullSyncReason(Enum):
    """Why a partial resynchronisation is not possible."""

    REQUESTED = "requested"
    UNKNOWN_HISTORY = "unknown_history"
    BEYOND_SECOND_OFFSET = "beyond_second_offset"
    NO_BACKLOG = "no_backlog"
    TOO_OLD = "too_old"
    AHEAD = "ahead"


@dataclass(frozen=True, slots=True)
class Continue:
    """The replica goes on: send it `reply`, then the stream from `offset`."""

    offset: int
    reply: bytes


@dataclass(frozen=True, slots=True)
class FullSync:
    """The replica needs a snapshot."""

    reason: FullSyncReason


def decide(
    request: PsyncRequest, identity: Identity, backlog: Backlog | None, *, knows_psync2: bool
) -> Continue | FullSync:
    """Return what a replica that sent `request` gets. IDs compare without regard to case.

    The rows are tried in order; `first` and `end` are the backlog's offsets, so that it holds the
    bytes `first + 1` to `end`, and `end + 1` is the byte that comes next:

    | replid asked for | byte asked for        | backlog | outcome                        |
    |------------------|-----------------------|---------|--------------------------------|
    | `?...`           | any                   | any     | FullSync(REQUESTED)            |
    | neither of ours  | any                   | any     | FullSync(UNKNOWN_HISTORY)      |
    | replid2          | > second_repl_offset  | any     | FullSync(BEYOND_SECOND_OFFSET) |
    | replid, replid2  | any                   | none    | FullSync(NO_BACKLOG)           |
    | replid, replid2  | > end + 1             | exists  | FullSync(AHEAD)                |
    | replid, replid2  | < first + 1           | exists  | FullSync(TOO_OLD)              |
    | replid, replid2  | first + 1 ... end + 1 | exists  | Continue(byte - 1)             |

    The reply is `+CONTINUE <replid>`, and `+CONTINUE` to a replica without the capability `psync2`.
    """
    asked = request.replid.lower()
    if asked != identity.replid.lower() and (
        asked != identity.replid2.lower() or request.wanted_byte > identity.second_repl_offset
    ):
        if asked.startswith(b"?"):
            return FullSync(FullSyncReason.REQUESTED)
        if asked == identity.replid2.lower():
            return FullSync(FullSyncReason.BEYOND_SECOND_OFFSET)
        return FullSync(FullSyncReason.UNKNOWN_HISTORY)
    if backlog is None:
        return FullSync(FullSyncReason.NO_BACKLOG)
    offset = request.wanted_byte - 1
    if offset > backlog.end_offset:
        return FullSync(FullSyncReason.AHEAD)
    if offset < backlog.first_offset:
        return FullSync(FullSyncReason.TOO_OLD)
    reply = b"+CONTINUE %b\r\n" % identity.replid if knows_psync2 else b"+CONTINUE\r\n"
    return Continue(offset, reply)
