"""Watching what commands do: SLOWLOG, LATENCY, MONITOR and the tracking of clients' caches.

The part of the server's engine that hears of calls. Nothing of it is asked for calls that nobody
watches (`watch_calls`).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import Final

from vedette.clients import Block, ServingSettings, Session
from vedette.cmdspec import CommandRow, CommandTable, Flag

from ..observation import LatencyMonitor, Monitors, SlowLog
from ..observation.latency import COMMAND, FAST_COMMAND, UNBLOCKING
from ..observation.redaction import Redaction
from ..observation.tracking import TrackedKeys
from .effects import Effects

#: Where calls may be logged that take less than this, each is timed by itself.
_TIMED_SINGLY_BELOW_S: Final = 0.001


class Observed(Effects):
    """What `ServerEngine` is besides running commands and telling of their effects."""

    is_loading: bool

    def __init__(
        self,
        table: CommandTable,
        settings: ServingSettings | None,
        *,
        clock: Callable[[], float],
        on_crash: Callable[[Session, CommandRow, Exception], None] | None,
    ) -> None:
        self.slow_log = SlowLog()
        self.latency = LatencyMonitor()
        self._redaction = Redaction(self.configuration.settings.table)
        super().__init__(table, settings, clock=clock, on_crash=on_crash)
        self.monitors = Monitors(
            self.clients.note_unsent, put_off=lambda act: self.after_reply.append(act)
        )
        self.tracked_keys = TrackedKeys(
            self.clients,
            put_off=lambda act: self.after_reply.append(act),
            at_batch_end=lambda act: self.at_batch_end.append(act),
        )

    def watch_calls(self) -> None:
        """Say which calls `on_call` is to hear of: none that it has nothing to do with."""
        thresholds_s = []
        if self.slow_log.threshold_us >= 0:
            thresholds_s.append(self.slow_log.threshold_us / 1e6)
        if self.latency.threshold_ms:
            thresholds_s.append(self.latency.threshold_ms / 1000)
        self.slow_call_s = min(thresholds_s, default=math.inf)
        self.is_watching_calls = bool(self.monitors) or self.slow_call_s < _TIMED_SINGLY_BELOW_S
        self.recheck()

    def on_call(
        self,
        session: Session,
        row: CommandRow,
        argv: list[bytes],
        seconds: float,
        *,
        is_waiting: bool = False,
    ) -> None:
        flags = row.flags
        self.latency.note(
            FAST_COMMAND if flags & Flag.FAST else COMMAND, seconds * 1000, self.context.now_ms
        )
        if not is_waiting:
            self._offer_to_slow_log(session, row, argv, seconds)
        if self.monitors and not flags & (Flag.ADMIN | Flag.SKIP_MONITOR):
            self.show_to_monitors(session, self._redaction.of(row, argv))
        if session.tracking is not None and flags & Flag.READONLY and row.group != "scripting":
            self.tracked_keys.remember(session, row.keys.of(argv))

    def show_to_monitors(self, session: Session, argv: list[bytes]) -> None:
        """Show a command to the clients in monitor mode.

        To be called by those that are to be shown before what they run themselves: scripts.
        """
        if self.monitors and not self.is_loading:
            now_us = self.context.now_ms * 1000
            self.monitors.feed(session, _source_of(session), argv, now_us)

    def _offer_to_slow_log(
        self, session: Session, row: CommandRow, argv: list[bytes], seconds: float
    ) -> None:
        duration_us = round(seconds * 1e6)
        if self.slow_log.wants(duration_us) and not row.flags & Flag.SKIP_SLOWLOG:
            self.slow_log.add(
                self._redaction.of(row, argv),
                duration_us=duration_us,
                now_ms=self.context.now_ms,
                address=session.address,
                client_name=session.name,
            )

    def on_wait_served(self, session: Session, wait: Block, seconds: float) -> None:
        self.latency.note(UNBLOCKING, seconds * 1000, self.context.now_ms)
        if wait.request is not None:
            # It comes behind the command that has ended the wait, which is not logged yet.
            row, argv = wait.request
            acts = self.after_reply if self.is_watching_calls else self.at_batch_end
            acts.append(partial(self._offer_to_slow_log, session, row, argv, seconds))

    def on_tracking_changed(self, session: Session) -> None:
        tracked_keys = self.tracked_keys
        tracked_keys.on_tracking_changed(session)
        self.keyspace.announce_changes(self._on_change if tracked_keys.is_in_use else None)

    def _on_change(self, key: bytes) -> None:
        changer = self.context.session
        # In a script it is a session that stands in for the caller, which has done nothing itself.
        is_stand_in = self.clients.by_id(changer.id) is not changer
        is_its_doing = not (self._is_dropping or is_stand_in)
        self.tracked_keys.on_change(key, changer, is_its_doing=is_its_doing)

    def on_flush(self) -> None:
        """Hear that a database, or all of them, has been emptied or replaced."""
        self.tracked_keys.on_flush(self.context.session)

    def on_reset(self, session: Session) -> None:
        if session.is_monitor:
            self.monitors.remove(session)
            self.watch_calls()
        self.on_tracking_changed(session)

    def on_disconnect(self, session: Session) -> None:
        if session.is_monitor:
            self.monitors.remove(session)
            self.watch_calls()
        if session.tracking is not None:
            session.tracking = None
            self.on_tracking_changed(session)


def _source_of(session: Session) -> str:
    """Return where a command came from, as monitors are shown it."""
    if session.is_script:
        return "lua"
    if session.is_unix_socket:
        return f"unix:{session.address.rpartition(':')[0]}"
    return session.address
