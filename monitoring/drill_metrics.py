"""The outcome of drills as a file for node_exporter's textfile collector.

The file holds the last outcome of each drill that was run with it; a drill replaces its own series,
so a failure leaves the time of the last pass standing. Pure: text in, text out.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median_low
from typing import Final

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.metrics_core import Metric
from prometheus_client.parser import text_string_to_metric_families

from .families import Families, Kind, Spec

_BY_DRILL: Final = ("drill",)


def _spec(name: str, meaning: str) -> Spec:
    return Spec(f"vedette_drill_{name}", Kind.GAUGE, meaning, _BY_DRILL)


RESULT: Final = _spec("last_result", "1 if the drill passed when it was last run, 0 if it failed")
LAST_RUN: Final = _spec("last_run_timestamp_seconds", "When the drill was last run, Unix time")
LAST_PASS: Final = _spec("last_pass_timestamp_seconds", "When the drill last passed, Unix time")
DOWNTIME: Final = Spec(
    "vedette_drill_write_downtime_seconds",
    Kind.SUMMARY,
    "How long writers were without an acknowledgement: the longest time of each",
    _BY_DRILL,
)
LOST: Final = _spec("lost_acknowledged_writes", "Acknowledged writes that were lost")
BEYOND: Final = _spec(
    "lost_writes_beyond_budget", "Acknowledged writes that were lost and must not have been"
)
DUPLICATES: Final = _spec(
    "duplicate_applies", "Increments beyond all that were asked for, each applied twice"
)
STALE: Final = _spec(
    "stale_read_seconds_max", "By how much the oldest answer to a read was out of date"
)
SPLIT_BRAIN: Final = _spec(
    "split_brain_seconds", "For how long more than one node took writes, all times together"
)
RESYNCS: Final = Spec(
    "vedette_drill_resyncs",
    Kind.GAUGE,
    "Synchronisations that the new master served",
    ("drill", "kind"),
)
INFO: Final = Spec(
    "vedette_drill_info",
    Kind.GAUGE,
    "Always 1; what the last run was made with",
    ("drill", "seed", "version"),
)

SPECS: Final = (
    RESULT,
    LAST_RUN,
    LAST_PASS,
    DOWNTIME,
    LOST,
    BEYOND,
    DUPLICATES,
    STALE,
    SPLIT_BRAIN,
    RESYNCS,
    INFO,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class DrillOutcome:
    """How a drill went; what could not be measured is None."""

    drill: str
    passed: bool
    #: Unix time.
    ended_s: float
    #: The longest time without an acknowledgement of each writer.
    downtimes_s: Sequence[float]
    lost_writes: int | None
    #: Those of them that the drill does not allow to be lost.
    beyond_budget: int | None
    duplicates: int | None
    stale_read_s: float | None
    split_brain_s: float | None
    #: By kind, `full` or `partial`.
    resyncs: Mapping[str, int]
    seed: int
    version: str


def merge_outcome(text: str, outcome: DrillOutcome) -> str:
    """Return the file's new text: `text` with the series of this drill replaced.

    Raises:
        ValueError: `text` is no exposition of metrics.
    """
    families = Families()
    specs = {spec.name: spec for spec in SPECS}
    for family in text_string_to_metric_families(text):
        spec = specs.get(family.name)
        for sample in family.samples if spec is not None else ():
            assert spec is not None
            if sample.labels.get("drill") != outcome.drill or spec is LAST_PASS:
                families.add_parsed(spec, sample.name, sample.labels, sample.value)
    families.add(RESULT, float(outcome.passed), outcome.drill)
    families.add(LAST_RUN, outcome.ended_s, outcome.drill)
    if outcome.passed:
        families.add(LAST_PASS, outcome.ended_s, outcome.drill)
    for measured, value in (
        (LOST, outcome.lost_writes),
        (BEYOND, outcome.beyond_budget),
        (DUPLICATES, outcome.duplicates),
        (STALE, outcome.stale_read_s),
        (SPLIT_BRAIN, outcome.split_brain_s),
    ):
        if value is not None:
            families.add(measured, value, outcome.drill)
    times_s = outcome.downtimes_s
    if times_s:
        quantiles = {"0.5": median_low(times_s), "1": max(times_s)}
        families.add_summary(
            DOWNTIME, len(times_s), sum(times_s), outcome.drill, quantiles=quantiles
        )
    for kind, count in outcome.resyncs.items():
        families.add(RESYNCS, count, outcome.drill, kind)
    families.add(INFO, 1, outcome.drill, str(outcome.seed), outcome.version)
    return generate_latest(_Collected(families)).decode()


class _Collected(CollectorRegistry):
    """The families as the library's encoder takes them."""

    def __init__(self, families: Families) -> None:
        super().__init__()
        self._collected = families

    def collect(self) -> Iterable[Metric]:
        return self._collected.metrics()
