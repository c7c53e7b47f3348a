"""What INFO tells of a loading."""

from __future__ import annotations

from server.persistence.load_status import LoadStatus

START_MS = 1_700_000_000_500


def test_nothing_is_told_while_nothing_is_loaded() -> None:
    """Before, and after the end."""
    status = LoadStatus()
    assert status.info_fields(START_MS) == {}
    status.begin(START_MS, 100)
    status.end()

    assert status.info_fields(START_MS) == {}


def test_progress_is_told_with_an_estimate_of_the_rest() -> None:
    """A quarter took ten seconds, so the rest takes thirty."""
    status = LoadStatus()
    status.begin(START_MS, 1000)
    status.loaded_bytes = 250
    status.used_memory_bytes = 77

    assert status.info_fields(START_MS + 10_000) == {
        "loading_start_time": START_MS // 1000,
        "loading_total_bytes": 1000,
        "loading_rdb_used_mem": 77,
        "loading_loaded_bytes": 250,
        "loading_loaded_perc": "25.00",
        "loading_eta_seconds": 30,
    }


def test_without_a_total_there_is_no_share() -> None:
    """A snapshot that ends by a mark tells no size."""
    status = LoadStatus()
    status.begin(START_MS)
    status.loaded_bytes = 250
    fields = status.info_fields(START_MS + 10_000)

    assert (fields["loading_loaded_perc"], fields["loading_eta_seconds"]) == ("0.00", 0)


def test_in_its_first_second_the_estimate_is_one() -> None:
    """As Redis has it."""
    status = LoadStatus()
    status.begin(START_MS, 1000)

    assert status.info_fields(START_MS + 999)["loading_eta_seconds"] == 1
