"""Drills on a deployment that somebody else runs: attached by its sentinels, nothing started."""

from __future__ import annotations

import json
import signal
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

import pytest

from tests.support.processes import ServerProcess, VedetteSentinel, VedetteServer, watching
from tests.support.programs import RunningProgram
from tests.support.redis import RedisSentinel, RedisServer
from tests.support.waiting import wait_until

pytestmark = pytest.mark.timeout(300)

PASSWORD = "open-sesame"
#: Figures are not the subject here, and the machine may be busy.
PATIENT = ("--max-outage", "60000", "--max-demotion", "60000", "--seed", "7")


@dataclass(frozen=True)
class Deployment:
    """Three nodes, of which the first is the master, under three sentinels."""

    nodes: list[ServerProcess]
    sentinels: list[ServerProcess]

    @property
    def where(self) -> tuple[str, ...]:
        """The options that lead there; fellows are told of by the one that is named."""
        return ("--sentinel", f"127.0.0.1:{self.sentinels[0].port}")

    def roles(self) -> list[str]:
        self._connect_anew()
        return [node.info("replication")["role"] for node in self.nodes]

    def left_keys(self) -> list[bytes]:
        self._connect_anew()
        return [key for node in self.nodes for key in node.call("KEYS", "*")]

    def _connect_anew(self) -> None:
        """Sentinels have a node that changes its role close its clients' connections."""
        for node in self.nodes:
            node.close_client()


@contextmanager
def running(
    node_class: type[ServerProcess], sentinel_class: type[ServerProcess], **config: str
) -> Iterator[Deployment]:
    """Run a deployment whose sentinels know one another and all replicas."""
    with ExitStack() as stack:
        nodes = [stack.enter_context(node_class(config)) for _ in range(3)]
        for node in nodes[1:]:
            node.call("REPLICAOF", "127.0.0.1", nodes[0].port)
        lines = watching(nodes[0].port, down_after_ms=2000)
        if "requirepass" in config:
            lines.append(f"sentinel auth-pass mymaster {PASSWORD}")
        sentinels = [stack.enter_context(sentinel_class(extra_lines=lines)) for _ in range(3)]
        for sentinel in sentinels:
            wait_until(lambda s=sentinel: knows_all(s), 30.0, f"{sentinel!r} to know all others")
        yield Deployment(nodes, sentinels)


def knows_all(sentinel: ServerProcess) -> bool:
    reply = sentinel.call("SENTINEL", "MASTER", "mymaster")
    fields = dict(zip(reply[::2], reply[1::2], strict=True))
    return (fields[b"num-slaves"], fields[b"num-other-sentinels"]) == (b"2", b"2")


# Any: a JSON document.
def report_of(drill: RunningProgram) -> dict[str, Any]:
    assert drill.wait(200) in (0, 1), drill.stderr
    report: dict[str, Any] = json.loads(drill.stdout)
    assert [each for each in report["criteria"] if each["passed"] is False] == []
    return report


def test_switchover_of_what_runs_loses_nothing_and_leaves_nothing() -> None:
    """Without a permission: no acknowledged write is at risk, and no process ends."""
    with (
        running(VedetteServer, VedetteSentinel) as deployment,
        RunningProgram(
            "vedette", "drill", "run", "switchover", *deployment.where, *PATIENT, "--json",
            "--max-keys", "40",
        ) as drill,
    ):  # fmt: skip
        report = report_of(drill)

        assert drill.wait(1) == 0
        assert report["old_master"] == f"127.0.0.1:{deployment.nodes[0].port}"
        assert report["new_master"] != report["old_master"]
        assert report["writes"]["lost"] == 0
        assert report["writes"]["attempted"] == 40
        assert report["pause_ms"] > 0
        assert sorted(deployment.roles()) == ["master", "slave", "slave"]
        assert deployment.roles()[0] == "slave"
        assert deployment.left_keys() == []
        processes = next(each for each in report["criteria"] if each["name"] == "processes")
        assert (processes["passed"], processes["found"]) == (None, "not observed")


def test_redis_is_put_to_sleep_only_by_those_who_may() -> None:
    """First the plan, which does nothing; then without the permission; then with it."""
    logins = {"requirepass": PASSWORD, "masterauth": PASSWORD}
    with running(RedisServer, RedisSentinel, **logins) as deployment:
        hang = ("vedette", "drill", "run", "hang", *deployment.where, "--password", PASSWORD)
        with RunningProgram(*hang, "--plan") as drill:
            assert drill.wait(60) == 0
            assert "DEBUG SLEEP" in drill.stdout
            assert "nothing was done" in drill.stdout
        with RunningProgram(*hang) as drill:
            assert drill.wait(60) == 2
            assert "that has to be allowed by --break-existing" in drill.stderr
        assert deployment.roles() == ["master", "slave", "slave"]
        assert deployment.left_keys() == []

        with RunningProgram(*hang, "--break-existing", *PATIENT, "--json") as drill:
            report = report_of(drill)

        assert report["fault"] == "DEBUG SLEEP"
        assert report["new_master"] != report["old_master"]
        assert report["phases_ms"]["sdown"] is not None
        assert report["phases_ms"]["client_first_ok"] >= report["phases_ms"]["sdown"]
        assert report["demoted_ms"] is not None
        assert deployment.roles()[0] == "slave"
        assert deployment.left_keys() == []


def test_master_that_was_ended_is_waited_for() -> None:
    """Whoever runs it starts it again; nobody here can."""
    with running(RedisServer, RedisSentinel, appendonly="yes") as deployment:
        master = deployment.nodes[0]
        with RunningProgram(
            "vedette", "drill", "run", "crash", *deployment.where, *PATIENT, "--json",
            "--break-existing", "--restarted",
        ) as drill:  # fmt: skip
            drill.wait_for("waiting for .* to be started again", 120)
            assert master.process.wait(1) == 0
            master.close_client()
            master.start()
            report = report_of(drill)

        assert report["fault"] == "SHUTDOWN NOSAVE NOW"
        assert report["demoted_ms"] is not None
        assert deployment.roles()[0] == "slave"
        assert deployment.left_keys() == []


def test_master_that_would_come_back_empty_is_not_ended() -> None:
    """Restarted within down-after it would have its replicas throw their data away."""
    with (
        running(VedetteServer, VedetteSentinel) as deployment,
        RunningProgram(
            "vedette", "drill", "run", "crash", *deployment.where, "--break-existing", "--restarted"
        ) as drill,
    ):
        assert drill.wait(60) == 2
        assert "FAULT persistence" in drill.stderr
        assert deployment.roles() == ["master", "slave", "slave"]


def test_interrupted_drill_removes_what_it_wrote() -> None:
    """In somebody's data nothing may stay, however the drill ends."""
    with (
        running(VedetteServer, VedetteSentinel) as deployment,
        RunningProgram("vedette", "drill", "run", "switchover", *deployment.where) as drill,
    ):
        wait_until(lambda: deployment.nodes[0].call("KEYS", "vedette-drill:*:set:*"), 60.0)
        ttl_s = deployment.nodes[0].call("TTL", deployment.nodes[0].call("KEYS", "*:counter")[0])
        drill.process.send_signal(signal.SIGINT)

        assert drill.wait(60) == 130
        assert "removed what was written" in drill.stderr
        assert 0 < ttl_s <= 3600
        wait_until(lambda: not deployment.left_keys(), 10.0, "every key of the drill to be gone")
