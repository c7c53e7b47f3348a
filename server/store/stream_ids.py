"""IDs of stream entries: a time in milliseconds and a sequence number, 64 bits each, as one number.

So they compare, and have a next and a previous one, as integers do (Redis 7.0 `t_stream.c`).
"""

from __future__ import annotations

from typing import Final, TypeAlias

StreamId: TypeAlias = int

UINT64_MAX: Final = (1 << 64) - 1
#: The largest ID. 0 is the smallest; no entry has it.
MAX_ID: Final = (1 << 128) - 1
#: How an ID is written where it has to be 16 bytes, in the order of IDs.
ID_BYTES: Final = 16


def make_id(time_ms: int, sequence: int) -> StreamId:
    """Return the ID of the two parts."""
    return time_ms << 64 | sequence


def format_id(stream_id: StreamId) -> bytes:
    """Return `stream_id` as clients see it."""
    return b"%d-%d" % (stream_id >> 64, stream_id & UINT64_MAX)
