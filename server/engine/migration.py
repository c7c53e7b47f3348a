"""What MIGRATE asks of the process around it: keys are sent to another server over a socket."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class MigratedKey:
    """One key as it is to be restored: `payload` as of DUMP, `ttl_ms` 0 where it never expires."""

    key: bytes
    payload: bytes
    ttl_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class MigrationRequest:
    """Keys for the database `database_index` of the server at `host`:`port`."""

    host: str
    port: int
    #: How long any one exchange may take.
    timeout_s: float
    database_index: int
    keys: tuple[MigratedKey, ...]
    replaces: bool
    #: The words of AUTH behind its name, or none.
    credentials: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class MigrationOutcome:
    """The keys that the other server has, and what went wrong (as an error reply), if anything."""

    accepted: tuple[bytes, ...]
    error: bytes | None = None


class MigrationPort(Protocol):
    """Connections to servers that keys are sent to, as `server.runtime` makes them."""

    @property
    def socket_count(self) -> int:
        """Connections that are kept open for the next request."""

    def transfer(self, request: MigrationRequest) -> MigrationOutcome:
        """Send the keys before returning; everything else waits meanwhile."""

    def begin(self, request: MigrationRequest, on_end: Callable[[MigrationOutcome], None]) -> None:
        """Send the keys while everything else goes on, then call `on_end`."""
