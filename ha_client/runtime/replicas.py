"""Reading from replicas: connections to those that are linked to the master, used in turn.

Owns one task and one connection for each replica that sentinels hold to be up. A replica is read
from only while it says itself, by ROLE, that its link to the master is up; it is asked anew every
`check_interval_s`. How far its data are behind is not known: replication is asynchronous.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Set
from contextlib import asynccontextmanager
from typing import Any, Final

import trio

from vedette.errors import ProtocolError
from vedette.resp.exchange import Argument, Received, ReplyError, encode_argument
from vedette.runtime.background import open_background_nursery
from vedette.runtime.connecting import ConnectFailed
from vedette.runtime.connection import Connection, ConnectionLost
from vedette.types import Address

from ..commands import CommandMethods
from ..core.kinds import Kind, kind_of, reason_not_to_share
from ..core.verdicts import tells_of_no_master
from ..errors import MasterUnavailable, UnsupportedCommand
from ..statistics import ReadBy, Tally
from .nodes import NodeOptions, ask_role, open_node
from .tracker import MasterTracker

#: Between two looks for a replica where there is none.
_PAUSE_S: Final = 0.05


class ReplicaReader(CommandMethods[Coroutine[Any, Any, Received]]):
    """Reads from replicas in turn; see `FailoverClient.replicas`."""

    def __init__(
        self,
        options: NodeOptions,
        tally: Tally,
        timeout_s: float,
        read_master: Callable[..., Awaitable[Received]] | None,
    ) -> None:
        self._options = options
        self._tally = tally
        self._timeout_s = timeout_s
        self._read_master = read_master
        #: Those that may be read from now, the next one first.
        self._usable: dict[Address, Connection] = {}
        self._watched: dict[Address, trio.CancelScope] = {}
        #: Why the last one that was lost was.
        self._failure = "no sentinel tells of one that is up"

    @property
    def addresses(self) -> list[Address]:
        """The replicas that may be read from now."""
        return list(self._usable)

    async def execute(self, *arguments: Argument) -> Received:
        """Run a command that only reads, on a replica, or on another one if that one fails.

        Raises:
            UnsupportedCommand: it is not known only to read, or cannot share a connection.
            ReplyError: the replica's reply is an error.
            MasterUnavailable: there was no replica until the deadline, and the master is not to be
                read from.
        """
        argv = [encode_argument(argument) for argument in arguments]
        if not argv:
            raise ValueError("a command has at least a name")
        name = argv[0].decode("utf-8", "replace").upper()
        objection = reason_not_to_share(argv)
        if objection is None and kind_of(argv) is not Kind.READ:
            objection = "is not known only to read"
        if objection is not None:
            raise UnsupportedCommand(name, objection)
        started = trio.current_time()
        with trio.move_on_after(self._timeout_s):
            while True:
                chosen = self._next()
                if chosen is not None:
                    reply = await self._ask(*chosen, argv)
                    if reply is not None:
                        self._tally.reads[ReadBy.REPLICA] += 1
                        return reply[0]
                elif self._read_master is not None:
                    value = await self._read_master(*arguments)
                    self._tally.reads[ReadBy.MASTER] += 1
                    return value
                else:
                    await trio.sleep(_PAUSE_S)
        reason = f"no replica is usable: {self._failure}"
        unavailable = MasterUnavailable(name, reason, trio.current_time() - started)
        self._tally.note_error(unavailable)
        raise unavailable

    def _issue(self, *arguments: Argument) -> Coroutine[Any, Any, Received]:
        return self.execute(*arguments)

    def _next(self) -> tuple[Address, Connection] | None:
        """Return the replica whose turn it is, and put it behind the others."""
        if not self._usable:
            return None
        address = next(iter(self._usable))
        connection = self._usable.pop(address)
        self._usable[address] = connection
        return address, connection

    async def _ask(
        self, address: Address, connection: Connection, argv: list[bytes]
    ) -> list[Received] | None:
        """Return the reply in a list, or None if this replica does not serve."""
        try:
            [reply] = await connection.perform([argv])
        except ConnectionLost:
            self._leave(address, connection)
            return None
        if isinstance(reply, ReplyError):
            if not tells_of_no_master(reply):
                raise reply
            self._leave(address, connection)
            return None
        return [reply]

    def _leave(self, address: Address, connection: Connection) -> None:
        """Read from this replica no more until it is connected to and asked anew."""
        if self._usable.get(address) is connection:
            del self._usable[address]
        connection.close("does not serve")

    async def run(self, tracker: MasterTracker, check_interval_s: float) -> None:
        """Keep connections to the replicas that sentinels tell of, until cancelled."""
        async with trio.open_nursery() as nursery:
            told: Set[Address] = set()
            while True:
                told = await tracker.wait_replicas(told)
                for address in told - self._watched.keys():
                    self._watched[address] = trio.CancelScope()
                    nursery.start_soon(
                        self._watch, address, check_interval_s, name=f"replica {address}"
                    )
                for address in self._watched.keys() - told:
                    self._watched.pop(address).cancel()

    async def _watch(self, address: Address, check_interval_s: float) -> None:
        with self._watched[address]:
            while True:
                try:
                    async with open_node(address, self._options) as connection:
                        await self._serve(address, connection, check_interval_s)
                        self._failure = f"{address} is not linked to its master"
                except (ConnectFailed, ConnectionLost) as error:
                    self._failure = str(error)
                except (ProtocolError, ReplyError) as error:  # loading, or no permission
                    self._failure = f"{address} did not tell its role: {error}"
                finally:
                    self._usable.pop(address, None)
                await trio.sleep(check_interval_s)

    async def _serve(
        self, address: Address, connection: Connection, check_interval_s: float
    ) -> None:
        """Have the replica read from as long as its link is up; return when it is not."""
        while await self._is_linked(connection):
            if connection.error is not None:
                return
            self._usable.setdefault(address, connection)
            with trio.move_on_after(check_interval_s):
                await connection.wait_closed()

    async def _is_linked(self, connection: Connection) -> bool:
        with trio.move_on_after(self._options.connect_timeout_s):
            role, link = await ask_role(connection)
            # Who may not ask for the link goes by the sentinels, who name only those that have one.
            return role == "slave" and link in ("connected", None)
        return False


@asynccontextmanager
async def open_reader(
    tracker: MasterTracker,
    options: NodeOptions,
    tally: Tally,
    *,
    timeout_s: float,
    check_interval_s: float,
    read_master: Callable[..., Awaitable[Received]] | None,
) -> AsyncIterator[ReplicaReader]:
    """Give a reader that keeps its connections as long as the block."""
    reader = ReplicaReader(options, tally, timeout_s, read_master)
    async with open_background_nursery() as nursery:
        nursery.start_soon(reader.run, tracker, check_interval_s, name="replicas")
        yield reader
