"""PING, ECHO, QUIT, RESET, HELLO and AUTH: Redis 7.0 `networking.c`, `acl.c: authCommand`."""

from __future__ import annotations

from typing import Final

from ... import REDIS_VERSION
from ...acl import DEFAULT_USER
from ...cmdspec import Flag, command
from ...errors import CommandError, quotable
from ...resp.replies import OK, PONG, MapReply, RawReply, Reply
from ..context import Context
from ..session import ClientKind
from .arguments import SYNTAX_ERROR, check_name, parse_integer

WRONGPASS: Final = CommandError(b"WRONGPASS invalid username-password pair or user is disabled.")
NO_PASSWORD: Final = CommandError(
    b"ERR AUTH <password> called without any password configured for the default user."
    b" Are you sure your configuration is correct?"
)
HELLO_NEEDS_AUTH: Final = CommandError(
    b"NOAUTH HELLO must be called with the client already authenticated, otherwise the"
    b" HELLO AUTH <user> <pass> option can be used to authenticate the client and select the"
    b" RESP protocol version at the same time"
)
NOPROTO: Final = CommandError(b"NOPROTO unsupported protocol version")
BAD_CLIENT_NAME: Final = b"ERR Client names cannot contain spaces, newlines or special characters."

#: Flags of what a client may send before it is known, or to take leave.
_HANDSHAKE: Final = (
    Flag.NOSCRIPT | Flag.LOADING | Flag.STALE | Flag.FAST | Flag.NO_AUTH | Flag.ALLOW_BUSY
)
_RESET: Final = RawReply(b"+RESET\r\n")


@command(
    "PING",
    arity=-1,
    flags=Flag.FAST | Flag.WHILE_SUBSCRIBED,
    group="connection",
    since="1.0.0",
    summary="Answers PONG, or the argument.",
    complexity="O(1)",
    tips=("request_policy:all_shards", "response_policy:all_succeeded"),
)
def ping(ctx: Context, argv: list[bytes]) -> Reply:
    if len(argv) > 2:
        raise CommandError(b"ERR wrong number of arguments for 'ping' command")
    session = ctx.session
    if session.protocol == 2 and session.is_subscribed:
        return [b"pong", argv[1] if len(argv) == 2 else b""]
    return PONG if len(argv) == 1 else argv[1]


@command(
    "ECHO",
    arity=2,
    flags=Flag.LOADING | Flag.STALE | Flag.FAST,
    group="connection",
    since="1.0.0",
    summary="Answers its argument.",
    complexity="O(1)",
)
def echo(ctx: Context, argv: list[bytes]) -> Reply:
    return argv[1]


@command(
    "QUIT",
    arity=-1,
    flags=_HANDSHAKE | Flag.NOT_QUEUED | Flag.WHILE_SUBSCRIBED,
    group="connection",
    since="1.0.0",
    summary="Closes the connection once everything owed has been sent.",
    complexity="O(1)",
)
def quit_(ctx: Context, argv: list[bytes]) -> Reply:
    ctx.clients.request_close(ctx.session)
    return OK


@command(
    "RESET",
    arity=1,
    flags=_HANDSHAKE | Flag.NOT_QUEUED | Flag.WHILE_SUBSCRIBED,
    group="connection",
    since="6.2.0",
    summary="Makes the connection as it was when it was new.",
    complexity="O(1)",
)
def reset(ctx: Context, argv: list[bytes]) -> Reply:
    session = ctx.session
    if session.kind in (ClientKind.MASTER, ClientKind.REPLICA):
        raise CommandError(b"ERR can only reset normal client connections")
    ctx.engine.discard_transaction(session)
    ctx.pubsub.forget(session)
    session.reset()
    ctx.engine.on_reset(session)
    ctx.engine.gate.take_default_user(session)
    ctx.engine.enter(session)  # the database may be another one
    return _RESET


@command(
    "HELLO",
    arity=-1,
    flags=_HANDSHAKE,
    group="connection",
    since="6.0.0",
    summary="Chooses the protocol, authenticates, names the client; tells about the server.",
    complexity="O(1)",
)
def hello(ctx: Context, argv: list[bytes]) -> Reply:
    session = ctx.session
    protocol = session.protocol if len(argv) == 1 else _parse_protocol(argv[1])
    name: bytes | None = None
    index = 2
    while index < len(argv):
        option = argv[index].upper()
        arguments = argv[index + 1 : index + 3]
        if option == b"AUTH" and len(arguments) == 2:
            log_in(ctx, argv[0], *arguments)
            index += 3
        elif option == b"SETNAME" and arguments:
            name = check_name(arguments[0], BAD_CLIENT_NAME)
            index += 2
        else:
            raise CommandError(b"ERR Syntax error in HELLO option '%b'" % quotable(argv[index]))
    if not session.is_authenticated:
        raise HELLO_NEEDS_AUTH
    if name is not None:
        session.name = name
    session.protocol = protocol
    session.recheck()
    return MapReply(
        [
            (b"server", b"redis"),
            (b"version", REDIS_VERSION.encode()),
            (b"proto", protocol),
            (b"id", session.id),
            *ctx.hello_fields(),
            (b"modules", []),
        ]
    )


def _parse_protocol(text: bytes) -> int:
    protocol = parse_integer(text, b"ERR Protocol version is not an integer or out of range")
    if protocol not in (2, 3):
        raise NOPROTO
    return protocol


@command(
    "AUTH",
    arity=-2,
    flags=_HANDSHAKE,
    group="connection",
    since="1.0.0",
    summary="Authenticates the connection by password, or by user and password.",
    complexity="O(N) where N is the number of passwords of the user",
)
def auth(ctx: Context, argv: list[bytes]) -> Reply:
    if len(argv) > 3:
        raise SYNTAX_ERROR
    if len(argv) == 3:
        log_in(ctx, argv[0], argv[1], argv[2])
    elif ctx.access.users.default.is_nopass:
        raise NO_PASSWORD
    else:
        log_in(ctx, argv[0], DEFAULT_USER, argv[1])
    return OK


def log_in(ctx: Context, verb: bytes, name: bytes, password: bytes) -> None:
    """Authenticate the session of `ctx` for AUTH or HELLO; a failure leaves it as it was.

    Raises:
        CommandError: WRONGPASS.
    """
    gate = ctx.engine.gate
    if not gate.log_in(ctx.session, name, password, command=verb, now_ms=ctx.now_ms):
        raise WRONGPASS
