"""Every metric that any of our programs exposes; docs/metrics.md lists them and a test compares."""

from __future__ import annotations

from typing import Final

from . import (
    client_metrics,
    drill_metrics,
    failovers,
    native,
    node_families,
    scrapes,
    sentinel_detail,
    sentinel_families,
    sentinel_meter,
    server_meter,
)
from .families import Spec

ALL_SPECS: Final[tuple[Spec, ...]] = (
    *node_families.SPECS,
    *native.SPECS,
    *server_meter.SPECS,
    *sentinel_families.SPECS,
    *sentinel_detail.SPECS,
    *sentinel_meter.SPECS,
    *failovers.SPECS,
    *scrapes.SPECS,
    *drill_metrics.SPECS,
    *client_metrics.SPECS,
)
