"""A modelled Redis node: as much of one as a sentinel can see.

Role, run id, offset, replication link, the hello channel, transactions, CLIENT KILL, and a
configuration that survives a restart once CONFIG REWRITE was run. Replication is a model: a replica
whose master is reachable copies what it lacks a few times a second. The data are the numbers that
clients wrote, how many keys they are, and whose history they are: replication ids as Redis draws
and shifts them. A restart keeps the data, as if they were saved with their id, unless `loses_data`
says otherwise.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from tests.sim.network import Connection, Life, Message, Process, World
from vedette.resp.exchange import ReplyError
from vedette.types import Address

_SYNC_US = 30_000
_ATTEMPT_US = 1_000_000
#: A replica's own time-out on its master's link.
_LINK_TIMEOUT_US = 400_000
#: So many writes may wait for replicas; the oldest are forgotten, as by a client that gave up.
_WAITS_MAX = 50

NO_REPLID = "0" * 40
#: Many, so that a day's writes change little about the order of their number.
_FIRST_KEYS = 10_000

Command = tuple[bytes, ...]


@dataclass
class Session:
    """One client of the node."""

    connection: Connection
    is_subscribed: bool = False
    queued: list[Command] | None = None
    #: What came while a PUBLISH waits for the end of FAILOVER, that first.
    held: list[Batch] = field(default_factory=list)


@dataclass(slots=True)
class Batch:
    """Commands that are answered together."""

    token: int
    commands: tuple[Command, ...]


@dataclass(slots=True)
class Replies:
    """What a batch is answered with."""

    token: int
    replies: tuple[object, ...]


@dataclass(slots=True)
class Published:
    """A message of the hello channel on its way to a subscriber."""

    payload: bytes


@dataclass
class NodeSettings:
    """What is in the node's configuration file."""

    master: Address | None
    priority: int = 100


@dataclass
class Offsets:
    """Where the node stands in the stream."""

    offset: int = 0
    link_up_since_us: int | None = None
    link_down_since_us: int = 0
    last_heard_us: int = 0
    was_ever_linked: bool = False
    #: A replica tries to connect at once when it is told to follow, then once a second.
    next_attempt_us: int = 0
    sync_began_us: int | None = None
    #: Which start of its master the link is to.
    linked_start: int = 0


@dataclass
class Handover:
    """FAILOVER under way: to whom, until when it waits, and how far it has come."""

    target: Address
    until_us: int
    #: It follows the target already.
    is_in_progress: bool = False
    #: The target was asked, and its answer is on its way.
    is_asked: bool = False


@dataclass
class History:
    """Whose data the node holds, and how many keys they are."""

    replid: str
    replid2: str = NO_REPLID
    end_of_previous: int = -1
    key_count: int = 0


class SimNode(Process):
    """One node. `master` is None while it is a master."""

    def __init__(
        self, world: World, address: Address, master: Address | None, *, lag_us: int = 20_000
    ) -> None:
        super().__init__(world, address, f"node{address.port}")
        #: How often it copies from its master.
        self.lag_us = lag_us
        #: What clients wrote, in its order.
        self.writes: list[int] = []
        #: As a master: up to which write each replica has copied, and who waits for that.
        self.copied: dict[Address, int] = {}
        self.waits: list[tuple[int, int, Connection, Replies]] = []
        self.saved = NodeSettings(master)
        self.sessions: dict[Connection, Session] = {}
        self.offsets = Offsets()
        self.master: Address | None = master
        self.run_id = ""
        self.starts = 0
        self.priority = 100
        #: SLAVEOF is answered with NOPERM (a drill for the reading of replies).
        self.refuses_orders = False
        #: A restart comes up empty: nothing was saved.
        self.loses_data = False
        self.has_aof = False
        #: Its writes add no keys.
        self.is_idle = False
        #: It does not know FAILOVER (Redis before 6.2), or its user may not say it.
        self.is_old = False
        self.refuses_handover = False
        self.handover: Handover | None = None
        #: Ids are unique to the node: where it draws them from nobody else does.
        self._ids = 0
        self.history = History(self._draw_replid(), key_count=0 if master else _FIRST_KEYS)
        #: The id in its RDB file, which it got with its first synchronisation; a master that is
        #: killed leaves no newer one.
        self._saved_replid = self.history.replid
        self.on_start()
        world.at(world.between(0, lag_us), self._replicate)

    # -- life ------------------------------------------------------------------------------------

    def on_start(self) -> None:
        self.starts += 1
        self.run_id = f"{self.address.port:05d}{self.starts:03d}".ljust(40, "0")
        self.master = self.saved.master
        self.priority = self.saved.priority
        self.offsets.link_up_since_us = None
        self.offsets.link_down_since_us = self.world.now_us
        self.offsets.was_ever_linked = False
        self.offsets.next_attempt_us = 0
        self.offsets.sync_began_us = None
        self.handover = None
        self._started_us = self.world.now_us
        self._loaded_keys = self.history.key_count
        if self.starts > 1 and self.loses_data:
            self._loaded_keys = 0
            self.offsets.offset = 0
            self.history = History(self._draw_replid())
            self.writes = []
        elif self.starts > 1 and self.master is None:
            self.history.replid = self._saved_replid
            self._begin_history()

    def _draw_replid(self) -> str:
        self._ids += 1
        return f"{self.address.host}-{self.address.port}-{self._ids}-".ljust(40, "d")

    def _begin_history(self) -> None:
        """A promotion, or the restart of a master: the old id becomes the second."""
        old = self.history
        end = self.offsets.offset + 1
        self.history = History(self._draw_replid(), old.replid, end, old.key_count)

    def on_crash(self) -> None:
        self.sessions.clear()
        self.copied.clear()
        self.waits.clear()

    def accept(self, connection: Connection) -> None:
        session = Session(connection)
        connection.on_request = lambda message: self._on_request(session, message)
        connection.on_closed = lambda: self._forget(connection)
        self.sessions[connection] = session

    def _forget(self, connection: Connection) -> None:
        self.sessions.pop(connection, None)

    # -- replication -----------------------------------------------------------------------------

    @property
    def _is_syncing(self) -> bool:
        return self.offsets.sync_began_us is not None

    @property
    def is_link_up(self) -> bool:
        return self.offsets.link_up_since_us is not None

    def follow(self, master: Address | None) -> None:
        """SLAVEOF."""
        if master == self.master:
            return
        if master is None:
            self._saved_replid = self.history.replid  # its last save is not older than that
            self._begin_history()
        self.master = master
        self.offsets.next_attempt_us = 0
        self.offsets.sync_began_us = None
        self.copied.clear()
        self.waits.clear()
        self.offsets.link_up_since_us = None
        self.offsets.link_down_since_us = self.world.now_us
        self.world.note(self.label, f"now {'master' if master is None else f'follows {master}'}")

    def _reachable_master(self) -> SimNode | None:
        if self.master is None:
            return None
        master = self.world.processes.get(self.master)
        if not isinstance(master, SimNode) or master.life is not Life.RUNNING:
            return None
        passes = self.world.passes
        if not (passes(self.address, master.address) and passes(master.address, self.address)):
            return None
        return master

    def _replicate(self) -> None:
        self.world.at(self.lag_us, self._replicate)
        if self.life is not Life.RUNNING:
            return
        now_us = self.world.now_us
        offsets = self.offsets
        if self.handover is not None:
            self._go_on_handing_over(self.handover)
        if self.master is None:
            if self.handover is not None:
                return
            offsets.offset += 20
            self.history.key_count += 0 if self.is_idle else 1
            return
        master = self._reachable_master()
        if self.is_link_up and self._has_lost_master(master):
            offsets.next_attempt_us = now_us
            if self._is_master_dead():
                offsets.next_attempt_us += self.world.random.randint(0, _ATTEMPT_US)
            offsets.link_up_since_us = None
            offsets.link_down_since_us = now_us
        if master is None or (master.master is not None and not master.is_link_up):
            offsets.sync_began_us = None
            # One that is stopped or cut off is connected to as soon as it is back; one that is dead
            # refuses.
            if self._is_master_dead() and now_us >= offsets.next_attempt_us:
                offsets.next_attempt_us = now_us + _ATTEMPT_US
            return
        if not self.is_link_up:
            if now_us < offsets.next_attempt_us:
                return
            if offsets.sync_began_us is None:
                offsets.sync_began_us = now_us
            if now_us - offsets.sync_began_us < _SYNC_US:
                return
            offsets.sync_began_us = None
            offsets.link_up_since_us = now_us
            offsets.was_ever_linked = True
            offsets.linked_start = master.starts
        offsets.last_heard_us = now_us
        offsets.offset = master.offsets.offset
        if self.history != master.history:
            self.history = replace(master.history)
            self._saved_replid = self.history.replid
        if len(self.writes) != len(master.writes) or self.writes[-1:] != master.writes[-1:]:
            self.writes = master.writes.copy()
        master.on_copied(self.address, len(self.writes))

    def _go_on_handing_over(self, handover: Handover) -> None:
        """What Redis does ten times a second (`replication.c: updateFailoverStatus`) and after."""
        target = self.world.processes[handover.target]
        assert isinstance(target, SimNode)
        is_reachable = target.life is Life.RUNNING and (
            self.world.passes(self.address, target.address)
            and self.world.passes(target.address, self.address)
        )
        if not handover.is_in_progress:
            has_all = target.is_link_up and target.offsets.offset == self.offsets.offset
            if target.master == self.address and is_reachable and has_all:
                handover.is_in_progress = True
                self.follow(target.address)
            elif self.world.now_us >= handover.until_us:
                self._end_handover()
            return
        if handover.is_asked and is_reachable:
            self._end_handover()
        elif is_reachable and target.master == self.address:
            handover.is_asked = True
            target.follow(None)
        elif handover.is_asked or is_reachable:
            # The answer is lost, or it is a master already: a refusal, so Redis is master again.
            self.follow(None)
            self._end_handover()

    def _end_handover(self) -> None:
        """Writers go on, and who waited in their company."""
        self.handover = None
        self.world.note(self.label, "hands over no more")
        for session in list(self.sessions.values()):
            held, session.held = session.held, []
            for batch in held:
                self._on_request(session, batch)

    def _hand_over(self, host: bytes, port: bytes, timeout_ms: bytes) -> object:
        """FAILOVER TO."""
        target = Address(host.decode(), int(port))
        replica = self.world.processes.get(target)
        if self.is_old:
            return _error("ERR unknown command 'FAILOVER'")
        if self.refuses_handover:
            return _error("NOPERM this user has no permissions to run the 'failover' command")
        if self.handover is not None:
            return _error("ERR FAILOVER already in progress.")
        if self.master is not None:
            return _error("ERR FAILOVER is not valid when server is a replica.")
        if not isinstance(replica, SimNode) or replica.master != self.address:
            return _error("ERR FAILOVER target HOST and PORT is not a replica.")
        if not replica.is_link_up:
            return _error("ERR FAILOVER target replica is not online.")
        self.handover = Handover(target, self.world.now_us + int(timeout_ms) * 1000)
        self.world.note(self.label, f"hands over to {target}")
        return b"OK"

    def _stay(self) -> object:
        """FAILOVER ABORT."""
        if self.handover is None:
            return _error("ERR No failover in progress.")
        if self.handover.is_in_progress:
            self.follow(None)
        self._end_handover()
        return b"OK"

    def on_copied(self, replica: Address, count: int) -> None:
        """A replica has told how far it is; those who waited for that are answered."""
        self.copied[replica] = count
        if not self.waits:
            return
        waits, self.waits = self.waits, []
        for wait in waits:
            wanted, replicas, connection, replies = wait
            if sum(copied >= wanted for copied in self.copied.values()) >= replicas:
                connection.reply(replies)
            else:
                self.waits.append(wait)

    def _is_master_dead(self) -> bool:
        """Whether the process that the link was to is gone, though another may be in its place."""
        assert self.master is not None
        process = self.world.processes.get(self.master)
        if not isinstance(process, SimNode) or process.life is Life.DEAD:
            return True
        return self.is_link_up and process.starts != self.offsets.linked_start

    def _has_lost_master(self, master: SimNode | None) -> bool:
        """A process that ends closes the link; one that is cut off or stopped is timed out."""
        assert self.master is not None
        if self._is_master_dead():
            return True
        has_data = master is not None and (master.master is None or master.is_link_up)
        silent_us = self.world.now_us - self.offsets.last_heard_us
        return not has_data and silent_us > _LINK_TIMEOUT_US

    # -- commands --------------------------------------------------------------------------------

    def _on_request(self, session: Session, message: Message) -> None:
        if session.connection not in self.sessions:
            return
        assert isinstance(message, Batch)
        is_write = message.commands[0][0] == b"WRITE"
        if session.held or (self.handover is not None and _has_to_wait(message)):
            session.held.append(message)
            return
        if is_write:
            self._write(session, message)
            return
        replies = tuple([self._execute(session, command) for command in message.commands])
        session.connection.reply(Replies(message.token, replies))

    def _write(self, session: Session, message: Batch) -> None:
        """WRITE <number> <replicas>: append, and answer once that many replicas have it."""
        _, number, replicas = message.commands[0]
        if self.master is not None:
            error = _error("READONLY You can't write against a read only replica.")
            session.connection.reply(Replies(message.token, (error,)))
            return
        self.writes.append(int(number))
        self.offsets.offset += 1
        replies = Replies(message.token, (b"OK",))
        if replicas == b"0":
            session.connection.reply(replies)
            return
        self.waits.append((len(self.writes), int(replicas), session.connection, replies))
        del self.waits[:-_WAITS_MAX]

    def _execute(self, session: Session, command: Command) -> object:
        name = command[0]
        if name == b"EXEC":
            queued, session.queued = session.queued or [], None
            if self.refuses_orders:
                return _error("EXECABORT Transaction discarded because of previous errors.")
            return [self._run(session, entry) for entry in queued]
        if session.queued is not None:
            if name == b"SLAVEOF" and self.refuses_orders:
                return _error("NOPERM this user has no permissions to run the command")
            session.queued.append(command)
            return b"QUEUED"
        if name == b"MULTI":
            session.queued = []
            return b"OK"
        return self._run(session, command)

    def _run(self, session: Session, command: Command) -> object:
        match command:
            case [b"PING"]:
                return b"PONG"
            case [b"INFO"]:
                return self.info()
            case [b"PUBLISH", _, payload]:
                return self.publish(payload)
            case [b"SUBSCRIBE", _]:
                session.is_subscribed = True
                return [[b"subscribe", b"__sentinel__:hello", 1]]
            case [b"FAILOVER", b"TO", host, port, b"TIMEOUT", timeout_ms]:
                return self._hand_over(host, port, timeout_ms)
            case [b"FAILOVER", b"ABORT"]:
                return self._stay()
            case [b"SLAVEOF", _, _] if self.handover is not None:
                return _error("ERR REPLICAOF not allowed while failing over.")
            case [b"SLAVEOF", b"NO", b"ONE"]:
                self.follow(None)
            case [b"SLAVEOF", host, port]:
                self.follow(Address(host.decode(), int(port)))
            case [b"CONFIG", b"REWRITE"]:
                self.saved = NodeSettings(self.master, self.priority)
            case [b"CLIENT", b"KILL", b"TYPE", kind]:
                return self._kill(session, is_pubsub=kind == b"pubsub")
            case [b"CLIENT", b"SETNAME", _]:
                pass
            case _:
                return _error(f"ERR unknown command {command[0]!r}")
        return b"OK"

    def publish(self, payload: bytes) -> int:
        """Send a message to all subscribers."""
        receivers = [session for session in self.sessions.values() if session.is_subscribed]
        for session in receivers:
            session.connection.reply(Published(payload))
        return len(receivers)

    def _kill(self, killer: Session, *, is_pubsub: bool) -> int:
        killed = [
            session
            for session in self.sessions.values()
            if session.is_subscribed == is_pubsub and session is not killer
        ]
        for session in killed:
            session.connection.close_by(self)
            self._forget(session.connection)
        return len(killed)

    def info(self) -> bytes:
        """The text of INFO."""
        lines = ["# Server", f"run_id:{self.run_id}", "# Replication"]
        offsets = self.offsets
        if self.master is None:
            lines.append("role:master")
            replicas = [
                process
                for process in self.world.processes.values()
                if isinstance(process, SimNode)
                and process.master == self.address
                and process.is_link_up
                and process.life is not Life.DEAD
            ]
            for index, replica in enumerate(replicas):
                host, port = replica.address
                lines.append(f"slave{index}:ip={host},port={port},state=online,offset=1,lag=0")
        else:
            lines += [
                "role:slave",
                f"master_host:{self.master.host}",
                f"master_port:{self.master.port}",
                f"master_link_status:{'up' if self.is_link_up else 'down'}",
            ]
            if not self.is_link_up:
                down_s = (self.world.now_us - offsets.link_down_since_us) // 1_000_000
                down_s = down_s if offsets.was_ever_linked else -1
                lines.append(f"master_link_down_since_seconds:{down_s}")
            lines += [f"slave_repl_offset:{offsets.offset}", f"slave_priority:{self.priority}"]
        history = self.history
        if not self.is_old:
            lines.append(f"master_failover_state:{self._handover_state()}")
        lines += [
            f"master_replid:{history.replid}",
            f"master_replid2:{history.replid2}",
            f"master_repl_offset:{offsets.offset}",
            f"second_repl_offset:{history.end_of_previous}",
            f"master_sync_in_progress:{int(self._is_syncing)}",
            "# Persistence",
            "loading:0",
            f"aof_enabled:{int(self.has_aof)}",
            f"rdb_last_load_keys_loaded:{self._loaded_keys}",
            f"uptime_in_seconds:{(self.world.now_us - self._started_us) // 1_000_000}",
            "# Keyspace",
        ]
        if history.key_count:
            lines.append(f"db0:keys={history.key_count},expires=0,avg_ttl=0")
        return "\r\n".join(lines).encode() + b"\r\n"

    def _handover_state(self) -> str:
        if self.handover is None:
            return "no-failover"
        return "failover-in-progress" if self.handover.is_in_progress else "waiting-for-sync"


def _has_to_wait(batch: Batch) -> bool:
    """Whether it is held back while the node hands over its role."""
    return any(command[0] in (b"WRITE", b"PUBLISH") for command in batch.commands)


def _error(text: str) -> object:
    return ReplyError(text)
