"""What everybody is to know of a child that was forked to work on the dataset."""

from __future__ import annotations

from ..engine import ServerEngine
from ..observation.latency import FORK
from ..persistence.background import ChildKind
from .child import Child
from .child_progress import SharedProgress
from .clock import wall_clock_ms


def note_fork(
    engine: ServerEngine, child: Child, kind: ChildKind, key_count: int, progress: SharedProgress
) -> None:
    """Let INFO, the latency monitor and whoever wants to fork know of `child`, just forked.

    It is to write `key_count` keys. Whoever waits for it ends `engine.background`.
    """
    statistics = engine.context.statistics
    statistics.total_forks += 1
    statistics.latest_fork_usec = round(child.fork_duration_s * 1_000_000)
    engine.latency.note(FORK, child.fork_duration_s * 1000, wall_clock_ms())
    engine.host.adjust_oom_score(child.pid)
    engine.background.begin(kind, key_count, progress, child.kill)
