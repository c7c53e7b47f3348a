"""The commands for lists (Redis 7.0 `t_list.c`)."""

from __future__ import annotations

from types import ModuleType
from typing import Final

from . import blocking, elements, ends, moving

MODULES: Final[tuple[ModuleType, ...]] = (ends, elements, moving, blocking)
