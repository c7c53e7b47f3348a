"""What a sentinel's runtime counts and times as it works: pings, lost links, saves, its own delays.

Pure: it is told of each happening, with the time where that matters, and adds what it has counted
to a scrape. Times are monotonic seconds.
"""

from __future__ import annotations

from collections import Counter
from typing import Final

from .families import Families, Histogram, Kind, Spec

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

SPECS: Final = (PING_RTT, PING_FAILURES, LOOP_LAG, SAVE_TIME, LINK_LOSSES, SCRIPTS)

#: Why a PING may fail; what a node answers otherwise is `error`.
PING_REASONS: Final = ("loading", "busy", "noauth", "masterdown", "error", "lost")
SCRIPT_KINDS: Final = ("notification", "reconfig")
SCRIPT_RESULTS: Final = ("done", "failed", "dropped")

RTT_BOUNDS: Final = (
    0.0001, 0.0002, 0.0005, 0.001, 0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.0, 5.0,
)  # fmt: skip
LAG_BOUNDS: Final = (0.001, 0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.0, 5.0)
SAVE_BOUNDS: Final = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)

#: Who is pinged.
NODE, SENTINEL = "node", "sentinel"


class SentinelMeter:
    """Counts and times what one sentinel's runtime does."""

    def __init__(self) -> None:
        self._ping_rtt = {kind: Histogram(RTT_BOUNDS) for kind in (NODE, SENTINEL)}
        self._loop_lag = Histogram(LAG_BOUNDS)
        self._save_time = Histogram(SAVE_BOUNDS)
        self._link_losses: Counter[tuple[str, str]] = Counter()
        self._ping_failures: Counter[tuple[str, str]] = Counter()
        self._scripts: Counter[tuple[str, str]] = Counter()
        #: Link -> the token of the PING that waits there, when it was sent, and to what.
        self._pings: dict[int, tuple[int, float, str]] = {}

    def on_ping_sent(self, link: int, token: int, kind: str, now_s: float) -> None:
        """A PING went out; there is one at a time on a link."""
        self._pings[link] = token, now_s, kind

    def on_replies(self, link: int, token: int, now_s: float, error: str | None = None) -> None:
        """Replies came; perhaps to the PING. `error` is the first one's code, if it is an error."""
        ping = self._pings.get(link)
        if ping is None or ping[0] != token:
            return
        del self._pings[link]
        _, sent_s, kind = ping
        self._ping_rtt[kind].observe(now_s - sent_s)
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

    def on_link_lost(self, kind: str, reason: str) -> None:
        """A connection failed, or was not made; `kind` and `reason` are the link's own words."""
        self._link_losses[kind, reason] += 1

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
