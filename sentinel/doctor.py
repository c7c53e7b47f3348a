"""SENTINEL DOCTOR: from what was asked of nodes, fellows, names and disk to findings.

Pure: `runtime/examination.py` asks, and fills `Facts`; here stands what is asked and what the
answers mean. A finding says how bad it is, what it means for a failover, and what to do about it.
Nothing that is asked changes anything anywhere.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Final

from vedette.resp.exchange import Received, ReplyError
from vedette.types import Address, RunId

from .core import views
from .core.explain import explain
from .core.model import Master, SentinelState
from .core.options import MasterOptions

Command = tuple[bytes, ...]

#: What a sentinel says to a node.
NODE_COMMANDS: Final[tuple[Command, ...]] = (
    (b"PING",),
    (b"INFO",),
    (b"CLIENT", b"SETNAME", b"x"),
    (b"PUBLISH", b"__sentinel__:hello", b"x"),
    (b"SUBSCRIBE", b"__sentinel__:hello"),
    (b"MULTI",),
    (b"SLAVEOF", b"NO", b"ONE"),
    (b"CONFIG", b"REWRITE"),
    (b"CLIENT", b"KILL", b"TYPE", b"normal"),
    (b"EXEC",),
    (b"SCRIPT", b"KILL"),
)
#: Without these a failover still succeeds, if not as well (`core/orders.py`).
_DISPENSABLE: Final = frozenset(
    {"CLIENT", "CLIENT KILL", "CONFIG", "CONFIG REWRITE", "SCRIPT", "SCRIPT KILL"}
)
_LACK: Final = (
    "a failover succeeds without, but the node may forget its role with a restart (CONFIG), keeps "
    "the clients of before (CLIENT), or stays hung in a script (SCRIPT)"
)

#: Options that sentinels of one master should have in common: field of SENTINEL MASTER.
_SHARED_OPTIONS: Final = {
    "quorum": "quorum",
    "down-after-milliseconds": "down_after_ms",
    "failover-timeout": "failover_timeout_ms",
    "parallel-syncs": "parallel_syncs",
}

SKEW_MAX_MS: Final = 1_000
SLOW_FSYNC_MS: Final = 20.0
SLOW_LOOKUP_MS: Final = 1_000.0


class Severity(IntEnum):
    """How bad a finding is; the higher the worse."""

    OK = 0
    NOTE = 1  # could not be looked at, or worth knowing
    WARNING = 2  # works now, will hurt some day
    FAULT = 3  # a failover would fail, or not be possible


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the diagnosis. `meaning` and `advice` are empty where all is well."""

    severity: Severity
    #: One of connection, acl, commands, clock, dns, disk, majority, candidates, config.
    check: str
    #: Whom it is about: an address, a run id, a path, or the master's name.
    subject: str
    finding: str
    meaning: str = ""
    advice: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeFacts:
    """What a node answered. `error` says why it could not be asked, "" if it could."""

    address: Address
    error: str = ""
    user: str = ""
    #: Commands (as they are called there) that are unknown, and that the user may not run.
    unknown: tuple[str, ...] = ()
    denied: tuple[str, ...] = ()
    #: Why permissions could not be looked at, "" if they could.
    unchecked: str = ""
    #: Its clock's lead over ours; None: not told.
    skew_ms: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PeerFacts:
    """What a fellow sentinel answered."""

    run_id: RunId
    address: Address
    error: str = ""
    #: Its SENTINEL MASTER.
    master: Mapping[str, str] = field(default_factory=dict)
    skew_ms: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class NameFacts:
    """How a host name was looked up; `address` is None if it was not found."""

    host: str
    address: str | None
    took_ms: float


@dataclass(frozen=True, slots=True, kw_only=True)
class DiskFacts:
    """How writing beside the state file went."""

    path: str
    error: str
    fsync_ms: float
    failed_saves: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """All that was found out."""

    nodes: Sequence[NodeFacts]
    peers: Sequence[PeerFacts]
    names: Sequence[NameFacts]
    disk: DiskFacts


# -- what is asked, and how answers are read -------------------------------------------------------


def node_commands(options: MasterOptions) -> list[Command]:
    """The commands as they are called at the nodes of a master."""
    return [
        (options.renamed_commands.get(command[0], command[0]), *command[1:])
        for command in NODE_COMMANDS
    ]


def questions(options: MasterOptions) -> list[Command]:
    """What a node is asked first: who we are to it, its time, which commands it knows."""
    names = dict.fromkeys(command[0] for command in node_commands(options))
    return [(b"ACL", b"WHOAMI"), (b"TIME",), (b"COMMAND", b"INFO", *names)]


def permission_questions(options: MasterOptions, user: str) -> list[Command]:
    """What it is asked then: whether this user may run each command."""
    return [(b"ACL", b"DRYRUN", user.encode(), *command) for command in node_commands(options)]


def user_of(whoami: Received, options: MasterOptions) -> str:
    """The user that the node takes us for."""
    if isinstance(whoami, bytes):
        return whoami.decode("utf-8", "replace")
    return (options.auth_user or b"default").decode("utf-8", "replace")


def read_node(
    address: Address,
    options: MasterOptions,
    answers: Sequence[Received],
    permissions: Sequence[Received],
    unix_ms: int,
) -> NodeFacts:
    """Make facts of a node's answers; `unix_ms` is our time when it was asked for its own."""
    whoami, time, table = answers
    commands = node_commands(options)
    names = list(dict.fromkeys(command[0] for command in commands))
    unknown: set[bytes] = set()
    if isinstance(table, list) and len(table) == len(names):
        unknown = {name for name, row in zip(names, table, strict=True) if not row}
    denied: list[str] = []
    unchecked = ""
    for command, reply in zip(commands, permissions, strict=True):
        if command[0] in unknown or reply == b"OK":
            continue
        if isinstance(reply, ReplyError):
            unchecked = reply.text
        elif isinstance(reply, bytes):
            denied.append(_shown(command))
    return NodeFacts(
        address=address,
        user=user_of(whoami, options),
        unknown=tuple(name.decode("utf-8", "replace") for name in names if name in unknown),
        denied=tuple(denied),
        unchecked=unchecked,
        skew_ms=_skew_ms(time, unix_ms),
    )


def _shown(command: Command) -> str:
    words = command[:2] if command[0] in (b"CLIENT", b"CONFIG", b"SCRIPT") else command[:1]
    return b" ".join(words).decode("utf-8", "replace")


def _skew_ms(time: Received, unix_ms: int) -> int | None:
    if not isinstance(time, list) or len(time) != 2:
        return None
    try:
        return int(time[0]) * 1_000 + int(time[1]) // 1_000 - unix_ms
    except (TypeError, ValueError):
        return None


def read_peer(
    run_id: RunId, address: Address, answers: Sequence[Received], unix_ms: int
) -> PeerFacts:
    """Make facts of a fellow's SENTINEL MASTER and INFO server."""
    master, info = answers
    if isinstance(master, ReplyError):
        return PeerFacts(run_id=run_id, address=address, error=master.text)
    fields: dict[str, str] = {}
    if isinstance(master, list) and all(isinstance(word, bytes) for word in master):
        words = [word.decode("utf-8", "replace") for word in master]
        fields = dict(zip(words[::2], words[1::2], strict=False))
    skew_ms: int | None = None
    if isinstance(info, bytes):
        for line in info.split(b"\r\n"):
            name, _, value = line.partition(b":")
            if name == b"server_time_usec" and value.isdigit():
                skew_ms = int(value) // 1_000 - unix_ms
    return PeerFacts(run_id=run_id, address=address, master=fields, skew_ms=skew_ms)


# -- what it means ---------------------------------------------------------------------------------


def diagnose(state: SentinelState, master: Master, facts: Facts, now_ms: int) -> list[Finding]:
    """All findings about a master, the worst first."""
    found = [
        *_majority(master),
        *_candidates(state, master, now_ms),
        *_config(master, facts.peers),
        *(finding for node in facts.nodes for finding in _node(node)),
        *(finding for peer in facts.peers for finding in _peer(peer)),
        *(_name(name) for name in facts.names),
        *_disk(facts.disk),
    ]
    return sorted(found, key=lambda finding: -finding.severity)


def _majority(master: Master) -> Iterator[Finding]:
    check = views.quorum_check(master)
    needed = max(check.quorum, check.voters // 2 + 1)
    margin = check.usable - needed
    said = f"{check.usable} of {check.voters} sentinels live, {needed} must"
    if margin < 0:
        yield Finding(
            Severity.FAULT,
            "majority",
            master.name,
            said,
            "no failover is possible",
            "bring sentinels back, or SENTINEL FORGET those that are gone for good",
        )
    elif margin == 0:
        yield Finding(
            Severity.WARNING,
            "majority",
            master.name,
            said,
            "with one sentinel less no failover is possible",
            "run at least three sentinels, on machines that do not fail together",
        )
    else:
        yield Finding(Severity.OK, "majority", master.name, said)
    if check.quorum > check.voters:
        yield Finding(
            Severity.FAULT,
            "majority",
            master.name,
            f"the quorum is {check.quorum}, and {check.voters} sentinels are known",
            "the master can never be held objectively down",
            "SENTINEL SET quorum to at most the number of sentinels",
        )


def _candidates(state: SentinelState, master: Master, now_ms: int) -> Iterator[Finding]:
    candidates = explain(state, master, now_ms).candidates
    fit = [each for each in candidates if each.rank]
    if fit:
        said = f"{fit[0].address} would be promoted; {len(fit)} of {len(candidates)} replicas may"
        yield Finding(Severity.OK, "candidates", master.name, said)
    else:
        yield Finding(
            Severity.FAULT,
            "candidates",
            master.name,
            f"none of {len(candidates)} replicas may be promoted",
            "a failover would be aborted",
            "add a replica with a replica-priority above 0",
        )
    for each in candidates:
        if not each.rank:
            yield Finding(
                Severity.WARNING,
                "candidates",
                str(each.address),
                each.reason,
                "it would not be promoted",
                "see to it, or SENTINEL FORGET it if it is gone for good",
            )


def _config(master: Master, peers: Sequence[PeerFacts]) -> Iterator[Finding]:
    told = [peer for peer in peers if peer.master]
    for peer in told:
        where = f"{peer.master.get('ip')}:{peer.master.get('port')}"
        if where != str(master.address):
            yield Finding(
                Severity.FAULT,
                "config",
                peer.run_id,
                f"names {where} as the master, this sentinel {master.address}",
                "the sentinels do not agree on the master and cannot fail over together",
                "wait a moment and ask again; if it stays, RESET the one that is wrong",
            )
        for name, attribute in _SHARED_OPTIONS.items():
            own, theirs = str(getattr(master.options, attribute)), peer.master.get(name)
            if theirs is not None and theirs != own:
                yield Finding(
                    Severity.WARNING,
                    "config",
                    peer.run_id,
                    f"{name} is {theirs} there and {own} here",
                    "which sentinel leads decides how a failover goes",
                    f"SENTINEL SET {master.name} {name} alike at all sentinels",
                )
    if told:
        said = f"{len(told)} other sentinels were compared"
        yield Finding(Severity.OK, "config", master.name, said)


def _node(node: NodeFacts) -> Iterator[Finding]:
    subject = str(node.address)
    if node.error:
        yield Finding(
            Severity.FAULT,
            "connection",
            subject,
            node.error,
            "this sentinel can neither watch nor promote it",
            "start it, or check address, password (auth-user, auth-pass) and firewall",
        )
        return
    yield Finding(Severity.OK, "connection", subject, f"answers, as user {node.user}")
    yield from _node_commands(subject, node)
    yield from _clock(subject, node.skew_ms)


def _node_commands(subject: str, node: NodeFacts) -> Iterator[Finding]:
    if node.unknown:
        yield Finding(
            _severity_of(node.unknown),
            "commands",
            subject,
            f"does not know {', '.join(node.unknown)}",
            _meaning_of(node.unknown, "a failover needs what this sentinel cannot call there"),
            "SENTINEL SET rename-command to the name that the node uses",
        )
    else:
        yield Finding(Severity.OK, "commands", subject, "knows all that a sentinel says")
    if node.denied:
        yield Finding(
            _severity_of(node.denied),
            "acl",
            subject,
            f"user {node.user} may not run {', '.join(node.denied)}",
            _meaning_of(node.denied, "a failover would be refused by this node"),
            f"ACL SETUSER {node.user} to allow them, on every node",
        )
    elif node.unchecked:
        yield Finding(
            Severity.NOTE,
            "acl",
            subject,
            f"permissions could not be looked at: {node.unchecked}",
            "ACL DRYRUN exists since Redis 7, and may itself be forbidden",
            f"as an administrator, ACL DRYRUN {node.user} SLAVEOF NO ONE, and the like",
        )
    else:
        yield Finding(Severity.OK, "acl", subject, f"user {node.user} may run what is needed")


def _severity_of(commands: tuple[str, ...]) -> Severity:
    return Severity.WARNING if _DISPENSABLE.issuperset(commands) else Severity.FAULT


def _meaning_of(commands: tuple[str, ...], fault: str) -> str:
    return _LACK if _severity_of(commands) is Severity.WARNING else fault


def _peer(peer: PeerFacts) -> Iterator[Finding]:
    subject = f"{peer.run_id} {peer.address}"
    if peer.error:
        yield Finding(
            Severity.WARNING,
            "connection",
            subject,
            peer.error,
            "its voice and its vote may be missing",
            "start it, or check address, password (sentinel-user, sentinel-pass) and firewall",
        )
        return
    yield Finding(Severity.OK, "connection", subject, "answers")
    yield from _clock(subject, peer.skew_ms)


def _clock(subject: str, skew_ms: int | None) -> Iterator[Finding]:
    if skew_ms is None:
        yield Finding(Severity.NOTE, "clock", subject, "does not tell its time")
    elif abs(skew_ms) > SKEW_MAX_MS:
        yield Finding(
            Severity.WARNING,
            "clock",
            subject,
            f"its clock is {skew_ms} ms from this one's",
            "failovers do not go by clocks, but keys expire at other times on each node",
            "run a time service (chrony, ntpd, systemd-timesyncd) on every machine",
        )
    else:
        yield Finding(Severity.OK, "clock", subject, f"{skew_ms} ms from this one's")


def _name(name: NameFacts) -> Finding:
    if name.address is None:
        return Finding(
            Severity.FAULT,
            "dns",
            name.host,
            "does not resolve",
            "what is known by this name cannot be reached",
            "see to the name server, or announce addresses",
        )
    said = f"{name.address}, in {name.took_ms:.0f} ms"
    if name.took_ms > SLOW_LOOKUP_MS:
        return Finding(
            Severity.WARNING,
            "dns",
            name.host,
            said,
            "reconnecting takes that much longer",
            "see to the name server, or announce addresses",
        )
    return Finding(Severity.OK, "dns", name.host, said)


def _disk(disk: DiskFacts) -> Iterator[Finding]:
    if disk.error:
        yield Finding(
            Severity.FAULT,
            "disk",
            disk.path,
            f"cannot be written: {disk.error}",
            "this sentinel casts no vote and leads no failover",
            "make the file and its directory writable, or name another with sentinel state-file",
        )
        return
    said = f"a write and fsync took {disk.fsync_ms:.1f} ms"
    if disk.fsync_ms > SLOW_FSYNC_MS:
        yield Finding(
            Severity.WARNING,
            "disk",
            disk.path,
            said,
            "every vote waits for one or two",
            "put the state file on a quicker disk",
        )
    else:
        yield Finding(Severity.OK, "disk", disk.path, said)
    if disk.failed_saves:
        yield Finding(
            Severity.WARNING,
            "disk",
            disk.path,
            f"{disk.failed_saves} saves have failed since the start",
            "no vote was cast meanwhile",
            "look into the log for the reason",
        )
