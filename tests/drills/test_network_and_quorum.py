"""Drills of the network and of the quorum on real processes, run as people run them."""

from __future__ import annotations

import json
from typing import Any

from tests.support.programs import RunningProgram
from tests.support.redis import require_redis

#: Longer than any machine takes: how fast a failover is, is for the benchmarks.
_PATIENT = ("--max-outage", "90000", "--max-demotion", "60000")


# Any: a JSON document.
def report_of(name: str, *args: str) -> dict[str, Any]:
    """Run a drill that must pass, and return its report."""
    with RunningProgram(
        "vedette", "drill", "run", name, "--seed", "7", "--json", *_PATIENT, *args
    ) as drill:
        exit_code = drill.wait(115)
        assert exit_code in (0, 1), drill.stderr
        report: dict[str, Any] = json.loads(drill.stdout)

    assert [each for each in report["criteria"] if not each["passed"]] == []
    assert exit_code == 0
    return report


def test_a_master_cut_off_over_tls_is_replaced_and_steps_down_when_the_link_heals() -> None:
    """Everything at once: proxies, TLS between all, two masters for a while, and what they cost."""
    report = report_of("partition", "--tls", "--down-after", "1000")

    assert report["old_master"] == "node-1"
    assert report["new_master"] in ("node-2", "node-3")
    # The probe reaches the old master past the proxy, so both take writes until it is healed.
    assert report["split_brain_ms"] > 0
    assert report["demoted_ms"] is not None
    assert report["resync"]["by_replica"]["node-1"] != {"full": 0, "partial": 0}
    assert report["stale_read_ms"].keys() == {"client", "node-1", "node-2", "node-3"}
    assert report["duplicates"] == 0


def test_without_their_majority_sentinels_promote_nobody() -> None:
    """And do once it is back; nodes of both kinds."""
    require_redis()
    report = report_of("majority-loss", "--nodes", "mix", "--down-after", "500")

    restored_ms = report["majority_restored_ms"]
    assert restored_ms >= 2000 + 3 * 500
    assert min(report["accepted_write_ms"].values()) > restored_ms
    assert report["phases_ms"]["announced"] > restored_ms
    assert report["outage_ms"]["max"] > restored_ms


def test_a_master_that_stands_still_again_and_again_makes_no_sentinel_flap() -> None:
    """One failover is what a busy machine may come to by itself."""
    report = report_of("master-flapping", "--down-after", "1000")

    switched = [each for each in report["events"] if each["event"] == "+switch-master"]
    assert len({each["payload"] for each in switched}) <= 1
