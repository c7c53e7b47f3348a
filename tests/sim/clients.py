"""A client that writes to the master, finds it through the sentinels and remembers promises.

A write counts as safe when all replicas had it before it was acknowledged (WAIT): that promise
outlives any crash, since whoever is promoted has it. Disks do not forget here, so all of them must
be in the dataset that everybody agrees on in the end.
"""

from __future__ import annotations

from collections.abc import Sequence

from sentinel.core.events import LinkLoss
from tests.sim.network import Connection, Message, Process, World
from tests.sim.nodes import Batch, Replies
from vedette.types import Address

_CONNECT_US = 500_000
#: Without any acknowledgement for this long it asks the sentinels again.
_PATIENCE_US = 500_000


class SimClient(Process):
    """One writer."""

    def __init__(
        self,
        world: World,
        address: Address,
        sentinels: Sequence[Process],
        *,
        name: str,
        replicas: int,
        gap_ms: int,
    ) -> None:
        super().__init__(world, address, "client")
        self.sentinels = sentinels
        self.name = name
        self.replicas = replicas
        self.gap_us = gap_ms * 1000
        #: Writes that every replica had when they were acknowledged.
        self.safe: set[int] = set()
        self._master: Connection | None = None
        self._number = 0
        self._heard_us = 0
        world.at(self.gap_us, self._tick)

    def accept(self, connection: Connection) -> None:
        raise AssertionError("nobody connects to a client")

    def _tick(self) -> None:
        world = self.world
        world.at(self.gap_us, self._tick)
        connection = self._master
        if connection is not None and world.now_us - self._heard_us > _PATIENCE_US:
            connection.close_by(self)
            self._master = connection = None
        if connection is None or not connection.is_open:
            if connection is None:
                self._ask()
            return
        self._number += 1
        command = b"WRITE", str(self._number).encode(), str(self.replicas).encode()
        connection.request(Batch(self._number, (command,)))

    def _ask(self) -> None:
        """Connect to some sentinel and ask it for the master."""
        sentinel = self.sentinels[self.world.between(0, len(self.sentinels) - 1)]
        self._heard_us = self.world.now_us
        self._master = Connection(self.world, self, _Question(self), sentinel.address, _CONNECT_US)
        self._master.start()

    def use(self, question: Connection, address: Address | None) -> None:
        """A sentinel has named the master, or has no answer."""
        if question is not self._master:
            return
        question.close_by(self)
        self._master = None
        if address is not None:
            self._heard_us = self.world.now_us
            place = self.world.place(address)
            self._master = Connection(self.world, self, _Writing(self), place, _CONNECT_US)
            self._master.start()

    def hear(self, connection: Connection, replies: Replies) -> None:
        """The master has answered a write."""
        self._heard_us = self.world.now_us
        if replies.replies == (b"OK",):
            self.safe.add(replies.token)
        elif connection is self._master:
            connection.close_by(self)
            self._master = None

    def forget(self, connection: Connection) -> None:
        """A connection is gone: ask again."""
        if connection is self._master:
            self._master = None


class _Question:
    """A connection to a sentinel, for one question."""

    def __init__(self, owner: SimClient) -> None:
        self.owner = owner

    def on_connected(self, connection: Connection) -> None:
        command = b"SENTINEL", b"get-master-addr-by-name", self.owner.name.encode()
        connection.request(Batch(0, (command,)))

    def on_lost(self, connection: Connection, reason: LinkLoss) -> None:
        self.owner.forget(connection)

    def on_message(self, connection: Connection, message: Message) -> None:
        assert isinstance(message, Replies)
        reply = message.replies[0]
        address = None
        if isinstance(reply, list):
            host, port = reply
            address = Address(host.decode(), int(port))
        self.owner.use(connection, address)


class _Writing:
    """The connection to the master."""

    def __init__(self, owner: SimClient) -> None:
        self.owner = owner

    def on_connected(self, connection: Connection) -> None:
        pass

    def on_lost(self, connection: Connection, reason: LinkLoss) -> None:
        self.owner.forget(connection)

    def on_message(self, connection: Connection, message: Message) -> None:
        assert isinstance(message, Replies)
        self.owner.hear(connection, message)
