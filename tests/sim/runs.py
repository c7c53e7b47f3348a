"""Running plans: one, a seed's, or many at once on all cores."""

from __future__ import annotations

import multiprocessing
import os
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from tests.sim.bugs import Bug, planted
from tests.sim.cluster import Cluster
from tests.sim.faults import Mischief
from tests.sim.plan import Plan, plan_of

#: How long agreement may take after the last fault has ended.
SETTLE_MS = 60_000
#: Agreement must last, and nobody may fail over, for this long after it.
CALM_MS = 1_500


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What came of one plan."""

    plan: Plan
    bug: Bug | None
    error: str | None
    digest: str
    steps: int
    failovers: int
    settled_ms: int
    #: Processor time, in seconds.
    cpu_s: float
    trace: list[str]

    @property
    def replay_command(self) -> str:
        """What to type to see it again, shrink it and put it into the corpus."""
        bug = f" --bug {self.bug.value}" if self.bug is not None else ""
        return f"python -m tests.sim --seed {self.plan.seed}{bug}"


def run_plan(plan: Plan, bug: Bug | None = None, *, keeps_trace: bool = True) -> Outcome:
    """Run one plan to its end. Never raises for what goes wrong in it: see `error`.

    Whatever is raised fails the plan, and no other: a StopIteration would end the run of all seeds
    as if it were complete.
    """
    error: str | None = None
    settled_ms = 0
    began_s = time.process_time()
    with planted(bug):
        cluster = Cluster(plan.seed, plan.shape)
        try:
            cluster.start_up()
            Mischief(cluster).run(plan.faults)
            begun_ms = cluster.world.now_ms
            error = _settle(cluster)
            settled_ms = cluster.world.now_ms - begun_ms - CALM_MS
        except Exception as broken:
            error = f"{type(broken).__name__}: {broken}"
            cluster.world.note("judge", error)
    return Outcome(
        plan=plan,
        bug=bug,
        error=error,
        digest=cluster.world.digest,
        steps=cluster.judge.steps,
        failovers=cluster.judge.failovers,
        settled_ms=settled_ms,
        cpu_s=time.process_time() - began_s,
        trace=cluster.world.trace if keeps_trace else [],
    )


def run_seed(seed: int, bug: Bug | None = None, *, keeps_trace: bool = True) -> Outcome:
    """Run the plan that a seed stands for."""
    return run_plan(plan_of(seed), bug, keeps_trace=keeps_trace)


def run_seeds(
    seeds: Sequence[int], bug: Bug | None = None, *, jobs: int | None = None
) -> Iterator[Outcome]:
    """Run many seeds on all cores; the outcomes, without traces, come in the order of seeds."""
    jobs = jobs or len(os.sched_getaffinity(0))
    tasks = [(seed, bug) for seed in seeds]
    if jobs == 1:
        for task in tasks:
            yield _run_task(task)
        return
    # A fresh interpreter for each worker: the parent may have threads.
    with multiprocessing.get_context("spawn").Pool(jobs) as pool:
        yield from pool.imap(_run_task, tasks, chunksize=5)


def _run_task(task: tuple[int, Bug | None]) -> Outcome:
    return run_seed(*task, keeps_trace=False)


def _settle(cluster: Cluster) -> str | None:
    """Wait for an agreement that lasts; return what is wrong if there is none.

    The first may be broken once or twice by orders that a partition held back and that arrive now.
    """
    for _ in range(3):
        if not cluster.run_until_agreed(SETTLE_MS):
            return f"no agreement: {cluster.disagreement()}"
        failovers = cluster.judge.failovers
        cluster.run_for(CALM_MS)
        if cluster.judge.failovers != failovers:
            return "failed over without need"
        if cluster.disagreement() is None:
            lost = cluster.lost_writes()
            return f"writes {sorted(lost)[:5]} that all replicas had are lost" if lost else None
    return f"agreement did not last: {cluster.disagreement()}"
