"""The sentinel as a pure deterministic machine: events in, actions out.

The whole of what the rest of the package needs::

    core = SentinelCore(state, rng)                # `initial_state(...)` builds the state
    actions = core.step(Started(now_ms=clock()))   # first event, once
    ...                                            # carry out the actions in their order
    core.next_wakeup_ms                            # step(TimePassed) no later than this
    core.state, views.*                            # to read, never to write

- `events.py`: everything that can happen, with what the runtime promises about it.
- `actions.py`: everything the machine can ask for, and how the runtime carries it out.
- `model.py`: the state (masters, nodes, fellow sentinels, links, failover).
- `views.py`: what SENTINEL MASTER, CKQUORUM, INFO and their kin answer, read from the state.

Nothing in here awaits, reads a clock, draws randomness of its own, opens a file or logs. The same
state, generator and events give the same actions, always: a journal of events is a full record.
"""

from __future__ import annotations

from .core import SentinelCore
from .durable import initial_state
from .model import SentinelState
from .options import GlobalOptions, MasterOptions

__all__ = ["SentinelCore", "SentinelState", "MasterOptions", "GlobalOptions", "initial_state"]
