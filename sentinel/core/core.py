"""The machine's front door: one event in, the actions it leads to out.

Knows which module handles what, and nothing of how. See the package's docstring for its use.
"""

from __future__ import annotations

import random

from .actions import Action
from .events import Event
from .model import SentinelState


class SentinelCore:
    """One sentinel.

    `state` comes from `initial_state()` and belongs to the machine from then on. `rng` is used for
    nothing but the spread of retries; a journal must keep its seed.
    """

    def __init__(self, state: SentinelState, rng: random.Random) -> None:
        self._state = state
        self._rng = rng

    @property
    def state(self) -> SentinelState:
        """All that is known, to be read only."""
        return self._state

    @property
    def next_wakeup_ms(self) -> int | None:
        """When `TimePassed` is due at the latest; None only before `Started`."""
        return None

    def step(self, event: Event) -> list[Action]:
        """Handle one event; return what is to be done, in order.

        Raises AssertionError when an invariant of the machine is broken: a bug, not an input.
        """
        raise AssertionError(f"no handler for {event}")
