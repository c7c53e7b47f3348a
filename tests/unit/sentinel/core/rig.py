"""One sentinel on a bench: nodes and fellows that answer at once, as told.

`Rig` carries out the machine's actions against scripted surroundings without any delay, so a test
says what everybody answers, lets time pass, and looks at what was said. Time stands still while
replies are exchanged.
"""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Callable, Iterable

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
from sentinel.core.durable import DurableMaster, DurableState
from sentinel.core.events import (
    Event,
    HelloReceived,
    LinkDown,
    LinkLoss,
    LinkUp,
    NameResolved,
    Persisted,
    RepliesReceived,
    RequestId,
    Started,
    TimePassed,
    VoteRequested,
)
from sentinel.core.hello import Hello, format_hello
from sentinel.core.link_state import LinkId, LinkKind
from sentinel.core.model import FailoverState, Master
from sentinel.core.options import GlobalOptions, MasterOptions
from vedette.resp.exchange import ReplyError
from vedette.resp.replies import Reply
from vedette.types import Address, RunId

Command = tuple[bytes, ...]

NAME = "mymaster"
ME = RunId("0" * 40)
PEER_A, PEER_B = RunId("a" * 40), RunId("b" * 40)
MASTER = Address("10.0.0.1", 6379)
REPLICA_1, REPLICA_2 = Address("10.0.0.2", 6379), Address("10.0.0.3", 6379)
PEER_ADDRESSES = {PEER_A: Address("10.0.1.1", 26379), PEER_B: Address("10.0.1.2", 26379)}
MY_ADDRESS = Address("10.0.1.9", 26379)
OPTIONS = MasterOptions(quorum=2, down_after_ms=1_000, failover_timeout_ms=10_000)


def durable(**changes: object) -> DurableState:
    """What a sentinel that knows everybody has on disk."""
    record = {
        "name": NAME,
        "address": MASTER,
        "options": OPTIONS,
        "replicas": (REPLICA_1, REPLICA_2),
        "sentinels": tuple(PEER_ADDRESSES.items()),
    }
    record.update(changes)
    return DurableState(
        my_id=ME,
        current_epoch=0,
        options=GlobalOptions(announce_port=MY_ADDRESS.port),
        masters=(DurableMaster(**record),),  # type: ignore[arg-type]  # a test's keywords
    )


def run_id_of(address: Address) -> str:
    """The run id of the node at an address: its last digit, 40 times."""
    return address.host[-1] * 40


def master_info(replicas: Iterable[Address] = (), run_id: str = "m" * 40) -> bytes:
    """INFO of a master."""
    lines = [f"run_id:{run_id}", "role:master"]
    for index, (host, port) in enumerate(replicas):
        lines.append(f"slave{index}:ip={host},port={port},state=online,offset=1,lag=0")
    return "\r\n".join(lines).encode()


def replica_info(
    master: Address = MASTER,
    *,
    is_up: bool = True,
    offset: int = 100,
    priority: int = 100,
    run_id: str = "r" * 40,
) -> bytes:
    """INFO of a replica."""
    lines = [
        f"run_id:{run_id}",
        "role:slave",
        f"master_host:{master.host}",
        f"master_port:{master.port}",
        f"master_link_status:{'up' if is_up else 'down'}",
        f"slave_repl_offset:{offset}",
        f"slave_priority:{priority}",
    ]
    return "\r\n".join(lines).encode()


class Rig:
    """See the module's docstring. `state` is what the sentinel loads."""

    def __init__(self, state: DurableState | None = None, *, is_started: bool = True) -> None:
        self.disk = state or durable()
        self.core = SentinelCore(initial_state(self.disk), random.Random(1))
        self.now_ms = 1_000_000
        #: Addresses that refuse connections, and those that accept but answer nothing.
        self.refused: set[Address] = set()
        self.silent: set[Address] = set()
        #: Fellows that are redis-sentinels; to be filled before the start.
        self.strangers: set[Address] = set()
        self.info: dict[Address, bytes] = {
            MASTER: master_info((REPLICA_1, REPLICA_2)),
            REPLICA_1: replica_info(run_id=run_id_of(REPLICA_1)),
            REPLICA_2: replica_info(run_id=run_id_of(REPLICA_2)),
        }
        self.pong: dict[Address, object] = {}
        #: What SUBSCRIBE is answered with where that is an error.
        self.subscribe_error: dict[Address, ReplyError] = {}
        #: What the resolver finds; other names do not resolve.
        self.host_names: dict[str, tuple[str, ...]] = {}
        #: What a fellow answers to a down query: (down, leader, epoch), by its address.
        #: The first two words of commands that a node does not permit.
        self.forbidden: dict[Address, set[bytes]] = {}
        self.opinion: dict[Address, Callable[[Command], list[object]]] = {}
        #: Which master's address a fellow names.
        self.named: dict[Address, Address] = {}
        self.exec_result: dict[Address, object] = {}
        #: What a fellow answers to SENTINEL MASTER.
        self.leads: dict[Address, object] = {}
        #: What a fellow answers when it is asked to forget somebody.
        self.consent: dict[Address, object] = {}
        self.is_disk_broken = False
        #: A simulated failure was carried out: nothing happens any more.
        self.has_crashed = False
        #: Saves wait here instead of ending at once.
        self.holds_saves = False
        self.held_saves: list[Persist] = []
        self.sent: list[tuple[Address, LinkKind, Command]] = []
        self.notices: list[Publish] = []
        #: All that was asked for, in order.
        self.actions: list[Action] = []
        self.scripts: list[RunScript] = []
        self.answers: dict[RequestId, Reply] = {}
        self.connects: list[Connect] = []
        self._links: dict[LinkId, Connect] = {}
        self._queue: deque[Callable[[], None]] = deque()
        self._last_request = 0
        if is_started:
            self.step(Started(self.now_ms))
            self.advance(10)

    # -- driving ---------------------------------------------------------------------------------

    def step(self, event: Event) -> None:
        """One event and everything it leads to at the same moment."""
        self._step(event)
        self._drain()

    def advance(self, duration_ms: int) -> None:
        """Let time pass, waking the machine exactly when it asks to be woken."""
        end_ms = self.now_ms + duration_ms
        while not self.has_crashed:
            next_ms = self.core.next_wakeup_ms
            if next_ms is None or next_ms > end_ms:
                break
            self.now_ms = max(next_ms, self.now_ms)
            self.step(TimePassed(self.now_ms))
        self.now_ms = end_ms

    def stall(self, duration_ms: int) -> None:
        """Let time pass without waking the machine."""
        self.now_ms += duration_ms
        self.step(TimePassed(self.now_ms))

    def break_links(self, address: Address, reason: LinkLoss = LinkLoss.EOF) -> None:
        """Lose all connections to an address."""
        for link, connect in list(self._links.items()):
            if connect.address == address and link in self._links:
                del self._links[link]
                self.step(LinkDown(self.now_ms, link, reason))

    def kill(self, address: Address) -> None:
        """A process is gone: its connections end and new ones are refused."""
        self.refused.add(address)
        self.break_links(address)

    def revive(self, address: Address) -> None:
        """It is back."""
        self.refused.discard(address)
        self.silent.discard(address)

    def save_held(self, *, is_saved: bool = True) -> None:
        """End the saves that are waiting."""
        saves, self.held_saves = self.held_saves, []
        for save in saves:
            if is_saved:
                self.disk = save.state
            self.step(
                Persisted(self.now_ms, save.save_id, is_saved, "" if is_saved else "disk full")
            )

    # -- what others do --------------------------------------------------------------------------

    def hello(
        self,
        peer: RunId = PEER_A,
        *,
        epoch: int = 0,
        master: Address = MASTER,
        config_epoch: int = 0,
        address: Address | None = None,
    ) -> None:
        """A fellow's hello arrives on our port."""
        hello = Hello(
            address=address or PEER_ADDRESSES[peer],
            run_id=peer,
            current_epoch=epoch,
            master_name=NAME,
            master_address=master,
            config_epoch=config_epoch,
        )
        self.step(HelloReceived(self.now_ms, format_hello(hello)))

    def ask_vote(
        self,
        candidate: RunId | None,
        epoch: int,
        address: Address = MASTER,
        asker: RunId | None = None,
    ) -> Reply:
        """A fellow asks for an opinion or a vote; the answer, or "unanswered"."""
        request = self.new_request()
        name = b"" if asker is None else f"sentinel-{asker[:8]}-cmd".encode()
        self.step(VoteRequested(self.now_ms, request, address, epoch, candidate, name))
        return self.answers.get(request, b"unanswered")

    def new_request(self) -> RequestId:
        """A number for a client's request."""
        self._last_request += 1
        return RequestId(self._last_request)

    def agree_down(self, *peers: RunId) -> None:
        """These fellows say "down" and vote for whoever asks."""
        for peer in peers or PEER_ADDRESSES:
            self.opinion[PEER_ADDRESSES[peer]] = _grant

    # -- looking ---------------------------------------------------------------------------------

    @property
    def master(self) -> Master:
        """The machine's view of the one master."""
        return self.core.state.masters[NAME]

    def is_in(self, state: FailoverState) -> bool:
        """Whether our own failover stands in this state."""
        return self.master.failover.state is state

    def events(self) -> list[str]:
        """The names of all notices so far."""
        return [notice.event.decode() for notice in self.notices]

    def lines(self) -> list[str]:
        """All notices so far, with their payloads."""
        return [f"{notice.event.decode()} {notice.payload.decode()}" for notice in self.notices]

    def commands_to(self, address: Address) -> list[bytes]:
        """What was sent to an address, one line for each command."""
        return [b" ".join(command) for target, _, command in self.sent if target == address]

    def forget(self) -> None:
        """Start looking afresh."""
        self.sent.clear()
        self.notices.clear()
        self.actions.clear()
        self.connects.clear()

    # -- carrying out ----------------------------------------------------------------------------

    def _step(self, event: Event) -> None:
        if self.has_crashed:
            return
        for action in self.core.step(event):
            self.actions.append(action)
            self._carry_out(action)
            if self.has_crashed:
                break

    def _drain(self) -> None:
        while self._queue:
            self._queue.popleft()()

    def _carry_out(self, action: Action) -> None:
        match action:
            case Connect():
                self.connects.append(action)
                self._queue.append(lambda: self._connect(action))
            case Disconnect(link):
                self._links.pop(link, None)
            case Send():
                self._send(action)
            case Persist():
                self._persist(action)
            case Publish():
                self.notices.append(action)
            case Resolve(host):
                ips = self.host_names.get(host, ())
                self._queue.append(lambda: self._step(NameResolved(self.now_ms, host, ips)))
            case RunScript():
                self.scripts.append(action)
            case Crash():
                self.has_crashed = True
            case Answer(request, reply):
                assert request not in self.answers, "answered twice"
                self.answers[request] = reply

    def _connect(self, connect: Connect) -> None:
        if connect.address in self.refused:
            self._step(LinkDown(self.now_ms, connect.link, LinkLoss.REFUSED))
            return
        self._links[connect.link] = connect
        self._step(LinkUp(self.now_ms, connect.link, MY_ADDRESS.host))

    def _send(self, send: Send) -> None:
        connect = self._links[send.link]
        for command in send.commands:
            self.sent.append((connect.address, connect.kind, command))
        if connect.address in self.silent:
            return
        replies = self._replies(connect.address, send.commands)

        def deliver() -> None:
            if send.link in self._links:
                self._step(RepliesReceived(self.now_ms, send.link, send.token, replies))

        self._queue.append(deliver)

    def _persist(self, save: Persist) -> None:
        if self.holds_saves:
            self.held_saves.append(save)
            return
        is_saved = not self.is_disk_broken
        if is_saved:
            self.disk = save.state
        error = "" if is_saved else "disk full"
        self._queue.append(
            lambda: self._step(Persisted(self.now_ms, save.save_id, is_saved, error))
        )

    def _replies(self, address: Address, commands: tuple[Command, ...]) -> tuple[object, ...]:
        """The replies to a pipeline, with what stands between MULTI and EXEC queued or refused."""
        replies: list[object] = []
        is_queueing = is_aborted = False
        for command in commands:
            name = _plain(command)[0]
            if name != b"EXEC" and b" ".join(command[:2]) in self.forbidden.get(address, ()):
                replies.append(error(f"NOPERM no permissions to run {command[0].decode()}"))
                is_aborted = is_queueing
            elif name == b"EXEC" and is_aborted:
                replies.append(error("EXECABORT Transaction discarded because of previous errors."))
            elif is_queueing and name != b"EXEC":
                replies.append(b"QUEUED")
            else:
                replies.append(self._reply(address, command))
            is_queueing = (is_queueing or name == b"MULTI") and name != b"EXEC"
        return tuple(replies)

    def _reply(self, address: Address, command: Command) -> object:
        match _plain(command):
            case (b"PING",):
                return self.pong.get(address, b"PONG")
            case (b"INFO",):
                return self.info.get(address, b"role:master\r\n")
            case (b"INFO", b"server"):
                return b"" if address in self.strangers else b"vedette_version:1\r\n"
            case (b"SUBSCRIBE", _):
                return self.subscribe_error.get(address, [b"subscribe", b"__sentinel__:hello", 1])
            case (b"PUBLISH", *_):
                return 1
            case (b"EXEC",):
                default = [b"OK", b"OK", 0, 0]
                result = self.exec_result.get(address, default)
                if result is default:
                    self._obey(address)
                return result
            case (b"SENTINEL", b"is-master-down-by-addr", *_):
                answer = self.opinion.get(address)
                return answer(command) if answer is not None else [0, b"*", 0]
            case (b"SENTINEL", b"master", _):
                return self.leads.get(address, b"")
            case (b"SENTINEL", b"forget-step", _, b"agree", *_):
                return self.consent.get(address, 0)
            case (b"SENTINEL", b"get-master-addr-by-name", _):
                host, port = self.named.get(address, MASTER)
                return [host.encode(), str(port).encode()]
        return b"OK"

    def _obey(self, address: Address) -> None:
        """The node has executed the last SLAVEOF it was sent."""
        orders = [
            command
            for target, _, command in self.sent
            if target == address and _plain(command)[0] == b"SLAVEOF"
        ]
        if orders[-1][1:] == (b"NO", b"ONE"):
            self.info[address] = master_info(run_id=run_id_of(address))
        else:
            target = Address(orders[-1][1].decode(), int(orders[-1][2]))
            run_id = run_id_of(address)
            self.info[address] = replica_info(target, is_up=False, run_id=run_id)


def _plain(command: Command) -> Command:
    """The command by its own name, where it was sent by the one of `sentinel rename-command`."""
    return (command[0].removeprefix(b"X-"), *command[1:])


def _grant(command: Command) -> list[object]:
    epoch, candidate = int(command[4]), command[5]
    return [1, candidate, epoch if candidate != b"*" else 0]


def error(text: str) -> ReplyError:
    """An error as it comes from the wire."""
    return ReplyError(text)
