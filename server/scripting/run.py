"""One run of a script: the commands it calls, judged and run, and whether it is to end.

Follows Redis 7.0 `script.c: scriptPrepareForRun, scriptCall, scriptInterrupt`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from vedette.clients import Block, Session
from vedette.errors import CommandError
from vedette.resp.replies import ErrorReply, Reply

from .. import directives
from .audience import Audience
from .conversion import to_lua
from .errors import ScriptError
from .shebang import ScriptFlags

if TYPE_CHECKING:
    from ..engine import ServerEngine
    from .callees import Callee
    from .interpreter import Interpreter

_STALE: Final = b"ERR Can not execute the command on a stale replica"
#: Redis' words for any command that needs memory.
OUT_OF_MEMORY: Final = b"OOM command not allowed when used memory > 'maxmemory'."
_KILLED: Final = b"ERR Script killed by user with SCRIPT KILL..."


class Run:
    """A script in progress; the `Runner` of its interpreter.

    `name` is the sha of a script or the name of a function. Commands run in a session of their
    own, so that what they change of it (SELECT) ends with the run.
    """

    def __init__(
        self,
        engine: ServerEngine,
        interpreter: Interpreter,
        session: Session,
        *,
        name: bytes,
        argv: list[bytes],
        flags: ScriptFlags,
        is_read_only: bool,
        is_eval: bool,
    ) -> None:
        self.engine = engine
        self.name = name
        #: The request that started it, for FUNCTION STATS.
        self.argv = argv
        self.is_eval = is_eval
        self.caller = caller = engine.context.session
        self.client_protocol = caller.protocol
        self.protocol = 2
        #: A write was run: from then on nothing may end it half done.
        self.has_written = False
        #: Its reply holds an error.
        self.has_failed = False
        #: SCRIPT KILL asked for its end.
        self.is_kill_requested = False
        #: Others are being served meanwhile.
        self.is_slow = False
        self._is_read_only = is_read_only or flags.no_writes
        self._may_exceed_memory = flags.allow_oom
        self._was_out_of_memory = engine.memory.is_exceeded
        self._audience = Audience.ALL
        self._is_calling = False
        self._table = interpreter.table
        #: Told of each reply before it becomes Lua's, if anyone wants to know.
        self.on_reply: Callable[[Reply], None] | None = None
        self._clock = engine.clock
        self.started_s = self._clock()
        session.stand_in_for(caller)
        self.session = session

    @property
    def elapsed_ms(self) -> int:
        """How long it has been running."""
        return int((self._clock() - self.started_s) * 1000)

    # Any: see `interpreter.py`.
    def call(self, argv: list[bytes]) -> Any:
        """See `Runner`."""
        if self._is_calling:
            raise ScriptError(b"ERR redis.call/pcall cannot be called by a command of a script")
        engine = self.engine
        callee = engine.scripting.callees.find(argv)
        refusal = self._refusal(callee, argv)
        if refusal is not None:
            if callee is not None:
                callee.row.rejected_calls += 1
            raise ScriptError(engine.error_reply(refusal).text, is_counted=True)
        assert callee is not None
        if callee.is_write:
            self.has_written = True
        self.session.protocol = self.protocol
        self._is_calling = True
        try:
            reply = engine.call_from_script(self.session, callee.row, argv, self._audience)
        finally:
            self._is_calling = False
        if callee.is_read and self.caller.tracking is not None:
            # What a script has read is taken to depend on all keys that it was given.
            keys = engine.table.find(self.argv).keys.of(self.argv)
            engine.tracked_keys.remember(self.caller, keys)
        if type(reply) is bytes and self.on_reply is None:
            return reply
        if isinstance(reply, Block):
            reply = (reply.instead_of_waiting or reply.on_timeout)()
        if self.on_reply is not None:
            self.on_reply(reply)
        if isinstance(reply, ErrorReply):
            text = reply.text if b" " in reply.text else b"ERR " + reply.text
            raise ScriptError(text, is_counted=True)
        return to_lua(reply, self.protocol, self._table)

    def _refusal(self, callee: Callee | None, argv: list[bytes]) -> bytes | None:
        """Return why the command may not run, or None; the order is Redis'."""
        engine = self.engine
        if callee is None:
            return b"ERR Unknown Redis command called from script"
        if not callee.fewest_arguments <= len(argv) <= callee.most_arguments:
            return b"ERR Wrong number of args calling Redis command from script"
        if callee.is_no_script and not engine.scripting.allows_all_commands:
            return b"ERR This Redis command is not allowed from script"
        if engine.is_link_down and not engine.serves_stale_data and not callee.is_allowed_stale:
            return _STALE
        user = self.caller.user
        if user is not None and user.is_restricted:
            now_ms = engine.context.now_ms
            denied = engine.gate.refusal_in_script(self.caller, callee.row, argv, now_ms)
            if denied is not None:
                return denied
        if self._is_read_only and callee.may_write:
            return b"ERR Write commands are not allowed from read-only scripts."
        if self.has_written or self.caller.is_deaf:
            return None
        if callee.is_write:
            refusal = engine.refusal_of_write()
            if refusal is not None:
                return refusal.text
        if self._was_out_of_memory and callee.needs_memory and not self._may_exceed_memory:
            return OUT_OF_MEMORY
        return None

    def is_allowed(self, argv: list[bytes]) -> bool:
        """See `Runner`."""
        try:
            row = self.engine.table.find(argv)
        except CommandError as error:
            text = b"ERR Invalid command passed to redis.acl_check_cmd()"
            raise ScriptError(text) from error
        return self.engine.gate.is_allowed(self.caller, row, argv)

    def set_replication(self, flags: int) -> None:
        """See `Runner`."""
        self._audience = Audience(flags)

    def is_killed(self) -> bytes | None:
        """See `Runner`."""
        if not self.is_slow:
            threshold_ms = self.engine.configuration[directives.BUSY_REPLY_THRESHOLD]
            if not threshold_ms or self.elapsed_ms < threshold_ms:
                return None
        self.engine.scripting.serve_others(self)
        return _KILLED if self.is_kill_requested else None
