"""How much happens each second."""

from __future__ import annotations

import pytest

from vedette.clients.rates import Rates, Totals


def test_rates_are_the_mean_over_the_last_samples() -> None:
    """As INFO's instantaneous_ops_per_sec is."""
    rates = Rates()
    for index in range(40):
        per_sample = 10 if index < 20 else 100
        rates.sample(
            index * 100,
            Totals(commands=sum([10] * min(index, 20) + [per_sample] * max(0, index - 20))),
        )

    assert rates.commands_per_second == pytest.approx(1000)


def test_rates_survive_resets_and_clocks_set_back() -> None:
    """CONFIG RESETSTAT and NTP must not make them negative or huge."""
    rates = Rates()
    rates.sample(0, Totals(commands=1000, input_bytes=10))
    rates.sample(1000, Totals(commands=2000, input_bytes=20))
    rates.sample(1010, Totals(commands=9000))
    rates.sample(2000, Totals(commands=5))
    rates.sample(100, Totals(commands=6))
    rates.sample(1100, Totals(commands=1006, input_bytes=5))

    assert rates.commands_per_second == pytest.approx(1000)
    assert rates.input_bytes_per_second == pytest.approx(7.5)


def test_a_cycle_takes_the_mean_of_those_that_there_were() -> None:
    """Where none was served it takes no time."""
    rates = Rates()
    assert rates.seconds_per_cycle == 0
    rates.sample(0, Totals())
    rates.sample(1000, Totals(cycles=100, cycles_s=0.2))

    assert rates.cycles_per_second == pytest.approx(100)
    assert rates.seconds_per_cycle == pytest.approx(0.002)
