"""A client of the sentinel's commands, over a machine that only records what it is given."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from sentinel.checkup import Facts
from sentinel.commands import command_table
from sentinel.config import World, read_config
from sentinel.context import PendingScript, ProcessFacts, SentinelEngine, Surroundings
from sentinel.core import initial_state
from sentinel.core.events import Event
from sentinel.core.model import SentinelState
from sentinel.event_log import EventLog
from vedette.clients import Session
from vedette.conf import parse_text
from vedette.types import RunId

PEER_ID = "a" * 40
MY_ID = "b" * 40
NOW_MS = 10_000
START_US = 1_700_000_000_000_000

SCRIPTS = (
    PendingScript(argv=("/a", "+sdown", "x"), process_id=9, time_ms=5, attempts=1),
    PendingScript(argv=("/b",), process_id=0, time_ms=30_000, attempts=2),
)

CONFIG = f"""
port 26379
sentinel myid {MY_ID}
sentinel monitor m 10.0.0.1 6379 2
sentinel known-replica m 10.0.0.2 6379
sentinel known-sentinel m 10.0.0.3 26379 {PEER_ID}
"""


@dataclass
class RecordingMachine:
    """Stands in for the driver: keeps the events, and answers when the test says so."""

    state: SentinelState
    events: list[Event] = field(default_factory=list)

    def now_ms(self) -> int:
        return NOW_MS

    def step(self, make_event: Callable[[int], Event]) -> None:
        self.events.append(make_event(NOW_MS))


class Desk:
    """One client of an engine over a recording machine."""

    def __init__(self, config: str = CONFIG) -> None:
        world = World(lambda: RunId("f" * 40), lambda path: False)
        read = read_config(parse_text(config, "x"), world)
        self.machine = RecordingMachine(initial_state(read.durable))
        self.stops = 0
        self.log_levels: list[str] = []
        self.events = EventLog(START_US, size_max=4)
        self.examinations: list[tuple[str, Callable[[Facts], None]]] = []
        self.lookups: list[tuple[str, Callable[[str | None], None]]] = []
        self.engine = SentinelEngine(
            command_table(),
            self.machine,
            Surroundings(
                settings=read.settings,
                denies_scripts_reconfig=read.denies_scripts_reconfig,
                process_facts=lambda: ProcessFacts(
                    process_id=7,
                    supervisor="no",
                    run_id=RunId("c" * 40),
                    executable="vedette-sentinel",
                    config_file="/x.conf",
                    tcp_port=26379,
                    uptime_s=90_000,
                    cpu_user_s=1.5,
                    cpu_system_s=0.25,
                    main_thread_user_s=1.25,
                    main_thread_system_s=0.125,
                    children_cpu_user_s=0.0,
                    children_cpu_system_s=0.0,
                ),
                pending_scripts=lambda: SCRIPTS,
                is_executable=lambda path: False,
                start_resolving=lambda host, on_found: self.lookups.append((host, on_found)),
                request_shutdown=self._stop,
                keep_users=lambda: None,
                set_log_level=self.log_levels.append,
                start_examination=lambda name, on_found: self.examinations.append((name, on_found)),
                events=self.events,
            ),
        )
        self.session = self.open()

    def _stop(self) -> None:
        self.stops += 1

    def open(self, protocol: int = 2) -> Session:
        session = self.engine.open_client(address="127.0.0.1:1", local_address="", now_ms=0)
        session.protocol = protocol
        return session

    def send(self, line: str, session: Session | None = None) -> bytes:
        """Send one command and return what is owed to the client."""
        session = session or self.session
        self.engine.receive(session, f"{line}\r\n".encode())
        return self.take(session)

    def take(self, session: Session | None = None) -> bytes:
        """Return and clear what a client is owed."""
        outbox = (session or self.session).outbox
        data = b"".join(outbox)
        outbox.clear()
        return data

    @property
    def event(self) -> Event:
        """The last event given to the machine."""
        return self.machine.events[-1]


def flat_map(data: bytes) -> dict[str, str]:
    """Return a RESP2 array of bulk strings as the map it stands for."""
    words = data.decode().split("\r\n")[2::2]
    return dict(zip(words[::2], words[1::2], strict=True))
