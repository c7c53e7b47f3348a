"""MODULE: there are none, and none can be loaded (Redis 7.0 `module.c: moduleCommand`)."""

from __future__ import annotations

from typing import Final

from vedette.clients.commands.arguments import help_reply
from vedette.cmdspec import Flag, command, container
from vedette.errors import CommandError
from vedette.resp.replies import Reply

from .. import directives
from ..engine import ServerContext
from .locality import is_allowed

MODULE = container("MODULE", group="server", since="4.0.0", summary="Commands about modules.")

_FLAGS: Final = Flag.ADMIN | Flag.NOSCRIPT
_CHANGING: Final = _FLAGS | Flag.NO_ASYNC_LOADING
_NOT_ALLOWED: Final = CommandError(
    b'ERR MODULE command not allowed. If the enable-module-command option is set to "local", you'
    b" can run it from a local connection, otherwise you need to set this option in the"
    b" configuration file, and then restart the server."
)


def _check_allowed(ctx: ServerContext) -> None:
    if not is_allowed(ctx.engine.configuration[directives.ENABLE_MODULE_COMMAND], ctx.session):
        raise _NOT_ALLOWED


@command(
    "MODULE|LIST",
    arity=2,
    flags=_FLAGS,
    group="server",
    since="4.0.0",
    tips=("nondeterministic_output_order",),
    summary="Lists the modules that are loaded: none.",
    complexity="O(1)",
)
def module_list(ctx: ServerContext, argv: list[bytes]) -> Reply:
    return []


@command(
    "MODULE|LOAD",
    arity=-3,
    flags=_CHANGING,
    group="server",
    since="4.0.0",
    summary="Refused: this server loads no modules.",
    complexity="O(1)",
)
@command(
    "MODULE|LOADEX",
    arity=-3,
    flags=_CHANGING,
    group="server",
    since="7.0.0",
    summary="Refused: this server loads no modules.",
    complexity="O(1)",
)
def module_load(ctx: ServerContext, argv: list[bytes]) -> Reply:
    _check_allowed(ctx)
    raise CommandError(b"ERR Error loading the extension. This server loads no modules.")


@command(
    "MODULE|UNLOAD",
    arity=3,
    flags=_CHANGING,
    group="server",
    since="4.0.0",
    summary="Answers that there is no such module.",
    complexity="O(1)",
)
def module_unload(ctx: ServerContext, argv: list[bytes]) -> Reply:
    _check_allowed(ctx)
    raise CommandError(b"ERR Error unloading module: no such module with that name")


_HELP: Final = (
    ("LIST", "List the modules that are loaded: none."),
    ("LOAD <path> [<arg> ...]", "Refused: this server loads no modules."),
    ("LOADEX <path> [[CONFIG <name> <value>] ...] [ARGS ...]", "Refused likewise."),
    ("UNLOAD <name>", "Answer that there is no such module."),
)


@command(
    "MODULE|HELP",
    arity=2,
    flags=Flag.LOADING | Flag.STALE,
    group="server",
    since="5.0.0",
    summary="Lists the subcommands.",
    complexity="O(1)",
)
def module_help(ctx: ServerContext, argv: list[bytes]) -> Reply:
    return help_reply("MODULE", _HELP)
