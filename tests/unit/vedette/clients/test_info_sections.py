"""What INFO says in server and sentinel alike."""

from __future__ import annotations

from tests.support.kernel import START_MS, KernelEngine
from vedette.clients import WAITING, Block, ClientKind, info_sections
from vedette.clients.blocking import KeyLoss
from vedette.clients.rates import Rates, Totals


def test_clients_are_counted_by_what_they_are_at() -> None:
    """Replicas are not clients in this count; waits with a deadline are counted by themselves."""
    engine = KernelEngine()
    engine.client(kind=ClientKind.REPLICA)
    engine.send(engine.client(), ("HOLD",))
    engine.send(engine.client(), ("HOLD", 500))
    engine.arrive(engine.client(), b"*1\r\n$9\r\nabc")

    fields = info_sections.clients_fields(engine, 100)

    assert fields["connected_clients"] == 3
    assert fields["maxclients"] == 100
    assert fields["blocked_clients"] == 2
    assert fields["clients_in_timeout_table"] == 1
    assert fields["client_recent_max_input_buffer"] == 3


def test_awaited_keys_are_counted_once() -> None:
    """Whoever waits for one; and apart those of which the loss is waited for too, as by 7.2."""
    engine = KernelEngine()
    loss = KeyLoss(0, b"stream")
    for reasons in (((0, b"list"),), ((0, b"list"), (0, b"stream"), loss), ("wait",)):
        engine.block(engine.client(), Block(reasons, lambda now_ms: WAITING), [])

    fields = info_sections.clients_fields(engine, 100)

    assert fields["total_blocking_keys"] == 2
    assert fields["total_blocking_keys_on_nokey"] == 1


def test_traffic_is_counted_from_the_engine() -> None:
    """Connections that are gone still count as received."""
    engine = KernelEngine()
    engine.disconnect(engine.client())
    engine.clients.rejected_count = 2
    engine.send(engine.client(), ("PING",), ("NOPE",))
    engine.output_bytes = 70
    fields = info_sections.traffic_fields(engine)

    assert fields == {
        "total_connections_received": 2,
        "total_commands_processed": 1,
        "total_net_input_bytes": 28,
        "total_net_output_bytes": 70,
        "rejected_connections": 2,
    }


def test_rates_stand_where_redis_has_them() -> None:
    """In kilobytes of 1024, with two decimals."""
    rates = Rates()
    rates.sample(0, Totals())
    rates.sample(1000, Totals(commands=100, input_bytes=2048, output_bytes=512))
    fields = info_sections.traffic_fields(KernelEngine(), rates)

    assert fields["instantaneous_ops_per_sec"] == 100
    assert fields["instantaneous_input_kbps"] == "2.00"
    assert fields["instantaneous_output_kbps"] == "0.50"
    assert list(fields)[:4] == [
        "total_connections_received",
        "total_commands_processed",
        "instantaneous_ops_per_sec",
        "total_net_input_bytes",
    ]


def test_commands_are_listed_once_they_were_sent() -> None:
    """Refusals and failures alone are reason enough."""
    engine = KernelEngine()
    engine.send(engine.client(), ("FETCH", "k"), ("CLIENT", "ID"), ("STORE",), ("REFUSED",))
    for row in engine.table.all_rows():
        row.durations[:] = [0.0015 if row.name == "fetch" else 0.0 for _ in row.durations]

    assert info_sections.commandstats_fields(engine.table) == {
        "cmdstat_fetch": "calls=1,usec=1500,usec_per_call=1500.00,rejected_calls=0,failed_calls=0",
        "cmdstat_client|id": "calls=1,usec=0,usec_per_call=0.00,rejected_calls=0,failed_calls=0",
        "cmdstat_store": "calls=0,usec=0,usec_per_call=0.00,rejected_calls=1,failed_calls=0",
        "cmdstat_refused": "calls=1,usec=0,usec_per_call=0.00,rejected_calls=0,failed_calls=1",
    }


def test_errors_are_listed_by_code() -> None:
    """Sorted, as dashboards compare them."""
    engine = KernelEngine()
    engine.send(engine.client(), ("REFUSED",), ("NOPE",), ("REFUSED",))

    assert info_sections.errorstats_fields(engine) == {
        "errorstat_ERR": "count=1",
        "errorstat_TOY": "count=2",
    }
    assert info_sections.error_fields(engine)["total_error_replies"] == 3


def test_channels_are_counted() -> None:
    """Those with listeners, and distinct patterns."""
    engine = KernelEngine()
    for _ in range(2):
        engine.send(engine.client(), ("SUBSCRIBE", "a", "b"), ("PSUBSCRIBE", "p*"))
    fields = info_sections.pubsub_fields(engine)

    assert (fields["pubsub_channels"], fields["pubsub_patterns"]) == (2, 1)


def test_processor_time_has_six_decimals() -> None:
    """Own system and user seconds first, then the children's."""
    assert info_sections.cpu_fields((1.5, 2.25, 0.125, 0.5)) == {
        "used_cpu_sys": "1.500000",
        "used_cpu_user": "2.250000",
        "used_cpu_sys_children": "0.125000",
        "used_cpu_user_children": "0.500000",
    }


def test_reset_clears_all_of_it() -> None:
    """CONFIG RESETSTAT; the connections there are stay."""
    engine = KernelEngine()
    engine.send(engine.client(), ("FETCH", "k"), ("NOPE",), ("REFUSED",))
    engine.output_bytes = 10
    info_sections.reset_statistics(engine)

    assert set(info_sections.traffic_fields(engine).values()) == {0}
    assert info_sections.commandstats_fields(engine.table) == {}
    assert info_sections.errorstats_fields(engine) == {}
    assert info_sections.error_fields(engine)["total_error_replies"] == 0
    assert info_sections.clients_fields(engine, 1)["connected_clients"] == 1
    assert engine.context.now_ms == START_MS


def test_cycles_are_told_in_microseconds() -> None:
    """What commands took is the sum of all rows, and goes with CONFIG RESETSTAT as all of it."""
    engine = KernelEngine()
    engine.send(engine.client(), ("PING",))
    row = engine.table.by_own_name("ping")
    assert row is not None
    row.reset_statistics()
    row.durations.append(0.000007)
    engine.cycles, engine.cycles_s = 3, 0.000025
    rates = Rates()
    rates.sample(0, Totals())
    rates.sample(1000, Totals(cycles=2, cycles_s=0.00002))

    assert info_sections.cycle_fields(engine, rates) == {
        "eventloop_cycles": 3,
        "eventloop_duration_sum": 25,
        "eventloop_duration_cmd_sum": 7,
        "instantaneous_eventloop_cycles_per_sec": 2,
        "instantaneous_eventloop_duration_usec": 10,
    }

    info_sections.reset_statistics(engine)

    assert set(info_sections.cycle_fields(engine, Rates()).values()) == {0}
