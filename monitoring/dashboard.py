"""The Grafana dashboard that we ship: the JSON made from the table in `panels.py`.

`python -m monitoring.dashboard` writes `monitoring/dashboards/vedette.json`; a test compares the
file, has promtool read every expression and looks for every metric among those that exist. Nothing
in it names a data source or an instance: those are variables. Pure but for `main`.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from .panels import ROWS, SWITCHES, Panel

PATH: Final = Path(__file__).with_name("dashboards") / "vedette.json"
#: What Grafana 10 and later read.
_SCHEMA_VERSION: Final = 39
_WIDTH: Final = 24
_HEIGHT: Final = 7
_DATA_SOURCE: Final = {"type": "prometheus", "uid": "${datasource}"}


def expressions() -> list[str]:
    """Return every expression of the dashboard."""
    queries = (query for row in ROWS for panel in row.panels for query in panel.queries)
    return [*(query.expr for query in queries), SWITCHES]


# Any: a JSON document.
def document() -> dict[str, Any]:
    """Return the dashboard as Grafana imports it."""
    return {
        "title": "Vedette",
        "tags": ["redis", "sentinel", "vedette"],
        "schemaVersion": _SCHEMA_VERSION,
        "editable": True,
        "refresh": "10s",
        "time": {"from": "now-1h", "to": "now"},
        "templating": {"list": list(_variables())},
        "annotations": {
            "list": [
                {
                    "name": "Switches",
                    "datasource": _DATA_SOURCE,
                    "enable": True,
                    "iconColor": "red",
                    "expr": SWITCHES,
                    "titleFormat": "{{master_name}} has a new master",
                }
            ]
        },
        "panels": list(_laid_out()),
    }


# Any: parts of a JSON document.
def _variables() -> Iterator[dict[str, Any]]:
    yield {"name": "datasource", "type": "datasource", "query": "prometheus"}
    for name, query in (
        ("master_name", "label_values(redis_sentinel_master_status, master_name)"),
        ("instance", "label_values(redis_up, instance)"),
    ):
        yield {
            "name": name,
            "type": "query",
            "datasource": _DATA_SOURCE,
            "query": query,
            "refresh": 2,
            "multi": True,
            "includeAll": True,
            "allValue": ".*",
            "current": {"text": "All", "value": "$__all"},
        }


# Any: as above.
def _laid_out() -> Iterator[dict[str, Any]]:
    """Yield headings and panels, from left to right and down."""
    number = bottom = 0
    for row in ROWS:
        number += 1
        place = {"x": 0, "y": bottom, "w": _WIDTH, "h": 1}
        yield {"id": number, "type": "row", "title": row.title, "gridPos": place, "panels": []}
        x, y = 0, bottom + 1
        for panel in row.panels:
            number += 1
            if x + panel.width > _WIDTH:
                x, y = 0, y + _HEIGHT
            place = {"x": x, "y": y, "w": panel.width, "h": _HEIGHT}
            x += panel.width
            yield _panel_document(number, panel, place)
        bottom = y + _HEIGHT


# Any: as above.
def _panel_document(number: int, panel: Panel, place: dict[str, int]) -> dict[str, Any]:
    is_table = panel.kind == "table"
    targets = [
        {
            "refId": chr(ord("A") + index),
            "datasource": _DATA_SOURCE,
            "expr": query.expr,
            "legendFormat": query.legend,
            "instant": is_table,
            "format": "table" if is_table else "time_series",
        }
        for index, query in enumerate(panel.queries)
    ]
    return {
        "id": number,
        "type": panel.kind,
        "title": panel.title,
        "datasource": _DATA_SOURCE,
        "gridPos": place,
        "fieldConfig": {"defaults": {"unit": panel.unit}, "overrides": []},
        "targets": targets,
    }


def render() -> str:
    """Return the text of the dashboard's file."""
    return json.dumps(document(), indent=1) + "\n"


def main() -> int:
    """Write the dashboard's file."""
    PATH.write_text(render())
    return 0


if __name__ == "__main__":
    sys.exit(main())
