"""EVAL and its kin, and SCRIPT: Redis 7.0 `eval.c`."""

from __future__ import annotations

from typing import Final

from vedette.cmdspec import Flag, Keys, command, container
from vedette.errors import CommandError
from vedette.resp.replies import OK, Reply

from ..engine import ServerContext
from ..scripting.debugger import Debugger
from .arguments import NOT_AN_INTEGER, parse_integer
from .help import help_reply

_NO_SCRIPT: Final = CommandError(b"NOSCRIPT No matching script. Please use EVAL.")
RUN_FLAGS: Final = (
    Flag.NOSCRIPT | Flag.STALE | Flag.SKIP_MONITOR | Flag.NO_MANDATORY_KEYS | Flag.MOVABLE_KEYS
)
WRITING: Final = RUN_FLAGS | Flag.MAY_REPLICATE
READING: Final = RUN_FLAGS | Flag.READONLY
ANY_WRITE: Final = Keys(
    access=("RW", "ACCESS", "UPDATE"),
    keynum_index=2,
    notes="We cannot tell how the keys will be used so we assume the worst, RW and UPDATE",
)
ANY_READ: Final = Keys(
    access=("RO", "ACCESS"),
    keynum_index=2,
    notes="We cannot tell how the keys will be used so we assume the worst, RO and ACCESS",
)


def split_arguments(
    argv: list[bytes], bad_count: bytes = NOT_AN_INTEGER
) -> tuple[list[bytes], list[bytes]]:
    """Return the keys and the further arguments of EVAL or FCALL.

    Raises:
        CommandError: the number of keys is none (the text is `bad_count`), or cannot be.
    """
    count = parse_integer(argv[2], bad_count)
    if count > len(argv) - 3:
        raise CommandError(b"ERR Number of keys can't be greater than number of args")
    if count < 0:
        raise CommandError(b"ERR Number of keys can't be negative")
    return argv[3 : 3 + count], argv[3 + count :]


def _eval(ctx: ServerContext, argv: list[bytes], *, is_read_only: bool) -> Reply:
    ctx.engine.show_to_monitors(ctx.session, argv)
    keys, arguments = split_arguments(argv)
    scripting = ctx.engine.scripting

    def evaluate(debugger: Debugger | None = None) -> Reply:
        return scripting.evaluate(
            scripting.load(argv[1]),
            argv,
            keys,
            arguments,
            is_read_only=is_read_only,
            debugger=debugger,
        )

    if scripting.debugging.wants(ctx.session):
        return scripting.debugging.run(ctx.session, argv[1], evaluate)
    return evaluate()


def _evalsha(ctx: ServerContext, argv: list[bytes], *, is_read_only: bool) -> Reply:
    ctx.engine.show_to_monitors(ctx.session, argv)
    if len(argv[1]) != 40:
        raise _NO_SCRIPT
    if ctx.engine.scripting.debugging.wants(ctx.session):
        raise CommandError(b"ERR Please use EVAL instead of EVALSHA for debugging")
    keys, arguments = split_arguments(argv)
    scripting = ctx.engine.scripting
    script = scripting.scripts.get(argv[1].lower())
    if script is None:
        raise _NO_SCRIPT
    return scripting.evaluate(script, argv, keys, arguments, is_read_only=is_read_only)


@command(
    "EVAL",
    arity=-3,
    flags=WRITING,
    keys=ANY_WRITE,
    group="scripting",
    since="2.6.0",
    summary="Runs a Lua script on the server.",
)
def eval_(ctx: ServerContext, argv: list[bytes]) -> Reply:
    return _eval(ctx, argv, is_read_only=False)


@command(
    "EVAL_RO",
    arity=-3,
    flags=READING,
    keys=ANY_READ,
    group="scripting",
    since="7.0.0",
    summary="Runs a Lua script that only reads.",
)
def eval_ro(ctx: ServerContext, argv: list[bytes]) -> Reply:
    return _eval(ctx, argv, is_read_only=True)


@command(
    "EVALSHA",
    arity=-3,
    flags=WRITING,
    keys=Keys(access=("RW", "ACCESS", "UPDATE"), keynum_index=2),
    group="scripting",
    since="2.6.0",
    summary="Runs a script that the server knows, by its SHA-1.",
)
def evalsha(ctx: ServerContext, argv: list[bytes]) -> Reply:
    return _evalsha(ctx, argv, is_read_only=False)


@command(
    "EVALSHA_RO",
    arity=-3,
    flags=READING,
    keys=Keys(access=("RO", "ACCESS"), keynum_index=2),
    group="scripting",
    since="7.0.0",
    summary="Runs a script that the server knows and that only reads, by its SHA-1.",
)
def evalsha_ro(ctx: ServerContext, argv: list[bytes]) -> Reply:
    return _evalsha(ctx, argv, is_read_only=True)


SCRIPT = container(
    "SCRIPT", group="scripting", since="2.6.0", summary="Manages the scripts the server knows."
)


@command(
    "SCRIPT|LOAD",
    arity=3,
    flags=Flag.NOSCRIPT | Flag.STALE,
    group="scripting",
    since="2.6.0",
    tips=("request_policy:all_nodes", "response_policy:all_succeeded"),
    summary="Keeps a script without running it.",
)
def script_load(ctx: ServerContext, argv: list[bytes]) -> Reply:
    return ctx.engine.scripting.load(argv[2]).sha


@command(
    "SCRIPT|EXISTS",
    arity=-3,
    flags=Flag.NOSCRIPT,
    group="scripting",
    since="2.6.0",
    tips=("request_policy:all_shards", "response_policy:agg_logical_and"),
    summary="Says which scripts the server knows.",
)
def script_exists(ctx: ServerContext, argv: list[bytes]) -> Reply:
    scripts = ctx.engine.scripting.scripts
    return [int(sha.lower() in scripts) for sha in argv[2:]]


@command(
    "SCRIPT|FLUSH",
    arity=-2,
    flags=Flag.NOSCRIPT,
    group="scripting",
    since="2.6.0",
    tips=("request_policy:all_nodes", "response_policy:all_succeeded"),
    summary="Forgets all scripts.",
)
def script_flush(ctx: ServerContext, argv: list[bytes]) -> Reply:
    if len(argv) > 3 or (len(argv) == 3 and argv[2].upper() not in (b"SYNC", b"ASYNC")):
        raise CommandError(b"ERR SCRIPT FLUSH only support SYNC|ASYNC option")
    ctx.engine.scripting.flush()
    return OK


@command(
    "SCRIPT|KILL",
    arity=2,
    flags=Flag.NOSCRIPT | Flag.ALLOW_BUSY,
    group="scripting",
    since="2.6.0",
    tips=("request_policy:all_shards", "response_policy:one_succeeded"),
    summary="Ends the script that runs, if it has not written.",
)
def script_kill(ctx: ServerContext, argv: list[bytes]) -> Reply:
    ctx.engine.scripting.kill(is_eval=True)
    return OK


@command(
    "SCRIPT|DEBUG",
    arity=3,
    flags=Flag.NOSCRIPT,
    group="scripting",
    since="3.2.0",
    summary="Has the scripts that this client evaluates debugged, or no longer.",
)
def script_debug(ctx: ServerContext, argv: list[bytes]) -> Reply:
    ctx.engine.scripting.debugging.choose(ctx.session, argv[2])
    return OK


@command(
    "SCRIPT|HELP",
    arity=2,
    flags=Flag.LOADING | Flag.STALE,
    group="scripting",
    since="5.0.0",
    summary="Describes the subcommands.",
)
def script_help(ctx: ServerContext, argv: list[bytes]) -> Reply:
    return help_reply(ctx, "SCRIPT")
