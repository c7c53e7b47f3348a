"""The commands of sets (Redis 7.0 `t_set.c`)."""

from __future__ import annotations

from types import ModuleType
from typing import Final

from . import algebra, members, sampling

MODULES: Final[tuple[ModuleType, ...]] = (members, sampling, algebra)
