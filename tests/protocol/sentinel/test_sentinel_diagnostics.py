"""SENTINEL DEBUG, SIMULATE-FAILURE and INFO-CACHE, bytes in and bytes out."""

from __future__ import annotations

from dataclasses import replace

import pytest

from sentinel.core.events import FailureSimulated, PeriodsChanged
from sentinel.core.model import SimulatedFailure
from sentinel.core.timing import DEFAULT_PERIODS
from tests.support.desk import NOW_MS, Desk, flat_map
from vedette.types import Address


def test_debug_shows_all_periods_in_redis_order() -> None:
    """Tools read the flat reply by position."""
    assert list(flat_map(Desk().send("SENTINEL DEBUG")).items()) == [
        ("INFO-PERIOD", "10000"),
        ("PING-PERIOD", "1000"),
        ("ASK-PERIOD", "1000"),
        ("PUBLISH-PERIOD", "2000"),
        ("DEFAULT-DOWN-AFTER", "30000"),
        ("DEFAULT-FAILOVER-TIMEOUT", "180000"),
        ("TILT-TRIGGER", "2000"),
        ("TILT-PERIOD", "100"),
        ("SLAVE-RECONF-TIMEOUT", "10000"),
        ("MIN-LINK-RECONNECT-PERIOD", "15000"),
        ("ELECTION-TIMEOUT", "2000"),
        ("SCRIPT-MAX-RUNTIME", "60000"),
        ("SCRIPT-RETRY-DELAY", "30000"),
    ]


def test_debug_changes_several_periods_in_one_event() -> None:
    """In any case of letters."""
    desk = Desk()

    assert desk.send("SENTINEL DEBUG info-period 7 Script-Retry-Delay 8") == b"+OK\r\n"
    periods = replace(DEFAULT_PERIODS, info_period_ms=7, script_retry_delay_ms=8)
    assert desk.machine.events == [PeriodsChanged(NOW_MS, periods)]


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        ("ping-period 0", "Invalid argument '0' for SENTINEL DEBUG 'ping-period'"),
        ("PING-PERIOD x", "Invalid argument 'x' for SENTINEL DEBUG 'PING-PERIOD'"),
        ("ping-period", "Unknown option or number of arguments for SENTINEL DEBUG 'ping-period'"),
        ("nosuch 1", "Unknown option or number of arguments for SENTINEL DEBUG 'nosuch'"),
    ],
)
def test_debug_keeps_what_came_before_an_error(arguments: str, error: str) -> None:
    """As Redis does."""
    desk = Desk()

    assert desk.send(f"SENTINEL DEBUG ask-period 5 {arguments}") == f"-ERR {error}\r\n".encode()
    periods = replace(DEFAULT_PERIODS, ask_period_ms=5)
    assert desk.machine.events == [PeriodsChanged(NOW_MS, periods)]


@pytest.mark.parametrize(
    ("arguments", "reply", "failures"),
    [
        ("crash-after-election", b"+OK\r\n", 1),
        ("CRASH-AFTER-PROMOTION crash-after-election", b"+OK\r\n", 3),
        ("nosuch", b"-ERR Unknown failure simulation specified\r\n", 0),
        ("crash-after-promotion nosuch", b"-ERR Unknown failure simulation specified\r\n", 2),
        ("help", b"*2\r\n$20\r\ncrash-after-election\r\n$21\r\ncrash-after-promotion\r\n", 0),
    ],
)
def test_simulate_failure_replaces_what_was_ordered(
    arguments: str, reply: bytes, failures: int
) -> None:
    """Redis clears the flags first, and keeps those before a wrong one."""
    desk = Desk()

    assert desk.send(f"SENTINEL SIMULATE-FAILURE {arguments}") == reply
    assert desk.event == FailureSimulated(NOW_MS, SimulatedFailure(failures))


def test_info_shows_what_failure_is_simulated() -> None:
    """An exporter alerts on it."""
    desk = Desk()
    desk.machine.state.simulated_failures = SimulatedFailure(3)

    assert b"\r\nsentinel_simulate_failure_flags:3\r\n" in desk.send("INFO sentinel")


def test_info_cache_has_the_last_info_of_master_and_replicas() -> None:
    """Age and text; a node that was never read has neither. Unknown names are passed over."""
    desk = Desk()
    node = desk.machine.state.masters["m"].node
    node.info, node.info_refresh_ms = b"role:master", NOW_MS - 7
    replica = desk.machine.state.masters["m"].replicas[Address("10.0.0.2", 6379)]
    assert replica.info is None

    expected = b"*2\r\n$1\r\nm\r\n*2\r\n*2\r\n:7\r\n$11\r\nrole:master\r\n*2\r\n:0\r\n$-1\r\n"
    assert desk.send("SENTINEL INFO-CACHE nosuch m m") == expected
    assert desk.send("SENTINEL INFO-CACHE nosuch") == b"*0\r\n"
