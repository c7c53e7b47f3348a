"""What rich would draw, as plain text."""

from __future__ import annotations

import io

from rich.console import Console, RenderableType

__all__ = ["draw"]


def draw(picture: RenderableType, width: int = 120) -> str:
    """Return `picture` as it looks in a terminal of `width` columns, without colours."""
    output = io.StringIO()
    Console(width=width, file=output).print(picture)
    return output.getvalue()
