"""INFO: the server's own account of itself, for people, dashboards and sentinels."""

from __future__ import annotations

from vedette.cmdspec import Flag, command
from vedette.info import render_sections
from vedette.resp.replies import Reply, VerbatimReply

from ..engine import ServerContext
from .info_sections import chosen_sections, collect


@command(
    "INFO",
    arity=-1,
    flags=Flag.LOADING | Flag.STALE,
    group="server",
    since="1.0.0",
    tips=("nondeterministic_output", "request_policy:all_shards", "response_policy:special"),
    summary="Returns the state and statistics of the server.",
    categories=("dangerous",),
)
def info(ctx: ServerContext, argv: list[bytes]) -> Reply:
    names = chosen_sections(word.decode("utf-8", "replace") for word in argv[1:])
    text = render_sections(collect(ctx, names))
    return VerbatimReply(text.encode("utf-8", "surrogateescape"))
