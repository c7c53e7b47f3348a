"""What the exporter exposes about its own work, under redis_exporter's names."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from .families import Families, Kind, Spec

_G, _C = Kind.GAUGE, Kind.COUNTER

EXPORTER_INFO: Final = Spec(
    "vedette_exporter_build_info", _G, "Always 1; version of the exporter", ("version",)
)
SCRAPES: Final = Spec("redis_exporter_scrapes_total", _C, "Scrapes of targets")
SCRAPE_TIME: Final = Spec(
    "redis_exporter_scrape_duration_seconds", Kind.SUMMARY, "How long scrapes of targets took"
)
REQUEST_ERRORS: Final = Spec(
    "redis_target_scrape_request_errors_total", _C, "Requests for a target that cannot be one"
)
LAST_ERROR: Final = Spec(
    "redis_exporter_last_scrape_error", _G, "1 if this scrape failed; `err` says why", ("err",)
)
LAST_TIME: Final = Spec(
    "redis_exporter_last_scrape_duration_seconds", _G, "How long this scrape took"
)
LAST_CONNECT_TIME: Final = Spec(
    "redis_exporter_last_scrape_connect_time_seconds",
    _G,
    "How long it took to connect for this scrape",
)

SPECS: Final = (
    EXPORTER_INFO,
    SCRAPES,
    SCRAPE_TIME,
    REQUEST_ERRORS,
    LAST_ERROR,
    LAST_TIME,
    LAST_CONNECT_TIME,
)


@dataclass(slots=True)
class ScrapeCounters:
    """What the exporter has done since its start."""

    scrapes: int = 0
    seconds: float = 0.0
    request_errors: int = 0

    def add_to(self, families: Families, version: str) -> None:
        """Add the counters; `version` is the exporter's."""
        families.add(EXPORTER_INFO, 1, version)
        families.add(SCRAPES, self.scrapes)
        families.add_summary(SCRAPE_TIME, self.scrapes, self.seconds)
        families.add(REQUEST_ERRORS, self.request_errors)


def add_outcome(
    families: Families, *, error: str, elapsed_s: float, connect_s: float | None
) -> None:
    """Add how one scrape went; `error` is empty if it went well, `connect_s` None if it could not
    connect.
    """
    families.add(LAST_ERROR, float(bool(error)), error)
    families.add(LAST_TIME, elapsed_s)
    if connect_s is not None:
        families.add(LAST_CONNECT_TIME, connect_s)
