"""Vedette's kernel: what two or more of the other packages need, and no policy."""

from __future__ import annotations

#: Version of Vedette itself.
__version__ = "0.1.0"

#: The level of Redis whose commands and behaviour are implemented; reported as `redis_version`.
REDIS_VERSION = "7.2.4"
