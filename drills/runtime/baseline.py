"""How the nodes of a laboratory stood at the fault, and what has been synchronised since.

Owns the views and the lengths of the logs of that moment; what came after is read when asked for.
"""

from __future__ import annotations

from collections.abc import Collection

from ..observation import NodeView
from ..resyncs import Resyncs, count_resyncs
from .lab import Lab


class Baseline:
    """Taken when it is made."""

    def __init__(self, lab: Lab) -> None:
        self._lab = lab
        self._nodes = dict(lab.observer.view.nodes)
        self._log_sizes = {
            process.name: process.log_path.stat().st_size for process in lab.plan.nodes
        }

    def served_since(self, name: str | None) -> Resyncs:
        """Return the synchronisations that a node has given replicas since; none for no node."""
        before = self._nodes.get(name or "", NodeView(time_ns=0))
        after = self._lab.observer.view.nodes.get(name or "", before)
        return Resyncs(
            full=after.sync_full - before.sync_full,
            partial=after.sync_partial_ok - before.sync_partial_ok,
        )

    def received_since(self, gone: Collection[str]) -> dict[str, Resyncs]:
        """Return how each node but those that are `gone` was synchronised since."""
        found = {}
        for process in self._lab.plan.nodes:
            if process.name not in gone:
                with process.log_path.open("rb") as log:
                    log.seek(self._log_sizes[process.name])
                    found[process.name] = count_resyncs(log.read().decode("utf-8", "replace"))
        return found
