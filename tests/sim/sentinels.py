"""The real core in a modelled process: links, disk, clients' requests, crashes.

`SimSentinel` does what the runtime does, on a virtual clock of its own, which may drift and jump. A
`Trap` crashes it between any two actions.
"""

from __future__ import annotations

import math
import random
from dataclasses import dataclass
from typing import Protocol, assert_never

from sentinel.core import SentinelCore, initial_state
from sentinel.core.actions import (
    Action,
    Answer,
    Connect,
    Crash,
    Disconnect,
    Persist,
    Publish,
    Resolve,
    RunScript,
    Send,
)
from sentinel.core.durable import DurableState
from sentinel.core.events import (
    Event,
    ForgetStep,
    ForgetStepRequested,
    HelloReceived,
    LinkDown,
    LinkLoss,
    LinkUp,
    MessageReceived,
    NameResolved,
    Persisted,
    RepliesReceived,
    RequestId,
    Started,
    TimePassed,
    VoteRequested,
)
from sentinel.core.hosts import shown
from sentinel.core.link_state import LinkId
from tests.sim.disk import Disk
from tests.sim.network import Connection, Life, Message, Process, World
from tests.sim.nodes import Batch, Published, Replies
from vedette.types import Address, RunId

#: Higher than anybody can believe.
_FAR_EPOCH = 2**50
#: The file follows its ledger when nothing was saved for so long.
_BEHIND_US = 100_000


@dataclass
class Trap:
    """Crash the sentinel just before it carries out an action.

    `label` is `any`, an action's name, the event of a `Publish` or the first word of a command that
    is sent; `skip` such actions are let pass first.
    """

    label: str
    skip: int
    restart_ms: int

    def matches(self, action: Action) -> bool:
        """Whether this action is of the kind that it waits for."""
        label = self.label
        if label in ("any", type(action).__name__):
            return True
        if isinstance(action, Publish):
            return action.event.decode() == label
        if isinstance(action, Send):
            return any(command[0].decode() == label for command in action.commands)
        return False


class Observer(Protocol):
    """Who is told of every step; raises if an invariant is broken."""

    def on_step(self, sentinel: SimSentinel, event: Event, actions: list[Action]) -> None:
        """After each step of any sentinel, before what it asks for is carried out."""

    def on_announced(self, sentinel: SimSentinel, notice: Publish) -> None:
        """When an event is announced; a crash may cut the step before that."""


@dataclass(slots=True)
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
        if type(message) is Replies:
            replies = message.replies
            owner.step(RepliesReceived(owner.clock_ms(), self.link, message.token, replies))
        else:
            assert isinstance(message, Published)
            owner.step(MessageReceived(owner.clock_ms(), self.link, message.payload))

    def _is_current(self) -> bool:
        return self.incarnation == self.owner.starts and self.link in self.owner.links


class SimSentinel(Process):
    """One sentinel process, started from the text of its configuration file."""

    def __init__(self, world: World, address: Address, text: str, observer: Observer) -> None:
        super().__init__(world, address, f"sent{address.port}")
        self.disk = Disk(world, text)
        #: Our id, the same over restarts.
        self.run_id: RunId = self.disk.state.my_id
        self.observer = observer
        self.traps: list[Trap] = []
        #: Its answers to fellows are lies: no vote of its is to be believed.
        self.lies = False
        #: When it was stopped, and all stops so far that a machine must notice, by its own clock.
        self.stalls: list[tuple[int, int]] = []
        self.starts = 0
        self.links: dict[LinkId, Connection] = {}
        self.published: list[Publish] = []
        self.core: SentinelCore
        #: What distinguishes its steps from others' in the hash.
        self._mark = address.port * 1_000
        # Another origin for each sentinel's clock; `base` is where clock and world last met.
        self._rate = 1.0
        self._base_us = 0
        self._clock_base_us = 1_000_000_000 * (address.port % 10)
        self._paused_ms = 0
        self._slots: dict[Connection, list[Slot]] = {}
        self._names: dict[Connection, bytes] = {}
        self._answers: dict[RequestId, tuple[Connection, Slot, int]] = {}
        self._last_request = 0
        self._saves: list[Persist] = []
        self._is_saving = False
        #: The newest that was begun.
        self._last_save: Persist | None = None
        #: By its own clock, when it is to be woken next.
        self._wakeup_ms = math.inf
        self._alarm = 0
        self.on_start()

    @property
    def durable(self) -> DurableState:
        """What is on its disk now."""
        return self.disk.state

    # -- clock -----------------------------------------------------------------------------------

    def clock_ms(self) -> int:
        """This process's monotonic clock."""
        passed_us = self.world.now_us - self._base_us
        return (self._clock_base_us + int(passed_us * self._rate)) // 1000

    def set_rate(self, rate: float) -> None:
        """Let the clock run faster or slower than the world's from now on."""
        self._rebase(0)
        self._rate = rate
        self._replan()

    def step_clock(self, ahead_ms: int) -> None:
        """The clock jumps forward, as over a suspension: nothing ran meanwhile."""
        before_ms = self.clock_ms()
        self._rebase(ahead_ms)
        self.world.note(self.label, f"clock jumps {ahead_ms} ms ahead")
        self.stalls.append((before_ms, self.clock_ms()))
        self._replan()

    def _rebase(self, ahead_ms: int) -> None:
        passed_us = self.world.now_us - self._base_us
        self._clock_base_us += int(passed_us * self._rate) + ahead_ms * 1000
        self._base_us = self.world.now_us

    def _world_us(self, clock_ms: int) -> int:
        """When the world's clock shows what this one calls `clock_ms`, or just after."""
        ahead_us = clock_ms * 1000 - self._clock_base_us
        return self._base_us + int(ahead_us / self._rate) + 1

    # -- life ------------------------------------------------------------------------------------

    def on_start(self) -> None:
        self.starts += 1
        seed = self.world.random.getrandbits(32)
        self.core = SentinelCore(initial_state(self.disk.load()), random.Random(seed))
        self.stalls.clear()
        self.step(Started(self.clock_ms()))

    def on_crash(self) -> None:
        self.disk.crash(is_power_lost=self.is_host_down)
        self.links.clear()
        self._slots.clear()
        self._names.clear()
        self._answers.clear()
        self._saves.clear()
        self._is_saving = False
        self._wakeup_ms = math.inf
        self._alarm += 1

    def pause(self) -> None:
        if self.life is Life.RUNNING:
            self._paused_ms = self.clock_ms()
        super().pause()

    def on_resume(self) -> None:
        self.stalls.append((self._paused_ms, self.clock_ms()))
        if self.world.chance(0.5):
            # The timer is looked at before the sockets, or after the first of them.
            self._wake(self._alarm)
        else:
            self._replan()

    def step(self, event: Event) -> None:
        """One step of the core, and all it asks for."""
        assert self.life is Life.RUNNING
        core = self.core
        actions = core.step(event)
        self.world.mix(self._mark + len(actions))
        self.observer.on_step(self, event, actions)
        lost = event.link if isinstance(event, LinkDown) else None
        for action in actions:
            if self.traps and self._is_trapped(action):
                return
            if isinstance(action, Send) and action.link == lost:
                continue  # by a stall that was noticed first, over what has just ended: to nobody
            self._carry_out(action)
            if self.life is not Life.RUNNING:
                return
        next_ms = core.next_wakeup_ms
        if next_ms is not None and next_ms < self._wakeup_ms:
            self._plan_wakeup()

    def _is_trapped(self, action: Action) -> bool:
        for trap in self.traps:
            if not trap.matches(action):
                continue
            if trap.skip > 0:
                trap.skip -= 1
                continue
            self.traps.remove(trap)
            self.world.note(self.label, f"is trapped before {_describe(action)}")
            self.crash()
            self.world.at(trap.restart_ms * 1000, self.restart)
            return True
        return False

    def _replan(self) -> None:
        self._wakeup_ms = math.inf
        self._plan_wakeup()

    def _plan_wakeup(self) -> None:
        next_ms = self.core.next_wakeup_ms
        if next_ms is None or self.life is not Life.RUNNING or next_ms >= self._wakeup_ms:
            return
        self._wakeup_ms = next_ms
        self._alarm += 1
        self.world.at(self._world_us(next_ms) - self.world.now_us, self._wake, self._alarm)

    def _wake(self, alarm: int) -> None:
        if alarm != self._alarm or self.life is not Life.RUNNING:
            return
        self._wakeup_ms = math.inf
        next_ms = self.core.next_wakeup_ms
        now_ms = self.clock_ms()
        if next_ms is not None and next_ms <= now_ms:
            self.step(TimePassed(now_ms))
        else:
            self._plan_wakeup()

    # -- actions ---------------------------------------------------------------------------------

    def _carry_out(self, action: Action) -> None:
        match action:
            case Send(link, token, commands):
                self.links[link].request(Batch(token, commands))
            case Connect(link, _, address, timeout_ms):
                handler = SimLink(self, link, self.starts)
                connection = Connection(self.world, self, handler, address, timeout_ms * 1000)
                self.links[link] = connection
                connection.start()
            case Disconnect(link):
                connection = self.links.pop(link)
                connection.close_by(self)
            case Persist():
                self._saves.append(action)
                self._save_next()
            case Publish():
                self.published.append(action)
                self.observer.on_announced(self, action)
                text = action.payload.decode()
                self.world.note(self.label, f"{action.event.decode()} {text}")
            case Answer(request, reply):
                self._on_answer(request, reply)
            case RunScript():
                pass
            case Resolve(host):
                self.world.resolve(host, self._on_resolved, host, self.starts)
            case Crash():
                self.crash()
            case _:
                assert_never(action)

    def _on_resolved(self, host: str, starts: int, ips: tuple[str, ...]) -> None:
        if starts == self.starts:
            self.receive(self._report_name, host, starts, ips)

    def _report_name(self, host: str, starts: int, ips: tuple[str, ...]) -> None:
        if starts == self.starts:
            self.step(NameResolved(self.clock_ms(), host, ips))

    # -- disk ------------------------------------------------------------------------------------

    def _save_next(self) -> None:
        if self._is_saving or not self._saves:
            return
        # A runtime that skips to the newest is as right as one that does not.
        if self.world.chance(0.5):
            self._saves = self._saves[-1:]
        save = self._saves.pop(0)
        self._is_saving = True
        self._last_save = save
        self.world.at(self.disk.begin(save.state), self._end_save, save, self.starts)

    def _end_save(self, save: Persist, starts: int) -> None:
        # A paused process's write is in the kernel's hands; a dead one's never got there.
        if starts == self.starts and self.life is not Life.DEAD:
            self.receive(self._report_save, save, starts, self.disk.end())

    def _report_save(self, save: Persist, starts: int, is_saved: bool) -> None:
        if starts != self.starts:
            return
        self._is_saving = False
        if self.disk.is_behind:
            self.world.at(_BEHIND_US, self._catch_up, save, starts)
        error = "" if is_saved else "No space left on device"
        self.step(Persisted(self.clock_ms(), save.save_id, is_saved, error))
        if self.life is Life.RUNNING:
            self._save_next()

    def _catch_up(self, save: Persist, starts: int) -> None:
        """Nothing was saved for a moment: have the file follow its ledger."""
        if starts != self.starts or self.life is not Life.RUNNING or self._last_save is not save:
            return
        assert not self._is_saving, "the last save has ended"
        self._is_saving = True
        self.world.at(self.disk.begin_file(), self._end_catch_up, save, starts)

    def _end_catch_up(self, save: Persist, starts: int) -> None:
        if starts == self.starts and self.life is not Life.DEAD:
            self.receive(self._report_catch_up, save, starts, self.disk.end())

    def _report_catch_up(self, save: Persist, starts: int, is_saved: bool) -> None:
        """Only a failure is news; what has become durable before stays so."""
        if is_saved and starts == self.starts:
            self._is_saving = False
            self._save_next()
        else:
            self._report_save(save, starts, is_saved)

    # -- our own port ----------------------------------------------------------------------------

    def accept(self, connection: Connection) -> None:
        slots: list[Slot] = []
        self._slots[connection] = slots
        connection.on_request = lambda message: self._on_request(connection, message)
        connection.on_closed = lambda: self._on_closed(connection)

    def _on_closed(self, connection: Connection) -> None:
        self._slots.pop(connection, None)
        self._names.pop(connection, None)

    def _on_request(self, connection: Connection, message: Message) -> None:
        if connection not in self._slots:
            return
        assert isinstance(message, Batch)
        count = len(message.commands)
        slot = Slot(message.token, [None] * count, count)
        self._slots[connection].append(slot)
        for index, command in enumerate(message.commands):
            self._execute(connection, slot, index, command)
            if self.life is not Life.RUNNING:
                return

    def _execute(
        self, connection: Connection, slot: Slot, index: int, command: tuple[bytes, ...]
    ) -> None:
        match command:
            case (b"PING",):
                self._fill(connection, slot, index, b"PONG")
            case (b"PUBLISH", _, payload):
                self._fill(connection, slot, index, 1)
                self.step(HelloReceived(self.clock_ms(), payload))
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
                        self._names.get(connection, b""),
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
                    address = shown(self.core.state, master.address)
                    reply = [address.host.encode(), str(address.port).encode()]
                self._fill(connection, slot, index, reply)
            case (b"CLIENT", b"SETNAME", name):
                self._names[connection] = name
                self._fill(connection, slot, index, b"OK")
            case (b"INFO", b"server"):
                self._fill(connection, slot, index, b"vedette_version:1\r\n")
            case _:
                self._fill(connection, slot, index, b"OK")

    def _on_answer(self, request: RequestId, reply: object) -> None:
        entry = self._answers.pop(request, None)
        if entry is None:
            return
        if self.lies:
            # As an opinion with a vote, or as agreement to FORGET: out of reach either way.
            reply = [1, b"f" * 40, _FAR_EPOCH] if isinstance(reply, list) else _FAR_EPOCH
        self._fill(*entry, reply)

    def _fill(self, connection: Connection, slot: Slot, index: int, reply: object) -> None:
        slot.replies[index] = reply
        slot.missing -= 1
        slots = self._slots.get(connection)
        while slots and slots[0].missing == 0:
            done = slots.pop(0)
            connection.reply(Replies(done.token, tuple(done.replies)))


def _describe(action: Action) -> str:
    name = type(action).__name__
    if isinstance(action, Publish):
        return f"{name} {action.event.decode()}"
    if isinstance(action, Send):
        return f"{name} {action.commands[0][0].decode()}"
    return name
