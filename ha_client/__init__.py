"""A client that follows the master through failovers and tells the truth about writes.

    async with FailoverClient("mymaster", [("127.0.0.1", 26379)]) as client:
        await client.set("key", "value")

See docs/client.md.
"""

from __future__ import annotations

from .core.follower import Leaving
from .errors import (
    ClientClosed,
    FailoverClientError,
    MasterUnavailable,
    ReplyError,
    UnsupportedCommand,
    WriteUncertain,
)
from .runtime.client import ClientStatistics, FailoverClient, RetryReason
from .runtime.pipeline import Pipeline

__all__ = [
    "FailoverClient",
    "Pipeline",
    "ClientStatistics",
    "Leaving",
    "RetryReason",
    "FailoverClientError",
    "MasterUnavailable",
    "WriteUncertain",
    "UnsupportedCommand",
    "ClientClosed",
    "ReplyError",
]
