"""SENTINEL subcommands that tell why and what happened: EXPLAIN, DOCTOR, HISTORY, EVENTS.

Vedette's own. Maps are flat arrays in RESP2; numbers are integers, what is not known is null, yes
and no are words. docs/sentinel.md has the shapes.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from sentinel.checkup import Facts
from sentinel.context import EVENTS_REASON, SentinelContext
from sentinel.core.explain import Candidate, Explanation, Opinion, explain
from sentinel.core.history import FailoverRecord, Phase
from sentinel.core.model import Master
from sentinel.core.views import master_status
from sentinel.doctor import Finding, diagnose
from sentinel.event_log import EVENTS_MAX, LoggedEvent
from vedette.clients import WAITING, Block
from vedette.clients.blocking import Waiting
from vedette.clients.commands.arguments import parse_integer
from vedette.cmdspec import Flag, command
from vedette.conf.quoting import encode_word
from vedette.errors import CommandError
from vedette.resp.replies import MapReply, Reply
from vedette.types import Address

from .arguments import require_master

_SYNTAX_ERROR: Final = b"ERR syntax error"


def map_of(fields: Mapping[str, Reply | str]) -> MapReply:
    """Return a map with these fields, texts as bulk strings."""
    return MapReply(
        [
            (name.encode(), encode_word(value) if isinstance(value, str) else value)
            for name, value in fields.items()
        ]
    )


def _yes_no(value: bool) -> str:
    return "yes" if value else "no"


def _shown(address: Address | None) -> str | None:
    return None if address is None else str(address)


# --- EXPLAIN --------------------------------------------------------------------------------------


@command(
    "SENTINEL|EXPLAIN",
    arity=3,
    flags=Flag.ADMIN,
    group="sentinel",
    since="0.1.0",
    summary="Say who believes what of a master, and what a failover would do or waits for",
)
def sentinel_explain(context: SentinelContext, argv: list[bytes]) -> Reply:
    master = require_master(context, argv[2])
    found = explain(context.state, master, context.machine_now_ms)
    return map_of(
        {
            "name": master.name,
            "address": str(master.address),
            "status": master_status(master),
            "config-epoch": master.config_epoch,
            "failover": _prospect_map(master, found),
            "quorum": _quorum_map(found),
            "sentinels": [_opinion_map(opinion) for opinion in found.opinions],
            "replicas": [_candidate_map(candidate) for candidate in found.candidates],
        }
    )


def _prospect_map(master: Master, found: Explanation) -> MapReply:
    prospect = found.prospect
    return map_of(
        {
            "status": prospect.status,
            "state": master.failover.state.value,
            "explanation": prospect.text,
            "next-attempt-in-ms": prospect.next_attempt_in_ms,
            "votes": found.votes,
            "votes-needed": found.needed_votes,
        }
    )


def _quorum_map(found: Explanation) -> MapReply:
    check = found.check
    return map_of(
        {
            "down": found.down_count,
            "quorum": check.quorum,
            "known": check.voters,
            "usable": check.usable,
            "margin": check.usable - found.needed_votes,
        }
    )


def _opinion_map(opinion: Opinion) -> MapReply:
    return map_of(
        {
            "id": opinion.run_id,
            "address": _shown(opinion.address) or "myself",
            "state": opinion.state,
            "says-down": _yes_no(opinion.says_down),
            "said-ms-ago": opinion.age_ms,
            "voted-for": opinion.voted_leader,
            "voted-epoch": opinion.voted_epoch,
            "master-address": _shown(opinion.master_address),
            "config-epoch": opinion.config_epoch,
        }
    )


def _candidate_map(candidate: Candidate) -> MapReply:
    return map_of(
        {
            "address": str(candidate.address),
            "rank": candidate.rank,
            "reason": candidate.reason or "would be promoted",
            "priority": candidate.priority,
            "offset": candidate.repl_offset,
            "info-ms-ago": candidate.info_age_ms,
        }
    )


# --- DOCTOR ---------------------------------------------------------------------------------------


@command(
    "SENTINEL|DOCTOR",
    arity=3,
    flags=Flag.ADMIN | Flag.BLOCKING,
    group="sentinel",
    since="0.1.0",
    summary="Look for what would make a failover fail",
)
def sentinel_doctor(context: SentinelContext, argv: list[bytes]) -> Reply | Block:
    """Ask all nodes and fellows; takes a few seconds if some are silent."""
    name = require_master(context, argv[2]).name

    def tell(facts: Facts) -> Reply:
        master = require_master(context, argv[2])  # it may be gone by now
        found = diagnose(context.state, master, facts, context.machine_now_ms)
        return [_finding_map(finding) for finding in found]

    return context.examine(name, tell)


def _finding_map(finding: Finding) -> MapReply:
    return map_of(
        {
            "severity": finding.severity.name.lower(),
            "check": finding.check,
            "subject": finding.subject,
            "finding": finding.finding,
            "meaning": finding.meaning,
            "advice": finding.advice,
        }
    )


# --- HISTORY --------------------------------------------------------------------------------------


@command(
    "SENTINEL|HISTORY",
    arity=-3,
    flags=Flag.ADMIN,
    group="sentinel",
    since="0.1.0",
    summary="List the last failovers of a master, the newest first",
)
def sentinel_history(context: SentinelContext, argv: list[bytes]) -> Reply:
    master = require_master(context, argv[2])
    count = len(master.history)
    match [argument.lower() for argument in argv[3:]]:
        case []:
            pass
        case [b"count", number]:
            count = _positive(number, b"COUNT")
        case _:
            raise CommandError(_SYNTAX_ERROR)
    # The machine's clock shows no date: both are read now.
    to_unix_ms = context.now_ms - context.machine_now_ms
    return [_record_map(record, to_unix_ms) for record in list(master.history)[::-1][:count]]


def _record_map(record: FailoverRecord, to_unix_ms: int) -> MapReply:
    begun_ms = min(record.phases.values())
    announced_ms = record.phases.get(Phase.ANNOUNCED)
    return map_of(
        {
            "result": record.result.value,
            "ended-by": record.ended_by,
            "cause": record.cause.value,
            "begun-unix-ms": begun_ms + to_unix_ms,
            "duration-ms": None if announced_ms is None else announced_ms - begun_ms,
            "leader": record.leader,
            "epoch": record.epoch,
            "votes": record.votes,
            "votes-needed": record.needed_votes,
            "attempts": record.attempts,
            "replicas-chosen": record.selections,
            "chosen-by": record.chosen_by,
            "old-address": str(record.old_address),
            "new-address": _shown(record.new_address),
            "lost-bytes": record.estimated_lost_bytes,
            "discarded-bytes": record.discarded_bytes,
            "pause-ms": record.pause_ms,
            "phases": map_of(
                {
                    phase.value: record.phases[phase] - begun_ms
                    for phase in Phase
                    if phase in record.phases
                }
            ),
        }
    )


# --- EVENTS ---------------------------------------------------------------------------------------


@command(
    "SENTINEL|EVENTS",
    arity=-4,
    flags=Flag.ADMIN | Flag.BLOCKING,
    group="sentinel",
    since="0.1.0",
    summary="Return the events after one that was seen, or wait for the next",
)
def sentinel_events(context: SentinelContext, argv: list[bytes]) -> Reply | Block:
    """SENTINEL EVENTS SINCE id|$ [COUNT n] [BLOCK ms]; 0 ms waits for ever, as with XREAD."""
    log = context.around.events
    if argv[2].lower() != b"since":
        raise CommandError(_SYNTAX_ERROR)
    last_seen_id = log.last_id if argv[3] == b"$" else parse_integer(argv[3])
    if last_seen_id < 0:
        raise CommandError(b"ERR The id must not be negative")
    count, block_ms = _events_options(argv[4:])

    def reply() -> Reply:
        found = log.since(last_seen_id, count)
        return map_of(
            {
                "first-id": log.first_id,
                "last-id": log.last_id,
                "dropped": _yes_no(log.has_dropped(last_seen_id)),
                "events": [_event_map(event) for event in found],
            }
        )

    def retry(now_ms: int) -> Reply | Waiting:
        return reply() if log.last_id > last_seen_id else WAITING

    if block_ms is None or log.last_id > last_seen_id:
        return reply()
    deadline_ms = context.now_ms + block_ms if block_ms else None
    return Block((EVENTS_REASON,), retry, on_timeout=reply, deadline_ms=deadline_ms)


def _events_options(words: list[bytes]) -> tuple[int, int | None]:
    """Return COUNT, and BLOCK in ms or None."""
    count, block_ms = EVENTS_MAX, None
    if len(words) % 2:
        raise CommandError(_SYNTAX_ERROR)
    for name, value in zip(words[::2], words[1::2], strict=True):
        match name.lower():
            case b"count":
                count = _positive(value, b"COUNT")
            case b"block":
                block_ms = parse_integer(value, b"ERR timeout is not an integer or out of range")
                if block_ms < 0:
                    raise CommandError(b"ERR timeout is negative")
            case _:
                raise CommandError(_SYNTAX_ERROR)
    return count, block_ms


def _event_map(event: LoggedEvent) -> MapReply:
    return map_of(
        {
            "id": event.id,
            "unix-ms": event.unix_ms,
            "event": event.event,
            "payload": event.payload,
            "level": event.level.value,
            "master": event.master,
        }
    )


def _positive(argument: bytes, name: bytes) -> int:
    number = parse_integer(argument)
    if number <= 0:
        raise CommandError(b"ERR %b must be positive" % name)
    return number
