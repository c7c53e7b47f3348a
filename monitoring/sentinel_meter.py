"""What a sentinel's runtime counts and times as it works: pings, lost links, saves, its own delays.

Pure: it is told of each happening, with the time where that matters, and adds what it has counted
to a scrape. Times are monotonic seconds.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Final

from vedette.types import Address

from .families import Families, Histogram, Kind, Spec
from .sentinel_detail import MasterDetailView

PING_RTT: Final = Spec(
    "vedette_ping_rtt_seconds",
    Kind.HISTOGRAM,
    "From a PING to its reply, of nodes and of fellow sentinels",
    ("kind",),
)
LOOP_LAG: Final = Spec(
    "vedette_loop_lag_seconds",
    Kind.HISTOGRAM,
    "How much later than it asked for the sentinel's decision core was woken",
)
SAVE_TIME: Final = Spec(
    "vedette_config_persist_seconds",
    Kind.HISTOGRAM,
    "How long saving the state took, fsync included; every vote waits for it",
)
LINK_LOSSES: Final = Spec(
    "vedette_link_losses_total",
    Kind.COUNTER,
    "Connections that were lost or could not be made, by kind and reason",
    ("link", "reason"),
)

INSTANCE_RTT: Final = Spec(
    "vedette_instance_ping_rtt_seconds",
    Kind.HISTOGRAM,
    "From a PING to its reply, of each node and fellow sentinel; masters share a fellow's",
    ("instance", "kind"),
)
INSTANCE_LOSSES: Final = Spec(
    "vedette_instance_link_losses_total",
    Kind.COUNTER,
    "Connections to each node and fellow sentinel that were lost or could not be made",
    ("instance", "kind"),
)
TILTS: Final = Spec(
    "vedette_tilt_total",
    Kind.COUNTER,
    "How often this sentinel was late beyond trust: stopped by the system, or busy itself",
    ("reason",),
)
PING_FAILURES: Final = Spec(
    "vedette_ping_failures_total",
    Kind.COUNTER,
    "PINGs that were answered with an error, or lost with their connection",
    ("kind", "reason"),
)
SCRIPTS: Final = Spec(
    "vedette_scripts_total",
    Kind.COUNTER,
    "Runs of scripts by outcome; dropped: there were too many",
    ("kind", "result"),
)

SPECS: Final = (
    PING_RTT,
    INSTANCE_RTT,
    PING_FAILURES,
    LOOP_LAG,
    TILTS,
    SAVE_TIME,
    LINK_LOSSES,
    INSTANCE_LOSSES,
    SCRIPTS,
)

#: Why a PING may fail; what a node answers otherwise is `error`.
PING_REASONS: Final = ("loading", "busy", "noauth", "masterdown", "error", "lost")
SCRIPT_KINDS: Final = ("notification", "reconfig")
SCRIPT_RESULTS: Final = ("done", "failed", "dropped")
STOPPED, BUSY = "stopped", "busy"

#: Instances that are kept apart; when there come to be more, all of them begin anew.
INSTANCES_MAX: Final = 20_000

RTT_BOUNDS: Final = (
    0.0001, 0.0002, 0.0005, 0.001, 0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.0, 5.0,
)  # fmt: skip
#: Of one instance: fewer, for there are many.
INSTANCE_RTT_BOUNDS: Final = (0.0005, 0.002, 0.01, 0.05, 0.25, 1.0, 5.0)
#: With more instances than these their round trips have no bounds: at 7 us a sample, buckets for
#: thousands would hold up the loop at each scrape for as long as a stall.
INSTANCES_WITH_BOUNDS_MAX: Final = 300
LAG_BOUNDS: Final = (0.001, 0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.0, 5.0)
SAVE_BOUNDS: Final = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)

#: Who is pinged.
NODE, SENTINEL = "node", "sentinel"


class _Instance:
    """What is counted of one address."""

    __slots__ = ("losses", "rtt")

    def __init__(self) -> None:
        self.rtt = Histogram(INSTANCE_RTT_BOUNDS)
        self.losses = 0


class SentinelMeter:
    """Counts and times what one sentinel's runtime does."""

    def __init__(self) -> None:
        self._ping_rtt = {kind: Histogram(RTT_BOUNDS) for kind in (NODE, SENTINEL)}
        self._loop_lag = Histogram(LAG_BOUNDS)
        self._save_time = Histogram(SAVE_BOUNDS)
        self._link_losses: Counter[tuple[str, str]] = Counter()
        self._ping_failures: Counter[tuple[str, str]] = Counter()
        self._scripts: Counter[tuple[str, str]] = Counter()
        self._tilts: Counter[str] = Counter()
        #: By address; see `INSTANCES_MAX`.
        self._instances: dict[Address, _Instance] = {}
        #: Link -> the token of the PING that waits there, when it was sent, and to what.
        self._pings: dict[int, tuple[int, float, str, _Instance]] = {}

    def on_ping_sent(
        self, link: int, token: int, kind: str, address: Address, now_s: float
    ) -> None:
        """A PING went out; there is one at a time on a link."""
        self._pings[link] = token, now_s, kind, self._instance(address)

    def _instance(self, address: Address) -> _Instance:
        found = self._instances.get(address)
        if found is None:
            if len(self._instances) >= INSTANCES_MAX:
                self._instances.clear()
            found = self._instances[address] = _Instance()
        return found

    def on_replies(self, link: int, token: int, now_s: float, error: str | None = None) -> None:
        """Replies came; perhaps to the PING. `error` is the first one's code, if it is an error."""
        ping = self._pings.get(link)
        if ping is None or ping[0] != token:
            return
        del self._pings[link]
        _, sent_s, kind, instance = ping
        self._ping_rtt[kind].observe(now_s - sent_s)
        instance.rtt.observe(now_s - sent_s)
        if error is not None:
            reason = error.lower()
            self._ping_failures[kind, reason if reason in PING_REASONS else "error"] += 1

    def on_link_ended(self, link: int) -> None:
        """The connection is gone, whoever closed it."""
        ping = self._pings.pop(link, None)
        if ping is not None:
            self._ping_failures[ping[2], "lost"] += 1

    def on_script_ended(self, kind: str, result: str) -> None:
        """A script was run, or dropped: `SCRIPT_KINDS`, `SCRIPT_RESULTS`."""
        self._scripts[kind, result] += 1

    def on_link_lost(self, kind: str, reason: str, address: Address) -> None:
        """A connection failed, or was not made; `kind` and `reason` are the link's own words."""
        self._link_losses[kind, reason] += 1
        self._instance(address).losses += 1

    def on_tilt(self, late_s: float, *, busy_s: float) -> None:
        """The machine was run `late_s` too late, after `busy_s` of this process' own computing."""
        self._tilts[BUSY if busy_s > late_s / 2 else STOPPED] += 1

    def on_woken(self, late_s: float) -> None:
        """The machine was woken `late_s` after the time it had asked for."""
        self._loop_lag.observe(max(0.0, late_s))

    def on_saved(self, duration_s: float) -> None:
        """A save ended, well or not."""
        self._save_time.observe(duration_s)

    def add_to(self, families: Families) -> None:
        """Add all that was counted and timed."""
        for kind, histogram in self._ping_rtt.items():
            families.add_histogram(PING_RTT, histogram, kind)
            for reason in PING_REASONS:
                families.add(PING_FAILURES, self._ping_failures[kind, reason], kind, reason)
        for kind in SCRIPT_KINDS:
            for result in SCRIPT_RESULTS:
                families.add(SCRIPTS, self._scripts[kind, result], kind, result)
        families.add_histogram(LOOP_LAG, self._loop_lag)
        families.add_histogram(SAVE_TIME, self._save_time)
        for (kind, reason), count in self._link_losses.items():
            families.add(LINK_LOSSES, count, kind, reason)
        for reason in (STOPPED, BUSY):
            families.add(TILTS, self._tilts[reason], reason)

    def add_instances(self, families: Families, masters: Sequence[MasterDetailView]) -> None:
        """Add what was counted of each instance that is known now."""
        count = sum(len(master.instances) for master in masters)
        for master in masters:
            for instance in master.instances:
                found = self._instances.get(instance.address)
                if found is None:
                    continue
                rtt = found.rtt if count <= INSTANCES_WITH_BOUNDS_MAX else found.rtt.unbounded()
                families.add_histogram(INSTANCE_RTT, rtt, instance.name, instance.kind)
                families.add(INSTANCE_LOSSES, found.losses, instance.name, instance.kind)
