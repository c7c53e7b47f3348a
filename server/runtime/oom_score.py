"""How soon the kernel kills a process of this server when memory runs out (`oom-score-adj`).

Children go before replicas, and replicas before masters, as far as `oom-score-adj-values` says so.
Without privileges a score may be raised, and lowered to what it was at the start and no further; a
score that the kernel refuses is told in the log and to whoever asked for it. Follows Redis 7.0
`server.c: setOOMScoreAdj`; there the child sets its own, here its parent does, who has a log.
"""

from __future__ import annotations

from typing import Final

import structlog

from .. import directives
from ..config import ChangeRefused, Configuration

log = structlog.get_logger()

#: What the kernel takes at most, and negated at least.
_SCORE_MAX: Final = 1000
#: Places in `oom-score-adj-values`.
_MASTER, _REPLICA, _CHILD = range(3)


class OomScore:
    """The scores of one server and its children. `proc` is where the kernel shows processes."""

    def __init__(self, configuration: Configuration, proc: str = "/proc") -> None:
        self._configuration = configuration
        self._proc = proc
        #: What the score was before it was changed here; None: it was not, or was put back.
        self._base: int | None = None
        configuration.on_change(
            self._on_change, directives.OOM_SCORE_ADJ, directives.OOM_SCORE_ADJ_VALUES
        )

    def adjust(self) -> bool:
        """Give this process the score of its role; False: the kernel refused, which is logged."""
        is_replica = self._configuration[directives.REPLICA_OF] is not None
        return self._give("self", _REPLICA if is_replica else _MASTER)

    def adjust_child(self, pid: int) -> None:
        """Give a child that was just forked the score of children; a refusal is logged."""
        if self._configuration[directives.OOM_SCORE_ADJ] != "no":
            self._give(str(pid), _CHILD)

    def _on_change(self) -> None:
        if not self.adjust():
            raise ChangeRefused("Failed to set current oom_score_adj. Check server logs.")

    def _give(self, process: str, kind: int) -> bool:
        mode = self._configuration[directives.OOM_SCORE_ADJ]
        if mode == "no" and self._base is None:
            return True
        try:
            if self._base is None:
                self._base = self._read_own()
            score = self._base
            if mode != "no":
                value = self._configuration[directives.OOM_SCORE_ADJ_VALUES][kind]
                score = value if mode == "absolute" else score + value
            with open(self._path(process), "w", encoding="ascii") as file:
                file.write(f"{max(-_SCORE_MAX, min(_SCORE_MAX, score))}\n")
        except OSError as error:
            log.warning("process.oom_score_refused", process=process, error=error.strerror)
            return False
        if mode == "no":
            self._base = None
        return True

    def _read_own(self) -> int:
        with open(self._path("self"), encoding="ascii") as file:
            return int(file.read())

    def _path(self, process: str) -> str:
        return f"{self._proc}/{process}/oom_score_adj"
