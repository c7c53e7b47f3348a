"""One session of the debugger: where a script stops, and what its user wants to see there.

Theory of operation. Lua asks `stops_at` at every line of the script, at one in a loop each time. If
it stops, Lua asks `next_action` again and again: what concerns the user, breakpoints and source is
done here, what looks into the script is handed to Lua as an action, whose output comes back by
`show`. The output of a command is one array of status replies. `next_action` waits for the user,
and so for its `Wire`, which blocks: nobody else is served meanwhile by this process.

When the user has gone the script runs on without stopping, and is ended if it takes too long.

Follows Redis 7.0 `eval.c: luaLdbLineHook, ldbRepl`.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final, Protocol

from vedette.resp.requests import RequestParser

from . import debug_text
from .errors import ScriptError

BREAKPOINTS_MAX: Final = 64
#: How much of a value or reply is shown unless the user wants more; and the least that can be set.
SHOWN_SIZE: Final = 256
_SHOWN_SIZE_MIN: Final = 60
#: Words of a command that are shown.
_SHOWN_WORDS: Final = 10
_REQUEST_SIZE_MAX: Final = 1 << 20
_LEADING_NUMBER: Final = re.compile(rb"\s*([+-]?\d+)")
_NUMBER: Final = re.compile(rb"-?[1-9]\d{0,17}|0")
_UNKNOWN: Final = b"<error> Unknown Redis Lua debugger command or wrong number of arguments."
_HINT: Final = b"<hint> The above reply was trimmed. Use 'maxlen 0' to disable trimming."

#: What Lua is to do, and with what word.
Action = tuple[bytes, bytes]
GO_ON: Final[Action] = (b"go", b"")


class Wire(Protocol):
    """The user's connection, both of whose ways wait."""

    def send(self, data: bytes) -> None:
        """Send `data`; one who is gone is no error."""

    def receive(self) -> bytes:
        """Return some bytes, none if the user is gone."""


class Debugger:
    """Debugs one run of the script `source`.

    `clock()` is in seconds. A script that has run for `limit_s()` without a stop stops.
    """

    def __init__(
        self,
        wire: Wire,
        source: bytes,
        *,
        clock: Callable[[], float],
        limit_s: Callable[[], float],
    ) -> None:
        self._wire = wire
        self._lines = source.rstrip(b"\r\n").split(b"\n")
        self._clock = clock
        self._limit_s = limit_s
        self._resumed_s = clock()
        self._parser = RequestParser()
        self._requests: list[list[bytes]] = []
        self._log: list[bytes] = []
        self._breakpoints: list[int] = []
        self._shown_size = SHOWN_SIZE
        self._has_hinted = False
        #: Stop at the next line; commands and replies are shown until it is reached.
        self.is_stepping = True
        self._is_break_requested = False
        self._is_overdue = False
        self.line = 0
        #: Runs a command as the script would, for the user; set once there is a run.
        self.call: Callable[[list[bytes]], object] = lambda argv: None

    # --- what Lua asks ---------------------------------------------------------------------------

    def stops_at(self, line: int) -> bool:
        """Note that the script is at `line`; return whether it stops there."""
        self.line = line
        self._is_overdue = False
        if self._is_break_requested:
            reason = b"redis.breakpoint() called"
        elif line in self._breakpoints:
            reason = b"break point"
        elif self.is_stepping:
            reason = b"step over"
        elif self._clock() - self._resumed_s >= self._limit_s():
            self._is_overdue = True
            reason = b"timeout reached, infinite loop?"
        else:
            return False
        self.is_stepping = False
        self._is_break_requested = False
        self.log(b"* Stopped at %d, stop reason = %b" % (line, reason))
        self._log_line(line)
        return True

    def next_action(self) -> Action:
        """Send what there is to show, and do what the user asks for until Lua has to.

        Raises:
            ScriptError: the script is to end.
        """
        while True:
            self.send_log()
            words = self._next_request()
            if words is None:
                # Nobody is left to stop for.
                self.is_stepping = False
                self._breakpoints.clear()
                if self._is_overdue:
                    raise ScriptError(
                        b"ERR timeout during Lua debugging with client closing connection"
                    )
                return self._go_on()
            action = self._obey(words)
            if action is not None:
                return action

    def _go_on(self) -> Action:
        self._resumed_s = self._clock()
        return GO_ON

    def show(self, text: bytes) -> None:
        """Show a value or a reply, cut if it is long."""
        if not self._shown_size or len(text) <= self._shown_size:
            self.log(text)
            return
        self.log(text[: self._shown_size] + b" ...")
        if not self._has_hinted:
            self._has_hinted = True
            self.log(_HINT)

    def log(self, text: bytes) -> None:
        """Have a line shown when the script stops the next time."""
        self._log.append(text)

    def send_log(self) -> None:
        """Send what there is to show, as one array."""
        lines = [b"+%b\r\n" % text.translate(_ONE_LINE) for text in self._log]
        self._log.clear()
        self._wire.send(b"*%d\r\n%b" % (len(lines), b"".join(lines)))

    def end(self) -> None:
        """Tell the user that the session is over; the reply of EVAL follows."""
        self.log(b"<endsession>")
        self.send_log()

    # --- what the script does --------------------------------------------------------------------

    def break_at_next_line(self) -> None:
        """Stop at the next line (`redis.breakpoint()`)."""
        self._is_break_requested = True

    def on_call(self, argv: list[bytes]) -> None:
        """Show that the script runs a command, if it is being followed."""
        if self.is_stepping:
            shown = b" ".join(argv[:_SHOWN_WORDS])
            more = len(argv) - _SHOWN_WORDS
            self.log(b"<redis> " + shown + (b" ... (%d more)" % (more - 1) if more > 0 else b""))

    def on_reply(self, data: bytes) -> None:
        """Show what it gets for it, encoded."""
        if self.is_stepping:
            self.show(b"<reply> " + debug_text.describe_reply(data))

    def on_error(self, text: bytes) -> None:
        """Show why a command was refused, or failed."""
        if self.is_stepping:
            self.log(b"<error> " + text)

    # --- what the user asks ----------------------------------------------------------------------

    def _next_request(self) -> list[bytes] | None:
        """Return the words of the next request; None: the user is gone.

        Raises:
            ScriptError: what came makes no sense, or no end.
        """
        while not self._requests:
            data = self._wire.receive()
            if not data:
                return None
            requests, error = self._parser.parse(data)
            if error is not None:
                raise ScriptError(b"ERR protocol error")
            if self._parser.buffered_bytes > _REQUEST_SIZE_MAX:
                raise ScriptError(b"ERR max client buffer reached")
            self._requests += requests
        return self._requests.pop(0)

    def _obey(self, words: list[bytes]) -> Action | None:
        """Do what the user asks for; return what is Lua's to do, or None.

        Raises:
            ScriptError: the user wants the script to end.
        """
        match words[0].lower():
            case b"s" | b"step" | b"n" | b"next":
                self.is_stepping = True
                return self._go_on()
            case b"c" | b"continue":
                return self._go_on()
            case b"a" | b"abort":
                raise ScriptError(b"ERR script aborted for user request")
            case b"t" | b"trace":
                return (b"trace", b"")
            case b"e" | b"eval":
                return (b"eval", b" ".join(words[1:]))
            case b"p" | b"print":
                return (b"print", words[1]) if len(words) == 2 else (b"print_all", b"")
            case b"r" | b"redis" if len(words) > 1:
                self._call(words[1:])
            case b"h" | b"help":
                self._log += debug_text.HELP
            case b"l" | b"list":
                self._list(words[1:])
            case b"w" | b"whole":
                self._list_around(1, len(self._lines))
            case b"b" | b"break":
                self._set_breakpoints(words[1:])
            case b"m" | b"maxlen":
                self._set_shown_size(words[1:])
            case _:
                self.log(_UNKNOWN)
        return None

    def _call(self, argv: list[bytes]) -> None:
        self.is_stepping = True  # so that command and reply are shown
        try:
            self.call(argv)
        except ScriptError:
            pass  # it has been shown
        finally:
            self.is_stepping = False

    def _list(self, words: list[bytes]) -> None:
        line = _leading_number(words[0]) if words else 0
        context = _leading_number(words[1]) if len(words) > 1 else 5
        self._list_around(line if line > 0 else self.line, context)

    def _list_around(self, line: int, context: int) -> None:
        for number in range(max(1, line - context), min(len(self._lines), line + context) + 1):
            self._log_line(number)

    def _log_line(self, number: int) -> None:
        is_there = 1 <= number <= len(self._lines)
        text = self._lines[number - 1] if is_there else b"<out of range source code line>"
        here = b"->" if number == self.line else b"  "
        mark = b"#" if number in self._breakpoints else b" "
        self.log(b"%b%b%-3d %b" % (here, mark, number, text))

    def log_frame(self, name: bytes, line: int, is_innermost: bool) -> None:
        """Show that the function `name` is being called, and is at `line`."""
        self.log(b"%b %b:" % (b"In" if is_innermost else b"From", name))
        self._log_line(line)

    def _set_breakpoints(self, words: list[bytes]) -> None:
        if not words:
            if not self._breakpoints:
                self.log(b"No breakpoints set. Use 'b <line>' to add one.")
                return
            self.log(b"%d breakpoints set:" % len(self._breakpoints))
            for line in self._breakpoints:
                self._log_line(line)
        for word in words:
            if _NUMBER.fullmatch(word) is None:
                self.log(b"Invalid argument:'%b'" % word)
            else:
                self._set_breakpoint(int(word))

    def _set_breakpoint(self, line: int) -> None:
        if not line:
            self._breakpoints.clear()
            self.log(b"All breakpoints removed.")
        elif line < 0:
            if -line in self._breakpoints:
                self._breakpoints.remove(-line)
                self.log(b"Breakpoint removed.")
            else:
                self.log(b"No breakpoint in the specified line.")
        elif len(self._breakpoints) == BREAKPOINTS_MAX:
            self.log(b"Too many breakpoints set.")
        elif line > len(self._lines) or line in self._breakpoints:
            self.log(b"Wrong line number.")
        else:
            self._breakpoints.append(line)
            self._list_around(line, 1)

    def _set_shown_size(self, words: list[bytes]) -> None:
        if len(words) == 1:
            self._has_hinted = True
            size = _leading_number(words[0])
            self._shown_size = max(size, _SHOWN_SIZE_MIN) if size else 0
        if self._shown_size:
            self.log(b"<value> replies are truncated at %d bytes." % self._shown_size)
        else:
            self.log(b"<value> replies are unlimited.")


_ONE_LINE: Final = bytes.maketrans(b"\r\n", b"  ")


def _leading_number(text: bytes) -> int:
    """Return the number that C's `atoi` makes of `text`."""
    match = _LEADING_NUMBER.match(text)
    return int(match[1]) if match is not None else 0
