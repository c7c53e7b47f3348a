"""What must hold after every step, whatever happens.

The judge looks from outside: at what sentinels send, answer and announce, and at what is on their
disks. It keeps the history across crashes, which no sentinel has.
"""

from __future__ import annotations

from sentinel.core.actions import Action, Answer, Publish, Send
from sentinel.core.events import Event, FailoverRequested, VoteRequested
from sentinel.core.hello import parse_hello
from sentinel.core.model import FailoverState
from tests.sim.sentinels import SimSentinel
from vedette.types import Address, RunId


class InvariantBrokenError(AssertionError):
    """Something happened that never may."""


def _require(condition: bool, text: str) -> None:
    if not condition:
        raise InvariantBrokenError(text)


class Judge:
    """Checks each step of each sentinel; see `on_step`."""

    def __init__(self, sentinel_count: int, quorum: int) -> None:
        self.sentinel_count = sentinel_count
        self.quorum = quorum
        #: (voter, master, epoch) -> candidate, of every vote ever spoken.
        self.votes: dict[tuple[RunId, str, int], RunId] = {}
        self.leaders: dict[tuple[str, int], RunId] = {}
        self.configurations: dict[tuple[str, int], Address] = {}
        self.forced: set[tuple[str, int]] = set()
        self.steps = 0
        self.failovers = 0
        #: Per sentinel and start: the epochs seen last, to be monotone.
        self._epochs: dict[tuple[RunId, int], dict[str, tuple[int, int, int]]] = {}
        #: Whom some sentinel has forgotten; they count for no majority any more.
        self.forgotten: set[RunId] = set()
        self._everybody: dict[RunId, SimSentinel] = {}
        self._vote_requests: dict[tuple[RunId, int, int], VoteRequested] = {}

    def on_step(self, sentinel: SimSentinel, event: Event, actions: list[Action]) -> None:
        """All checks."""
        self.steps += 1
        if isinstance(event, VoteRequested):
            self._vote_requests[sentinel.run_id, sentinel.starts, event.request] = event
        self._note_forced(sentinel, event)
        for action in actions:
            match action:
                case Answer():
                    self._check_answer(sentinel, action)
                case Send():
                    for command in action.commands:
                        self._check_spoken(sentinel, command)
                case Publish():
                    self._check_notice(sentinel, action)
        self._check_epochs(sentinel)
        self._check_configurations(sentinel)
        self._everybody[sentinel.run_id] = sentinel
        self._check_forgotten(sentinel, actions)

    # -- what is spoken --------------------------------------------------------------------------

    def _check_answer(self, sentinel: SimSentinel, action: Answer) -> None:
        key = sentinel.run_id, sentinel.starts, action.request
        asked = self._vote_requests.pop(key, None)
        if asked is None or asked.candidate is None:
            return
        assert isinstance(action.reply, list)
        _, leader, epoch = action.reply
        if leader == b"*":
            return
        assert isinstance(leader, bytes)
        assert isinstance(epoch, int)
        for master in sentinel.core.state.masters.values():
            if master.address == asked.address:
                self._record_vote(sentinel, master.name, epoch, RunId(leader.decode()))

    def _record_vote(self, sentinel: SimSentinel, name: str, epoch: int, candidate: RunId) -> None:
        key = sentinel.run_id, name, epoch
        before = self.votes.setdefault(key, candidate)
        _require(before == candidate, f"{sentinel.label} voted twice in {epoch}")
        on_disk = {entry.name: entry.leader_epoch for entry in sentinel.durable.masters}
        _require(
            on_disk.get(name, 0) >= epoch,
            f"{sentinel.label} spoke a vote of epoch {epoch} that is not on its disk",
        )

    def _check_spoken(self, sentinel: SimSentinel, command: tuple[bytes, ...]) -> None:
        match command:
            case (b"SENTINEL", b"is-master-down-by-addr", host, port, epoch, candidate):
                self._check_epoch_on_disk(sentinel, int(epoch))
                if candidate == b"*":
                    return
                address = Address(host.decode(), int(port))
                for master in sentinel.core.state.masters.values():
                    if master.address == address:
                        run_id = RunId(candidate.decode())
                        self._record_vote(sentinel, master.name, int(epoch), run_id)
            case (b"PUBLISH", _, body):
                hello = parse_hello(body)
                assert hello is not None
                self._check_epoch_on_disk(sentinel, hello.current_epoch)
            case (b"SLAVEOF", b"NO", b"ONE"):
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
            if (master.name, epoch) in self.forced:
                continue
            votes = sum(
                candidate == sentinel.run_id and (name, voted) == (master.name, epoch)
                for (_, name, voted), candidate in self.votes.items()
            )
            needed = max((self.sentinel_count - len(self.forgotten)) // 2 + 1, self.quorum)
            _require(
                votes >= needed,
                f"{sentinel.label} promotes in {epoch} with {votes} of {needed} votes",
            )

    def _check_notice(self, sentinel: SimSentinel, notice: Publish) -> None:
        if notice.master is None:
            return
        master = sentinel.core.state.masters.get(notice.master)
        if notice.event == b"+elected-leader":
            assert master is not None
            key = master.name, self._epoch_at_election(sentinel, notice)
            before = self.leaders.setdefault(key, sentinel.run_id)
            is_forced = key in self.forced
            _require(
                before == sentinel.run_id or is_forced,
                f"two leaders in {key}: {before} and {sentinel.run_id}",
            )
        elif notice.event == b"+promoted-slave":
            self.failovers += 1

    def _epoch_at_election(self, sentinel: SimSentinel, notice: Publish) -> int:
        # The vote for ourselves is the newest one of this master when we are elected.
        assert notice.master is not None
        master = sentinel.core.state.masters[notice.master]
        return max(master.failover.epoch, master.config_epoch)

    def _note_forced(self, sentinel: SimSentinel, event: Event) -> None:
        if isinstance(event, FailoverRequested):
            master = sentinel.core.state.masters[event.name]
            if master.failover.is_forced:
                self.forced.add((master.name, master.failover.epoch))

    def _check_forgotten(self, sentinel: SimSentinel, actions: list[Action]) -> None:
        """A majority shrinks when all that stay, a majority, have it on disk whom they let go."""
        gone = {
            RunId(action.payload.decode().split()[1])
            for action in actions
            if isinstance(action, Publish) and action.event == b"-sentinel"
        }
        if gone <= self.forgotten:
            return
        counted = self._everybody.keys() - self.forgotten
        staying = counted - gone
        _require(
            len(staying) >= len(counted) // 2 + 1,
            f"{sentinel.label} shrinks {len(counted)} sentinels to {len(staying)}",
        )
        for run_id in staying:
            other = self._everybody[run_id]
            (record,) = other.durable.masters
            out = {*record.forgotten, *(each for each, _ in record.leaving)}
            _require(gone <= out, f"{sentinel.label} forgets {gone} without {other.label}")
        self.forgotten |= gone

    # -- epochs ----------------------------------------------------------------------------------

    def _check_epochs(self, sentinel: SimSentinel) -> None:
        state = sentinel.core.state
        seen = self._epochs.setdefault((sentinel.run_id, sentinel.starts), {})
        for master in state.masters.values():
            now = state.current_epoch, master.config_epoch, master.vote.leader_epoch
            before = seen.get(master.name, now)
            _require(
                all(new >= old for new, old in zip(now, before, strict=True)),
                f"{sentinel.label}: epochs went back from {before} to {now}",
            )
            seen[master.name] = now

    def _check_configurations(self, sentinel: SimSentinel) -> None:
        for master in sentinel.core.state.masters.values():
            key = master.name, master.config_epoch
            if master.config_epoch == 0 or key in self.forced:
                continue
            before = self.configurations.setdefault(key, master.address)
            _require(
                before == master.address,
                f"config epoch {key} means {before} and {master.address}",
            )
