"""How programs come up quickly."""

from __future__ import annotations

import gc
import sys
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def importing_much() -> Iterator[None]:
    """Have what a server or sentinel imports cost no more than it needs.

    The collector of garbage cycles rests, and never goes through what was imported, which stays: a
    fifth of a server's start. And rich is not to be found: structlog would import it for tracebacks
    that our logs do not show; a sixth.
    """
    gc.disable()
    known = sys.modules.get("rich")
    if known is None:
        sys.modules["rich"] = None  # type: ignore[assignment]  # to import it is an ImportError
    try:
        yield
    finally:
        if known is None:
            del sys.modules["rich"]
        gc.freeze()
        gc.enable()
