"""Replies of sentinels and servers, brought into the shape that metrics are made of."""

from __future__ import annotations

import pytest

from monitoring.replies import (
    MasterSeen,
    ReplicaSeen,
    SlowLog,
    config_of,
    fields_of,
    instances_of,
    master_seen,
    slow_log_of,
)
from vedette.resp.exchange import Received, ReplyError
from vedette.types import Address


def flat(**fields: str) -> list[Received]:
    """Return an instance as SENTINEL lists it; `_` stands for `-` in names."""
    return [
        word.encode() for name, value in fields.items() for word in (name.replace("_", "-"), value)
    ]


MASTER = flat(
    name="m",
    ip="10.0.0.1",
    port="6379",
    flags="master",
    last_ok_ping_reply="714",
    down_after_milliseconds="30000",
    config_epoch="3",
    num_slaves="2",
    num_other_sentinels="2",
    quorum="2",
    failover_timeout="180000",
    parallel_syncs="1",
)
SENTINELS: list[Received] = [flat(flags="sentinel"), flat(flags="s_down,sentinel,disconnected")]
REPLICAS: list[Received] = [
    flat(flags="slave", slave_priority="100"),
    flat(flags="s_down,slave,disconnected", slave_priority="0"),
]


def seen(ckquorum: Received = b"OK 2 usable Sentinels.", **changes: str) -> MasterSeen:
    """Return what is made of a sentinel's replies about a master, some fields changed."""
    fields = fields_of(MASTER) | {name.replace("_", "-"): text for name, text in changes.items()}
    return master_seen(fields, ckquorum, SENTINELS, REPLICAS)


def test_a_master_is_read_from_the_replies_about_it() -> None:
    """The record is the one that our own sentinel hands over of its masters."""
    assert seen() == MasterSeen(
        name="m",
        address=Address("10.0.0.1", 6379),
        status="ok",
        quorum=2,
        down_after_ms=30000,
        failover_timeout_ms=180000,
        parallel_syncs=1,
        config_epoch=3,
        failover_state="none",
        last_ok_ping_age_ms=714,
        usable_sentinels=2,
        known_sentinels=3,
        quorum_text="OK 2 usable Sentinels.",
        replicas=[
            ReplicaSeen(is_s_down=False, is_connected=True, priority=100),
            ReplicaSeen(is_s_down=True, is_connected=False, priority=0),
        ],
    )


@pytest.mark.parametrize(
    ("flags", "status"),
    [
        ("master", "ok"),
        ("master,disconnected", "ok"),
        ("s_down,master", "sdown"),
        ("s_down,o_down,master", "odown"),
    ],
)
def test_the_status_is_read_from_the_flags(flags: str, status: str) -> None:
    """INFO says it in a word; SENTINEL MASTERS in flags."""
    assert seen(flags=flags).status == status


def test_a_lost_quorum_is_an_answer_and_no_failure() -> None:
    """CKQUORUM answers with an error, whose text is what people look at."""
    assert seen(ReplyError("NOQUORUM 1 usable Sentinels.")).quorum_text.startswith("NOQUORUM 1")


def test_the_state_of_a_failover_is_taken_over() -> None:
    """It is listed only while there is one."""
    assert seen(failover_state="reconf_slaves").failover_state == "reconf_slaves"


def test_fields_that_are_missing_or_no_numbers_have_defaults() -> None:
    """Old and future sentinels list other fields; a scrape must not fail over one."""
    master = master_seen({"name": "m", "quorum": "many"}, None, None, [[b"flags"], 7])

    assert (master.name, master.quorum, master.known_sentinels) == ("m", 0, 1)
    assert len(master.replicas) == 2


@pytest.mark.parametrize("reply", [None, 3, b"x", ReplyError("ERR no")])
def test_what_is_no_list_holds_no_instances(reply: Received) -> None:
    """A refused question leaves the rest of the answer usable."""
    assert instances_of(reply) == []


def test_directives_are_joined_and_refusals_left_out() -> None:
    """CONFIG may be renamed or forbidden; its metrics are then absent."""
    replies = [[b"maxclients", b"10"], ReplyError("NOPERM"), [], [b"maxmemory", b"0"]]

    assert config_of(replies) == {"maxclients": "10", "maxmemory": "0"}


@pytest.mark.parametrize(
    ("length", "newest", "expected"),
    [
        (2, [[14, 1700000000, 1500, [b"GET", b"x"], b"", b""]], SlowLog(2, 14, 0.0015)),
        (0, [], SlowLog(0, 0, 0.0)),
        (ReplyError("ERR unknown command"), ReplyError("ERR unknown command"), None),
    ],
)
def test_the_slow_log_is_read_if_there_is_one(
    length: Received, newest: Received, expected: SlowLog | None
) -> None:
    """Empty is zeros, as redis_exporter has it; refused is nothing."""
    assert slow_log_of(length, newest) == expected
