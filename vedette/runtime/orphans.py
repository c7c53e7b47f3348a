"""Children that are not ours: as process 1 of a container we inherit every orphan in it.

Somebody has to wait for them, or they stay in the process table for ever. redis-sentinel does so
with a wait for any child, and logs each stranger; here they go without a word.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Collection

import trio

_PERIOD_S = 1.0


def reap_orphans(own: Collection[int]) -> int:
    """Take leave of ended children that are not in `own`; return how many there were.

    Ends early at an ended child of our own, which whoever started it is about to wait for.
    """
    count = 0
    while True:
        try:
            ended = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
        except ChildProcessError:
            return count
        if ended is None or ended.si_pid in own:
            return count
        os.waitpid(ended.si_pid, 0)
        count += 1


async def keep_reaping(own: Callable[[], Collection[int] | None]) -> None:
    """Reap orphans for ever. `own()` names our own children, or None when that is unsure now."""
    while True:
        await trio.sleep(_PERIOD_S)
        children = own()
        if children is not None:
            reap_orphans(children)
