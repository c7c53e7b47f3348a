"""What clients and tools send to a cluster's nodes: refused, as by a Redis without cluster support.

Follows Redis 7.2 `cluster.c: clusterCommand, askingCommand, readonlyCommand, readwriteCommand`.
"""

from __future__ import annotations

from typing import Final

from vedette.cmdspec import Flag, command, container
from vedette.errors import CommandError
from vedette.resp.replies import Reply

from ..engine import ServerContext

CLUSTER = container(
    "CLUSTER", group="cluster", since="3.0.0", summary="Commands of cluster mode: all refused."
)

_CHANGING: Final = Flag.ADMIN | Flag.STALE | Flag.NO_ASYNC_LOADING
_ASKING: Final = Flag.ADMIN | Flag.STALE
_VARIES: Final = ("nondeterministic_output",)

#: Name, arity, flags, since when, tips.
_SUBCOMMANDS: Final[tuple[tuple[str, int, int, str, tuple[str, ...]], ...]] = (
    ("ADDSLOTS", -3, _CHANGING, "3.0.0", ()),
    ("ADDSLOTSRANGE", -4, _CHANGING, "7.0.0", ()),
    ("BUMPEPOCH", 2, _CHANGING, "3.0.0", _VARIES),
    ("COUNT-FAILURE-REPORTS", 3, _ASKING, "3.0.0", _VARIES),
    ("COUNTKEYSINSLOT", 3, Flag.STALE, "3.0.0", ()),
    ("DELSLOTS", -3, _CHANGING, "3.0.0", ()),
    ("DELSLOTSRANGE", -4, _CHANGING, "7.0.0", ()),
    ("FAILOVER", -2, _CHANGING, "3.0.0", ()),
    ("FLUSHSLOTS", 2, _CHANGING, "3.0.0", ()),
    ("FORGET", 3, _CHANGING, "3.0.0", ()),
    ("GETKEYSINSLOT", 4, Flag.STALE, "3.0.0", _VARIES),
    ("HELP", 2, Flag.LOADING | Flag.STALE, "5.0.0", ()),
    ("INFO", 2, Flag.STALE, "3.0.0", _VARIES),
    ("KEYSLOT", 3, Flag.STALE, "3.0.0", ()),
    ("LINKS", 2, Flag.STALE, "7.0.0", _VARIES),
    ("MEET", -4, _CHANGING, "3.0.0", ()),
    ("MYID", 2, Flag.STALE, "3.0.0", ()),
    ("MYSHARDID", 2, Flag.STALE, "7.2.0", _VARIES),
    ("NODES", 2, Flag.STALE, "3.0.0", _VARIES),
    ("REPLICAS", 3, _ASKING, "5.0.0", _VARIES),
    ("REPLICATE", 3, _CHANGING, "3.0.0", ()),
    ("RESET", -2, _ASKING | Flag.NOSCRIPT, "3.0.0", ()),
    ("SAVECONFIG", 2, _CHANGING, "3.0.0", ()),
    ("SET-CONFIG-EPOCH", 3, _CHANGING, "3.0.0", ()),
    ("SETSLOT", -4, _CHANGING, "3.0.0", ()),
    ("SHARDS", 2, Flag.STALE, "7.0.0", _VARIES),
    ("SLAVES", 3, _ASKING, "3.0.0", _VARIES),
    ("SLOTS", 2, Flag.STALE, "3.0.0", _VARIES),
)


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


for _name, _arity, _flags, _since, _tips in _SUBCOMMANDS:
    command(
        f"CLUSTER|{_name}",
        arity=_arity,
        flags=_flags,
        group="cluster",
        since=_since,
        tips=_tips,
        summary="Refused: there is no cluster mode.",
        deprecated_since={"SLAVES": "5.0.0", "SLOTS": "7.0.0"}.get(_name, ""),
        replaced_by={"SLAVES": "`CLUSTER REPLICAS`", "SLOTS": "`CLUSTER SHARDS`"}.get(_name, ""),
    )(refuse_cluster_command)
