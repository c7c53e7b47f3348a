"""From INFO to samples: each kind of field, and what is absent or odd."""

from __future__ import annotations

import pytest
from prometheus_client.metrics_core import Metric

from monitoring.families import Families
from monitoring.native import add_native
from monitoring.node_families import add_node, number
from vedette.info import parse_info

NOW_S = 1_700_000_100.7


def samples_of(metrics: list[Metric]) -> dict[str, float]:
    """Return values by series, spelled `name{label=value}`."""
    series = {}
    for metric in metrics:
        for sample in metric.samples:
            labels = ",".join(f"{name}={value}" for name, value in sample.labels.items())
            series[f"{sample.name}{{{labels}}}" if labels else sample.name] = sample.value
    return series


def node_samples(text: str, config: dict[str, str] | None = None) -> dict[str, float]:
    """Return the samples of an INFO with these lines."""
    families = Families()
    add_node(families, parse_info(text), now_s=NOW_S, config=config)
    return samples_of(list(families.metrics()))


def native_samples(text: str) -> dict[str, float]:
    """Return the samples with our own prefix."""
    families = Families()
    add_native(families, parse_info(text))
    return samples_of(list(families.metrics()))


@pytest.mark.parametrize(
    ("line", "series", "value"),
    [
        ("connected_clients:3", "redis_connected_clients", 3),
        ("total_net_input_bytes:10", "redis_net_input_bytes_total", 10),
        ("total_error_replies:2", "redis_total_error_replies", 2),
        ("latest_fork_usec:1500", "redis_latest_fork_seconds", 0.0015),
        ("mem_fragmentation_ratio:1.25", "redis_mem_fragmentation_ratio", 1.25),
        ("rdb_last_bgsave_status:ok", "redis_rdb_last_bgsave_status", 1),
        ("rdb_last_bgsave_status:err", "redis_rdb_last_bgsave_status", 0),
        ("second_repl_offset:-1", "redis_second_repl_offset", -1),
        ("uptime_in_seconds:100", "redis_start_time_seconds", 1_700_000_000),
        ("errorstat_WRONGTYPE:count=4", "redis_errors_total{err=WRONGTYPE}", 4),
        ("db3:keys=7,expires=2,avg_ttl=1500", "redis_db_keys{db=db3}", 7),
        ("db3:keys=7,expires=2,avg_ttl=1500", "redis_db_keys_expiring{db=db3}", 2),
        ("db3:keys=7,expires=2,avg_ttl=1500", "redis_db_avg_ttl_seconds{db=db3}", 1.5),
        (
            "slave0:ip=::1,port=6380,state=online,offset=14,lag=1",
            "redis_connected_slave_offset_bytes{slave_ip=::1,slave_port=6380,slave_state=online}",
            14,
        ),
        (
            "slave0:ip=::1,port=6380,state=online,offset=14,lag=1",
            "redis_connected_slave_lag_seconds{slave_ip=::1,slave_port=6380,slave_state=online}",
            1,
        ),
        (
            "cmdstat_client|setname:calls=2,usec=12,usec_per_call=6.00"
            ",rejected_calls=1,failed_calls=3",
            "redis_commands_duration_seconds_total{cmd=client|setname}",
            12e-6,
        ),
        (
            "cmdstat_get:calls=2,usec=12,usec_per_call=6.00,rejected_calls=1,failed_calls=3",
            "redis_commands_failed_calls_total{cmd=get}",
            3,
        ),
    ],
)
def test_a_field_becomes_its_metric(line: str, series: str, value: float) -> None:
    """One example of each shape of field, with the unit of the metric."""
    assert node_samples(line)[series] == pytest.approx(value)


@pytest.mark.parametrize("text", ["", "-nan", "inf", "up", "1.5K", None])
def test_what_is_no_number_is_no_sample(text: str | None) -> None:
    """A value that cannot be counted with would break the sums made of it."""
    assert number(text) is None


def test_what_info_lacks_is_not_exposed() -> None:
    """A zero would claim to know."""
    assert set(node_samples("role:master")) == {
        "redis_up",
        "redis_instance_info{role=master,redis_version=,redis_build_id=,redis_mode=,os=,"
        "maxmemory_policy=,tcp_port=,run_id=,process_id=}",
    }


def test_databases_without_keys_are_exposed_where_their_number_is_known() -> None:
    """A database that was emptied shows 0, not a gap."""
    samples = node_samples("db1:keys=7,expires=0,avg_ttl=0", {"databases": "2"})

    assert (samples["redis_db_keys{db=db0}"], samples["redis_db_keys{db=db1}"]) == (0, 7)
    assert "redis_db_keys{db=db2}" not in samples


def test_latencies_join_percentiles_and_totals() -> None:
    """A summary needs the count and the sum, which are in another section."""
    samples = node_samples(
        "cmdstat_get:calls=2,usec=12,usec_per_call=6.00\r\n"
        "latency_percentiles_usec_get:p50=4.015,p99.9=8.031\r\n"
        "latency_percentiles_usec_set:p50=1.003"
    )

    assert {name: value for name, value in samples.items() if "latency" in name} == {
        "redis_latency_percentiles_usec{cmd=get,quantile=50}": 4.015,
        "redis_latency_percentiles_usec{cmd=get,quantile=99.9}": 8.031,
        "redis_latency_percentiles_usec_sum{cmd=get}": 12,
        "redis_latency_percentiles_usec_count{cmd=get}": 2,
    }


def test_a_replica_names_its_master() -> None:
    """The link's metrics carry the master's address, as alerts on them expect."""
    samples = node_samples(
        "role:slave\nmaster_host:10.0.0.1\nmaster_port:6379\nmaster_link_status:up\n"
        "master_last_io_seconds_ago:2\nmaster_sync_in_progress:0\nslave_repl_offset:99\n"
        "slave_read_only:1"
    )

    master = "master_host=10.0.0.1,master_port=6379"
    assert samples[f"redis_master_link_up{{{master}}}"] == 1
    assert samples[f"redis_master_last_io_seconds_ago{{{master}}}"] == 2
    assert samples[f"redis_slave_repl_offset{{{master}}}"] == 99
    assert samples[f"redis_slave_info{{{master},read_only=1}}"] == 1


def test_valkey_is_recognised_by_its_own_field() -> None:
    """Valkey 8 says `server_mode` where Redis says `redis_mode`."""
    assert any("redis_mode=standalone" in name for name in node_samples("server_mode:standalone"))


def test_both_roles_are_always_there() -> None:
    """So a change of roles changes values and leaves no stale series behind."""
    assert native_samples("role:slave") == {
        "vedette_node_role{role=master}": 0,
        "vedette_node_role{role=replica}": 1,
    }


def test_lag_is_the_bytes_an_online_replica_has_not_acknowledged() -> None:
    """One that is synchronising has no place in the stream yet; an offset may be ahead of INFO."""
    samples = native_samples(
        "role:master\nmaster_repl_offset:100\n"
        "slave0:ip=::1,port=1,state=online,offset=60,lag=0\n"
        "slave1:ip=::1,port=2,state=wait_bgsave,offset=0,lag=0\n"
        "slave2:ip=::1,port=3,state=online,offset=101,lag=0"
    )

    assert {name: value for name, value in samples.items() if "lag" in name} == {
        "vedette_replica_lag_bytes{slave_ip=::1,slave_port=1}": 40,
        "vedette_replica_lag_bytes{slave_ip=::1,slave_port=3}": 0,
    }


def test_resyncs_are_counted_by_outcome() -> None:
    """Under redis_exporter's names they are gauges, which `increase()` should not be asked of."""
    samples = native_samples("role:master\nsync_full:3\nsync_partial_ok:2\nsync_partial_err:1")

    assert {name: value for name, value in samples.items() if "resyncs" in name} == {
        "vedette_resyncs_total{kind=full}": 3,
        "vedette_resyncs_total{kind=partial}": 2,
        "vedette_resyncs_total{kind=partial_refused}": 1,
    }


@pytest.mark.parametrize(
    ("lines", "expected_s"),
    [
        ("master_link_status:up", 0.0),
        ("master_link_status:down\nmaster_link_down_since_seconds:12", 12.0),
        ("master_link_status:down\nmaster_link_down_since_seconds:-1", None),
    ],
)
def test_the_time_without_a_master_is_known_or_absent(lines: str, expected_s: float | None) -> None:
    """-1 stands for a link that never was up, which is no duration."""
    samples = native_samples(f"role:slave\n{lines}")

    assert samples.get("vedette_master_link_down_seconds") == expected_s


def test_refusals_are_counted_from_the_errors_replied() -> None:
    """A code that was never replied has no field; a server that counts none shows nothing."""
    samples = native_samples(
        "role:master\ntotal_error_replies:9\nerrorstat_OOM:count=4\nerrorstat_ERR:count=5"
    )

    rejected = {name: value for name, value in samples.items() if "rejected" in name}
    assert rejected["vedette_writes_rejected_total{reason=oom}"] == 4
    assert rejected["vedette_writes_rejected_total{reason=noreplicas}"] == 0
    assert len(rejected) == 6
    assert not any("rejected" in name for name in native_samples("role:master"))


def test_progress_is_shown_of_what_is_under_way_and_has_a_known_end() -> None:
    """A transfer that ends with a mark has no size, and what does not happen no progress."""
    quiet = native_samples("role:slave\ncurrent_save_keys_processed:0\ncurrent_save_keys_total:0")
    busy = native_samples(
        "role:slave\ncurrent_cow_size:4096\n"
        "current_save_keys_processed:1\ncurrent_save_keys_total:4\n"
        "loading_total_bytes:0\nloading_loaded_bytes:7\n"
        "master_sync_total_bytes:200\nmaster_sync_read_bytes:100"
    )

    assert not any("progress" in name for name in quiet)
    assert {name: value for name, value in busy.items() if "progress" in name} == {
        "vedette_progress_ratio{work=child}": 0.25,
        "vedette_progress_ratio{work=synchronisation}": 0.5,
    }
    assert busy["vedette_child_copied_bytes"] == 4096


def test_what_no_replica_has_would_be_lost() -> None:
    """The best replica counts; without one nothing can be said."""
    lines = "role:master\nmaster_repl_offset:100\n"
    replicas = (
        "slave0:ip=::1,port=1,state=online,offset=60,lag=0\n"
        "slave1:ip=::1,port=2,state=online,offset=90,lag=0"
    )

    assert native_samples(lines + replicas)["vedette_unreplicated_bytes"] == 10
    assert "vedette_unreplicated_bytes" not in native_samples(lines)
