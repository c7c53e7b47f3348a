"""The scripts of one server: those EVAL knows, the run in progress, and what it may hold up.

Follows Redis 7.0 `eval.c: evalGenericCommand, luaCreateFunction`, `script.c: scriptPrepareForRun`.
"""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from vedette.clients import Session
from vedette.cmdspec import CommandRow, Flag
from vedette.errors import CommandError
from vedette.resp.replies import ErrorReply, RawReply, Reply

from .callees import Callees
from .debugger import Debugger
from .debugging import DebuggedRun, Debugging
from .errors import CompileError
from .functions import Functions
from .interpreter import Failure, Interpreter
from .libraries import Function
from .lua_libraries import add_libraries
from .random_numbers import RandomNumbers
from .run import Run
from .shebang import ScriptFlags, split_shebang

if TYPE_CHECKING:
    from ..engine import ServerEngine

SLOW_SCRIPT: Final = CommandError(
    b"BUSY Redis is busy running a script. You can only call SCRIPT KILL or SHUTDOWN NOSAVE."
)
SLOW_FUNCTION: Final = CommandError(
    b"BUSY Redis is busy running a script. You can only call FUNCTION KILL or SHUTDOWN NOSAVE."
)
#: Commands whose flags are those of the script that they run.
RUNNING_SCRIPTS: Final = frozenset(
    {"eval", "eval_ro", "evalsha", "evalsha_ro", "fcall", "fcall_ro"}
)
_WITHIN_A_SCRIPT: Final = CommandError(b"ERR a script cannot run another")
_NOT_BUSY: Final = CommandError(b"NOTBUSY No scripts in execution right now.")
_FROM_MASTER: Final = CommandError(
    b"UNKILLABLE The busy script was sent by a master instance in the context of replication and"
    b" cannot be killed."
)
_HAS_WRITTEN: Final = CommandError(
    b"UNKILLABLE Sorry the script already executed write commands against the dataset. You can"
    b" either wait the script termination or kill the server in a hard way using the SHUTDOWN"
    b" NOSAVE command."
)
_MASTER_DOWN: Final = CommandError(
    b"MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to 'no'."
)
_NO_STALE: Final = CommandError(
    b"MASTERDOWN Link with MASTER is down, replica-serve-stale-data is set to 'no' and"
    b" 'allow-stale' flag is not set on the script."
)
_READ_ONLY_REPLICA: Final = CommandError(
    b"READONLY Can not run script with write flag on readonly replica"
)
_SAVING_BROKEN: Final = CommandError(
    b"MISCONF Redis is configured to save RDB snapshots, but it's currently unable to persist to"
    b" disk. Writable scripts are blocked. Use 'no-writes' flag for read only scripts."
)
_AOF_BROKEN: Final = (
    b"MISCONF Redis is configured to persist data to AOF, but it's currently unable to persist to"
    b" disk. Writable scripts are blocked. Use 'no-writes' flag for read only scripts. AOF error:"
    b" %b"
)
_READ_ONLY_COMMAND: Final = CommandError(
    b"ERR Can not execute a script with write flag using *_ro command."
)
_OUT_OF_MEMORY: Final = CommandError(
    b"OOM allow-oom flag is not set on the script, can not run it when used memory > 'maxmemory'"
)


def no_one(run: Run) -> None:
    """Serve nobody while a script runs: what a server without connections does."""


@dataclass(frozen=True, slots=True)
class Script:
    """A script that EVAL knows; `sha` is the SHA-1 of its text, `function` Lua's."""

    sha: bytes
    flags: ScriptFlags
    function: Any  # lupa has no types


class Scripting:
    """The scripts of `engine`. Each Lua is made when it is first needed.

    `on_slow(run)` serves other clients for a moment, while a script runs that has taken too long;
    it is the runtime's, which sets it. `on_log(level, text)` likewise takes what scripts log.
    """

    def __init__(self, engine: ServerEngine) -> None:
        self._engine = engine
        self.on_slow: Callable[[Run], None] = no_one
        self.on_log: Callable[[int, bytes], None] = lambda level, text: None
        #: What scripts call, as it is looked up.
        self.callees = Callees(engine)
        #: In which they call it.
        self._session = Session(0)
        self._session.is_script = True
        #: Scripts may call what they may not, for tests of what comes of it.
        self.allows_all_commands = False
        #: The run in progress, or None.
        self.run: Run | None = None
        #: Those that EVAL knows, by the SHA-1 of their texts in lower-case digits.
        self.scripts: dict[bytes, Script] = {}
        self._by_text: dict[bytes, Script] = {}
        #: What the texts of all scripts take.
        self.texts_bytes = 0
        self._lua: Interpreter | None = None
        self.functions = Functions(
            lambda: self._make_lua(is_for_eval=False), lambda: engine.clock()
        )
        self._random = RandomNumbers()
        self.debugging = Debugging(engine)

    @property
    def lua(self) -> Interpreter:
        """The Lua in which scripts of EVAL run."""
        if self._lua is None:
            self._lua = self._make_lua(is_for_eval=True)
        return self._lua

    @property
    def lua_bytes(self) -> int:
        """What that Lua has allocated."""
        return 0 if self._lua is None else self._lua.memory_bytes

    def _make_lua(self, *, is_for_eval: bool) -> Interpreter:
        lua = Interpreter(self, is_for_eval=is_for_eval)
        add_libraries(lua)
        return lua

    # --- what the interpreters ask for: `ScriptHost` ---------------------------------------------

    def log(self, level: int, text: bytes) -> None:
        """See `ScriptHost`."""
        self.on_log(level, text)

    def note_error(self, text: bytes, is_counted: bool) -> None:
        """See `ScriptHost`."""
        if not is_counted:
            self._engine.error_reply(text)
        assert self.run is not None
        self.run.has_failed = True

    def random(self) -> float:
        """See `ScriptHost`."""
        return self._random.draw()

    def seed_random(self, seed: int) -> None:
        """See `ScriptHost`."""
        self._random.seed(seed)

    # --- scripts ---------------------------------------------------------------------------------

    def load(self, body: bytes) -> Script:
        """Return the script whose text is `body`, and keep it.

        Raises:
            CommandError: its first line makes no sense, or it is no Lua.
        """
        script = self._by_text.get(body)
        if script is None:
            flags, code = split_shebang(body)
            try:
                function = self.lua.compile(code, b"@user_script")
            except CompileError as error:
                raise CommandError(
                    b"ERR Error compiling script (new function): %b" % error.text
                ) from error
            script = Script(sha1_of(body), flags, function)
            self._by_text[body] = script
            self.scripts[script.sha] = script
            self.texts_bytes += sys.getsizeof(body)
        return script

    def flush(self) -> None:
        """Forget all scripts, and all they left in their Lua."""
        self.scripts.clear()
        self._by_text.clear()
        self.texts_bytes = 0
        self._lua = None

    def evaluate(
        self,
        script: Script,
        argv: list[bytes],
        keys: Sequence[bytes],
        arguments: Sequence[bytes],
        *,
        is_read_only: bool,
        debugger: Debugger | None = None,
    ) -> Reply:
        """Run a script of EVAL and return its reply.

        Raises:
            CommandError: it may not run now.
        """
        self.check_may_run(script.flags, is_read_only=is_read_only)
        make_run = Run if debugger is None else partial(DebuggedRun, debugger)
        run = make_run(
            self._engine,
            self.lua,
            self._session,
            name=script.sha,
            argv=argv,
            flags=script.flags,
            is_read_only=is_read_only,
            is_eval=True,
        )
        if debugger is None:
            return self._run(run, self.lua, script.function, keys, arguments)
        with self.lua.debugged_by(debugger):
            return self._run(run, self.lua, script.function, keys, arguments)

    def call(
        self,
        function: Function,
        argv: list[bytes],
        keys: Sequence[bytes],
        arguments: Sequence[bytes],
        *,
        is_read_only: bool,
    ) -> Reply:
        """Run a function and return its reply.

        Raises:
            CommandError: it may not run now.
        """
        self.check_may_run(function.flags, is_read_only=is_read_only)
        lua = self.functions.lua
        run = Run(
            self._engine,
            lua,
            self._session,
            name=function.name,
            argv=argv,
            flags=function.flags,
            is_read_only=is_read_only,
            is_eval=False,
        )
        return self._run(run, lua, function.callback, keys, arguments)

    def flags_of(self, row: CommandRow, argv: list[bytes]) -> int:
        """Return the flags of a request that runs a script: what that says of itself, if anything.

        Follows Redis 7.0 `script.c: scriptFlagsToCmdFlags`.
        """
        flags = self._flags_named_by(row.name, argv)
        if flags is None or flags.says_nothing:
            return row.flags
        found = row.flags & ~(Flag.STALE | Flag.DENYOOM | Flag.WRITE | Flag.MAY_REPLICATE)
        if not (flags.allow_oom or flags.no_writes):
            found |= Flag.DENYOOM
        if not flags.no_writes:
            found |= Flag.WRITE
        if flags.allow_stale:
            found |= Flag.STALE
        return found

    def _flags_named_by(self, command: str, argv: list[bytes]) -> ScriptFlags | None:
        """Return what the script says that `argv` names or brings along, if it is any."""
        if command.startswith("fcall"):
            function = self.functions.libraries.function(argv[1])
            return function.flags if function is not None else None
        is_named = command.startswith("evalsha")
        script = self.scripts.get(argv[1].lower()) if is_named else self._by_text.get(argv[1])
        if script is not None:
            return script.flags
        if is_named:
            return None
        try:
            return split_shebang(argv[1])[0]
        except CommandError:
            return None

    def check_may_run(self, flags: ScriptFlags, *, is_read_only: bool) -> None:
        """Refuse a script that says what it needs, if that cannot be had now.

        Raises:
            CommandError: why it may not run.
        """
        if self.run is not None:
            raise _WITHIN_A_SCRIPT
        engine = self._engine
        session = engine.context.session
        if engine.is_link_down and not engine.serves_stale_data:
            if flags.says_nothing:
                raise _MASTER_DOWN
            if not flags.allow_stale:
                raise _NO_STALE
        if flags.says_nothing:
            return
        if not flags.no_writes:
            if engine.is_replica and engine.is_replica_read_only and not session.is_deaf:
                raise _READ_ONLY_REPLICA
            if engine.is_saving_broken and not session.is_deaf:
                raise _SAVING_BROKEN
            if engine.aof.error and not session.is_deaf:
                raise CommandError(_AOF_BROKEN % engine.aof.error.encode())
            if is_read_only:
                raise _READ_ONLY_COMMAND
            refusal = None if session.is_deaf else engine.refusal_of_write()
            if refusal is not None:
                raise refusal
        if engine.memory.is_exceeded and not (flags.allow_oom or flags.no_writes):
            raise _OUT_OF_MEMORY

    def _run(
        self,
        run: Run,
        lua: Interpreter,
        function: Any,  # lupa has no types
        keys: Sequence[bytes],
        arguments: Sequence[bytes],
    ) -> Reply:
        engine = self._engine
        caller = run.caller
        is_own_unit = not engine.is_in_transaction
        if is_own_unit:
            engine.begin_transaction()
        self.run = run
        try:
            result = lua.run(function, run, keys, arguments, is_for_eval=run.is_eval)
        finally:
            self.run = None
            if run.is_slow:
                engine.recheck()
            engine.enter(caller)
            engine.context.effects = None
            if is_own_unit:
                engine.end_transaction()
        has_failed = isinstance(result, Failure)
        if has_failed or run.has_failed:
            engine.table.find(run.argv).failed_calls += 1
        return self._error_reply(run, result) if isinstance(result, Failure) else RawReply(result)

    def _error_reply(self, run: Run, failure: Failure) -> Reply:
        text = failure.text
        if failure.is_plain:
            text = b"ERR Error running script %b, %b" % (run.name, text[:100])
        elif failure.source is not None and failure.line is not None:
            text += b" script: %b, on %b:%d." % (run.name, failure.source, failure.line)
        text = text.rstrip(b"\r\n")
        return ErrorReply(text) if failure.is_counted else self._engine.error_reply(text)

    # --- a run that takes too long ---------------------------------------------------------------

    @property
    def slow_refusal(self) -> CommandError | None:
        """What others are answered while a script runs too long; None: none does."""
        if self.run is None or not self.run.is_slow:
            return None
        return SLOW_SCRIPT if self.run.is_eval else SLOW_FUNCTION

    def serve_others(self, run: Run) -> None:
        """Have other clients served for a moment; from the first time on they hear BUSY."""
        engine = self._engine
        if not run.is_slow:
            run.is_slow = True
            self.log(
                3,
                b"Slow script detected: still in execution after %d milliseconds. You can"
                b" try killing the script using the %b command. Script name is: %b."
                % (run.elapsed_ms, b"SCRIPT KILL" if run.is_eval else b"FUNCTION KILL", run.name),
            )
            engine.recheck()
        with engine.set_aside():
            self.on_slow(run)

    def kill(self, *, is_eval: bool) -> None:
        """Have the run in progress end (SCRIPT KILL, or FUNCTION KILL).

        Raises:
            CommandError: there is none, it may not be ended, or it is one of the other kind.
        """
        run = self.run
        if run is None:
            raise _NOT_BUSY
        if run.caller.is_deaf:
            raise _FROM_MASTER
        if run.has_written:
            raise _HAS_WRITTEN
        if run.is_eval != is_eval:
            raise SLOW_SCRIPT if run.is_eval else SLOW_FUNCTION
        run.is_kill_requested = True

    def end_run(self) -> None:
        """Have the run in progress end whatever it has done: the server stops."""
        if self.run is not None:
            self.run.is_kill_requested = True


def sha1_of(body: bytes) -> bytes:
    """Return the SHA-1 of `body` in lower-case hexadecimal digits."""
    return hashlib.sha1(body, usedforsecurity=False).hexdigest().encode()
