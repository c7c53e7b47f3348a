"""What a scenario does to a laboratory: signals to its processes, proxies that hold their links."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Mapping
from typing import assert_never

import trio

from ..faults import Fault, Hang, Injection, Order, Partition, Shutdown
from .connector import Connector
from .injection import Injector
from .observer import Observer
from .processes import LabProcess
from .proxy import FaultProxy


class LabInjector(Injector):
    """Acts on `processes` and `proxies`, by the members' names."""

    def __init__(
        self,
        observer: Observer,
        connector: Connector,
        injection: Injection,
        note: Callable[[str], None],
        *,
        processes: Mapping[str, LabProcess],
        proxies: Mapping[str, FaultProxy],
    ) -> None:
        super().__init__(observer, connector, injection, note)
        self._processes = processes
        self._proxies = proxies
        self._killed_sentinels: list[str] = []

    @property
    def _description_of_victim(self) -> str:
        return f"{self.victim} (pid {self._processes[self.victim].pid})"

    async def strike(self, nursery: trio.Nursery) -> int:
        await trio.lowlevel.checkpoint()
        # Between this clock reading and the signal nothing else runs.
        now_ns = time.monotonic_ns()
        match self._injection:
            case Fault():
                self._processes[self.victim].send_signal(self._injection.signal)
            case Partition():
                self._proxies[self.victim].hold()
            case Order():
                pass
            case Hang() | Shutdown():
                raise AssertionError("a laboratory's processes are not asked to fail")
            case _:
                assert_never(self._injection)
        return now_ns

    async def undo(self) -> None:
        self.returned_ns = time.monotonic_ns()
        if isinstance(self._injection, Partition):
            self._note(f"heal {self.victim}")
            self._proxies[self.victim].release()
        else:
            self._note(f"SIGCONT {self.victim}")
            self._processes[self.victim].send_signal(signal.SIGCONT)
        await trio.lowlevel.checkpoint()

    def kill_majority(self) -> None:
        sentinels = self._deployment.sentinels
        count = len(sentinels) - self._deployment.quorum + 1
        self._killed_sentinels = [sentinel.name for sentinel in sentinels[:count]]
        for name in self._killed_sentinels:
            self._note(f"kill -9 {name}")
            self._processes[name].send_signal(signal.SIGKILL)

    def restore_sentinels(self) -> None:
        # Before they are started: none of them can have voted earlier.
        self.restored_ns = time.monotonic_ns()
        for name in self._killed_sentinels:
            self._note(f"start {name}")
            self._processes[name].start()
