"""The serving side of connections: sessions, their registry, pub/sub, and the running of requests.

Pure: what arrives and what is to be sent are bytes in a `Session`; the pump in `vedette.runtime`
moves them.
"""

from __future__ import annotations

from .blocking import WAITING, Block, PausePurpose
from .context import Context, ServingSettings
from .engine import Engine
from .pubsub import PubSub
from .registry import ClientRegistry
from .session import ClientKind, ReplyMode, Session

__all__ = [
    "WAITING",
    "Block",
    "ClientKind",
    "ClientRegistry",
    "Context",
    "Engine",
    "PausePurpose",
    "PubSub",
    "ReplyMode",
    "ServingSettings",
    "Session",
]
