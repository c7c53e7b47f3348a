"""The real core in a modelled process: links, disk, clients' requests, crashes.

`SimSentinel` does what the runtime does, on the virtual clock. Its disk takes time, may fail, and
forgets what a crash interrupted. `Bug` plants mistakes that a runtime or a core could make, so that
a test can show that the simulation finds them.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from enum import Enum
from typing import Protocol

from sentinel.core import SentinelCore, initial_state
from sentinel.core.actions import (
    Action,
    Answer,
    Connect,
    Crash,
    Disconnect,
    Persist,
    Publish,
    RunScript,
    Send,
)
from sentinel.core.events import (
    Event,
    ForgetStep,
    ForgetStepRequested,
    HelloReceived,
    LinkDown,
    LinkLoss,
    LinkUp,
    MessageReceived,
    Persisted,
    RepliesReceived,
    RequestId,
    Started,
    TimePassed,
    VoteRequested,
)
from sentinel.core.model import DurableState, LinkId
from tests.sim.network import Connection, Life, Message, Process, World
from tests.sim.nodes import Batch, Published, Replies
from vedette.types import Address, RunId


class Bug(Enum):
    """Mistakes planted on purpose."""

    #: The disk reports success at once and writes later: a crash between the two loses a vote that
    #: was spoken.
    REPORTS_SAVE_EARLY = "reports-save-early"
    #: A restart forgets the votes that were on disk.
    FORGETS_VOTES = "forgets-votes"
    #: A failed save is reported as done.
    IGNORES_SAVE_ERRORS = "ignores-save-errors"


class Observer(Protocol):
    """Who is told of every step; raises if an invariant is broken."""

    def on_step(self, sentinel: SimSentinel, event: Event, actions: list[Action]) -> None:
        """After each step of any sentinel."""


@dataclass
class Slot:
    """One reply owed to a client, in the order of its requests."""

    token: int
    replies: list[object | None]
    missing: int


def forget_step(
    now_ms: int, request: RequestId, name: bytes, words: list[bytes]
) -> ForgetStepRequested:
    """What SENTINEL FORGET-STEP makes of its arguments."""
    step, asker, epoch, *lists = (word.decode() for word in words)
    targets, known, forgotten = (
        tuple(RunId(each) for each in text.split(",") if each != "-") for text in lists
    )
    return ForgetStepRequested(
        now_ms,
        request,
        name.decode(),
        ForgetStep(step),
        RunId(asker),
        int(epoch),
        targets,
        known,
        forgotten,
    )


class SimLink:
    """The runtime's half of one link."""

    def __init__(self, owner: SimSentinel, link: LinkId, incarnation: int) -> None:
        self.owner = owner
        self.link = link
        self.incarnation = incarnation

    def on_connected(self, connection: Connection) -> None:
        owner = self.owner
        if self._is_current():
            owner.step(LinkUp(owner.clock_ms(), self.link, owner.address.host))

    def on_lost(self, connection: Connection, reason: LinkLoss) -> None:
        owner = self.owner
        if self._is_current():
            del owner.links[self.link]
            owner.step(LinkDown(owner.clock_ms(), self.link, reason))

    def on_message(self, connection: Connection, message: Message) -> None:
        owner = self.owner
        if not self._is_current():
            return
        if isinstance(message, Published):
            owner.step(MessageReceived(owner.clock_ms(), self.link, message.payload))
        else:
            assert isinstance(message, Replies)
            replies = message.replies
            owner.step(RepliesReceived(owner.clock_ms(), self.link, message.token, replies))

    def _is_current(self) -> bool:
        return self.incarnation == self.owner.starts and self.link in self.owner.links


class SimSentinel(Process):
    """One sentinel process; `durable` is its disk."""

    def __init__(
        self,
        world: World,
        address: Address,
        durable: DurableState,
        observer: Observer,
        bug: Bug | None = None,
    ) -> None:
        super().__init__(world, address, f"sent{address.port}")
        self.durable = durable
        self.observer = observer
        self.bug = bug
        self.is_disk_broken = False
        self.starts = 0
        self.links: dict[LinkId, Connection] = {}
        self.published: list[Publish] = []
        self.core: SentinelCore
        self._slots: dict[Connection, list[Slot]] = {}
        self._answers: dict[RequestId, tuple[Connection, Slot, int]] = {}
        self._last_request = 0
        self._saves: list[Persist] = []
        self._is_saving = False
        self._wakeup_us: int | None = None
        self._alarm = 0
        self.on_start()

    @property
    def run_id(self) -> RunId:
        """Our id, the same over restarts."""
        return self.durable.my_id

    def clock_ms(self) -> int:
        """This process's monotonic clock; another origin for each sentinel."""
        return self.world.now_ms + 1_000_000 * (self.address.port % 10)

    # -- life ------------------------------------------------------------------------------------

    def on_start(self) -> None:
        self.starts += 1
        seed = self.world.random.getrandbits(32)
        state = initial_state(self.durable)
        if self.bug is Bug.FORGETS_VOTES:
            for master in state.masters.values():
                master.vote.leader_epoch = 0
            state.current_epoch = state.saved_epoch = 0
        self.core = SentinelCore(state, random.Random(seed))
        self.links.clear()
        self._slots.clear()
        self._answers.clear()
        self._saves.clear()
        self._is_saving = False
        self._wakeup_us = None
        self._alarm += 1
        self.step(Started(self.clock_ms()))

    def on_resume(self) -> None:
        self._wake(self._alarm)

    def step(self, event: Event) -> None:
        """One step of the core, and all it asks for."""
        assert self.life is Life.RUNNING
        actions = self.core.step(event)
        self.observer.on_step(self, event, actions)
        for action in actions:
            self._carry_out(action)
        self._plan_wakeup()

    def _plan_wakeup(self) -> None:
        next_ms = self.core.next_wakeup_ms
        if next_ms is None:
            return
        offset_ms = self.clock_ms() - self.world.now_ms
        at_us = max((next_ms - offset_ms) * 1000, self.world.now_us)
        if self._wakeup_us is not None and self._wakeup_us <= at_us:
            return
        self._wakeup_us = at_us
        self._alarm += 1
        alarm = self._alarm
        self.world.at(at_us - self.world.now_us, lambda: self._wake(alarm))

    def _wake(self, alarm: int) -> None:
        if alarm != self._alarm or self.life is not Life.RUNNING:
            return
        self._wakeup_us = None
        next_ms = self.core.next_wakeup_ms
        if next_ms is not None and next_ms <= self.clock_ms():
            self.step(TimePassed(self.clock_ms()))
        else:
            self._plan_wakeup()

    # -- actions ---------------------------------------------------------------------------------

    def _carry_out(self, action: Action) -> None:
        match action:
            case Connect(link, _, address, timeout_ms):
                handler = SimLink(self, link, self.starts)
                connection = Connection(self.world, self, handler, address, timeout_ms * 1000)
                self.links[link] = connection
                connection.start()
            case Disconnect(link):
                connection = self.links.pop(link)
                connection.close_by(self)
            case Send(link, token, commands):
                self.links[link].request(Batch(token, commands))
            case Persist():
                self._saves.append(action)
                self._save_next()
            case Publish():
                self.published.append(action)
                text = action.payload.decode()
                self.world.note(self.label, f"{action.event.decode()} {text}")
            case Answer(request, reply):
                self._on_answer(request, reply)
            case RunScript():
                pass
            case Crash():
                raise AssertionError("no simulated operator orders this")

    # -- disk ------------------------------------------------------------------------------------

    def _save_next(self) -> None:
        if self._is_saving or not self._saves:
            return
        # A runtime that skips to the newest is as right as one that does not.
        if self.world.random.random() < 0.5:
            self._saves = self._saves[-1:]
        save = self._saves.pop(0)
        self._is_saving = True
        starts = self.starts
        delay_us = self.world.random.randint(300, 8_000)
        if self.bug is Bug.REPORTS_SAVE_EARLY:
            self.world.at(100, lambda: self._report(save, starts, is_saved=True))
            self.world.at(delay_us * 20, lambda: self._write(save, starts))
            return
        is_saved = not self.is_disk_broken
        if is_saved:
            self.world.at(delay_us, lambda: self._write(save, starts))
        is_reported = is_saved or self.bug is Bug.IGNORES_SAVE_ERRORS
        self.world.at(delay_us, lambda: self._report(save, starts, is_saved=is_reported))

    def _write(self, save: Persist, starts: int) -> None:
        # A paused process's write is in the kernel's hands; a dead one's never got there.
        if starts == self.starts and self.life is not Life.DEAD:
            self.durable = save.state

    def _report(self, save: Persist, starts: int, *, is_saved: bool) -> None:
        if starts != self.starts:
            return

        def report() -> None:
            self._is_saving = False
            self.step(Persisted(self.clock_ms(), save.save_id, is_saved))
            self._save_next()

        self.receive(report)

    # -- our own port ----------------------------------------------------------------------------

    def accept(self, connection: Connection) -> None:
        slots: list[Slot] = []
        self._slots[connection] = slots
        connection.on_request = lambda message: self._on_request(connection, message)
        connection.on_closed = lambda: self._on_closed(connection)

    def _on_closed(self, connection: Connection) -> None:
        self._slots.pop(connection, None)

    def _on_request(self, connection: Connection, message: Message) -> None:
        if connection not in self._slots:
            return
        assert isinstance(message, Batch)
        count = len(message.commands)
        slot = Slot(message.token, [None] * count, count)
        self._slots[connection].append(slot)
        for index, command in enumerate(message.commands):
            self._execute(connection, slot, index, command)

    def _execute(
        self, connection: Connection, slot: Slot, index: int, command: tuple[bytes, ...]
    ) -> None:
        match command:
            case (b"SENTINEL", b"is-master-down-by-addr", host, port, epoch, candidate):
                self._last_request += 1
                request = RequestId(self._last_request)
                self._answers[request] = connection, slot, index
                self.step(
                    VoteRequested(
                        self.clock_ms(),
                        request,
                        Address(host.decode(), int(port)),
                        int(epoch),
                        None if candidate == b"*" else RunId(candidate.decode()),
                    )
                )
            case (b"SENTINEL", b"forget-step", name, *words):
                self._last_request += 1
                request = RequestId(self._last_request)
                self._answers[request] = connection, slot, index
                self.step(forget_step(self.clock_ms(), request, name, words))
            case (b"SENTINEL", b"get-master-addr-by-name", name):
                master = self.core.state.masters.get(name.decode())
                reply: list[bytes] | None = None
                if master is not None:
                    reply = [master.address.host.encode(), str(master.address.port).encode()]
                self._fill(connection, slot, index, reply)
            case (b"PUBLISH", _, payload):
                self._fill(connection, slot, index, 1)
                self.step(HelloReceived(self.clock_ms(), payload))
            case (b"INFO", b"server"):
                self._fill(connection, slot, index, b"vedette_version:1\r\n")
            case (b"PING",):
                self._fill(connection, slot, index, b"PONG")
            case _:
                self._fill(connection, slot, index, b"OK")

    def _on_answer(self, request: RequestId, reply: object) -> None:
        entry = self._answers.pop(request, None)
        if entry is not None:
            self._fill(*entry, reply)

    def _fill(self, connection: Connection, slot: Slot, index: int, reply: object) -> None:
        slot.replies[index] = reply
        slot.missing -= 1
        slots = self._slots.get(connection)
        while slots and slots[0].missing == 0:
            done = slots.pop(0)
            connection.reply(Replies(done.token, tuple(done.replies)))
