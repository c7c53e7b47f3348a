"""The facts that metrics are made of."""

from __future__ import annotations

from monitoring.families import Families
from monitoring.sentinel_detail import add_detail
from sentinel.core import initial_state
from sentinel.core.durable import DurableMaster, DurableState
from sentinel.core.options import GlobalOptions, MasterOptions
from sentinel.metrics_state import MetricsState, SaveMetrics, metrics_state
from tests.unit.sentinel.core.rig import (
    MASTER,
    PEER_A,
    PEER_ADDRESSES,
    PEER_B,
    REPLICA_1,
    REPLICA_2,
    Rig,
    replica_info,
    run_id_of,
)
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


def detail_of(rig: Rig) -> dict[str, float]:
    """Return the samples of `rig`'s master by series."""
    state = metrics_state(
        rig.core.state, rig.now_ms, info="# Server\r\n", saves=SAVES, event_counts={}
    )
    families = Families()
    add_detail(families, state.masters, now_s=1_000.0)
    return {
        f"{sample.name}{{{','.join(sample.labels.values())}}}": sample.value
        for metric in families.metrics()
        for sample in metric.samples
    }


def test_healthy_master_in_detail() -> None:
    """Everybody is up; the replica that lags shows by how much."""
    rig = Rig()
    rig.info[REPLICA_2] = replica_info(offset=250, run_id=run_id_of(REPLICA_2))
    rig.advance(11_000)

    samples = detail_of(rig)

    assert samples["vedette_master_down{mymaster,subjective}"] == 0
    assert samples["vedette_replica_behind_bytes{mymaster,10.0.0.2:6379}"] == 150
    assert samples["vedette_replica_behind_bytes{mymaster,10.0.0.3:6379}"] == 0
    assert samples["vedette_link_up{mymaster,10.0.0.1:6379,master,pubsub}"] == 1
    assert samples[f"vedette_instance_down{{mymaster,{PEER_A},sentinel}}"] == 0
    assert samples["vedette_replicas_excluded{mymaster,never}"] == 0
    assert samples["vedette_failover_authorizable{mymaster}"] == 1
    assert samples["vedette_last_heard_timestamp_seconds{mymaster,10.0.0.1:6379,master}"] > 980
    assert "vedette_last_election_votes{mymaster}" not in samples


def test_trouble_shows_in_detail() -> None:
    """A master that is down to us alone, a fellow gone, another that names a different master."""
    rig = Rig()
    rig.advance(1_000)
    rig.hello(PEER_A, master=REPLICA_1)
    rig.kill(MASTER)
    rig.kill(PEER_ADDRESSES[PEER_B])
    rig.advance(1_100)

    samples = detail_of(rig)

    assert samples["vedette_master_down{mymaster,subjective}"] == 1
    assert samples["vedette_master_down{mymaster,objective}"] == 0
    assert samples["vedette_down_opinions{mymaster}"] == 1
    assert samples["vedette_split_config{mymaster}"] == 1
    assert samples["vedette_ghost_sentinels{mymaster}"] == 1
    assert samples["vedette_link_up{mymaster,10.0.0.1:6379,master,command}"] == 0


def test_last_failover_shows_its_votes() -> None:
    """As long as it is the last."""
    rig = Rig()
    rig.advance(1_000)
    rig.agree_down()
    rig.kill(MASTER)
    rig.advance(1_200)

    samples = detail_of(rig)

    assert samples["vedette_last_election_votes{mymaster}"] == 2
    assert samples["vedette_last_election_votes_needed{mymaster}"] == 2
    assert samples["vedette_leader_epoch{mymaster}"] == 1
