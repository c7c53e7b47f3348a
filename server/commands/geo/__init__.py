"""Commands of positions: sorted sets with geohashes as scores; reference: Redis 7.0 `geo.c`."""

from __future__ import annotations

from types import ModuleType
from typing import Final

from . import positions, radius, searching

MODULES: Final[tuple[ModuleType, ...]] = (positions, searching, radius)
