"""Taking faults out of a failing plan until each that is left is needed (delta debugging)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from tests.sim.plan import Fault, Plan


def shrink(plan: Plan, fails: Callable[[Plan], bool], *, runs_max: int = 400) -> Plan:
    """Return a plan with as few faults as can be found in `runs_max` runs that still fails.

    Faults are data drawn beforehand, so to take one out leaves the others as they are.
    """
    faults = list(plan.faults)
    part_count = 2
    runs = 0
    while len(faults) >= 1 and runs < runs_max:
        size = max(1, -(-len(faults) // part_count))
        for start in range(0, len(faults), size):
            rest = faults[:start] + faults[start + size :]
            runs += 1
            if fails(replace(plan, faults=tuple(rest))):
                faults = rest
                part_count = max(part_count - 1, 2)
                break
        else:
            if size == 1:
                break
            part_count = min(2 * part_count, len(faults))
    return replace(plan, faults=tuple(_shortened(plan, faults, fails)))


def _shortened(plan: Plan, faults: list[Fault], fails: Callable[[Plan], bool]) -> list[Fault]:
    """Halve how long each fault lasts, once, where the plan still fails."""
    for index, fault in enumerate(faults):
        if fault.for_ms < 2:
            continue
        shorter = faults.copy()
        shorter[index] = replace(fault, for_ms=fault.for_ms // 2)
        if fails(replace(plan, faults=tuple(shorter))):
            faults = shorter
    return faults
