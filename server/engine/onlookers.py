"""Who looks at what the master's stream brings to a replica: the clients that would notice a delay.

A client that has read a key may do it again. Others are told without asking: those that wait for
keys, subscribe, monitor, or keep keys of ours, and our own replicas. Sentinels, which subscribe to
their own channel, do not count.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from .engine import ServerEngine

_SENTINELS_CHANNEL: Final = b"__sentinel__:hello"


class Onlookers:
    """The onlookers of `engine`; `note_applied` is to be called after each piece of the stream."""

    def __init__(self, engine: ServerEngine) -> None:
        self._engine = engine
        #: How many keys had been looked up when the last piece was applied.
        self._known_lookups = self._lookups()

    def are_there(self) -> bool:
        """Return whether somebody has read since the last piece, or would hear of the next."""
        engine = self._engine
        pubsub = engine.pubsub
        sentinels = 1 if pubsub.subscriber_count(_SENTINELS_CHANNEL) else 0
        return bool(
            self._lookups() != self._known_lookups
            or engine.replication.feeds
            or engine.is_anybody_waiting
            or engine.monitors
            or engine.tracked_keys.is_in_use
            or pubsub.channel_count > sentinels
            or pubsub.pattern_count
            or pubsub.shard_channel_count
        )

    def note_applied(self) -> None:
        """Note that what was looked up until now was not only by clients."""
        self._known_lookups = self._lookups()

    def _lookups(self) -> int:
        statistics = self._engine.context.statistics
        return statistics.keyspace_hits + statistics.keyspace_misses
