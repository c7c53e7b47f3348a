"""Looks at a running deployment from outside, over connections of its own.

One task per process asks it again and again for its state (INFO, SENTINEL MASTER); one more per
sentinel listens to all its messages. Whatever is seen goes to one callback, in the order seen, with
the time of the monotonic clock. A process that does not answer is seen as unreachable, and tried
again for ever; the tasks end only when they are cancelled.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace

import trio

from vedette.errors import VedetteError
from vedette.info import parse_info
from vedette.runtime.connection import Connection

from ..deployment import Deployment, Member, Part
from ..observation import (
    NodeSeen,
    NodeView,
    Observation,
    SentinelEvent,
    SentinelSeen,
    SentinelView,
    View,
    read_node_info,
    read_sentinel_master,
)
from .connector import Connector

#: A process that takes longer to answer is unreachable.
_ANSWER_TIMEOUT_S = 1.0
#: Between two attempts to connect.
_RETRY_INTERVAL_S = 0.05


class Observer:
    """Watches every process of a deployment; `view` is always the latest."""

    def __init__(self, deployment: Deployment, interval_s: float, connector: Connector) -> None:
        self.deployment = deployment
        self._connector = connector
        self.view = View(deployment)
        self._interval_s = interval_s
        self._listeners: list[Callable[[Observation], None]] = []
        self._changed = trio.Event()
        self._listening: set[str] = set()

    @property
    def hears_all(self) -> bool:
        """Whether the messages of every sentinel are being listened to."""
        return len(self._listening) == len(self.deployment.sentinels)

    def add_listener(self, listener: Callable[[Observation], None]) -> None:
        """Have `listener` called with every observation from now on, after `view` has it."""
        self._listeners.append(listener)

    async def wait_for(self, condition: Callable[[View], bool]) -> int:
        """Wait until the view fulfils `condition`; return when that was seen, in nanoseconds.

        Waits for ever: the caller sets the deadline.
        """
        while not condition(self.view):
            await self._changed.wait()
        await trio.lowlevel.checkpoint()
        return time.monotonic_ns()

    async def run(self) -> None:
        """Watch until cancelled."""
        async with trio.open_nursery() as nursery:
            for process in (*self.deployment.nodes, *self.deployment.sentinels):
                nursery.start_soon(self._watch, process, name=f"watch {process.name}")
            for process in self.deployment.sentinels:
                nursery.start_soon(self._listen, process, name=f"listen to {process.name}")

    def _publish(self, observation: Observation) -> None:
        self.view.observe(observation)
        for listener in self._listeners:
            listener(observation)
        self._changed.set()
        self._changed = trio.Event()

    async def _watch(self, process: Member) -> None:
        while True:
            try:
                async with self._connector.open(
                    process, _ANSWER_TIMEOUT_S, reply_timeout_s=_ANSWER_TIMEOUT_S
                ) as connection:
                    process_id = await _process_id_of(connection)
                    while True:
                        self._publish(await self._look(process, connection, process_id))
                        await trio.sleep(self._interval_s)
            except VedetteError:  # it is down, frozen, loading, or does not know the master yet
                self._publish(_unreachable(process))
            await trio.sleep(_RETRY_INTERVAL_S)

    async def _look(self, process: Member, connection: Connection, process_id: int) -> Observation:
        """Ask a process for its state; `process_id` is its own, as it said.

        Raises:
            VedetteError: it refused, or broke the connection.
        """
        if process.part is Part.NODE:
            replication, stats = await connection.execute_many(
                [("INFO", "replication"), ("INFO", "stats")]
            )
            for reply in (replication, stats):
                if isinstance(reply, VedetteError):
                    raise reply
            fields = parse_info(replication) | parse_info(stats)
            node = replace(read_node_info(fields, time.monotonic_ns()), process_id=process_id)
            return NodeSeen(name=process.name, view=node)
        master = await connection.execute("SENTINEL", "MASTER", self.deployment.master_name)
        sentinel = read_sentinel_master(master, time.monotonic_ns())
        return SentinelSeen(name=process.name, view=replace(sentinel, process_id=process_id))

    async def _listen(self, process: Member) -> None:
        while True:
            try:
                async with self._connector.open(process, _ANSWER_TIMEOUT_S) as connection:
                    await connection.execute("PSUBSCRIBE", "*")
                    self._listening.add(process.name)
                    while True:
                        self._hear(process, await connection.receive_push())
            except VedetteError:  # its absence is what `_watch` reports
                self._listening.discard(process.name)
            await trio.sleep(_RETRY_INTERVAL_S)

    def _hear(self, process: Member, items: list[bytes]) -> None:
        if items[0] != b"pmessage":
            return
        self._publish(
            SentinelEvent(
                name=process.name,
                channel=items[2].decode("utf-8", "replace"),
                payload=items[3].decode("utf-8", "replace"),
                time_ns=time.monotonic_ns(),
            )
        )


async def _process_id_of(connection: Connection) -> int:
    return int(parse_info(await connection.execute("INFO", "server")).get("process_id", "0"))


def _unreachable(process: Member) -> Observation:
    now_ns = time.monotonic_ns()
    if process.part is Part.NODE:
        return NodeSeen(name=process.name, view=NodeView(time_ns=now_ns))
    return SentinelSeen(name=process.name, view=SentinelView(time_ns=now_ns))
