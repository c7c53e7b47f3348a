"""How much happens each second: INFO's `instantaneous_*` (Redis 7.0 `trackInstantaneousMetric`)."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import Final

#: The shown rate is the mean of this many samples.
SAMPLE_COUNT: Final = 16
#: Samples are this far apart at least.
SAMPLE_PERIOD_MS: Final = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Totals:
    """Counters that only rise, or begin anew at zero."""

    commands: int = 0
    input_bytes: int = 0
    output_bytes: int = 0
    repl_input_bytes: int = 0
    repl_output_bytes: int = 0
    #: Batches of requests, and how long serving them took.
    cycles: int = 0
    cycles_s: float = 0.0


class Rates:
    """Rates of change of `Totals`, each second, over the last few samples."""

    def __init__(self) -> None:
        self._samples: deque[tuple[float, ...]] = deque(maxlen=SAMPLE_COUNT)
        self._last: tuple[int, Totals] | None = None

    def sample(self, now_ms: int, totals: Totals) -> None:
        """Take the totals as of now; too soon after the last time it is passed over."""
        if self._last is None:
            self._last = (now_ms, totals)
            return
        then_ms, before = self._last
        elapsed_ms = now_ms - then_ms
        if 0 <= elapsed_ms < SAMPLE_PERIOD_MS:
            return
        self._last = (now_ms, totals)
        if elapsed_ms < 0 or totals.commands < before.commands:
            return  # the clock was set back, or the counters were reset
        scale = 1000 / elapsed_ms
        self._samples.append(
            (
                (totals.commands - before.commands) * scale,
                (totals.input_bytes - before.input_bytes) * scale,
                (totals.output_bytes - before.output_bytes) * scale,
                (totals.repl_input_bytes - before.repl_input_bytes) * scale,
                (totals.repl_output_bytes - before.repl_output_bytes) * scale,
                (totals.cycles - before.cycles) * scale,
                (totals.cycles_s - before.cycles_s) * scale,
            )
        )

    @property
    def commands_per_second(self) -> float:
        """Commands run each second."""
        return self._mean(0)

    @property
    def input_bytes_per_second(self) -> float:
        """Bytes read each second."""
        return self._mean(1)

    @property
    def output_bytes_per_second(self) -> float:
        """Bytes written each second."""
        return self._mean(2)

    @property
    def repl_input_bytes_per_second(self) -> float:
        """Bytes read from the master each second."""
        return self._mean(3)

    @property
    def repl_output_bytes_per_second(self) -> float:
        """Bytes written to replicas each second."""
        return self._mean(4)

    @property
    def cycles_per_second(self) -> float:
        """Batches served each second."""
        return self._mean(5)

    @property
    def seconds_per_cycle(self) -> float:
        """How long serving a batch takes."""
        cycles = self._mean(5)
        return self._mean(6) / cycles if cycles else 0.0

    def _mean(self, index: int) -> float:
        if not self._samples:
            return 0.0
        return sum(sample[index] for sample in self._samples) / len(self._samples)
