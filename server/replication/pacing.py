"""When a replica reads a busy stream: many commands at a time, some milliseconds late.

A master sends what each batch of commands wrote at once, which under load is a small piece every
few hundred microseconds. To wake for each of them costs a replica as much as to apply what is in
it, and takes processor time from the master where both share a machine. So while pieces follow one
another closely, the replica leaves the stream in the socket for a while between two reads: for
`SHORT_REST_MS`, and step by step up to `MIDDLE_REST_MS` or, if the stream is dense, `LONG_REST_MS`,
while nobody looks at what is here. Not when somebody waits for it: a master that asks for
acknowledgements (WAIT) is read at once.

What lies in the socket is not lost with the master: it is read before the end is seen, and before
this server becomes a master itself. The figures are in docs/adr/0035.
"""

from __future__ import annotations

from typing import Final

#: How long to leave a busy stream unread at first, and wherever somebody may look at what it
#: brings.
SHORT_REST_MS: Final = 3
#: How long at most, of a stream that is steady and of one that is dense.
MIDDLE_REST_MS: Final = 24
LONG_REST_MS: Final = 50
#: A piece that comes within this from when it could be read makes the stream busy.
_BUSY_GAP_MS: Final = 6
#: Some 2,000 and some 20,000 small commands a second. A stream that brings less than the former is
#: hardly ever busy.
_STEADY_BYTES_PER_MS: Final = 100
_DENSE_BYTES_PER_MS: Final = 1000
#: For how long a master that has asked for an acknowledgement is taken to wait for more of them.
_HURRY_MS: Final = 1000
#: For how long somebody who has looked, or asked, may be expected to do it again.
_WATCHED_MS: Final = 10_000
#: A piece of so many bytes is worth its wake-up; there may be more of the kind.
_LARGE_BYTES: Final = 32 * 1024


class StreamPace:
    """The pace of one link; times are in milliseconds, of any clock.

    `on_piece` is called when a piece was read, `take_rest_ms` when it was applied, and `on_ready`
    after the rest.
    """

    __slots__ = (
        "_hurry_until_ms",
        "_last_rest_ms",
        "_ready_ms",
        "_received_bytes",
        "_rest_ms",
        "_rested_at_ms",
        "_watched_until_ms",
    )

    def __init__(self) -> None:
        #: The rest that is due once the piece is applied.
        self._rest_ms = 0
        #: The rest before it; 0 while the stream is not busy.
        self._last_rest_ms = 0
        #: When that was decided on, and how much has come since.
        self._rested_at_ms = 0
        self._received_bytes = 0
        #: Since when there is nobody but the master to wait for; None while a piece is applied.
        self._ready_ms: int | None = None
        self._hurry_until_ms = 0
        self._watched_until_ms = 0

    def on_piece(self, size_bytes: int, now_ms: int) -> None:
        """Note that a piece was read."""
        ready_ms, self._ready_ms = self._ready_ms, None
        self._rest_ms = 0
        self._received_bytes += size_bytes
        if ready_ms is None or now_ms - ready_ms > _BUSY_GAP_MS:
            self._last_rest_ms = 0
        elif size_bytes < _LARGE_BYTES and now_ms >= self._hurry_until_ms:
            self._rest_ms = self._last_rest_ms = self._next_rest_ms(now_ms)
            self._rested_at_ms = now_ms
            self._received_bytes = 0

    def _next_rest_ms(self, now_ms: int) -> int:
        elapsed_ms = now_ms - self._rested_at_ms
        is_steady = self._received_bytes >= _STEADY_BYTES_PER_MS * elapsed_ms
        if not is_steady or now_ms < self._watched_until_ms:
            return SHORT_REST_MS
        is_dense = self._received_bytes >= _DENSE_BYTES_PER_MS * elapsed_ms
        longest_ms = LONG_REST_MS if is_dense else MIDDLE_REST_MS
        return max(SHORT_REST_MS, min(2 * self._last_rest_ms, longest_ms))

    def on_acknowledgement_asked(self, now_ms: int) -> None:
        """Note that the master wants to know at once how far we are."""
        self._hurry_until_ms = now_ms + _HURRY_MS
        self._rest_ms = 0
        self.on_watched(now_ms)

    def on_watched(self, now_ms: int) -> None:
        """Note that somebody looks at what the stream brings."""
        self._watched_until_ms = now_ms + _WATCHED_MS

    def take_rest_ms(self) -> int:
        """Return, once for each piece, how long to rest before the next read; 0: not at all."""
        rest_ms, self._rest_ms = self._rest_ms, 0
        return rest_ms

    def on_ready(self, now_ms: int) -> None:
        """Note that the next piece can be read."""
        if self._ready_ms is None:
            self._ready_ms = now_ms
