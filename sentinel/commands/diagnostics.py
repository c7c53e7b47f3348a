"""SENTINEL subcommands to test and look into a sentinel: DEBUG, SIMULATE-FAILURE, INFO-CACHE.

Replies and error texts follow Redis' `sentinel.c: sentinelCommand,
sentinelSetDebugConfigParameters`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any, Final

from sentinel.context import SentinelContext
from sentinel.core.events import FailureSimulated, PeriodsChanged
from sentinel.core.model import Node, SimulatedFailure
from sentinel.core.timing import Periods
from vedette.clients.commands.arguments import parse_integer
from vedette.cmdspec import Flag, command
from vedette.conf.quoting import decode_word, encode_word
from vedette.errors import CommandError
from vedette.resp.replies import OK, MapReply, Reply


def _parameter(field: str) -> bytes:
    return field.removesuffix("_ms").replace("_", "-").encode()


#: Parameter of SENTINEL DEBUG, lower case -> field of `Periods`, in the order of the reply.
_PERIODS: Final[Mapping[bytes, str]] = {
    _parameter(field.name): field.name for field in dataclasses.fields(Periods)
}

_FAILURES: Final = {
    b"crash-after-election": SimulatedFailure.CRASH_AFTER_ELECTION,
    b"crash-after-promotion": SimulatedFailure.CRASH_AFTER_PROMOTION,
}


@command(
    "SENTINEL|DEBUG",
    arity=-2,
    flags=Flag.ADMIN,
    group="sentinel",
    since="7.0.0",
    summary="Show or change the periods of the sentinel",
)
def sentinel_debug(context: SentinelContext, argv: list[bytes]) -> Reply:
    """Show all periods, or change some until the next start; those before a bad one as well."""
    periods = context.state.periods
    if len(argv) == 2:
        return MapReply(
            [(name.upper(), b"%d" % getattr(periods, field)) for name, field in _PERIODS.items()]
        )
    # Any: the values are milliseconds; the checker cannot tell which field takes them.
    changes: dict[str, Any] = {}
    try:
        for position in range(2, len(argv), 2):
            shown = argv[position]
            field = _PERIODS.get(shown.lower())
            if field is None or position + 1 == len(argv):
                text = b"ERR Unknown option or number of arguments for SENTINEL DEBUG '%b'"
                raise CommandError(text % shown)
            changes[field] = _parse_period(argv[position + 1], shown)
    finally:
        if changes:
            changed = dataclasses.replace(periods, **changes)
            context.tell(lambda now_ms: PeriodsChanged(now_ms, changed))
    return OK


def _parse_period(value: bytes, parameter: bytes) -> int:
    error = b"ERR Invalid argument '%b' for SENTINEL DEBUG '%b'" % (value, parameter)
    period_ms = parse_integer(value, error)
    if period_ms <= 0:
        raise CommandError(error)
    return period_ms


@command(
    "SENTINEL|SIMULATE-FAILURE",
    arity=-3,
    flags=Flag.ADMIN,
    group="sentinel",
    since="3.2.0",
    summary="Have the sentinel crash in its next failover",
)
def sentinel_simulate_failure(context: SentinelContext, argv: list[bytes]) -> Reply:
    """Replace what was ordered before, also when a later argument is wrong, as Redis does."""
    failures = SimulatedFailure.NONE
    reply: Reply = OK
    try:
        for word in argv[2:]:
            if word.lower() == b"help":
                reply = list(_FAILURES)
                break
            failure = _FAILURES.get(word.lower())
            if failure is None:
                raise CommandError(b"ERR Unknown failure simulation specified")
            failures |= failure
    finally:
        context.tell(lambda now_ms: FailureSimulated(now_ms, failures))
    return reply


@command(
    "SENTINEL|INFO-CACHE",
    arity=-3,
    flags=Flag.ADMIN,
    group="sentinel",
    since="3.2.0",
    summary="Return the INFO last read from masters and their replicas",
)
def sentinel_info_cache(context: SentinelContext, argv: list[bytes]) -> Reply:
    """Return name and INFOs of each master that is known, the master's own INFO first."""
    now_ms = context.machine_now_ms
    names = dict.fromkeys(decode_word(name) for name in argv[2:])
    reply: list[Reply] = []
    for name in names:
        master = context.state.masters.get(name)
        if master is not None:
            reply += [encode_word(name), [_cached_info(node, now_ms) for node in master.nodes()]]
    return reply


def _cached_info(node: Node, now_ms: int) -> Reply:
    refreshed_ms = node.info_refresh_ms
    return [0 if refreshed_ms is None else now_ms - refreshed_ms, node.info]
