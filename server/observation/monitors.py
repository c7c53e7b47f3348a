"""MONITOR: clients that are shown every command (Redis 7.0 `replicationFeedMonitors`)."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from vedette.clients import Session
from vedette.conf.quoting import quote_argument


class Monitors:
    """The clients in monitor mode.

    `on_output(session)` hears who has got something to be sent. `put_off(act)` does something as
    soon as the reply to the command that runs is complete.
    """

    def __init__(
        self,
        on_output: Callable[[Session], None],
        *,
        put_off: Callable[[Callable[[], None]], None],
    ) -> None:
        self._on_output = on_output
        self._put_off = put_off
        self._sessions: dict[Session, None] = {}

    def __bool__(self) -> bool:
        return bool(self._sessions)

    def add(self, session: Session) -> None:
        """Show `session` all commands from now on."""
        self._sessions[session] = None
        session.is_monitor = True

    def remove(self, session: Session) -> None:
        """Show `session` no more commands."""
        self._sessions.pop(session, None)
        session.is_monitor = False

    def feed(self, caller: Session, source: str, argv: list[bytes], now_us: int) -> None:
        """Show a command that `caller` ran; `source` is its address, or `lua` for a script.

        If it is a monitor itself, it has its reply first.
        """
        words = b" ".join(map(quote_argument, argv))
        seconds, microseconds = divmod(now_us, 1_000_000)
        where = b"%d %b" % (caller.database_index, source.encode())
        line = b"+%d.%06d [%b] %b\r\n" % (seconds, microseconds, where, words)
        for session in self._sessions:
            if session is caller:
                self._put_off(partial(self._show, session, line))
            else:
                self._show(session, line)

    def _show(self, session: Session, line: bytes) -> None:
        if not session.is_close_requested:
            session.outbox.append(line)
            self._on_output(session)
