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
from .runtime.client import FailoverClient
from .runtime.own import OwnConnection
from .runtime.pipeline import Pipeline
from .runtime.replicas import ReplicaReader
from .runtime.subscription import Gap, Message, Subscription
from .statistics import ClientStatistics, ReadBy, RetryReason

__all__ = [
    "FailoverClient",
    "Pipeline",
    "OwnConnection",
    "ReplicaReader",
    "Subscription",
    "Message",
    "Gap",
    "ClientStatistics",
    "Leaving",
    "ReadBy",
    "RetryReason",
    "FailoverClientError",
    "MasterUnavailable",
    "WriteUncertain",
    "UnsupportedCommand",
    "ClientClosed",
    "ReplyError",
]
