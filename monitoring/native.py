"""What a node's INFO says and redis_exporter does not expose: the metrics with our own prefix.

All but certificates is derived from INFO alone, so the exporter gives it for any server; only what
has data is exposed.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from vedette.info import parse_info_line

from .families import Families, Kind, Spec
from .node_families import number, replica_lines

_G, _C = Kind.GAUGE, Kind.COUNTER

BUILD_INFO: Final = Spec("vedette_build_info", _G, "Always 1; Vedette's version", ("version",))
NODE_ROLE: Final = Spec(
    "vedette_node_role", _G, "1 for the role a node has, 0 for the other one", ("role",)
)
REPLICA_LAG: Final = Spec(
    "vedette_replica_lag_bytes",
    _G,
    "Bytes of the stream that an online replica has not acknowledged",
    ("slave_ip", "slave_port"),
)
RESYNCS: Final = Spec(
    "vedette_resyncs_total", _C, "Synchronisations that replicas asked for, by outcome", ("kind",)
)
LINK_DOWN: Final = Spec(
    "vedette_master_link_down_seconds",
    _G,
    "How long a replica has been without its master, 0 while linked",
)
GOOD_REPLICAS: Final = Spec(
    "vedette_good_replicas", _G, "Replicas that min-replicas-to-write counts, if it is set"
)

UNREPLICATED: Final = Spec(
    "vedette_unreplicated_bytes",
    _G,
    "Bytes of the stream that no online replica has: what would be lost with the master now",
)
REJECTED: Final = Spec(
    "vedette_writes_rejected_total",
    _C,
    "Commands refused because of the state that the node is in, by reason; writes above all",
    ("reason",),
)

CERTIFICATES: Final = Spec(
    "vedette_tls_certificate_expiry_timestamp_seconds",
    _G,
    "When the certificates in use expire, Unix time: the process' own, its authority's",
    ("certificate",),
)
PROGRESS: Final = Spec(
    "vedette_progress_ratio",
    _G,
    "How much of what is under way is done: keys a child has written, bytes loaded or received",
    ("work",),
)
COPIED: Final = Spec(
    "vedette_child_copied_bytes", _G, "Memory that the child at work no longer shares; 0 without"
)

SPECS: Final = (
    PROGRESS,
    COPIED,
    BUILD_INFO,
    CERTIFICATES,
    NODE_ROLE,
    REPLICA_LAG,
    UNREPLICATED,
    RESYNCS,
    REJECTED,
    LINK_DOWN,
    GOOD_REPLICAS,
)

#: Error codes that say so.
_REJECTIONS: Final = ("READONLY", "NOREPLICAS", "OOM", "MISCONF", "LOADING", "MASTERDOWN")

_ROLES: Final = {"master": "master", "slave": "replica"}
_RESYNC_FIELDS: Final = {
    "sync_full": "full",
    "sync_partial_ok": "partial",
    "sync_partial_err": "partial_refused",
}


#: What may be under way, by the fields of how much is done and how much there is.
_WORK: Final = {
    "child": ("current_save_keys_processed", "current_save_keys_total"),
    "load": ("loading_loaded_bytes", "loading_total_bytes"),
    "synchronisation": ("master_sync_read_bytes", "master_sync_total_bytes"),
}


def add_native(families: Families, info: Mapping[str, str]) -> None:
    """Add what INFO tells beyond redis_exporter's metrics."""
    version = info.get("vedette_version")
    if version is not None:
        families.add(BUILD_INFO, 1, version)
    own_role = _ROLES.get(info.get("role", ""))
    if own_role is None:
        return  # a sentinel: it replicates nothing
    for role in _ROLES.values():
        families.add(NODE_ROLE, float(role == own_role), role)
    for field, kind in _RESYNC_FIELDS.items():
        count = number(info.get(field))
        if count is not None:
            families.add(RESYNCS, count, kind)
    good = number(info.get("min_slaves_good_slaves"))
    if good is not None:
        families.add(GOOD_REPLICAS, good)
    _add_rejections(families, info)
    _add_progress(families, info)
    _add_lag(families, info)
    if own_role == "replica":
        _add_link(families, info)


def add_certificates(families: Families, expiries_s: Mapping[str, float]) -> None:
    """Add until when certificates are valid, Unix time, by what they are."""
    for name, expires_s in expiries_s.items():
        families.add(CERTIFICATES, expires_s, name)


def _add_rejections(families: Families, info: Mapping[str, str]) -> None:
    """Add the errors that tell of refusals; a code that was never replied has no field."""
    if "total_error_replies" not in info:
        return  # it does not count errors
    for code in _REJECTIONS:
        line = parse_info_line(info.get(f"errorstat_{code}", ""))
        families.add(REJECTED, number(line.get("count")) or 0, code.lower())


def _add_progress(families: Families, info: Mapping[str, str]) -> None:
    """Add how far the works are that are under way and whose end is known."""
    for work, (done_field, total_field) in _WORK.items():
        done, total = number(info.get(done_field)), number(info.get(total_field))
        if done is not None and total:
            families.add(PROGRESS, min(1.0, done / total), work)
    copied_bytes = number(info.get("current_cow_size"))
    if copied_bytes is not None:
        families.add(COPIED, copied_bytes)


def _add_lag(families: Families, info: Mapping[str, str]) -> None:
    """Add the lag of the replicas that are online; one that synchronises has no place to lag."""
    end = number(info.get("master_repl_offset"))
    least = None
    for line in replica_lines(info):
        offset = number(line.get("offset"))
        if end is None or offset is None or line.get("state") != "online":
            continue
        lag_bytes = max(0.0, end - offset)
        families.add(REPLICA_LAG, lag_bytes, line.get("ip", ""), line.get("port", ""))
        least = lag_bytes if least is None else min(least, lag_bytes)
    if least is not None:
        families.add(UNREPLICATED, least)


def _add_link(families: Families, info: Mapping[str, str]) -> None:
    if info.get("master_link_status") == "up":
        families.add(LINK_DOWN, 0)
        return
    down_s = number(info.get("master_link_down_since_seconds"))
    if down_s is not None and down_s >= 0:  # -1: it never was up
        families.add(LINK_DOWN, down_s)
