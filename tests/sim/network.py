"""A virtual clock and a network of processes, for the simulation.

`World` owns time (microseconds on a heap), the seeded generator and the hash of all that happened.
`Process` is anything that can be paused, crashed and restarted; `Connection` is a TCP connection:
each direction delivers in order, late (a lost packet is sent again), or not at all while a
partition holds it back. A crash or a reset ends it with a message of its own; a host that loses
power says nothing, and a middlebox may forget it (`silence`). Nothing here knows Redis or
sentinels.
"""

from __future__ import annotations

import hashlib
import heapq
import random
from collections import deque
from collections.abc import Callable, Iterable
from enum import Enum
from typing import Any, Protocol

from sentinel.core.events import LinkLoss
from vedette.types import Address

Message = object

_MASK = (1 << 64) - 1
#: The first retransmission of a lost packet, doubled with each further loss.
_RETRANSMIT_US = 200_000


class World:
    """Time, chance, wires."""

    def __init__(self, seed: int, *, delay_max_us: int = 2_000) -> None:
        self.random = random.Random(seed)
        self._draw = self.random.random
        self.now_us = 0
        self.delay_max_us = delay_max_us
        #: How likely a packet is to be lost.
        self.loss = 0.0
        self.processes: dict[Address, Process] = {}
        #: Directed pairs of hosts between which nothing passes.
        self.cuts: set[tuple[Address, Address]] = set()
        #: Pairs of client and server between which a firewall rejects connections.
        self.rejects: set[tuple[Address, Address]] = set()
        #: What the way between two hosts takes beyond the common delay.
        self.detours_us: dict[tuple[Address, Address], int] = {}
        #: What host names stand for, how long a look-up takes at most, and whether any succeeds.
        self.names: dict[str, str] = {}
        self.look_up_max_us = 5_000
        self.are_look_ups_failing = False
        #: What every look-up says instead, if anything.
        self.misdirected: str | None = None
        self.trace: list[str] = []
        self._heap: list[tuple[int, int, Callable[..., None], tuple[Any, ...]]] = []
        self._serial = 0
        self._hash = hashlib.sha256()
        self._mixed = 0
        self._held: list[Connection] = []

    @property
    def now_ms(self) -> int:
        """The clock on the wall of the simulation."""
        return self.now_us // 1000

    def at(self, delay_us: int, action: Callable[..., None], *args: Any) -> None:
        """Call `action(*args)` after `delay_us`."""
        self._serial += 1
        at_us = self.now_us + delay_us if delay_us > 0 else self.now_us
        heapq.heappush(self._heap, (at_us, self._serial, action, args))

    def run_until(self, end_us: int) -> None:
        """Let time pass."""
        heap = self._heap
        pop = heapq.heappop
        while heap and heap[0][0] <= end_us:
            self.now_us, _, action, args = pop(heap)
            action(*args)
        self.now_us = max(self.now_us, end_us)

    def note(self, who: str, what: str) -> None:
        """Put one line into the trace and its hash."""
        line = f"{self.now_us / 1000:11.3f} {who:<10} {what}"
        self.trace.append(line)
        self._hash.update(line.encode())

    def mix(self, number: int) -> None:
        """Put what happened now into the hash, without a line in the trace."""
        self._mixed = ((self._mixed ^ self.now_us) * 1_000_003 + number) & _MASK

    @property
    def digest(self) -> str:
        """The hash of all that was noted and mixed in: equal for equal runs."""
        final = self._hash.copy()
        final.update(str(self._mixed).encode())
        return final.hexdigest()

    def chance(self, probability: float) -> bool:
        """Draw a yes or no."""
        return self._draw() < probability

    def between(self, low: int, high: int) -> int:
        """Draw a number of the closed range."""
        return low + int(self._draw() * (high - low + 1))

    def delay_us(self, source: Address, target: Address) -> int:
        """How long one message takes, retransmissions included."""
        delay_us = 50 + int(self._draw() * (self.delay_max_us - 49))
        if self.loss:
            again_us = _RETRANSMIT_US
            while self._draw() < self.loss:
                delay_us += again_us
                again_us *= 2
        if self.detours_us:
            delay_us += self.detours_us.get((source, target), 0)
        return delay_us

    def resolve(self, host: str, report: Callable[..., None], *args: Any) -> None:
        """Look a host name up, and call `report(*args, ips)` with what was found."""
        self.at(self.between(100, self.look_up_max_us), self._end_look_up, host, report, args)

    def _end_look_up(self, host: str, report: Callable[..., None], args: tuple[Any, ...]) -> None:
        found = None if self.are_look_ups_failing else self.misdirected or self.names.get(host)
        report(*args, () if found is None else (found,))

    def place(self, address: Address) -> Address:
        """Where an address leads, whether it has a name or an IP."""
        return Address(self.names.get(address.host, address.host), address.port)

    # -- partitions ------------------------------------------------------------------------------

    def cut(self, source: Address, target: Address) -> None:
        """Let nothing pass from `source` to `target`."""
        self.cuts.add((source, target))

    def mend(self, pairs: Iterable[tuple[Address, Address]]) -> None:
        """End some cuts; what was held back is retransmitted before long."""
        self.cuts.difference_update(pairs)
        held, self._held = self._held, []
        for connection in held:
            self.at(self.between(1_000, 400_000), connection.resend)

    def heal(self) -> None:
        """End all partitions, losses and detours."""
        self.loss = 0.0
        self.rejects.clear()
        self.look_up_max_us = 5_000
        self.are_look_ups_failing = False
        self.misdirected = None
        self.detours_us.clear()
        self.mend(list(self.cuts))

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
        #: The machine is off, so nobody answers for it, not even its kernel.
        self.is_host_down = False
        self.connections: list[Connection] = []
        self._orphans: list[Connection] = []
        self._inbox: deque[tuple[Callable[..., None], tuple[Any, ...]]] = deque()
        world.processes[address] = self

    def receive(self, action: Callable[..., None], *args: Any) -> None:
        """Handle something that arrived, now or when the process runs again."""
        if self.life is Life.RUNNING:
            action(*args)
        elif self.life is Life.PAUSED:
            self._inbox.append((action, args))

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
            action, args = self._inbox.popleft()
            action(*args)

    def crash(self) -> None:
        """SIGKILL: the kernel closes the connections, the memory is lost."""
        if self.life is Life.DEAD:
            return
        self._die("crashed")
        for connection in list(self.connections):
            connection.close_by(self)
        self.connections.clear()
        self.on_crash()

    def lose_power(self) -> None:
        """The machine is off: nobody is told."""
        if self.life is Life.DEAD:
            return
        self._die("lost power")
        self.is_host_down = True
        self._orphans += self.connections
        for connection in self.connections:
            connection.orphan()
        self.connections.clear()
        self.on_crash()

    def _die(self, how: str) -> None:
        self.life = Life.DEAD
        self.world.note(self.label, how)
        self._inbox.clear()

    def restart(self) -> None:
        """Start again after a crash."""
        if self.life is not Life.DEAD:
            return
        self.life = Life.RUNNING
        self.is_host_down = False
        self.world.note(self.label, "restarted")
        for connection in self._orphans:
            connection.find_stranger(self)
        self._orphans.clear()
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


class Connection:
    """One TCP connection from `client` to the process at `target`."""

    __slots__ = (
        "_ready_us",
        "_waiting",
        "client",
        "handler",
        "is_open",
        "is_orphan",
        "is_over",
        "is_silent",
        "on_closed",
        "on_request",
        "server",
        "target",
        "timeout_us",
        "world",
    )

    def __init__(
        self, world: World, client: Process, handler: Client, target: Address, timeout_us: int
    ) -> None:
        self.world = world
        self.client = client
        self.handler = handler
        self.target = target
        self.timeout_us = timeout_us
        self.server: Process | None = None
        self.is_open = False
        self.is_over = False
        #: Packets vanish, and nobody says so.
        self.is_silent = False
        #: One side's machine lost power and knows nothing of it any more.
        self.is_orphan = False
        #: Called by the server side when a request arrives; set by `Process.accept`.
        self.on_request: Callable[[Message], None] | None = None
        self.on_closed: Callable[[], None] | None = None
        #: By direction, to the client (0) and to the server (1): when the last message arrives,
        #: and those under way.
        self._ready_us = [0, 0]
        self._waiting: tuple[deque[tuple[Callable[..., None], tuple[Any, ...]]], ...]
        self._waiting = (deque(), deque())

    def start(self) -> None:
        """Begin the handshake."""
        self.client.connections.append(self)
        world = self.world
        source = self.client.address
        if not (world.passes(source, self.target) and world.passes(self.target, source)):
            world.at(self.timeout_us, self._fail, LinkLoss.TIMEOUT)
            return
        world.at(world.delay_us(source, self.target), self._arrive)

    def _arrive(self) -> None:
        if self.is_over:
            return
        server = self.world.processes.get(self.target)
        if server is not None and server.is_host_down:
            self.world.at(self.timeout_us, self._fail, LinkLoss.TIMEOUT)
            return
        is_rejected = (self.client.address, self.target) in self.world.rejects
        if is_rejected or server is None or server.life is Life.DEAD:
            delay_us = self.world.delay_us(self.target, self.client.address)
            self.world.at(delay_us, self._fail, LinkLoss.REFUSED)
            return
        self.server = server
        self.is_open = True
        server.connections.append(self)
        server.accept(self)  # by its kernel, even while it is paused
        self._deliver(0, self.handler.on_connected, self)

    def _fail(self, reason: LinkLoss) -> None:
        if self.is_over:
            return
        self._end()
        self.client.receive(self.handler.on_lost, self, reason)

    def request(self, message: Message) -> None:
        """Client to server."""
        if not self.is_over:
            self._deliver(1, self._on_request, message)

    def _on_request(self, message: Message) -> None:
        if self.on_request is not None:
            self.on_request(message)

    def reply(self, message: Message) -> None:
        """Server to client."""
        if not self.is_over:
            self._deliver(0, self.handler.on_message, self, message)

    def close_by(self, side: Process) -> None:
        """One side's end; the other learns of it in its turn, if packets pass."""
        if self.is_over:
            return
        if side is self.client:
            if self.server is None or self.is_silent or self.is_orphan:
                self._end()
                return
            self._deliver(1, self._server_sees_end)
        elif not self.is_silent:
            self._deliver(0, self._client_sees_end, LinkLoss.EOF)

    def reset(self) -> None:
        """Both sides lose it, and all that was under way."""
        if self.is_over or not self.is_open:
            return
        self._drop()
        self._server_sees_end()
        self.client.receive(self.handler.on_lost, self, LinkLoss.RESET)

    def silence(self) -> None:
        """A middlebox forgets it: packets vanish from now on, and neither side is told."""
        self.is_silent = True
        self._drop()

    def orphan(self) -> None:
        """One side has lost power and says nothing any more."""
        self.is_orphan = True
        self._drop()

    def find_stranger(self, restarted: Process) -> None:
        """The side that lost power is back: its kernel refuses what it does not know.

        The other side's packets, sent again and again meanwhile, find out before long.
        """
        if self.is_over:
            return
        delay_us = self.world.between(1_000, 400_000)
        if restarted is self.client:
            self.world.at(delay_us, self._server_sees_end)
        else:
            self.world.at(delay_us, self._fail, LinkLoss.RESET)

    def _drop(self) -> None:
        for waiting in self._waiting:
            waiting.clear()

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

    def _deliver(self, direction: int, action: Callable[..., None], *args: Any) -> None:
        if self.is_silent or self.is_orphan:
            return
        self._waiting[direction].append((action, args))
        self._schedule(direction)

    def _schedule(self, direction: int) -> None:
        source, target = self.client.address, self.target
        world = self.world
        delay_us = world.delay_us(source, target) if direction else world.delay_us(target, source)
        at_us = world.now_us + delay_us
        ready_us = self._ready_us
        if at_us <= ready_us[direction]:
            at_us = ready_us[direction] + 1
        ready_us[direction] = at_us
        world.at(at_us - world.now_us, self._transmit, direction)

    def _transmit(self, direction: int) -> None:
        waiting = self._waiting[direction]
        server = self.server
        if self.is_over or not waiting or server is None:
            return
        source, target = (self.client, server) if direction else (server, self.client)
        world = self.world
        if world.cuts and (source.address, target.address) in world.cuts:
            world.hold(self)
            return
        action, args = waiting.popleft()
        if target.life is Life.RUNNING:
            action(*args)
        elif target.life is Life.PAUSED:
            target.receive(action, *args)
        elif direction:
            # Its kernel answers with a reset, in the next moment.
            world.at(world.delay_us(self.target, self.client.address), self._fail, LinkLoss.RESET)

    def resend(self) -> None:
        """The partition is over: what was held back goes out, in order."""
        for direction in (1, 0):
            for _ in self._waiting[direction]:
                self._schedule(direction)
