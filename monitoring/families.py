"""Metric families: what a metric is called, of which type it is, and its samples at one moment.

Every metric that any of our programs exposes is a `Spec`, so names, types and labels stand in one
place each and docs/metrics.md can be compared with them. `Families` collects samples by spec; two
samples of the same labels never leave it, for Prometheus refuses the whole answer over one pair.

Knows the library's record of a family and none of its registries. Counters that redis_exporter
exposes without `_total` are UNTYPED: the library would append the suffix to a counter's name.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Final

from vedette.histogram import Histogram

if TYPE_CHECKING:
    from prometheus_client.metrics_core import Metric

__all__ = ["Families", "Histogram", "Kind", "Spec"]

_TOTAL: Final = "_total"


class Kind(Enum):
    """Type of a family; the value is what prometheus_client calls it."""

    GAUGE = "gauge"
    COUNTER = "counter"
    UNTYPED = "unknown"
    SUMMARY = "summary"
    HISTOGRAM = "histogram"


@dataclass(frozen=True, slots=True)
class Spec:
    """One metric. `name` is as queries spell it, so a counter's ends in `_total`."""

    name: str
    kind: Kind
    meaning: str
    labels: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        assert self.kind is not Kind.COUNTER or self.name.endswith(_TOTAL), self.name

    @property
    def family_name(self) -> str:
        """The name as prometheus_client wants it."""
        return self.name.removesuffix(_TOTAL) if self.kind is Kind.COUNTER else self.name


class Families:
    """The samples of one answer, by family in the order of their first sample."""

    def __init__(self) -> None:
        self._specs: dict[str, Spec] = {}
        #: Samples by (name of the sample, values of all its labels): a later one replaces.
        self._samples: dict[str, dict[tuple[str, ...], tuple[dict[str, str], float]]] = {}

    def add(self, spec: Spec, value: float, *label_values: str) -> None:
        """Add a sample of a gauge, a counter or an untyped metric."""
        self._add(spec, spec.name, label_values, {}, value)

    def add_summary(
        self,
        spec: Spec,
        count: float,
        total: float,
        *label_values: str,
        quantiles: Mapping[str, float] | None = None,
    ) -> None:
        """Add a summary of `count` observations that add up to `total`."""
        for quantile, value in (quantiles or {}).items():
            self._add(spec, spec.name, label_values, {"quantile": quantile}, value)
        self._add(spec, f"{spec.name}_sum", label_values, {}, total)
        self._add(spec, f"{spec.name}_count", label_values, {}, count)

    def add_histogram(self, spec: Spec, histogram: Histogram, *label_values: str) -> None:
        """Add a histogram as it is now."""
        for bound, count in histogram.cumulative():
            self._add(spec, f"{spec.name}_bucket", label_values, {"le": bound}, count)
        self._add(spec, f"{spec.name}_sum", label_values, {}, histogram.sum)
        self._add(spec, f"{spec.name}_count", label_values, {}, histogram.count)

    def add_parsed(self, spec: Spec, name: str, labels: Mapping[str, str], value: float) -> None:
        """Add a sample as a parser of the text format found it."""
        own = tuple(labels.get(label, "") for label in spec.labels)
        extra = {label: text for label, text in labels.items() if label not in spec.labels}
        self._add(spec, name, own, extra, value)

    def _add(
        self,
        spec: Spec,
        name: str,
        label_values: tuple[str, ...],
        extra: dict[str, str],
        value: float,
    ) -> None:
        labels = dict(zip(spec.labels, label_values, strict=True)) | extra
        known = self._specs.setdefault(spec.name, spec)
        assert known is spec, f"two specs are named {spec.name}"
        samples = self._samples.setdefault(spec.name, {})
        samples[(name, *labels.values())] = (labels, value)

    def metrics(self) -> Iterable[Metric]:
        """Return the families as prometheus_client encodes them."""
        # Imported for a scrape: programs that nobody scrapes start the sooner.
        from prometheus_client.metrics_core import Metric

        result = []
        for spec in self._specs.values():
            metric = Metric(spec.family_name, spec.meaning, spec.kind.value)
            for (sample_name, *_), (labels, value) in self._samples[spec.name].items():
                metric.add_sample(sample_name, labels, value)
            result.append(metric)
        return result
