"""How a running laboratory looks in a terminal: a table of nodes, one of sentinels, last events.

Pure: turns the latest views and the state of the processes into something rich can draw, and a
change between two views into one plain line for where no table can be drawn.
"""

from __future__ import annotations

import signal
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from rich import box
from rich.console import Group, JustifyMethod, RenderableType
from rich.table import Table
from rich.text import Text

from .lab import HOST, LabPlan, ProcessPlan, TlsFiles
from .observation import (
    NodeSeen,
    NodeView,
    Observation,
    SentinelEvent,
    SentinelSeen,
    SentinelView,
    View,
)
from .units import NS_PER_S

#: Lines of a picture that are not events.
_FRAME_LINES = 12
#: What rich puts between two columns, and on both sides of a table together.
_GAP = 3
_EDGES = 2
_FEWEST_EVENTS = 3
_MOST_EVENTS = 15

_STYLE_OF_EVENT = {"+": "green", "-": "yellow"}
_ALARMING = frozenset(["+sdown", "+odown", "+try-failover", "+switch-master", "+tilt"])


@dataclass(frozen=True, slots=True)
class ProcessState:
    """`exit_code` is None while it runs, and the negative number of the signal that ended it."""

    pid: int | None
    exit_code: int | None

    def __str__(self) -> str:
        if self.pid is None:
            return "not started"
        if self.exit_code is None:
            return f"pid {self.pid}"
        if self.exit_code < 0:
            return f"killed by {signal.Signals(-self.exit_code).name}"
        return f"ended, code {self.exit_code}"

    @property
    def is_running(self) -> bool:
        return self.pid is not None and self.exit_code is None


@dataclass(frozen=True, slots=True)
class _Column:
    """A column of the tables of nodes and sentinels."""

    header: str
    #: Where there is no room for all columns, those with the highest rank go first; 0 never does.
    rank: int = 0
    is_number: bool = False


_NODE_COLUMNS = (
    _Column("node"),
    _Column("kind", rank=3),
    _Column("port"),
    _Column("process"),
    _Column("role"),
    _Column("link", rank=1),
    _Column("offset", rank=2, is_number=True),
    _Column("behind", is_number=True),
    _Column("metrics", rank=4),
)
_SENTINEL_COLUMNS = (
    _Column("sentinel"),
    _Column("kind", rank=5),
    _Column("port", rank=4),
    _Column("process"),
    _Column("master is"),
    _Column("state"),
    _Column("epoch", rank=1, is_number=True),
    _Column("replicas", rank=3, is_number=True),
    _Column("others", rank=2, is_number=True),
    _Column("metrics", rank=6),
)


def render_lab(
    plan: LabPlan,
    view: View,
    states: Mapping[str, ProcessState],
    *,
    start_ns: int,
    width: int,
    height: int,
) -> RenderableType:
    """Return the whole picture for a terminal of that size; event times count from `start_ns`."""
    spare = height - _FRAME_LINES - len(plan.processes)
    event_count = max(_FEWEST_EVENTS, min(_MOST_EVENTS, spare))
    return Group(
        _node_table(plan, view, states, width),
        _sentinel_table(plan, view, states, width),
        _event_table(list(view.events)[-event_count:], start_ns),
        Text(_advice(plan), style="dim", no_wrap=True, overflow="ellipsis"),
    )


def _advice(plan: LabPlan) -> str:
    has_metrics = any(process.metrics_port is not None for process in plan.processes)
    where = f" Metrics: http://{HOST}:..." if has_metrics else ""
    return f"Ctrl-C stops all of it; kill -9 a pid and watch.{where}"


def describe_tls(tls: TlsFiles, port: int) -> str:
    """Return how people reach a process at `port` of a laboratory over TLS."""
    files = f"--cacert {tls.authority} --cert {tls.certificate} --key {tls.key}"
    return f"over TLS: redis-cli --tls {files} -p {port}"


def describe_start(plan: Iterable[ProcessPlan], states: Mapping[str, ProcessState]) -> list[str]:
    """Return one line for each process: its name, program, port, pid and metrics."""
    return [
        f"{process.name:<11} {process.program:<16} port {process.port:<6} {states[process.name]}"
        + (f"  {process.metrics_url}" if process.metrics_url else "")
        for process in plan
    ]


def describe_change(
    before: NodeView | SentinelView | None, observation: Observation, start_ns: int
) -> str | None:
    """Return what is new in an observation as one line, or None if it is nothing to speak of."""
    match observation:
        case SentinelEvent(name=name, time_ns=time_ns):
            said = f"{observation.channel} {observation.payload}"
        case NodeSeen(name=name, view=view):
            time_ns, said = view.time_ns, _say_node(view)
            if isinstance(before, NodeView) and said == _say_node(before):
                return None
        case SentinelSeen(name=name, view=view):
            time_ns, said = view.time_ns, _say_sentinel(view)
            if isinstance(before, SentinelView) and said == _say_sentinel(before):
                return None
    return f"{_seconds(time_ns, start_ns)}  {name:<11} {said}"


def _say_node(view: NodeView) -> str:
    if not view.is_reachable:
        return "does not answer"
    if view.is_master:
        return "is a master"
    return f"is a replica of {view.master}, link {'up' if view.link_is_up else 'down'}"


def _say_sentinel(view: SentinelView) -> str:
    if not view.is_reachable:
        return "does not answer"
    return f"says the master is {view.master}, configuration epoch {view.config_epoch}"


def _node_table(plan: LabPlan, view: View, states: Mapping[str, ProcessState], width: int) -> Table:
    reported = {
        address: lag for name in view.masters() for address, lag in view.nodes[name].lag_s.items()
    }
    newest = max((view.nodes[name].offset for name in view.masters()), default=0)
    rows = []
    for process in plan.nodes:
        node = view.nodes[process.name]
        rows.append(
            [
                *_process_cells(process, states[process.name]),
                _role_cell(node),
                _link_cell(node),
                Text(str(node.offset) if node.is_reachable else "-"),
                _lag_cell(node, newest, reported.get(process.address)),
                _metrics_cell(process),
            ]
        )
    return _fitting_table("Nodes", _NODE_COLUMNS, rows, width)


def _sentinel_table(
    plan: LabPlan, view: View, states: Mapping[str, ProcessState], width: int
) -> Table:
    rows = []
    for process in plan.sentinels:
        sentinel = view.sentinels[process.name]
        seen = [
            Text(str(sentinel.master)),
            _flags_cell(sentinel),
            Text(str(sentinel.config_epoch)),
            Text(str(sentinel.replica_count)),
            Text(str(sentinel.other_sentinel_count)),
        ]
        rows.append(
            [
                *_process_cells(process, states[process.name]),
                *(seen if sentinel.is_reachable else [Text("-", style="dim")] * len(seen)),
                _metrics_cell(process),
            ]
        )
    return _fitting_table("Sentinels", _SENTINEL_COLUMNS, rows, width)


def _event_table(events: list[SentinelEvent], start_ns: int) -> Table:
    table = Table(
        title="Last events", title_justify="left", box=None, show_header=False, expand=True
    )
    # What does not fit is cut from the payload, the only column without a width of its own.
    table.add_column(justify="right", style="dim", no_wrap=True, width=9)
    table.add_column(no_wrap=True, width=max((len(event.name) for event in events), default=1))
    table.add_column(no_wrap=True, width=max((len(event.channel) for event in events), default=1))
    table.add_column(overflow="ellipsis", no_wrap=True, ratio=1)
    for event in events:
        style = _STYLE_OF_EVENT.get(event.channel[:1], "")
        if event.channel in _ALARMING:
            style = "bold red"
        table.add_row(
            _seconds(event.time_ns, start_ns),
            event.name,
            Text(event.channel, style=style),
            Text(event.payload),
        )
    return table


def _fitting_table(
    title: str, columns: Sequence[_Column], rows: Sequence[Sequence[Text]], width: int
) -> Table:
    """Return a table of those columns for which `width` has room."""
    needed = [
        max(len(column.header), *(row[index].cell_len for row in rows))
        for index, column in enumerate(columns)
    ]
    shown = list(range(len(columns)))
    while sum(needed[index] + _GAP for index in shown) > width + _GAP - _EDGES:
        dispensable = max(shown, key=lambda index: columns[index].rank)
        if not columns[dispensable].rank:
            break
        shown.remove(dispensable)
    table = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False)
    for index in shown:
        justify: JustifyMethod = "right" if columns[index].is_number else "left"
        table.add_column(columns[index].header, no_wrap=True, justify=justify)
    for row in rows:
        table.add_row(*(row[index] for index in shown))
    return table


def _process_cells(process: ProcessPlan, state: ProcessState) -> list[Text]:
    return [
        Text(process.name),
        Text(process.kind.value),
        Text(str(process.port)),
        Text(str(state), style="" if state.is_running else "bold red"),
    ]


def _role_cell(node: NodeView) -> Text:
    if not node.is_reachable:
        return Text("no answer", style="bold red")
    if node.is_master:
        return Text("master", style="bold green")
    return Text(f"replica of {node.master.port if node.master else '?'}")


def _link_cell(node: NodeView) -> Text:
    if not node.is_reachable or node.is_master:
        return Text("-", style="dim")
    return Text("up") if node.link_is_up else Text("down", style="bold red")


def _lag_cell(node: NodeView, newest_offset: int, reported_s: int | None) -> Text:
    """Return how far a replica is behind its master: bytes, and seconds as the master counts."""
    if not node.is_reachable or node.is_master:
        return Text("-")
    seconds = "" if reported_s is None else f", {reported_s} s"
    return Text(f"{max(0, newest_offset - node.offset)} B{seconds}")


def _flags_cell(sentinel: SentinelView) -> Text:
    flags = ",".join(sorted(sentinel.flags - {"master"})) or "ok"
    return Text(flags, style="green" if flags == "ok" else "bold red")


def _metrics_cell(process: ProcessPlan) -> Text:
    """Return the part of the metrics' address that differs from process to process."""
    return Text("-" if process.metrics_port is None else f":{process.metrics_port}/metrics")


def _seconds(time_ns: int, start_ns: int) -> str:
    return f"{(time_ns - start_ns) / NS_PER_S:9.3f}"
