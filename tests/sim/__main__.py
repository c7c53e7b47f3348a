"""Run seeds: `python -m tests.sim --seeds 1000`; or replay one: `--seed 7`, or `--case FILE`.

A seed that fails is shrunk to the faults that it takes and written to `tests/corpus/sim/`, from
where the suite runs it from then on.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

from tests.sim.bugs import Bug
from tests.sim.plan import Plan, plan_of
from tests.sim.runs import Outcome, run_plan, run_seeds
from tests.sim.shrink import shrink

CORPUS = Path(__file__).parents[1] / "corpus" / "sim"


def main() -> int:
    """Return 0 if no seed failed."""
    parser = argparse.ArgumentParser(prog="python -m tests.sim", description=__doc__)
    parser.add_argument("--seed", type=int, help="replay one seed with its trace")
    parser.add_argument("--case", type=Path, help="replay a case of the corpus with its trace")
    parser.add_argument("--seeds", type=int, default=200, help="how many to run")
    parser.add_argument("--first", type=int, default=0, help="the first of them")
    parser.add_argument("--jobs", type=int, help="processes to run them in; all cores by default")
    parser.add_argument("--bug", choices=[bug.value for bug in Bug], help="plant a mistake")
    arguments = parser.parse_args()
    bug = Bug(arguments.bug) if arguments.bug else None
    if arguments.case is not None:
        return replay(Plan.from_json(arguments.case.read_text()), bug)
    if arguments.seed is not None:
        return replay(plan_of(arguments.seed), bug)
    seeds = range(arguments.first, arguments.first + arguments.seeds)
    return run_many(seeds, bug, arguments.jobs)


def replay(plan: Plan, bug: Bug | None) -> int:
    """Run one plan and show all that happened."""
    outcome = run_plan(plan, bug)
    sys.stdout.write("\n".join(outcome.trace) + "\n")
    sys.stdout.write(f"{outcome.error or 'agreed'} after {outcome.settled_ms} ms\n")
    sys.stdout.write(f"digest {outcome.digest}\n")
    return int(outcome.error is not None)


def run_many(seeds: range, bug: Bug | None, jobs: int | None) -> int:
    """Run seeds, say which fail and how fast it goes."""
    began = time.perf_counter()
    failed: list[Outcome] = []
    steps = failovers = slowest_ms = 0
    cpu_s = 0.0
    count = 0
    for outcome in run_seeds(seeds, bug, jobs=jobs):
        count += 1
        steps += outcome.steps
        failovers += outcome.failovers
        slowest_ms = max(slowest_ms, outcome.settled_ms)
        cpu_s += outcome.cpu_s
        if outcome.error is not None:
            failed.append(outcome)
            sys.stdout.write(f"FAILED {outcome.error}\n  {outcome.replay_command}\n")
            sys.stdout.flush()
    assert count == len(seeds), f"only {count} seeds were run"
    elapsed_s = time.perf_counter() - began
    sys.stdout.write(
        f"{len(seeds)} seeds, {len(failed)} failed; {failovers} failovers, {steps} steps, "
        f"slowest agreement {slowest_ms} ms; {len(seeds) / elapsed_s:.1f} seeds/s in all, "
        f"{failovers / cpu_s:.1f} failovers/s on one core\n"
    )
    for outcome in failed[:5]:
        describe_failure(outcome)
    return int(bool(failed))


def describe_failure(outcome: Outcome) -> None:
    """Shrink a failure, say what it takes, and put it into the corpus (unless it was planted)."""
    bug = outcome.bug

    def fails(plan: Plan) -> bool:
        return run_plan(plan, bug, keeps_trace=False).error is not None

    least = shrink(outcome.plan, fails)
    error = run_plan(least, bug, keeps_trace=False).error
    assert error is not None, "a shrunk plan fails as well"
    sys.stdout.write(f"\nseed {outcome.plan.seed}, shrunk to {len(least.faults)} faults: {error}\n")
    sys.stdout.writelines(f"  {fault}\n" for fault in least.faults)
    if bug is None:
        sys.stdout.write(f"  python -m tests.sim --case {store(least, error)}\n")


def store(plan: Plan, error: str) -> Path:
    """Write a case of the corpus; its name says only where it came from, so give it a better."""
    CORPUS.mkdir(parents=True, exist_ok=True)
    path = CORPUS / f"seed-{plan.seed}.json"
    path.write_text(plan.to_json(found=error))
    return path


if __name__ == "__main__":
    sys.exit(main())
