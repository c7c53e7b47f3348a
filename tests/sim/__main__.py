"""Run seeds: `python -m tests.sim --seeds 1000`; or replay one: `--seed 7`."""

from __future__ import annotations

import argparse
import sys
import time

from tests.sim.faults import Outcome, run_seed
from tests.sim.sentinels import Bug


def replay_command(outcome: Outcome) -> str:
    """What to type to see a seed again."""
    return f"python -m tests.sim --seed {outcome.seed}"


def main() -> int:
    """Return 0 if no seed failed."""
    parser = argparse.ArgumentParser(prog="python -m tests.sim", description=__doc__)
    parser.add_argument("--seed", type=int, help="replay one seed with its trace")
    parser.add_argument("--seeds", type=int, default=200, help="how many to run")
    parser.add_argument("--first", type=int, default=0, help="the first of them")
    parser.add_argument("--bug", choices=[bug.value for bug in Bug], help="plant a mistake")
    arguments = parser.parse_args()
    bug = Bug(arguments.bug) if arguments.bug else None
    if arguments.seed is not None:
        outcome = run_seed(arguments.seed, bug)
        sys.stdout.write("\n".join(outcome.trace) + "\n")
        sys.stdout.write(f"{outcome.error or 'agreed'} after {outcome.settled_ms} ms\n")
        sys.stdout.write(f"digest {outcome.digest}\n")
        return int(outcome.error is not None)
    return run_many(range(arguments.first, arguments.first + arguments.seeds), bug)


def run_many(seeds: range, bug: Bug | None) -> int:
    """Run seeds, say which fail and how fast it goes."""
    started = time.perf_counter()
    failures = steps = failovers = slowest_ms = 0
    for seed in seeds:
        outcome = run_seed(seed, bug)
        steps += outcome.steps
        failovers += outcome.failovers
        slowest_ms = max(slowest_ms, outcome.settled_ms)
        if outcome.error is not None:
            failures += 1
            sys.stdout.write(f"FAILED {outcome.error}\n  {replay_command(outcome)}\n")
    elapsed_s = time.perf_counter() - started
    sys.stdout.write(
        f"{len(seeds)} seeds, {failures} failed; {failovers} failovers, {steps} steps, "
        f"slowest agreement {slowest_ms} ms; {len(seeds) / elapsed_s:.1f} seeds/s\n"
    )
    return int(failures > 0)


if __name__ == "__main__":
    sys.exit(main())
