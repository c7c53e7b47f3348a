"""The server's choke point: the kernel's engine with a dataset, propagation and more gates."""

from __future__ import annotations

from .context import ServerContext, Statistics
from .engine import ServerEngine
from .host import Host, SaveInProgress

__all__ = ["Host", "SaveInProgress", "ServerContext", "ServerEngine", "Statistics"]
