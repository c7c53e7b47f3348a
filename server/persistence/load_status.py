"""How loading a dataset stands, for INFO and for the gate that answers LOADING.

Pure: whoever loads (a snapshot or an append-only file at start, a master's snapshot) tells it what
happens. Follows Redis 7.0 `rdb.c: startLoading, loadingAbsProgress` and `server.c:
genRedisInfoString`.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(slots=True)
class LoadStatus:
    """The loading under way, if there is one. Times are wall clock milliseconds."""

    #: When it began; None while nothing is loaded.
    started_ms: int | None = None
    #: It goes on beside a dataset of the same history, which clients are served meanwhile.
    is_async: bool = False
    #: The size of what is loaded; 0 where that is not known in advance.
    total_bytes: int = 0
    loaded_bytes: int = 0
    #: What the server that wrote the file said it used (`used-mem`); 0: nothing.
    used_memory_bytes: int = 0

    def begin(self, now_ms: int, total_bytes: int = 0, *, is_async: bool = False) -> None:
        """Note that loading begins."""
        assert self.started_ms is None
        self.started_ms = now_ms
        self.is_async = is_async
        self.total_bytes = total_bytes
        self.loaded_bytes = 0
        self.used_memory_bytes = 0

    def end(self) -> None:
        """Note that loading is over, whichever way."""
        self.started_ms = None
        self.is_async = False

    def info_fields(self, now_ms: int) -> dict[str, object]:
        """Return what INFO's section `persistence` tells of the loading; nothing without one."""
        started_ms = self.started_ms
        if started_ms is None:
            return {}
        # A total that is not known, or was wrong, is what is there already.
        total_bytes = max(self.total_bytes, self.loaded_bytes)
        left_bytes = total_bytes - self.loaded_bytes
        elapsed_s = (now_ms - started_ms) // 1000
        share = self.loaded_bytes / total_bytes if self.total_bytes else 0.0
        eta_s = elapsed_s * left_bytes // self.loaded_bytes if self.loaded_bytes else 0
        return {
            "loading_start_time": started_ms // 1000,
            "loading_total_bytes": self.total_bytes,
            "loading_rdb_used_mem": self.used_memory_bytes,
            "loading_loaded_bytes": self.loaded_bytes,
            "loading_loaded_perc": f"{100 * share:.2f}",
            # In its first second Redis says 1, having nothing to reckon with.
            "loading_eta_seconds": eta_s if elapsed_s and self.loaded_bytes else 1,
        }
