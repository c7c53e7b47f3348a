"""ACL: users and their rules, and the log of what was refused (Redis 7.0 `acl.c: aclCommand`)."""

from __future__ import annotations

from typing import Final

from ...acl import (
    DEFAULT_USER,
    AclFileError,
    LogEntry,
    RuleError,
    Selector,
    User,
    check,
    describe_users,
    has_blank,
)
from ...acl.access import explanation
from ...cmdspec import CATEGORIES, Flag, command, container
from ...cmdspec.table import wrong_arity_text
from ...conf.quoting import encode_word
from ...errors import CommandError, quotable
from ...resp.replies import OK, DoubleReply, MapReply, Reply, SetReply
from ..context import Context
from .arguments import help_reply, parse_integer, subcommand_syntax_error

ACL = container("ACL", group="server", since="6.0.0", summary="Commands about access control.")

_FLAGS: Final = Flag.NOSCRIPT | Flag.LOADING | Flag.STALE
_ADMIN: Final = _FLAGS | Flag.ADMIN

_GENPASS_DEFAULT_BITS: Final = 256
_GENPASS_MAX_BITS: Final = 4096
_LOG_DEFAULT_COUNT: Final = 10
_NO_FILE: Final = (
    b"ERR This Redis instance is not configured to use an ACL file. You may want to specify users"
    b" via the ACL SETUSER command and then issue a CONFIG REWRITE (assuming you have a Redis"
    b" configuration file set) in order to store users in the Redis configuration."
)
_NOT_SAVED: Final = (
    b"ERR There was an error trying to save the ACLs. Please check the server logs for more"
    b" information"
)


def _error(text: str) -> CommandError:
    """Return the error of that text, in which no line may end."""
    line = encode_word(text).replace(b"\r", b" ").replace(b"\n", b" ")
    return CommandError(b"ERR " + line)


@command(
    "ACL|SETUSER",
    arity=-3,
    flags=_ADMIN,
    group="server",
    since="6.0.0",
    summary="Creates a user or changes one, by all of the rules or none.",
    complexity="O(N) where N is the number of rules",
)
def acl_setuser(ctx: Context, argv: list[bytes]) -> Reply:
    name = argv[2]
    if has_blank(name):
        raise CommandError(b"ERR Usernames can't contain spaces or null characters")
    try:
        change = ctx.access.users.set_user(name, argv[3:])
    except RuleError as error:
        raise _error(str(error)) from error
    ctx.engine.on_users_changed(change)
    return OK


@command(
    "ACL|DELUSER",
    arity=-3,
    flags=_ADMIN,
    group="server",
    since="6.0.0",
    summary="Deletes users and closes their connections.",
    complexity="O(N) where N is the number of connections",
)
def acl_deluser(ctx: Context, argv: list[bytes]) -> Reply:
    if DEFAULT_USER in argv[2:]:
        raise CommandError(b"ERR The 'default' user cannot be removed")
    change = ctx.access.users.delete(argv[2:])
    ctx.engine.on_users_changed(change)
    return len(change.gone)


@command(
    "ACL|GETUSER",
    arity=3,
    flags=_ADMIN,
    group="server",
    since="6.0.0",
    summary="Describes a user.",
    complexity="O(N) where N is the number of passwords and rules",
)
def acl_getuser(ctx: Context, argv: list[bytes]) -> Reply:
    user = ctx.access.users.get(argv[2])
    if user is None:
        return None
    others: list[Reply] = [MapReply(_permissions(user, each)) for each in user.selectors[1:]]
    return MapReply(
        [
            (b"flags", SetReply(user.flags())),
            (b"passwords", list(user.passwords)),
            *_permissions(user, user.root),
            (b"selectors", others),
        ]
    )


def _permissions(user: User, selector: Selector) -> list[tuple[Reply, Reply]]:
    return [
        (b"commands", user.command_rules(selector)),
        (b"keys", selector.describe_keys()),
        (b"channels", selector.describe_channels()),
    ]


@command(
    "ACL|LIST",
    arity=2,
    flags=_ADMIN,
    group="server",
    since="6.0.0",
    summary="Describes all users, as in an ACL file.",
    complexity="O(N) where N is the number of users",
)
def acl_list(ctx: Context, argv: list[bytes]) -> Reply:
    return list(describe_users(ctx.access.users))


@command(
    "ACL|USERS",
    arity=2,
    flags=_ADMIN,
    group="server",
    since="6.0.0",
    summary="Lists the names of all users.",
    complexity="O(N) where N is the number of users",
)
def acl_users(ctx: Context, argv: list[bytes]) -> Reply:
    return [user.name for user in ctx.access.users]


@command(
    "ACL|WHOAMI",
    arity=2,
    flags=_FLAGS,
    group="server",
    since="6.0.0",
    summary="Returns the name of this connection's user.",
    complexity="O(1)",
)
def acl_whoami(ctx: Context, argv: list[bytes]) -> Reply:
    user = ctx.session.user
    return None if user is None else user.name


@command(
    "ACL|CAT",
    arity=-2,
    flags=_FLAGS,
    group="server",
    since="6.0.0",
    summary="Lists the categories, or the commands of one.",
    complexity="O(N) where N is the number of commands",
)
def acl_cat(ctx: Context, argv: list[bytes]) -> Reply:
    if len(argv) > 3:
        raise subcommand_syntax_error(argv)
    if len(argv) == 2:
        return [category.encode() for category in CATEGORIES]
    category = argv[2].decode("latin-1").lower()
    if category not in CATEGORIES:
        raise CommandError(b"ERR Unknown category '%b'" % quotable(argv[2][:128]))
    rows = ctx.access.index.rows_in(category)
    return [row.full_name.encode() for row in rows if not row.is_hidden]


@command(
    "ACL|GENPASS",
    arity=-2,
    flags=_FLAGS,
    group="server",
    since="6.0.0",
    summary="Returns a random password of 256 bits, or of as many as said.",
    complexity="O(1)",
)
def acl_genpass(ctx: Context, argv: list[bytes]) -> Reply:
    if len(argv) > 3:
        raise subcommand_syntax_error(argv)
    bits = parse_integer(argv[2]) if len(argv) == 3 else _GENPASS_DEFAULT_BITS
    if not 0 < bits <= _GENPASS_MAX_BITS:
        raise CommandError(
            b"ERR ACL GENPASS argument must be the number of bits for the output password, a"
            b" positive number up to %d" % _GENPASS_MAX_BITS
        )
    return ctx.engine.random_hex((bits + 3) // 4).encode()


@command(
    "ACL|LOG",
    arity=-2,
    flags=_ADMIN,
    group="server",
    since="6.0.0",
    summary="Lists the latest refusals, or forgets them.",
    complexity="O(N) where N is the number of entries shown",
)
def acl_log(ctx: Context, argv: list[bytes]) -> Reply:
    if len(argv) > 3:
        raise subcommand_syntax_error(argv)
    if len(argv) == 3 and argv[2].lower() == b"reset":
        ctx.access.log.clear()
        return OK
    count = parse_integer(argv[2]) if len(argv) == 3 else _LOG_DEFAULT_COUNT
    return [_entry(entry, ctx.now_ms) for entry in ctx.access.log.newest(count)]


def _entry(entry: LogEntry, now_ms: int) -> Reply:
    return MapReply(
        [
            (b"count", entry.count),
            (b"reason", entry.reason.value.encode()),
            (b"context", entry.context.encode()),
            (b"object", entry.subject),
            (b"username", entry.user_name),
            (b"age-seconds", DoubleReply((now_ms - entry.updated_ms) / 1000)),
            (b"client-info", entry.client_info),
            (b"entry-id", entry.entry_id),
            (b"timestamp-created", entry.created_ms),
            (b"timestamp-last-updated", entry.updated_ms),
        ]
    )


@command(
    "ACL|DRYRUN",
    arity=-4,
    flags=_ADMIN,
    group="server",
    since="7.0.0",
    summary="Tells whether a user may run a command, without running it.",
    complexity="O(1)",
)
def acl_dryrun(ctx: Context, argv: list[bytes]) -> Reply:
    user = ctx.access.users.get(argv[2])
    if user is None:
        raise CommandError(b"ERR User '%b' not found" % quotable(argv[2]))
    request = argv[3:]
    try:
        row = ctx.engine.table.find(request)
    except CommandError:
        raise CommandError(b"ERR Command '%b' not found" % quotable(request[0])) from None
    if not row.min_arguments <= len(request) <= row.max_arguments:
        raise CommandError(wrong_arity_text(row))
    denial = check(user, row, request)
    return OK if denial is None else explanation(denial, row, request)


@command(
    "ACL|LOAD",
    arity=2,
    flags=_ADMIN,
    group="server",
    since="6.0.0",
    summary="Replaces all users by those of the ACL file, and closes the connections of the old.",
    complexity="O(N) where N is the number of users and connections",
)
def acl_load(ctx: Context, argv: list[bytes]) -> Reply:
    if ctx.access.file is None:
        raise CommandError(_NO_FILE)
    try:
        change = ctx.access.load_file()
    except AclFileError as error:
        raise _error(str(error)) from error
    ctx.engine.on_users_changed(change)
    return OK


@command(
    "ACL|SAVE",
    arity=2,
    flags=_ADMIN,
    group="server",
    since="6.0.0",
    summary="Writes all users into the ACL file.",
    complexity="O(N) where N is the number of users",
)
def acl_save(ctx: Context, argv: list[bytes]) -> Reply:
    if ctx.access.file is None:
        raise CommandError(_NO_FILE)
    try:
        ctx.access.save_file()
    except OSError as error:
        raise CommandError(_NOT_SAVED) from error
    return OK


_HELP: Final = (
    ("CAT [<category>]", "List the categories, or the commands of one."),
    ("DELUSER <username> [<username> ...]", "Delete users and close their connections."),
    ("DRYRUN <username> <command> [<arg> ...]", "Tell whether a user may run a command."),
    ("GENPASS [<bits>]", "Return a random password of 256 bits, or of as many as said."),
    ("GETUSER <username>", "Describe a user."),
    ("LIST", "Describe all users, as in an ACL file."),
    ("LOAD", "Replace all users by those of the ACL file."),
    ("LOG [<count> | RESET]", "List the latest refusals, or forget them."),
    ("SAVE", "Write all users into the ACL file."),
    ("SETUSER <username> [<rule> ...]", "Create a user or change one."),
    ("USERS", "List the names of all users."),
    ("WHOAMI", "Return the name of this connection's user."),
)


@command(
    "ACL|HELP",
    arity=2,
    flags=Flag.LOADING | Flag.STALE,
    group="server",
    since="6.0.0",
    summary="Lists the subcommands.",
    complexity="O(1)",
)
def acl_help(ctx: Context, argv: list[bytes]) -> Reply:
    return help_reply("ACL", _HELP)
