"""The commands about connections, channels and commands themselves, which every server answers.

`COMMON_MODULES` is what a program's own list of command modules begins with.
"""

from __future__ import annotations

from types import ModuleType
from typing import Final

from . import acl, client, client_control, command, connection, pubsub, tracking

COMMON_MODULES: Final[tuple[ModuleType, ...]] = (
    connection,
    client,
    client_control,
    tracking,
    pubsub,
    command,
    acl,
)

__all__ = ["COMMON_MODULES"]
