"""Does to a deployment what a scenario's steps say: hits, orders, waits for what was undone.

Owns who was hit, who is gone, and when what was done was undone. When each is to happen is the
runner's to say, and what comes of it the checkers'. `Injector` has what is the same everywhere;
`lab_injection` signals processes of a laboratory, `protocol_injection` speaks to those of others.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Final

import trio

from vedette.errors import VedetteError

from ..faults import Fault, Injection, Order, Target
from ..settings import DrillError
from .connector import Connector
from .observer import Observer

#: How long a sentinel may take to accept an order: it saves its state before.
_ANSWER_TIMEOUT_S: Final = 10.0


class Injector(ABC):
    """Carries one injection out; `note` is told of each act in one line."""

    def __init__(
        self,
        observer: Observer,
        connector: Connector,
        injection: Injection,
        note: Callable[[str], None],
    ) -> None:
        self._observer = observer
        self._deployment = observer.deployment
        self._connector = connector
        self._injection = injection
        self._note = note
        #: Whom the fault hits; empty before `aim`.
        self.victim = ""
        #: Names of the processes that the fault ends for good.
        self.gone: set[str] = set()
        #: When the fault was undone last, and when the sentinels' majority was started again; None
        #: before.
        self.returned_ns: int | None = None
        self.restored_ns: int | None = None

    def aim(self) -> str:
        """Choose whom to hit; return the name of the one master there is.

        Raises:
            DrillError: there is none, or more than one, or nobody to hit.
        """
        masters = self._observer.view.masters()
        if len(masters) != 1:
            raise DrillError(f"{len(masters)} masters before the fault: {', '.join(masters)}")
        self.victim = masters[0]
        if isinstance(self._injection, Fault) and self._injection.target is Target.REPLICA:
            nodes = [node.name for node in self._deployment.nodes]
            self.victim = next((name for name in nodes if name != masters[0]), "")
            if not self.victim:
                raise DrillError("there is no replica to hit")
        if self._injection.ends_process:
            self.gone.add(self.victim)
        self._note(f"{self._injection.name} {self._description_of_victim}")
        return masters[0]

    @property
    def _description_of_victim(self) -> str:
        return self.victim

    @abstractmethod
    async def strike(self, nursery: trio.Nursery) -> int:
        """Inject the fault, again if it was undone; return when that was, in nanoseconds.

        What goes on after that runs in `nursery`. An order is given by `give_order` instead.

        Raises:
            DrillError: who is told to fail refuses, or cannot be reached.
        """

    @abstractmethod
    async def undo(self) -> None:
        """Undo the fault, or wait until it has ended, by itself or by who runs the process."""

    @abstractmethod
    def kill_majority(self) -> None:
        """Kill so many sentinels that the others are no majority."""

    @abstractmethod
    def restore_sentinels(self) -> None:
        """Start the sentinels again that were killed."""

    async def give_order(self, order: Order) -> None:
        """Tell a sentinel what an operator would: one that knows every such order, if there is.

        Raises:
            DrillError: it refuses, cannot be reached, or does not answer.
        """
        sentinels = self._deployment.sentinels
        able = (sentinel for sentinel in sentinels if sentinel.knows_coordinated)
        told = next(able, sentinels[0])
        try:
            with trio.fail_after(_ANSWER_TIMEOUT_S):
                async with self._connector.open(told) as connection:
                    await connection.execute(
                        "SENTINEL", "FAILOVER", self._deployment.master_name, *order.options
                    )
        except VedetteError as error:
            raise DrillError(f"{told.name} refuses {order.name}: {error}") from error
        except trio.TooSlowError as error:
            raise DrillError(f"{told.name} does not answer {order.name}") from error
