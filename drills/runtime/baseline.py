"""How the nodes of a deployment stood at the fault, and what has been synchronised since.

Owns the views and the lengths of the logs of that moment; what came after is read when asked for.
"""

from __future__ import annotations

from collections.abc import Collection

from ..observation import NodeView
from ..resyncs import Resyncs, count_resyncs
from .site import Site


class Baseline:
    """Taken when it is made."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._nodes = dict(site.observer.view.nodes)
        self._log_sizes = {name: path.stat().st_size for name, path in site.log_paths.items()}

    def served_since(self, name: str | None) -> Resyncs:
        """Return the synchronisations that a node has given replicas since; none for no node."""
        before = self._nodes.get(name or "", NodeView(time_ns=0))
        after = self._site.observer.view.nodes.get(name or "", before)
        return Resyncs(
            full=after.sync_full - before.sync_full,
            partial=after.sync_partial_ok - before.sync_partial_ok,
        )

    def received_since(self, gone: Collection[str]) -> dict[str, Resyncs]:
        """Return how each node but those that are `gone` was synchronised since, by its log."""
        found = {}
        for name, path in self._site.log_paths.items():
            if name not in gone:
                with path.open("rb") as log:
                    log.seek(self._log_sizes[name])
                    found[name] = count_resyncs(log.read().decode("utf-8", "replace"))
        return found
