"""CLIENT TRACKING, CACHING and TRACKINGINFO (Redis 7.0 `networking.c`, `tracking.c`).

What a client asks for is kept and shown. A program without a keyspace has nothing to invalidate and
answers with these alone; one with keys hears of every change of what was asked for
(`Engine.on_tracking_changed`) and sends what is due.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Final

from ...cmdspec import Flag, command
from ...errors import CommandError
from ...resp.replies import OK, MapReply, Reply, SetReply
from ..context import Context
from ..session import Tracking
from .arguments import SYNTAX_ERROR, parse_integer

_FLAGS: Final = Flag.NOSCRIPT | Flag.LOADING | Flag.STALE


@command(
    "CLIENT|TRACKING",
    arity=-3,
    flags=_FLAGS,
    group="connection",
    since="6.0.0",
    summary="Switches the tracking of keys for this connection on or off.",
    complexity="O(1)",
)
def client_tracking(ctx: Context, argv: list[bytes]) -> Reply:
    wanted = _parse_options(ctx, argv[3:])
    current = ctx.session.tracking
    match argv[2].lower():
        case b"on":
            _check_options(wanted)
            if current is not None:
                _check_change(current, wanted)
            known = () if current is None else current.prefixes
            is_caching = current is not None and current.is_caching
            prefixes = _joined(known, wanted.prefixes) if wanted.is_broadcast else ()
            ctx.session.tracking = replace(wanted, prefixes=prefixes, is_caching=is_caching)
        case b"off":
            ctx.session.tracking = None
        case _:
            raise SYNTAX_ERROR
    ctx.session.recheck()
    ctx.engine.on_tracking_changed(ctx.session)
    return OK


def _parse_options(ctx: Context, options: list[bytes]) -> Tracking:
    found = Tracking()
    prefixes: list[bytes] = []
    pending = iter(options)
    for option in pending:
        match option.lower():
            case b"redirect":
                if found.redirect:
                    text = b"ERR A client can only redirect to a single other client"
                    raise CommandError(text)
                client_id = parse_integer(_value(pending))
                if ctx.clients.by_id(client_id) is None:
                    text = b"ERR The client ID you want redirect to does not exist"
                    raise CommandError(text)
                found = replace(found, redirect=client_id)
            case b"bcast":
                found = replace(found, is_broadcast=True)
            case b"optin":
                found = replace(found, is_opt_in=True)
            case b"optout":
                found = replace(found, is_opt_out=True)
            case b"noloop":
                found = replace(found, is_no_loop=True)
            case b"prefix":
                prefixes.append(_value(pending))
            case _:
                raise SYNTAX_ERROR
    return replace(found, prefixes=tuple(prefixes))


def _value(pending: Iterable[bytes]) -> bytes:
    for value in pending:
        return value
    raise SYNTAX_ERROR


def _check_options(wanted: Tracking) -> None:
    if wanted.prefixes and not wanted.is_broadcast:
        raise CommandError(b"ERR PREFIX option requires BCAST mode to be enabled")
    if wanted.is_broadcast and (wanted.is_opt_in or wanted.is_opt_out):
        raise CommandError(b"ERR OPTIN and OPTOUT are not compatible with BCAST")
    if wanted.is_opt_in and wanted.is_opt_out:
        raise CommandError(b"ERR You can't specify both OPTIN mode and OPTOUT mode")


def _check_change(current: Tracking, wanted: Tracking) -> None:
    end = (
        b" before disabling tracking for this client, and then re-enabling it with a different "
        b"mode."
    )
    if current.is_broadcast != wanted.is_broadcast:
        raise CommandError(b"ERR You can't switch BCAST mode on/off" + end)
    if (wanted.is_opt_in and current.is_opt_out) or (wanted.is_opt_out and current.is_opt_in):
        raise CommandError(b"ERR You can't switch OPTIN/OPTOUT mode" + end)


def _joined(known: tuple[bytes, ...], wanted: tuple[bytes, ...]) -> tuple[bytes, ...]:
    """Return all prefixes in order; without any, the empty one, which every key has.

    Raises:
        CommandError: one begins with another.
    """
    for index, prefix in enumerate(wanted):
        for others, what in (
            (known, b"an existing prefix"),
            (wanted[index + 1 :], b"another provided prefix"),
        ):
            for other in others:
                if prefix.startswith(other) or other.startswith(prefix):
                    text = b"ERR Prefix '%b' overlaps with %b '%b'. " % (prefix, what, other)
                    raise CommandError(text + b"Prefixes for a single client must not overlap.")
    return tuple(sorted({*known, *(wanted or (b"",))}))


@command(
    "CLIENT|CACHING",
    arity=3,
    flags=_FLAGS,
    group="connection",
    since="6.0.0",
    summary="Has the keys of the next command be tracked, or not.",
    complexity="O(1)",
)
def client_caching(ctx: Context, argv: list[bytes]) -> Reply:
    session = ctx.session
    tracking = session.tracking
    if tracking is None:
        raise CommandError(
            b"ERR CLIENT CACHING can be called only when the client is in tracking mode with OPTIN "
            b"or OPTOUT mode enabled"
        )
    match argv[2].lower():
        case b"yes":
            if not tracking.is_opt_in:
                raise CommandError(
                    b"ERR CLIENT CACHING YES is only valid when tracking is enabled in OPTIN mode."
                )
        case b"no":
            if not tracking.is_opt_out:
                raise CommandError(
                    b"ERR CLIENT CACHING NO is only valid when tracking is enabled in OPTOUT mode."
                )
        case _:
            raise SYNTAX_ERROR
    session.tracking = replace(tracking, is_caching=True)
    session.recheck()
    return OK


@command(
    "CLIENT|TRACKINGINFO",
    arity=2,
    flags=_FLAGS,
    group="connection",
    since="6.2.0",
    summary="Returns how keys are tracked for this connection.",
    complexity="O(1)",
)
def client_trackinginfo(ctx: Context, argv: list[bytes]) -> Reply:
    tracking = ctx.session.tracking
    return MapReply(
        [
            (b"flags", SetReply([b"off"] if tracking is None else _shown_flags(tracking))),
            (b"redirect", -1 if tracking is None else tracking.redirect),
            (b"prefixes", [] if tracking is None else list(tracking.prefixes)),
        ]
    )


def _shown_flags(tracking: Tracking) -> list[bytes]:
    flags = (
        (True, b"on"),
        (tracking.is_broadcast, b"bcast"),
        (tracking.is_opt_in, b"optin"),
        (tracking.is_opt_in and tracking.is_caching, b"caching-yes"),
        (tracking.is_opt_out, b"optout"),
        (tracking.is_opt_out and tracking.is_caching, b"caching-no"),
        (tracking.is_no_loop, b"noloop"),
        (tracking.is_redirect_broken, b"broken_redirect"),
    )
    return [name for is_set, name in flags if is_set]
