"""What a command function is handed: the engine's one context, rebound before each command."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from ..conf import BufferLimit
from ..resp.replies import Reply
from .session import ClientKind, Session

if TYPE_CHECKING:
    from ..acl import AccessControl
    from .engine import Engine
    from .pubsub import PubSub
    from .registry import ClientRegistry


@dataclass(slots=True)
class ServingSettings:
    """What the serving of connections depends on; the shells write it from their configuration."""

    #: `standalone` or `sentinel`, as HELLO and INFO report it.
    mode: str = "standalone"
    #: Hard limit on queries held for one client that is blocked or sends no line end.
    query_buffer_limit_bytes: int = 1024 * 1024 * 1024
    #: proto-max-bulk-len.
    max_bulk_bytes: int = 512 * 1024 * 1024
    #: See `output_limits.py`; kinds that are missing have none.
    output_limits: Mapping[ClientKind, BufferLimit] = field(default_factory=dict)


class Context:
    """The base of server's and sentinel's contexts; one object for the life of the engine."""

    def __init__(self, engine: Engine, settings: ServingSettings) -> None:
        self.engine = engine
        self.settings = settings
        self.clients: ClientRegistry = engine.clients
        self.pubsub: PubSub = engine.pubsub
        self.access: AccessControl = engine.access
        #: Wall clock in milliseconds, read once per batch.
        self.now_ms = 0
        #: Who sent the command that runs now.
        self.session = Session(0)
        #: Changes made to the dataset by the command that runs now; writes add to it.
        self.changes = 0

    def hello_fields(self) -> list[tuple[Reply, Reply]]:
        """Return what HELLO says between `proto` and `modules` of this kind of program."""
        return [(b"mode", self.settings.mode.encode())]
