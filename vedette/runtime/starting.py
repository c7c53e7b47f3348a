"""How programs come up quickly."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def importing_much() -> Iterator[None]:
    """Have the collector of garbage cycles rest while modules are imported, which make none.

    It would go through all of them time and again: a fourteenth of a server's start.
    """
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
