"""What commands may ask of the process around them: the port that `server.runtime` implements.

Commands are plain functions, so whatever waits, forks, writes files or ends the process is asked
for here and happens outside.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from vedette.acl import AclFile
from vedette.errors import VedetteError


class SaveInProgress(VedetteError):
    """A snapshot is being written already."""


@dataclass(frozen=True, slots=True)
class ShutdownRequest:
    """What SHUTDOWN asked for. `save` None: as the save points say."""

    save: bool | None = None
    is_now: bool = False
    is_forced: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessFacts:
    """What stays the same while the process runs; INFO reports it."""

    pid: int = 0
    #: Who has started it and is told that it is ready: `no`, `systemd` or `upstart`.
    supervisor: str = "no"
    #: When the process started, wall clock milliseconds.
    started_ms: int = 0
    #: Absolute path of the program.
    executable: str = ""
    #: Name, release and machine, as `uname` has them.
    operating_system: str = ""
    python_version: str = ""
    machine_memory_bytes: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class CollectorPauses:
    """How often and how long the collector of garbage cycles has kept everybody waiting."""

    count: int = 0
    total_s: float = 0.0
    longest_s: float = 0.0


class Host(Protocol):
    """The process as commands see it."""

    def save(self) -> None:
        """Write a snapshot before returning (SAVE).

        Raises:
            SaveInProgress: a background save runs.
            OSError: it could not be written.
        """

    def read_snapshot(self) -> bytes:
        """Return the file that `save` writes.

        Raises:
            OSError: there is none, or it cannot be read.
        """

    def start_background_save(self) -> None:
        """Start a snapshot in a child process (BGSAVE).

        Raises:
            SaveInProgress: one runs already.
            OSError: the process could not fork.
        """

    def abort_background_save(self) -> None:
        """Kill the child that saves, if there is one: what it makes is of no use any more."""

    def request_shutdown(self, request: ShutdownRequest) -> None:
        """Have the server stop after this batch, or when replicas have what they lack by now.

        If it waits for replicas, so does `engine.shutdown`; whoever waits for the end is woken if
        it is called off.

        Raises:
            OSError: a save was asked for and failed, and the stop was not forced.
        """

    def abort_shutdown(self) -> bool:
        """Call off a shutdown that waits for replicas; False: there is none."""

    def sleep(self, seconds: float) -> None:
        """Block the whole process (DEBUG SLEEP)."""

    def crash(self) -> None:
        """End the process at once, without any care, as by a fault (DEBUG SEGFAULT)."""

    def acl_file(self, path: str) -> AclFile:
        """Return the file that ACL LOAD reads and ACL SAVE writes."""

    def random_hex(self, size: int) -> str:
        """Return `size` random hexadecimal digits, for run ids and replication ids."""

    def resident_bytes(self) -> int:
        """Return the resident size of the process."""

    def used_bytes(self) -> int:
        """Return how much memory the allocators of the process have given out, without the
        program's; at least 1.
        """

    def large_bytes(self) -> int:
        """Return how much of that is in large pieces, the program's included: a look at part of the
        books, in a tenth of the time.
        """

    def program_bytes(self) -> int:
        """Return how much they had given out when the program was loaded and nothing begun yet."""

    def held_bytes(self) -> int:
        """Return how much memory the allocators have from the system."""

    def allocator_report(self) -> str:
        """Return the allocators' books as text (MEMORY MALLOC-STATS)."""

    def collector_pauses(self) -> CollectorPauses:
        """Return what the collector of garbage cycles has taken since the start."""

    def release_memory(self) -> None:
        """Give free memory back to the system (MEMORY PURGE)."""

    def cpu_seconds(self) -> tuple[float, float, float, float]:
        """Return system and user CPU seconds of the process, then those of its children."""

    def thread_cpu_seconds(self) -> tuple[float, float]:
        """Return system and user CPU seconds of the thread that serves."""

    def adjust_oom_score(self, child_pid: int | None = None) -> None:
        """Tell the system how soon to kill this process, by its role, when memory runs out.

        With `child_pid`: how soon to kill that child, which was forked just now.
        """

    def rewrite_configuration(self, *, is_complete: bool = False) -> None:
        """Write the settings back to the configuration file (CONFIG REWRITE).

        If `is_complete`, also those that the file does not mention and that have their default.

        Raises:
            OSError: it could not be written.
        """
