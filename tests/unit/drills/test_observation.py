"""Reading what nodes and sentinels say, and telling whether a laboratory is whole."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from drills.lab import PortBases, Topology, plan_lab
from drills.observation import (
    NodeSeen,
    NodeView,
    SentinelEvent,
    SentinelSeen,
    View,
    missing_knowledge,
    missing_links,
    missing_order,
    missing_rest,
    read_node_info,
    read_sentinel_master,
    strangers,
)
from vedette.info import parse_info
from vedette.types import Address

MASTER_INFO = """# Replication\r
role:master\r
connected_slaves:3\r
slave0:ip=127.0.0.1,port=6380,state=online,offset=290,lag=1\r
slave1:ip=127.0.0.1,port=6381,state=wait_bgsave,offset=0,lag=0\r
slave2:ip=127.0.0.1,port=6382,state=online,offset=305,lag=0\r
master_repl_offset:305\r
# Stats\r
sync_full:2\r
sync_partial_ok:1\r
"""

REPLICA_INFO = """role:slave\r
master_host:127.0.0.1\r
master_port:6379\r
master_link_status:up\r
slave_repl_offset:290\r
master_repl_offset:290\r
"""


def test_a_masters_info_gives_offset_and_the_lag_of_online_replicas() -> None:
    view = read_node_info(parse_info(MASTER_INFO), time_ns=7)

    assert view.is_master
    assert view.is_reachable
    assert (view.offset, view.sync_full, view.sync_partial_ok) == (305, 2, 1)
    assert view.lag_s == {Address("127.0.0.1", 6380): 1, Address("127.0.0.1", 6382): 0}


def test_a_replicas_info_gives_its_master_and_link() -> None:
    view = read_node_info(parse_info(REPLICA_INFO), time_ns=7)

    assert not view.is_master
    assert view.master == Address("127.0.0.1", 6379)
    assert view.link_is_up
    assert view.offset == 290


SENTINEL_FIELDS = {
    b"name": b"mymaster",
    b"ip": b"127.0.0.1",
    b"port": b"6379",
    b"flags": b"s_down,master",
    b"config-epoch": b"4",
    b"num-slaves": b"2",
    b"num-other-sentinels": b"1",
}


def test_sentinel_master_is_read_from_an_array_or_a_map() -> None:
    """RESP2 answers a flat array, RESP3 a map; both must give the same view."""
    flat = [item for pair in SENTINEL_FIELDS.items() for item in pair]

    view = read_sentinel_master(flat, time_ns=1)

    assert view == read_sentinel_master(SENTINEL_FIELDS, time_ns=1)
    assert view.master == Address("127.0.0.1", 6379)
    assert view.flags == {"s_down", "master"}
    assert (view.config_epoch, view.replica_count, view.other_sentinel_count) == (4, 2, 1)


def make_whole_lab() -> View:
    """Return the view of a laboratory with one replica and two sentinels that lacks nothing."""
    plan = plan_lab(
        Topology(replica_count=1, sentinel_count=2), Path("/lab"), PortBases(), lambda port: True
    )
    view = View(plan)
    master = parse_info(MASTER_INFO)
    view.observe(NodeSeen(name="node-1", view=read_node_info(master, 1)))
    replica = parse_info(REPLICA_INFO.replace("290", "305"))
    view.observe(NodeSeen(name="node-2", view=read_node_info(replica, 1)))
    fields = SENTINEL_FIELDS | {b"flags": b"master", b"num-slaves": b"1"}
    for name in ("sentinel-1", "sentinel-2"):
        view.observe(SentinelSeen(name=name, view=read_sentinel_master(fields, 1)))
    return view


def change_node(view: View, name: str, **fields: object) -> None:
    view.nodes[name] = replace(view.nodes[name], **fields)  # type: ignore[arg-type]


def change_sentinel(view: View, name: str, **fields: object) -> None:
    view.sentinels[name] = replace(view.sentinels[name], **fields)  # type: ignore[arg-type]


def test_a_whole_laboratory_lacks_nothing() -> None:
    view = make_whole_lab()

    assert missing_links(view) == []
    assert missing_knowledge(view) == []
    assert missing_order(view, gone=()) == []
    assert missing_rest(view, gone=()) == []


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"is_reachable": False}, "node-2 does not answer"),
        ({"link_is_up": False}, "node-2 is not linked to node-1"),
        ({"master": Address("127.0.0.1", 7777)}, "node-2 is not linked to node-1"),
        ({"role": "master"}, "node-2 is a second master"),
    ],
)
def test_a_replica_that_does_not_follow_is_named(fields: dict[str, object], expected: str) -> None:
    view = make_whole_lab()
    change_node(view, "node-2", **fields)

    assert missing_links(view) == [expected]


def test_a_replica_the_master_does_not_feed_is_named() -> None:
    view = make_whole_lab()
    change_node(view, "node-1", lag_s={})

    assert missing_links(view) == ["node-2 is not online for node-1"]


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"is_reachable": False}, "sentinel-2 does not answer"),
        ({"replica_count": 0}, "sentinel-2 knows 0 of 1 replicas"),
        ({"other_sentinel_count": 0}, "sentinel-2 knows 0 of 1 fellow sentinels"),
        (
            {"flags": frozenset(["master", "s_down"])},
            "sentinel-2 sees 127.0.0.1:6379 as master,s_down, not 127.0.0.1:6379 as master",
        ),
    ],
)
def test_what_a_sentinel_does_not_know_is_named(fields: dict[str, object], expected: str) -> None:
    view = make_whole_lab()
    change_sentinel(view, "sentinel-2", **fields)

    assert missing_knowledge(view) == [expected]


def fail_over(view: View) -> None:
    """Make node-2 the master whom all sentinels name; node-1 is dead."""
    change_node(view, "node-1", is_reachable=False)
    change_node(view, "node-2", role="master", master=None, lag_s={})
    for name in view.sentinels:
        change_sentinel(view, name, master=Address("127.0.0.1", 6380))


def test_order_after_a_failover_ignores_who_is_gone() -> None:
    view = make_whole_lab()
    fail_over(view)

    assert missing_order(view, gone={"node-1"}) == []
    assert missing_rest(view, gone={"node-1"}) == []
    assert missing_order(view, gone=()) == ["node-1 does not answer"]


@pytest.mark.parametrize(
    ("spoil", "expected"),
    [
        (
            lambda view: change_sentinel(view, "sentinel-1", master=Address("127.0.0.1", 6379)),
            ["sentinel-1 says the master is 127.0.0.1:6379, not 127.0.0.1:6380"],
        ),
        (
            lambda view: change_sentinel(
                view, "sentinel-1", flags=frozenset(["master", "failover_in_progress"])
            ),
            ["sentinel-1 sees the master as failover_in_progress,master"],
        ),
        (
            lambda view: change_node(view, "node-1", is_reachable=True),
            ["2 masters: node-1, node-2"],
        ),
        (lambda view: change_node(view, "node-2", role="slave"), ["0 masters: none"]),
    ],
)
def test_disorder_after_a_failover_is_named(
    spoil: Callable[[View], None], expected: list[str]
) -> None:
    view = make_whole_lab()
    fail_over(view)
    spoil(view)

    gone = () if "2 masters" in expected[0] else ("node-1",)
    assert missing_order(view, gone) == expected


def test_rest_demands_equal_offsets() -> None:
    view = make_whole_lab()
    change_node(view, "node-2", offset=300)

    assert missing_order(view, gone=()) == []
    assert missing_rest(view, gone=()) == ["node-2 is at offset 300 of 305"]


def test_only_the_last_events_are_kept() -> None:
    """A laboratory may be up for days."""
    view = make_whole_lab()
    for number in range(1000):
        view.observe(
            SentinelEvent(name="sentinel-1", channel="+x", payload=str(number), time_ns=number)
        )

    assert len(view.events) == 200
    assert view.events[-1].payload == "999"


def test_who_answers_at_a_port_without_being_the_process_is_a_stranger() -> None:
    """Two laboratories that start at once may both hold the same ports to be free."""
    view = make_whole_lab()
    node = view.nodes["node-1"]
    view.observe(NodeSeen(name="node-1", view=replace(node, process_id=7)))

    assert strangers(view, {"node-1": 7, "node-2": 8}) == []
    assert strangers(view, {"node-1": 9}) == [
        "another program (pid 7) answers at the port of node-1"
    ]


@pytest.mark.parametrize(
    ("view", "expected"),
    [
        (NodeView(time_ns=11, is_reachable=True, role="slave"), True),
        (NodeView(time_ns=10, is_reachable=True, role="slave"), False),
        (NodeView(time_ns=11, is_reachable=True, role="master"), False),
        (NodeView(time_ns=11), False),
    ],
)
def test_only_a_later_look_shows_that_an_old_master_was_demoted(
    view: NodeView, expected: bool
) -> None:
    assert view.is_replica_since(10) is expected
