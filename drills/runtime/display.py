"""What a drill shows while it runs, on standard error so that the report has the output to itself.

In a terminal the table of phases fills as they are reached; elsewhere each phase is one line.
"""

from __future__ import annotations

import trio
from rich.console import Console
from rich.live import Live

from ..report import render_phases
from ..timeline import Timeline

_REDRAW_INTERVAL_S = 0.1


class DrillDisplay:
    """Draws on `console`; a quiet one draws nothing."""

    def __init__(self, console: Console) -> None:
        self._console = console

    def note(self, text: str) -> None:
        """Show one line."""
        self._console.print(text, markup=False, highlight=False, soft_wrap=True)

    async def show_phases(self, timeline: Timeline) -> None:
        """Show the phases of `timeline` as they are reached, until cancelled."""
        if self._console.is_terminal:
            await self._draw_phases(timeline)
        else:
            await self._print_phases(timeline)

    async def _draw_phases(self, timeline: Timeline) -> None:
        with Live(console=self._console, auto_refresh=False, transient=True) as live:
            while True:
                live.update(render_phases(timeline.phases()), refresh=True)
                await trio.sleep(_REDRAW_INTERVAL_S)

    async def _print_phases(self, timeline: Timeline) -> None:
        shown: set[str] = set()
        while True:
            for phase in timeline.phases():
                if phase.after_ms is not None and phase.name not in shown:
                    shown.add(phase.name)
                    self.note(f"{phase.after_ms:8.0f} ms  {phase.name}: {phase.meaning}")
            await trio.sleep(_REDRAW_INTERVAL_S)
