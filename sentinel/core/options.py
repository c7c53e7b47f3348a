"""What operators set, by file or SENTINEL SET: for one master, and for the whole sentinel."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final

from .timing import DEFAULT_DOWN_AFTER_MS, DEFAULT_FAILOVER_TIMEOUT_MS

DEFAULT_PARALLEL_SYNCS: Final = 1
NO_RENAMES: Final[Mapping[bytes, bytes]] = MappingProxyType({})


@dataclass(frozen=True, slots=True, kw_only=True)
class MasterOptions:
    """What an operator sets for one master, by file or SENTINEL SET."""

    quorum: int
    down_after_ms: int = DEFAULT_DOWN_AFTER_MS
    failover_timeout_ms: int = DEFAULT_FAILOVER_TIMEOUT_MS
    parallel_syncs: int = DEFAULT_PARALLEL_SYNCS
    #: A rebooted master must answer PONG within this time; 0 turns the check off.
    reboot_down_after_ms: int = 0
    #: A master that refuses connections for this long is down; 0 turns the check off.
    refused_after_ms: int = 0
    #: A master that comes back without its data is down.
    guards_empty_restart: bool = True
    notification_script: str | None = None
    client_reconfig_script: str | None = None
    auth_user: bytes | None = None
    auth_pass: bytes | None = None
    #: Upper-case command name -> what to send instead.
    renamed_commands: Mapping[bytes, bytes] = field(default_factory=lambda: NO_RENAMES)


@dataclass(frozen=True, slots=True, kw_only=True)
class GlobalOptions:
    """What an operator sets for the whole sentinel."""

    #: The port and the password of our own, which stand in for what is not set below.
    listening_port: int = 0
    requirepass: bytes | None = None
    #: Our port as fellow sentinels shall reach it; 0 announces the one we listen on.
    announce_port: int = 0
    #: None announces the local address of each link.
    announce_ip: str | None = None
    sentinel_user: bytes | None = None
    sentinel_pass: bytes | None = None
    resolve_hostnames: bool = False
    announce_hostnames: bool = False

    @property
    def announced_port(self) -> int:
        """The port that fellow sentinels are told."""
        return self.announce_port or self.listening_port

    @property
    def peer_credentials(self) -> tuple[bytes | None, bytes | None]:
        """User and password for fellow sentinels; without a password there is no AUTH."""
        if self.sentinel_pass is None:
            return None, self.requirepass
        return self.sentinel_user, self.sentinel_pass
