"""One Lua 5.1 with what Redis leaves of it: compiling and running, without knowing any command.

`lua/sandbox.lua` builds the world that scripts see, around the functions given here. Whatever
a running script may do to the server is asked of its `Runner`.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import resources
from typing import Any, Final

from vedette import REDIS_VERSION

from . import floats
from .debugger import Debugger
from .errors import CompileError, LoadError, NotANumberError, ScriptError, TextError
from .ports import Loader, Runner, ScriptHost
from .shebang import FLAG_NAMES

_CHUNKS: Final = resources.files(__package__).joinpath("lua")
_SANDBOX: Final = _CHUNKS.joinpath("sandbox.lua").read_bytes()
_RUNNING: Final = _CHUNKS.joinpath("running.lua").read_bytes()
_LIBRARY_TOOLS: Final = _CHUNKS.joinpath("library_tools.lua").read_bytes()
_FUNCTIONS: Final = _CHUNKS.joinpath("functions.lua").read_bytes()
_DEBUGGER: Final = _CHUNKS.joinpath("debugger.lua").read_bytes()
#: Errors that begin in the sandbox point to the code that called it.
_SANDBOX_NAME: Final = b"=[C]"
_NOT_STRINGS: Final = b"ERR Lua redis lib command arguments must be strings or integers"
_NO_ARGUMENT: Final = b"ERR Please specify at least one argument for this redis lib call"
_WRONG_TYPE: Final = b"ERR wrong number or type of arguments"
_KILLED: Final = b"ERR Script killed by user with SCRIPT KILL..."
_INT_MIN: Final = -(2**31)
#: Up to so many keys and arguments are given to Lua one by one, which is quicker than as tables.
_FEW: Final = 64
_LOG_LEVELS: Final = {b"LOG_DEBUG": 0, b"LOG_VERBOSE": 1, b"LOG_NOTICE": 2, b"LOG_WARNING": 3}
_REPL_FLAGS: Final = {
    b"REPL_NONE": 0,
    b"REPL_AOF": 1,
    b"REPL_SLAVE": 2,
    b"REPL_REPLICA": 2,
    b"REPL_ALL": 3,
}


# Any in this module: what Lua gives and takes (bytes, numbers, booleans, None, tables), for which
# lupa has no types.


@dataclass(frozen=True, slots=True)
class Failure:
    """What a run has for a reply if that is an error.

    `source` and `line` say where it arose, unless the script returned it. `is_plain`: `text` is
    a message without a code, of an error that could not even be handled.
    """

    text: bytes
    is_counted: bool = False
    source: bytes | None = None
    line: int | None = None
    is_plain: bool = False


class Interpreter:
    """One Lua state. Only one script runs at a time.

    Scripts of EVAL have some functions that others do not: `is_for_eval`.
    """

    def __init__(self, host: ScriptHost, *, is_for_eval: bool) -> None:
        self._host = host
        #: The run in progress, or None.
        self.runner: Runner | None = None
        #: The loading in progress, or None.
        self._loader: Loader | None = None
        #: Who debugs the run in progress, or None; and what `lua/debugger.lua` makes, once needed.
        self._debugger: Debugger | None = None
        self._debugging: Any = None
        # Here, so that a server that runs no script does not load it.
        from lupa.lua51 import LuaError, LuaRuntime

        self._lua_error: type[Exception] = LuaError

        self._lua = LuaRuntime(
            encoding=None,
            unpack_returned_tuples=True,
            register_eval=False,
            register_builtins=False,
            attribute_filter=_refuse_attribute,
        )
        self.table: Callable[[Any], Any] = self._lua.table_from
        constants: dict[bytes, Any] = {**_LOG_LEVELS, **_REPL_FLAGS}
        constants[b"REDIS_VERSION"] = REDIS_VERSION.encode()
        constants[b"REDIS_VERSION_NUM"] = version_number(REDIS_VERSION)
        functions = {
            b"call": self._call,
            b"pcall": self._pcall,
            b"log": self._log,
            b"setresp": self._setresp,
            b"sha1hex": _sha1hex,
            b"error_reply": self._error_reply,
            b"status_reply": self._status_reply,
            b"set_repl": self._set_repl,
            b"acl_check_cmd": self._acl_check_cmd,
        }
        if is_for_eval:
            functions |= {
                b"replicate_commands": lambda *arguments: True,
                b"breakpoint": self._breakpoint,
                b"debug": self._debug,
            }
        host_functions = {
            b"constants": self.table(constants),
            b"redis": self.table(functions),
            b"describe": _describe,
            b"interrupt": self._interrupt,
            b"interruption": lambda: self._why_killed or _KILLED,
            b"note_error": host.note_error,
            b"protocol": lambda: self._running(b"").protocol,
            b"is_running": lambda: self.runner is not None,
            b"random": host.random,
            b"seed_random": host.seed_random,
        }
        self._why_killed: bytes | None = None
        #: What `lua/functions.lua` makes, once a library is loaded.
        self._functions: Any = None
        host_table = self.table(host_functions)
        self._api = self._lua.execute(_SANDBOX, host_table, name=_SANDBOX_NAME)
        running = self._lua.execute(_RUNNING, self._api[b"tools"], host_table, name=_SANDBOX_NAME)
        self._run_script = running[b"run_script"]
        self._run_function = running[b"run_function"]
        self._library_tools: Any = None

    def add_library(self, name: bytes, functions: Mapping[bytes, Callable[..., Any]]) -> None:
        """Give scripts the global table `name` of Python functions."""
        self._add_library(name, lambda: self._tools[b"entries"](self.table(functions)))

    def add_library_in_lua(self, name: bytes, source: bytes) -> None:
        """Give scripts the global table `name` that `source` makes (see `library_tools.lua`)."""
        self._add_library(name, lambda: self._lua.execute(source, self._tools, name=_SANDBOX_NAME))

    def _add_library(self, name: bytes, make: Callable[[], Any]) -> None:
        self._api[b"add_library"](name, make)

    @property
    def _tools(self) -> Any:
        """What `library_tools.lua` makes."""
        if self._library_tools is None:
            host = {
                b"entry": self._library_entry,
                b"nothing": (),
                b"pack_float": floats.pack,
                b"unpack_float": floats.unpack,
                b"pack_number": floats.pack_message,
            }
            self._library_tools = self._lua.execute(
                _LIBRARY_TOOLS, self._api[b"tools"], self.table(host), name=_SANDBOX_NAME
            )
        return self._library_tools

    def _library_entry(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """Return a function of a library as scripts call it: its errors are texts."""
        lua_error = self._lua_error

        def call(*arguments: Any) -> Any:
            try:
                try:
                    return function(*arguments)
                except NotANumberError as error:
                    index = error.index
                return self._tools[b"check_number"](index, *arguments[index - 1 : index])
            except lua_error as error:
                raise TextError(_error_text(error)) from None

        return call

    @property
    def memory_bytes(self) -> int:
        """What Lua has allocated."""
        return int(self._api[b"memory_bytes"]())

    def compile(self, code: bytes, name: bytes) -> Any:
        """Return `code` as a Lua function; `name` is where its errors say they arose.

        Raises:
            CompileError: it is no Lua.
        """
        found, error = self._api[b"compile"](code, name)
        if found is None:
            raise CompileError(error)
        return found

    def run(
        self,
        function: Any,
        runner: Runner,
        keys: Sequence[bytes],
        arguments: Sequence[bytes],
        *,
        is_for_eval: bool,
    ) -> bytes | Failure:
        """Run `function` and return its reply, encoded for the client, unless it is an error.

        Keys and arguments are the globals KEYS and ARGV, or its two arguments.
        """
        assert self.runner is None, "a script runs already"
        run = self._run_script if is_for_eval else self._run_function
        protocol = runner.client_protocol
        key_count = len(keys)
        self.runner = runner
        self._why_killed = None
        try:
            if key_count + len(arguments) <= _FEW:
                found = run(function, protocol, key_count, *keys, *arguments)
            else:
                found = run(function, protocol, self.table(keys), self.table(arguments))
        finally:
            self.runner = None
        return found if type(found) is bytes else _failure(found)

    def load_library(self, code: bytes, loader: Loader) -> None:
        """Run the code of a function library, which registers its functions with `loader`.

        Raises:
            CompileError: it is no Lua.
            LoadError: it failed, or was ended.
        """
        assert self.runner is None, "a script runs already"
        if self._functions is None:
            host = {
                b"flags": self.table(dict.fromkeys(FLAG_NAMES, True)),
                b"register": lambda *arguments: self._loading().register(*arguments),
                b"register_function": self._register_function,
                b"is_loading": lambda: self._loader is not None,
            }
            self._functions = self._lua.execute(
                _FUNCTIONS, self._api[b"tools"], self.table(host), name=_SANDBOX_NAME
            )
        self._loader = loader
        self._why_killed = None
        try:
            found = self._functions[b"load"](code)
        finally:
            self._loader = None
        if found is None:
            return
        kind, error = found
        if kind == b"compile":
            raise CompileError(error)
        if kind == b"run":
            raise LoadError(error)
        raise error

    def _register_function(self, *arguments: Any) -> None:
        try:
            self._functions[b"register"](*arguments)
        except self._lua_error as error:
            raise ScriptError(_error_text(error)) from None

    def _loading(self) -> Loader:
        assert self._loader is not None
        return self._loader

    @contextmanager
    def debugged_by(self, debugger: Debugger) -> Iterator[None]:
        """Have `debugger` asked at every line of what runs meanwhile."""
        if self._debugging is None:
            host = {
                b"stops_at": lambda line: self._debugged().stops_at(line),
                b"next_action": lambda: self._debugged().next_action(),
                b"show": lambda text: self._debugged().show(text),
                b"log": lambda text: self._debugged().log(text),
                b"log_frame": lambda *arguments: self._debugged().log_frame(*arguments),
            }
            self._debugging = self._lua.execute(
                _DEBUGGER, self._api[b"tools"], self.table(host), name=_SANDBOX_NAME
            )
        self._debugger = debugger
        self._debugging[b"begin"]()
        try:
            yield
        finally:
            self._debugging[b"finish"]()
            self._debugger = None

    def _debugged(self) -> Debugger:
        assert self._debugger is not None
        return self._debugger

    # --- what scripts call -----------------------------------------------------------------------

    def _running(self, name: bytes) -> Runner:
        if self.runner is None:
            raise ScriptError(b"ERR %b can only be called inside a script invocation" % name)
        return self.runner

    def _call(self, *arguments: Any) -> Any:
        runner = self.runner
        if runner is None:
            runner = self._running(b"redis.call/pcall")
        return runner.call(_argv(arguments))

    def _pcall(self, *arguments: Any) -> Any:
        runner = self._running(b"redis.call/pcall")
        try:
            return runner.call(_argv(arguments))
        except ScriptError as error:
            found = {b"err": error.text}
            if error.is_counted:
                found[b"ignore_error_stats_update"] = True  # type: ignore[assignment]  # a table
            return self.table(found)

    def _acl_check_cmd(self, *arguments: Any) -> bool:
        runner = self._running(b"redis.acl_check_cmd")
        return runner.is_allowed(_argv(arguments))

    def _setresp(self, *arguments: Any) -> None:
        runner = self._running(b"redis.setresp")
        if len(arguments) != 1:
            raise ScriptError(b"ERR redis.setresp() requires one argument.")
        protocol = _whole(_number(arguments[0]))
        if protocol not in (2, 3):
            raise ScriptError(b"ERR RESP version must be 2 or 3.")
        runner.protocol = protocol

    def _set_repl(self, *arguments: Any) -> None:
        runner = self._running(b"redis.set_repl")
        if len(arguments) != 1:
            raise ScriptError(b"ERR redis.set_repl() requires two arguments.")
        flags = _whole(_number(arguments[0]))
        if flags & ~3:
            raise ScriptError(
                b"ERR Invalid replication flags. Use REPL_AOF, REPL_REPLICA, REPL_ALL or REPL_NONE."
            )
        runner.set_replication(flags)

    def _log(self, *arguments: Any) -> None:
        if len(arguments) < 2:
            raise ScriptError(b"ERR redis.log() requires two arguments or more.")
        level = _number(arguments[0], None)
        if level is None:
            raise ScriptError(b"ERR First argument must be a number (log level).")
        level = _whole(level)
        if not 0 <= level <= 3:
            raise ScriptError(b"ERR Invalid debug level.")
        words = [text for text in map(_text, arguments[1:]) if text is not None]
        self._host.log(level, b" ".join(words))

    def _error_reply(self, *arguments: Any) -> Any:
        if len(arguments) != 1 or type(arguments[0]) is not bytes:
            return self.table({b"err": _WRONG_TYPE})
        text = arguments[0].partition(b"\0")[0].removeprefix(b"-")
        code, space, message = text.partition(b" ")
        if not space:
            code, message = b"ERR", text
        return self.table({b"err": b"%b %b" % (code, message.strip(b"\r\n"))})

    def _status_reply(self, *arguments: Any) -> Any:
        if len(arguments) != 1 or type(arguments[0]) is not bytes:
            return self.table({b"err": _WRONG_TYPE})
        return self.table({b"ok": arguments[0]})

    def _breakpoint(self, *arguments: Any) -> bool:
        if self._debugger is None:
            return False
        self._debugger.break_at_next_line()
        return True

    def _debug(self, *arguments: Any) -> None:
        debugger = self._debugger
        if debugger is not None:
            values = b", ".join(map(self._debugging[b"describe"], arguments))
            debugger.log(b"<debug> line %d: %b" % (debugger.line, values))

    def _interrupt(self) -> bool:
        running = self.runner or self._loader
        self._why_killed = running.is_killed() if running is not None else None
        return self._why_killed is not None


def version_number(version: str) -> int:
    """Return `7.2.4` as Redis writes it in one number, 0x00070204."""
    major, minor, patch = map(int, version.split("."))
    return major << 16 | minor << 8 | patch


def _refuse_attribute(obj: object, name: object, is_setting: bool) -> str:
    """Keep Lua from looking into Python's objects."""
    raise AttributeError("no attributes for scripts")


def _error_text(error: Exception) -> bytes:
    """Return the text of an error that was raised in Lua; lupa decodes it so."""
    return str(error).encode("latin-1")


def _describe(error: Any) -> Any:
    """Say what an object that was raised is: an error for the script, a fault of ours, or neither.

    It is neither if the script made it.
    """
    if isinstance(error, ScriptError):
        return (b"error", error.text, error.is_counted)
    if isinstance(error, TextError):
        return (b"text", error.text, None)
    return (b"crash" if isinstance(error, BaseException) else b"other", None, None)


def _failure(found: tuple[Any, ...]) -> Failure:
    """Return the failure that `run` of the sandbox tells of.

    Raises:
        Exception: the fault of ours that it was.
    """
    kind, value, *rest = found
    if kind == b"crash":
        raise value
    if kind == b"text":
        return Failure(value, is_plain=True)
    is_counted, source, line = [*rest, None, None, None][:3]
    text = value if type(value) is bytes else b"ERR unknown error"
    return Failure(text, is_counted=is_counted is True, source=source, line=line)


def _argv(arguments: tuple[Any, ...]) -> list[bytes]:
    """Return what was given to `redis.call`; numbers as Redis prints them for Lua.

    Raises:
        ScriptError: there is none, or one is neither string nor number.
    """
    if not arguments:
        raise ScriptError(_NO_ARGUMENT)
    argv = list(arguments)
    for index, argument in enumerate(argv):
        if type(argument) is not bytes:
            text = _text(argument)
            if text is None:
                raise ScriptError(_NOT_STRINGS)
            argv[index] = text
    return argv


def _text(value: Any) -> bytes | None:
    kind = type(value)
    if kind is bytes:
        found: bytes = value
        return found
    if kind is int or kind is float:
        return b"%.17g" % value
    return None


def _number(value: Any, default: float | None = 0) -> Any:
    """Return `value` as Lua takes it for a number, else `default`."""
    if type(value) in (int, float):
        return value
    try:
        return float(value) if type(value) is bytes else default
    except ValueError:
        return default


def _whole(number: float) -> int:
    """Return `number` as C makes an `int` of it, as far as anyone can tell."""
    return int(number) if math.isfinite(number) else _INT_MIN


def _sha1hex(*arguments: Any) -> bytes:
    if len(arguments) != 1:
        raise ScriptError(b"ERR wrong number of arguments")
    return hashlib.sha1(_text(arguments[0]) or b"", usedforsecurity=False).hexdigest().encode()
