"""Who is told of what a script changes (`redis.set_repl`)."""

from __future__ import annotations

import enum


class Audience(enum.Flag):
    """The numbers are those that scripts know as REPL_NONE, REPL_AOF, REPL_REPLICA, REPL_ALL."""

    NONE = 0
    FILE = 1
    REPLICAS = 2
    ALL = FILE | REPLICAS
