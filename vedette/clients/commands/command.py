"""COMMAND: what the program's own table says of its commands (Redis 7.0 `server.c`)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from ...cmdspec import CommandRow, Flag, categories_of, command
from ...cmdspec.describe import access_flags, docs_of, info_of
from ...cmdspec.keys import KeySpec
from ...errors import CommandError
from ...glob import matches_glob
from ...resp.encode import encode_reply
from ...resp.replies import MapReply, RawReply, Reply
from ..context import Context
from .arguments import SYNTAX_ERROR, help_reply

_FLAGS: Final = Flag.LOADING | Flag.STALE
_CATEGORIES: Final = ("connection",)
_UNORDERED: Final = ("nondeterministic_output_order",)


@command(
    "COMMAND",
    arity=-1,
    flags=_FLAGS,
    group="server",
    since="2.8.13",
    summary="Describes all commands.",
    complexity="O(N) where N is the number of commands",
    tips=_UNORDERED,
    categories=_CATEGORIES,
)
def command_(ctx: Context, argv: list[bytes]) -> Reply:
    return [_described(ctx, row, info_of) for row in ctx.engine.table]


@command(
    "COMMAND|COUNT",
    arity=2,
    flags=_FLAGS,
    group="server",
    since="2.8.13",
    summary="Returns how many commands there are.",
    complexity="O(1)",
    categories=_CATEGORIES,
)
def command_count(ctx: Context, argv: list[bytes]) -> Reply:
    return len(ctx.engine.table)


@command(
    "COMMAND|INFO",
    arity=-2,
    flags=_FLAGS,
    group="server",
    since="2.8.13",
    summary="Describes the named commands, or all.",
    complexity="O(N) where N is the number of commands asked for",
    tips=_UNORDERED,
    categories=_CATEGORIES,
)
def command_info(ctx: Context, argv: list[bytes]) -> Reply:
    if len(argv) == 2:
        return command_(ctx, argv)
    rows = [ctx.engine.table.named(name) for name in argv[2:]]
    return [None if row is None else _described(ctx, row, info_of) for row in rows]


@command(
    "COMMAND|DOCS",
    arity=-2,
    flags=_FLAGS,
    group="server",
    since="7.0.0",
    summary="Documents the named commands, or all; unknown ones are left out.",
    complexity="O(N) where N is the number of commands asked for",
    tips=_UNORDERED,
    categories=_CATEGORIES,
)
def command_docs(ctx: Context, argv: list[bytes]) -> Reply:
    table = ctx.engine.table
    rows = list(table) if len(argv) == 2 else [table.named(name) for name in argv[2:]]
    return MapReply(
        [(row.full_name.encode(), _described(ctx, row, docs_of)) for row in rows if row is not None]
    )


def _described(ctx: Context, row: CommandRow, describe: Callable[[CommandRow], Reply]) -> RawReply:
    """Return what `describe` says of `row`, encoded once for each version of the protocol.

    redis-cli asks for the documents of all commands whenever it starts, and many clients for the
    whole of COMMAND; to make them anew would keep everybody else waiting for tens of milliseconds.
    """
    protocol = ctx.session.protocol
    found = row.descriptions.get((describe, protocol))
    if found is None:
        found = RawReply(encode_reply(describe(row), protocol))
        row.descriptions[describe, protocol] = found
    return found


@command(
    "COMMAND|LIST",
    arity=-2,
    flags=_FLAGS,
    group="server",
    since="7.0.0",
    summary="Lists the names of all commands, of a category's or of those matching a pattern.",
    complexity="O(N) where N is the number of commands",
    tips=_UNORDERED,
    categories=_CATEGORIES,
)
def command_list(ctx: Context, argv: list[bytes]) -> Reply:
    rows = ctx.engine.table.listed_rows()
    if len(argv) == 2:
        return [row.full_name.encode() for row in rows]
    if len(argv) != 5 or argv[2].upper() != b"FILTERBY":
        raise SYNTAX_ERROR
    wanted = argv[4]
    match argv[3].upper():
        case b"MODULE":
            return []
        case b"ACLCAT":
            category = wanted.decode("latin-1").lower()
            return [row.full_name.encode() for row in rows if category in categories_of(row)]
        case b"PATTERN":
            names = [row.full_name.encode() for row in rows]
            return [name for name in names if matches_glob(wanted, name, ignore_case=True)]
    raise SYNTAX_ERROR


@command(
    "COMMAND|GETKEYS",
    arity=-3,
    flags=_FLAGS,
    group="server",
    since="2.8.13",
    summary="Returns the keys among the arguments of a command.",
    complexity="O(N) where N is the number of arguments",
    categories=_CATEGORIES,
)
def command_getkeys(ctx: Context, argv: list[bytes]) -> Reply:
    return [key for key, _ in _key_accesses(ctx, argv[2:])]


@command(
    "COMMAND|GETKEYSANDFLAGS",
    arity=-3,
    flags=_FLAGS,
    group="server",
    since="7.0.0",
    summary="Returns the keys among the arguments of a command, and what it does to them.",
    complexity="O(N) where N is the number of arguments",
    categories=_CATEGORIES,
)
def command_getkeysandflags(ctx: Context, argv: list[bytes]) -> Reply:
    return [[key, access_flags(spec)] for key, spec in _key_accesses(ctx, argv[2:])]


def _key_accesses(ctx: Context, argv: list[bytes]) -> list[tuple[bytes, KeySpec]]:
    """Return the keys of the request `argv` with the group each belongs to.

    Raises:
        CommandError: there is no such command, it has no keys, or cannot be called like this.
    """
    row = _row_of(ctx, argv)
    if not any("NOT_KEY" not in spec.access for spec in row.keys.specs):
        raise CommandError(b"ERR The command has no key arguments")
    if not row.min_arguments <= len(argv) <= row.max_arguments:
        raise CommandError(b"ERR Invalid number of arguments specified for command")
    found = list(row.keys.accesses(argv))
    if not found and not row.flags & Flag.NO_MANDATORY_KEYS:
        raise CommandError(b"ERR Invalid arguments specified for command")
    return found


def _row_of(ctx: Context, argv: list[bytes]) -> CommandRow:
    try:
        return ctx.engine.table.find(argv)
    except CommandError:
        raise CommandError(b"ERR Invalid command specified") from None


_HELP: Final = (
    ("(no subcommand)", "Describe all commands."),
    ("COUNT", "Return how many commands there are."),
    ("DOCS [<command-name> ...]", "Document the named commands, or all."),
    ("GETKEYS <full-command>", "Return the keys among the arguments of a command."),
    ("GETKEYSANDFLAGS <full-command>", "Return the keys, and what the command does to them."),
    ("INFO [<command-name> ...]", "Describe the named commands, or all."),
    ("LIST [FILTERBY (MODULE <name>|ACLCAT <category>|PATTERN <glob>)]", "List their names."),
)


@command(
    "COMMAND|HELP",
    arity=2,
    flags=_FLAGS,
    group="server",
    since="5.0.0",
    summary="Lists the subcommands.",
    complexity="O(1)",
    categories=_CATEGORIES,
)
def command_help(ctx: Context, argv: list[bytes]) -> Reply:
    return help_reply("COMMAND", _HELP)
