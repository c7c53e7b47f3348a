"""What a scenario does to a deployment that somebody else runs: by the protocol alone.

The master is told to sleep (DEBUG SLEEP) or to end (SHUTDOWN); nobody can be made to come back, so
undoing is waiting for it: until the sleep is over, or whoever runs the master has started it again.
"""

from __future__ import annotations

import time
from typing import Final, assert_never

import trio

from vedette.errors import VedetteError
from vedette.resp.exchange import ReplyError
from vedette.runtime.connection import Connection

from ..deployment import node_of
from ..faults import Fault, Hang, Order, Partition, Shutdown
from ..observation import View
from ..settings import DrillError
from .injection import Injector

#: How long somebody may take to start the master again.
RETURN_TIMEOUT_S: Final = 120.0
#: How long a command may take from here to where it is carried out, by which the fault counts late.
_TELLING_S: Final = 0.01


class ProtocolInjector(Injector):
    """Speaks to the master; see the module."""

    #: When the master was seen to sleep no more, or to have gone; None before.
    _ended_ns: int | None = None

    async def strike(self, nursery: trio.Nursery) -> int:
        match self._injection:
            case Hang(beyond_down_after_ms=beyond_ms):
                duration_s = (self._deployment.down_after_ms + beyond_ms) / 1000
                await nursery.start(self._tell_master, "DEBUG", "SLEEP", f"{duration_s:.3f}")
            case Shutdown():
                await nursery.start(self._tell_master, "SHUTDOWN", "NOSAVE", "NOW")
            case Order():
                pass
            case Fault() | Partition():
                raise AssertionError("others' processes get no signals")
            case _:
                assert_never(self._injection)
        # What is asked from now on is asked of a master that has been told.
        await trio.sleep(_TELLING_S)
        return time.monotonic_ns()

    async def undo(self) -> None:
        if isinstance(self._injection, Shutdown):
            self._note(f"waiting for {self.victim} to be started again")
        with trio.move_on_after(self._wait_limit_s) as scope:
            await self._observer.wait_for(self._has_returned)
        if scope.cancelled_caught:
            self._note(f"{self.victim} did not come back within {self._wait_limit_s:g} s")
            return
        # One that slept is back when it says so, one that ended when it is first seen again.
        is_asleep = isinstance(self._injection, Hang)
        self.returned_ns = self._ended_ns if is_asleep else time.monotonic_ns()
        self._note(f"{self.victim} is back")

    def kill_majority(self) -> None:
        raise AssertionError("others' sentinels are not killed")

    def restore_sentinels(self) -> None:
        raise AssertionError("others' sentinels are not started")

    @property
    def _wait_limit_s(self) -> float:
        return RETURN_TIMEOUT_S + self._deployment.down_after_ms / 1000

    def _has_returned(self, view: View) -> bool:
        node = view.nodes[self.victim]
        return self._ended_ns is not None and node.is_reachable and node.time_ns > self._ended_ns

    async def _tell_master(
        self, *words: str, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED
    ) -> None:
        """Have the master hang or end; `task_status` hears when it is about to be told.

        Raises:
            DrillError: it refuses, or cannot be reached.
        """
        victim = node_of(self._deployment, self.victim)
        try:
            async with self._connector.open(victim) as connection:
                task_status.started()
                await _tell(connection, words)
        except ReplyError as error:
            raise DrillError(f"{self.victim} refuses {self._injection.name}: {error}") from error
        except VedetteError as error:
            if isinstance(self._injection, Hang):
                raise DrillError(f"{self.victim} was lost while it slept: {error}") from error
        self._ended_ns = time.monotonic_ns()


async def _tell(connection: Connection, words: tuple[str, ...]) -> None:
    """Tell it; NOW is left out for servers before 7.0, which do not know it.

    Raises:
        VedetteError: it refuses; or, with SHUTDOWN, has ended.
    """
    try:
        await connection.execute(*words)
    except ReplyError as error:
        if words[-1] != "NOW" or "syntax error" not in error.text.lower():
            raise
        await connection.execute(*words[:-1])
