"""The choke point through which every request of every client runs.

`Engine.receive(session, data)` takes bytes, runs the requests they complete, and leaves encoded
replies in the session's outbox. Nothing here waits or does I/O; the pump, and tests, are shells
around it. Server and sentinel extend it by overriding `enter`, `refuse`, `after_write` and others
of `running.py`.

Requests of one session run in order and never while another's run; `waits.py` holds those that
wait.

The loops in `receive_all` and `run` are the hottest code of the project. What keeps them cheap: one
dictionary look-up by the name as sent, locals bound once per batch, two flags (the session's and
the row's) that say whether anything beyond arity has to be looked at, `type(reply) is` instead of
isinstance. Measured in docs/performance.md.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from itertools import takewhile
from operator import length_hint
from typing import Final

from ..acl import UsersChange
from ..cmdspec import CommandRow, CommandTable
from ..cmdspec.table import wrong_arity_text
from ..resp.encode import BULK_HEADERS, NULLS, encode_bulk, encode_integer, encode_reply
from ..resp.replies import RawReply, Reply
from .blocking import Block
from .context import Context, ServingSettings
from .running import NO_ROW, Running
from .session import RECEIVE_BYTES, RECEIVE_MAX_BYTES, Session

#: Once the large replies of one run add up to so much, a client's further requests wait until it
#: has taken them.
LARGE_OUTPUT_BYTES = 1024 * 1024

#: So many commands are run before what was noted of them is added up (`CommandRow.settle`).
SETTLE_EVERY_CALLS: Final = 10_000


class Engine(Running):
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
        super().__init__(table, settings, clock=clock, on_crash=on_crash)
        #: The number of commands at which the rows' statistics are to be settled.
        self._settle_at = SETTLE_EVERY_CALLS

    def make_context(self) -> Context:
        return Context(self, self.settings)

    # --- access ----------------------------------------------------------------------------------

    def open_client(
        self, *, address: str, local_address: str, now_ms: int, file_descriptor: int = -1
    ) -> Session:
        """Enter a client that has just connected: it is the default user."""
        session = self.clients.open(
            address=address,
            local_address=local_address,
            now_ms=now_ms,
            file_descriptor=file_descriptor,
        )
        session.parser.max_bulk_bytes = self.settings.max_bulk_bytes
        self.gate.take_default_user(session)
        return session

    def on_users_changed(self, change: UsersChange) -> None:
        """Put a change of users into effect on those who are connected."""
        self.gate.put_into_effect(change, self.context.session)

    # --- receiving -------------------------------------------------------------------------------

    def begin_batch(self, now_ms: int) -> None:
        """Take the time at which what follows happens (milliseconds, wall clock)."""
        self.context.now_ms = now_ms
        if self.commands_processed >= self._settle_at:
            self._settle_at = self.commands_processed + SETTLE_EVERY_CALLS
            for row in self.table.all_rows():
                if row.durations or row.groups:
                    row.settle()

    def receive(self, session: Session, data: bytes) -> None:
        """Run the requests that `data` completes; a protocol error is answered and closes."""
        self.reads_processed += 1
        self.receive_all([(session, data)])

    def receive_all(self, arrivals: Iterable[tuple[Session, bytes]]) -> None:
        """Do as `receive` for each of `arrivals`, in order; whoever calls counts them as reads.

        A client that does not pipeline sends exactly one request, and mostly one with nothing
        unusual about it: those are run here. It is what `run` does, for one request of each of
        many clients instead of many of one, and as hot.
        """
        context = self.context
        now_ms = context.now_ms
        clients = self.clients
        enter = self.enter
        find = self._rows.get
        clock = self._clock
        slow_s = self.slow_call_s
        count = 0
        reply: Reply | Block
        for session, data in arrivals:
            self.input_bytes += len(data)
            session.last_interaction_ms = now_ms
            if session.needs_care or session.waiting_requests:
                self._receive_any(session, data)
                continue
            argv = session.parser.parse_single(data)
            if argv is None:
                self._receive_any(session, data)
                continue
            row = find(argv[0])
            if (
                row is None
                or row.needs_care
                or not row.min_arguments <= len(argv) <= row.max_arguments
            ):
                self.run(session, [argv])
                clients.note_unsent(session)
                continue
            enter(session)
            started = clock()
            try:
                reply = row.handler(context, argv)  # type: ignore[misc]
            except Exception as error:
                reply = self._failed(session, row, error)
            if context.changes:
                self.after_write(session, row, argv, data)
            elapsed = clock() - started
            row.durations.append(elapsed)
            count += 1
            session.last_command = row.full_name
            kind = type(reply)
            if elapsed >= slow_s:
                self.on_call(session, row, argv, elapsed, is_waiting=kind is Block)
            if kind is RawReply:
                session.outbox.append(reply.data)  # type: ignore[union-attr]
            elif kind is bytes:
                session.outbox.append(encode_bulk(reply))  # type: ignore[arg-type]
            elif kind is Block:
                reply.request = (row, argv)  # type: ignore[union-attr]
                self.block(session, reply, [argv] if reply.is_repeated else [])  # type: ignore[arg-type,union-attr]
            else:
                session.outbox.append(encode_reply(reply, session.protocol))  # type: ignore[arg-type]
            if not session.is_in_unsent:
                # What `note_unsent` does, without the cost of calling it.
                session.is_in_unsent = True
                clients.unsent.append(session)
        self.commands_processed += count

    def _receive_any(self, session: Session, data: bytes) -> None:
        """Run whatever requests `data` completes, or keep them for after a wait."""
        if session.is_closed or session.protocol_error:
            return  # closed by what an earlier client of the batch has sent, or soon to be
        parser = session.parser
        single = parser.parse_single(data)
        if single is not None:
            requests, error = [single], None
        else:
            requests, error = parser.parse(data)
        missing_bytes = parser.missing_bytes
        session.receive_bytes = (
            RECEIVE_BYTES
            if missing_bytes <= RECEIVE_BYTES
            else min(missing_bytes, RECEIVE_MAX_BYTES)
        )
        if session.waiting_requests or session.blocked is not None:
            session.waiting_requests += requests
            session.waiting_bytes += len(data)
        elif requests:
            self.run(session, requests, data if parser.is_pipelining else b"")
        if error is not None and not session.is_close_requested:
            # A byte that the client sent may be named in it, and goes back as it came.
            session.protocol_error = str(error).encode("latin-1")
            self.answer_protocol_error(session)
        elif not requests or session.waiting_bytes:
            # Looked at only when nothing was run: a request in pieces, or one behind a wait.
            held_bytes = parser.buffered_bytes + session.waiting_bytes
            if held_bytes > self.settings.query_buffer_limit_bytes:
                self.clients.request_close(session, is_abrupt=True)
        if session.outbox and not session.is_in_unsent:
            self.clients.note_unsent(session)

    def run(self, session: Session, requests: list[list[bytes]], data: bytes = b"") -> None:
        """Run `requests` in order, appending the replies to the session's outbox.

        `data` is how they came, if a `*` at the start of a line begins each of them, and is
        nowhere else.
        """
        self.enter(session)
        context = self.context
        find = self._rows.get
        clock = self._clock
        slow_s = self.slow_call_s
        append = session.outbox.append
        #: What came between those stars, if anybody wants it.
        pieces = data[1:-2].split(b"\r\n*") if data and self.wants_received else []
        #: Requests that this loop does not account for: refused, or accounted for elsewhere.
        uncounted = 0
        #: Bytes of large replies; small ones cannot add up to much in one run.
        produced = 0
        #: Calls of `row` in a row since `started` that are timed together.
        calls = 0
        started = clock()
        row = NO_ROW
        name: bytes | None = None
        is_timed_singly = False
        reply: Reply | Block
        pending = iter(requests)
        for argv in pending:
            if argv[0] != name:
                if self.after_reply:
                    self.finish_reply()
                name = argv[0]
                if calls:
                    now = clock()
                    elapsed = now - started
                    if calls == 1 and elapsed < slow_s:
                        row.durations.append(elapsed)
                    else:
                        self._note_group(session, row, calls, elapsed, requests, argv)
                    started = now
                    calls = 0
                found = find(name)
                if found is None:
                    name = None  # to be looked for again: there may be a subcommand behind it
                    found = self._find_or_answer(session, argv)
                    if found is None:
                        row = NO_ROW
                        uncounted += 1
                        continue
                row = found
                handler = row.handler
                fewest = row.min_arguments
                most = row.max_arguments
                is_timed_singly = row.is_timed_singly
            if not fewest <= len(argv) <= most:
                self._answer_refusal(session, row, wrong_arity_text(row))
                uncounted += 1
                continue
            if session.needs_care or row.needs_care:
                if calls:
                    self._note_group(session, row, calls, clock() - started, requests, argv)
                    calls = 0
                uncounted += 1
                reply = self._call_with_care(session, row, argv)
                started = clock()
            else:
                # What `call` does, without the cost of calling it.
                try:
                    reply = handler(context, argv)  # type: ignore[misc]
                except Exception as error:
                    reply = self._failed(session, row, error)
                if context.changes:
                    if pieces:
                        received = b"*%b\r\n" % pieces[~length_hint(pending)]
                        self.after_write(session, row, argv, received)
                    else:
                        self.after_write(session, row, argv)
                if is_timed_singly:
                    now = clock()
                    elapsed = now - started
                    started = now
                    row.durations.append(elapsed)
                    if elapsed >= slow_s:
                        is_waiting = type(reply) is Block
                        self.on_call(session, row, argv, elapsed, is_waiting=is_waiting)
                else:
                    calls += 1
            kind = type(reply)
            if kind is bytes:
                size = len(reply)  # type: ignore[arg-type]  # `type() is` narrows nothing
                if size < 1024:
                    append(BULK_HEADERS[size] + reply + b"\r\n")  # type: ignore[operator]
                else:
                    append(b"$%d\r\n%b\r\n" % (size, reply))  # type: ignore[str-format]
                    produced += size
                    if produced > LARGE_OUTPUT_BYTES:
                        uncounted += self._put_off(session, pending)
            elif kind is RawReply:
                append(reply.data)  # type: ignore[union-attr]
            elif kind is int:
                append(encode_integer(reply))  # type: ignore[arg-type]
            elif reply is None:
                append(NULLS[session.protocol])
            elif kind is Block:
                rest = list(pending)
                uncounted += len(rest)
                repeated = [argv] if reply.is_repeated else []  # type: ignore[union-attr]
                reply.request = (row, argv)  # type: ignore[union-attr]
                self.block(session, reply, repeated + rest)  # type: ignore[arg-type]
            else:
                data = encode_reply(reply, session.protocol)  # type: ignore[arg-type]
                append(data)
                produced += len(data)
                if produced > LARGE_OUTPUT_BYTES:
                    uncounted += self._put_off(session, pending)
        self.commands_processed += len(requests) - uncounted
        if row is not NO_ROW:
            if calls:
                self._note_group(session, row, calls, clock() - started, requests, None)
            session.last_command = row.full_name
        if self.after_reply:
            self.finish_reply()

    def _note_group(
        self,
        session: Session,
        row: CommandRow,
        calls: int,
        seconds: float,
        requests: list[list[bytes]],
        following: list[bytes] | None,
    ) -> None:
        """Account for calls of `row` in a row, the last of them before the request `following`.

        Which of them was slow, if one was, is not known any more: it is taken to be the largest.
        """
        if calls == 1:
            row.durations.append(seconds)
        else:
            row.groups.append((calls, seconds))
        if seconds >= self.slow_call_s:
            name = row.full_name.partition("|")[0].upper().encode()
            earlier = list(takewhile(lambda argv: argv is not following, requests))
            alike = [argv for argv in earlier if argv[0].upper() == name] or earlier
            largest = max(alike[-calls:], key=lambda argv: sum(map(len, argv)))
            self.on_call(session, row, largest, seconds)

    def _put_off(self, session: Session, pending: Iterator[list[bytes]]) -> int:
        """Keep the rest of a run for when the client has taken what it is owed; return its count.

        Else a few bytes of requests for a large value would make replies of any size at once, and
        everybody would wait for them.
        """
        rest = list(pending)
        session.waiting_requests = rest + session.waiting_requests
        session.waiting_bytes += sum(len(word) for argv in rest for word in argv)
        return len(rest)

    def go_on(self, session: Session) -> None:
        """Have `end_batch` run what was put off: `session` has taken all it was owed."""
        if session.is_put_off:
            self._resumed.append(session)

    # --- the end ---------------------------------------------------------------------------------

    def disconnect(self, session: Session) -> None:
        """Forget a session whose connection is gone."""
        if session.is_closed:
            return
        self.forget_wait(session)
        session.waiting_requests = []
        session.waiting_bytes = 0
        self.pubsub.forget(session)
        self.on_disconnect(session)
        self.clients.remove(session)
