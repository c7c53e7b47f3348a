"""Which clients debug their scripts, and how a script is run under the debugger.

A client that has said SCRIPT DEBUG YES has its next EVAL run in a forked child, to which its
connection passes: whatever the script writes is gone with the child, and the server goes on
meanwhile. With SYNC the server itself runs it, serves nobody else until it is over, and keeps what
it wrote. Either way the connection ends with the session, after the reply of EVAL.

Follows Redis 7.0 `eval.c: ldbStartSession, ldbEndSession, evalGenericCommandWithDebugging`.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol
from weakref import WeakKeyDictionary

from vedette.clients import Session
from vedette.errors import CommandError
from vedette.resp.encode import encode_reply
from vedette.resp.replies import NO_REPLY, ErrorReply, RawReply, Reply

from .. import directives
from .debugger import Debugger, Wire
from .errors import ScriptError
from .run import Run

if TYPE_CHECKING:
    from ..engine import ServerEngine

_DEFAULT_LIMIT_S = 5.0


class DebugHost(Protocol):
    """What a process does to have a script debugged."""

    def debug_here(self, session: Session, work: Callable[[Wire], bytes]) -> bytes:
        """Return what `work` does, to which the connection of `session` belongs meanwhile.

        Raises:
            CommandError: the connection cannot be used so.
        """

    def debug_in_child(self, session: Session, work: Callable[[Wire], bytes]) -> None:
        """Fork a child that sends `session` what `work` does, and ends.

        Raises:
            CommandError: the connection cannot be used so, or the system refused to fork.
        """


class DebuggedRun(Run):
    """A run that shows the debugger which commands the script runs."""

    # Any: as in `Run`.
    def __init__(self, debugger: Debugger, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self._debugger = debugger
        self._has_reply = False
        self.on_reply = self._show
        debugger.call = self.call

    def call(self, argv: list[bytes]) -> Any:
        """See `Runner`."""
        self._debugger.on_call(argv)
        self._has_reply = False
        try:
            return super().call(argv)
        except ScriptError as error:
            if not self._has_reply:
                is_usual = error.text.startswith(b"ERR ")
                self._debugger.on_error(error.text[4:] if is_usual else b"-" + error.text)
            raise

    def _show(self, reply: Reply) -> None:
        self._has_reply = True
        if isinstance(reply, ErrorReply):
            self._debugger.on_error(b"-" + reply.text)
        self._debugger.on_reply(encode_reply(reply, self.protocol))


class Debugging:
    """The clients of `engine` that debug. `host` is the runtime's, which sets it."""

    def __init__(self, engine: ServerEngine) -> None:
        self._engine = engine
        self.host: DebugHost | None = None
        #: Of each client whose next EVAL is debugged, whether that is in a child.
        self._is_forked: WeakKeyDictionary[Session, bool] = WeakKeyDictionary()

    def wants(self, session: Session) -> bool:
        """Return whether what `session` evaluates is to be debugged."""
        return bool(self._is_forked) and session in self._is_forked

    def choose(self, session: Session, mode: bytes) -> None:
        """Have the scripts of `session` debugged, or no longer (SCRIPT DEBUG).

        Raises:
            CommandError: there is no such mode, or replies are still to be sent.
        """
        if session.has_output:
            raise CommandError(b"ERR SCRIPT DEBUG must be called outside a pipeline")
        match mode.upper():
            case b"YES":
                self._is_forked[session] = True
            case b"SYNC":
                self._is_forked[session] = False
            case b"NO":
                self._is_forked.pop(session, None)
            case _:
                raise CommandError(b"ERR Use SCRIPT DEBUG YES/SYNC/NO")

    def run(self, session: Session, source: bytes, evaluate: Callable[[Debugger], Reply]) -> Reply:
        """Debug `evaluate`, which runs the script of the text `source`; return its reply.

        Raises:
            CommandError: that cannot be done here.
        """
        engine = self._engine
        if self.host is None or engine.is_in_transaction:
            raise CommandError(b"ERR scripts cannot be debugged here")
        if session.has_output:
            # What is owed for earlier commands must not leave before those are made safe.
            raise CommandError(b"ERR scripts cannot be debugged inside a pipeline")
        is_forked = self._is_forked.pop(session)
        work = partial(self._work, session, source, evaluate)
        if not is_forked:
            engine.scripting.log(3, b"Synchronous debugging session started")
            reply = RawReply(self.host.debug_here(session, work))
            engine.scripting.log(3, b"Synchronous debugging session ended")
            engine.clients.request_close(session)
            return reply
        self.host.debug_in_child(session, partial(self._work_in_child, work))
        # The connection is the child's now: here it is closed without a word.
        engine.clients.request_close(session, is_abrupt=True)
        return NO_REPLY

    def _work_in_child(self, work: Callable[[Wire], bytes], wire: Wire) -> bytes:
        """Do `work` in the child, whose log nobody keeps: what the script logs is shown."""
        scripting = self._engine.scripting
        scripting.on_log = lambda level, text: wire.send(b"*1\r\n+<log> %b\r\n" % text)
        return work(wire)

    def _work(
        self,
        session: Session,
        source: bytes,
        evaluate: Callable[[Debugger], Reply],
        wire: Wire,
    ) -> bytes:
        """Run the script for the user at `wire`; return the reply, encoded."""
        engine = self._engine
        debugger = Debugger(wire, source, clock=engine.clock, limit_s=self._limit_s)
        try:
            reply = evaluate(debugger)
        except CommandError as error:
            reply = engine.error_reply(error.text)
        debugger.end()
        return encode_reply(reply, session.protocol)

    def _limit_s(self) -> float:
        limit_ms: int = self._engine.configuration[directives.BUSY_REPLY_THRESHOLD]
        return limit_ms / 1000 if limit_ms else _DEFAULT_LIMIT_S
