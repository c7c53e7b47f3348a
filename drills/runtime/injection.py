"""Does to a laboratory what a scenario's steps say: hits, kills, starts again, orders, undoes.

Owns who was hit, who is gone, and when what was done was undone. When each is to happen is the
runner's to say, and what comes of it the checkers'.
"""

from __future__ import annotations

import signal
import time
from collections.abc import Callable
from typing import Final

import trio

from vedette.errors import VedetteError

from ..faults import Fault, Injection, Order, Partition, Target
from ..lab import Kind
from ..settings import DrillError
from .lab import Lab

#: How long a sentinel may take to accept an order: it saves its state before.
_ANSWER_TIMEOUT_S: Final = 10.0


class Injector:
    """Acts on the processes of `lab`; `note` is told of each act in one line."""

    def __init__(self, lab: Lab, injection: Injection, note: Callable[[str], None]) -> None:
        self._lab = lab
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
        self._killed_sentinels: list[str] = []

    def aim(self) -> str:
        """Choose whom to hit; return the name of the one master there is.

        Raises:
            DrillError: there is none, or more than one, or nobody to hit.
        """
        masters = self._lab.observer.view.masters()
        if len(masters) != 1:
            raise DrillError(f"{len(masters)} masters before the fault: {', '.join(masters)}")
        self.victim = masters[0]
        if isinstance(self._injection, Fault) and self._injection.target is Target.REPLICA:
            nodes = [process.name for process in self._lab.plan.nodes]
            self.victim = next((name for name in nodes if name != masters[0]), "")
            if not self.victim:
                raise DrillError("there is no replica to hit")
        if self._injection.ends_process:
            self.gone.add(self.victim)
        pid = self._lab.processes[self.victim].pid
        self._note(f"{self._injection.name} {self.victim} (pid {pid})")
        return masters[0]

    def strike(self) -> int:
        """Inject the fault; return when that was. An order is given by `give_order` instead."""
        # Between this clock reading and the signal nothing else runs.
        now_ns = time.monotonic_ns()
        match self._injection:
            case Fault():
                self._lab.processes[self.victim].send_signal(self._injection.signal)
            case Partition():
                self._lab.proxies[self.victim].hold()
            case Order():
                pass
        return now_ns

    def undo(self) -> None:
        """Let a process that was stopped go on, or heal its link."""
        self.returned_ns = time.monotonic_ns()
        if isinstance(self._injection, Partition):
            self._note(f"heal {self.victim}")
            self._lab.proxies[self.victim].release()
        else:
            self._note(f"SIGCONT {self.victim}")
            self._lab.processes[self.victim].send_signal(signal.SIGCONT)

    def kill_majority(self) -> None:
        """Kill so many sentinels that the others are no majority."""
        sentinels = self._lab.plan.sentinels
        count = len(sentinels) - self._lab.plan.topology.quorum + 1
        self._killed_sentinels = [process.name for process in sentinels[:count]]
        for name in self._killed_sentinels:
            self._note(f"kill -9 {name}")
            self._lab.processes[name].send_signal(signal.SIGKILL)

    def restore_sentinels(self) -> None:
        """Start the sentinels again that were killed."""
        # Before they are started: none of them can have voted earlier.
        self.restored_ns = time.monotonic_ns()
        for name in self._killed_sentinels:
            self._note(f"start {name}")
            self._lab.processes[name].start()

    async def give_order(self, order: Order) -> None:
        """Tell a sentinel what an operator would: one of ours, if there is any.

        Raises:
            DrillError: it refuses, cannot be reached, or does not answer.
        """
        sentinels = self._lab.plan.sentinels
        ours = (process for process in sentinels if process.kind is Kind.VEDETTE)
        process = next(ours, sentinels[0])
        try:
            with trio.fail_after(_ANSWER_TIMEOUT_S):
                async with self._lab.connect(process) as connection:
                    await connection.execute("SENTINEL", *order.words)
        except VedetteError as error:
            raise DrillError(f"{process.name} refuses {order.name}: {error}") from error
        except trio.TooSlowError as error:
            raise DrillError(f"{process.name} does not answer {order.name}") from error
