"""DEBUG: what tests of a server need, and its operators must not (Redis 7.0 `debug.c`).

Refused unless `enable-debug-command` allows it. Only subcommands that mean something here exist.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final

from vedette.clients.commands.arguments import subcommand_syntax_error
from vedette.cmdspec import Flag, command
from vedette.conf import BadValueError, Memory
from vedette.errors import CommandError, VedetteError, quotable
from vedette.resp.encode import encode_reply
from vedette.resp.replies import (
    OK,
    BoolReply,
    DoubleReply,
    ErrorReply,
    MapReply,
    PushReply,
    RawReply,
    Reply,
    ReplySequence,
    SetReply,
    SimpleString,
    VerbatimReply,
)

from .. import directives
from ..engine import ServerContext
from ..persistence.rdb.payload import dump_payload
from ..store.database import Database
from ..store.digest import DIGEST_SIZE, mix_digest, xor_digest
from ..store.values import Value
from .arguments import INT64_MAX, NO_SUCH_KEY, parse_integer, parse_integer_between
from .debug_reload import reload
from .debug_tables import database_tables, value_table
from .debug_values import log_listpack, log_quicklist, string_sizes
from .introspection import encoding_of
from .locality import is_allowed

_NOT_ALLOWED: Final = (
    b'ERR DEBUG command not allowed. If the enable-debug-command option is set to "local", you can'
    b" run it from a local connection, otherwise you need to set this option in the configuration"
    b" file, and then restart the server."
)
_LEADING_NUMBER: Final = re.compile(rb"\s*[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?")
_OUT_OF_RANGE: Final = b"ERR value is out of range, must be positive"
#: The number that Redis mixes into the digest of a string (`OBJ_STRING`).
_STRING_TYPE: Final = (0).to_bytes(4, "big")
#: Of QUICKLIST-PACKED-THRESHOLD.
_LARGEST_THRESHOLD: Final = 1 << 32
#: The most arguments of a subcommand that takes any number.
_MANY: Final = 1 << 30
_DUMP_OVERHEAD_BYTES: Final = 11  # type, version and checksum of a DUMP payload


@command(
    "DEBUG",
    arity=-2,
    flags=Flag.ADMIN | Flag.NOSCRIPT | Flag.LOADING | Flag.STALE,
    group="server",
    since="1.0.0",
    summary="Tools for tests; `DEBUG HELP` lists them.",
)
def debug(ctx: ServerContext, argv: list[bytes]) -> Reply:
    if not is_allowed(ctx.engine.configuration[directives.ENABLE_DEBUG_COMMAND], ctx.session):
        raise CommandError(_NOT_ALLOWED)
    name = argv[1].upper()
    subcommand = _SUBCOMMANDS.get(name)
    if subcommand is None or not subcommand[0] <= len(argv) <= subcommand[1]:
        raise CommandError(
            b"ERR unknown subcommand or wrong number of arguments for '%b'. Try DEBUG HELP."
            % quotable(argv[1][:128])
        )
    return subcommand[2](ctx, argv)


def _help(ctx: ServerContext, argv: list[bytes]) -> Reply:
    lines = [b"DEBUG <subcommand> [<arg> [value] [opt] ...]. Subcommands are:"]
    lines += sorted(_SUBCOMMANDS)
    return [SimpleString(line) for line in lines]


def _sleep(ctx: ServerContext, argv: list[bytes]) -> Reply:
    match = _LEADING_NUMBER.match(argv[2])
    seconds = max(0.0, float(match[0])) if match is not None else 0.0
    ctx.engine.host.sleep(seconds)
    if ctx.engine.scripting.run is None:  # for a script time stands still
        ctx.engine.begin_batch(
            ctx.now_ms + round(seconds * 1000)
        )  # what follows is that much later
    return OK


def _crash(ctx: ServerContext, argv: list[bytes]) -> Reply:
    """End the process at once, as a fault of its own would: what a failover is to be tried with."""
    ctx.engine.host.crash()
    return OK


def _set_active_expire(ctx: ServerContext, argv: list[bytes]) -> Reply:
    ctx.keyspace.is_active_expiry_on = argv[2] != b"0"
    return OK


def _set_disable_deny_scripts(ctx: ServerContext, argv: list[bytes]) -> Reply:
    ctx.engine.scripting.allows_all_commands = argv[2] != b"0"
    return OK


def _error(ctx: ServerContext, argv: list[bytes]) -> Reply:
    raise CommandError(argv[2].replace(b"\r", b" ").replace(b"\n", b" "))


def _object(ctx: ServerContext, argv: list[bytes]) -> Reply:
    value = ctx.db.values.get(argv[2])
    if value is None:
        raise CommandError(NO_SUCH_KEY)
    size = len(dump_payload(value)) - _DUMP_OVERHEAD_BYTES
    usage = ctx.engine.memory.usage
    mark = usage.mark_shown(ctx.db, argv[2])
    idle_s = usage.idle_s(ctx.db, argv[2], ctx.now_ms // 1000)
    return SimpleString(
        b"Value at:0x%x refcount:1 encoding:%b serializedlength:%d lru:%d lru_seconds_idle:%d"
        % (id(value), encoding_of(value, ctx.keyspace.raw_strings), size, mark, idle_s)
    )


def _populate(ctx: ServerContext, argv: list[bytes]) -> Reply:
    count = parse_integer_between(argv[2], 0, INT64_MAX, _OUT_OF_RANGE)
    prefix = argv[3] if len(argv) > 3 else b"key"
    size = parse_integer_between(argv[4], 0, INT64_MAX, _OUT_OF_RANGE) if len(argv) > 4 else 0
    for index in range(count):
        key = b"%b:%d" % (prefix, index)
        if ctx.peek(key) is None:
            value = b"value:%d" % index
            ctx.db.set(key, value[:size].ljust(size, b"\0") if size else value)
    return OK


def _set_packed_threshold(ctx: ServerContext, argv: list[bytes]) -> Reply:
    """Accept what Redis would take; lists have no packed nodes here, so that it changes nothing."""
    try:
        size_bytes = Memory().parse((argv[2].decode("latin-1"),))
    except BadValueError:
        size_bytes = _LARGEST_THRESHOLD + 1
    if size_bytes > _LARGEST_THRESHOLD:
        raise CommandError(
            b"ERR argument must be a memory value bigger than 1 and smaller than 4gb"
        )
    return OK


def _set_reply_buffers(ctx: ServerContext, argv: list[bytes]) -> Reply:
    """Accept what Redis would take; no reply buffers are kept here, so that it changes nothing."""
    name, value = argv[2].lower(), argv[3].lower()
    if name == b"peak-reset-time":
        if value not in (b"never", b"reset"):
            parse_integer(value)
    elif name != b"resizing":
        raise subcommand_syntax_error(argv)
    return OK


def _change_replication_id(ctx: ServerContext, argv: list[bytes]) -> Reply:
    replication = ctx.engine.replication
    replid = ctx.engine.host.random_hex(40).encode()
    replication.identity = replication.identity.change_id(replid)
    return OK


def _load_aof(ctx: ServerContext, argv: list[bytes]) -> Reply:
    port = ctx.engine.aof.port
    if port is None:
        raise CommandError(b"ERR This server has no append-only file")
    try:
        port.reload()
    except (VedetteError, OSError) as error:
        # Not what Redis says, which ends the process where it cannot go on.
        reason = " ".join(str(error).split()).encode("utf-8", "surrogateescape")
        raise CommandError(b"ERR Error trying to load the AOF files: %b" % reason) from error
    return OK


def _pause_timers(ctx: ServerContext, argv: list[bytes]) -> Reply:
    ctx.engine.are_timers_paused = argv[2] != b"0"
    return OK


def _skip_checksums(ctx: ServerContext, argv: list[bytes]) -> Reply:
    """Have RESTORE try whatever it is given: how damaged values are taken is tested so."""
    ctx.engine.checks_payloads = argv[2] == b"0"
    return OK


def _replicate(ctx: ServerContext, argv: list[bytes]) -> Reply:
    """Send replicas what they are not to have by right, so that their data differ."""
    ctx.engine.propagate(ctx.db.index, argv[2:])
    return OK


def _log(ctx: ServerContext, argv: list[bytes]) -> Reply:
    ctx.engine.scripting.log(3, b"DEBUG LOG: %b" % argv[2])
    return OK


def _rewrite_configuration(ctx: ServerContext, argv: list[bytes]) -> Reply:
    try:
        ctx.engine.host.rewrite_configuration(is_complete=True)
    except OSError as error:
        reason = (error.strerror or str(error)).encode()
        raise CommandError(b"ERR CONFIG-REWRITE-FORCE-ALL failed: %b" % reason) from error
    return OK


def _set_flush_delay(ctx: ServerContext, argv: list[bytes]) -> Reply:
    ctx.engine.aof.flush_delay_us = max(0, parse_integer(argv[2]))
    return OK


# --- DEBUG DIGEST --------------------------------------------------------------------------------


def _digest(ctx: ServerContext, argv: list[bytes]) -> Reply:
    return SimpleString(dataset_digest(ctx.keyspace.databases).hex().encode())


def dataset_digest(databases: list[Database]) -> bytes:
    """Return the 20 bytes by which Redis' DEBUG DIGEST names a dataset."""
    total = bytes(DIGEST_SIZE)
    for database in databases:
        if not database.values:
            continue
        total = mix_digest(total, database.index.to_bytes(4, "big"))
        for key, value in database.values.items():
            digest = _add_value(mix_digest(bytes(DIGEST_SIZE), key), database, key, value)
            total = xor_digest(total, digest)
    return total


def _digest_value(ctx: ServerContext, argv: list[bytes]) -> Reply:
    digests = []
    for key in argv[2:]:
        digest = bytes(DIGEST_SIZE)
        value = ctx.db.values.get(key)
        if value is not None:
            digest = _add_value(digest, ctx.db, key, value)
        digests.append(SimpleString(digest.hex().encode()))
    return list(digests)


def _add_value(digest: bytes, database: Database, key: bytes, value: Value) -> bytes:
    if isinstance(value, bytes):
        digest = mix_digest(mix_digest(digest, _STRING_TYPE), value)
    else:
        digest = value.add_to_digest(digest)
    return xor_digest(digest, b"!!expire!!") if key in database.expires else digest


# --- DEBUG PROTOCOL ------------------------------------------------------------------------------


def _protocol(ctx: ServerContext, argv: list[bytes]) -> Reply:
    is_resp3 = ctx.session.protocol == 3
    match argv[2].lower():
        case b"string":
            return b"Hello World"
        case b"integer":
            return 12345
        case b"double":
            return DoubleReply(3.141)
        case b"bignum":
            number = b"1234567999999999999999999999999999999"
            return RawReply(b"(%b\r\n" % number) if is_resp3 else number
        case b"null":
            return None
        case b"array":
            return [0, 1, 2]
        case b"set":
            return SetReply([0, 1, 2])
        case b"map":
            return MapReply([(number, BoolReply(number == 1)) for number in range(3)])
        case b"attrib":
            reply: Reply = b"Some real reply following the attribute"
            if not is_resp3:
                return reply
            attribute = encode_reply(b"key-popularity", 3) + encode_reply([b"key:123", 90], 3)
            return ReplySequence([RawReply(b"|1\r\n" + attribute), reply])
        case b"push":
            if not is_resp3:
                return ErrorReply(b"ERR RESP2 is not supported by this command")
            push = PushReply([b"server-cpu-usage", 42])
            return ReplySequence([push, b"Some real reply following the push reply"])
        case b"verbatim":
            return VerbatimReply(b"This is a verbatim\nstring")
        case b"true" | b"false":
            return BoolReply(argv[2].lower() == b"true")
    raise CommandError(
        b"ERR Wrong protocol type name. Please use one of the following: string|integer|double|"
        b"bignum|null|array|set|map|attrib|push|verbatim|true|false"
    )


#: Name: fewest and most arguments, the first two words included; and the function.
_SUBCOMMANDS: Final[dict[bytes, tuple[int, int, Callable[[ServerContext, list[bytes]], Reply]]]] = {
    b"AOF-FLUSH-SLEEP": (3, 3, _set_flush_delay),
    b"ASSERT": (2, 2, _crash),
    b"CHANGE-REPL-ID": (2, 2, _change_replication_id),
    b"CONFIG-REWRITE-FORCE-ALL": (2, 2, _rewrite_configuration),
    b"DIGEST": (2, 2, _digest),
    b"DIGEST-VALUE": (2, _MANY, _digest_value),
    b"ERROR": (3, 3, _error),
    b"HELP": (2, 2, _help),
    b"HTSTATS": (3, 3, database_tables),
    b"HTSTATS-KEY": (3, 3, value_table),
    b"LISTPACK": (3, 3, log_listpack),
    b"LOADAOF": (2, 2, _load_aof),
    b"LOG": (3, 3, _log),
    b"OBJECT": (3, 3, _object),
    b"OOM": (2, 2, _crash),
    b"PANIC": (2, 2, _crash),
    b"PAUSE-CRON": (3, 3, _pause_timers),
    b"POPULATE": (3, 5, _populate),
    b"PROTOCOL": (3, 3, _protocol),
    b"QUICKLIST": (3, 4, log_quicklist),
    b"QUICKLIST-PACKED-THRESHOLD": (3, 3, _set_packed_threshold),
    b"RELOAD": (2, 5, reload),
    b"REPLICATE": (3, _MANY, _replicate),
    b"REPLYBUFFER": (4, 4, _set_reply_buffers),
    b"SDSLEN": (3, 3, string_sizes),
    b"SEGFAULT": (2, 2, _crash),
    b"SET-ACTIVE-EXPIRE": (3, 3, _set_active_expire),
    b"SET-DISABLE-DENY-SCRIPTS": (3, 3, _set_disable_deny_scripts),
    b"SET-SKIP-CHECKSUM-VALIDATION": (3, 3, _skip_checksums),
    b"SLEEP": (3, 3, _sleep),
}
