"""The child process that works on a copy of the dataset, as the others see it: one at a time.

Pure: whoever forks tells it, and whoever wants to fork asks it first. Two children at once would
double the memory that writes copy. Follows Redis 7.0 `server.c: hasActiveChildProcess` and
`childinfo.c`.
"""

from __future__ import annotations

import enum
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol


class ChildKind(enum.Enum):
    """What a child is for."""

    SAVE = "save"
    SYNCHRONISATION = "synchronisation"
    REWRITE = "rewrite"


class ChildProgress(Protocol):
    """How far a child has come, as it tells it."""

    @property
    def keys_done(self) -> int:
        """How many keys it has written."""
        ...

    @property
    def copied_bytes(self) -> int:
        """The memory that it did not share with the server any more when it last looked."""
        ...

    @property
    def peak_copied_bytes(self) -> int:
        """The most that was."""
        ...

    @property
    def looked_ms(self) -> int:
        """When it last looked, wall clock; 0: not yet."""
        ...


@dataclass(frozen=True, slots=True)
class ActiveChild:
    """A child at work; `key_count` is what it is to write, `kill` ends it."""

    kind: ChildKind
    key_count: int
    progress: ChildProgress
    kill: Callable[[], None]


class BackgroundWork:
    """Which child is at work, if one is."""

    def __init__(self) -> None:
        self.active: ActiveChild | None = None

    @property
    def is_saving(self) -> bool:
        """Whether a child makes a snapshot, for whatever use (INFO's `rdb_bgsave_in_progress`)."""
        return self.active is not None and self.active.kind is not ChildKind.REWRITE

    @property
    def is_synchronising(self) -> bool:
        """Whether a child makes a snapshot for replicas."""
        return self.active is not None and self.active.kind is ChildKind.SYNCHRONISATION

    def begin(
        self, kind: ChildKind, key_count: int, progress: ChildProgress, kill: Callable[[], None]
    ) -> None:
        """Note that a child was forked."""
        self.active = ActiveChild(kind, key_count, progress, kill)

    def abort_save(self) -> bool:
        """Kill the child if it makes a snapshot, for whatever use; return whether there was one."""
        active = self.active
        if active is None or active.kind is ChildKind.REWRITE:
            return False
        active.kill()
        self.active = None
        return True

    def end(self, progress: ChildProgress) -> None:
        """Note that the child of `progress` has ended, or is not wanted any more."""
        if self.active is not None and self.active.progress is progress:
            self.active = None

    def info_fields(self, now_ms: int) -> dict[str, object]:
        """Return what INFO's section `persistence` tells of the child; zeros without one."""
        active = self.active
        if active is None:
            copied_bytes = peak_bytes = age_s = keys_done = key_count = 0
        else:
            progress = active.progress
            copied_bytes, peak_bytes = progress.copied_bytes, progress.peak_copied_bytes
            age_s = max(0, now_ms - progress.looked_ms) // 1000 if progress.looked_ms else 0
            key_count = active.key_count
            keys_done = min(progress.keys_done, key_count)
        return {
            "current_cow_peak": peak_bytes,
            "current_cow_size": copied_bytes,
            "current_cow_size_age": age_s,
            "current_fork_perc": f"{100 * keys_done / key_count if key_count else 0:.2f}",
            "current_save_keys_processed": keys_done,
            "current_save_keys_total": key_count,
        }
