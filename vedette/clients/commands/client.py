"""CLIENT: what clients tell of themselves and learn of one another (Redis `networking.c`).

What acts on other clients is in `client_control`.
"""

from __future__ import annotations

from typing import Final

from ...cmdspec import Flag, command, container
from ...errors import CommandError, quotable
from ...resp.replies import NO_REPLY, OK, Reply, VerbatimReply
from ..context import Context
from ..describe import describe_client
from ..session import ClientKind, ReplyMode, Session
from .arguments import SYNTAX_ERROR, check_name, help_reply, parse_integer
from .connection import BAD_CLIENT_NAME

_FLAGS: Final = Flag.NOSCRIPT | Flag.LOADING | Flag.STALE

CLIENT = container(
    "CLIENT",
    group="connection",
    since="2.4.0",
    summary="Commands about client connections.",
)

_KINDS: Final = {
    b"normal": ClientKind.NORMAL,
    b"master": ClientKind.MASTER,
    b"replica": ClientKind.REPLICA,
    b"slave": ClientKind.REPLICA,
    b"pubsub": ClientKind.PUBSUB,
}


def parse_kind(text: bytes) -> ClientKind:
    """Return the class of clients that `text` names.

    Raises:
        CommandError: it names none.
    """
    kind = _KINDS.get(text.lower())
    if kind is None:
        raise CommandError(b"ERR Unknown client type '%b'" % quotable(text))
    return kind


@command(
    "CLIENT|ID",
    arity=2,
    flags=_FLAGS,
    group="connection",
    since="5.0.0",
    summary="Returns the id of this connection.",
    complexity="O(1)",
)
def client_id(ctx: Context, argv: list[bytes]) -> Reply:
    return ctx.session.id


@command(
    "CLIENT|SETNAME",
    arity=3,
    flags=_FLAGS,
    group="connection",
    since="2.6.9",
    summary="Names this connection.",
    complexity="O(1)",
)
def client_setname(ctx: Context, argv: list[bytes]) -> Reply:
    ctx.session.name = check_name(argv[2], BAD_CLIENT_NAME)
    return OK


@command(
    "CLIENT|GETNAME",
    arity=2,
    flags=_FLAGS,
    group="connection",
    since="2.6.9",
    summary="Returns the name of this connection.",
    complexity="O(1)",
)
def client_getname(ctx: Context, argv: list[bytes]) -> Reply:
    return ctx.session.name or None


@command(
    "CLIENT|SETINFO",
    arity=4,
    flags=_FLAGS,
    group="connection",
    since="7.2.0",
    summary="Tells which client library this connection is made by.",
    complexity="O(1)",
    tips=("request_policy:all_nodes", "response_policy:all_succeeded"),
)
def client_setinfo(ctx: Context, argv: list[bytes]) -> Reply:
    attribute = argv[2].lower()
    if attribute not in (b"lib-name", b"lib-ver"):
        raise CommandError(b"ERR Unrecognized option '%b'" % quotable(argv[2]))
    error = b"ERR %b cannot contain spaces, newlines or special characters." % argv[2]
    value = check_name(argv[3], error)
    if attribute == b"lib-name":
        ctx.session.library_name = value
    else:
        ctx.session.library_version = value
    return OK


@command(
    "CLIENT|INFO",
    arity=2,
    flags=_FLAGS,
    group="connection",
    since="6.2.0",
    summary="Describes this connection.",
    complexity="O(1)",
    tips=("nondeterministic_output",),
)
def client_info(ctx: Context, argv: list[bytes]) -> Reply:
    ctx.session.last_command = "client|info"
    return VerbatimReply(describe_client(ctx.session, ctx.now_ms, argv) + b"\n")


@command(
    "CLIENT|LIST",
    arity=-2,
    flags=_FLAGS | Flag.ADMIN,
    group="connection",
    since="2.4.0",
    summary="Describes all connections, those of a type, or those with one of the ids.",
    complexity="O(N) where N is the number of connections",
    tips=("nondeterministic_output",),
)
def client_list(ctx: Context, argv: list[bytes]) -> Reply:
    ctx.session.last_command = "client|list"
    option = argv[2].upper() if len(argv) > 3 else b""
    sessions: list[Session | None]
    if len(argv) == 2:
        sessions = list(ctx.clients)
    elif option == b"TYPE" and len(argv) == 4:
        kind = parse_kind(argv[3])
        sessions = [session for session in ctx.clients if session.kind is kind]
    elif option == b"ID":
        ids = [parse_integer(text, b"ERR Invalid client ID") for text in argv[3:]]
        sessions = [ctx.clients.by_id(client_id) for client_id in ids]
    else:
        raise SYNTAX_ERROR
    lines = [
        describe_client(session, ctx.now_ms, argv if session is ctx.session else ()) + b"\n"
        for session in sessions
        if session is not None and not session.is_leaving
    ]
    return VerbatimReply(b"".join(lines))


@command(
    "CLIENT|REPLY",
    arity=3,
    flags=_FLAGS,
    group="connection",
    since="3.2.0",
    summary="Switches replies on or off, or leaves out the next one.",
    complexity="O(1)",
)
def client_reply(ctx: Context, argv: list[bytes]) -> Reply:
    session = ctx.session
    match argv[2].upper():
        case b"ON":
            session.reply_mode = ReplyMode.ON
            reply = OK
        case b"OFF":
            session.reply_mode = ReplyMode.OFF
            reply = NO_REPLY
        case b"SKIP":
            if session.reply_mode is not ReplyMode.OFF:
                session.reply_mode = ReplyMode.SKIP_NEXT
            reply = NO_REPLY
        case _:
            raise SYNTAX_ERROR
    session.recheck()
    return reply


@command(
    "CLIENT|NO-EVICT",
    arity=3,
    flags=_FLAGS | Flag.ADMIN,
    group="connection",
    since="7.0.0",
    summary="Exempts this connection from the eviction of clients.",
    complexity="O(1)",
)
def client_no_evict(ctx: Context, argv: list[bytes]) -> Reply:
    ctx.session.is_no_evict = _parse_switch(argv[2])
    return OK


@command(
    "CLIENT|NO-TOUCH",
    arity=3,
    flags=_FLAGS,
    group="connection",
    since="7.2.0",
    summary="Has this connection's commands leave the age of keys alone.",
    complexity="O(1)",
)
def client_no_touch(ctx: Context, argv: list[bytes]) -> Reply:
    ctx.session.is_no_touch = _parse_switch(argv[2])
    return OK


def _parse_switch(text: bytes) -> bool:
    match text.lower():
        case b"on":
            return True
        case b"off":
            return False
    raise SYNTAX_ERROR


@command(
    "CLIENT|GETREDIR",
    arity=2,
    flags=_FLAGS,
    group="connection",
    since="6.0.0",
    summary="Returns the client that is told of this one's tracked keys: 0 itself, -1 none.",
    complexity="O(1)",
)
def client_getredir(ctx: Context, argv: list[bytes]) -> Reply:
    tracking = ctx.session.tracking
    return -1 if tracking is None else tracking.redirect


#: Of these only what the program has is shown.
_HELP: Final = (
    ("CACHING (YES|NO)", "Say whether the keys of the next command are to be tracked."),
    ("GETNAME", "Return the name of this connection."),
    ("GETREDIR", "Return which client is told of tracked keys: 0 this one, -1 none."),
    ("ID", "Return the id of this connection."),
    ("INFO", "Describe this connection."),
    ("KILL <ip:port>", "Close the connection made from there."),
    (
        "KILL <option> <value> [<option> <value> [...]]",
        "Close the connections that meet all conditions:\n"
        "* ADDR <ip:port>: made from there.\n"
        "* LADDR <ip:port>: made to there.\n"
        "* ID <client-id>: of that id.\n"
        "* TYPE (NORMAL|MASTER|REPLICA|PUBSUB): of that type.\n"
        "* USER <username>: authenticated as that user.\n"
        "* SKIPME (YES|NO): whether to spare this connection (default: yes).",
    ),
    (
        "LIST [TYPE (NORMAL|MASTER|REPLICA|PUBSUB) | ID <client-id> [...]]",
        "Describe all connections, or some.",
    ),
    ("NO-EVICT (ON|OFF)", "Exempt this connection from the eviction of clients."),
    ("NO-TOUCH (ON|OFF)", "Leave the age of keys alone."),
    ("PAUSE <timeout> [WRITE|ALL]", "Have all commands, or those that write, wait."),
    ("REPLY (ON|OFF|SKIP)", "Switch replies to this connection."),
    ("SETINFO (LIB-NAME|LIB-VER) <value>", "Tell the client library in use."),
    ("SETNAME <name>", "Name this connection."),
    (
        "TRACKING (ON|OFF) [REDIRECT <id>] [BCAST] [PREFIX <prefix> [...]] [OPTIN] [OPTOUT] "
        "[NOLOOP]",
        "Switch the tracking of keys for this connection.",
    ),
    ("TRACKINGINFO", "Return how keys are tracked for this connection."),
    ("UNBLOCK <client-id> [TIMEOUT|ERROR]", "End the wait of another connection."),
    ("UNPAUSE", "End the pause."),
)


@command(
    "CLIENT|HELP",
    arity=2,
    flags=Flag.LOADING | Flag.STALE,
    group="connection",
    since="5.0.0",
    summary="Lists the subcommands.",
    complexity="O(1)",
)
def client_help(ctx: Context, argv: list[bytes]) -> Reply:
    container_row = ctx.engine.table.by_own_name("client")
    assert container_row is not None
    known = container_row.subcommands
    entries = [entry for entry in _HELP if entry[0].partition(" ")[0].encode() in known]
    return help_reply("CLIENT", tuple(entries))
