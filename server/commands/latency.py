"""LATENCY: what takes long, by event and by command (Redis 7.0 `latency.c`)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from vedette.clients.commands.arguments import help_reply
from vedette.cmdspec import CommandRow, Flag, command, container
from vedette.errors import CommandError, quotable
from vedette.resp.replies import MapReply, Reply, VerbatimReply

from .. import directives
from ..engine import ServerContext
from ..observation import latency_report

LATENCY = container(
    "LATENCY", group="server", since="2.8.13", summary="Commands about what takes long."
)

_FLAGS: Final = Flag.ADMIN | Flag.NOSCRIPT | Flag.LOADING | Flag.STALE
_TIPS: Final = ("nondeterministic_output", "request_policy:all_nodes", "response_policy:special")


@command(
    "LATENCY|HISTORY",
    arity=3,
    flags=_FLAGS,
    group="server",
    since="2.8.13",
    tips=_TIPS,
    summary="Returns the samples of an event, each with its time.",
    complexity="O(1)",
)
def latency_history(ctx: ServerContext, argv: list[bytes]) -> Reply:
    series = ctx.engine.latency.series(argv[2].decode("latin-1"))
    return [] if series is None else [list(sample) for sample in series.samples]


@command(
    "LATENCY|LATEST",
    arity=2,
    flags=_FLAGS,
    group="server",
    since="2.8.13",
    tips=_TIPS,
    summary="Returns the last sample and the worst of each event.",
    complexity="O(1)",
)
def latency_latest(ctx: ServerContext, argv: list[bytes]) -> Reply:
    return [
        [event.encode(), *series.samples[-1], series.worst_ms]
        for event, series in ctx.engine.latency.events()
    ]


@command(
    "LATENCY|RESET",
    arity=-2,
    flags=_FLAGS,
    group="server",
    since="2.8.13",
    tips=("request_policy:all_nodes", "response_policy:all_succeeded"),
    summary="Forgets the samples of the events, or of all.",
    complexity="O(1)",
)
def latency_reset(ctx: ServerContext, argv: list[bytes]) -> Reply:
    monitor = ctx.engine.latency
    if len(argv) == 2:
        return monitor.forget()
    return sum(monitor.forget(event.decode("latin-1")) for event in argv[2:])


@command(
    "LATENCY|GRAPH",
    arity=3,
    flags=_FLAGS,
    group="server",
    since="2.8.13",
    tips=_TIPS,
    summary="Draws the samples of an event with characters.",
    complexity="O(1)",
)
def latency_graph(ctx: ServerContext, argv: list[bytes]) -> Reply:
    event = argv[2].decode("latin-1")
    series = ctx.engine.latency.series(event)
    if series is None:
        raise CommandError(b"ERR No samples available for event '%b'" % quotable(argv[2]))
    return VerbatimReply(latency_report.graph(event, series, ctx.now_ms // 1000).encode())


@command(
    "LATENCY|DOCTOR",
    arity=2,
    flags=_FLAGS,
    group="server",
    since="2.8.13",
    tips=_TIPS,
    summary="Says what took long and what may be done about it.",
    complexity="O(1)",
)
def latency_doctor(ctx: ServerContext, argv: list[bytes]) -> Reply:
    engine = ctx.engine
    text = latency_report.report(
        engine.latency,
        slow_log_threshold_us=engine.configuration[directives.SLOWLOG_LOG_SLOWER_THAN],
        now_s=ctx.now_ms // 1000,
    )
    return VerbatimReply(text.encode())


@command(
    "LATENCY|HISTOGRAM",
    arity=-2,
    flags=_FLAGS,
    group="server",
    since="7.0.0",
    tips=_TIPS,
    summary="Returns how many calls of each command took no longer than so many microseconds.",
    complexity="O(N) where N is the number of commands",
)
def latency_histogram(ctx: ServerContext, argv: list[bytes]) -> Reply:
    table = ctx.engine.table
    if len(argv) == 2:
        chosen: Iterable[CommandRow] = table.top_rows()
    else:
        named = [table.named(name) for name in argv[2:]]
        chosen = [row for row in named if row is not None]
    rows = [row for top in chosen for row in (top, *top.subcommands.values())]
    pairs: list[tuple[Reply, Reply]] = []
    for row in rows:
        histogram = row.histogram
        if histogram is None:
            continue
        steps: list[tuple[Reply, Reply]] = list(histogram.cumulative())
        shown = MapReply([(b"calls", histogram.total_count), (b"histogram_usec", MapReply(steps))])
        pairs.append((row.full_name.encode(), shown))
    return MapReply(pairs)


_HELP: Final = (
    ("DOCTOR", "Say what took long and what may be done about it."),
    ("GRAPH <event>", "Draw the samples of an event."),
    (
        "HISTOGRAM [<command> ...]",
        "Return how many calls took no longer than so many microseconds, by command.",
    ),
    ("HISTORY <event>", "Return the samples of an event, each with its time."),
    ("LATEST", "Return the last sample and the worst of each event."),
    ("RESET [<event> ...]", "Forget the samples of the events, or of all."),
)


@command(
    "LATENCY|HELP",
    arity=2,
    flags=Flag.LOADING | Flag.STALE,
    group="server",
    since="2.8.13",
    summary="Lists the subcommands.",
    complexity="O(1)",
)
def latency_help(ctx: ServerContext, argv: list[bytes]) -> Reply:
    return help_reply("LATENCY", _HELP)
