"""SLOWLOG: the slowest commands of late (Redis 7.0 `slowlog.c`)."""

from __future__ import annotations

from typing import Final

from vedette.clients.commands.arguments import help_reply, subcommand_syntax_error
from vedette.cmdspec import Flag, command, container
from vedette.resp.replies import OK, Reply

from ..engine import ServerContext
from .arguments import INT64_MAX, parse_integer_between

SLOWLOG = container(
    "SLOWLOG", group="server", since="2.2.12", summary="Commands about the log of slow commands."
)

_FLAGS: Final = Flag.ADMIN | Flag.LOADING | Flag.STALE
_DEFAULT_COUNT: Final = 10


@command(
    "SLOWLOG|GET",
    arity=-2,
    flags=_FLAGS,
    group="server",
    since="2.2.12",
    tips=("request_policy:all_nodes", "nondeterministic_output"),
    summary="Returns the newest entries: id, time, microseconds, request, address and client name.",
    complexity="O(N) where N is the number of entries returned",
)
def slowlog_get(ctx: ServerContext, argv: list[bytes]) -> Reply:
    if len(argv) > 3:
        raise subcommand_syntax_error(argv)
    count = _DEFAULT_COUNT
    if len(argv) == 3:
        error = b"ERR count should be greater than or equal to -1"
        count = parse_integer_between(argv[2], -1, INT64_MAX, error)
    log = ctx.engine.slow_log
    return [
        [
            entry.id,
            entry.time_s,
            entry.duration_us,
            list(entry.argv),
            entry.address.encode(),
            entry.client_name,
        ]
        for entry in log.newest(len(log) if count < 0 else min(count, len(log)))
    ]


@command(
    "SLOWLOG|LEN",
    arity=2,
    flags=_FLAGS,
    group="server",
    since="2.2.12",
    tips=("request_policy:all_nodes", "response_policy:agg_sum", "nondeterministic_output"),
    summary="Returns the number of entries.",
    complexity="O(1)",
)
def slowlog_len(ctx: ServerContext, argv: list[bytes]) -> Reply:
    return len(ctx.engine.slow_log)


@command(
    "SLOWLOG|RESET",
    arity=2,
    flags=_FLAGS,
    group="server",
    since="2.2.12",
    tips=("request_policy:all_nodes", "response_policy:all_succeeded"),
    summary="Forgets all entries.",
    complexity="O(N) where N is the number of entries",
)
def slowlog_reset(ctx: ServerContext, argv: list[bytes]) -> Reply:
    ctx.engine.slow_log.clear()
    return OK


_HELP: Final = (
    (
        "GET [<count>]",
        "Return the newest <count> entries (default: 10; -1: all).\n"
        "Each is an id, a Unix time, the duration in microseconds, the request, the client's\n"
        "address and its name.",
    ),
    ("LEN", "Return the number of entries."),
    ("RESET", "Forget all entries."),
)


@command(
    "SLOWLOG|HELP",
    arity=2,
    flags=Flag.LOADING | Flag.STALE,
    group="server",
    since="6.2.0",
    summary="Lists the subcommands.",
    complexity="O(1)",
)
def slowlog_help(ctx: ServerContext, argv: list[bytes]) -> Reply:
    return help_reply("SLOWLOG", _HELP)
