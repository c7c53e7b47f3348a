"""What ACL LOG shows: the latest refusals, those alike counted as one.

Follows Redis 7.2 `acl.c: addACLLogEntry`.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from .check import DenialReason

#: Refusals alike that come within this time are one entry.
GROUPING_MS: Final = 60_000
#: How many of the latest entries are compared with a new one.
_COMPARED_COUNT: Final = 10


@dataclass(slots=True)
class LogEntry:
    """A refusal, or several alike; times are milliseconds of the wall clock."""

    reason: DenialReason
    #: `toplevel`, `multi` or `lua`.
    context: str
    #: The command, key or channel refused; AUTH or HELLO as sent where a log-in was.
    subject: bytes
    user_name: bytes
    #: The last client it happened to, as CLIENT LIST shows it.
    client_info: bytes
    updated_ms: int
    created_ms: int
    entry_id: int
    count: int = 1

    def is_like(self, other: LogEntry) -> bool:
        """Return whether `other` is the same again."""
        return (
            self.reason is other.reason
            and self.context == other.context
            and self.subject == other.subject
            and self.user_name == other.user_name
            and abs(self.updated_ms - other.updated_ms) <= GROUPING_MS
        )


class AclLog:
    """The latest refusals, newest first; at most `max_length` (`acllog-max-len`)."""

    def __init__(self) -> None:
        self.max_length = 128
        self._entries: list[LogEntry] = []
        self._next_id = 0

    def __len__(self) -> int:
        return len(self._entries)

    def newest(self, count: int) -> Iterable[LogEntry]:
        """Return at most `count` entries, newest first."""
        return self._entries[: max(0, count)]

    def clear(self) -> None:
        """Forget all entries (ACL LOG RESET)."""
        self._entries.clear()

    def add(
        self,
        reason: DenialReason,
        *,
        context: str,
        subject: bytes,
        user_name: bytes,
        client_info: bytes,
        now_ms: int,
    ) -> None:
        """Enter a refusal; one like another of late only adds to its count."""
        entry = LogEntry(
            reason, context, subject, user_name, client_info, now_ms, now_ms, self._next_id
        )
        for number, known in enumerate(self._entries[:_COMPARED_COUNT]):
            if known.is_like(entry):
                known.client_info = client_info
                known.updated_ms = now_ms
                known.count += 1
                self._entries.insert(0, self._entries.pop(number))
                return
        self._next_id += 1
        self._entries.insert(0, entry)
        del self._entries[self.max_length :]
