"""Waits of clients: for what they asked to wait for, and for the end of a pause.

The part of the engine that knows who waits for what. Requests of one session run in order and never
while another's run: whatever ends a wait (`wake`, `unblock`) only notes it; `serve_woken` retries
the waits, and `end_batch` goes on with the requests behind those that ended.

Follows Redis' `blocked.c`, and `networking.c: pauseClients`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from typing import Final

from ..cmdspec import CommandRow, Flag
from ..resp.replies import NO_REPLY, ErrorReply, Reply
from .blocking import WAITING, Block, KeyLoss, PausePurpose, Reason, Waiting
from .context import Context
from .registry import ClientRegistry
from .session import ClientKind, Session

#: The reason of waits for the end of a pause.
PAUSE: Final = "pause"
#: Commands with one of these flags may write, and wait where only writes do.
PAUSED_WRITES: Final = Flag.WRITE | Flag.MAY_REPLICATE


class Waits(ABC):
    """What `Engine` is besides running requests; the engine fills in the abstract part."""

    clients: ClientRegistry
    context: Context

    def __init__(self) -> None:
        #: Sessions that wait, oldest first, by reason.
        self._blocked: dict[Reason, dict[Session, None]] = {}
        #: Reasons whose waits are to be retried, in the order of their waking.
        self._woken: dict[Reason, None] = {}
        self._is_serving_woken = False
        #: What is to be done once at the end of the batch, when all its requests have run.
        self.at_batch_end: list[Callable[[], None]] = []
        #: Sessions whose wait has ended and whose later requests are to be run.
        self._resumed: list[Session] = []
        #: The pauses that are on: until when (wall ms), and whether only writes wait.
        self._pauses: dict[PausePurpose, tuple[int, bool]] = {}
        #: What follows from them all (`_sum_pauses`); 0: not paused.
        self.paused_until_ms = 0
        self.is_pause_for_writes_only = False

    # --- the engine's part -----------------------------------------------------------------------

    @abstractmethod
    def enter(self, session: Session) -> None:
        """Bind the context to `session`."""

    @abstractmethod
    def recheck(self) -> None:
        """Note that a pause has begun or ended."""

    @abstractmethod
    def account_for_retry(self, session: Session) -> None:
        """Account for and propagate what the retry of a wait of `session` changed."""

    @abstractmethod
    def count_failure(self, session: Session) -> None:
        """Account for a wait of `session` that ends with an error."""

    @abstractmethod
    def run(self, session: Session, requests: list[list[bytes]], data: bytes = b"") -> None:
        """Run requests that waited."""

    @abstractmethod
    def answer_protocol_error(self, session: Session) -> None:
        """Answer the error of `session` and have it closed, unless requests before it wait."""

    @abstractmethod
    def on_wait_begun(self, wait: Block) -> None:
        """Prepare for `wake` to be called with the wait's reasons."""

    @abstractmethod
    def on_wait_ended(self, wait: Block) -> None:
        """Undo what `on_wait_begun` did; the wait's reasons may still be those of others."""

    @property
    @abstractmethod
    def clock(self) -> Callable[[], float]:
        """Gives seconds, for durations."""

    @abstractmethod
    def finish_reply(self) -> None:
        """Do what was put off until the reply of the command that runs is complete."""

    @abstractmethod
    def on_wait_served(self, session: Session, wait: Block, seconds: float) -> None:
        """Hear that a wait has ended with what it was for, which took `seconds` to get."""

    def is_used_up(self, reason: Reason) -> bool:
        """Return whether those who go on waiting for `reason` need not be asked again."""
        return False

    # --- pausing ---------------------------------------------------------------------------------

    def pause(
        self,
        until_ms: int,
        *,
        writes_only: bool,
        purpose: PausePurpose = PausePurpose.COMMAND,
    ) -> None:
        """Have commands (or only writes) of clients wait until `until_ms` (wall clock).

        A pause that is on already for the same purpose is only ever made longer and wider.
        """
        known = self._pauses.get(purpose)
        if known is not None and known[0] > self.context.now_ms:
            until_ms = max(until_ms, known[0])
            writes_only = writes_only and known[1]
        self._pauses[purpose] = (until_ms, writes_only)
        self._sum_pauses()

    def unpause(self, purpose: PausePurpose = PausePurpose.COMMAND) -> None:
        """End the pause for `purpose`; run what waited for no other."""
        if self._pauses.pop(purpose, None) is not None:
            self._sum_pauses()

    def _sum_pauses(self) -> None:
        """Derive what is in force: the widest pause, for as long as one as wide lasts.

        Follows Redis 7.0 `networking.c: updateClientPauseTypeAndEndTime`.
        """
        now_ms = self.context.now_ms
        self._pauses = {
            purpose: pause for purpose, pause in self._pauses.items() if pause[0] > now_ms
        }
        pauses = self._pauses.values()
        self.is_pause_for_writes_only = all(writes_only for _, writes_only in pauses)
        self.paused_until_ms = max(
            (
                until_ms
                for until_ms, writes_only in pauses
                if writes_only == self.is_pause_for_writes_only
            ),
            default=0,
        )
        self.recheck()
        # Who waits looks again: a pause of everything may have become one of writes.
        self.wake(PAUSE)

    def flags_of(self, session: Session, row: CommandRow, argv: list[bytes]) -> tuple[int, int]:
        """Return the flags of a request; for EXEC, those any queued one has and those all have."""
        any_flags = all_flags = row.flags
        if row.full_name == "exec":
            for queued_row, queued_argv in session.queued_commands or ():
                flags, _ = self.flags_of(session, queued_row, queued_argv)
                any_flags |= flags
                all_flags &= flags
        return any_flags, all_flags

    def pause_of(self, session: Session, row: CommandRow, argv: list[bytes]) -> Block | None:
        """Return the wait for the end of the pause, or None where it does not concern `row`.

        Replicas and the link to a master are never paused, and unlike in Redis neither is CLIENT
        itself, so that a pause of everything can be ended.
        """
        if self.context.now_ms >= self.paused_until_ms:
            self._sum_pauses()
            if not self.paused_until_ms:
                return None
        if session.is_deaf or session.kind in (ClientKind.MASTER, ClientKind.REPLICA):
            return None
        if row.full_name.startswith("client|"):
            return None
        any_flags, _ = self.flags_of(session, row, argv)
        may_write = bool(any_flags & PAUSED_WRITES)
        if self.is_pause_for_writes_only and not may_write:
            return None

        def retry(now_ms: int) -> Reply | Waiting:
            is_meant = may_write or not self.is_pause_for_writes_only
            return WAITING if is_meant and now_ms < self.paused_until_ms else NO_REPLY

        return Block((PAUSE,), retry, deadline_ms=self.paused_until_ms, is_repeated=True)

    # --- waiting ---------------------------------------------------------------------------------

    def block(self, session: Session, wait: Block, rest: list[list[bytes]]) -> None:
        """Have `session` wait; `rest` are the requests that came with the one that waits."""
        session.blocked = wait
        session.waiting_requests = rest + session.waiting_requests
        session.waiting_bytes += sum(len(word) for argv in rest for word in argv)
        session.recheck()
        for reason in wait.reasons:
            self._blocked.setdefault(reason, {})[session] = None
        self.on_wait_begun(wait)

    def blocked_sessions(self) -> list[Session]:
        """Return the sessions that wait."""
        waits = self._blocked.values()
        return list(dict.fromkeys(session for sessions in waits for session in sessions))

    @property
    def is_anybody_waiting(self) -> bool:
        """Whether any session waits."""
        return bool(self._blocked)

    def count_awaited_keys(self) -> tuple[int, int]:
        """Return how many keys are waited for, and of how many it is also waited for the loss."""
        keys = sum(isinstance(reason, tuple) for reason in self._blocked)
        losses = sum(isinstance(reason, KeyLoss) for reason in self._blocked)
        return keys, losses

    def is_awaited(self, reason: Reason) -> bool:
        """Return whether any session waits for `reason`."""
        return reason in self._blocked

    def wake(self, reason: Reason) -> None:
        """Have the waits of `reason` retried at the end of the batch."""
        if reason in self._blocked:
            self._woken[reason] = None

    def end_batch(self) -> None:
        """Retry the waits that were woken and go on with the requests behind those that ended.

        To be called after each batch, and after anything else that may end a wait, before sending.
        """
        while self._woken or self._resumed or self.at_batch_end:
            self.serve_woken()
            resumed, self._resumed = self._resumed, []
            for session in resumed:
                self._resume(session)
            if self.at_batch_end and not (self._woken or self._resumed):
                acts, self.at_batch_end = self.at_batch_end, []
                for act in acts:
                    act()
        self.finish_reply()  # what happened outside of commands has no reply to wait for

    @property
    def woken(self) -> Mapping[Reason, None]:
        """The reasons whose waits are to be retried, now and later."""
        return self._woken

    @property
    def has_woken(self) -> bool:
        """Whether some waits are to be retried."""
        return bool(self._woken)

    def serve_woken(self) -> None:
        """Retry the waits that were woken, by reason in the order of the waking, oldest first.

        A write that ends waits calls this before the next request runs: an element that a client
        waits for is not to be had by those who come later. The context is as before afterwards.
        """
        if self._is_serving_woken:
            return  # a retry has woken more: the loop below comes to them
        self._is_serving_woken = True
        session = self.context.session
        try:
            while self._woken:
                reason = next(iter(self._woken))
                del self._woken[reason]
                for waiting in list(self._blocked.get(reason, ())):
                    if self._retry(waiting, reason) and self.is_used_up(reason):
                        self._woken.pop(reason, None)
                        break  # a thousand may wait for one element
        finally:
            self._is_serving_woken = False
        if session is not None:
            self.enter(session)

    def _retry(self, session: Session, reason: Reason) -> bool:
        """Retry the wait of `session`; return whether that changed the dataset."""
        wait = session.blocked
        if wait is None or reason not in wait.reasons or session.is_close_requested:
            return False  # an earlier retry ended it
        self.enter(session)
        started = self.clock()
        reply = wait.retry(self.context.now_ms)
        has_changed = bool(self.context.changes)
        if has_changed:
            self.account_for_retry(session)
        if reply is not WAITING:
            if isinstance(reply, ErrorReply):
                self.count_failure(session)
            self.unblock(session, reply)  # type: ignore[arg-type]  # not WAITING
            if not (wait.is_repeated or isinstance(reply, Block)):
                self.on_wait_served(session, wait, self.clock() - started)
        return has_changed

    def _resume(self, session: Session) -> None:
        """Run what arrived while `session` waited, and answer what was wrong with the rest."""
        if session.is_closed or session.blocked is not None:
            return
        requests, session.waiting_requests = session.waiting_requests, []
        session.waiting_bytes = 0
        if requests:
            self.run(session, requests)
            self.clients.note_unsent(session)
        if session.protocol_error:
            self.answer_protocol_error(session)

    def next_deadline_ms(self) -> int | None:
        """Return when the first wait ends without being woken, or None."""
        deadlines = [
            session.blocked.deadline_ms
            for session in self.blocked_sessions()
            if session.blocked is not None and session.blocked.deadline_ms is not None
        ]
        return min(deadlines, default=None)

    def expire_waits(self) -> None:
        """End the waits whose deadline has passed."""
        for session in self.blocked_sessions():
            wait = session.blocked
            if wait is None or wait.deadline_ms is None:
                continue
            if wait.deadline_ms <= self.context.now_ms:
                self.unblock(session, wait.on_timeout())

    def unblock(self, session: Session, reply: Reply | Block) -> None:
        """End the wait of `session` with `reply`; `end_batch` runs what waited behind it."""
        self.forget_wait(session)
        if isinstance(reply, Block):
            self.block(session, reply, [])
            return
        session.add_reply(reply)
        session.end_reply()
        self.finish_reply()
        if session.waiting_requests or session.protocol_error:
            self._resumed.append(session)
        self.clients.note_unsent(session)

    def forget_wait(self, session: Session) -> None:
        """End the wait of `session`, if it waits, without a reply."""
        wait = session.blocked
        if wait is None:
            return
        for reason in wait.reasons:
            sessions = self._blocked[reason]
            del sessions[session]
            if not sessions:
                del self._blocked[reason]
        session.blocked = None
        self.on_wait_ended(wait)
        session.recheck()
