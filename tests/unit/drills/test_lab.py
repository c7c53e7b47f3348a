"""The plan of a laboratory: kinds, ports and configuration files, without starting anything."""

from __future__ import annotations

from pathlib import Path

import pytest

from drills.deployment import Part
from drills.lab import (
    Kind,
    LabPlan,
    PlanError,
    PortBases,
    TlsFiles,
    Topology,
    hand_out_kinds,
    plan_lab,
)

V, R = Kind.VEDETTE, Kind.REDIS
K = Kind.VALKEY


@pytest.mark.parametrize(
    ("text", "process_count", "expected"),
    [
        ("vedette", 3, [V, V, V]),
        ("redis", 2, [R, R]),
        ("mix", 3, [V, R, V]),
        ("mix", 1, [V]),
        ("vedette,redis,redis", 3, [V, R, R]),
        ("redis, vedette", 5, [R, V, R, V, R]),
        ("valkey,vedette", 3, [K, V, K]),
    ],
)
def test_kinds_are_handed_out_in_turn(text: str, process_count: int, expected: list[Kind]) -> None:
    """What people write after --nodes and --sentinels decides which program each process is."""
    assert hand_out_kinds(text, process_count) == expected


@pytest.mark.parametrize("text", ["", "keydb", "vedette,", "Redis"])
def test_unknown_kinds_are_refused(text: str) -> None:
    with pytest.raises(PlanError, match="no list of kinds"):
        hand_out_kinds(text, 3)


def test_a_list_longer_than_the_processes_is_refused() -> None:
    """Otherwise somebody would believe to have tested a kind that never ran."""
    with pytest.raises(PlanError, match="names 3 kinds for 2 processes"):
        hand_out_kinds("vedette,redis,redis", 2)


def make_plan(
    taken: set[int] | None = None, metrics: int | None = 9121, **fields: object
) -> LabPlan:
    occupied = taken or set()
    return plan_lab(
        Topology(**fields),  # type: ignore[arg-type]  # the tests' own keyword arguments
        Path("/lab dir"),
        PortBases(node=6379, sentinel=26379, metrics=metrics),
        lambda port: port not in occupied,
    )


def test_taken_ports_are_passed_over() -> None:
    plan = make_plan(taken={6380, 26379, 26381, 9122})

    assert [process.port for process in plan.nodes] == [6379, 6381, 6382]
    assert [process.port for process in plan.sentinels] == [26380, 26382, 26383]
    assert [process.metrics_port for process in plan.nodes] == [9121, 9123, 9124]


def test_nodes_and_sentinels_from_one_base_never_share_a_port() -> None:
    plan = plan_lab(
        Topology(),
        Path("/lab"),
        PortBases(node=7000, sentinel=7000, metrics=7000),
        lambda port: True,
    )

    ports = [p.port for p in plan.processes] + [p.metrics_port for p in plan.processes]
    assert sorted(port for port in ports if port) == list(range(7000, 7012))


def test_too_few_free_ports_end_the_planning() -> None:
    with pytest.raises(PlanError, match="fewer than 3 free ports from 6379"):
        plan_lab(Topology(), Path("/lab"), PortBases(), lambda port: port < 6381)


def test_only_our_programs_get_metrics_ports() -> None:
    """redis-server refuses to start with a directive that it does not know."""
    plan = make_plan(nodes="redis,vedette,valkey", sentinels="redis,valkey", refused_after_ms=100)

    assert [p.program for p in plan.nodes] == ["redis-server", "vedette-server", "valkey-server"]
    assert [p.program for p in plan.sentinels[:2]] == ["redis-sentinel", "valkey-sentinel"]
    assert not any("refused-after" in p.config_text for p in plan.sentinels)
    assert [p.metrics_port for p in plan.nodes] == [None, 9121, None]
    assert all(p.metrics_port is None for p in plan.sentinels)
    assert [("metrics-port" in p.config_text) for p in plan.processes] == [
        False, True, False, False, False, False,
    ]  # fmt: skip


def test_metrics_can_be_switched_off() -> None:
    plan = make_plan(metrics=None)

    assert all(process.metrics_url is None for process in plan.processes)
    assert not any("metrics-port" in process.config_text for process in plan.processes)


def test_configuration_of_a_replica_and_a_sentinel() -> None:
    plan = make_plan(nodes="redis", sentinel_count=5, down_after_ms=700, metrics=None)

    assert plan.nodes[0].config_text == (
        'bind 127.0.0.1\ndir "/lab dir/node-1"\nport 6379\nsave ""\nrepl-diskless-sync-delay 0\n'
    )
    assert plan.nodes[2].config_text.endswith("replicaof 127.0.0.1 6379\n")
    assert plan.sentinels[4].config_text == (
        'bind 127.0.0.1\ndir "/lab dir/sentinel-5"\nport 26383\n'
        "sentinel monitor mymaster 127.0.0.1 6379 3\n"
        "sentinel down-after-milliseconds mymaster 700\n"
        "sentinel failover-timeout mymaster 10000\n"
        "sentinel parallel-syncs mymaster 1\n"
    )


def test_each_process_has_its_name_and_the_program_of_its_kind() -> None:
    plan = make_plan(replica_count=1, sentinels="redis", sentinel_count=1)

    assert [(p.name, p.part, p.program) for p in plan.processes] == [
        ("node-1", Part.NODE, "vedette-server"),
        ("node-2", Part.NODE, "vedette-server"),
        ("sentinel-1", Part.SENTINEL, "redis-sentinel"),
    ]
    assert plan.programs == ["redis-sentinel", "vedette-server"]
    assert plan.nodes[1].metrics_url == "http://127.0.0.1:9122/metrics"


def test_behind_proxies_nodes_listen_elsewhere_than_they_are_known() -> None:
    """Everybody is led through the proxies, replicas of the replicas' master included."""
    plan = make_plan(is_proxied=True, metrics=None)
    master, replica, _ = plan.nodes

    assert [node.port for node in plan.nodes] == [6379, 6380, 6381]
    assert [node.listen_port for node in plan.nodes] == [6382, 6383, 6384]
    assert (replica.address.port, replica.direct_address.port) == (6380, 6383)
    assert "\nport 6383\n" in replica.config_text
    assert "replicaof 127.0.0.1 6379\nreplica-announce-port 6380\n" in replica.config_text
    assert "replica-announce-port 6379\n" in master.config_text
    assert "monitor mymaster 127.0.0.1 6379 2\n" in plan.sentinels[0].config_text


def test_over_tls_no_plain_port_is_open() -> None:
    """What is forgotten in a configuration would go on in the clear, and nobody would notice."""
    files = TlsFiles(authority=Path("/a b/ca"), certificate=Path("/crt"), key=Path("/key"))
    plan = plan_lab(
        Topology(nodes="redis"), Path("/lab"), PortBases(metrics=None), lambda port: True, files
    )

    for process in plan.processes:
        lines = process.config_text.splitlines()
        assert {"port 0", f"tls-port {process.port}", "tls-replication yes"} <= {*lines}
        assert 'tls-ca-cert-file "/a b/ca"' in lines
    assert plan.tls is files
