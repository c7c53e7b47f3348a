"""The metrics of our programs and of others: what is called for every scrape.

Pure and quick: all arguments are at hand in memory, and nothing is kept from one scrape to the
next but what the meters and a `FailoverLog` count.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Final

from . import native, node_families, sentinel_detail, sentinel_families
from .failovers import FailoverLog
from .families import Families
from .info_table import CONFIG_ROWS
from .replies import Answers
from .sentinel_detail import MasterDetailView
from .sentinel_families import SentinelView
from .sentinel_meter import SentinelMeter
from .server_meter import ServerMeter, StreamView

if TYPE_CHECKING:
    from prometheus_client.metrics_core import Metric

__all__ = [
    "DIRECTIVES",
    "FailoverLog",
    "SentinelMeter",
    "SentinelView",
    "add_target",
    "sentinel_metrics",
    "server_metrics",
]

#: The directives that `server_metrics` has a use for.
DIRECTIVES: Final = (*(row.field for row in CONFIG_ROWS), "databases")


def server_metrics(
    info: Mapping[str, str],
    *,
    now_s: float,
    monotonic_s: float,
    meter: ServerMeter,
    stream: StreamView,
    certificates: Mapping[str, float],
    config: Mapping[str, str] | None = None,
) -> Iterable[Metric]:
    """Return a server's metrics from all sections of its INFO.

    `config` holds `DIRECTIVES` by name, as CONFIG GET shows them; `now_s` is Unix time,
    `monotonic_s` that of the clock by which `meter` was told of the stream; `certificates` when
    which expires.
    """
    families = Families()
    node_families.add_node(families, info, now_s=now_s, config=config)
    native.add_native(families, info)
    native.add_certificates(families, certificates)
    meter.add_to(families, stream, monotonic_s)
    return families.metrics()


def sentinel_metrics(
    sentinel: SentinelView,
    log: FailoverLog,
    *,
    now_s: float,
    monotonic_s: float,
    detail: Sequence[MasterDetailView],
    meter: SentinelMeter,
    certificates: Mapping[str, float],
) -> Iterable[Metric]:
    """Return a sentinel's metrics; `detail` is its masters once more.

    `now_s` is Unix time, `monotonic_s` that of the clock by which `log` was told of events.
    """
    families = Families()
    node_families.add_node(families, sentinel.info, now_s=now_s)
    native.add_native(families, sentinel.info)
    native.add_certificates(families, certificates)
    sentinel_families.add_masters(families, sentinel.masters)
    sentinel_families.add_own(families, sentinel)
    sentinel_detail.add_detail(families, detail, now_s)
    meter.add_to(families)
    meter.add_instances(families, detail)
    log.add_to(families, monotonic_s)
    return families.metrics()


def add_target(families: Families, answers: Answers, *, now_s: float) -> None:
    """Add what another server or sentinel has answered; `now_s` is Unix time."""
    node_families.add_node(families, answers.info, now_s=now_s, config=answers.config)
    native.add_native(families, answers.info)
    sentinel_families.add_masters(families, answers.masters)
    if answers.slow_log is not None:
        slow_log = answers.slow_log
        families.add(node_families.SLOWLOG_LENGTH, slow_log.length)
        families.add(node_families.SLOWLOG_LAST_ID, slow_log.last_id)
        families.add(node_families.SLOWLOG_LAST_TIME, slow_log.last_duration_s)
