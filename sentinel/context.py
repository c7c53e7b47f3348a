"""What the sentinel's command functions are handed, and how they reach the machine.

Pure: the machine is stepped through `Machine`, which the runtime provides; a command that the
machine does not answer at once becomes a `Block` that ends when the answer comes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Protocol, TypeVar

from vedette.acl import UsersChange
from vedette.clients import WAITING, Block, Context, Engine, ServingSettings, Session
from vedette.clients.blocking import Waiting
from vedette.clients.rates import Rates, Totals
from vedette.cmdspec import CommandRow, CommandTable
from vedette.conf import Settings
from vedette.errors import CommandError
from vedette.resp.replies import Reply
from vedette.types import RunId

from .checkup import Facts
from .core.events import Event, HelloReceived, RequestId
from .core.links import HELLO_CHANNEL
from .core.model import SentinelState
from .event_log import EventLog
from .requests_ahead import RequestsAhead, read_vote_request

T = TypeVar("T")

#: Reason of requests that wait for the machine; one for each, since one answer ends one.
_ANSWER_REASON = "answer"
#: Reason of clients that wait for the next event.
EVENTS_REASON = "events"


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessFacts:
    """What INFO says about the process, as of now."""

    process_id: int
    #: Who was told that we are ready: `no`, `systemd` or `upstart`.
    supervisor: str
    #: Names this run of the process; not the sentinel's id, which outlives restarts.
    run_id: RunId
    executable: str
    config_file: str
    tcp_port: int
    uptime_s: int
    cpu_user_s: float
    cpu_system_s: float
    main_thread_user_s: float
    main_thread_system_s: float
    children_cpu_user_s: float
    children_cpu_system_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class PendingScript:
    """A script that runs or waits to be run (again), as of now."""

    argv: tuple[str, ...]
    #: 0 while it waits.
    process_id: int
    #: How long it has been running, or how long it has yet to wait.
    time_ms: int
    attempts: int


class Machine(Protocol):
    """The runtime's side of the commands."""

    @property
    def state(self) -> SentinelState:
        """The machine's state, to be read only."""

    def now_ms(self) -> int:
        """Return the machine's own (monotonic) time."""

    def step(self, make_event: Callable[[int], Event]) -> None:
        """Give the machine an event made of the time, and carry out what it asks for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """What commands know of the process around the machine."""

    settings: Settings
    denies_scripts_reconfig: bool
    process_facts: Callable[[], ProcessFacts]
    pending_scripts: Callable[[], Sequence[PendingScript]]
    is_executable: Callable[[str], bool]
    #: Look a host name up, and call back with an IP address or None, later.
    start_resolving: Callable[[str, Callable[[str | None], None]], None]
    request_shutdown: Callable[[], None]
    set_log_level: Callable[[str], None]
    #: Examine a master that is known, and call back with what was found, later.
    start_examination: Callable[[str, Callable[[Facts], None]], None]
    #: Take note that ACL commands have changed the users.
    keep_users: Callable[[], None]
    #: What has been published; whoever appends to it wakes `EVENTS_REASON`.
    events: EventLog


class SentinelContext(Context):
    """The context of the sentinel's commands."""

    engine: SentinelEngine

    def __init__(self, engine: SentinelEngine, settings: ServingSettings) -> None:
        super().__init__(engine, settings)
        self._last_request = 0

    @property
    def state(self) -> SentinelState:
        """What the sentinel knows; to be read only, and not kept."""
        return self.engine.machine.state

    @property
    def machine_now_ms(self) -> int:
        """The machine's time, in which the ages of the state are counted."""
        return self.engine.machine.now_ms()

    @property
    def around(self) -> Surroundings:
        """The process around the machine."""
        return self.engine.surroundings

    def tell(self, make_event: Callable[[int], Event]) -> None:
        """Give the machine an event that it does not answer."""
        self.engine.machine.step(make_event)

    def hear(self, argv: list[bytes]) -> None:
        """Give the machine a hello message, the last word of `argv`, unless it has it already."""
        if not self.engine.ahead.was_heard(argv):
            payload = argv[2]
            self.engine.machine.step(lambda now_ms: HelloReceived(now_ms, payload))

    def ask(self, make_event: Callable[[int, RequestId], Event]) -> Reply | Block:
        """Give the machine a request; return its reply, or the wait for it."""
        return self.engine.ask(self.next_request(), self.session, make_event)

    def ask_vote(self, argv: list[bytes]) -> Reply | Block:
        """Put SENTINEL IS-MASTER-DOWN-BY-ADDR to the machine, unless that was done already."""
        request = self.engine.ahead.take(argv)
        if request is not None:
            return self.engine.answer_of(request)
        return self.ask(read_vote_request(argv, self.session.name))

    def next_request(self) -> RequestId:
        """Return a number for a request to the machine."""
        self._last_request += 1
        return RequestId(self._last_request)

    def resolve(self, host: str, then: Callable[[str | None], Reply | Block]) -> Block:
        """Wait for the look-up of a host name; the reply is what `then` makes of its address."""
        start = partial(self.around.start_resolving, host)
        return self.engine.wait_until_told(self.session, start, then)

    def examine(self, name: str, then: Callable[[Facts], Reply | Block]) -> Block:
        """Wait for the examination of a master; the reply is what `then` makes of the facts."""
        start = partial(self.around.start_examination, name)
        return self.engine.wait_until_told(self.session, start, then)


class SentinelEngine(Engine):
    """Runs clients' requests; those for the machine wait until it answers."""

    context: SentinelContext

    def __init__(
        self,
        table: CommandTable,
        machine: Machine,
        surroundings: Surroundings,
        settings: ServingSettings | None = None,
        *,
        on_crash: Callable[[Session, CommandRow, Exception], None] | None = None,
    ) -> None:
        self.machine = machine
        self.surroundings = surroundings
        #: Requests the machine has not answered, with the client that waits.
        self._asked: dict[RequestId, Session] = {}
        self._answers: dict[RequestId, Reply] = {}
        self.ahead = RequestsAhead(self._put, self._hear)
        self._told_count = 0
        #: Sampled whenever clients are served: there is no timer that runs for nothing.
        self.rates = Rates()
        super().__init__(table, settings or ServingSettings(mode="sentinel"), on_crash=on_crash)

    def on_users_changed(self, change: UsersChange) -> None:
        super().on_users_changed(change)
        self.surroundings.keep_users()

    def make_context(self) -> SentinelContext:
        return SentinelContext(self, self.settings)

    def begin_batch(self, now_ms: int) -> None:
        super().begin_batch(now_ms)
        self.rates.sample(
            now_ms,
            Totals(
                commands=self.commands_processed,
                input_bytes=self.input_bytes,
                output_bytes=self.output_bytes,
            ),
        )

    def ask(
        self,
        request: RequestId,
        session: Session,
        make_event: Callable[[int, RequestId], Event],
    ) -> Reply | Block:
        """Step the machine with a request of `session`; return the reply or the wait for it."""
        self._asked[request] = session
        self.machine.step(lambda now_ms: make_event(now_ms, request))
        return self.answer_of(request)

    def _put(self, session: Session, make_event: Callable[[int, RequestId], Event]) -> RequestId:
        request = self.context.next_request()
        self._asked[request] = session
        self.machine.step(lambda now_ms: make_event(now_ms, request))
        return request

    def _hear(self, session: Session, argv: list[bytes]) -> bool:
        """Give the machine a hello message before its turn, if its sender may say it."""
        if len(argv) != 3 or argv[1] != HELLO_CHANNEL:
            return False
        row = self.table.by_own_name("publish")
        assert row is not None
        if session.needs_care and not self.gate.is_allowed(session, row, argv):
            return False  # is refused in its turn
        self.machine.step(lambda now_ms: HelloReceived(now_ms, argv[2]))
        return True

    def answer_of(self, request: RequestId) -> Reply | Block:
        """Return the machine's reply to a request that was put to it, or the wait for it."""
        if request in self._answers:
            return self._answers.pop(request)

        def retry(now_ms: int) -> Reply | Waiting:
            return self._answers.pop(request, WAITING)

        return Block((f"{_ANSWER_REASON} {request}",), retry)

    def wait_until_told(
        self,
        session: Session,
        start: Callable[[Callable[[T], None]], None],
        then: Callable[[T], Reply | Block],
    ) -> Block:
        """Return the wait for what `start` hands to its callback; `then` goes on as `session`."""
        self._told_count += 1
        reason = f"told {self._told_count}"
        found: list[T] = []

        def on_found(what: T) -> None:
            found.append(what)
            self.wake(reason)

        def retry(now_ms: int) -> Reply | Waiting:
            if not found:
                return WAITING
            self.enter(session)
            try:
                # A Block is no Reply, but what a wait ends in may be another wait.
                return then(found[0])  # type: ignore[return-value]
            except CommandError as error:
                return self.error_reply(error.text)

        start(on_found)
        return Block((reason,), retry)

    def answer(self, request: RequestId, reply: Reply) -> None:
        """Take the machine's reply to `request`; dropped when its client has gone."""
        session = self._asked.pop(request, None)
        if session is None or session.is_closed:
            return
        self._answers[request] = reply
        self.wake(f"{_ANSWER_REASON} {request}")

    def block(self, session: Session, wait: Block, rest: list[list[bytes]]) -> None:
        super().block(session, wait, rest)
        self.ahead.look(session)

    def receive(self, session: Session, data: bytes) -> None:
        super().receive(session, data)
        if session.blocked is not None:
            self.ahead.look(session)

    def on_disconnect(self, session: Session) -> None:
        for request in self.ahead.forget(session):
            self._answers.pop(request, None)
        for request in [r for r, owner in self._asked.items() if owner is session]:
            del self._asked[request]
