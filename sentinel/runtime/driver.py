"""The machine's driver: events in, one at a time, and the actions that follow carried out in order.

Owns the machine, its clock and its links. `step` runs the machine to completion inside the task
that has something to tell (a link's, the pump's, the saver's): the machine is pure and takes
microseconds, so there is nothing to wait for and no queue between. It is never entered twice: an
event that an action gives rise to waits in the inbox until the step at hand is over.

Two tasks of its own: one keeps the time, and wakes the machine when the machine asked to be woken;
one writes the log, when those have been told who wait to act on what is logged.

News come first. What a fellow sends to our port (votes asked for, new configurations) is served
before what nodes answer, and what must reach the fellows at once leaves in the step that decides
it: with fifty masters that die together, all else has a queue before it.
"""

from __future__ import annotations

import heapq
import math
import os
import ssl
import time
from collections import Counter, deque
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Final, assert_never

import structlog
import trio

from monitoring.sentinel_meter import NODE, SENTINEL, SentinelMeter
from sentinel.checkup import Facts
from sentinel.context import EVENTS_REASON, SentinelEngine
from sentinel.core import SentinelCore
from sentinel.core.actions import (
    Action,
    Answer,
    Connect,
    Crash,
    Disconnect,
    Level,
    Persist,
    Publish,
    Resolve,
    RunScript,
    Send,
)
from sentinel.core.events import (
    Event,
    LinkDown,
    NameResolved,
    Persisted,
    RepliesReceived,
    Started,
    TimePassed,
)
from sentinel.core.link_state import LinkId, LinkKind
from sentinel.core.model import SentinelState
from sentinel.event_log import EventLog
from sentinel.sources import Sources
from vedette.resp.exchange import ReplyError

from .examination import Patient, examine, patient_of
from .link import Link
from .poller import Poller
from .resolver import Resolver
from .scripts import ScriptRunner
from .state_file import Saver, StateFile

log = structlog.get_logger()

#: An action gives rise to an event only by a call that returns at once, so few can ever wait.
INBOX_MAX: Final = 10_000

#: The log is written when nothing was announced for the first, and what is older than the second in
#: any case; beyond so many lines that are owed, they are written at once.
LULL_S: Final = 0.02
UNLOGGED_MAX_S: Final = 0.25
UNLOGGED_MAX: Final = 10_000

#: Exit code of a process that SENTINEL SIMULATE-FAILURE has crash, as Redis'.
SIMULATED_CRASH_CODE: Final = 99


class Driver:
    """Runs one `SentinelCore`.

    `settle()` is called after every step that was not made by a client's command: it sends what the
    step left in clients' outboxes. `observe(event)` sees every event before the machine does,
    `on_publish(action)` all that is announced.
    """

    def __init__(
        self,
        core: SentinelCore,
        file: StateFile,
        *,
        sources: Sources | None = None,
        tls_context: ssl.SSLContext | None = None,
        resolver: Resolver | None = None,
        observe: Callable[[Event], None] | None = None,
        on_publish: Callable[[Publish], None] = lambda action: None,
    ) -> None:
        self._core = core
        self._sources = sources or Sources()
        self._tls_context = tls_context
        self._resolver = resolver or Resolver()
        #: With threads of its own: who examines all day must not take the machine's.
        self._examining_resolver = Resolver()
        self._observe = observe
        self._on_publish = on_publish
        self._engine: SentinelEngine | None = None
        self._settle: Callable[[], None] = lambda: None
        self._serve_clients: Callable[[], object] = lambda: None
        self._nursery: trio.Nursery | None = None
        self._links: dict[LinkId, Link] = {}
        self._poller = Poller(self._serve_clients_first, self._end_batch)
        #: Attempts to connect that the poller watches, by the end of their time.
        self._attempts: list[tuple[float, int, Link]] = []
        #: Links that the step at hand has sent over.
        self._queued: dict[Link, None] = {}
        self._inbox: deque[Callable[[int], Event]] = deque()
        self._is_stepping = False
        self._last_ms = 0
        self._sleep = trio.CancelScope()
        #: How much this thread had computed when the sleep at hand began.
        self._cpu_s = time.thread_time()
        #: What is announced and not logged yet, with its id and when that was (Unix time, ns).
        self._unlogged: deque[tuple[Publish, int | None, int]] = deque()
        self._has_unlogged = trio.Event()
        #: Ends with the lull in which the log is written; put off by each that is announced.
        self._lull = trio.CancelScope()
        self._latest_log_s = math.inf
        #: Events published or logged since the start, by name: for metrics.
        self.event_counts: Counter[str] = Counter()
        #: What the work takes, for metrics as well.
        self.meter = SentinelMeter()
        #: The last of them that were published, for SENTINEL EVENTS.
        self.events = EventLog(time.time_ns() // 1_000)
        self.saver = Saver(file, self.handle)
        self.scripts = ScriptRunner(
            self._announce_script, lambda: core.state.periods, self.meter.on_script_ended
        )

    def attach(
        self,
        engine: SentinelEngine,
        settle: Callable[[], None],
        serve_clients: Callable[[], object],
    ) -> None:
        """Join the clients' side, once, before `run`.

        `serve_clients()` serves one batch of what they have sent, and whom it may concern.
        """
        self._engine = engine
        self._settle = settle
        self._serve_clients = serve_clients

    @property
    def state(self) -> SentinelState:
        """The machine's state, to be read only."""
        return self._core.state

    def now_ms(self) -> int:
        """Return the machine's time: monotonic, never going backwards."""
        self._last_ms = max(self._last_ms, int(trio.current_time() * 1000))
        return self._last_ms

    def step(self, make_event: Callable[[int], Event]) -> None:
        """Run the machine with the event that `make_event` makes of the time.

        What it publishes or answers is left in the clients' outboxes; see `handle`.
        """
        self._run(make_event)
        self._flush_links()

    def _run(self, make_event: Callable[[int], Event]) -> None:
        """Do as `step`, but leave what is sent over links in their outboxes.

        Links report so: what a hundred replies in one batch lead to leaves in one piece each.
        """
        assert len(self._inbox) < INBOX_MAX
        self._inbox.append(make_event)
        if self._is_stepping:
            return
        self._is_stepping = True
        try:
            while self._inbox:
                event = self._inbox.popleft()(self.now_ms())
                self._measure(event)
                if isinstance(event, LinkDown):
                    self._links.pop(event.link, None)
                if self._observe is not None:
                    self._observe(event)
                for action in self._core.step(event):
                    self._carry_out(action)
        finally:
            self._is_stepping = False
        self._set_alarm()

    def _flush_links(self) -> None:
        while self._queued:  # a link that is lost in it may lead to more
            queued, self._queued = self._queued, {}
            for link in queued:
                link.flush()

    def _serve_clients_first(self) -> None:
        """Fellows are clients, and their news make much of what nodes answer old."""
        self._serve_clients()

    def _end_batch(self) -> None:
        """Send what a batch of links' events has left in outboxes."""
        self._flush_links()
        self._settle()

    def _measure(self, event: Event) -> None:
        match event:
            case RepliesReceived(_, link_id, token, replies):
                reply = replies[0]
                error = reply.code if isinstance(reply, ReplyError) else None
                self.meter.on_replies(link_id, token, time.perf_counter(), error)
            case LinkDown(_, link_id, reason):
                self.meter.on_link_ended(link_id)
                link = self._links.get(link_id)
                if link is not None:
                    self.meter.on_link_lost(link.kind.value, reason.value, link.address)
            case Persisted():
                self.meter.on_saved(self.saver.last_save_s)

    def handle(self, make_event: Callable[[int], Event]) -> None:
        """Do as `step`, then send what clients are owed: for every task but the pump's."""
        self.step(make_event)
        self._settle()

    def start_resolving(self, host: str, on_found: Callable[[str | None], None]) -> None:
        """Look `host` up, and call `on_found` with one of its addresses, or None."""
        assert self._nursery is not None
        self._nursery.start_soon(self._resolve, host, on_found, name=f"look up {host}")

    def start_examination(self, name: str, on_found: Callable[[Facts], None]) -> None:
        """Examine a master that is known, and call `on_found` with what was found out."""
        assert self._nursery is not None
        patient = patient_of(self.state, name)
        self._nursery.start_soon(self._examine, patient, on_found, name=f"examine {name}")

    async def _examine(self, patient: Patient, on_found: Callable[[Facts], None]) -> None:
        path, failed = self.saver.path, self.saver.failed_count
        resolve = self._examining_resolver.resolve
        on_found(await examine(patient, path, failed, self._sources, resolve, self._tls_context))
        self._settle()

    async def _resolve(self, host: str, on_found: Callable[[str | None], None]) -> None:
        ips = await self._resolver.resolve(host)
        if ips:
            # Before anything is done with the name, so that it is told by its address at once.
            self.step(lambda now_ms: NameResolved(now_ms, host, ips))
        on_found(ips[0] if ips else None)
        self._settle()

    async def _follow_name(self, host: str) -> None:
        ips = await self._resolver.resolve(host)
        self.handle(lambda now_ms: NameResolved(now_ms, host, ips))

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Start the machine and keep it going until cancelled."""
        try:
            async with trio.open_nursery() as nursery:
                self._nursery = nursery
                nursery.start_soon(self.saver.run, name="save state")
                nursery.start_soon(self._poller.run, name="links")
                nursery.start_soon(self.scripts.run, name="scripts")
                nursery.start_soon(self._keep_log, name="log")
                self.handle(Started)
                task_status.started()
                await self._keep_time()
        finally:
            self._write_log()
            for link in self._links.values():
                link.close()
            self._poller.close()
            self.saver.close()

    async def _keep_time(self) -> None:
        while True:
            self._sleep = trio.CancelScope()
            self._cpu_s = time.thread_time()
            self._set_alarm()
            with self._sleep:
                await trio.sleep_forever()
            self.meter.on_woken(trio.current_time() - self._sleep.deadline)
            # Replies that came while we slept (or while the process was stopped) are read before
            # the machine may conclude that they did not come.
            self._poller.serve_ready()
            while self._attempts and self._attempts[0][0] <= trio.current_time():
                heapq.heappop(self._attempts)[2].give_up()
            self.handle(TimePassed)

    def _set_alarm(self) -> None:
        wakeup_ms = self._core.next_wakeup_ms
        deadline_s = math.inf if wakeup_ms is None else wakeup_ms / 1000
        while self._attempts and not self._attempts[0][2].is_connecting:
            heapq.heappop(self._attempts)
        if self._attempts:
            deadline_s = min(deadline_s, self._attempts[0][0])
        if deadline_s != self._sleep.deadline:
            self._sleep.deadline = deadline_s

    # --- actions ---------------------------------------------------------------------------------

    def _carry_out(self, action: Action) -> None:
        match action:
            case Send(link_id, token, commands, is_urgent):
                link = self._links.get(link_id)
                if link is not None:
                    link.send(token, commands)
                    if is_urgent:
                        link.flush()
                    if commands[0] == (b"PING",):
                        kind = SENTINEL if link.kind is LinkKind.PEER else NODE
                        self.meter.on_ping_sent(
                            link_id, token, kind, link.address, time.perf_counter()
                        )
                    self._queued[link] = None
            case Connect():
                self._connect(action)
            case Disconnect(link_id):
                link = self._links.pop(link_id, None)
                self.meter.on_link_ended(link_id)
                if link is not None:
                    link.flush()  # what was sent before is none the less on its way
                    link.close()
            case Persist():
                self.saver.request(action)
            case Publish():
                self._publish(action)
            case RunScript():
                self.scripts.request(action)
            case Answer(request, reply):
                assert self._engine is not None
                self._engine.answer(request, reply)
            case Resolve(host):
                assert self._nursery is not None
                self._nursery.start_soon(self._follow_name, host, name=f"look up {host}")
            case Crash():
                self._write_log()
                log.warning("sentinel.crash_simulated")
                os._exit(SIMULATED_CRASH_CODE)
            case _:
                assert_never(action)

    def _connect(self, action: Connect) -> None:
        assert self._nursery is not None
        link = Link(
            action,
            self._run,
            self._poller,
            sources=self._sources,
            tls_context=self._tls_context,
            resolve=self._resolver.resolve,
        )
        self._links[link.id] = link
        if link.begin():
            deadline_s = trio.current_time() + link.connect_timeout_s
            heapq.heappush(self._attempts, (deadline_s, link.id, link))
        else:
            self._nursery.start_soon(
                self._open_link, link, name=f"{action.kind.value} {link.address}"
            )

    async def _open_link(self, link: Link) -> None:
        await link.open()
        self._end_batch()

    def _publish(self, action: Publish) -> None:
        event = action.event.decode("ascii", "replace")
        self.event_counts[event] += 1
        if event == "+tilt":
            late_s = trio.current_time() - self._sleep.deadline
            self.meter.on_tilt(late_s, busy_s=time.thread_time() - self._cpu_s)
        self._on_publish(action)
        event_id, unix_ns = None, time.time_ns()
        if action.level is not Level.DEBUG:
            event_id = self.events.append(action, unix_ns // 1_000_000)
            if self._engine is not None:
                self._engine.pubsub.publish(action.event, action.payload)
                self._engine.wake(EVENTS_REASON)
        self._unlogged.append((action, event_id, unix_ns))
        self._lull.deadline = min(trio.current_time() + LULL_S, self._latest_log_s)
        self._has_unlogged.set()
        if len(self._unlogged) > UNLOGGED_MAX:
            self._write_line()

    async def _keep_log(self) -> None:
        """Write the log in lulls: a line costs more than the step that it tells of."""
        while True:
            await self._has_unlogged.wait()
            self._latest_log_s = trio.current_time() + UNLOGGED_MAX_S
            self._lull = trio.CancelScope(deadline=trio.current_time() + LULL_S)
            with self._lull:
                await trio.sleep_forever()
            while self._unlogged:
                self._write_line()
                await trio.lowlevel.checkpoint()
            self._has_unlogged = trio.Event()

    def _write_log(self) -> None:
        while self._unlogged:
            self._write_line()

    def _write_line(self) -> None:
        action, event_id, unix_ns = self._unlogged.popleft()
        write = {
            Level.DEBUG: log.debug,
            Level.VERBOSE: log.debug,
            Level.NOTICE: log.info,
            Level.WARNING: log.warning,
        }[action.level]
        keys: dict[str, str | int] = {} if action.master is None else {"master": action.master}
        if event_id is not None:
            keys["event_id"] = event_id
        event = action.event.decode("ascii", "replace")
        text = action.payload.decode("utf-8", "replace")
        at = datetime.fromtimestamp(unix_ns / 1e9, UTC).isoformat(timespec="microseconds")
        keys["timestamp"] = at.replace("+00:00", "Z")
        write("sentinel.event", sentinel_event=event, payload=text, **keys)

    def _announce_script(self, event: bytes, payload: bytes) -> None:
        """Publish an event about a script, which is the runtime's own."""
        self._publish(Publish(event, payload, Level.WARNING))
        self._settle()
