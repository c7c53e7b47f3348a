"""What INFO and ROLE tell about replication, read from its state.

Names, order and odd values are Redis 7.0's (`server.c: genRedisInfoString`, `replication.c:
roleCommand`): sentinels, exporters and clients parse them.
"""

from __future__ import annotations

from typing import Final

from vedette.resp.replies import Reply

from .feed import FeedState
from .follow import FollowState
from .state import Replication

_TRANSFER: Final = (FollowState.RECEIVING_SNAPSHOT, FollowState.LOADING_SNAPSHOT)


def info_fields(replication: Replication, now_ms: int) -> dict[str, object]:
    """Return the fields of INFO's section `replication`, in order."""
    fields: dict[str, object] = {"role": "slave" if replication.is_replica else "master"}
    if replication.is_replica:
        fields |= _link_fields(replication, now_ms)
    settings = replication.settings
    fields["connected_slaves"] = len(replication.feeds)
    if settings.min_replicas_to_write and settings.min_replicas_max_lag_s:
        fields["min_slaves_good_slaves"] = replication.count_good_replicas(now_ms)
    for index, feed in enumerate(replication.feeds.values()):
        fields[f"slave{index}"] = feed.info_value(now_ms)
    identity, backlog = replication.identity, replication.backlog
    fields |= {
        "master_failover_state": replication.failover.state.value,
        "master_replid": identity.replid.decode("ascii", "replace"),
        "master_replid2": identity.replid2.decode("ascii", "replace"),
        "master_repl_offset": replication.offset,
        "second_repl_offset": identity.second_repl_offset,
        "repl_backlog_active": int(backlog is not None),
        "repl_backlog_size": settings.backlog_size_bytes,
        # Offsets count bytes from 1 here.
        "repl_backlog_first_byte_offset": backlog.first_offset + 1 if backlog else 0,
        "repl_backlog_histlen": backlog.history_bytes if backlog else 0,
    }
    return fields


def _link_fields(replication: Replication, now_ms: int) -> dict[str, object]:
    """Return what a replica says of its link to its master."""
    master, follow = replication.master, replication.follow
    assert master is not None
    is_up = replication.is_link_up
    position = replication.position
    # Redis shows 1 where nothing is known.
    offset = replication.offset if is_up or position is not None else 1
    fields: dict[str, object] = {
        "master_host": master.host,
        "master_port": master.port,
        "master_link_status": "up" if is_up else "down",
        "master_last_io_seconds_ago": -1,
        "master_sync_in_progress": int(follow is not None and follow.state in _TRANSFER),
        "slave_read_repl_offset": offset,
        "slave_repl_offset": offset,
    }
    if follow is not None and is_up:
        fields["master_last_io_seconds_ago"] = (now_ms - follow.last_io_ms) // 1000
        fields["slave_read_repl_offset"] = follow.read_offset
    if follow is not None and follow.state in _TRANSFER:
        snapshot = follow.snapshot
        size, read = (0, 0) if snapshot is None else (snapshot.size_bytes, snapshot.read_bytes)
        fields |= {
            "master_sync_total_bytes": size,
            "master_sync_read_bytes": read,
            "master_sync_left_bytes": size - read,
            "master_sync_perc": f"{100 * read / size if size else 0:.2f}",
            "master_sync_last_io_seconds_ago": (now_ms - follow.last_io_ms) // 1000,
        }
    if not is_up:
        since_ms = replication.link_down_since_ms
        fields["master_link_down_since_seconds"] = (
            -1 if since_ms is None else (now_ms - since_ms) // 1000
        )
        if replication.last_link_error:
            # Not in Redis: why the data cannot be had, for whoever looks here first.
            fields["master_link_error"] = " ".join(replication.last_link_error.split())
    settings = replication.settings
    fields |= {
        "slave_priority": settings.priority,
        "slave_read_only": int(settings.is_read_only),
        "replica_announced": int(settings.is_announced),
    }
    return fields


def role_reply(replication: Replication) -> Reply:
    """Return the answer to ROLE."""
    master, follow = replication.master, replication.follow
    if master is None:
        rows: list[Reply] = [
            list[Reply](feed.role_row())
            for feed in replication.feeds.values()
            if feed.state is FeedState.ONLINE
        ]
        return [b"master", replication.offset, rows]
    state = FollowState.CLOSED if follow is None else follow.state
    offset = replication.offset if replication.is_link_up else -1
    return [b"slave", master.host.encode(), master.port, state.role_name, offset]
