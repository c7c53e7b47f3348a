"""SENTINEL DOCTOR: from what was found out about nodes, fellows, names and disk to findings.

Pure: what is asked, and the facts that come of it, are `checkup.py`'s. A finding says how bad it
is, what it means for a failover, and what to do about it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Final

from .checkup import DiskFacts, Facts, NameFacts, NodeFacts, PeerFacts
from .core import views
from .core.explain import explain
from .core.model import Master, SentinelState

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
