"""The commands of hashes (Redis 7.0 `t_hash.c`)."""

from __future__ import annotations

from types import ModuleType
from typing import Final

from . import counters, fields, iteration

MODULES: Final[tuple[ModuleType, ...]] = (fields, counters, iteration)
