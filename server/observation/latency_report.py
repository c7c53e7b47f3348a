"""What LATENCY DOCTOR and LATENCY GRAPH make of the samples: text for people.

The graph has the shape of Redis' (`sparkline.c`); the doctor's words are our own.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

from .latency import (
    COMMAND,
    EVICTION_CYCLE,
    EXPIRE_CYCLE,
    FAST_COMMAND,
    FORK,
    GARBAGE_COLLECTION,
    UNBLOCKING,
    LatencyMonitor,
    Series,
)

_COLUMNS: Final = 80
_ROWS: Final = 4
#: A column's top, from low to high, within one row; below the top stands a bar.
_TOPS: Final = "_o#"
_BAR: Final = "|"

_SLOW_LOG_OFF: Final = (
    "The slow log is off, so nothing tells which commands these are: switch it on with CONFIG SET"
    " slowlog-log-slower-than {threshold_us}."
)
_SLOW_LOG_COARSE: Final = (
    "The slow log begins at {slow_us} microseconds, above the threshold of this monitor. See the"
    " commands in between with CONFIG SET slowlog-log-slower-than {threshold_us}."
)
_ADVICE: Final[dict[str, tuple[str, ...]]] = {
    COMMAND: (
        "SLOWLOG GET names the slow commands and who sent them. Commands over whole collections"
        " (KEYS, SMEMBERS, LRANGE 0 -1, SORT, SUNION ...) are better replaced by SCAN and its kin,"
        " or split; what must be computed over everything can be asked of a replica.",
    ),
    FAST_COMMAND: (
        "Commands that do next to nothing were slow, so it is the machine: too little CPU for this"
        " process (look at the load, at steal time and at CPU limits), swapping, or a collection of"
        " garbage. redis-cli --intrinsic-latency 100 measures the machine without a server.",
    ),
    UNBLOCKING: (
        "Many waited for the same key, or what they waited for was large. Consider several keys.",
    ),
    EXPIRE_CYCLE: (
        "Many keys expire at once, or large ones do: spread their times, and split large values.",
        "A higher 'hz' has expiry done in smaller portions.",
    ),
    EVICTION_CYCLE: (
        "Evicting took long: 'maxmemory-eviction-tenacity' bounds how long it may at a time, and"
        " 'lazyfree-lazy-eviction' has large values freed bit by bit.",
    ),
    GARBAGE_COLLECTION: (
        "Collections of garbage cycles look at no more than some thousand objects, but for MEMORY"
        " PURGE, and for those that an idle server makes: if they take long, it is the machine.",
    ),
    FORK: (
        "A fork copies the page tables of the process: its time grows with the memory in use. Save"
        " on a replica rather than on the master, or hold less data in one process.",
    ),
}


def graph(event: str, series: Series, now_s: int) -> str:
    """Return the samples of `event` as columns of characters, with how long ago each was."""
    durations = series.durations_ms
    title = (
        f"{event} - high {max(durations)} ms, low {min(durations)} ms"
        f" (all time high {series.worst_ms} ms)\n"
    )
    labels = [_age(now_s - time_s) for time_s, _ in series.samples]
    parts = [
        _part(durations, durations[first : first + _COLUMNS], labels[first : first + _COLUMNS])
        for first in range(0, len(durations), _COLUMNS)
    ]
    return f"{title}{'-' * _COLUMNS}\n" + "\n".join(parts)


def _part(everything: Sequence[int], durations: Sequence[int], labels: Sequence[str]) -> str:
    low = min(everything)
    span = max(everything) - low
    levels = _ROWS * len(_TOPS)
    heights = [min(levels - 1, (each - low) * levels // span if span else 0) for each in durations]
    lines = []
    for row in range(_ROWS - 1, -1, -1):
        floor = row * len(_TOPS)
        lines.append("".join(_cell(height - floor) for height in heights))
    lines += [
        "".join(label[index : index + 1] or " " for label in labels)
        for index in range(max(map(len, labels)))
    ]
    return "".join(f"{line}\n" for line in lines)


def _cell(height: int) -> str:
    """Return what stands in a row above whose floor a column rises by `height`."""
    if height < 0:
        return " "
    return _TOPS[height] if height < len(_TOPS) else _BAR


def _age(seconds: int) -> str:
    for unit, size in (("d", 86_400), ("h", 3600), ("m", 60)):
        if seconds >= size:
            return f"{seconds // size}{unit}"
    return f"{seconds}s"


def report(monitor: LatencyMonitor, *, slow_log_threshold_us: int, now_s: int) -> str:
    """Return what was seen, and what may be done about it."""
    events = monitor.events()
    if not events and not monitor.threshold_ms:
        return (
            "The latency monitor is off. CONFIG SET latency-monitor-threshold <milliseconds> has"
            " it note whatever takes that long.\n"
        )
    if not events:
        return f"Nothing has taken {monitor.threshold_ms} ms or more so far.\n"
    lines = ["What took long:", ""]
    lines += [
        f"{number}. {name}: {_summary(series, now_s)}"
        for number, (name, series) in enumerate(events, 1)
    ]
    advice = list(_advice_for([name for name, _ in events], monitor, slow_log_threshold_us))
    if advice:
        lines += ["", "What may help:", ""]
        lines += [f"- {sentence}" for sentence in advice]
    return "".join(f"{line}\n" for line in lines)


def _summary(series: Series, now_s: int) -> str:
    durations = series.durations_ms
    count = len(durations)
    mean = sum(durations) // count
    deviation = sum(abs(mean - each) for each in durations) // count
    period_s = max(1, now_s - series.samples[0][0]) / count
    return (
        f"{count} spikes, {mean} ms on average (mean deviation {deviation} ms), one in"
        f" {period_s:.2f} s; the worst ever took {series.worst_ms} ms."
    )


def _advice_for(
    events: Sequence[str], monitor: LatencyMonitor, slow_log_threshold_us: int
) -> Iterable[str]:
    threshold_us = monitor.threshold_ms * 1000
    if COMMAND in events:
        if slow_log_threshold_us < 0:
            yield _SLOW_LOG_OFF.format(threshold_us=threshold_us)
        elif slow_log_threshold_us > threshold_us:
            yield _SLOW_LOG_COARSE.format(slow_us=slow_log_threshold_us, threshold_us=threshold_us)
    for event in events:
        yield from _ADVICE.get(event, ())
