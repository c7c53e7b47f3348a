"""How often a replica was synchronised, and how, by what it has written to its log.

No INFO tells that of a replica, and its master's counters do not tell which replica it was. Reads
the lines of vedette-server, redis-server and valkey-server. Pure.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

_FULL: Final = re.compile(r"event=link\.established .*\bkind=full\b|Full resync from ")
_PARTIAL: Final = re.compile(
    r"event=link\.established .*\bkind=partial\b|Successful partial resynchronization with "
)


@dataclass(frozen=True, slots=True)
class Resyncs:
    """Synchronisations of one replica."""

    full: int
    partial: int

    def __str__(self) -> str:
        parts = [
            f"{count} {kind}"
            for count, kind in ((self.full, "full"), (self.partial, "partial"))
            if count
        ]
        return " and ".join(parts) or "none"


def count_resyncs(log: str) -> Resyncs:
    """Return what the lines of `log` tell."""
    return Resyncs(full=len(_FULL.findall(log)), partial=len(_PARTIAL.findall(log)))
