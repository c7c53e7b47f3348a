"""The log of the slowest commands: what SLOWLOG shows (Redis 7.0 `slowlog.c`)."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from itertools import islice
from typing import Final

#: What is kept of a request: so many words, of each so many bytes.
MAX_WORDS: Final = 32
MAX_WORD_BYTES: Final = 128


@dataclass(frozen=True, slots=True, kw_only=True)
class SlowLogEntry:
    """One slow call; `argv` is shortened, and secrets are covered."""

    id: int
    #: When it ended, Unix seconds.
    time_s: int
    duration_us: int
    argv: list[bytes]
    address: str
    client_name: bytes


class SlowLog:
    """The newest entries, at most `max_length`; ids go on over a reset."""

    def __init__(self) -> None:
        #: Calls that take so long are logged; negative: none are.
        self.threshold_us = 10_000
        self._max_length = 128
        self._entries: deque[SlowLogEntry] = deque()
        self._next_id = 0

    def __len__(self) -> int:
        return len(self._entries)

    def set_max_length(self, max_length: int) -> None:
        """Keep so many entries from now on; what is too old goes with the next entry."""
        self._max_length = max_length

    def wants(self, duration_us: int) -> bool:
        """Return whether a call that took so long is to be logged."""
        return 0 <= self.threshold_us <= duration_us

    def add(
        self, argv: list[bytes], *, duration_us: int, now_ms: int, address: str, client_name: bytes
    ) -> None:
        """Log a call."""
        entry = SlowLogEntry(
            id=self._next_id,
            time_s=now_ms // 1000,
            duration_us=duration_us,
            argv=_shortened(argv),
            address=address,
            client_name=client_name,
        )
        self._next_id += 1
        self._entries.appendleft(entry)
        while len(self._entries) > self._max_length:
            self._entries.pop()

    def newest(self, count: int) -> list[SlowLogEntry]:
        """Return up to `count` entries, the newest first."""
        return list(islice(self._entries, count))

    def clear(self) -> None:
        """Forget all entries."""
        self._entries.clear()


def _shortened(argv: list[bytes]) -> list[bytes]:
    kept = argv
    more: list[bytes] = []
    if len(argv) > MAX_WORDS:
        kept = argv[: MAX_WORDS - 1]
        more = [b"... (%d more arguments)" % (len(argv) - len(kept))]
    return [_shortened_word(word) for word in kept] + more


def _shortened_word(word: bytes) -> bytes:
    if len(word) <= MAX_WORD_BYTES:
        return word
    return b"%b... (%d more bytes)" % (word[:MAX_WORD_BYTES], len(word) - MAX_WORD_BYTES)
