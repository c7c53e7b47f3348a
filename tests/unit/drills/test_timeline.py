"""The phases of a failover, from observations in the order in which they were really made."""

from __future__ import annotations

from pathlib import Path

import pytest

from drills.lab import LabPlan, PortBases, Topology, plan_lab
from drills.observation import NodeSeen, NodeView, SentinelEvent, SentinelSeen, SentinelView
from drills.timeline import PHASES, Timeline
from vedette.types import Address

MS = 1_000_000
FAULT_NS = 50_000 * MS
OLD, NEW = Address("127.0.0.1", 6379), Address("127.0.0.1", 6380)
SWITCH = "mymaster 127.0.0.1 6379 127.0.0.1 6380"
MASTER = "master mymaster 127.0.0.1 6379"

#: Milliseconds after the fault, sentinel, channel, payload.
EVENTS = [
    (1046, "sentinel-1", "+sdown", MASTER),
    (1060, "sentinel-2", "+sdown", MASTER),
    (1070, "sentinel-3", "+sdown", MASTER),
    (1146, "sentinel-2", "+odown", f"{MASTER} #quorum 3/2"),
    (1146, "sentinel-2", "+new-epoch", "1"),
    (1146, "sentinel-2", "+try-failover", MASTER),
    (1149, "sentinel-1", "+new-epoch", "1"),
    (1149, "sentinel-1", "+vote-for-leader", "0f" * 20 + " 1"),
    (1237, "sentinel-2", "+elected-leader", MASTER),
    (1314, "sentinel-2", "+selected-slave", "slave 127.0.0.1:6380 127.0.0.1 6380 @ mymaster"),
    (2278, "sentinel-1", "+switch-master", SWITCH),
    (2280, "sentinel-3", "+switch-master", SWITCH),
    (3296, "sentinel-2", "+switch-master", SWITCH),
    (4300, "sentinel-1", "+sdown", "slave 127.0.0.1:6379 127.0.0.1 6379 @ mymaster 127.0.0.1 6380"),
]


def make_timeline() -> Timeline:
    plan: LabPlan = plan_lab(Topology(), Path("/lab"), PortBases(), lambda port: True)
    return Timeline(plan, old_master="node-1", fault_ns=FAULT_NS)


def at(after_ms: float) -> int:
    return FAULT_NS + int(after_ms * MS)


def observe_events(timeline: Timeline, *, until_ms: float = 1e9) -> None:
    for after_ms, name, channel, payload in EVENTS:
        if after_ms <= until_ms:
            timeline.observe(
                SentinelEvent(name=name, channel=channel, payload=payload, time_ns=at(after_ms))
            )


def phases_of(timeline: Timeline) -> dict[str, float | None]:
    return {phase.name: phase.after_ms for phase in timeline.phases()}


def test_phases_are_the_first_time_each_was_seen() -> None:
    timeline = make_timeline()
    observe_events(timeline)

    phases = phases_of(timeline)
    assert list(phases) == list(PHASES)
    assert phases["sdown"] == 1046
    assert phases["odown"] == 1146
    assert phases["elected"] == 1237
    assert phases["selected"] == 1314
    assert phases["announced"] == 2278
    assert phases["agreed"] == 3296
    assert phases["promoted"] is None
    assert phases["client_first_ok"] is None


def test_sdown_of_others_than_the_master_is_no_phase() -> None:
    """Sentinels publish +sdown of replicas and fellow sentinels on the same channel."""
    timeline = make_timeline()
    timeline.observe(
        SentinelEvent(
            name="sentinel-1",
            channel="+sdown",
            payload="sentinel 0f0f 127.0.0.1 26380 @ mymaster 127.0.0.1 6379",
            time_ns=at(10),
        )
    )

    assert phases_of(timeline)["sdown"] is None


@pytest.mark.parametrize(
    ("channel", "payload"),
    [
        ("+switch-master", "other 127.0.0.1 7379 127.0.0.1 7380"),
        ("+sdown", "master other 127.0.0.1 7379"),
        ("+try-failover", "master other 127.0.0.1 7379"),
        ("+selected-slave", "slave 127.0.0.1:7380 127.0.0.1 7380 @ other 127.0.0.1 7379"),
        ("+coordinated-pause", "slave 127.0.0.1:7380 127.0.0.1 7380 @ other 127.0.0.1 7379 ms 9"),
        ("+switch-master", ""),
    ],
)
def test_events_of_other_masters_are_none_of_the_drill(channel: str, payload: str) -> None:
    """Sentinels that somebody else runs often watch more masters than one."""
    timeline = make_timeline()
    timeline.observe(
        SentinelEvent(name="sentinel-1", channel=channel, payload=payload, time_ns=at(10))
    )

    assert set(phases_of(timeline).values()) == {None}
    assert (timeline.events, timeline.switched_to, timeline.elections) == ([], [], 0)


def test_leader_epochs_and_new_master_come_from_the_events() -> None:
    timeline = make_timeline()
    observe_events(timeline)

    assert timeline.leader == "sentinel-2"
    assert timeline.epochs == [1]
    assert timeline.elections == 1
    assert timeline.new_master == "node-2"
    assert timeline.switched_to == ["127.0.0.1:6380"]


def test_before_any_event_nothing_is_known() -> None:
    timeline = make_timeline()

    assert timeline.leader is None
    assert timeline.new_master is None
    assert timeline.switched_to == []
    assert set(phases_of(timeline).values()) == {None}


def test_agreement_is_when_the_last_sentinel_names_the_new_master() -> None:
    """A sentinel may answer with the new address long before it announces it."""
    timeline = make_timeline()
    observe_events(timeline, until_ms=2280)
    assert phases_of(timeline)["agreed"] is None
    for after_ms, master in ((2290, OLD), (2400, NEW), (2500, NEW)):
        timeline.observe(
            SentinelSeen(
                name="sentinel-2",
                view=SentinelView(time_ns=at(after_ms), is_reachable=True, master=master),
            )
        )

    assert phases_of(timeline)["agreed"] == 2400


def test_reconfigured_waits_for_every_other_replica() -> None:
    timeline = make_timeline()
    observe_events(timeline)

    def see(after_ms: float, *, master: Address, link_is_up: bool) -> None:
        view = NodeView(
            time_ns=at(after_ms),
            is_reachable=True,
            role="slave",
            master=master,
            link_is_up=link_is_up,
        )
        timeline.observe(NodeSeen(name="node-3", view=view))

    see(100, master=OLD, link_is_up=True)
    see(2300, master=NEW, link_is_up=False)
    assert phases_of(timeline)["reconfigured"] is None
    see(2310, master=NEW, link_is_up=True)
    see(2400, master=NEW, link_is_up=True)

    assert phases_of(timeline)["reconfigured"] == 2310


def test_the_first_accepted_write_is_the_promotion() -> None:
    timeline = make_timeline()
    timeline.accepted_write("node-2", at(1392))
    timeline.accepted_write("node-3", at(1500))

    assert phases_of(timeline)["promoted"] == 1392
    assert timeline.accepted_ns == {"node-2": at(1392), "node-3": at(1500)}


def test_a_writers_acknowledgement_proves_the_promotion() -> None:
    """A writer may be served before the prober asks again."""
    timeline = make_timeline()
    timeline.accepted_write("node-2", at(1392))
    timeline.acknowledged([at(1390)])

    assert phases_of(timeline)["promoted"] == 1390


@pytest.mark.parametrize(
    ("first_ok_ms", "first", "every"),
    [([2000, 1900], 1900, 2000), ([2000, None], 2000, None), ([None, None], None, None)],
)
def test_every_writer_is_served_only_when_all_are(
    first_ok_ms: list[float | None], first: float | None, every: float | None
) -> None:
    timeline = make_timeline()
    timeline.acknowledged([None if ms is None else at(ms) for ms in first_ok_ms])

    phases = phases_of(timeline)
    assert (phases["client_first_ok"], phases["client_all_ok"]) == (first, every)
