"""When a replica reads a busy stream: many commands at a time, a few milliseconds late.

A master sends what each batch of commands wrote at once, which under load is a small piece every
few hundred microseconds. To wake for each of them costs a replica as much as to apply what is in
it, and takes processor time from the master where both share a machine. So while pieces follow one
another closely, the replica leaves the stream in the socket for `REST_MS` between two reads. Not
when somebody waits for it: a master that asks for acknowledgements (WAIT) is read at once.

What lies in the socket is not lost when the master ends: it is read before the end is seen.
"""

from __future__ import annotations

from typing import Final

#: How long to leave the stream unread between two pieces of a busy one.
REST_MS: Final = 3
#: Pieces that follow one another within this make a stream busy. More than the rest, or a rest
#: would look like quiet.
_BUSY_GAP_MS: Final = 2 * REST_MS
#: For how long a master that has asked for an acknowledgement is taken to wait for more of them.
_HURRY_MS: Final = 1000
#: A piece of so many bytes is worth its wake-up; there may be more of the kind.
_LARGE_BYTES: Final = 32 * 1024


class StreamPace:
    """The pace of one link; times are in milliseconds, of any clock."""

    __slots__ = ("_hurry_until_ms", "_last_ms", "_rest_ms")

    def __init__(self) -> None:
        self._rest_ms = 0
        self._last_ms: int | None = None
        self._hurry_until_ms = 0

    def on_piece(self, size_bytes: int, now_ms: int) -> None:
        """Note that a piece was read."""
        last_ms, self._last_ms = self._last_ms, now_ms
        is_busy = last_ms is not None and now_ms - last_ms <= _BUSY_GAP_MS
        is_wanted = is_busy and size_bytes < _LARGE_BYTES and now_ms >= self._hurry_until_ms
        self._rest_ms = REST_MS if is_wanted else 0

    def on_acknowledgement_asked(self, now_ms: int) -> None:
        """Note that the master wants to know at once how far we are."""
        self._hurry_until_ms = now_ms + _HURRY_MS
        self._rest_ms = 0

    def take_rest_ms(self) -> int:
        """Return, once for each piece, how long to rest before the next read; 0: not at all."""
        rest_ms, self._rest_ms = self._rest_ms, 0
        return rest_ms
