"""docs/metrics.md lists every metric there is, as it is exposed."""

from __future__ import annotations

from monitoring import native, node_families
from monitoring.catalogue import ALL_SPECS
from monitoring.families import Families, Kind, Spec
from tests.support.engine import TestEngine
from tests.support.metrics import documented_metrics, documented_names
from vedette.info import parse_info


def expected_cells(spec: Spec) -> tuple[str, str, str, str]:
    """Return how a metric must be listed, but for the processes that expose it."""
    return (
        f"`{spec.name}`",
        "untyped" if spec.kind is Kind.UNTYPED else spec.kind.value,
        ", ".join(f"`{label}`" for label in spec.labels),
        spec.meaning,
    )


def test_every_metric_is_documented_as_it_is_exposed() -> None:
    """Nothing is missing, nothing stale: type, labels and meaning are those of the program."""
    listed = {(row.name, row.type, row.labels, row.meaning) for row in documented_metrics()}

    assert {expected_cells(spec) for spec in ALL_SPECS} == listed


def test_no_metric_is_listed_twice_or_without_its_processes() -> None:
    """That they are the right ones is seen below, and where the processes run, in tests/interop."""
    rows = documented_metrics()

    assert len({row.name for row in rows}) == len(rows)
    known = {"server", "sentinel", "exporter", "drill", "client"}
    for row in rows:
        assert set(row.processes.split(", ")) <= known, row.name


def test_what_a_servers_info_tells_is_listed_as_the_servers_own() -> None:
    """A field that INFO gains becomes a metric at once, and the page must say who serves it."""
    info = parse_info(TestEngine("appendonly yes").call("INFO", "everything"))
    families = Families()
    node_families.add_node(families, info, now_s=1e9)
    native.add_native(families, info)
    served = {sample.name for metric in families.metrics() for sample in metric.samples}

    assert "redis_connected_clients" in served
    assert served <= documented_names("server")
