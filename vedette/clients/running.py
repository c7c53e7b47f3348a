"""Running one request: its gates, its function, its reply, and what is told of it.

What the engine does with a request that asks for care, and what server and sentinel override. The
loops through which nearly all requests go are in `engine.py`; what they do is what is done here,
written out. Follows Redis' `server.c: processCommand, call`.
"""

from __future__ import annotations

import math
import secrets
import time
from abc import abstractmethod
from collections import Counter
from collections.abc import Callable, Iterable
from typing import Final

from ..acl import AccessControl
from ..cmdspec import CommandRow, CommandTable, Flag
from ..errors import CommandError
from ..resp.encode import encode_reply
from ..resp.replies import (
    NO_REPLY,
    QUEUED,
    ErrorReply,
    PushReply,
    RawReply,
    Reply,
    ReplySequence,
)
from .blocking import Block
from .context import Context, ServingSettings
from .gate import Gate
from .pubsub import PubSub
from .registry import ClientRegistry
from .session import Session
from .waits import PAUSED_WRITES, Waits

NOAUTH = CommandError(b"NOAUTH Authentication required.")
NOT_IN_MULTI = CommandError(b"ERR Command not allowed inside a transaction")
#: What the reason becomes when it is EXEC that is refused.
ABORTED = b"EXECABORT Transaction discarded because of: %b"

#: What a browser that was led to our port begins its lines with. Its connection is closed at once,
#: lest the body of its request be taken for commands.
_HTTP_WORDS = frozenset({b"post", b"host:"})


#: Commands that are run, or refused, within a transaction.
_NEVER_QUEUED: Final = Flag.NOT_QUEUED | Flag.NO_MULTI

#: An error's code is looked for in so many bytes; what has none there counts as `ERR`.
_CODE_SIZE_LIMIT: Final = 31

#: Stands for "no command" where a row is expected; in no table.
NO_ROW: Final = CommandRow("", arity=0, flags=Flag.NONE, group="", since="", summary="")


class Running(Waits):
    """What `Engine` is besides receiving; see there for the arguments."""

    def __init__(
        self,
        table: CommandTable,
        settings: ServingSettings | None = None,
        *,
        clock: Callable[[], float] = time.perf_counter,
        on_crash: Callable[[Session, CommandRow, Exception], None] | None = None,
    ) -> None:
        super().__init__()
        self.table = table
        self.settings = settings or ServingSettings()
        self.clients = ClientRegistry()
        self.pubsub = PubSub(self.clients.note_unsent, self._put_off_if_running)
        self.access = AccessControl(table)
        self.gate = Gate(self.access, self.clients)
        self.context = self.make_context()
        self.on_crash = on_crash
        self.commands_processed = 0
        self.error_replies = 0
        #: The text of the last of them.
        self.last_error = b""
        #: Those of them that a master's stream met with: the dataset may not be the master's.
        self.unexpected_error_replies = 0
        #: Error replies by code, for INFO errorstats.
        self.errors_by_code: Counter[bytes] = Counter()
        self.input_bytes = 0
        self.output_bytes = 0
        #: How often bytes came from a client, and went to one.
        self.reads_processed = 0
        self.writes_processed = 0
        #: How many batches were served, and how long that took together.
        self.cycles = 0
        self.cycles_s = 0.0
        #: Gates beyond arity apply to commands with one of these flags, whoever sends them.
        self._gated_flags: int = Flag.NONE
        #: Calls that take so long are told to `on_call`; with `is_watching_calls` all are.
        self.slow_call_s = math.inf
        self.is_watching_calls = False
        #: What is to be done as soon as the reply of the command that runs is complete.
        self.after_reply: list[Callable[[], None]] = []
        self._clock = clock
        self._rows = {name: row for name, row in table.by_usual_name.items() if not row.subcommands}

    # --- what server and sentinel override -------------------------------------------------------

    @abstractmethod
    def make_context(self) -> Context:
        """Return the context for command functions."""

    def enter(self, session: Session) -> None:
        """Bind the context to `session` before its requests run."""
        self.context.session = session

    def refuse(self, session: Session, row: CommandRow, argv: list[bytes]) -> CommandError | None:
        """Return why `row` may not run now, or None. Asked only when some flag calls for care."""
        if (
            not session.is_authenticated
            and not row.flags & Flag.NO_AUTH
            and self.access.is_login_required
        ):
            return NOAUTH
        is_queued = session.queued_commands is not None
        if is_queued and row.flags & Flag.NO_MULTI and not row.flags & Flag.NOT_QUEUED:
            return NOT_IN_MULTI
        refusal = self.gate.refusal(session, row, argv, self.context.now_ms)
        if refusal is not None:
            return CommandError(refusal)
        if (
            session.protocol == 2
            and session.is_subscribed
            and not row.flags & Flag.WHILE_SUBSCRIBED
        ):
            return CommandError(
                b"ERR Can't execute '%b': only (P|S)SUBSCRIBE / (P|S)UNSUBSCRIBE / PING / QUIT /"
                b" RESET are allowed in this context" % row.full_name.encode()
            )
        return None

    def after_write(
        self, session: Session, row: CommandRow, argv: list[bytes], received: bytes = b""
    ) -> None:
        """Account for and propagate what the command changed; `context.changes` says how much.

        `received` is `argv` encoded, if it is at hand.
        """
        self.context.changes = 0

    @property
    def wants_received(self) -> bool:
        """Whether `after_write` has a use for what a command was received as."""
        return False

    def on_call(
        self,
        session: Session,
        row: CommandRow,
        argv: list[bytes],
        seconds: float,
        *,
        is_waiting: bool = False,
    ) -> None:
        """Hear of a call, once it has been run: see `slow_call_s`."""

    def account_for_retry(self, session: Session) -> None:
        self.after_write(session, NO_ROW, [])

    def count_failure(self, session: Session) -> None:
        row = self.table.by_own_name(session.last_command)
        if row is not None:
            row.failed_calls += 1

    def gated_flags(self) -> int:
        """Return the flags of commands that gates may refuse or delay, whoever sends them.

        `Flag.ANY`: all commands.
        """
        if self.is_watching_calls:
            return Flag.ANY
        if self.paused_until_ms:
            return PAUSED_WRITES if self.is_pause_for_writes_only else Flag.ANY
        return Flag.NONE

    def may_have(self, row: CommandRow, flags: int) -> bool:
        """Return whether a request of `row` may have one of `flags`."""
        return flags == Flag.ANY or bool(row.flags & flags)

    def recheck(self) -> None:
        """Have each row say whether it needs care, after a change of what `gated_flags` goes by."""
        flags = self.gated_flags()
        if flags != self._gated_flags:
            self._gated_flags = flags
            for row in self.table.all_rows():
                row.needs_care = self.may_have(row, flags)

    @property
    def needs_care(self) -> bool:
        """Whether any command is looked at more closely, whoever sends it."""
        return self._gated_flags != Flag.NONE

    def random_hex(self, size: int) -> str:
        """Return `size` random hexadecimal digits that nobody can guess."""
        return secrets.token_hex((size + 1) // 2)[:size]

    def discard_transaction(self, session: Session) -> None:
        """Have `session` leave MULTI without running what it queued."""
        session.end_transaction()

    def on_reset(self, session: Session) -> None:
        """Forget what `session` had chosen beyond what it holds itself (RESET)."""

    def on_tracking_changed(self, session: Session) -> None:
        """Take note of a change of `session.tracking`."""

    def on_disconnect(self, session: Session) -> None:
        """Forget whatever is held for a session that is gone."""

    def on_wait_begun(self, wait: Block) -> None:
        """Prepare for `wake` to be called with the wait's reasons."""

    def on_wait_served(self, session: Session, wait: Block, seconds: float) -> None:
        """Hear that a wait has ended with what it was for, which took `seconds` to get."""

    def on_wait_ended(self, wait: Block) -> None:
        """Undo what `on_wait_begun` did; the wait's reasons may still be those of others."""

    @property
    def clock(self) -> Callable[[], float]:
        return self._clock

    # --- one request -----------------------------------------------------------------------------

    def call(self, session: Session, row: CommandRow, argv: list[bytes]) -> Reply | Block:
        """Run one command whose gates are passed; return its reply, errors included."""
        context = self.context
        try:
            reply: Reply | Block = row.handler(context, argv)  # type: ignore[misc]
        except Exception as error:
            reply = self._failed(session, row, error)
        if context.changes:
            self.after_write(session, row, argv)
        return reply

    def _failed(self, session: Session, row: CommandRow, error: Exception) -> ErrorReply:
        """Return the reply of a command that raised; a fault of ours is reported and closes."""
        row.failed_calls += 1
        if isinstance(error, CommandError):
            return self.error_reply(error.text)
        if self.on_crash is None:
            raise error
        self.on_crash(session, row, error)
        self.clients.request_close(session)
        return self.error_reply(b"ERR internal error, see the log")

    def run_queued(
        self, session: Session, queued: Iterable[tuple[CommandRow, list[bytes]]]
    ) -> list[Reply]:
        """Run and account for what a transaction has queued; return the replies. Nothing waits.

        What its user may do can have changed meanwhile. After a fault of ours the rest is left out.
        """
        replies: list[Reply] = []
        protocol = session.protocol
        for row, argv in queued:
            if session.is_restricted:
                refusal = self.gate.refusal_at_exec(session, row, argv, self.context.now_ms)
                if refusal is not None:
                    replies.append(self.error_reply(refusal))
                    continue
            reply = self._call_accounted(session, row, argv, may_wait=False)
            if isinstance(reply, Block):
                reply = (reply.instead_of_waiting or reply.on_timeout)()
            if session.protocol != protocol:  # HELLO: what came before it stays as it was
                replies = [RawReply(encode_reply(each, protocol)) for each in replies]
                protocol = session.protocol
            replies.append(reply)
            if session.is_close_requested and type(reply) is ErrorReply:
                break
        return replies

    def _call_accounted(
        self, session: Session, row: CommandRow, argv: list[bytes], *, may_wait: bool = True
    ) -> Reply | Block:
        """Run one command outside the loop of `run`, which accounts for its own."""
        started = self._clock()
        reply = self.call(session, row, argv)
        elapsed = self._clock() - started
        row.durations.append(elapsed)
        self.commands_processed += 1
        is_watched = self.is_watching_calls or session.tracking is not None
        if is_watched or elapsed >= self.slow_call_s:
            is_waiting = may_wait and isinstance(reply, Block)
            self.on_call(session, row, argv, elapsed, is_waiting=is_waiting)
        return reply

    def error_reply(self, text: bytes) -> ErrorReply:
        """Return an error reply and count it by its code."""
        self.error_replies += 1
        self.last_error = text
        code, space, _ = text[:_CODE_SIZE_LIMIT].partition(b" ")
        self.errors_by_code[code if space else b"ERR"] += 1
        return ErrorReply(text)

    def answer_protocol_error(self, session: Session) -> None:
        if not (session.waiting_requests or session.blocked):
            session.begin_reply()
            session.add_reply(self.error_reply(b"ERR %b" % session.protocol_error))
            self.clients.request_close(session)

    def _find_or_answer(self, session: Session, argv: list[bytes]) -> CommandRow | None:
        """Return the row that runs `argv`, or None after having answered that there is none."""
        try:
            return self.table.find(argv)
        except CommandError as error:
            if argv[0].lower() in _HTTP_WORDS:
                self.clients.request_close(session, is_abrupt=True)
            self._answer_refusal(session, None, error.text)
            return None

    def _answer_refusal(self, session: Session, row: CommandRow | None, text: bytes) -> None:
        """Answer a request that is not even looked at more closely."""
        if session.is_close_requested:
            return
        session.begin_reply()
        session.add_reply(self._refusal(session, row, text))
        session.end_reply()

    def _refusal(self, session: Session, row: CommandRow | None, text: bytes) -> ErrorReply:
        """Account for a request that is not run; inside MULTI this dooms the transaction."""
        if row is not None:
            row.rejected_calls += 1
        if row is not None and row.full_name == "exec":
            text = ABORTED % text.removeprefix(b"ERR ")  # as Redis words it
            self.discard_transaction(session)  # outside of MULTI, too: watches end
        elif session.queued_commands is not None:
            session.errors_in_transaction = True
        return self.error_reply(text)

    def _call_with_care(
        self, session: Session, row: CommandRow, argv: list[bytes]
    ) -> Reply | Block:
        """Run one command of a session, or in a state, that is out of the ordinary."""
        queued = session.queued_commands
        if (
            queued is not None
            and session.is_only_queueing
            and not (row.needs_care or row.flags & _NEVER_QUEUED or self.after_reply)
            and not self._gated_flags & Flag.DENYOOM  # the queue itself takes memory
        ):
            session.last_command = row.full_name
            queued.append((row, argv))
            return QUEUED  # nothing else has to be looked at
        if session.is_close_requested:
            return NO_REPLY
        if self.after_reply:
            self.finish_reply()
        session.begin_reply()
        session.last_command = row.full_name
        reply: Reply | Block
        refusal = self.refuse(session, row, argv)
        if refusal is not None:
            reply = self._refusal(session, row, refusal.text)
        elif self.paused_until_ms and (wait := self.pause_of(session, row, argv)) is not None:
            reply = wait
        elif queued is None or row.flags & Flag.NOT_QUEUED:
            reply = self._call_accounted(session, row, argv)
        else:
            queued.append((row, argv))
            reply = QUEUED
        if isinstance(reply, Block):
            return reply
        is_silent = session.is_silent and not _is_pushed(reply)
        if not row.full_name.startswith("client|"):
            session.end_caching()
        session.end_reply()
        return NO_REPLY if is_silent else reply

    def _put_off_if_running(self, session: Session, act: Callable[[], None]) -> bool:
        """Have `act` done behind the reply of the command that runs if it is of `session`."""
        if session.id != self.context.session.id:
            return False
        self.after_reply.append(act)
        return True

    def finish_reply(self) -> None:
        acts, self.after_reply = self.after_reply, []
        for act in acts:
            act()

    def turn_away_waiting(self, error: CommandError) -> None:
        """End all waits but those that take a request up again, with `error`, and close."""
        for session in self.blocked_sessions():
            if session.blocked is not None and not session.blocked.is_repeated:
                self.unblock(session, self.error_reply(error.text))
                self.clients.request_close(session)


def _is_pushed(reply: Reply) -> bool:
    """Return whether `reply` is sent whatever CLIENT REPLY says: confirmations of SUBSCRIBE."""
    return isinstance(reply, ReplySequence) and all(
        isinstance(item, PushReply) for item in reply.replies
    )
