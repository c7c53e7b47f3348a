"""What clients of a cluster send to its nodes: refused, as by a Redis without cluster support.

Follows Redis 7.0 `cluster.c: askingCommand, readonlyCommand, readwriteCommand`.
"""

from __future__ import annotations

from vedette.cmdspec import Flag, command
from vedette.errors import CommandError
from vedette.resp.replies import Reply

from ..engine import ServerContext


@command(
    "ASKING",
    arity=1,
    flags=Flag.FAST,
    group="cluster",
    since="3.0.0",
    summary="Refused: there is no cluster mode, and so no slot that moves.",
    categories=("connection",),
)
@command(
    "READONLY",
    arity=1,
    flags=Flag.FAST | Flag.LOADING | Flag.STALE,
    group="cluster",
    since="3.0.0",
    summary="Refused: there is no cluster mode; replicas serve reads without being asked.",
    categories=("connection",),
)
@command(
    "READWRITE",
    arity=1,
    flags=Flag.FAST | Flag.LOADING | Flag.STALE,
    group="cluster",
    since="3.0.0",
    summary="Refused: there is no cluster mode, and so nothing for it to undo.",
    categories=("connection",),
)
def refuse_cluster_command(ctx: ServerContext, argv: list[bytes]) -> Reply:
    raise CommandError(b"ERR This instance has cluster support disabled")
