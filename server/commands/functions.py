"""FUNCTION, FCALL and FCALL_RO: Redis 7.0 `functions.c`."""

from __future__ import annotations

from typing import Final

from vedette.clients.commands.arguments import subcommand_syntax_error
from vedette.cmdspec import Flag, command, container
from vedette.errors import CommandError, quotable
from vedette.glob import matches_glob
from vedette.resp.replies import OK, MapReply, Reply, SetReply, SimpleString

from .. import directives
from ..engine import ServerContext
from ..persistence.rdb.errors import CorruptRdbError, DumpFooterError
from ..persistence.rdb.payload import dump_libraries, restore_libraries
from ..scripting.functions import LOAD_LIMIT_MS
from ..scripting.libraries import Library
from ..scripting.scripting import SLOW_SCRIPT
from .help import help_reply
from .scripting import ANY_READ, ANY_WRITE, READING, WRITING, split_arguments

_ALL_SHARDS: Final = ("request_policy:all_shards", "response_policy:all_succeeded")
_BAD_COUNT: Final = b"ERR Bad number of keys provided"
_ENGINE: Final = b"LUA"

FUNCTION = container(
    "FUNCTION", group="scripting", since="7.0.0", summary="Manages libraries of functions."
)


def _fcall(ctx: ServerContext, argv: list[bytes], *, is_read_only: bool) -> Reply:
    ctx.engine.show_to_monitors(ctx.session, argv)
    scripting = ctx.engine.scripting
    function = scripting.functions.libraries.function(argv[1])
    if function is None:
        raise CommandError(b"ERR Function not found")
    keys, arguments = split_arguments(argv, _BAD_COUNT)
    return scripting.call(function, argv, keys, arguments, is_read_only=is_read_only)


@command(
    "FCALL",
    arity=-3,
    flags=WRITING,
    keys=ANY_WRITE,
    group="scripting",
    since="7.0.0",
    summary="Calls a function.",
)
def fcall(ctx: ServerContext, argv: list[bytes]) -> Reply:
    return _fcall(ctx, argv, is_read_only=False)


@command(
    "FCALL_RO",
    arity=-3,
    flags=READING,
    keys=ANY_READ,
    group="scripting",
    since="7.0.0",
    summary="Calls a function that only reads.",
)
def fcall_ro(ctx: ServerContext, argv: list[bytes]) -> Reply:
    return _fcall(ctx, argv, is_read_only=True)


@command(
    "FUNCTION|LOAD",
    arity=-3,
    flags=Flag.NOSCRIPT | Flag.WRITE | Flag.DENYOOM,
    group="scripting",
    since="7.0.0",
    tips=_ALL_SHARDS,
    summary="Loads a library of functions.",
)
def function_load(ctx: ServerContext, argv: list[bytes]) -> Reply:
    for option in argv[2:-1]:
        if option.upper() != b"REPLACE":
            raise CommandError(b"ERR Unknown option given: %b" % quotable(option))
    name = ctx.engine.scripting.functions.load(
        argv[-1],
        replaces=len(argv) > 3,
        limit_ms=0 if ctx.session.is_deaf else LOAD_LIMIT_MS,
    )
    ctx.changes = 1
    return name


@command(
    "FUNCTION|DELETE",
    arity=3,
    flags=Flag.NOSCRIPT | Flag.WRITE,
    group="scripting",
    since="7.0.0",
    tips=_ALL_SHARDS,
    summary="Deletes a library with its functions.",
)
def function_delete(ctx: ServerContext, argv: list[bytes]) -> Reply:
    if not ctx.engine.scripting.functions.libraries.remove(argv[2]):
        raise CommandError(b"ERR Library not found")
    ctx.changes = 1
    return OK


@command(
    "FUNCTION|FLUSH",
    arity=-2,
    flags=Flag.NOSCRIPT | Flag.WRITE,
    group="scripting",
    since="7.0.0",
    tips=_ALL_SHARDS,
    summary="Deletes all libraries.",
)
def function_flush(ctx: ServerContext, argv: list[bytes]) -> Reply:
    if len(argv) > 3:
        raise subcommand_syntax_error(argv)
    if len(argv) == 3 and argv[2].upper() not in (b"SYNC", b"ASYNC"):
        raise CommandError(b"ERR FUNCTION FLUSH only supports SYNC|ASYNC option")
    ctx.engine.scripting.functions.flush()
    ctx.changes = 1
    return OK


@command(
    "FUNCTION|LIST",
    arity=-2,
    flags=Flag.NOSCRIPT,
    group="scripting",
    since="7.0.0",
    tips=("nondeterministic_output_order",),
    summary="Lists libraries and their functions.",
)
def function_list(ctx: ServerContext, argv: list[bytes]) -> Reply:
    has_code = False
    pattern = None
    words = iter(argv[2:])
    for word in words:
        if not has_code and word.upper() == b"WITHCODE":
            has_code = True
        elif pattern is None and word.upper() == b"LIBRARYNAME":
            pattern = next(words, None)
            if pattern is None:
                raise CommandError(b"ERR library name argument was not given")
        else:
            raise CommandError(b"ERR Unknown argument %b" % quotable(word))
    return [
        _described(library, has_code=has_code)
        for library in ctx.engine.scripting.functions.libraries
        if pattern is None or matches_glob(pattern, library.name, ignore_case=True)
    ]


def _described(library: Library, *, has_code: bool) -> Reply:
    functions: list[Reply] = [
        MapReply(
            [
                (b"name", function.name),
                (b"description", function.description),
                (b"flags", SetReply([SimpleString(name) for name in function.flags.names])),
            ]
        )
        for function in library.functions.values()
    ]
    fields: list[tuple[Reply, Reply]] = [
        (b"library_name", library.name),
        (b"engine", _ENGINE),
        (b"functions", functions),
    ]
    if has_code:
        fields.append((b"library_code", library.code))
    return MapReply(fields)


@command(
    "FUNCTION|STATS",
    arity=2,
    flags=Flag.NOSCRIPT | Flag.ALLOW_BUSY,
    group="scripting",
    since="7.0.0",
    tips=(
        "nondeterministic_output",
        "request_policy:all_shards",
        "response_policy:special",
    ),
    summary="Says which function runs, and how many there are.",
)
def function_stats(ctx: ServerContext, argv: list[bytes]) -> Reply:
    scripting = ctx.engine.scripting
    run = scripting.run
    running: Reply = None
    if run is not None:
        if run.is_eval:
            raise SLOW_SCRIPT
        running = MapReply(
            [(b"name", run.name), (b"command", [*run.argv]), (b"duration_ms", run.elapsed_ms)]
        )
    libraries = scripting.functions.libraries
    counts = MapReply(
        [
            (b"libraries_count", len(libraries)),
            (b"functions_count", libraries.function_count),
        ]
    )
    return MapReply([(b"running_script", running), (b"engines", MapReply([(_ENGINE, counts)]))])


@command(
    "FUNCTION|KILL",
    arity=2,
    flags=Flag.NOSCRIPT | Flag.ALLOW_BUSY,
    group="scripting",
    since="7.0.0",
    tips=("request_policy:all_shards", "response_policy:one_succeeded"),
    summary="Ends the function that runs, if it has not written.",
)
def function_kill(ctx: ServerContext, argv: list[bytes]) -> Reply:
    ctx.engine.scripting.kill(is_eval=False)
    return OK


@command(
    "FUNCTION|DUMP",
    arity=2,
    flags=Flag.NOSCRIPT,
    group="scripting",
    since="7.0.0",
    summary="Returns all libraries in a form that FUNCTION RESTORE takes.",
)
def function_dump(ctx: ServerContext, argv: list[bytes]) -> Reply:
    engine = ctx.engine
    compress = engine.configuration[directives.RDB_COMPRESSION]
    return dump_libraries(engine.scripting.functions.libraries.codes, compress=compress)


@command(
    "FUNCTION|RESTORE",
    arity=-3,
    flags=Flag.NOSCRIPT | Flag.WRITE | Flag.DENYOOM,
    group="scripting",
    since="7.0.0",
    tips=_ALL_SHARDS,
    summary="Loads the libraries that FUNCTION DUMP returned.",
)
def function_restore(ctx: ServerContext, argv: list[bytes]) -> Reply:
    if len(argv) > 4:
        raise subcommand_syntax_error(argv)
    policy = argv[3].upper() if len(argv) > 3 else b"APPEND"
    if policy not in (b"FLUSH", b"APPEND", b"REPLACE"):
        raise CommandError(
            b"ERR Wrong restore policy given, value should be either FLUSH, APPEND or REPLACE."
        )
    functions = ctx.engine.scripting.functions
    try:
        is_checked = ctx.engine.checks_payloads
        libraries = functions.load_apart(restore_libraries(argv[2], is_checked=is_checked))
    except DumpFooterError as error:
        raise CommandError(b"ERR DUMP payload version or checksum are wrong") from error
    except CorruptRdbError as error:
        raise CommandError(b"ERR %b" % error.reason.encode()) from error
    if policy == b"FLUSH":
        functions.adopt(libraries)
    else:
        functions.libraries.join(libraries, replaces=policy == b"REPLACE")
    ctx.changes = 1
    return OK


@command(
    "FUNCTION|HELP",
    arity=2,
    flags=Flag.LOADING | Flag.STALE,
    group="scripting",
    since="7.0.0",
    summary="Describes the subcommands.",
)
def function_help(ctx: ServerContext, argv: list[bytes]) -> Reply:
    return help_reply(ctx, "FUNCTION")
