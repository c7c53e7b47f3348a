"""The line that CLIENT LIST and CLIENT INFO give of a client.

Every field of Redis 7.0 in its order, then those of 7.2 (`networking.c: catClientInfoString`). What
has no counterpart here (a client's fixed reply buffer) is 0.
"""

from __future__ import annotations

from collections.abc import Sequence

from ..resp.encode import encode_command
from .footprint import footprint_of
from .session import ClientKind, Session


def describe_client(session: Session, now_ms: int, request: Sequence[bytes] = ()) -> bytes:
    """Return the fields of `session` as `name=value`, separated by spaces, without a line end.

    `request` is what it has asked and is being answered: it counts as still to be run.
    """
    request_bytes = len(encode_command(request)) if request else 0
    queued = session.queued_commands
    footprint = footprint_of(session)
    fields = (
        ("id", session.id),
        ("addr", session.address),
        ("laddr", session.local_address),
        ("fd", session.file_descriptor),
        ("name", session.name.decode("latin-1")),
        ("age", max(0, now_ms - session.created_ms) // 1000),
        ("idle", max(0, now_ms - session.last_interaction_ms) // 1000),
        ("flags", _flags(session)),
        ("db", session.database_index),
        ("sub", len(session.channels)),
        ("psub", len(session.patterns)),
        ("ssub", len(session.shard_channels)),
        ("multi", -1 if queued is None else len(queued)),
        ("qbuf", footprint.query_bytes + request_bytes),
        ("qbuf-free", 0),
        ("argv-mem", 0),
        ("multi-mem", footprint.queued_bytes),
        ("rbs", 0),
        ("rbp", 0),
        ("obl", 0),
        ("oll", len(session.outbox) + len(session.backlog)),
        ("omem", footprint.output_bytes),
        ("tot-mem", footprint.total_bytes),
        ("events", _events(session)),
        ("cmd", session.last_command),
        ("user", session.user_name.decode("latin-1")),
        ("redir", -1 if session.tracking is None else session.tracking.redirect),
        ("resp", session.protocol),
        ("lib-name", session.library_name.decode("latin-1")),
        ("lib-ver", session.library_version.decode("latin-1")),
    )
    return " ".join([f"{name}={value}" for name, value in fields]).encode("latin-1")


def _flags(session: Session) -> str:
    shown = (
        (session.is_monitor, "O"),
        (session.kind is ClientKind.REPLICA, "S"),
        (session.kind is ClientKind.MASTER, "M"),
        (session.is_subscribed, "P"),
        (session.queued_commands is not None, "x"),
        (session.blocked is not None, "b"),
        (session.tracking is not None, "t"),
        (session.tracking is not None and session.tracking.is_redirect_broken, "R"),
        (session.tracking is not None and session.tracking.is_broadcast, "B"),
        (session.watch_is_broken, "d"),
        (session.is_close_requested and session.has_output, "c"),
        (session.is_leaving, "A"),
        (session.is_unix_socket, "U"),
        (session.is_no_evict, "e"),
        (session.is_no_touch, "T"),
    )
    return "".join([letter for is_set, letter in shown if is_set]) or "N"


def _events(session: Session) -> str:
    """Return what the socket is waited on for, or nothing for a session without one."""
    if session.file_descriptor < 0:
        return ""
    return "rw" if session.backlog else "r"
