"""A virtual clock and a network of processes, for the simulation.

`World` owns time (microseconds on a heap), the seeded generator and the hash of all that happened.
`Process` is anything that can be paused, crashed and restarted; `Connection` is a TCP connection:
each direction delivers in order, late, or not at all while a partition holds it back, and a crash
or a reset ends it with a message of its own. Nothing here knows Redis or sentinels.
"""

from __future__ import annotations

import hashlib
import heapq
import random
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum
from typing import Protocol

from sentinel.core.events import LinkLoss
from vedette.types import Address

Message = object


class World:
    """Time, chance, wires."""

    def __init__(self, seed: int, *, delay_max_us: int = 2_000) -> None:
        self.random = random.Random(seed)
        self.now_us = 0
        self.delay_max_us = delay_max_us
        self.processes: dict[Address, Process] = {}
        #: Directed pairs of hosts between which nothing passes.
        self.cuts: set[tuple[Address, Address]] = set()
        self.trace: list[str] = []
        self._heap: list[tuple[int, int, Callable[[], None]]] = []
        self._serial = 0
        self._hash = hashlib.sha256()
        self._held: list[Connection] = []

    @property
    def now_ms(self) -> int:
        """The clock that the machines see."""
        return self.now_us // 1000

    def at(self, delay_us: int, action: Callable[[], None]) -> None:
        """Run `action` after `delay_us`."""
        self._serial += 1
        heapq.heappush(self._heap, (self.now_us + max(delay_us, 0), self._serial, action))

    def run_until(self, end_us: int) -> None:
        """Let time pass."""
        while self._heap and self._heap[0][0] <= end_us:
            self.now_us, _, action = heapq.heappop(self._heap)
            action()
        self.now_us = max(self.now_us, end_us)

    def note(self, who: str, what: str) -> None:
        """Put one line into the trace and its hash."""
        line = f"{self.now_us / 1000:11.3f} {who:<10} {what}"
        self.trace.append(line)
        self._hash.update(line.encode())

    @property
    def digest(self) -> str:
        """The hash of all notes: equal for equal runs."""
        return self._hash.hexdigest()

    def delay_us(self) -> int:
        """How long one message takes."""
        return self.random.randint(50, self.delay_max_us)

    # -- partitions ------------------------------------------------------------------------------

    def cut(self, source: Address, target: Address) -> None:
        """Let nothing pass from `source` to `target`."""
        self.cuts.add((source, target))

    def heal(self) -> None:
        """End all partitions; what was held back is retransmitted before long."""
        self.cuts.clear()
        held, self._held = self._held, []
        for connection in held:
            self.at(self.random.randint(1_000, 400_000), connection.resend)

    def passes(self, source: Address, target: Address) -> bool:
        """Whether packets get through now."""
        return (source, target) not in self.cuts

    def hold(self, connection: Connection) -> None:
        """Remember a connection whose messages wait for the partition's end."""
        if connection not in self._held:
            self._held.append(connection)


class Life(Enum):
    """What state a process is in."""

    RUNNING = "running"
    PAUSED = "paused"
    DEAD = "dead"


class Process:
    """One operating system process at one address."""

    def __init__(self, world: World, address: Address, label: str) -> None:
        self.world = world
        self.address = address
        self.label = label
        self.life = Life.RUNNING
        self.connections: list[Connection] = []
        self._inbox: deque[Callable[[], None]] = deque()
        world.processes[address] = self

    def receive(self, action: Callable[[], None]) -> None:
        """Handle something that arrived, now or when the process runs again."""
        if self.life is Life.RUNNING:
            action()
        elif self.life is Life.PAUSED:
            self._inbox.append(action)

    def pause(self) -> None:
        """SIGSTOP."""
        if self.life is Life.RUNNING:
            self.life = Life.PAUSED
            self.world.note(self.label, "paused")

    def resume(self) -> None:
        """SIGCONT: what waited in the sockets is read now."""
        if self.life is not Life.PAUSED:
            return
        self.life = Life.RUNNING
        self.world.note(self.label, "resumed")
        self.on_resume()
        while self._inbox and self.life is Life.RUNNING:
            self._inbox.popleft()()

    def crash(self) -> None:
        """SIGKILL: the kernel closes the connections, the memory is lost."""
        if self.life is Life.DEAD:
            return
        self.life = Life.DEAD
        self.world.note(self.label, "crashed")
        self._inbox.clear()
        for connection in list(self.connections):
            connection.close_by(self)
        self.connections.clear()
        self.on_crash()

    def restart(self) -> None:
        """Start again after a crash."""
        if self.life is Life.DEAD:
            self.life = Life.RUNNING
            self.world.note(self.label, "restarted")
            self.on_start()

    def on_start(self) -> None:
        """Come up from what is on disk."""

    def on_crash(self) -> None:
        """Lose what is in memory."""

    def on_resume(self) -> None:
        """Notice that time has passed."""

    def accept(self, connection: Connection) -> None:
        """A client has connected."""
        raise NotImplementedError


class Client(Protocol):
    """What a connection tells the side that opened it."""

    def on_connected(self, connection: Connection) -> None:
        """It stands."""

    def on_lost(self, connection: Connection, reason: LinkLoss) -> None:
        """It is gone or never came to be."""

    def on_message(self, connection: Connection, message: Message) -> None:
        """The server said something."""


@dataclass(eq=False)
class Connection:
    """One TCP connection from `client` to the process at `target`."""

    world: World
    client: Process
    handler: Client
    target: Address
    timeout_us: int
    server: Process | None = None
    is_open: bool = False
    is_over: bool = False
    #: Called by the server side when a request arrives; set by `Process.accept`.
    on_request: Callable[[Message], None] | None = None
    on_closed: Callable[[], None] | None = None
    _ready_us: dict[bool, int] = field(default_factory=lambda: {True: 0, False: 0})
    _waiting: dict[bool, deque[Callable[[], None]]] = field(
        default_factory=lambda: {True: deque(), False: deque()}
    )

    def start(self) -> None:
        """Begin the handshake."""
        self.client.connections.append(self)
        world = self.world
        source = self.client.address
        if not (world.passes(source, self.target) and world.passes(self.target, source)):
            world.at(self.timeout_us, lambda: self._fail(LinkLoss.TIMEOUT))
            return
        world.at(world.delay_us(), self._arrive)

    def _arrive(self) -> None:
        if self.is_over:
            return
        server = self.world.processes.get(self.target)
        if server is None or server.life is Life.DEAD:
            self.world.at(self.world.delay_us(), lambda: self._fail(LinkLoss.REFUSED))
            return
        self.server = server
        self.is_open = True
        server.connections.append(self)
        server.accept(self)  # by its kernel, even while it is paused
        self._deliver(False, lambda: self.handler.on_connected(self))

    def _fail(self, reason: LinkLoss) -> None:
        if self.is_over:
            return
        self._end()
        self.client.receive(lambda: self.handler.on_lost(self, reason))

    def request(self, message: Message) -> None:
        """Client to server."""
        if self.is_over:
            return
        self._deliver(True, lambda: self.on_request and self.on_request(message))

    def reply(self, message: Message) -> None:
        """Server to client."""
        if self.is_over:
            return
        self._deliver(False, lambda: self.handler.on_message(self, message))

    def close_by(self, side: Process) -> None:
        """One side's end; the other learns of it in its turn, if packets pass."""
        if self.is_over:
            return
        if side is self.client:
            if self.server is None:
                self._end()
                return
            self._deliver(True, self._server_sees_end)
        else:
            self._deliver(False, lambda: self._client_sees_end(LinkLoss.EOF))

    def reset(self) -> None:
        """Both sides lose it, and all that was under way."""
        if self.is_over or not self.is_open:
            return
        self._waiting = {True: deque(), False: deque()}
        self._server_sees_end()
        self.client.receive(lambda: self.handler.on_lost(self, LinkLoss.RESET))

    def _server_sees_end(self) -> None:
        if not self.is_over:
            self._end()
            if self.on_closed is not None and self.server is not None:
                self.server.receive(self.on_closed)

    def _client_sees_end(self, reason: LinkLoss) -> None:
        if not self.is_over:
            self._end()
            self.handler.on_lost(self, reason)

    def _end(self) -> None:
        self.is_over = True
        self.is_open = False
        for process in (self.client, self.server):
            if process is not None and self in process.connections:
                process.connections.remove(self)

    def _deliver(self, is_to_server: bool, action: Callable[[], None]) -> None:
        self._waiting[is_to_server].append(action)
        self._schedule(is_to_server)

    def _schedule(self, is_to_server: bool) -> None:
        world = self.world
        at_us = max(world.now_us + world.delay_us(), self._ready_us[is_to_server] + 1)
        self._ready_us[is_to_server] = at_us
        world.at(at_us - world.now_us, lambda: self._transmit(is_to_server))

    def _transmit(self, is_to_server: bool) -> None:
        waiting = self._waiting[is_to_server]
        if self.is_over or not waiting or self.server is None:
            return
        source, target = self.client, self.server
        if not is_to_server:
            source, target = target, source
        if not self.world.passes(source.address, target.address):
            self.world.hold(self)
            return
        if target.life is Life.DEAD:
            # Its kernel answers with a reset, in the next moment.
            if is_to_server:
                self.world.at(self.world.delay_us(), lambda: self._fail(LinkLoss.RESET))
            return
        target.receive(waiting.popleft())

    def resend(self) -> None:
        """The partition is over: what was held back goes out, in order."""
        for is_to_server in (True, False):
            for _ in self._waiting[is_to_server]:
                self._schedule(is_to_server)
