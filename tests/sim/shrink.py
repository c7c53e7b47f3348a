"""Taking faults out of a failing plan until each that is left is needed (delta debugging)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from tests.sim.plan import Fault, Plan


def shrink(plan: Plan, fails: Callable[[Plan], bool], *, runs_max: int = 400) -> Plan:
    """Return a plan with as few faults as can be found in `runs_max` runs that still fails.

    Faults are data drawn beforehand, so to take one out leaves the others as they are.
    """
    runs = 0

    def still_fails(faults: list[Fault]) -> bool:
        nonlocal runs
        runs += 1
        return runs <= runs_max and fails(replace(plan, faults=tuple(faults)))

    faults = _fewer(list(plan.faults), still_fails, part_count=2)
    shorter = _shortened(faults, still_fails)
    # With some of them shorter others may not be needed any more.
    least = _fewer(shorter, still_fails, part_count=len(shorter))
    return replace(plan, faults=tuple(least))


def _fewer(
    faults: list[Fault], fails: Callable[[list[Fault]], bool], *, part_count: int
) -> list[Fault]:
    """Take out what is not needed, in so many parts at first and then in smaller ones."""
    while faults:
        size = max(1, -(-len(faults) // part_count))
        for start in range(0, len(faults), size):
            rest = faults[:start] + faults[start + size :]
            if fails(rest):
                faults = rest
                part_count = max(part_count - 1, 2)
                break
        else:
            if size == 1:
                break
            part_count = min(2 * part_count, len(faults))
    return faults


def _shortened(faults: list[Fault], fails: Callable[[list[Fault]], bool]) -> list[Fault]:
    """Halve how long each fault lasts, once, where the plan still fails."""
    for index, fault in enumerate(faults):
        if fault.for_ms < 2:
            continue
        shorter = faults.copy()
        shorter[index] = replace(fault, for_ms=fault.for_ms // 2)
        if fails(shorter):
            faults = shorter
    return faults
