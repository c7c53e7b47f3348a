"""What a server counts and times beside INFO: resynchronisations, waits, fsyncs, the stream's pace.

`ServerMeter` is told of each happening by whoever sees it, and once a second how far the stream is;
from that follow the age of what a replica lacks and how long the backlog would last. Nothing here
is asked or told anything by a command that neither waits nor synchronises. Pure: durations arrive
as seconds, moments as monotonic seconds.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections import Counter, deque
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from .families import Families, Histogram, Kind, Spec

_C, _G, _H = Kind.COUNTER, Kind.GAUGE, Kind.HISTOGRAM

RESYNC_CAUSES: Final = Spec(
    "vedette_resync_causes_total",
    _C,
    "Synchronisations that were begun as master or ended well as replica, by why that kind",
    ("side", "kind", "reason"),
)
RESYNC_DURATION: Final = Spec(
    "vedette_resync_duration_seconds",
    _H,
    "From a replica's request, or its attempt to connect, until the stream went on",
    ("side", "kind"),
)
RESYNC_BYTES: Final = Spec(
    "vedette_resync_bytes_total", _C, "Bytes of snapshots sent to replicas, or received", ("side",)
)
ROLE_CHANGES: Final = Spec(
    "vedette_role_changes_total", _C, "Changes of the role since the start, by the new one", ("to",)
)
WAITS: Final = Spec(
    "vedette_wait_seconds", _H, "How long WAIT and WAITAOF took to be answered", ("command",)
)
SHORTFALLS: Final = Spec(
    "vedette_wait_shortfall_total",
    _C,
    "WAIT and WAITAOF that ended with fewer than were asked for",
    ("command",),
)
FSYNCS: Final = Spec(
    "vedette_aof_fsync_seconds", _H, "How long an fsync of the append-only file took"
)
WRITABLE: Final = Spec(
    "vedette_master_writable",
    _G,
    "1 if the node is a master and would take a write now, 0 if it would refuse or delay it",
)
HEADROOM: Final = Spec(
    "vedette_backlog_headroom_seconds",
    _G,
    "How long a replica may be gone and still resynchronise partially, at the last minute's pace",
)
LAG: Final = Spec(
    "vedette_replica_lag_seconds",
    _G,
    "Age of the oldest part of the stream that an online replica has not acknowledged",
    ("slave_ip", "slave_port"),
)

SPECS: Final = (
    RESYNC_CAUSES,
    RESYNC_DURATION,
    RESYNC_BYTES,
    ROLE_CHANGES,
    WAITS,
    SHORTFALLS,
    FSYNCS,
    WRITABLE,
    HEADROOM,
    LAG,
)

#: Whose half of a synchronisation.
MASTER, REPLICA = "master", "replica"
FULL, PARTIAL = "full", "partial"
#: As replica: the dataset was not known to be of any history, or the master would not go on.
FIRST, REFUSED, CONTINUED = "first", "refused", "continued"
WAIT_COMMANDS: Final = ("wait", "waitaof")
ROLES: Final = ("master", "replica")

RESYNC_BOUNDS: Final = (0.01, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 180.0, 600.0)
WAIT_BOUNDS: Final = (0.001, 0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
FSYNC_BOUNDS: Final = (0.0005, 0.001, 0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.0)

#: Moments of the stream that are remembered, one a second.
MOMENTS_MAX: Final = 600
#: Over how long the pace is taken.
PACE_S: Final = 60.0


@dataclass(frozen=True, slots=True)
class FeedView:
    """An online replica, by where it listens, and what it has acknowledged."""

    host: str
    port: int
    acknowledged_offset: int


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamView:
    """What a scrape is told of replication, as of now."""

    is_writable: bool
    offset: int
    #: None while there is no backlog.
    backlog_size_bytes: int | None
    feeds: Iterable[FeedView] = ()


class StreamClock:
    """Remembers when the stream was how long, once a second for some minutes."""

    def __init__(self) -> None:
        #: (monotonic seconds, offset); both rise.
        self._moments: deque[tuple[float, int]] = deque(maxlen=MOMENTS_MAX)

    def note(self, offset: int, now_s: float) -> None:
        """Take note of the stream's end; one that went back is another stream."""
        if self._moments and offset < self._moments[-1][1]:
            self._moments.clear()
        self._moments.append((now_s, offset))

    def age_s(self, acknowledged: int, offset: int, now_s: float) -> float:
        """How old the first byte behind `acknowledged` is, of a stream that ends at `offset`.

        To a second, rounded up; what is older than the memory is as old as that.
        """
        if acknowledged >= offset:
            return 0.0
        index = bisect_right(self._moments, acknowledged, key=lambda moment: moment[1])
        if index > 0:
            return now_s - self._moments[index - 1][0]
        return now_s - self._moments[0][0] if self._moments else 0.0

    def bytes_per_second(self, offset: int, now_s: float) -> float:
        """The pace of the last minute, or of as much of it as is remembered."""
        moments = self._moments
        if not moments:
            return 0.0
        index = bisect_right(moments, now_s - PACE_S, key=lambda moment: moment[0])
        began_s, began = moments[min(index, len(moments) - 1)]
        return (offset - began) / (now_s - began_s) if now_s > began_s else 0.0


class ServerMeter:
    """Counts and times what one server does.

    `full_reasons` are why a master may have to give a full synchronisation.
    """

    def __init__(self, full_reasons: Iterable[str] = ()) -> None:
        self.stream = StreamClock()
        #: All that can occur is there from the start, so that the first one is seen as a rise.
        self._causes = Counter(
            {
                (MASTER, PARTIAL, CONTINUED): 0,
                **{(MASTER, FULL, reason): 0 for reason in full_reasons},
                (REPLICA, PARTIAL, CONTINUED): 0,
                (REPLICA, FULL, FIRST): 0,
                (REPLICA, FULL, REFUSED): 0,
            }
        )
        self._durations = {
            pair: Histogram(RESYNC_BOUNDS)
            for pair in ((MASTER, FULL), (REPLICA, FULL), (REPLICA, PARTIAL))
        }
        self._bytes: Counter[str] = Counter()
        self._role_changes: Counter[str] = Counter()
        self._waits = {command: Histogram(WAIT_BOUNDS) for command in WAIT_COMMANDS}
        self._shortfalls: Counter[str] = Counter()
        self._fsyncs = Histogram(FSYNC_BOUNDS)

    def on_resync(self, side: str, kind: str, reason: str) -> None:
        """A synchronisation was granted as master, or achieved as replica."""
        self._causes[side, kind, reason] += 1

    def on_resync_ended(self, side: str, kind: str, duration_s: float) -> None:
        """The stream goes on, `duration_s` after it was asked for."""
        self._durations[side, kind].observe(max(0.0, duration_s))

    def on_snapshot_bytes(self, side: str, size_bytes: int) -> None:
        """A part of a snapshot was sent or received."""
        self._bytes[side] += size_bytes

    def on_role_change(self, to: str) -> None:
        """The role has changed: see `ROLES`."""
        self._role_changes[to] += 1

    def on_wait_ended(self, command: str, duration_s: float, *, is_met: bool) -> None:
        """A command of `WAIT_COMMANDS` was answered, with as many as it asked for or fewer."""
        self._waits[command].observe(max(0.0, duration_s))
        self._shortfalls[command] += not is_met

    def on_fsync(self, duration_s: float) -> None:
        """An fsync of the append-only file has returned."""
        self._fsyncs.observe(duration_s)

    def add_to(self, families: Families, view: StreamView, now_s: float) -> None:
        """Add all that was counted and timed; `now_s` is monotonic."""
        for (side, kind, reason), count in self._causes.items():
            families.add(RESYNC_CAUSES, count, side, kind, reason)
        for (side, kind), histogram in self._durations.items():
            families.add_histogram(RESYNC_DURATION, histogram, side, kind)
        for side in (MASTER, REPLICA):
            families.add(RESYNC_BYTES, self._bytes[side], side)
        for role in ROLES:
            families.add(ROLE_CHANGES, self._role_changes[role], role)
        for command, histogram in self._waits.items():
            families.add_histogram(WAITS, histogram, command)
            families.add(SHORTFALLS, self._shortfalls[command], command)
        families.add_histogram(FSYNCS, self._fsyncs)
        families.add(WRITABLE, float(view.is_writable))
        self._add_stream(families, view, now_s)

    def _add_stream(self, families: Families, view: StreamView, now_s: float) -> None:
        if view.backlog_size_bytes is not None:
            pace = self.stream.bytes_per_second(view.offset, now_s)
            families.add(HEADROOM, view.backlog_size_bytes / pace if pace > 0 else math.inf)
        for feed in view.feeds:
            age_s = self.stream.age_s(feed.acknowledged_offset, view.offset, now_s)
            families.add(LAG, age_s, feed.host, str(feed.port))
