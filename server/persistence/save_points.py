"""When a snapshot is due, and how the last ones went: what `save` says, and what INFO reports.

Pure: whoever saves tells `SaveStatus` what happened. Follows Redis 7.0 `server.c: serverCron` for
when a save point is met, and `rdb.c: backgroundSaveDoneHandlerDisk` for what is kept of an outcome.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from vedette.conf import SavePoint

#: After a background save has failed, how long until another may begin by itself.
RETRY_DELAY_MS: Final = 5000


@dataclass(slots=True)
class SaveStatus:
    """How saving stands. All times are wall clock milliseconds."""

    #: When the last save that succeeded ended; at first, when the server started.
    last_save_ms: int = 0
    #: When a background save was last begun, whatever came of it.
    last_attempt_ms: int = 0
    is_last_background_save_ok: bool = True
    #: When the running background save began; None while there is none.
    started_ms: int | None = None
    #: The same of a snapshot that goes to replicas and into no file.
    transfer_started_ms: int | None = None
    #: A background save was asked for, to begin when nothing is in its way any more.
    is_scheduled: bool = False
    #: Changes since the last save at the moment when the running one began: it covers these.
    changes_covered: int = 0
    #: How long the last background save took; -1 before the first.
    last_duration_ms: int = -1
    #: Memory the last child no longer shared with the server when it ended.
    last_copied_bytes: int = 0
    #: Saves since the start, foreground and background.
    save_count: int = 0
    #: What was loaded at the start or from a master, and left out because it had expired.
    last_load_keys_loaded: int = 0
    last_load_keys_expired: int = 0

    @property
    def is_in_progress(self) -> bool:
        """Whether a background save runs."""
        return self.started_ms is not None

    def may_try(self, now_ms: int) -> bool:
        """Return whether a background save may begin by itself: not right after one failed."""
        return self.is_last_background_save_ok or now_ms - self.last_attempt_ms > RETRY_DELAY_MS

    def on_background_start(self, now_ms: int, changes: int) -> None:
        """Note that a background save begins, with `changes` since the last save."""
        assert not self.is_in_progress
        self.started_ms = now_ms
        self.last_attempt_ms = now_ms
        self.changes_covered = changes

    def on_background_end(self, now_ms: int, *, is_ok: bool, copied_bytes: int = 0) -> int:
        """Note how the background save ended; return how many changes are now saved."""
        assert self.started_ms is not None
        self.last_duration_ms = now_ms - self.started_ms
        self.started_ms = None
        self.is_last_background_save_ok = is_ok
        self.last_copied_bytes = copied_bytes
        if not is_ok:
            return 0
        self.last_save_ms = now_ms
        self.save_count += 1
        return self.changes_covered

    def on_background_abort(self) -> None:
        """Note that the background save was killed because nobody wants it: no failure."""
        assert self.is_in_progress
        self.started_ms = None

    def on_transfer_start(self, now_ms: int) -> None:
        """Note that a snapshot for replicas begins that goes into no file."""
        self.transfer_started_ms = now_ms

    def on_transfer_end(self, now_ms: int, copied_bytes: int) -> None:
        """Note that it has ended, whichever way. Nothing is saved by it."""
        assert self.transfer_started_ms is not None
        self.last_duration_ms = now_ms - self.transfer_started_ms
        self.transfer_started_ms = None
        self.last_copied_bytes = copied_bytes

    @property
    def current_started_ms(self) -> int | None:
        """When the child began that makes a snapshot, for whatever use; None without one."""
        return self.transfer_started_ms if self.started_ms is None else self.started_ms

    def on_foreground_end(self, now_ms: int) -> None:
        """Note that a save in the foreground succeeded: every change is saved."""
        self.last_save_ms = now_ms
        self.is_last_background_save_ok = True
        self.save_count += 1


def due_save_point(
    points: Iterable[SavePoint], changes: int, status: SaveStatus, now_ms: int
) -> SavePoint | None:
    """Return the save point that asks for a background save now, or None.

    A point is met when there are at least its changes and more than its seconds have passed since
    the last save. After a failure it has to wait `RETRY_DELAY_MS` more.
    """
    if status.is_in_progress:
        return None
    if not status.may_try(now_ms):
        return None
    since_save_ms = now_ms - status.last_save_ms
    for point in points:
        if changes >= point.changes and since_save_ms > point.seconds * 1000:
            return point
    return None
