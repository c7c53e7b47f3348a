"""The picture of a running laboratory, as text."""

from __future__ import annotations

from pathlib import Path

import pytest

from drills.lab import LabPlan, PortBases, Topology, plan_lab
from drills.live_table import ProcessState, describe_change, describe_start, render_lab
from drills.observation import (
    NodeSeen,
    NodeView,
    Observation,
    SentinelEvent,
    SentinelSeen,
    SentinelView,
    View,
)
from tests.support.drawing import draw
from vedette.types import Address

S = 1_000_000_000
MASTER = Address("127.0.0.1", 6379)


@pytest.mark.parametrize(
    ("state", "expected"),
    [
        (ProcessState(None, None), "not started"),
        (ProcessState(7, None), "pid 7"),
        (ProcessState(7, -9), "killed by SIGKILL"),
        (ProcessState(7, 3), "ended, code 3"),
    ],
)
def test_the_state_of_a_process_in_words(state: ProcessState, expected: str) -> None:
    assert str(state) == expected


def make_view() -> View:
    topology = Topology(replica_count=1, sentinel_count=1, sentinels="redis")
    return View(plan_lab(topology, Path("/lab"), PortBases(), lambda port: True))


def draw_lab(
    view: View, height: int = 50, width: int = 150, *, exit_code: int | None = None
) -> str:
    assert isinstance(view.deployment, LabPlan)
    names = [process.name for process in view.deployment.processes]
    states = {name: ProcessState(31000, exit_code) for name in names}
    picture = render_lab(view.deployment, view, states, start_ns=5 * S, width=width, height=height)
    return draw(picture, width=width)


def test_metrics_are_spoken_of_only_where_there_are_some() -> None:
    """redis-server has none, and `--metrics-port 0` switches ours off."""
    plan = plan_lab(Topology(), Path("/lab"), PortBases(metrics=None), lambda port: True)

    assert "Metrics: http://127.0.0.1:..." in draw_lab(make_view())
    assert "Metrics" not in draw_lab(View(plan))


def test_roles_offsets_lag_and_what_sentinels_say_are_drawn() -> None:
    view = make_view()
    replica = Address("127.0.0.1", 6380)
    view.observe(
        NodeSeen(
            name="node-1",
            view=NodeView(
                time_ns=1, is_reachable=True, role="master", offset=500, lag_s={replica: 1}
            ),
        )
    )
    view.observe(
        NodeSeen(
            name="node-2",
            view=NodeView(
                time_ns=1,
                is_reachable=True,
                role="slave",
                master=MASTER,
                link_is_up=True,
                offset=460,
            ),
        )
    )
    view.observe(
        SentinelSeen(
            name="sentinel-1",
            view=SentinelView(
                time_ns=1,
                is_reachable=True,
                master=MASTER,
                flags=frozenset(["master", "s_down"]),
                config_epoch=17,
            ),
        )
    )

    text = draw_lab(view)

    lines = {line.split()[0]: line.split() for line in text.splitlines() if line.strip()}
    assert lines["node-1"][4:8] == ["31000", "master", "-", "500"]
    assert "replica of 6379 up 460 40 B, 1 s :9122/metrics" in " ".join(lines["node-2"])
    assert "127.0.0.1:6379 s_down 17 0 0 -" in " ".join(lines["sentinel-1"])


def draw_whole(width: int, *, exit_code: int | None = None) -> str:
    view = make_view()
    for name in view.nodes:
        node = NodeView(
            time_ns=1,
            is_reachable=True,
            role="slave",
            master=MASTER,
            link_is_up=True,
            offset=12345,
        )
        view.observe(NodeSeen(name=name, view=node))
    sentinel = SentinelView(
        time_ns=1, is_reachable=True, master=MASTER, flags=frozenset(["master"]), config_epoch=3
    )
    view.observe(SentinelSeen(name="sentinel-1", view=sentinel))
    return draw_lab(view, width=width, exit_code=exit_code)


@pytest.mark.parametrize(
    ("width", "exit_code", "node_columns", "sentinel_columns"),
    [
        (120, -9, "kind port process role link offset behind metrics",
         "kind port process master is state epoch replicas others metrics"),
        (100, None, "kind port process role link offset behind metrics",
         "kind port process master is state epoch replicas others"),
        (80, None, "kind port process role link offset behind",
         "process master is state epoch replicas others"),
        (80, -9, "port process role link offset behind", "process master is state epoch others"),
        (70, -9, "port process role link behind", "process master is state epoch"),
    ],
)  # fmt: skip
def test_what_has_no_room_is_left_out_column_by_column(
    width: int, exit_code: int | None, node_columns: str, sentinel_columns: str
) -> None:
    """80 columns are what a terminal has at first; squeezed, every column became `…`."""
    text = draw_whole(width, exit_code=exit_code)

    lines = [" ".join(line.split()) for line in text.splitlines() if line]
    assert f"node {node_columns}" in lines
    assert f"sentinel {sentinel_columns}" in lines
    assert "…" not in text.partition("Last events")[0]


def test_a_tiny_terminal_gets_a_cut_table_and_no_wrapped_one() -> None:
    text = draw_whole(30)

    assert all(len(line) <= 30 for line in text.splitlines())
    assert len(text.splitlines()) < 20


def test_an_unreachable_node_shows_no_stale_figures() -> None:
    text = draw_lab(make_view())

    assert text.count("no answer") == 2
    assert "master is" in text


def test_fewer_events_are_drawn_where_there_is_less_room() -> None:
    """rich cuts off what does not fit at the bottom, where the newest events are."""
    view = make_view()
    for number in range(100):
        event = SentinelEvent(
            name="sentinel-1", channel="+x", payload=f"event{number}", time_ns=6 * S
        )
        view.observe(event)

    def events_drawn(height: int) -> int:
        return draw_lab(view, height).count("+x")

    assert "event99" in draw_lab(view, height=20)
    assert [events_drawn(height) for height in (5, 20, 100)] == [3, 5, 15]
    assert len(draw_lab(view, height=20).splitlines()) == 20
    assert "    1.000" in draw_lab(view)


def test_the_start_lists_every_process_with_its_metrics() -> None:
    plan = make_view().deployment
    assert isinstance(plan, LabPlan)
    states = {process.name: ProcessState(42, None) for process in plan.processes}

    assert describe_start(plan.processes, states) == [
        "node-1      vedette-server   port 6379   pid 42  http://127.0.0.1:9121/metrics",
        "node-2      vedette-server   port 6380   pid 42  http://127.0.0.1:9122/metrics",
        "sentinel-1  redis-sentinel   port 26379  pid 42",
    ]


def seen(**fields: object) -> NodeView:
    return NodeView(time_ns=6 * S, is_reachable=True, **fields)  # type: ignore[arg-type]


SLAVE = seen(role="slave", master=MASTER, link_is_up=True)


@pytest.mark.parametrize(
    ("before", "observation", "expected"),
    [
        (None, NodeSeen(name="node-2", view=SLAVE), "is a replica of 127.0.0.1:6379, link up"),
        (seen(role="master"), NodeSeen(name="node-2", view=SLAVE), "link up"),
        (SLAVE, NodeSeen(name="node-2", view=NodeView(time_ns=6 * S)), "does not answer"),
        (SLAVE, NodeSeen(name="node-2", view=seen(role="master")), "is a master"),
        (
            None,
            SentinelSeen(
                name="sentinel-1",
                view=SentinelView(time_ns=6 * S, is_reachable=True, master=MASTER, config_epoch=3),
            ),
            "says the master is 127.0.0.1:6379, configuration epoch 3",
        ),
        (
            None,
            SentinelEvent(name="sentinel-1", channel="+tilt", payload="#tilt", time_ns=6 * S),
            "+tilt #tilt",
        ),
    ],
)
def test_a_change_becomes_one_line(
    before: NodeView | None, observation: Observation, expected: str
) -> None:
    line = describe_change(before, observation, start_ns=5 * S)

    assert line is not None
    assert line.startswith(f"    1.000  {observation.name}")
    assert line.endswith(expected)


def test_what_stays_the_same_is_no_line() -> None:
    """A busy master's offset changes with every look; that is no news."""
    later = seen(role="slave", master=MASTER, link_is_up=True, offset=12345)

    assert describe_change(SLAVE, NodeSeen(name="node-2", view=later), start_ns=0) is None
