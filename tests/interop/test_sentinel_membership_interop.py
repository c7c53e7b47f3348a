"""SENTINEL FORGET between real sentinels, and a failover told by EVENTS, HISTORY and EXPLAIN."""

from __future__ import annotations

import json
import subprocess
from typing import Any

import pytest

from tests.interop.test_sentinel_interop import check_failed_over, master_fields, running
from tests.support.client import ReplyError
from tests.support.processes import ServerProcess, VedetteSentinel
from tests.support.redis import RedisSentinel
from tests.support.waiting import wait_until


def run_id(sentinel: ServerProcess) -> str:
    """Return a sentinel's id."""
    reply: bytes = sentinel.call("SENTINEL", "MYID")
    return reply.decode()


def flat(reply: list[Any]) -> dict[str, Any]:  # Any: replies
    """Return a RESP2 map as one."""
    return {name.decode(): value for name, value in zip(reply[::2], reply[1::2], strict=True)}


def wait_until_down(observers: list[ServerProcess], gone: str) -> None:
    """Wait until all observers hold a fellow sentinel for down."""

    def is_down(observer: ServerProcess) -> bool:
        entries = map(flat, observer.call("SENTINEL", "SENTINELS", "mymaster"))
        return any(
            entry["runid"].decode() == gone and b"s_down" in entry["flags"] for entry in entries
        )

    wait_until(lambda: all(map(is_down, observers)), 15, "the lost sentinel to be down to all")


def test_dead_sentinel_is_forgotten_by_all_and_a_failover_is_told() -> None:
    """By one order, on disk; then two of two elect, which needs no third."""
    with running([VedetteSentinel] * 3, replica_count=1) as group:
        *staying, lost = group.sentinels
        gone = run_id(lost)
        lost.kill()
        wait_until_down(staying, gone)

        assert staying[0].call("SENTINEL", "FORGET", "mymaster", gone) == b"OK"

        wait_until(
            lambda: all(master_fields(each)["num-other-sentinels"] == "1" for each in staying),
            what="both to know one fellow",
        )
        for sentinel in staying:
            quorum = flat(flat(sentinel.call("SENTINEL", "EXPLAIN", "mymaster"))["quorum"])
            assert (quorum["known"], quorum["usable"]) == (2, 2)
            line = f"sentinel forgotten-sentinel mymaster {gone}"
            wait_until(
                lambda path=sentinel.config_path, line=line: line in path.read_text().splitlines(),
                what="the agreement to be on disk",
            )
            lines = sentinel.config_path.read_text().splitlines()
            assert not any("known-sentinel" in each and gone in each for each in lines)
        check_story(staying, group)


def check_story(sentinels: list[ServerProcess], group: Any) -> None:
    """Kill the master; the leader's history, events and redis-cli's view of them agree."""
    last_ids = [
        flat(each.call("SENTINEL", "EVENTS", "SINCE", "$"))["last-id"] for each in sentinels
    ]
    group.sentinels = sentinels
    group.master.kill()
    new = check_failed_over(group)

    records = [flat(each.call("SENTINEL", "HISTORY", "mymaster")[0]) for each in sentinels]
    led = [record for record in records if record["result"] != b"followed"]
    assert len(led) == 1
    assert led[0]["cause"] == b"odown"
    assert led[0]["votes"] == 2
    assert {record["new-address"] for record in records} == {f"127.0.0.1:{new.port}".encode()}
    for sentinel, last_id in zip(sentinels, last_ids, strict=True):
        told = flat(sentinel.call("SENTINEL", "EVENTS", "SINCE", last_id, "BLOCK", 5_000))
        names = [flat(event)["event"] for event in told["events"]]
        assert names.index(b"+sdown") < names.index(b"+switch-master")
        line = f"redis-cli -3 --json -p {sentinel.port} SENTINEL EVENTS SINCE {last_id} COUNT 1"
        shown = subprocess.run(
            line.split(),
            capture_output=True,
            check=True,
            timeout=20,
        )
        assert json.loads(shown.stdout)["events"][0]["id"] == last_id + 1


def test_wait_for_events_ends_when_its_time_is_over() -> None:
    """Nothing happens here that could wake who waits."""
    with VedetteSentinel() as sentinel:
        told = flat(sentinel.call("SENTINEL", "EVENTS", "SINCE", "$", "BLOCK", 100))

    assert told["events"] == []


def test_sentinel_that_does_not_know_the_command_keeps_the_majority_as_it_is() -> None:
    """A redis-sentinel would go on counting the dead one."""
    with running([VedetteSentinel, RedisSentinel, VedetteSentinel], replica_count=1) as group:
        first, _, lost = group.sentinels
        gone = run_id(lost)
        lost.kill()
        wait_until_down([first], gone)

        with pytest.raises(ReplyError, match=r"NOAGREEMENT .* (unknown|Unknown) subcommand"):
            first.call("SENTINEL", "FORGET", "mymaster", gone)

        assert master_fields(first)["num-other-sentinels"] == "2"
