"""A sentinel as redis-sentinel works: by ticks, with its own opinion of when to stand.

A model, not the thing: one master, and of that what fellow sentinels can notice. It pings, asks,
votes, stands, promotes and says hello at the ends of ticks, counts its votes by the current epoch,
waits twice the failover timeout after each vote or attempt, and keeps its votes on a disk that does
not fail. Reference: `sentinel.c` of Redis 7.0.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from sentinel.core.events import LinkLoss
from sentinel.core.facts import Facts, read_facts
from sentinel.core.hello import Hello, format_hello, parse_hello
from sentinel.core.model import Role
from tests.sim.invariants import Judge
from tests.sim.network import Connection, Life, Message, Process, World
from tests.sim.nodes import Batch, Published, Replies
from tests.sim.plan import Shape
from vedette.resp.exchange import ReplyError
from vedette.types import Address, RunId

_CHANNEL = b"__sentinel__:hello"
_PING_US = 1_000_000
_INFO_US = 10_000_000
_URGENT_INFO_US = 1_000_000
_HELLO_US = 2_000_000
_ASK_US = 1_000_000
_OPINION_US = 5_000_000
_RECONNECT_US = 1_000_000
#: A connection is not replaced sooner, and a channel is that is silent for so long.
_RECONNECT_AGE_US = 15_000_000
_CHANNEL_SILENCE_US = 3 * _HELLO_US
_CONVERT_US = 8_000_000
_ELECTION_US = 10_000_000
_SHOWN_STATES = {
    "votes": b"wait_start",
    "promotion": b"wait_promotion",
    "reconfiguration": b"reconf_slaves",
}


@dataclass(eq=False)
class _Instance:
    """A node or a fellow, and the connections to it."""

    address: Address
    run_id: str = ""
    is_fellow: bool = False
    connection: Connection | None = None
    channel: Connection | None = None
    tried_us: int = -_RECONNECT_US
    channel_us: int = 0
    heard_us: int = 0
    ping_since_us: int | None = None
    pinged_us: int = 0
    ponged_us: int = 0
    info_us: int = -_INFO_US
    hello_us: int = -_HELLO_US
    facts: Facts = field(default_factory=Facts)
    facts_us: int | None = None
    role_since_us: int = 0
    ordered_us: int = -_CONVERT_US
    asked_us: int = -_ASK_US
    says_down_us: int | None = None
    vote: tuple[str, int] = ("*", 0)

    @property
    def is_open(self) -> bool:
        return self.connection is not None and self.connection.is_open


class _Link:
    """What one connection tells its owner."""

    def __init__(self, owner: StockSentinel, instance: _Instance, *, is_channel: bool) -> None:
        self.owner = owner
        self.instance = instance
        self.is_channel = is_channel
        self.waiting: dict[int, Callable[[tuple[Any, ...]], None]] = {}

    def on_connected(self, connection: Connection) -> None:
        kind = "pubsub" if self.is_channel else "cmd"
        name = f"sentinel-{self.owner.run_id[:8]}-{kind}".encode()
        connection.request(Batch(0, ((b"CLIENT", b"SETNAME", name),)))
        if self.is_channel:
            connection.request(Batch(0, ((b"SUBSCRIBE", _CHANNEL),)))

    def on_lost(self, connection: Connection, reason: LinkLoss) -> None:
        if self.instance.connection is connection:
            self.instance.connection = None
        if self.instance.channel is connection:
            self.instance.channel = None

    def on_message(self, connection: Connection, message: Message) -> None:
        if isinstance(message, Published):
            self.instance.heard_us = self.owner.world.now_us
            self.owner.hear(message.payload)
            return
        assert isinstance(message, Replies)
        then = self.waiting.pop(message.token, None)
        if then is not None:
            then(message.replies)


class StockSentinel(Process):
    """One redis-sentinel that watches one master."""

    def __init__(
        self, world: World, address: Address, name: str, master: Address, shape: Shape, judge: Judge
    ) -> None:
        super().__init__(world, address, f"stock{address.port}")
        self.name = name
        self.shape = shape
        self.judge = judge
        self.run_id = RunId(f"{world.random.getrandbits(160):040x}")
        #: What is on disk.
        self.current_epoch = 0
        self.config_epoch = 0
        self.leader_epoch = 0
        self.master = _Instance(master)
        self.replicas: dict[Address, _Instance] = {}
        self.fellows: dict[str, _Instance] = {}
        self._forget_progress()
        self._ticks = 0
        self._tick(self._ticks)

    # -- what is in memory -----------------------------------------------------------------------

    def _forget_progress(self) -> None:
        self.leader = "*"
        self.failover_epoch = 0
        #: "", "votes", "promotion" or "reconfiguration".
        self.state = ""
        self.state_us = 0
        self.started_us = -(10**12)
        self.promoted: _Instance | None = None
        self.down_us: int | None = None
        self.is_o_down = False
        self._token = 0

    def on_crash(self) -> None:
        if self.state == "reconfiguration":
            # Its file names the promoted node from the moment it saw it.
            assert self.promoted is not None
            nodes = {node.address: node for node in self._nodes()}
            self.master = nodes.pop(self.promoted.address)
            self.replicas = nodes
        for instance in self._everybody():
            instance.connection = instance.channel = None
            instance.ping_since_us = None
            instance.facts_us = None
            instance.says_down_us = None
            instance.vote = ("*", 0)
        self._forget_progress()

    def on_start(self) -> None:
        for instance in self._everybody():
            instance.tried_us = -_RECONNECT_US
            instance.ponged_us = self.world.now_us
        self._ticks += 1
        self._tick(self._ticks)

    @property
    def address_of_master(self) -> Address:
        """Whom it names."""
        return self.master.address

    @property
    def is_at_rest(self) -> bool:
        """Whether it sees nothing wrong and does nothing about it, and knows all fellows."""
        knows_all = len(self.fellows) == self.shape.sentinels - 1
        return self.down_us is None and not self.state and knows_all

    @property
    def _now_us(self) -> int:
        return self.world.now_us

    def _nodes(self) -> list[_Instance]:
        return [self.master, *self.replicas.values()]

    def _everybody(self) -> list[_Instance]:
        return [*self._nodes(), *self.fellows.values()]

    def _needed(self) -> int:
        return max((len(self.fellows) + 1) // 2 + 1, self.shape.quorum)

    # -- the tick --------------------------------------------------------------------------------

    def _tick(self, ticks: int) -> None:
        if ticks != self._ticks:
            return
        if self.life is not Life.DEAD:
            self.world.at(self.world.between(52_000, 100_000), self._tick, ticks)
        if self.life is not Life.RUNNING:
            return
        for instance in self._everybody():
            self._keep_in_touch(instance)
        self._judge_master()
        self._advance()

    def _keep_in_touch(self, instance: _Instance) -> None:
        now_us = self._now_us
        if now_us - instance.tried_us >= _RECONNECT_US:
            if instance.connection is None:
                instance.tried_us = now_us
                instance.connection = self._connect(instance, is_channel=False)
                if instance.ping_since_us is None:
                    instance.ping_since_us = now_us
            if not instance.is_fellow and instance.channel is None and instance.is_open:
                instance.channel_us = instance.heard_us = now_us
                instance.channel = self._connect(instance, is_channel=True)
        if not instance.is_open:
            return
        if self._replace_half_dead(instance):
            return
        period_us = min(_PING_US, self.shape.down_after_ms * 1000)
        if now_us - instance.ponged_us > period_us and now_us - instance.pinged_us > period_us // 2:
            instance.pinged_us = now_us
            if instance.ping_since_us is None:
                instance.ping_since_us = now_us
            self._send(instance, ((b"PING",),), lambda replies: self._on_pong(instance, replies))
        if now_us - instance.hello_us > _HELLO_US:
            instance.hello_us = now_us
            self._say_hello(instance)
        if not instance.is_fellow:
            is_urgent = (self.is_o_down or self.state) and instance is not self.master
            period_us = _URGENT_INFO_US if is_urgent or instance.facts_us is None else _INFO_US
            if now_us - instance.info_us > period_us:
                instance.info_us = now_us
                self._send(instance, ((b"INFO",),), lambda got: self._on_info(instance, got[-1]))

    def _replace_half_dead(self, instance: _Instance) -> bool:
        """Close connections over which nothing comes any more; return whether that was the main."""
        now_us = self._now_us
        channel = instance.channel
        is_old = now_us - instance.channel_us > _RECONNECT_AGE_US
        if channel and is_old and now_us - instance.heard_us > _CHANNEL_SILENCE_US:
            channel.close_by(self)
            instance.channel = None
        since_us, limit_us = instance.ping_since_us, self.shape.down_after_ms * 500
        is_silent = since_us is not None and (
            now_us - since_us > limit_us and now_us - instance.ponged_us > limit_us
        )
        if not is_silent or now_us - instance.tried_us <= _RECONNECT_AGE_US:
            return False
        assert instance.connection is not None
        instance.connection.close_by(self)
        instance.connection = None
        return True

    def _connect(self, instance: _Instance, *, is_channel: bool) -> Connection:
        link = _Link(self, instance, is_channel=is_channel)
        connection = Connection(self.world, self, link, instance.address, 1_000_000)
        connection.start()
        return connection

    def _send(
        self,
        instance: _Instance,
        commands: tuple[tuple[bytes, ...], ...],
        then: Callable[[tuple[Any, ...]], None],
    ) -> None:
        connection = instance.connection
        assert connection is not None
        link = connection.handler
        assert isinstance(link, _Link)
        self._token += 1
        link.waiting[self._token] = then
        connection.request(Batch(self._token, commands))

    def _on_pong(self, instance: _Instance, replies: tuple[Any, ...]) -> None:
        if replies[0] == b"PONG":
            instance.ponged_us = self._now_us
            instance.ping_since_us = None

    def _say_hello(self, instance: _Instance) -> None:
        master = self.promoted if self.state == "reconfiguration" and self.promoted else self.master
        body = format_hello(
            Hello(
                address=self.address,
                run_id=self.run_id,
                current_epoch=self.current_epoch,
                master_name=self.name,
                master_address=master.address,
                config_epoch=self.config_epoch,
            )
        )
        self._send(instance, ((b"PUBLISH", _CHANNEL, body),), lambda replies: None)

    # -- what it learns --------------------------------------------------------------------------

    def hear(self, payload: bytes) -> None:
        """A hello, by whichever way."""
        hello = parse_hello(payload)
        if hello is None or hello.run_id == self.run_id or hello.master_name != self.name:
            return
        fellow = self.fellows.get(hello.run_id)
        if fellow is None:
            fellow = _Instance(hello.address, hello.run_id, is_fellow=True, ponged_us=self._now_us)
            self.fellows[hello.run_id] = fellow
        self.current_epoch = max(self.current_epoch, hello.current_epoch)
        if hello.config_epoch > self.config_epoch:
            self.config_epoch = hello.config_epoch
            # A name may be spoken by who could not look it up; this one's resolver is never wrong.
            address = self.world.place(hello.master_address)
            if address != self.master.address:
                self._switch(address)

    def _on_info(self, node: _Instance, text: Any) -> None:
        if not isinstance(text, bytes):
            return
        facts = read_facts(text)
        if facts.role is not node.facts.role:
            node.role_since_us = self._now_us
        node.facts, node.facts_us = facts, self._now_us
        if node is self.master and facts.role is Role.MASTER:
            for address in facts.replicas:
                if address not in self.replicas and address != node.address:
                    self.replicas[address] = _Instance(address, ponged_us=self._now_us)
        if node is self.promoted and facts.role is Role.MASTER and self.state == "promotion":
            self._become("reconfiguration")
            self.config_epoch = self.failover_epoch
            self.judge.record_configuration(self.name, self.config_epoch, node.address)
            self.judge.failovers += 1
            for instance in self._everybody():
                instance.hello_us = -_HELLO_US
        if node is not self.master and not self.state:
            self._repair(node)

    def _repair(self, node: _Instance) -> None:
        """A replica that claims to be master is demoted after a while; one that strays as well."""
        now_us = self._now_us
        is_sane = self.master.facts.role is Role.MASTER and self.down_us is None
        if not is_sane or now_us - node.ordered_us < _CONVERT_US:
            return
        waited_us = now_us - node.role_since_us
        if (node.facts.role is Role.MASTER and waited_us > _CONVERT_US) or (
            node.facts.role is Role.REPLICA
            and node.facts.master_address != self.master.address
            and waited_us > self.shape.failover_timeout_ms * 1000
        ):
            self._order(node, self.master.address)

    def _order(self, node: _Instance, target: Address | None) -> None:
        if not node.is_open:
            return
        node.ordered_us = self._now_us
        where = (b"NO", b"ONE") if target is None else (target.host.encode(), b"%d" % target.port)
        commands = (
            (b"MULTI",),
            (b"SLAVEOF", *where),
            (b"CONFIG", b"REWRITE"),
            (b"CLIENT", b"KILL", b"TYPE", b"normal"),
            (b"CLIENT", b"KILL", b"TYPE", b"pubsub"),
            (b"EXEC",),
        )
        self._send(node, commands, lambda replies: None)

    def _switch(self, address: Address) -> None:
        """Adopt another address; everything about the old master is forgotten."""
        self.world.note(self.label, f"+switch-master to {address} in {self.config_epoch}")
        is_own = self.promoted is not None and self.promoted.address == address
        if is_own and self.config_epoch != self.failover_epoch:
            # Redis' fault: a newer configuration that names the master it is just replacing changes
            # nothing but the epoch, so that in the end it names its own choice in another's epoch.
            self.judge.ambiguous.add((self.name, self.config_epoch))
        self.judge.record_configuration(self.name, self.config_epoch, address)
        nodes = {node.address: node for node in self._nodes()}
        self.master = (
            nodes.pop(address) if address in nodes else _Instance(address, ponged_us=self._now_us)
        )
        self.replicas = nodes
        for node in self._nodes():
            node.ping_since_us = None
            node.ponged_us = self._now_us
            node.facts_us = None
            node.role_since_us = self._now_us
        for fellow in self.fellows.values():
            fellow.says_down_us = None
            fellow.vote = ("*", 0)
        self._become("")
        self.promoted = None
        self.down_us = None
        self.is_o_down = False

    # -- failing over ----------------------------------------------------------------------------

    def _judge_master(self) -> None:
        now_us = self._now_us
        since_us = self.master.ping_since_us
        is_down = since_us is not None and now_us - since_us > self.shape.down_after_ms * 1000
        if is_down and self.down_us is None:
            self.down_us = now_us
        elif not is_down:
            self.down_us = None
        agreeing = [
            fellow
            for fellow in self.fellows.values()
            if fellow.says_down_us is not None and now_us - fellow.says_down_us < _OPINION_US
        ]
        self.is_o_down = is_down and 1 + len(agreeing) >= self.shape.quorum
        if is_down:
            self._ask(is_forced=False)

    def _ask(self, *, is_forced: bool) -> None:
        host, port = self.master.address
        candidate = self.run_id.encode() if self.state == "votes" else b"*"
        command = (
            b"SENTINEL",
            b"is-master-down-by-addr",
            host.encode(),
            b"%d" % port,
            b"%d" % self.current_epoch,
            candidate,
        )
        for fellow in self.fellows.values():
            if not fellow.is_open or (not is_forced and self._now_us - fellow.asked_us < _ASK_US):
                continue
            fellow.asked_us = self._now_us
            self._send(fellow, (command,), self._take_answer(fellow))

    def _take_answer(self, fellow: _Instance) -> Callable[[tuple[Any, ...]], None]:
        def take(replies: tuple[Any, ...]) -> None:
            answer = replies[0]
            if isinstance(answer, list):
                is_down, leader, epoch = answer
                fellow.says_down_us = self._now_us if is_down else None
                if leader != b"*":
                    fellow.vote = (leader.decode(), epoch)

        return take

    def _advance(self) -> None:
        now_us = self._now_us
        timeout_us = self.shape.failover_timeout_ms * 1000
        match self.state:
            case "" if self.is_o_down and now_us - self.started_us >= 2 * timeout_us:
                self.current_epoch += 1
                self.failover_epoch = self.current_epoch
                self.started_us = now_us + self.world.between(0, 1_000_000)
                self._become("votes")
                self.world.note(self.label, f"+try-failover in {self.failover_epoch}")
                self._vote(self.failover_epoch, self.run_id)
                self._ask(is_forced=True)
            case "votes":
                self._count(timeout_us)
            case "promotion" if now_us - self.state_us > timeout_us:
                self._become("")
            case "reconfiguration":
                self._reconfigure(timeout_us)

    def _count(self, timeout_us: int) -> None:
        votes = sum(
            fellow.vote == (self.run_id, self.current_epoch) for fellow in self.fellows.values()
        )
        is_own = (self.leader, self.leader_epoch) == (self.run_id, self.failover_epoch)
        if votes + is_own >= self._needed():
            if self.current_epoch != self.failover_epoch:
                # Redis' fault: it counts the votes of another epoch than it stands in, for it asks
                # in the newest that it has heard of. So there can be a second leader in its own.
                self.judge.ambiguous.add((self.name, self.failover_epoch))
            self.judge.record_leader(self.run_id, self.name, self.failover_epoch)
            self._promote()
        elif self._now_us - self.started_us > min(_ELECTION_US, timeout_us):
            self._become("")

    def _promote(self) -> None:
        fit = [
            node
            for node in self.replicas.values()
            if node.is_open
            and self._now_us - node.ponged_us < 5_000_000
            and node.facts_us is not None
            and self._now_us - node.facts_us < 5_000_000
            and node.facts.role is Role.REPLICA
            and node.facts.priority != 0
        ]
        if not fit:
            self._become("")
            return
        self.promoted = min(fit, key=_rank)
        self._become("promotion")
        self.world.note(self.label, f"promotes {self.promoted.address} in {self.failover_epoch}")
        self._order(self.promoted, None)

    def _reconfigure(self, timeout_us: int) -> None:
        """One replica after the other; then the new address is the master's."""
        assert self.promoted is not None
        target = self.promoted.address
        now_us = self._now_us
        left = [
            node
            for node in self.replicas.values()
            if node is not self.promoted
            and node.is_open
            and not (node.facts.master_address == target and node.facts.is_master_link_up)
        ]
        if not left or now_us - self.state_us > timeout_us:
            self._switch(target)
            return
        waiting = [node for node in left if now_us - node.ordered_us >= 10_000_000]
        if waiting and len(left) - len(waiting) < self.shape.parallel_syncs:
            self._order(waiting[0], target)

    def give_up(self) -> None:
        """End a failover that has promoted nobody, as for want of a replica."""
        assert self.state == "votes"
        self._become("")

    def _become(self, state: str) -> None:
        self.state = state
        self.state_us = self._now_us

    # -- our own port ----------------------------------------------------------------------------

    def accept(self, connection: Connection) -> None:
        connection.on_request = lambda message: self._serve(connection, message)

    def _serve(self, connection: Connection, message: Message) -> None:
        assert isinstance(message, Batch)
        replies = tuple(self._execute(command) for command in message.commands)
        connection.reply(Replies(message.token, replies))

    def _execute(self, command: tuple[bytes, ...]) -> Any:
        match command:
            case (b"PING",):
                return b"PONG"
            case (b"INFO", b"server"):
                return b"redis_version:7.0.15\r\n"
            case (b"PUBLISH", _, payload):
                self.hear(payload)
                return 1
            case (b"SENTINEL", b"get-master-addr-by-name", _):
                host, port = self.master.address
                return [host.encode(), b"%d" % port]
            case (b"SENTINEL", b"master", _):
                shown = [b"flags", b"master", b"config-epoch", b"%d" % self.config_epoch]
                if self.state:
                    shown[1] += b",failover_in_progress"
                    shown += [b"failover-state", _SHOWN_STATES[self.state]]
                return shown
            case (b"SENTINEL", b"is-master-down-by-addr", host, port, epoch, candidate):
                return self._answer(Address(host.decode(), int(port)), int(epoch), candidate)
            case (b"SENTINEL", *_):
                return ReplyError("ERR Unknown sentinel subcommand")
            case _:
                return b"OK"

    def _answer(self, address: Address, epoch: int, candidate: bytes) -> list[Any]:
        if address != self.master.address:
            return [0, b"*", 0]
        is_down = int(self.down_us is not None)
        if candidate == b"*":
            return [is_down, b"*", 0]
        leader, leader_epoch = self._vote(epoch, RunId(candidate.decode()))
        return [is_down, leader.encode(), leader_epoch]

    def _vote(self, epoch: int, candidate: RunId) -> tuple[str, int]:
        self.current_epoch = max(self.current_epoch, epoch)
        if self.leader_epoch < epoch and self.current_epoch <= epoch:
            self.leader, self.leader_epoch = candidate, self.current_epoch
            self.judge.record_vote(self.run_id, self.name, self.leader_epoch, candidate)
            if candidate != self.run_id:
                self.started_us = self._now_us + self.world.between(0, 1_000_000)
        return self.leader, self.leader_epoch


def _rank(node: _Instance) -> tuple[int, int, str]:
    facts = node.facts
    return facts.priority or 0, -(facts.repl_offset or 0), facts.run_id or ""
