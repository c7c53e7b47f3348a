"""The commands of streams (Redis 7.0 `t_stream.c`)."""

from __future__ import annotations

from types import ModuleType
from typing import Final

from . import adding, claiming, groups, info, pending, ranges, reading

MODULES: Final[tuple[ModuleType, ...]] = (
    adding,
    ranges,
    reading,
    groups,
    pending,
    claiming,
    info,
)
