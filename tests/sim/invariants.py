"""What must hold after every step, whatever happens.

The judge looks from outside: at what sentinels are told, send, answer and announce, and at what is
on their disks. It keeps the history across crashes, which no sentinel has.
"""

from __future__ import annotations

from sentinel.core import selection
from sentinel.core.actions import Action, Answer, Publish, Send
from sentinel.core.events import (
    Event,
    FailoverRequested,
    OptionsRequested,
    RemoveRequested,
    RepliesReceived,
    Started,
    VoteRequested,
)
from sentinel.core.facts import Facts, read_facts
from sentinel.core.hello import parse_hello
from sentinel.core.hosts import same
from sentinel.core.model import FailoverState, Master, Node, ReconfState, Role
from sentinel.core.timing import FRESH_INFO_WAIT_MS, STALL_MS
from tests.sim.sentinels import SimSentinel
from vedette.resp.exchange import ReplyError
from vedette.types import Address, RunId

#: No run has a thousandth of so many elections: who holds such an epoch has believed a liar.
_EPOCH_MAX = 1_000_000
#: How much earlier than down-after the first unanswered PING may have been sent: none; what is left
#: is the rounding of clocks, and stalls too short to be noticed.
_ROUNDING_MS = 2
#: For so long a coordinated failover may stand for election again.
_ORDER_MS = 10_000
_UNDER_WAY = (ReconfState.SENT, ReconfState.IN_PROGRESS)
#: What a sentinel may not conclude or begin in a stall's wake, before fresh probes were answered.
_DECISIONS = frozenset({b"+sdown", b"+odown", b"+try-failover"})


class InvariantBrokenError(AssertionError):
    """Something happened that never may."""


def _require(condition: bool, text: str) -> None:
    if not condition:
        raise InvariantBrokenError(text)


class _Memory:
    """What the judge remembers of one start of one sentinel."""

    def __init__(self) -> None:
        #: The votes that are asked for and not answered: request -> the master that it is about.
        self.vote_requests: dict[int, str] = {}
        #: By master: how many replicas were under way after the last step.
        self.under_way: dict[str, int] = {}
        #: By link: when the last reply to a PING came (or the link's first event).
        self.alive_ms: dict[Address, int] = {}
        #: By node: the last INFO and when it came.
        self.infos: dict[Address, tuple[int, bytes]] = {}
        #: By master: since when it was silent when the failover began.
        self.failed_ms: dict[str, int] = {}
        #: By master: when the last coordinated failover was ordered that was begun.
        self.ordered_ms: dict[str, int] = {}
        #: By master: when we began to choose a replica.
        self.choosing_ms: dict[str, int] = {}
        #: By master: the epochs and the address seen last.
        self.seen: dict[str, tuple[int, int, int, Address]] = {}


class Judge:
    """Checks each step of each sentinel; see `on_step`."""

    def __init__(self, sentinel_count: int, quorum: int) -> None:
        self.sentinel_count = sentinel_count
        self.quorum = quorum
        #: (voter, master, epoch) -> candidate, of every vote ever spoken.
        self.votes: dict[tuple[RunId, str, int], RunId] = {}
        self.leaders: dict[tuple[str, int], RunId] = {}
        self.configurations: dict[tuple[str, int], Address] = {}
        #: Epochs taken by FAILOVER, which asks nobody.
        self.ordered: set[tuple[str, int]] = set()
        #: Epochs that may stand for two leaders and two masters: those ordered, and those in which
        #: a known fault of Redis has shown at a stock sentinel.
        self.ambiguous: set[tuple[str, int]] = set()
        #: Epochs of which a liar has told that they stand for another master.
        self.lied_about: set[tuple[str, int]] = set()
        #: Whether a candidacy must have a cause (a test may order one).
        self.wants_reasons = True
        self.steps = 0
        self.failovers = 0
        #: Whom some sentinel has forgotten; they count for no majority any more.
        self.forgotten: set[RunId] = set()
        #: By sentinel: the least quorum that it was ever told.
        self._quorums: dict[RunId, int] = {}
        self._everybody: dict[RunId, SimSentinel] = {}
        #: Of each sentinel's last start.
        self._memories: dict[RunId, _Memory] = {}
        #: By master: the highest epoch of a switch that anybody has announced, and could save.
        self.announced: dict[str, int] = {}
        #: The highest epoch that a sentinel spoke of, over restarts, and that of its last switch.
        self._spoken: dict[RunId, int] = {}
        self._switched: dict[tuple[RunId, str], int] = {}

    def on_step(self, sentinel: SimSentinel, event: Event, actions: list[Action]) -> None:
        """All checks."""
        self.steps += 1
        if type(event) is RepliesReceived:
            memory = self._memories[sentinel.run_id]
            self._note_replies(sentinel, memory, event)
        else:
            memory = self._note_other(sentinel, event)
        for action in actions:
            kind = type(action)
            if kind is Send:
                assert isinstance(action, Send)
                for command in action.commands:
                    if command[0] in _SPEECH:
                        self._check_spoken(sentinel, command)
            elif kind is Answer:
                assert isinstance(action, Answer)
                self._check_answer(sentinel, memory, action)
            elif kind is Publish:
                assert isinstance(action, Publish)
                self._check_notice(sentinel, memory, event, action, actions)
        state = sentinel.core.state
        for name, master in state.masters.items():
            now = (
                state.current_epoch,
                master.config_epoch,
                master.vote.leader_epoch,
                master.node.address,
            )
            if memory.seen.get(name) != now:
                self._check_epochs(sentinel, memory, master, now)
            if master.failover.state is FailoverState.RECONF_SLAVES:
                self._check_parallel_syncs(sentinel, memory, master)

    def on_announced(self, sentinel: SimSentinel, notice: Publish) -> None:
        """No switch leads back behind another, nor behind what the disk held at the start.

        One that a crash has cut off was none.
        """
        state = sentinel.core.state
        master = state.masters.get(notice.master or "")
        if notice.event != b"+switch-master" or master is None:
            return
        if not state.save_error:
            highest = max(self.announced.get(master.name, 0), master.config_epoch)
            self.announced[master.name] = highest
            is_leader = master.failover.state is FailoverState.RECONF_SLAVES
            on_disk = {entry.name: entry.config_epoch for entry in sentinel.durable.masters}
            _require(
                not is_leader or on_disk[master.name] >= master.config_epoch,
                f"{sentinel.label} announces {master.config_epoch}, which is not on its disk",
            )
        key = sentinel.run_id, master.name
        before = self._switched.get(key, 0)
        _require(
            master.config_epoch >= before,
            f"{sentinel.label} switched to {before} and then to {master.config_epoch}",
        )
        self._switched[key] = master.config_epoch

    def _note_other(self, sentinel: SimSentinel, event: Event) -> _Memory:
        """Take note of an event that is no reply; return what is remembered of this start."""
        kind = type(event)
        if kind is Started:
            self._memories[sentinel.run_id] = _Memory()
            self._everybody[sentinel.run_id] = sentinel
            for name, master in sentinel.core.state.masters.items():
                self._switched[sentinel.run_id, name] = master.config_epoch
        memory = self._memories[sentinel.run_id]
        match event:
            case VoteRequested():
                self._note_vote_request(sentinel, memory, event)
            case FailoverRequested():
                self._note_ordered(sentinel, memory, event)
            case OptionsRequested():
                before = self._quorums.get(sentinel.run_id, self.quorum)
                self._quorums[sentinel.run_id] = min(before, event.options.quorum)
            case RemoveRequested():
                # It may be told of it again, and knows nothing then.
                memory.seen.pop(event.name, None)
                self._switched.pop((sentinel.run_id, event.name), None)
        return memory

    def _note_replies(self, sentinel: SimSentinel, memory: _Memory, event: RepliesReceived) -> None:
        connection = sentinel.links.get(event.link)
        if connection is None:
            return
        for reply in event.replies:
            if reply == b"PONG":
                memory.alive_ms[connection.target] = event.now_ms
            elif isinstance(reply, bytes) and b"role:" in reply:
                memory.infos[connection.target] = event.now_ms, reply
            elif isinstance(reply, ReplyError) and reply.code in ("LOADING", "MASTERDOWN"):
                memory.alive_ms[connection.target] = event.now_ms

    # -- what is spoken --------------------------------------------------------------------------

    def _note_vote_request(
        self, sentinel: SimSentinel, memory: _Memory, event: VoteRequested
    ) -> None:
        if event.candidate is not None:
            for name in self._named(sentinel, event.address):
                memory.vote_requests[event.request] = name

    def _check_answer(self, sentinel: SimSentinel, memory: _Memory, action: Answer) -> None:
        name = memory.vote_requests.pop(action.request, None)
        if name is None:
            return
        assert isinstance(action.reply, list)
        _, leader, epoch = action.reply
        if leader == b"*":
            return
        assert isinstance(leader, bytes)
        assert isinstance(epoch, int)
        self._check_vote(sentinel, name, epoch, RunId(leader.decode()))

    @staticmethod
    def _named(sentinel: SimSentinel, address: Address) -> list[str]:
        """The masters that an address stands for, to this sentinel or in truth.

        Its resolver may have led it astray.
        """
        state, place = sentinel.core.state, sentinel.world.place
        return [
            master.name
            for master in state.masters.values()
            if place(master.address) == place(address) or same(state, master.address, address)
        ]

    def _check_vote(self, sentinel: SimSentinel, name: str, epoch: int, candidate: RunId) -> None:
        self.record_vote(sentinel.run_id, name, epoch, candidate)
        on_disk = {entry.name: entry.leader_epoch for entry in sentinel.durable.masters}
        # Of a master that was removed meanwhile, and is monitored again, no vote is given in any
        # epoch up to the present one.
        _require(
            on_disk.get(name, sentinel.durable.current_epoch) >= epoch,
            f"{sentinel.label} spoke a vote of epoch {epoch} that is not on its disk",
        )

    def record_vote(self, voter: RunId, name: str, epoch: int, candidate: RunId) -> None:
        """A vote was spoken, by whatever kind of sentinel."""
        before = self.votes.setdefault((voter, name, epoch), candidate)
        _require(before == candidate, f"{voter[:8]} voted twice in {epoch}")

    def _check_spoken(self, sentinel: SimSentinel, command: tuple[bytes, ...]) -> None:
        match command:
            case (b"SENTINEL", b"is-master-down-by-addr", host, port, epoch, candidate):
                self._check_epoch_on_disk(sentinel, int(epoch))
                if candidate == b"*" or epoch == b"0":
                    return
                for name in self._named(sentinel, Address(host.decode(), int(port))):
                    self._check_vote(sentinel, name, int(epoch), RunId(candidate.decode()))
            case (b"PUBLISH", _, body):
                hello = parse_hello(body)
                assert hello is not None
                self._check_epoch_on_disk(sentinel, hello.current_epoch)
                before = self._spoken.get(sentinel.run_id, 0)
                _require(
                    hello.current_epoch >= before,
                    f"{sentinel.label} spoke of epoch {before} and then of {hello.current_epoch}",
                )
                self._spoken[sentinel.run_id] = hello.current_epoch
            case (b"SLAVEOF", b"NO", b"ONE") | (b"FAILOVER", b"TO", *_):
                self._check_promotion(sentinel)

    def _check_epoch_on_disk(self, sentinel: SimSentinel, epoch: int) -> None:
        _require(
            sentinel.durable.current_epoch >= epoch,
            f"{sentinel.label} spoke of epoch {epoch}, which is not on its disk",
        )

    # -- who may act -----------------------------------------------------------------------------

    def _check_promotion(self, sentinel: SimSentinel) -> None:
        leading = [
            master
            for master in sentinel.core.state.masters.values()
            if master.failover.state is FailoverState.WAIT_PROMOTION
        ]
        _require(bool(leading), f"{sentinel.label} promotes without a failover")
        for master in leading:
            epoch = master.failover.epoch
            if (master.name, epoch) in self.ordered:
                continue
            votes = sum(
                candidate == sentinel.run_id and (name, voted) == (master.name, epoch)
                for (_, name, voted), candidate in self.votes.items()
            )
            majority = (self.sentinel_count - len(self.forgotten)) // 2 + 1
            needed = max(majority, self._quorums.get(sentinel.run_id, self.quorum))
            _require(
                votes >= needed,
                f"{sentinel.label} promotes in {epoch} with {votes} of {needed} votes",
            )

    def _check_notice(
        self,
        sentinel: SimSentinel,
        memory: _Memory,
        event: Event,
        notice: Publish,
        actions: list[Action],
    ) -> None:
        name = notice.event
        if name in _DECISIONS and type(event) is not FailoverRequested:
            is_tilted = sentinel.core.state.tilt_since_ms is not None
            _require(not is_tilted, f"{sentinel.label} decides {name.decode()} in TILT")
        master = sentinel.core.state.masters.get(notice.master or "")
        if master is None:
            return
        if name == b"-sentinel":
            self._check_forgotten(sentinel, notice, actions)
        if name == b"+sdown":
            self._check_patience(sentinel, memory, event, master, notice)
        elif name == b"+try-failover":
            memory.failed_ms[master.name] = master.node.link.suspect_since_ms or event.now_ms
            if type(event) is FailoverRequested:
                return
            ordered_ms = memory.ordered_ms.get(master.name)
            has_reason = (
                master.is_o_down
                or master.conflict_since_ms is not None
                or (ordered_ms is not None and event.now_ms - ordered_ms <= _ORDER_MS)
            )
            _require(has_reason or not self.wants_reasons, f"{sentinel.label} stands for no reason")
        elif name == b"+elected-leader":
            # The vote for ourselves is the newest one of this master when we are elected.
            self.record_leader(sentinel.run_id, master.name, _epoch_of(master))
        elif name == b"+failover-state-select-slave":
            memory.choosing_ms[master.name] = event.now_ms
        elif name == b"+selected-slave" and not master.failover.is_forced:
            self._check_selection(sentinel, memory, event, master)
        elif name == b"+promoted-slave":
            self.failovers += 1

    def record_leader(self, leader: RunId, name: str, epoch: int) -> None:
        """Somebody says to be elected, of whatever kind it is."""
        key = name, epoch
        before = self.leaders.setdefault(key, leader)
        _require(
            before == leader or key in self.ambiguous,
            f"two leaders in {key}: {before[:8]} and {leader[:8]}",
        )

    def _note_ordered(
        self, sentinel: SimSentinel, memory: _Memory, event: FailoverRequested
    ) -> None:
        master = sentinel.core.state.masters[event.name]
        if master.failover.is_coordinated:
            memory.ordered_ms[event.name] = event.now_ms
        if master.failover.is_forced:
            key = master.name, master.failover.epoch
            self.ordered.add(key)
            self.ambiguous.add(key)

    # -- grounds for what is done ----------------------------------------------------------------

    def _check_patience(
        self,
        sentinel: SimSentinel,
        memory: _Memory,
        event: Event,
        master: Master,
        notice: Publish,
    ) -> None:
        """Time in which this process did not run is no evidence against another."""
        _, _, host, port, *_ = notice.payload.decode().split(" ")
        address = Address(host, int(port))
        node = master.node
        if address == sentinel.world.place(node.address) and (
            node.role_reported is Role.REPLICA or node.lost_data_ms
        ):
            return  # there are other grounds than silence against a master
        alive_ms = memory.alive_ms.get(address)
        if alive_ms is None:
            return
        options = master.options
        patience_ms = min(options.refused_after_ms or options.down_after_ms, options.down_after_ms)
        # So much of a stall a machine may miss: it compares the clock with its next timer, at the
        # latest the next PING of a replica or fellow.
        missed_ms = STALL_MS + options.down_after_ms // 2
        silent_ms = event.now_ms - alive_ms
        for begun_ms, ended_ms in sentinel.stalls:
            stalled_ms = ended_ms - max(begun_ms, alive_ms)
            silent_ms -= max(stalled_ms - missed_ms, 0)
        _require(
            silent_ms >= patience_ms - _ROUNDING_MS,
            f"{sentinel.label} holds {address} down after {silent_ms} ms in which it listened",
        )

    def _check_selection(
        self, sentinel: SimSentinel, memory: _Memory, event: Event, master: Master
    ) -> None:
        """The promoted replica was fit, by news of this failure, and no other had more."""
        promoted = master.failover.promoted
        assert promoted is not None
        node = master.replicas[promoted]
        told_ms, facts = _facts(sentinel, memory, node)
        label = f"{sentinel.label} promotes {promoted}"
        _require(not node.is_s_down, f"{label}, which is down")
        _require(facts.priority != 0, f"{label}, which has priority 0")
        age_max_ms = sentinel.core.state.periods.candidate_pong_age_ms
        _require(event.now_ms - told_ms <= age_max_ms, f"{label} by old INFO")
        if event.now_ms - memory.choosing_ms[master.name] < FRESH_INFO_WAIT_MS:
            is_fresh = told_ms >= memory.failed_ms[master.name]
            _require(is_fresh, f"{label} by an offset from before the failure")
        if facts.role is not Role.REPLICA:
            return
        for other in selection.candidates(master, event.now_ms, sentinel.core.state.periods):
            _, others = _facts(sentinel, memory, other)
            is_alike = (others.role, others.priority) == (facts.role, facts.priority)
            if not is_alike or others.dataset.replid != facts.dataset.replid:
                continue
            if others.dataset.is_syncing:
                continue  # about to throw away what it has
            _require(
                (others.repl_offset or 0) <= (facts.repl_offset or 0),
                f"{label} at {facts.repl_offset} though {other.address} has {others.repl_offset}",
            )

    def _check_parallel_syncs(self, sentinel: SimSentinel, memory: _Memory, master: Master) -> None:
        under_way = sum(node.reconf in _UNDER_WAY for node in master.replicas.values())
        before = memory.under_way.get(master.name, 0)
        memory.under_way[master.name] = under_way
        # An operator may lower the limit while more are under way.
        _require(
            under_way <= max(before, master.options.parallel_syncs),
            f"{sentinel.label} has {under_way} replicas synchronise at once",
        )

    def _check_forgotten(
        self, sentinel: SimSentinel, notice: Publish, actions: list[Action]
    ) -> None:
        """A majority shrinks when all that stay, a majority, have it on disk whom they let go."""
        gone = {
            RunId(action.payload.decode().split()[1])
            for action in actions
            if isinstance(action, Publish) and action.event == b"-sentinel"
        }
        if gone <= self.forgotten:
            return
        counted = self._everybody.keys() - self.forgotten
        staying = sorted(counted - gone)
        _require(
            len(staying) >= len(counted) // 2 + 1,
            f"{sentinel.label} shrinks {len(counted)} sentinels to {len(staying)}",
        )
        for run_id in staying:
            other = self._everybody[run_id]
            record = next(each for each in other.durable.masters if each.name == notice.master)
            out = {*record.forgotten, *(each for each, _ in record.leaving)}
            _require(gone <= out, f"{sentinel.label} forgets {gone} without {other.label}")
        self.forgotten |= gone

    # -- epochs ----------------------------------------------------------------------------------

    def _check_epochs(
        self,
        sentinel: SimSentinel,
        memory: _Memory,
        master: Master,
        now: tuple[int, int, int, Address],
    ) -> None:
        before = memory.seen.get(master.name, now)
        _require(
            now[0] >= before[0] and now[1] >= before[1] and now[2] >= before[2],
            f"{sentinel.label}: epochs went back from {before} to {now}",
        )
        memory.seen[master.name] = now
        _require(now[0] <= _EPOCH_MAX, f"{sentinel.label} believes a liar's epoch {now[0]}")
        place = sentinel.world.place(master.address)
        self.record_configuration(master.name, master.config_epoch, place)

    def record_configuration(self, name: str, epoch: int, address: Address) -> None:
        """A sentinel holds this configuration, of whatever kind it is."""
        key = name, epoch
        if epoch == 0 or key in self.ambiguous or key in self.lied_about:
            return
        before = self.configurations.setdefault(key, address)
        _require(before == address, f"config epoch {key} means {before} and {address}")


_SPEECH = frozenset({b"SENTINEL", b"PUBLISH", b"SLAVEOF", b"FAILOVER"})


def _epoch_of(master: Master) -> int:
    return max(master.failover.epoch, master.config_epoch)


def _facts(sentinel: SimSentinel, memory: _Memory, node: Node) -> tuple[int, Facts]:
    told_ms, text = memory.infos[sentinel.world.place(node.address)]
    return told_ms, read_facts(text)
