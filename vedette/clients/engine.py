"""The choke point through which every request of every client runs.

`Engine.receive(session, data)` takes bytes, runs the requests they complete, and leaves encoded
replies in the session's outbox. Nothing here waits or does I/O; the pump, and tests, are shells
around it. Server and sentinel extend it by overriding `enter`, `refuse` and `after_write`.

The loop in `run` is the hottest code of the project. What keeps it cheap: one dictionary look-up by
the name as sent, locals bound once per batch, two flags that say whether anything beyond arity has
to be looked at, `type(reply) is` instead of isinstance. Measured in docs/performance.md.

Follows Redis' `server.c: processCommand, call`.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterable

from ..cmdspec import CommandRow, CommandTable, Flag
from ..cmdspec.table import wrong_arity_text
from ..errors import CommandError
from ..resp.encode import BULK_HEADERS, encode_integer, encode_reply
from ..resp.replies import NO_REPLY, QUEUED, ErrorReply, RawReply, Reply
from .blocking import WAITING, Block
from .context import Context, ServingSettings
from .pubsub import PubSub
from .registry import ClientRegistry
from .session import ReplyMode, Session

NOAUTH = CommandError(b"NOAUTH Authentication required.")
#: What the reason becomes when it is EXEC that is refused.
ABORTED = b"EXECABORT Transaction discarded because of: %b"


class Engine:
    """Runs requests. Single-threaded; every method runs to completion.

    `clock` gives seconds for command statistics (a performance counter); wall time arrives through
    `begin_batch`. `on_crash(session, row, error)` hears of an unexpected exception in a command:
    the client gets an error and its connection is closed, others are not disturbed.
    """

    def __init__(
        self,
        table: CommandTable,
        settings: ServingSettings | None = None,
        *,
        clock: Callable[[], float] = time.perf_counter,
        on_crash: Callable[[Session, CommandRow, Exception], None] | None = None,
    ) -> None:
        self.table = table
        self.settings = settings or ServingSettings()
        self.clients = ClientRegistry()
        self.pubsub = PubSub(self.clients.note_unsent)
        self.context = self.make_context()
        self.on_crash = on_crash
        self.commands_processed = 0
        self.error_replies = 0
        #: Error replies by code, for INFO errorstats.
        self.errors_by_code: Counter[bytes] = Counter()
        self.input_bytes = 0
        self.output_bytes = 0
        #: Whether any gate beyond arity applies to every client (loading, read-only, paused, ...).
        self.needs_care = False
        self._clock = clock
        self._rows = {name: row for name, row in table.by_usual_name.items() if not row.subcommands}
        #: Sessions that wait, oldest first, by reason.
        self._blocked: dict[str, dict[Session, None]] = {}
        self._woken: set[str] = set()

    # --- what server and sentinel override -------------------------------------------------------

    def make_context(self) -> Context:
        """Return the context for command functions."""
        return Context(self, self.settings)

    def enter(self, session: Session) -> None:
        """Bind the context to `session` before its requests run."""
        self.context.session = session

    def refuse(self, session: Session, row: CommandRow, argv: list[bytes]) -> CommandError | None:
        """Return why `row` may not run now, or None. Asked only when some flag calls for care."""
        if not session.is_authenticated and not row.flags & Flag.NO_AUTH:
            return NOAUTH
        if (
            session.protocol == 2
            and session.subscription_count
            and not row.flags & Flag.WHILE_SUBSCRIBED
        ):
            return CommandError(
                b"ERR Can't execute '%b': only (P|S)SUBSCRIBE / (P|S)UNSUBSCRIBE / PING / QUIT /"
                b" RESET are allowed in this context" % row.full_name.encode()
            )
        return None

    def postpone(self, session: Session, row: CommandRow, argv: list[bytes]) -> Block | None:
        """Return a wait to be over before `row` may run (CLIENT PAUSE), or None."""
        return None

    def after_write(self, session: Session, row: CommandRow, argv: list[bytes]) -> None:
        """Account for and propagate what the command changed; `context.changes` says how much."""
        self.context.changes = 0

    def on_disconnect(self, session: Session) -> None:
        """Forget whatever is held for a session that is gone."""

    # --- receiving -------------------------------------------------------------------------------

    def begin_batch(self, now_ms: int) -> None:
        """Take the time at which what follows happens (milliseconds, wall clock)."""
        self.context.now_ms = now_ms

    def receive(self, session: Session, data: bytes) -> None:
        """Run the requests that `data` completes; a protocol error is answered and closes."""
        self.input_bytes += len(data)
        session.last_interaction_ms = self.context.now_ms
        requests, error = session.parser.parse(data)
        if session.waiting_requests or session.blocked is not None:
            session.waiting_requests += requests
        elif requests:
            self.run(session, requests)
        if error is not None and not session.is_close_requested:
            session.add_reply(self.error_reply(b"ERR %b" % str(error).encode()))
            self.clients.request_close(session)
        elif session.parser.buffered_bytes > self.settings.query_buffer_limit_bytes:
            self.clients.request_close(session)
        if session.outbox:
            self.clients.note_unsent(session)

    def run(self, session: Session, requests: list[list[bytes]]) -> None:
        """Run `requests` in order, appending the replies to the session's outbox."""
        self.enter(session)
        find = self._rows.get
        clock = self._clock
        append = session.outbox.append
        last = clock()
        row: CommandRow | None = None
        for index, argv in enumerate(requests):
            row = find(argv[0])
            if row is None:
                row = self._find_or_answer(session, argv)
                if row is None:
                    continue
            count = len(argv)
            if count < row.min_arguments or count > row.max_arguments:
                self._reject(session, row, CommandError(wrong_arity_text(row)))
                continue
            if session.needs_care or self.needs_care:
                if session.is_close_requested:
                    break
                reply = self._call_with_care(session, row, argv)
                append = session.outbox.append
            else:
                reply = self.call(session, row, argv)
            now = clock()
            row.calls += 1
            row.seconds += now - last
            last = now
            kind = type(reply)
            if kind is bytes:
                size = len(reply)  # type: ignore[arg-type]  # `type() is` narrows nothing
                if size < 1024:
                    append(BULK_HEADERS[size] + reply + b"\r\n")  # type: ignore[operator]
                else:
                    append(b"$%d\r\n%b\r\n" % (size, reply))  # type: ignore[str-format]
            elif kind is RawReply:
                append(reply.data)  # type: ignore[union-attr]
            elif kind is int:
                append(encode_integer(reply))  # type: ignore[arg-type]
            elif kind is Block:
                self.block(session, reply, requests[index + 1 :])  # type: ignore[arg-type]
                break
            else:
                append(encode_reply(reply, session.protocol))  # type: ignore[arg-type]
        self.commands_processed += len(requests)
        if row is not None:
            session.last_command = row.full_name

    def call(self, session: Session, row: CommandRow, argv: list[bytes]) -> Reply | Block:
        """Run one command whose gates are passed; return its reply, errors included."""
        context = self.context
        try:
            reply: Reply | Block = row.handler(context, argv)  # type: ignore[misc]
        except CommandError as error:
            row.failed_calls += 1
            reply = self.error_reply(error.text)
        except Exception as error:
            if self.on_crash is None:
                raise
            self.on_crash(session, row, error)
            row.failed_calls += 1
            reply = self.error_reply(b"ERR internal error, see the log")
            self.clients.request_close(session)
        if context.changes:
            self.after_write(session, row, argv)
        return reply

    def call_within(self, session: Session, row: CommandRow, argv: list[bytes]) -> Reply:
        """Run and account for a command that runs inside another (EXEC); it does not wait."""
        started = self._clock()
        reply = self.call(session, row, argv)
        row.calls += 1
        row.seconds += self._clock() - started
        self.commands_processed += 1
        return reply.on_timeout() if isinstance(reply, Block) else reply

    def discard_transaction(self, session: Session) -> None:
        """Have `session` leave MULTI without running what it queued."""
        session.end_transaction()

    def error_reply(self, text: bytes) -> ErrorReply:
        """Return an error reply and count it by its code."""
        self.error_replies += 1
        self.errors_by_code[text.partition(b" ")[0]] += 1
        return ErrorReply(text)

    def _find_or_answer(self, session: Session, argv: list[bytes]) -> CommandRow | None:
        try:
            return self.table.find(argv)
        except CommandError:
            if not session.is_authenticated:
                error = NOAUTH
            self._answer_refusal(session, error)
            return None

    def _reject(self, session: Session, row: CommandRow, error: CommandError) -> None:
        row.rejected_calls += 1
        if not session.is_authenticated and not row.flags & Flag.NO_AUTH:
            error = NOAUTH
        self._answer_refusal(session, error)

    def _answer_refusal(self, session: Session, error: CommandError) -> None:
        """Answer a command that is not run; inside MULTI this also dooms the transaction."""
        if session.queued_commands is not None:
            session.errors_in_transaction = True
        session.add_reply(self.error_reply(error.text))
        if session.reply_mode is ReplyMode.SKIP_NEXT:
            session.reply_mode = ReplyMode.ON
            session.outbox.pop()
            session.recheck()

    def _call_with_care(
        self, session: Session, row: CommandRow, argv: list[bytes]
    ) -> Reply | Block:
        """Run one command of a session, or in a state, that is out of the ordinary."""
        if session.reply_mode is ReplyMode.SKIP_NEXT:
            session.reply_mode = ReplyMode.SKIP
        reply: Reply | Block
        refusal = self.refuse(session, row, argv)
        if refusal is not None:
            row.rejected_calls += 1
            if session.queued_commands is not None:
                if row.full_name == "exec":
                    refusal = CommandError(ABORTED % refusal.text)
                    self.discard_transaction(session)
                else:
                    session.errors_in_transaction = True
            reply = self.error_reply(refusal.text)
        elif session.queued_commands is not None and not row.flags & Flag.NOT_QUEUED:
            if row.flags & Flag.NO_MULTI:
                session.errors_in_transaction = True
                reply = self.error_reply(b"ERR Command not allowed inside a transaction")
            else:
                session.queued_commands.append(argv)
                session.transaction_flags |= row.flags
                session.transaction_shared_flags &= row.flags
                reply = QUEUED
        else:
            wait = self.postpone(session, row, argv)
            reply = wait if wait is not None else self.call(session, row, argv)
        if isinstance(reply, Block):
            return reply
        is_silent = session.is_deaf or session.reply_mode in (ReplyMode.OFF, ReplyMode.SKIP)
        if session.reply_mode is ReplyMode.SKIP:
            session.reply_mode = ReplyMode.ON
            session.recheck()
        return NO_REPLY if is_silent else reply

    # --- waiting ---------------------------------------------------------------------------------

    def block(self, session: Session, wait: Block, rest: list[list[bytes]]) -> None:
        """Have `session` wait; `rest` are the requests that came with the one that waits."""
        session.blocked = wait
        session.waiting_requests = rest + session.waiting_requests
        session.recheck()
        self._blocked.setdefault(wait.reason, {})[session] = None

    def blocked_sessions(self) -> Iterable[Session]:
        """Return the sessions that wait."""
        return [session for sessions in self._blocked.values() for session in sessions]

    def wake(self, reason: str) -> None:
        """Have the waits of `reason` retried at the end of the batch."""
        if reason in self._blocked:
            self._woken.add(reason)

    def end_batch(self) -> None:
        """Retry the waits that were woken; to be called after each batch, before sending."""
        while self._woken:
            reason = self._woken.pop()
            for session in list(self._blocked.get(reason, ())):
                assert session.blocked is not None
                reply = session.blocked.retry(self.context.now_ms)
                if reply is not WAITING:
                    self.unblock(session, reply)  # type: ignore[arg-type]  # not WAITING

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
        """End the wait of `session` with `reply` and run the requests that waited behind it."""
        self._forget_wait(session)
        if isinstance(reply, Block):
            self.block(session, reply, [])
            return
        session.add_reply(reply)
        requests, session.waiting_requests = session.waiting_requests, []
        if requests and not session.is_closed:
            self.run(session, requests)
        self.clients.note_unsent(session)

    def _forget_wait(self, session: Session) -> None:
        wait = session.blocked
        if wait is None:
            return
        sessions = self._blocked[wait.reason]
        del sessions[session]
        if not sessions:
            del self._blocked[wait.reason]
        session.blocked = None
        session.recheck()

    # --- the end ---------------------------------------------------------------------------------

    def disconnect(self, session: Session) -> None:
        """Forget a session whose connection is gone."""
        if session.is_closed:
            return
        self._forget_wait(session)
        session.waiting_requests = []
        self.pubsub.forget(session)
        self.on_disconnect(session)
        self.clients.remove(session)
