"""Directives of whoever serves clients, server and sentinel alike: as in redis-server 7.0."""

from __future__ import annotations

from typing import Final

from .kinds import BufferLimit, BufferLimits, ClientClass, Integer, Memory
from .settings import Directive, Flag

_MEGABYTE: Final = 1024 * 1024

TCP_BACKLOG: Final = Directive("tcp-backlog", Integer(), 511, Flag.IMMUTABLE)
TIMEOUT: Final = Directive("timeout", Integer(), 0)
TCP_KEEPALIVE: Final = Directive("tcp-keepalive", Integer(), 300)
OUTPUT_LIMITS: Final = Directive(
    "client-output-buffer-limit",
    BufferLimits(),
    {
        ClientClass.NORMAL: BufferLimit(0, 0, 0),
        ClientClass.REPLICA: BufferLimit(256 * _MEGABYTE, 64 * _MEGABYTE, 60),
        ClientClass.PUBSUB: BufferLimit(32 * _MEGABYTE, 8 * _MEGABYTE, 60),
    },
)
QUERY_LIMIT: Final = Directive("client-query-buffer-limit", Memory(_MEGABYTE), 1024 * _MEGABYTE)
BULK_LIMIT: Final = Directive("proto-max-bulk-len", Memory(_MEGABYTE), 512 * _MEGABYTE)
