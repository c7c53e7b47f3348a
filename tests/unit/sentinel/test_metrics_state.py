"""The facts that metrics are made of."""

from __future__ import annotations

from sentinel.core import initial_state
from sentinel.core.model import DurableMaster, DurableState, GlobalOptions, MasterOptions
from sentinel.metrics_state import MetricsState, SaveMetrics, metrics_state
from vedette.types import Address, RunId

SAVES = SaveMetrics(saved_count=1, failed_count=2, last_duration_s=0.5, is_failing=False)


def measured(*, lost_peers: int) -> MetricsState:
    """Return the facts of a sentinel with three fellows, `lost_peers` of them down."""
    state = initial_state(
        DurableState(
            my_id=RunId("f" * 40),
            current_epoch=4,
            options=GlobalOptions(announce_port=1),
            masters=(
                DurableMaster(
                    name="m",
                    address=Address("10.0.0.1", 1),
                    options=MasterOptions(quorum=2),
                    config_epoch=3,
                    leader_epoch=4,
                    replicas=(Address("10.0.0.2", 1), Address("10.0.0.3", 1)),
                    sentinels=tuple(
                        (RunId(letter * 40), Address("10.0.0.9", port))
                        for port, letter in enumerate("abc")
                    ),
                ),
            ),
        )
    )
    (master,) = state.masters.values()
    for peer in list(master.peers.values())[:lost_peers]:
        peer.s_down_since_ms = 1
    return metrics_state(
        state,
        5000,
        info="# Server\r\nuptime_in_seconds:7\r\n",
        saves=SAVES,
        event_counts={"+sdown": 2},
    )


def test_master_is_described_by_its_settings_and_epochs() -> None:
    """Dashboards compare these between sentinels."""
    facts = measured(lost_peers=0)

    (master,) = facts.masters
    assert (facts.current_epoch, master.config_epoch, master.leader_epoch) == (4, 3, 4)
    assert (master.name, master.address, master.status) == ("m", Address("10.0.0.1", 1), "ok")
    assert (master.quorum, master.down_after_ms, master.parallel_syncs) == (2, 30_000, 1)
    assert [str(replica.address) for replica in master.replicas] == ["10.0.0.2:1", "10.0.0.3:1"]
    assert not master.is_failing_over
    assert facts.info == {"uptime_in_seconds": "7"}
    assert (facts.saves, facts.event_counts) == (SAVES, {"+sdown": 2})


def test_margin_of_a_failover_can_be_computed() -> None:
    """Four sentinels need three; one lost is borne, two are not, though the quorum is met."""
    outcomes = []
    for lost in (0, 1, 2):
        (master,) = measured(lost_peers=lost).masters
        margin = master.usable_sentinels - master.needed_sentinels
        outcomes.append((margin, master.has_quorum, master.has_majority))

    assert outcomes == [(1, True, True), (0, True, True), (-1, True, False)]
