"""CLIENT KILL, PAUSE, UNPAUSE and UNBLOCK: what acts on other clients (Redis `networking.c`)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, TypeAlias

from ...cmdspec import Flag, command
from ...errors import CommandError, quotable
from ...resp.replies import OK, Reply
from ..context import Context
from ..session import Session
from .arguments import SYNTAX_ERROR, parse_integer, subcommand_syntax_error
from .client import parse_kind

_FLAGS: Final = Flag.ADMIN | Flag.NOSCRIPT | Flag.LOADING | Flag.STALE
UNBLOCKED: Final = b"UNBLOCKED client unblocked via CLIENT UNBLOCK"

#: Says of a session whether it is one of those to be killed.
Condition: TypeAlias = Callable[[Session], bool]


@command(
    "CLIENT|KILL",
    arity=-3,
    flags=_FLAGS,
    group="connection",
    since="2.4.0",
    summary="Closes the connections that meet all of the conditions.",
    complexity="O(N) where N is the number of connections",
)
def client_kill(ctx: Context, argv: list[bytes]) -> Reply:
    if len(argv) == 3:
        address = argv[2].decode("latin-1")
        if not _kill(ctx, [lambda session: session.address == address]):
            raise CommandError(b"ERR No such client")
        return OK
    conditions: list[Condition] = []
    spares_caller = True
    for index in range(2, len(argv), 2):
        if index + 1 == len(argv):
            raise SYNTAX_ERROR
        option, value = argv[index : index + 2]
        if option.upper() == b"SKIPME":
            spares_caller = _parse_yes_no(value)
        else:
            conditions.append(_parse_condition(ctx, option, value))
    if spares_caller:
        conditions.append(lambda session: session is not ctx.session)
    return _kill(ctx, conditions)


def _parse_condition(ctx: Context, option: bytes, value: bytes) -> Condition:
    match option.upper():
        case b"ID":
            error = b"ERR client-id should be greater than 0"
            client_id = parse_integer(value, error)
            if client_id < 1:
                raise CommandError(error)
            return lambda session: session.id == client_id
        case b"TYPE":
            kind = parse_kind(value)
            return lambda session: session.kind is kind
        case b"ADDR":
            address = value.decode("latin-1")
            return lambda session: session.address == address
        case b"LADDR":
            local_address = value.decode("latin-1")
            return lambda session: session.local_address == local_address
        case b"USER":
            user = ctx.access.users.get(value)
            if user is None:
                raise CommandError(b"ERR No such user '%b'" % quotable(value))
            return lambda session: session.user is user
    raise SYNTAX_ERROR


def _parse_yes_no(text: bytes) -> bool:
    match text.lower():
        case b"yes":
            return True
        case b"no":
            return False
    raise SYNTAX_ERROR


def _kill(ctx: Context, conditions: list[Condition]) -> int:
    """Close the clients that meet `conditions`; the caller itself once it has its reply."""
    killed = 0
    for session in ctx.clients:
        if session.is_leaving or not all(is_met(session) for is_met in conditions):
            continue
        ctx.clients.request_close(session, is_abrupt=session is not ctx.session)
        killed += 1
    return killed


@command(
    "CLIENT|PAUSE",
    arity=-3,
    flags=_FLAGS,
    group="connection",
    since="2.9.50",
    summary="Has commands of clients, or only those that write, wait for a time.",
    complexity="O(1)",
)
def client_pause(ctx: Context, argv: list[bytes]) -> Reply:
    if len(argv) > 4:
        raise subcommand_syntax_error(argv)
    mode = argv[3].upper() if len(argv) == 4 else b"ALL"
    if mode not in (b"ALL", b"WRITE"):
        raise CommandError(b"ERR CLIENT PAUSE mode must be WRITE or ALL")
    timeout_ms = parse_integer(argv[2], b"ERR timeout is not an integer or out of range")
    if timeout_ms < 0:
        raise CommandError(b"ERR timeout is negative")
    ctx.engine.pause(ctx.now_ms + timeout_ms, writes_only=mode == b"WRITE")
    return OK


@command(
    "CLIENT|UNPAUSE",
    arity=2,
    flags=_FLAGS,
    group="connection",
    since="6.2.0",
    summary="Ends the pause and has what waited run.",
    complexity="O(N) where N is the number of waiting clients",
)
def client_unpause(ctx: Context, argv: list[bytes]) -> Reply:
    ctx.engine.unpause()
    return OK


@command(
    "CLIENT|UNBLOCK",
    arity=-3,
    flags=_FLAGS,
    group="connection",
    since="5.0.0",
    summary="Ends the wait of another client, as by its timeout or with an error.",
    complexity="O(log N) where N is the number of connections",
)
def client_unblock(ctx: Context, argv: list[bytes]) -> Reply:
    if len(argv) > 4:
        raise subcommand_syntax_error(argv)
    reason = argv[3].upper() if len(argv) == 4 else b"TIMEOUT"
    if reason not in (b"TIMEOUT", b"ERROR"):
        raise CommandError(b"ERR CLIENT UNBLOCK reason should be TIMEOUT or ERROR")
    target = ctx.clients.by_id(parse_integer(argv[2]))
    if target is None or target.blocked is None or target.blocked.is_repeated:
        return 0  # nobody there, or merely paused: that is UNPAUSE's to end
    if reason == b"ERROR":
        ctx.engine.count_failure(target)
        ctx.engine.unblock(target, ctx.engine.error_reply(UNBLOCKED))
    else:
        ctx.engine.unblock(target, target.blocked.on_timeout())
    return 1
