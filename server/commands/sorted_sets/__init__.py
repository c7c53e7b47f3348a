"""Commands of sorted sets, split by what they are about; reference: Redis 7.0 `t_zset.c`."""

from __future__ import annotations

from types import ModuleType
from typing import Final

from . import adding, algebra, members, popping, ranges

MODULES: Final[tuple[ModuleType, ...]] = (adding, members, ranges, popping, algebra)
