"""Findings: what answers mean for a failover, how bad that is, and what to do."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from sentinel.checkup import (
    DiskFacts,
    Facts,
    NameFacts,
    NodeFacts,
    PeerFacts,
    node_commands,
    permission_questions,
    questions,
    read_node,
    read_peer,
)
from sentinel.doctor import Finding, Severity, diagnose
from tests.unit.sentinel.core.rig import (
    MASTER,
    NAME,
    OPTIONS,
    PEER_A,
    PEER_ADDRESSES,
    REPLICA_1,
    Rig,
)
from vedette.resp.exchange import ReplyError

UNIX_MS = 1_700_000_000_000
GOOD_DISK = DiskFacts(path="/x", error="", fsync_ms=2.0, failed_saves=0)
GOOD_MASTER = {
    "ip": MASTER.host,
    "port": str(MASTER.port),
    "quorum": "2",
    "down-after-milliseconds": "1000",
    "failover-timeout": "10000",
    "parallel-syncs": "1",
}


def facts(**changes: Any) -> Facts:  # Any: fields of Facts
    """What is found out where nothing is wrong."""
    healthy = Facts(
        nodes=[NodeFacts(address=MASTER, user="default", skew_ms=3)],
        peers=[
            PeerFacts(run_id=PEER_A, address=PEER_ADDRESSES[PEER_A], master=GOOD_MASTER, skew_ms=-4)
        ],
        names=[],
        disk=GOOD_DISK,
    )
    return replace(healthy, **changes)


def findings(found: Facts, rig: Rig | None = None) -> list[Finding]:
    if rig is None:
        rig = Rig()
        rig.advance(1_000)
    return diagnose(rig.core.state, rig.master, found, rig.now_ms)


def bad(found: Facts, rig: Rig | None = None) -> list[tuple[Severity, str, str]]:
    """Severity, check and finding of all that is not fine."""
    return [
        (each.severity, each.check, each.finding)
        for each in findings(found, rig)
        if each.severity is not Severity.OK
    ]


def test_healthy_deployment_gets_no_finding_but_good_ones() -> None:
    """And each check is named once at least."""
    found = findings(facts())

    assert [each for each in found if each.severity is not Severity.OK] == []
    checks = {each.check for each in found}
    assert checks == {
        "majority",
        "candidates",
        "config",
        "connection",
        "commands",
        "acl",
        "clock",
        "disk",
    }


def test_whatever_is_not_fine_has_a_meaning_and_an_advice() -> None:
    """A finding without them would leave people alone with it. Notes may."""
    rig = Rig()
    rig.kill(REPLICA_1)
    rig.advance(1_500)
    found = findings(
        facts(
            nodes=[
                NodeFacts(address=MASTER, error="refused"),
                NodeFacts(address=REPLICA_1, denied=("SLAVEOF",), unknown=("X",), skew_ms=9_999),
            ],
            peers=[
                PeerFacts(run_id=PEER_A, address=MASTER, error="refused"),
                PeerFacts(run_id=PEER_A, address=MASTER, master={**GOOD_MASTER, "quorum": "3"}),
                PeerFacts(run_id=PEER_A, address=MASTER, master={**GOOD_MASTER, "port": "1"}),
            ],
            names=[
                NameFacts(host="a", address=None, took_ms=1),
                NameFacts(host="b", address="::1", took_ms=1_500),
            ],
            disk=replace(GOOD_DISK, fsync_ms=90, failed_saves=2),
        ),
        rig,
    )

    serious = [each for each in found if each.severity >= Severity.WARNING]
    assert len(serious) >= 11
    assert all(each.meaning and each.advice for each in serious)
    assert [each.severity for each in found] == sorted(
        (each.severity for each in found), reverse=True
    )


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        (
            {"nodes": [NodeFacts(address=MASTER, error="Connection refused")]},
            (Severity.FAULT, "connection", "Connection refused"),
        ),
        (
            {"nodes": [NodeFacts(address=MASTER, user="s", denied=("SLAVEOF",), skew_ms=0)]},
            (Severity.FAULT, "acl", "user s may not run SLAVEOF"),
        ),
        (
            {"nodes": [NodeFacts(address=MASTER, user="s", denied=("SCRIPT KILL",), skew_ms=0)]},
            (Severity.WARNING, "acl", "user s may not run SCRIPT KILL"),
        ),
        (
            {"nodes": [NodeFacts(address=MASTER, unknown=("CONFIG",), skew_ms=0)]},
            (Severity.WARNING, "commands", "does not know CONFIG"),
        ),
        (
            {"nodes": [NodeFacts(address=MASTER, unchecked="NOPERM x", skew_ms=0)]},
            (Severity.NOTE, "acl", "permissions could not be looked at: NOPERM x"),
        ),
        (
            {"nodes": [NodeFacts(address=MASTER, skew_ms=-1_001)]},
            (Severity.WARNING, "clock", "its clock is -1001 ms from this one's"),
        ),
        (
            {"nodes": [NodeFacts(address=MASTER)]},
            (Severity.NOTE, "clock", "does not tell its time"),
        ),
        (
            {"names": [NameFacts(host="db", address=None, took_ms=1)]},
            (Severity.FAULT, "dns", "does not resolve"),
        ),
        (
            {"disk": replace(GOOD_DISK, error="Read-only file system")},
            (Severity.FAULT, "disk", "cannot be written: Read-only file system"),
        ),
        (
            {"disk": replace(GOOD_DISK, fsync_ms=21.0)},
            (Severity.WARNING, "disk", "a write and fsync took 21.0 ms"),
        ),
        (
            {"disk": replace(GOOD_DISK, failed_saves=1)},
            (Severity.WARNING, "disk", "1 saves have failed since the start"),
        ),
    ],
)
def test_one_trouble_is_one_finding(
    changes: dict[str, Any], expected: tuple[Severity, str, str]
) -> None:
    """And nothing else looks worse for it."""
    assert bad(facts(**changes)) == [expected]


@pytest.mark.parametrize(
    ("field", "value", "expected"),
    [
        ("quorum", "3", "quorum is 3 there and 2 here"),
        ("failover-timeout", "9", "failover-timeout is 9 there and 10000 here"),
        ("port", "7", "names 10.0.0.1:7 as the master, this sentinel 10.0.0.1:6379"),
    ],
)
def test_sentinels_that_differ_are_found(field: str, value: str, expected: str) -> None:
    """Whoever leads goes by its own options."""
    peer = PeerFacts(
        run_id=PEER_A,
        address=PEER_ADDRESSES[PEER_A],
        master={**GOOD_MASTER, field: value},
        skew_ms=0,
    )

    assert [finding for _, check, finding in bad(facts(peers=[peer]))] == [expected]


def test_lost_majority_is_a_fault_and_a_bare_one_a_warning() -> None:
    """The margin is what an operator must see in time."""
    rig = Rig()
    for count, severity in ((1, Severity.WARNING), (2, Severity.FAULT)):
        rig.kill(list(PEER_ADDRESSES.values())[count - 1])
        rig.advance(1_500)
        found = [each for each in findings(facts(), rig) if each.check == "majority"]
        assert [each.severity for each in found] == [severity]


def test_renamed_commands_are_asked_for_by_their_names_there() -> None:
    """As the sentinel would call them."""
    options = replace(OPTIONS, renamed_commands={b"CONFIG": b"GUESS"})

    assert (b"GUESS", b"REWRITE") in node_commands(options)
    assert b"GUESS" in questions(options)[2]
    assert (b"ACL", b"DRYRUN", b"me", b"GUESS", b"REWRITE") in permission_questions(options, "me")


def test_answers_of_a_node_are_read() -> None:
    """Unknown commands once, refused ones by what was refused, the rest as they come."""
    commands = node_commands(OPTIONS)
    names = list(dict.fromkeys(command[0] for command in commands))
    table = [None if name == b"SCRIPT" else [name] for name in names]
    permissions: list[Any] = [b"OK"] * len(commands)
    permissions[6] = b"User s has no permissions to run the 'slaveof' command"
    permissions[-1] = ReplyError("ERR Command 'script' not found")

    node = read_node(
        MASTER, OPTIONS, [b"s", [b"1700000001", b"500000"], table], permissions, UNIX_MS
    )

    assert node == NodeFacts(
        address=MASTER, user="s", unknown=("SCRIPT",), denied=("SLAVEOF",), skew_ms=1_500
    )


def test_answers_that_make_no_sense_are_no_facts() -> None:
    """A node may be anything."""
    count = len(node_commands(OPTIONS))
    odd: list[Any] = [7, [b"x", b"y"], [1]]

    node = read_node(MASTER, OPTIONS, odd, [ReplyError("ERR what")] * count, UNIX_MS)
    peer = read_peer(PEER_A, MASTER, [[1, 2], 3], UNIX_MS)

    assert (node.user, node.skew_ms, node.unchecked) == ("default", None, "ERR what")
    assert (dict(peer.master), peer.skew_ms) == ({}, None)


def test_answers_of_a_fellow_are_read() -> None:
    """The time is in its INFO, for sentinels know no TIME."""
    info = b"# Server\r\nserver_time_usec:1700000000250000\r\n"

    peer = read_peer(PEER_A, MASTER, [[b"name", NAME.encode(), b"quorum", b"2"], info], UNIX_MS)

    assert (dict(peer.master), peer.skew_ms) == ({"name": NAME, "quorum": "2"}, 250)
    refused = read_peer(PEER_A, MASTER, [ReplyError("ERR No such master"), info], UNIX_MS)
    assert refused.error == "ERR No such master"
