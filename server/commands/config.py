"""CONFIG: reading and changing the directives while the server runs (Redis 7.0 `config.c`)."""

from __future__ import annotations

from vedette.clients.info_sections import reset_statistics
from vedette.cmdspec import Flag, command, container
from vedette.conf.settings import Flag as DirectiveFlag
from vedette.errors import CommandError
from vedette.resp.replies import OK, MapReply, Reply

from .. import directives
from ..engine import ServerContext
from ..engine.context import Statistics
from ..engine.engine import LOADING
from .arguments import syntax_error
from .help import help_reply
from .locality import is_allowed

CONFIG = container(
    "CONFIG", group="server", since="2.0.0", summary="Reads and changes the configuration."
)

_FLAGS = Flag.ADMIN | Flag.NOSCRIPT | Flag.LOADING | Flag.STALE


@command(
    "CONFIG|GET",
    arity=-3,
    flags=_FLAGS,
    group="server",
    since="2.0.0",
    summary="Returns the directives that match the patterns, with their values.",
)
def config_get(ctx: ServerContext, argv: list[bytes]) -> Reply:
    settings = ctx.engine.configuration.settings
    return MapReply(list(settings.matching(argv[2:])))


@command(
    "CONFIG|SET",
    arity=-4,
    flags=_FLAGS,
    group="server",
    since="2.0.0",
    tips=("request_policy:all_nodes", "response_policy:all_succeeded"),
    summary="Sets directives, all of those given or none.",
)
def config_set(ctx: ServerContext, argv: list[bytes]) -> Reply:
    if len(argv) % 2:
        raise syntax_error()
    configuration = ctx.engine.configuration
    pairs = list(zip(argv[2::2], argv[3::2], strict=True))
    if ctx.engine.load.started_ms is not None and any(
        DirectiveFlag.NOT_WHILE_LOADING in directive.flags
        for name, _ in pairs
        if (directive := directives.TABLE.find(name.decode("latin-1"))) is not None
    ):
        raise LOADING
    allows_protected = is_allowed(configuration[directives.ENABLE_PROTECTED_CONFIGS], ctx.session)
    configuration.set(pairs, allows_protected=allows_protected)
    return OK


@command(
    "CONFIG|REWRITE",
    arity=2,
    flags=_FLAGS,
    group="server",
    since="2.8.0",
    summary="Writes the values in force into the configuration file.",
)
def config_rewrite(ctx: ServerContext, argv: list[bytes]) -> Reply:
    if not ctx.engine.configuration.path:
        raise CommandError(b"ERR The server is running without a config file")
    try:
        ctx.engine.host.rewrite_configuration()
    except OSError as error:
        reason = (error.strerror or str(error)).encode()
        raise CommandError(b"ERR Rewriting config file: %b" % reason) from error
    return OK


@command(
    "CONFIG|RESETSTAT",
    arity=2,
    flags=_FLAGS,
    group="server",
    since="2.0.0",
    summary="Sets the counters that INFO reports to zero.",
)
def config_resetstat(ctx: ServerContext, argv: list[bytes]) -> Reply:
    ctx.statistics = Statistics()
    ctx.engine.memory.reset_statistics()
    ctx.engine.client_eviction.evicted_count = 0
    ctx.engine.expiry_cycle.stale_share = 0.0
    ctx.engine.expiry_cycle.capped_count = 0
    ctx.engine.expire_cycle_s = 0.0
    ctx.engine.aof.delayed_count = 0
    ctx.engine.aof.rewrite.count = 0
    reset_statistics(ctx.engine)
    return OK


@command(
    "CONFIG|HELP",
    arity=2,
    flags=Flag.LOADING | Flag.STALE,
    group="server",
    since="5.0.0",
    summary="Lists the subcommands.",
)
def config_help(ctx: ServerContext, argv: list[bytes]) -> Reply:
    return help_reply(ctx, "CONFIG")
