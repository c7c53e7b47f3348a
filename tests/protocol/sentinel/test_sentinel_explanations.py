"""SENTINEL EXPLAIN, DOCTOR, HISTORY and EVENTS, bytes in and bytes out, in RESP2 and RESP3."""

from __future__ import annotations

from typing import Any

import hiredis
import pytest

from sentinel.checkup import DiskFacts, Facts
from sentinel.context import EVENTS_REASON
from sentinel.core.actions import Level, Publish
from sentinel.core.history import Cause, FailoverRecord, Phase, Result
from tests.support.desk import MY_ID, NOW_MS, PEER_ID, START_US, Desk
from vedette.types import Address, RunId

DISK = DiskFacts(path="/x", error="", fsync_ms=1.0, failed_saves=0)
#: An examination of nobody.
NOTHING = Facts(nodes=[], peers=[], names=[], disk=DISK)


def decoded(data: bytes) -> Any:  # Any: whatever a reply is
    """Return a reply as a client sees it, texts as str."""
    reader = hiredis.Reader(encoding="utf-8")
    reader.feed(data)
    return reader.gets()


def asked(desk: Desk, line: str, protocol: int = 3) -> Any:
    return decoded(desk.send(line, desk.open(protocol)))


def publish(desk: Desk, payload: bytes = b"master m 10.0.0.1 6379") -> int:
    """Do what the driver does with an event."""
    event_id = desk.events.append(Publish(b"+sdown", payload, Level.WARNING, "m"), 1_234)
    desk.engine.wake(EVENTS_REASON)
    return event_id


# --- EXPLAIN --------------------------------------------------------------------------------------


def test_explanation_is_a_map_of_maps() -> None:
    """Its names are those of the documentation."""
    found = asked(Desk(), "SENTINEL EXPLAIN m")

    assert list(found) == [
        "name",
        "address",
        "status",
        "config-epoch",
        "failover",
        "quorum",
        "sentinels",
        "replicas",
    ]
    assert (found["name"], found["address"], found["status"]) == ("m", "10.0.0.1:6379", "ok")
    assert found["failover"] == {
        "status": "idle",
        "state": "none",
        "explanation": "the master answers",
        "next-attempt-in-ms": None,
        "votes": 0,
        "votes-needed": 2,
    }
    assert found["quorum"] == {"down": 0, "quorum": 2, "known": 2, "usable": 2, "margin": 0}
    assert [each["id"] for each in found["sentinels"]] == [MY_ID, PEER_ID]
    assert found["sentinels"][0]["address"] == "myself"
    (replica,) = found["replicas"]
    assert (replica["rank"], replica["reason"]) == (0, "command link not up")


def test_resp2_flattens_maps() -> None:
    """redis-cli shows names and values in turns."""
    found = asked(Desk(), "SENTINEL EXPLAIN m", protocol=2)

    assert found[:4] == ["name", "m", "address", "10.0.0.1:6379"]
    assert found[9][:2] == ["status", "idle"]


@pytest.mark.parametrize("command", ["EXPLAIN", "HISTORY"])
def test_unknown_master_is_refused(command: str) -> None:
    """As by every command that names one."""
    error = b"-ERR No such master with that name\r\n"

    assert Desk().send(f"SENTINEL {command} nobody") == error


# --- HISTORY --------------------------------------------------------------------------------------


def with_history() -> Desk:
    desk = Desk()
    for epoch in (1, 2):
        record = FailoverRecord(
            cause=Cause.ODOWN,
            old_address=Address("10.0.0.1", 6379),
            leader=RunId(MY_ID),
            epoch=epoch,
            result=Result.COMPLETED,
            ended_by="+failover-end",
            new_address=Address("10.0.0.2", 6379),
            attempts=1,
            selections=1,
            votes=2,
            needed_votes=2,
            phases={Phase.SDOWN: NOW_MS - 500, Phase.ODOWN: NOW_MS - 490, Phase.ANNOUNCED: NOW_MS},
        )
        desk.machine.state.masters["m"].history.append(record)
    return desk


def test_history_is_newest_first_with_times_from_its_beginning() -> None:
    """The beginning itself is a date."""
    desk = with_history()
    desk.engine.begin_batch(1_700_000_000_000)

    newest, oldest = asked(desk, "SENTINEL HISTORY m")

    assert (newest["epoch"], oldest["epoch"]) == (2, 1)
    assert newest["begun-unix-ms"] == 1_700_000_000_000 - 500
    assert newest["duration-ms"] == 500
    assert newest["phases"] == {"sdown": 0, "odown": 10, "announced": 500}
    assert newest["lost-bytes"] is None
    assert list(newest)[:3] == ["result", "ended-by", "cause"]


def test_history_can_be_cut_short() -> None:
    """COUNT n gives the newest n; nonsense is refused."""
    desk = with_history()

    assert [each["epoch"] for each in asked(desk, "SENTINEL HISTORY m COUNT 1")] == [2]
    assert desk.send("SENTINEL HISTORY m COUNT 0") == b"-ERR COUNT must be positive\r\n"
    assert desk.send("SENTINEL HISTORY m LAST 1") == b"-ERR syntax error\r\n"


# --- EVENTS ---------------------------------------------------------------------------------------


def test_events_after_an_id_are_returned() -> None:
    """With all that was published of them."""
    desk = Desk()
    for payload in (b"a", b"b"):
        publish(desk, payload)

    found = asked(desk, f"SENTINEL EVENTS SINCE {START_US}")

    assert found == {
        "first-id": START_US,
        "last-id": START_US + 1,
        "dropped": "no",
        "events": [
            {
                "id": START_US + 1,
                "unix-ms": 1_234,
                "event": "+sdown",
                "payload": "b",
                "level": "warning",
                "master": "m",
            }
        ],
    }
    assert len(asked(desk, "SENTINEL EVENTS SINCE 0 COUNT 1")["events"]) == 1
    assert asked(desk, "SENTINEL EVENTS SINCE $")["events"] == []


def test_dropped_events_are_told_of() -> None:
    """The log of this test keeps four."""
    desk = Desk()
    for _ in range(6):
        publish(desk)

    assert asked(desk, f"SENTINEL EVENTS SINCE {START_US}")["dropped"] == "yes"
    assert asked(desk, f"SENTINEL EVENTS SINCE {START_US + 1}")["dropped"] == "no"


def test_reader_waits_for_the_next_event_and_goes_on_behind_it() -> None:
    """All that wait get it, the first to wait first."""
    desk = Desk()
    readers = [desk.open(3) for _ in range(2)]
    for reader in readers:
        assert desk.send("SENTINEL EVENTS SINCE $ BLOCK 0", reader) == b""

    event_id = publish(desk)
    desk.engine.end_batch()

    for reader in readers:
        found = decoded(desk.take(reader))
        assert [event["id"] for event in found["events"]] == [event_id]
    assert desk.engine.blocked_sessions() == []


def test_wait_ends_in_time_without_events() -> None:
    """The reply is that of no events, so a reader needs no second case."""
    desk = Desk()
    desk.engine.begin_batch(50_000)
    reader = desk.open(3)
    desk.send("SENTINEL EVENTS SINCE $ BLOCK 100", reader)

    desk.engine.begin_batch(50_100)
    desk.engine.expire_waits()

    assert decoded(desk.take(reader))["events"] == []


def test_client_that_leaves_waits_no_longer() -> None:
    """Its wait goes with it."""
    desk = Desk()
    reader = desk.open(3)
    desk.send("SENTINEL EVENTS SINCE $ BLOCK 0", reader)

    desk.engine.disconnect(reader)

    assert desk.engine.blocked_sessions() == []
    publish(desk)
    desk.engine.end_batch()
    assert desk.take(reader) == b""


@pytest.mark.parametrize(
    ("line", "error"),
    [
        ("FROM 0", "ERR syntax error"),
        ("SINCE -1", "ERR The id must not be negative"),
        ("SINCE x", "ERR value is not an integer or out of range"),
        ("SINCE 0 COUNT", "ERR syntax error"),
        ("SINCE 0 COUNT 0", "ERR COUNT must be positive"),
        ("SINCE 0 BLOCK -1", "ERR timeout is negative"),
        ("SINCE 0 BLOCK x", "ERR timeout is not an integer or out of range"),
        ("SINCE 0 LIMIT 1", "ERR syntax error"),
    ],
)
def test_wrong_arguments_are_refused(line: str, error: str) -> None:
    """With Redis' texts where it has them."""
    assert Desk().send(f"SENTINEL EVENTS {line}") == f"-{error}\r\n".encode()


# --- DOCTOR ---------------------------------------------------------------------------------------


def test_doctor_answers_when_the_examination_has_ended() -> None:
    """The worst finding first."""
    desk = Desk()
    reader = desk.open(3)
    assert desk.send("SENTINEL DOCTOR m", reader) == b""
    ((name, tell),) = desk.examinations

    tell(NOTHING)
    desk.engine.end_batch()

    found = decoded(desk.take(reader))
    assert name == "m"
    assert list(found[0]) == ["severity", "check", "subject", "finding", "meaning", "advice"]
    assert (found[0]["severity"], found[-1]["severity"]) == ("fault", "ok")


def test_doctor_has_nothing_to_say_of_a_master_that_went_meanwhile() -> None:
    """It may be removed while its nodes are asked."""
    desk = Desk()
    desk.send("SENTINEL DOCTOR m")
    ((_, tell),) = desk.examinations
    desk.machine.state.masters.clear()

    tell(NOTHING)
    desk.engine.end_batch()

    assert desk.take() == b"-ERR No such master with that name\r\n"
