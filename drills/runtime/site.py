"""Where a drill takes place: what the runner needs of a laboratory, or of what runs already."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Protocol

from ha_client import FailoverClient
from vedette.runtime.connection import Connection

from ..deployment import Deployment
from ..faults import Injection
from ..keys import Keys
from .connector import Connector
from .injection import Injector
from .observer import Observer


class Site(Protocol):
    """A deployment, whoever runs it, and the observer that watches it."""

    @property
    def deployment(self) -> Deployment: ...

    @property
    def connector(self) -> Connector: ...

    @property
    def observer(self) -> Observer: ...

    @property
    def keys(self) -> Keys:
        """What a drill may write here."""

    @property
    def log_paths(self) -> Mapping[str, Path]:
        """The nodes' logs, by name, as far as they can be read."""

    def make_client(self) -> FailoverClient:
        """Return a client that follows the master, not yet opened."""

    def make_injector(self, injection: Injection, note: Callable[[str], None]) -> Injector:
        """Return what carries `injection` out here."""

    async def list_written(self, connection: Connection, asked: Sequence[str]) -> Sequence[str]:
        """Return the names of the keys there may be after a drill, of which writers asked some.

        `connection` leads to the master.
        """

    def exit_codes(self) -> Mapping[str, int] | None:
        """Return the codes of the processes that have ended; None: nobody can tell."""
