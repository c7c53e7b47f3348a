"""The outcome of drills as a file for node_exporter's textfile collector.

The file holds the last outcome of each drill that was run with it; a drill replaces its own series,
so a failure leaves the time of the last pass standing. Pure: text in, text out.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
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
OUTAGE: Final = _spec(
    "write_outage_seconds", "The longest that a writer was without an acknowledgement"
)
LOST: Final = _spec("lost_acknowledged_writes", "Acknowledged writes that were lost")

SPECS: Final = (RESULT, LAST_RUN, LAST_PASS, OUTAGE, LOST)


@dataclass(frozen=True, slots=True, kw_only=True)
class DrillOutcome:
    """How a drill went; what could not be measured is None."""

    drill: str
    passed: bool
    #: Unix time.
    ended_s: float
    outage_s: float | None
    lost_writes: int | None


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
            drill = sample.labels.get("drill", "")
            if drill != outcome.drill or spec is LAST_PASS:
                families.add(spec, sample.value, drill)
    families.add(RESULT, float(outcome.passed), outcome.drill)
    families.add(LAST_RUN, outcome.ended_s, outcome.drill)
    if outcome.passed:
        families.add(LAST_PASS, outcome.ended_s, outcome.drill)
    if outcome.outage_s is not None:
        families.add(OUTAGE, outcome.outage_s, outcome.drill)
    if outcome.lost_writes is not None:
        families.add(LOST, outcome.lost_writes, outcome.drill)
    return generate_latest(_Collected(families)).decode()


class _Collected(CollectorRegistry):
    """The families as the library's encoder takes them."""

    def __init__(self, families: Families) -> None:
        super().__init__()
        self._collected = families

    def collect(self) -> Iterable[Metric]:
        return self._collected.metrics()
