"""Judgement of a history: what was lost, what appeared unasked, and how long nobody could write.

Pure functions from operations (and what was read at the end) to verdicts. `check_set` is Jepsen's
`set` checker over keys that are each written once; `check_counter` bounds a counter that many
writers increment; `measure_outage` finds the longest silence of each writer, `measure_staleness`
the oldest answer to a read, `measure_split_brain` the time in which more than one node took writes.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from .history import Operation, Outcome
from .units import NS_PER_MS

#: Source of the reads that were made through the client that follows the master.
CLIENT = "client"


@dataclass(frozen=True, slots=True, kw_only=True)
class SetVerdict:
    """What became of keys that were each written once, with a value of their own."""

    attempted: int
    acknowledged: int
    refused: int
    unknown: int
    #: Acknowledged writes that are absent at the end, in the order of acknowledgement.
    lost: tuple[Operation, ...]
    #: Keys of writes with an unknown outcome that are present after all.
    recovered: tuple[str, ...]
    #: Keys that hold what nobody wrote there, or a write that was refused.
    unexpected: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class CounterVerdict:
    """What became of a counter's increments."""

    acknowledged: int
    unknown: int
    #: The value at the end.
    final: int
    #: Acknowledged increments that are certainly missing from the final value.
    lost_at_least: int
    #: The most that may be missing, if every increment of unknown outcome was applied.
    lost_at_most: int
    #: Answers given more than once: increments that a failover undid and did again.
    repeated: tuple[int, ...]
    #: By how much the final value exceeds everything that was ever asked for.
    excess: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Outage:
    """Silence of the writers, in milliseconds."""

    #: Longest time between two acknowledgements, by writer.
    gap_ms: Mapping[int, float]
    #: Operations by class of error, over the whole history.
    errors: Mapping[str, int]

    @property
    def p50_ms(self) -> float | None:
        """Median over the writers (the lower of two middles), or None without writers."""
        gaps = sorted(self.gap_ms.values())
        return gaps[(len(gaps) - 1) // 2] if gaps else None

    @property
    def max_ms(self) -> float | None:
        return max(self.gap_ms.values(), default=None)


@dataclass(frozen=True, slots=True)
class Beat:
    """An acknowledged write of a register that one writer sets to ever higher numbers."""

    version: int
    completed_ns: int


@dataclass(frozen=True, slots=True)
class Read:
    """What a read of that register was told; 0: there was nothing."""

    #: Whom it was made through.
    source: str
    version: int
    invoked_ns: int


def measure_staleness(beats: Sequence[Beat], reads: Iterable[Read]) -> dict[str, float]:
    """Return, by source, by how many milliseconds the oldest of its answers was out of date.

    An answer is out of date since the first acknowledgement of a newer version, if that came before
    the read began. `beats` are in order, versions and times alike.
    """
    stalest: dict[str, float] = {}
    for read in reads:
        newer = bisect_right(beats, read.version, key=lambda beat: beat.version)
        stale_ns = 0
        if newer < len(beats):
            stale_ns = max(0, read.invoked_ns - beats[newer].completed_ns)
        stalest[read.source] = max(stalest.get(read.source, 0.0), stale_ns / NS_PER_MS)
    return stalest


@dataclass(frozen=True, slots=True)
class TakenWrite:
    """A write that a node itself was asked for, and took."""

    invoked_ns: int
    completed_ns: int
    #: Whether nothing was refused, and no connection lost, since the last one that it took.
    is_continued: bool


def measure_split_brain(taken: Mapping[str, Sequence[TakenWrite]], patience_ns: int) -> float:
    """Return for how many milliseconds more than one node took writes, all times together.

    Between two writes that a node took, in order, it would have taken any other, unless it refused
    one, or made the second wait for more than `patience_ns`.
    """
    edges: list[tuple[int, int]] = []
    for writes in taken.values():
        for earlier, later in pairwise(writes):
            if later.is_continued and later.completed_ns - later.invoked_ns <= patience_ns:
                edges += [(earlier.completed_ns, 1), (later.completed_ns, -1)]
    total_ns = taking = 0
    since_ns = 0
    # Where one time ends and another begins, the end counts first.
    for at_ns, change in sorted(edges):
        if taking > 1:
            total_ns += at_ns - since_ns
        taking += change
        since_ns = at_ns
    return total_ns / NS_PER_MS


def check_set(operations: Iterable[Operation], final: Mapping[str, str]) -> SetVerdict:
    """Judge single writes against `final`, every key and value read at the end.

    Raises:
        ValueError: a key was written twice, so that its absence would prove nothing.
    """
    by_key: dict[str, Operation] = {}
    for operation in operations:
        if operation.key in by_key:
            raise ValueError(f"key {operation.key!r} was written more than once")
        by_key[operation.key] = operation
    outcomes = Counter(operation.outcome for operation in by_key.values())
    lost = [
        operation
        for operation in by_key.values()
        if operation.outcome is Outcome.OK and operation.key not in final
    ]
    recovered: list[str] = []
    unexpected: list[str] = []
    for key, value in final.items():
        written = by_key.get(key)
        if written is None or written.value != value or written.outcome is Outcome.FAIL:
            unexpected.append(key)
        elif written.outcome is Outcome.INFO:
            recovered.append(key)
    return SetVerdict(
        attempted=len(by_key),
        acknowledged=outcomes[Outcome.OK],
        refused=outcomes[Outcome.FAIL],
        unknown=outcomes[Outcome.INFO],
        lost=tuple(lost),
        recovered=tuple(recovered),
        unexpected=tuple(unexpected),
    )


def check_counter(operations: Iterable[Operation], final: int) -> CounterVerdict:
    """Judge increments by one of a single counter that began at zero."""
    operations = list(operations)
    answers = [
        operation.value
        for operation in operations
        if operation.outcome is Outcome.OK and isinstance(operation.value, int)
    ]
    unknown = sum(operation.outcome is Outcome.INFO for operation in operations)
    acknowledged = sum(operation.outcome is Outcome.OK for operation in operations)
    repeated = sorted(value for value, times in Counter(answers).items() if times > 1)
    return CounterVerdict(
        acknowledged=acknowledged,
        unknown=unknown,
        final=final,
        # A value answered twice proves an undone increment even where later ones hide it.
        lost_at_least=max(0, acknowledged - final, len(answers) - len(set(answers))),
        lost_at_most=min(acknowledged, max(0, acknowledged + unknown - final)),
        repeated=tuple(repeated),
        excess=max(0, final - acknowledged - unknown),
    )


def measure_outage(
    operations: Iterable[Operation], writers: Collection[int], start_ns: int, end_ns: int
) -> Outage:
    """Return the longest silence of each writer between `start_ns` and `end_ns`.

    A silence reaches from one acknowledgement to the next; the start and the end of the time
    looked at count as acknowledgements, so that a writer which never came back shows as silent.
    """
    acknowledged: dict[int, list[int]] = defaultdict(list)
    errors: Counter[str] = Counter()
    for operation in operations:
        if operation.error is not None:
            errors[operation.error.partition(":")[0]] += 1
        at_ns = operation.completed_ns
        if operation.outcome is Outcome.OK and at_ns is not None and start_ns <= at_ns <= end_ns:
            acknowledged[operation.writer].append(at_ns)
    gaps = {}
    for writer in sorted(writers):
        times = [start_ns, *sorted(acknowledged[writer]), end_ns]
        longest_ns = max(later - earlier for earlier, later in pairwise(times))
        gaps[writer] = longest_ns / NS_PER_MS
    return Outage(gap_ms=gaps, errors=dict(errors))
