"""MONITOR: clients that are shown every command (Redis 7.0 `replicationFeedMonitors`)."""

from __future__ import annotations

from collections.abc import Callable

from vedette.clients import Session
from vedette.conf.quoting import quote_argument


class Monitors:
    """The clients in monitor mode. `on_output(session)` hears who has got something to be sent."""

    def __init__(self, on_output: Callable[[Session], None]) -> None:
        self._on_output = on_output
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

    def feed(self, source: str, database_index: int, argv: list[bytes], now_us: int) -> None:
        """Show a command that ran; `source` is the client's address, or `lua` for a script."""
        words = b" ".join(map(quote_argument, argv))
        seconds, microseconds = divmod(now_us, 1_000_000)
        where = b"%d %b" % (database_index, source.encode())
        line = b"+%d.%06d [%b] %b\r\n" % (seconds, microseconds, where, words)
        for session in self._sessions:
            if not session.is_close_requested:
                session.outbox.append(line)
                self._on_output(session)
