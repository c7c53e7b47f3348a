"""What replication takes from the configuration: plain records, which the shell writes."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

#: More than any machine has.
_UNLIMITED_BYTES: Final = 1 << 62


@dataclass(frozen=True, slots=True)
class OutputLimit:
    """`client-output-buffer-limit replica`: how far a replica may fall behind the stream.

    More than `hard_bytes` (but no less than `repl-backlog-size`) ends it at once, more than
    `soft_bytes` when it lasts `soft_ms`.
    0 means no such limit.
    """

    hard_bytes: int = 256 * 1024 * 1024
    soft_bytes: int = 64 * 1024 * 1024
    soft_ms: int = 60_000

    @property
    def backlog_limit_bytes(self) -> int:
        """How large the backlog may become for a replica that is behind."""
        return self.hard_bytes or _UNLIMITED_BYTES


@dataclass(slots=True)
class ReplicationSettings:
    """What replication takes from the configuration; the shell writes it, at start and on CONFIG
    SET.
    """

    backlog_size_bytes: int = 1024 * 1024
    #: How long a master without replicas keeps its backlog; 0 for ever.
    backlog_ttl_ms: int = 3600 * 1000
    timeout_ms: int = 60_000
    ping_period_ms: int = 10_000
    #: Send snapshots while they are made, where the replica can find their end.
    is_diskless: bool = True
    #: How long such a snapshot waits for more replicas that want one, and how many are enough.
    diskless_delay_ms: int = 0
    diskless_max_replicas: int = 0
    min_replicas_to_write: int = 0
    min_replicas_max_lag_s: int = 10
    output_limit: OutputLimit = field(default_factory=OutputLimit)
    listening_port: int = 6379
    announced_address: str = ""
    announced_port: int = 0
    master_user: bytes = b""
    master_password: bytes = b""
    priority: int = 100
    is_announced: bool = True
    is_read_only: bool = True
    serves_stale_data: bool = True
