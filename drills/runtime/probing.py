"""Probes under a drill: who takes writes, and how old what reads are told is.

- A write probe for each node asks the node itself, past any proxy, to take a write: without a pause
  until it first does, then every 50 ms. Two nodes that take writes at the same time are a split
  brain.
- The beat is a number that one task writes over and over through the client that follows the
  master, each higher than the last. Readers ask for it through that client, and each node itself.
  What they are told, against what had been acknowledged when they asked, is how stale it was.
- One task only sleeps, and notes how much later than asked it is woken: on a machine with too much
  to do times say little.

All of it is written down in `Probes`; `drills.checkers` judges it. A node that does not answer, or
refuses, is asked again: its absence is what a drill is about.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from typing import Final

import trio

from ha_client import FailoverClient
from vedette.errors import VedetteError
from vedette.resp.exchange import ReplyError
from vedette.runtime.connection import Connection

from ..checkers import CLIENT, Beat, Read, TakenWrite
from ..deployment import Member
from ..keys import Keys
from .connector import Connector

_FIRST_WRITE_INTERVAL_S: Final = 0.005
#: Between two writes to a node that takes them, and so how exactly a split brain is measured.
WRITE_INTERVAL_S: Final = 0.05
_BEAT_INTERVAL_S: Final = 0.02
_READ_INTERVAL_S: Final = 0.05
_RETRY_INTERVAL_S: Final = 0.02
_LATENESS_INTERVAL_S: Final = 0.02


class Probes:
    """What all probes of one drill have seen."""

    def __init__(self, connector: Connector, keys: Keys) -> None:
        #: The writes that each node took, in order.
        self.taken: dict[str, list[TakenWrite]] = {}
        #: The beats that were acknowledged, and what reads were told, each in order.
        self.beats: list[Beat] = []
        self.reads: list[Read] = []
        #: How much later than asked the drill was woken, at worst.
        self.late_ms = 0.0
        self._connector = connector
        self._keys = keys

    def start(self, nursery: trio.Nursery, client: FailoverClient, nodes: Iterable[Member]) -> None:
        """Beat, and read of it, until `nursery` is cancelled."""
        nursery.start_soon(self._watch_lateness, name="lateness")
        nursery.start_soon(self._beat, client, name="beat")
        nursery.start_soon(self._read_through, client, name="read through the client")
        for node in nodes:
            nursery.start_soon(self._read_from, node, name=f"read from {node.name}")

    async def write_to(self, node: Member, on_accepted: Callable[[int], None]) -> None:
        """Ask `node` to take writes, and note when it did, until cancelled.

        `on_accepted` hears of the first, with its time in nanoseconds.
        """
        taken = self.taken.setdefault(node.name, [])
        is_continued = False
        while True:
            try:
                async with self._connector.open(node) as connection:
                    while True:
                        write = await self._write_once(node.name, connection, is_continued)
                        is_continued = write is not None
                        if write is not None:
                            taken.append(write)
                            if len(taken) == 1:
                                on_accepted(write.completed_ns)
                        await trio.sleep(WRITE_INTERVAL_S if taken else _FIRST_WRITE_INTERVAL_S)
            except VedetteError:  # it is down or was reset: what a probe is there to wait out
                is_continued = False
                await trio.sleep(_FIRST_WRITE_INTERVAL_S)

    async def _write_once(
        self, name: str, connection: Connection, is_continued: bool
    ) -> TakenWrite | None:
        """Ask for one write; None: it was refused.

        Raises:
            ConnectionLost: the connection broke.
        """
        expiry = () if self._keys.ttl_s is None else ("EX", self._keys.ttl_s)
        invoked_ns = time.monotonic_ns()
        try:
            await connection.execute("SET", self._keys.probe(name), str(invoked_ns), *expiry)
        except ReplyError:  # a replica, or not ready
            return None
        return TakenWrite(invoked_ns, time.monotonic_ns(), is_continued)

    async def _watch_lateness(self) -> None:
        while True:
            due_s = trio.current_time() + _LATENESS_INTERVAL_S
            await trio.sleep_until(due_s)
            self.late_ms = max(self.late_ms, (trio.current_time() - due_s) * 1000)

    async def _beat(self, client: FailoverClient) -> None:
        version = 0
        while True:
            version += 1
            try:
                await client.set(self._keys.beat, str(version), ex=self._keys.ttl_s)
            except VedetteError:
                await trio.sleep(_RETRY_INTERVAL_S)
            else:
                self.beats.append(Beat(version, time.monotonic_ns()))
                await trio.sleep(_BEAT_INTERVAL_S)

    async def _read_through(self, client: FailoverClient) -> None:
        while True:
            invoked_ns = time.monotonic_ns()
            try:
                self._note_read(CLIENT, await client.get(self._keys.beat), invoked_ns)
            except VedetteError:
                await trio.sleep(_RETRY_INTERVAL_S)
            await trio.sleep(_READ_INTERVAL_S)

    async def _read_from(self, node: Member) -> None:
        while True:
            try:
                async with self._connector.open(node) as connection:
                    while True:
                        invoked_ns = time.monotonic_ns()
                        reply: bytes | None = await connection.execute("GET", self._keys.beat)
                        self._note_read(node.name, reply, invoked_ns)
                        await trio.sleep(_READ_INTERVAL_S)
            except VedetteError:  # down, loading, or without its master
                await trio.sleep(_RETRY_INTERVAL_S)

    def _note_read(self, source: str, reply: bytes | None, invoked_ns: int) -> None:
        self.reads.append(Read(source, int(reply or 0), invoked_ns))
