"""The classes of keyspace events under the engine's name, which is how commands know them."""

from __future__ import annotations

from ..store.keyspace_events import KeyspaceEvents

__all__ = ["KeyspaceEvents"]
