"""A deployment that somebody else runs, as a place for drills: attached to, not owned.

Nothing is started or ended here. What a drill writes has a prefix that no other drill has had, is
bounded in number, expires by itself, and is removed at the end.
"""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import trio

from ha_client import FailoverClient
from vedette.errors import VedetteError
from vedette.runtime.background import open_background_nursery
from vedette.runtime.connection import Connection
from vedette.types import Address

from ..deployment import ExistingDeployment, node_of
from ..existing_plan import ExistingDrillPlan
from ..faults import Injection
from ..keys import Keys
from ..scenarios import ON_EXISTING, on_existing
from ..settings import DrillError, DrillSettings
from .connector import Connector
from .discovery import discover
from .observer import Observer
from .preflight import examine
from .protocol_injection import ProtocolInjector
from .reading import remove_keys

#: Longer than any drill takes.
KEY_TTL_S: Final = 3600
#: How long removing the keys may take, in all.
_REMOVE_TIMEOUT_S: Final = 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Access:
    """How to reach a deployment that runs already, and how many keys may be written there."""

    sentinels: Sequence[Address]
    master_name: str
    connector: Connector
    key_limit: int


class ExistingSite:
    """A `Site` of drills that is somebody else's."""

    def __init__(
        self, deployment: ExistingDeployment, access: Access, observe_interval_s: float
    ) -> None:
        self.deployment = deployment
        self.connector = access.connector
        self.observer = Observer(deployment, observe_interval_s, access.connector)
        prefix = f"vedette-drill:{secrets.token_hex(6)}:"
        self.keys = Keys(prefix=prefix, set_limit=access.key_limit, ttl_s=KEY_TTL_S)
        #: They are on other machines.
        self.log_paths: Mapping[str, Path] = {}

    async def plan(self, settings: DrillSettings) -> ExistingDrillPlan:
        """Return what a drill is going to do here; nothing is done.

        Raises:
            DrillError: the scenario takes more than the protocol, or a process stopped answering.
        """
        knows_coordinated = any(each.knows_coordinated for each in self.deployment.sentinels)
        scenario = on_existing(settings.scenario, knows_coordinated=knows_coordinated)
        if scenario is None:
            raise DrillError(
                f"{settings.scenario.name} takes more than the protocol, so only a laboratory can "
                f"have it; here there are {', '.join(ON_EXISTING)}"
            )
        return ExistingDrillPlan(
            deployment=self.deployment,
            scenario=scenario,
            keys=self.keys,
            writer_count=settings.writer_count,
            budget=replace(settings, scenario=scenario).budget(self.deployment),
            checks=await examine(self.observer, self.connector, self.keys, scenario),
        )

    def make_client(self) -> FailoverClient:
        """Return a client that follows the master."""
        nodes, sentinels = self.connector.nodes, self.connector.sentinels
        return FailoverClient(
            self.deployment.master_name,
            [sentinel.address for sentinel in self.deployment.sentinels],
            username=nodes.username,
            password=nodes.password,
            sentinel_username=sentinels.username,
            sentinel_password=sentinels.password,
            tls_context=self.connector.tls_context,
        )

    def make_injector(self, injection: Injection, note: Callable[[str], None]) -> ProtocolInjector:
        """Return what carries `injection` out by the protocol."""
        return ProtocolInjector(self.observer, self.connector, injection, note)

    def exit_codes(self) -> None:
        """Nobody here can tell."""

    async def list_written(self, connection: Connection, asked: Sequence[str]) -> Sequence[str]:
        """Return what was asked: to look for more would hold the node up."""
        del connection
        await trio.lowlevel.checkpoint()
        return asked

    async def remove(self, asked: Sequence[str], note: Callable[[str], None]) -> None:
        """Remove all keys of the drill, also while it is being cancelled; takes bounded time."""
        probes = [self.keys.probe(node.name) for node in self.deployment.nodes]
        names = [*asked, self.keys.counter, self.keys.beat, *probes]
        with trio.move_on_after(_REMOVE_TIMEOUT_S, shield=True):
            for master in self.observer.view.masters():
                try:
                    async with self.connector.open(node_of(self.deployment, master)) as connection:
                        await remove_keys(connection, names)
                except VedetteError as error:
                    note(f"{master} does not let keys be removed: {error}")
                else:
                    note(f"removed what was written below {self.keys.prefix} from {master}")
                    return
        note(f"what was written below {self.keys.prefix} goes by itself within {KEY_TTL_S} s")


@asynccontextmanager
async def open_existing(access: Access, observe_interval_s: float) -> AsyncIterator[ExistingSite]:
    """Attach to a deployment for as long as the block.

    Raises:
        DrillError: it cannot be found, or one of its processes does not answer.
    """
    deployment = await discover(access.connector, access.sentinels, access.master_name)
    site = ExistingSite(deployment, access, observe_interval_s)
    async with open_background_nursery() as nursery:
        nursery.start_soon(site.observer.run, name="observer")
        yield site
