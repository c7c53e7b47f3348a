"""Metrics of real processes: what the exporter makes of redis-server and redis-sentinel, and what
Vedette's own programs serve.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import socket
import subprocess
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.support.metrics import NOT_EXPOSED, documented_names, read_samples
from tests.support.processes import (
    ServerProcess,
    VedetteSentinel,
    VedetteServer,
    free_port,
    watching,
)
from tests.support.programs import RunningProgram
from tests.support.redis import SKIP_PREFIX, RedisSentinel, RedisServer
from tests.support.waiting import wait_until

#: Names of redis_exporter that promtool finds fault with; to be the same is worth more.
KNOWN_LINT = re.compile(
    r"redis_\w+ (metric names should not contain abbreviated units"
    r'|non-counter metrics should not have "_total" suffix'
    r'|use base unit "seconds" instead of "milliseconds")'
)

#: What redis_exporter shows of a sentinel although it means nothing there.
MEANINGLESS_ON_SENTINELS = {"redis_db_keys", "redis_db_keys_expiring"}


@dataclass(frozen=True, slots=True)
class Scrape:
    """One answer to a scrape."""

    text: str

    @property
    def names(self) -> set[str]:
        """The metrics in it, as TYPE lines name them."""
        return set(re.findall(r"^# TYPE (\S+) ", self.text, re.MULTILINE))

    def values(self, name: str, **labels: str) -> list[float]:
        """Return the values of the samples of that name with at least these labels."""
        return [
            sample.value
            for family in text_string_to_metric_families(self.text)
            for sample in family.samples
            if sample.name == name and labels.items() <= sample.labels.items()
        ]

    def value(self, name: str, **labels: str) -> float:
        """Return the value of the one sample of that name with at least these labels."""
        (value,) = self.values(name, **labels)
        return value

    def label(self, name: str, label: str) -> str:
        """Return a label's value in the one sample of that name."""
        (found,) = (
            sample.labels[label]
            for family in text_string_to_metric_families(self.text)
            for sample in family.samples
            if sample.name == name
        )
        return found


def scrape(port: int, path: str = "/metrics") -> Scrape:
    """Return what an endpoint answers."""
    with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=10) as response:
        return Scrape(response.read().decode())


class Exporter(RunningProgram):
    """`vedette exporter` on a free port."""

    def __init__(self, *targets: str, timeout_s: float = 5.0) -> None:
        options = [word for target in targets for word in ("--target", target)]
        super().__init__(
            "vedette", "exporter", "--listen", "127.0.0.1:0", "--timeout", str(timeout_s), *options
        )

    @property
    def port(self) -> int:
        """Where it serves, once it does."""
        return int(self.wait_for(r"exporter\.started.* addr=127\.0\.0\.1:(\d+)")[1])

    def scrape(self, target: ServerProcess | str) -> Scrape:
        """Return the metrics of one target."""
        name = target if isinstance(target, str) else f"redis://127.0.0.1:{target.port}"
        return scrape(self.port, f"/scrape?{urllib.parse.urlencode({'target': name})}")


@pytest.fixture(scope="module")
def exporter() -> Iterator[Exporter]:
    """An exporter without targets of its own."""
    with Exporter() as running:
        yield running


@dataclass(frozen=True, slots=True)
class Group:
    """A master, its replica and a sentinel."""

    master: ServerProcess
    replica: ServerProcess
    sentinel: ServerProcess

    def metrics_port(self, process: ServerProcess) -> int:
        """Return where one of ours serves its metrics."""
        return int(process.config["metrics-port"])


@contextlib.contextmanager
def running_group(node: type[ServerProcess], sentinel: type[ServerProcess]) -> Iterator[Group]:
    """Run a group until its sentinel knows the replica."""

    def options() -> dict[str, str]:
        return {"metrics-port": str(free_port())} if node is VedetteServer else {}

    with contextlib.ExitStack() as stack:
        master = stack.enter_context(node(options()))
        replica = stack.enter_context(node({**options(), "replicaof": f"127.0.0.1 {master.port}"}))
        lines = watching(master.port, quorum=1, down_after_ms=60_000)
        watcher = stack.enter_context(sentinel(options(), lines))

        def is_ready() -> bool:
            words = watcher.call("SENTINEL", "REPLICAS", "mymaster")
            up = replica.info("replication").get("master_link_status") == "up"
            return up and bool(words) and b"s_down" not in words[0]

        wait_until(is_ready, 30, "the sentinel to know the replica")
        yield Group(master, replica, watcher)


@pytest.fixture(scope="module")
def redis_group() -> Iterator[Group]:
    """redis-server and redis-sentinel."""
    with running_group(RedisServer, RedisSentinel) as group:
        yield group


@pytest.fixture(scope="module")
def vedette_group() -> Iterator[Group]:
    """vedette-server and vedette-sentinel, which serve their own metrics."""
    with running_group(VedetteServer, VedetteSentinel) as group:
        yield group


def check_with_promtool(text: str) -> None:
    """Check that promtool accepts `text` and finds no fault that is ours."""
    if shutil.which("promtool") is None:
        pytest.skip(f"{SKIP_PREFIX}promtool, not found on PATH")
    result = subprocess.run(
        ["promtool", "check", "metrics"],
        input=text,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    complaints = (result.stdout + result.stderr).splitlines()

    assert [line for line in complaints if not KNOWN_LINT.fullmatch(line)] == []
    assert result.returncode == (3 if complaints else 0)  # 3: readable, with lint


def test_a_group_of_ours_tells_of_its_synchronisation_and_waits(vedette_group: Group) -> None:
    """What INFO has no field for, from the processes' own endpoints."""
    group = vedette_group
    group.master.call("SET", "key", "value")
    assert group.master.call("WAIT", 1, 5000) == 1

    master = scrape(group.metrics_port(group.master))
    replica = scrape(group.metrics_port(group.replica))
    sentinel = scrape(group.metrics_port(group.sentinel))

    assert master.value("vedette_master_writable") == 1
    asked = {"side": "master", "kind": "full", "reason": "requested"}
    assert master.value("vedette_resync_causes_total", **asked) >= 1
    assert master.value("vedette_resync_duration_seconds_count", side="master") >= 1
    assert master.value("vedette_resync_bytes_total", side="master") > 0
    assert master.value("vedette_wait_seconds_count", command="wait") >= 1
    port = str(group.replica.port)
    assert master.value("vedette_replica_lag_seconds", slave_port=port) < 60
    assert replica.value("vedette_master_writable") == 0
    first = {"side": "replica", "kind": "full", "reason": "first"}
    assert replica.value("vedette_resync_causes_total", **first) == 1
    assert replica.value("vedette_resync_duration_seconds_sum", side="replica", kind="full") > 0
    received = replica.value("vedette_resync_bytes_total", side="replica")
    assert 0 < received <= master.value("vedette_resync_bytes_total", side="master")
    address = f"127.0.0.1:{group.master.port}"
    assert sentinel.value("vedette_instance_ping_rtt_seconds_count", instance=address) > 0
    assert sentinel.value("vedette_last_ok_ping_timestamp_seconds", instance=address) > 1e9


# --- the exporter over real Redis ----------------------------------------------------------------


@pytest.mark.parametrize("role", ["master", "replica", "sentinel"])
def test_redis_has_all_the_metrics_that_redis_exporter_gives(
    redis_group: Group, exporter: Exporter, role: str
) -> None:
    """Dashboards made for it find everything; the samples are its own answers."""
    process: ServerProcess = getattr(redis_group, role)
    process.call("PING")  # so that there are statistics of commands
    missing = {sample.name for sample in read_samples() if sample.scraped == role} - NOT_EXPOSED
    if role == "sentinel":
        missing -= MEANINGLESS_ON_SENTINELS

    answer = exporter.scrape(process)

    # The exporter's own counters are at /metrics.
    missing -= answer.names | scrape(exporter.port).names
    assert missing == set()
    assert answer.names <= documented_names("exporter")


@pytest.mark.parametrize("role", ["master", "replica", "sentinel"])
def test_promtool_accepts_what_the_exporter_says_of_redis(
    redis_group: Group, exporter: Exporter, role: str
) -> None:
    """Prometheus' own judge of the format."""
    check_with_promtool(exporter.scrape(getattr(redis_group, role)).text)


def test_the_exporter_tells_what_redis_tells(redis_group: Group, exporter: Exporter) -> None:
    """A sample of values whose truth is known."""
    redis_group.master.call("SET", "key", "value", "EX", 1000)
    redis_group.master.call("WAIT", 1, 5000)

    master, replica = exporter.scrape(redis_group.master), exporter.scrape(redis_group.replica)
    sentinel = exporter.scrape(redis_group.sentinel)

    assert master.value("redis_up") == 1
    assert master.value("redis_exporter_last_scrape_error", err="") == 0
    assert master.value("redis_db_keys", db="db0") == 1
    assert master.value("redis_db_keys_expiring", db="db0") == 1
    assert master.value("redis_connected_slaves") == 1
    assert master.value("vedette_node_role", role="master") == 1
    port = str(redis_group.replica.port)
    assert master.value("vedette_replica_lag_bytes", slave_port=port) < 1000
    assert replica.value("redis_master_link_up", master_port=str(redis_group.master.port)) == 1
    assert replica.label("redis_instance_info", "role") == "slave"
    address = f"127.0.0.1:{redis_group.master.port}"
    of_master = {"master_name": "mymaster", "master_address": address}
    assert sentinel.value("redis_sentinel_master_status", **of_master, master_status="ok") == 1
    assert sentinel.value("redis_sentinel_master_ok_slaves", **of_master) == 1
    assert sentinel.value("vedette_promotable_replicas", master_name="mymaster") == 1
    assert sentinel.value("vedette_quorum_margin", master_name="mymaster") == 0


def test_the_single_configured_target_is_at_metrics(redis_group: Group) -> None:
    """The simple set-up: one exporter beside each server."""
    with Exporter(f"127.0.0.1:{redis_group.master.port}") as exporter:
        first, second = scrape(exporter.port), scrape(exporter.port)

    assert first.value("redis_up") == 1
    assert second.value("redis_exporter_scrapes_total") == 2
    check_with_promtool(second.text)


def test_a_password_is_configured_and_never_taken_from_a_request(exporter: Exporter) -> None:
    """A scrape's URL stands in Prometheus' configuration and logs."""
    with RedisServer({"requirepass": "secret"}) as server:
        target = f"redis://:secret@127.0.0.1:{server.port}"

        with Exporter(target, "127.0.0.1:1") as configured:
            known = configured.scrape(server)
        unknown = exporter.scrape(target)

    assert known.value("redis_up") == 1
    assert unknown.value("redis_up") == 0
    assert "NOAUTH" in unknown.label("redis_exporter_last_scrape_error", "err")


# --- targets that cannot be asked ----------------------------------------------------------------


def test_an_unreachable_target_is_down_and_says_why(exporter: Exporter) -> None:
    """`redis_up == 0` is what alerts are made of; the answer is no failure of the exporter."""
    answer = exporter.scrape(f"127.0.0.1:{free_port()}")

    assert answer.value("redis_up") == 0
    assert "refused" in answer.label("redis_exporter_last_scrape_error", "err")
    assert "redis_connected_clients" not in answer.names


def test_a_name_that_leads_nowhere_is_said_at_the_start() -> None:
    """It may be mistyped. It may also come to be known later, so the exporter serves."""
    with Exporter("mistyped.invalid:1") as exporter:
        said = exporter.wait_for(r"level=warning event=exporter\.host_unknown (.*)")[1]
        answer = scrape(exporter.port)

    assert "target=redis://mistyped.invalid:1" in said
    assert answer.value("redis_up") == 0


def test_a_target_that_does_not_answer_is_given_up() -> None:
    """A process that hangs must not hang its scrape, which Prometheus would then drop whole."""
    with socket.create_server(("127.0.0.1", 0)) as silent, Exporter(timeout_s=0.3) as exporter:
        answer = exporter.scrape(f"127.0.0.1:{silent.getsockname()[1]}")

    assert answer.value("redis_up") == 0
    assert "within 0.3 s" in answer.label("redis_exporter_last_scrape_error", "err")
    assert 0.3 <= answer.value("redis_exporter_last_scrape_duration_seconds") < 3


@pytest.mark.parametrize("query", ["", "?target=", "?target=unix://h:1", "?target=h:x"])
def test_what_is_no_target_is_a_bad_request(exporter: Exporter, query: str) -> None:
    """And counted, for a wrong scrape configuration is easily overlooked."""
    before = scrape(exporter.port).value("redis_target_scrape_request_errors_total")

    with pytest.raises(urllib.error.HTTPError) as caught:
        scrape(exporter.port, f"/scrape{query}")
    caught.value.close()

    assert caught.value.code == 400
    after = scrape(exporter.port).value("redis_target_scrape_request_errors_total")
    assert after == before + 1


def test_ctrl_c_ends_the_exporter_cleanly() -> None:
    """No traceback, and exit code 0."""
    with Exporter() as exporter:
        assert scrape(exporter.port, "/health").text == "ok\n"

        exporter.interrupt()

        assert exporter.wait(10) == 0
        assert "Traceback" not in exporter.stdout + exporter.stderr


def test_a_port_in_use_is_said_in_one_line() -> None:
    """The commonest mistake of all."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with RunningProgram("vedette", "exporter", "--listen", f"127.0.0.1:{port}") as program:
            code = program.wait(20)

            assert code == 1
            assert f"cannot listen on 127.0.0.1:{port}: Address already in use" in program.stderr


# --- Vedette's own endpoints ---------------------------------------------------------------------


@pytest.mark.parametrize("role", ["master", "replica", "sentinel"])
def test_promtool_accepts_what_vedette_serves(vedette_group: Group, role: str) -> None:
    """The native endpoints are held to the same standard."""
    process: ServerProcess = getattr(vedette_group, role)

    check_with_promtool(scrape(vedette_group.metrics_port(process)).text)


@pytest.mark.parametrize("role", ["master", "replica", "sentinel"])
def test_vedette_serves_what_the_exporter_would_say_of_it(
    vedette_group: Group, exporter: Exporter, role: str
) -> None:
    """One set of names, wherever they come from; the native endpoint knows more."""
    process: ServerProcess = getattr(vedette_group, role)

    native = scrape(vedette_group.metrics_port(process))
    asked = exporter.scrape(process)

    about_scraping = {name for name in asked.names if name.startswith("redis_exporter_")}
    slow_log = {name for name in asked.names if "slow" in name}
    assert asked.names - about_scraping - slow_log <= native.names
    assert {name for name in native.names if name.startswith("redis_")} <= asked.names
    assert native.names <= documented_names("sentinel" if role == "sentinel" else "server")


def test_vedette_serves_metrics_only_when_told_to() -> None:
    """Off by default: a port that nobody asked for is a port that nobody guards."""
    with VedetteServer() as server:
        ports = listening_ports(server.process.pid)

    assert ports == {server.port}


def listening_ports(pid: int) -> set[int]:
    """Return the IPv4 ports a process listens on, as the kernel knows them."""
    links = [os.readlink(link) for link in Path(f"/proc/{pid}/fd").iterdir()]
    own = {link.removeprefix("socket:[").rstrip("]") for link in links if link.startswith("socket")}
    rows = [line.split() for line in Path(f"/proc/{pid}/net/tcp").read_text().splitlines()[1:]]
    listen_state = "0A"
    listening = [row for row in rows if row[3] == listen_state and row[9] in own]
    return {int(row[1].partition(":")[2], 16) for row in listening}


def test_a_failover_is_counted_and_timed_by_its_leader() -> None:
    """From `SENTINEL FAILOVER` to the last replica, in a running sentinel."""
    with running_group(VedetteServer, VedetteSentinel) as group:
        port = group.metrics_port(group.sentinel)
        before = scrape(port)
        group.sentinel.call("SENTINEL", "FAILOVER", "mymaster")
        attempt = {"master_name": "mymaster", "trigger": "manual", "result": "completed"}
        wait_until(
            lambda: scrape(port).value("vedette_failovers_total", **attempt) == 1,
            20,
            "the failover to be counted",
        )
        after = scrape(port)

    of_leader = {"master_name": "mymaster", "role": "leader"}
    assert before.value("vedette_failovers_total", **attempt) == 0
    assert before.values("vedette_failover_duration_seconds_count") == []
    assert after.value("vedette_master_switches_total", **of_leader) == 1
    assert after.value("vedette_failover_duration_seconds_count", **of_leader) == 1
    assert after.value("vedette_failover_duration_seconds_sum", **of_leader) < 10
    assert after.value("vedette_events_total", event="+switch-master") == 1
    assert after.value("vedette_votes_cast_total", candidate="self") == 1
    assert after.value("vedette_current_epoch") == before.value("vedette_current_epoch") + 1
    assert after.value("vedette_last_switch_timestamp_seconds", master_name="mymaster") > 1.7e9
