"""What the clients of an application have been through, for its own registry of metrics.

    collector = ClientCollector()
    prometheus_client.REGISTRY.register(collector)
    async with FailoverClient(...) as client:
        with collector.watching("orders", client):
            ...

The clients count whether anybody asks or not, only when something went wrong, so a command costs
the same with and without a collector. A scrape reads what is in memory. Counters are those of the
client: another one under the same name begins at 0, which Prometheus takes for a restart.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Final

from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from ha_client import (
    ClientStatistics,
    FailoverClient,
    Leaving,
    ReadBy,
    RetryReason,
)

from .families import Families, Kind, Spec

_C, _G, _H = Kind.COUNTER, Kind.GAUGE, Kind.HISTOGRAM
_BY_CLIENT: Final = ("client",)


def _spec(name: str, kind: Kind, meaning: str, *more: str) -> Spec:
    return Spec(f"vedette_client_{name}", kind, meaning, (*_BY_CLIENT, *more))


OUTAGES: Final = _spec(
    "failover_seconds",
    _H,
    "From the first command that lost its master, or found none, to the first answer of the next",
)
FAILOVERS: Final = _spec("failovers_total", _C, "How often another node became master")
RECONNECTS: Final = _spec(
    "reconnects_total", _C, "Connections to a master that were put to use after the first"
)
LEAVINGS: Final = _spec(
    "reresolve_total",
    _C,
    "How often a master in use was left and looked for anew, by why",
    "reason",
)
RETRIES: Final = _spec(
    "retries_total",
    _C,
    "Commands that had to be sent (again), by why and whether they may be executed twice",
    "reason",
    "idempotent",
)
UNKNOWN: Final = _spec(
    "unknown_outcome_total", _C, "Commands that were sent and may have been executed or not"
)
UNAVAILABLE: Final = _spec(
    "unavailable_total",
    _C,
    "Commands, connections and subscriptions that found no master before their deadline",
)
STALE: Final = _spec(
    "stale_master_rejected_total",
    _C,
    "What sentinels claimed that was of an older epoch, and so was not believed",
)
AGE: Final = _spec("topology_age_seconds", _G, "Since a sentinel last told who is master")
EPOCH: Final = _spec("epoch", _G, "The highest configuration epoch heard of")
HAS_MASTER: Final = _spec("has_master", _G, "1 while a verified master is connected")
PENDING: Final = _spec("pending_commands", _G, "Commands on their way, or waiting to be sent")
SENTINELS: Final = _spec("sentinels", _G, "Sentinels known of, and those subscribed to", "state")

OWN: Final = _spec(
    "own_connections", _G, "Connections to the master that one task has to itself, open now"
)
OWN_MADE: Final = _spec(
    "own_connections_made_total", _C, "Connections to the master made for one task alone"
)
SUBSCRIPTIONS: Final = _spec("subscriptions", _G, "Subscriptions that are open")
GAPS: Final = _spec("subscription_gaps_total", _C, "Times that a subscription had to be made anew")
GAP_SECONDS: Final = _spec(
    "subscription_gap_seconds_total",
    _C,
    "How long subscriptions were none: what was published then is lost",
)
READS: Final = _spec("reads_total", _C, "Reads by replicas(), by who answered", "by")
REPLICAS: Final = _spec("usable_replicas", _G, "Replicas that may be read from now")

SPECS: Final = (
    OUTAGES,
    FAILOVERS,
    RECONNECTS,
    LEAVINGS,
    RETRIES,
    UNKNOWN,
    UNAVAILABLE,
    STALE,
    AGE,
    EPOCH,
    HAS_MASTER,
    PENDING,
    SENTINELS,
    OWN,
    OWN_MADE,
    SUBSCRIPTIONS,
    GAPS,
    GAP_SECONDS,
    READS,
    REPLICAS,
)


class ClientCollector(Collector):
    """Gives the metrics of all clients that are watched at the moment of a scrape."""

    def __init__(self) -> None:
        self._clients: dict[str, FailoverClient] = {}

    @contextmanager
    def watching(self, name: str, client: FailoverClient) -> Iterator[None]:
        """Include an open client, as `client="<name>"`, until the block ends.

        Raises:
            ValueError: another client is watched under that name.
        """
        if name in self._clients:
            raise ValueError(f"a client named {name} is watched already")
        self._clients[name] = client
        try:
            yield
        finally:
            del self._clients[name]

    def collect(self) -> Iterable[Metric]:
        """Return the metrics as of now."""
        families = Families()
        for name, client in self._clients.items():
            add_client(families, name, client.statistics())
        return families.metrics()

    def describe(self) -> Iterable[Metric]:
        """Name what there will be, so that a registry finds duplicates without asking clients."""
        return [Metric(spec.family_name, spec.meaning, spec.kind.value) for spec in SPECS]


def add_client(families: Families, name: str, statistics: ClientStatistics) -> None:
    """Add what one client has been through."""
    families.add_histogram(OUTAGES, statistics.outages, name)
    for leaving in Leaving:
        families.add(LEAVINGS, statistics.leavings.get(leaving, 0), name, leaving.value)
    for reason in RetryReason:
        for may_repeat in (True, False):
            count = statistics.retries_by_reason.get((reason, may_repeat), 0)
            families.add(RETRIES, count, name, reason.value, "yes" if may_repeat else "no")
    for spec, value in (
        (FAILOVERS, statistics.failovers),
        (RECONNECTS, statistics.reconnects),
        (UNKNOWN, statistics.uncertain_writes),
        (UNAVAILABLE, statistics.unavailable),
        (STALE, statistics.stale_claims),
        (EPOCH, statistics.epoch),
        (HAS_MASTER, float(statistics.master is not None)),
        (PENDING, statistics.pending),
        (OWN, statistics.own_connections),
        (OWN_MADE, statistics.own_connections_made),
        (SUBSCRIPTIONS, statistics.subscriptions),
        (GAPS, statistics.gaps),
        (GAP_SECONDS, statistics.gap_seconds),
        (REPLICAS, statistics.usable_replicas),
    ):
        families.add(spec, value, name)
    for reader in ReadBy:
        families.add(READS, statistics.reads.get(reader, 0), name, reader.value)
    if statistics.topology_age_s is not None:
        families.add(AGE, statistics.topology_age_s, name)
    families.add(SENTINELS, statistics.sentinels_known, name, "known")
    families.add(SENTINELS, statistics.sentinels_connected, name, "connected")
