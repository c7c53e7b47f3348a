"""SENTINEL subcommands that change something: each becomes one event of the machine.

Arguments are checked here, with Redis' texts and in Redis' order (`sentinel.c: sentinelCommand,
sentinelSetCommand, sentinelConfigSetCommand`); what is done about them, and when it may be
answered, is the machine's.
"""

from __future__ import annotations

from dataclasses import replace

from sentinel.context import SentinelContext
from sentinel.core.events import (
    FailoverRequested,
    ForgetRequested,
    ForgetStep,
    ForgetStepRequested,
    GlobalOptionsRequested,
    MonitorRequested,
    OptionsRequested,
    RemoveRequested,
    ResetRequested,
    SaveRequested,
)
from sentinel.core.options import GlobalOptions
from sentinel.directives import LOG_LEVEL
from vedette.clients import Block
from vedette.clients.commands.arguments import parse_integer
from vedette.cmdspec import Flag, command
from vedette.conf import BadValueError
from vedette.conf.quoting import decode_word, encode_word
from vedette.errors import CommandError
from vedette.glob import matches_glob
from vedette.resp.replies import OK, MapReply, Reply
from vedette.types import Address, RunId, is_ip, is_run_id

from ..config_values import is_text, utf8_text
from .arguments import refuse_control_characters, require_master
from .options import ScriptRules, parse_options

_CONFIG_USAGE = (
    b"ERR Only SENTINEL CONFIG GET <param> [<param> <param> ...] / SET <param> <value> "
    b"[<param> <value> ...] are supported."
)


@command(
    "SENTINEL|MONITOR",
    arity=6,
    flags=Flag.ADMIN,
    group="sentinel",
    since="2.8.4",
    summary="Start monitoring a master",
)
def sentinel_monitor(context: SentinelContext, argv: list[bytes]) -> Reply | Block:
    refuse_control_characters(argv, 2, b"MONITOR")
    name, host, port_argument, quorum_argument = argv[2:]
    quorum = parse_integer(quorum_argument, b"ERR Invalid quorum")
    port = parse_integer(port_argument, b"ERR Invalid port")
    if quorum <= 0:
        raise CommandError(b"ERR Quorum must be 1 or greater.")
    if not name or b" " in name or b"," in name or not is_text(decode_word(name)):
        # A hello has its fields between commas, events have theirs between spaces.
        reason = b"it is empty, has a space or a comma, or is not UTF-8"
        raise CommandError(b"ERR Invalid master name: " + reason)
    word = decode_word(host)

    def monitor(found: str | None) -> Reply | Block:
        if found is None:
            raise CommandError(b"ERR Invalid IP address or hostname specified")
        return _monitor(context, decode_word(name), word, port, quorum)

    if is_ip(word):
        return monitor(word)
    if not context.state.options.resolve_hostnames:
        return monitor(None)
    return context.resolve(word, monitor)


def _monitor(
    context: SentinelContext, name: str, host: str, port: int, quorum: int
) -> Reply | Block:
    if not 0 <= port <= 65535:
        raise CommandError(b"ERR Invalid port number.")
    if name in context.state.masters:
        raise CommandError(b"ERR Duplicate master name.")
    address = Address(host, port)
    return context.ask(
        lambda now_ms, request: MonitorRequested(now_ms, request, name, address, quorum)
    )


@command(
    "SENTINEL|REMOVE",
    arity=3,
    flags=Flag.ADMIN,
    group="sentinel",
    since="2.8.4",
    summary="Stop monitoring a master",
)
def sentinel_remove(context: SentinelContext, argv: list[bytes]) -> Reply | Block:
    name = require_master(context, argv[2]).name
    return context.ask(lambda now_ms, request: RemoveRequested(now_ms, request, name))


@command(
    "SENTINEL|SET",
    arity=-5,
    flags=Flag.ADMIN,
    group="sentinel",
    since="2.8.4",
    summary="Change options of a monitored master",
)
def sentinel_set(context: SentinelContext, argv: list[bytes]) -> Reply | Block:
    master = require_master(context, argv[2])
    refuse_control_characters(argv, 3, b"SET")
    rules = ScriptRules(context.around.denies_scripts_reconfig, context.around.is_executable)
    parsed = parse_options(master.options, argv[3:], rules)
    if parsed.error is not None and not parsed.applied:
        raise CommandError(parsed.error)
    name = master.name
    return context.ask(
        lambda now_ms, request: OptionsRequested(
            now_ms, request, name, parsed.options, parsed.applied, parsed.error
        )
    )


@command(
    "SENTINEL|RESET",
    arity=3,
    flags=Flag.ADMIN,
    group="sentinel",
    since="2.8.4",
    summary="Forget replicas and sentinels of the masters that match",
)
def sentinel_reset(context: SentinelContext, argv: list[bytes]) -> Reply | Block:
    names = tuple(
        name for name in context.state.masters if matches_glob(argv[2], encode_word(name))
    )
    if not names:
        return 0
    return context.ask(lambda now_ms, request: ResetRequested(now_ms, request, names))


@command(
    "SENTINEL|FAILOVER",
    arity=-3,
    flags=Flag.ADMIN,
    group="sentinel",
    since="2.8.4",
    summary="Fail over by order, or (COORDINATED) by election and without loss",
)
def sentinel_failover(context: SentinelContext, argv: list[bytes]) -> Reply | Block:
    name = require_master(context, argv[2]).name
    options = [word.lower() for word in argv[3:]]
    if options not in ([], [b"coordinated"]):
        raise CommandError(b"ERR Unknown failover option specified")
    return context.ask(
        lambda now_ms, request: FailoverRequested(now_ms, request, name, bool(options))
    )


@command(
    "SENTINEL|FORGET",
    arity=-4,
    flags=Flag.ADMIN,
    group="sentinel",
    since="0.1.0",
    summary="Forget replicas, or sentinels if all that stay agree",
)
def sentinel_forget(context: SentinelContext, argv: list[bytes]) -> Reply | Block:
    master = require_master(context, argv[2])
    sentinels: list[RunId] = []
    replicas: list[Address] = []
    names = {str(address).encode(): address for address in master.replicas}
    for word in dict.fromkeys(argv[3:]):
        run_id = RunId(decode_word(word))
        if run_id in master.peers or run_id in master.leaving:
            sentinels.append(run_id)
        elif word in names:
            replicas.append(names[word])
        else:
            raise CommandError(b"ERR No such replica or sentinel: '%b'" % word[:128])
    if sentinels and replicas:
        raise CommandError(b"ERR Forget replicas and sentinels one after the other")
    name = master.name
    return context.ask(
        lambda now_ms, request: ForgetRequested(
            now_ms, request, name, tuple(sentinels), tuple(replicas)
        )
    )


@command(
    "SENTINEL|FORGET-STEP",
    arity=9,
    flags=Flag.ADMIN,
    group="sentinel",
    since="0.1.0",
    summary="What sentinels tell one another about those to be forgotten",
    is_hidden=True,
)
def sentinel_forget_step(context: SentinelContext, argv: list[bytes]) -> Reply | Block:
    """SENTINEL FORGET-STEP name agree|done|withdraw asker epoch targets known forgotten.

    The last three are run ids with commas between, or `-` for none.
    """
    name = require_master(context, argv[2]).name
    try:
        step = ForgetStep(decode_word(argv[3]).lower())
    except ValueError:
        raise CommandError(b"ERR syntax error") from None
    asker, epoch = RunId(decode_word(argv[4])), parse_integer(argv[5])
    targets, known, forgotten = (_run_ids(word) for word in argv[6:9])
    return context.ask(
        lambda now_ms, request: ForgetStepRequested(
            now_ms, request, name, step, asker, epoch, targets, known, forgotten
        )
    )


def _run_ids(word: bytes) -> tuple[RunId, ...]:
    """Return the ids in a list with commas.

    Raises:
        CommandError: one of them is none: they are going to stand in the file.
    """
    if word == b"-":
        return ()
    ids = tuple(RunId(each) for each in decode_word(word).split(","))
    if not all(is_run_id(each) for each in ids):
        raise CommandError(b"ERR Invalid run id")
    return ids


@command(
    "SENTINEL|FLUSHCONFIG",
    arity=2,
    flags=Flag.ADMIN,
    group="sentinel",
    since="2.8.4",
    summary="Write configuration and state to disk",
)
def sentinel_flushconfig(context: SentinelContext, argv: list[bytes]) -> Reply | Block:
    return context.ask(SaveRequested)


@command(
    "SENTINEL|CONFIG",
    arity=-3,
    flags=Flag.ADMIN,
    group="sentinel",
    since="6.2.0",
    summary="Show or change parameters of the whole sentinel",
)
def sentinel_config(context: SentinelContext, argv: list[bytes]) -> Reply | Block:
    verb = argv[2].lower()
    if verb == b"set" and len(argv) >= 5:
        refuse_control_characters(argv, 3, b"CONFIG SET")
        return _config_set(context, argv[3:])
    if verb == b"get" and len(argv) >= 4:
        return _config_get(context, argv[3:])
    raise CommandError(_CONFIG_USAGE)


def _config_get(context: SentinelContext, patterns: list[bytes]) -> Reply:
    options = context.state.options
    parameters: list[tuple[bytes, bytes]] = [
        (b"resolve-hostnames", _yes_no(options.resolve_hostnames)),
        (b"announce-hostnames", _yes_no(options.announce_hostnames)),
        (b"announce-ip", encode_word(options.announce_ip or "")),
        (b"announce-port", b"%d" % options.announce_port),
        (b"sentinel-user", options.sentinel_user or b""),
        (b"sentinel-pass", options.sentinel_pass or b""),
        (b"loglevel", context.around.settings.value_of(LOG_LEVEL).encode()),
    ]
    found: dict[bytes, bytes] = {}
    for pattern in patterns:
        for name, value in parameters:
            if matches_glob(pattern, name, ignore_case=True):
                found.setdefault(name, value)
    return MapReply.of(found.items())


def _yes_no(value: bool) -> bytes:
    return b"yes" if value else b"no"


def _config_set(context: SentinelContext, pairs: list[bytes]) -> Reply | Block:
    options = context.state.options
    log_level: str | None = None
    seen: set[bytes] = set()
    for position in range(0, len(pairs), 2):
        shown = pairs[position]
        name = shown.lower()
        if name not in _GLOBAL_NAMES:
            raise CommandError(b"ERR Invalid argument '%b' to SENTINEL CONFIG SET" % shown)
        if position + 1 == len(pairs):
            raise CommandError(b"ERR Missing argument '%b' value" % shown)
        if name in seen:
            raise CommandError(b"ERR Duplicate argument '%b' to SENTINEL CONFIG SET" % shown)
        seen.add(name)
        value = pairs[position + 1]
        try:
            if name == b"loglevel":
                log_level = LOG_LEVEL.parse([decode_word(value)])
            else:
                options = _with_global(options, name, value)
        except (BadValueError, CommandError) as error:
            text = b"ERR Invalid value '%b' to SENTINEL CONFIG SET '%b'" % (value, shown)
            raise CommandError(text) from error
    if log_level is not None:
        context.around.settings.put(LOG_LEVEL, log_level)
        context.around.set_log_level(log_level)
    if seen == {b"loglevel"}:
        return OK
    return context.ask(lambda now_ms, request: GlobalOptionsRequested(now_ms, request, options))


_GLOBAL_NAMES = frozenset(
    {
        b"resolve-hostnames",
        b"announce-hostnames",
        b"announce-ip",
        b"announce-port",
        b"sentinel-user",
        b"sentinel-pass",
        b"loglevel",
    }
)


def _with_global(options: GlobalOptions, name: bytes, value: bytes) -> GlobalOptions:
    """Return `options` with one parameter changed.

    Raises:
        BadValueError, CommandError: the value is wrong.
    """
    match name:
        case b"resolve-hostnames":
            return replace(options, resolve_hostnames=_parse_yes_no(value))
        case b"announce-hostnames":
            return replace(options, announce_hostnames=_parse_yes_no(value))
        case b"announce-ip":
            return replace(options, announce_ip=utf8_text(decode_word(value)) or None)
        case b"announce-port":
            port = parse_integer(value)
            if not 0 <= port <= 65535:
                raise BadValueError("not a port")
            return replace(options, announce_port=port)
        case b"sentinel-user":
            return replace(options, sentinel_user=value or None)
        case _:
            return replace(options, sentinel_pass=value or None)


def _parse_yes_no(value: bytes) -> bool:
    if value.lower() not in (b"yes", b"no"):
        raise BadValueError("neither yes nor no")
    return value.lower() == b"yes"
