"""The dashboard that is shipped: Prometheus understands it, and what it asks for exists."""

from __future__ import annotations

import json
import re
from pathlib import Path

from monitoring.catalogue import ALL_SPECS
from monitoring.dashboard import PATH, document, expressions, render
from tests.unit.monitoring.test_alert_rules import promtool

#: What Grafana puts in place of its own variables, more or less.
_RANGES = {"$__range": "1h", "$__interval": "1m", "$__rate_interval": "5m"}


def test_file_is_that_of_the_table() -> None:
    """`python -m monitoring.dashboard` was run after the last change."""
    assert PATH.read_text() == render()


def test_expressions_are_read_by_prometheus(tmp_path: Path) -> None:
    """As the expressions of recording rules, with ranges for Grafana's variables."""
    rules = []
    for number, expr in enumerate(expressions()):
        for variable, value in _RANGES.items():
            expr = expr.replace(variable, value)
        rules.append({"record": f"panel:{number}", "expr": expr})
    path = tmp_path / "rules.yml"
    path.write_text(json.dumps({"groups": [{"name": "panels", "rules": rules}]}))

    promtool("check", "rules", str(path))


def test_metrics_exist() -> None:
    """A panel of a metric that nobody exposes is empty for ever."""
    names = {spec.name for spec in ALL_SPECS}
    for expr in expressions():
        for name in re.findall(r"\b(?:vedette|redis)_\w+", expr):
            assert re.sub("_(bucket|sum|count)$", "", name) in names or name in names, name


def test_panels_do_not_overlap_and_name_no_data_source() -> None:
    """It is imported into any Grafana."""
    taken: set[tuple[int, int]] = set()
    for panel in document()["panels"]:
        place = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert not taken & cells, panel["title"]
        assert max(x for x, _ in cells) < 24
        taken |= cells
    assert set(re.findall(r'"uid": "([^"]*)"', render())) == {"${datasource}"}
