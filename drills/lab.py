"""The plan of a laboratory: which processes run, on which ports, from which configuration.

Owns the topology (one master, its replicas, the sentinels that watch it), the handing out of kinds
and the text of the configuration files. Knows nothing of processes and sockets: whether a port is
free is asked of a function, and `drills.runtime.lab` runs what is planned here.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import count, cycle, islice
from pathlib import Path

from vedette.errors import VedetteError
from vedette.types import Address

from .deployment import Part

HOST = "127.0.0.1"
MASTER_NAME = "mymaster"
NODE_PORT = 6379
SENTINEL_PORT = 26379
METRICS_PORT = 9121
#: How many ports above the wanted one are tried before the plan is given up.
PORT_ATTEMPTS = 2000


class PlanError(VedetteError):
    """A laboratory like this cannot be planned."""


class Kind(enum.Enum):
    """Whose program a process runs."""

    VEDETTE = "vedette"
    REDIS = "redis"
    VALKEY = "valkey"


#: Programs by part and kind: console scripts of this distribution, or others' own.
PROGRAMS = {
    (Part.NODE, Kind.VEDETTE): "vedette-server",
    (Part.SENTINEL, Kind.VEDETTE): "vedette-sentinel",
    (Part.NODE, Kind.REDIS): "redis-server",
    (Part.SENTINEL, Kind.REDIS): "redis-sentinel",
    (Part.NODE, Kind.VALKEY): "valkey-server",
    (Part.SENTINEL, Kind.VALKEY): "valkey-sentinel",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Topology:
    """What the laboratory shall be; times in milliseconds."""

    replica_count: int = 2
    sentinel_count: int = 3
    nodes: str = "vedette"
    sentinels: str = "vedette"
    down_after_ms: int = 1000
    failover_timeout_ms: int = 10_000
    parallel_syncs: int = 1
    #: `refused-after-milliseconds` of the sentinels of our own; 0 leaves it off.
    refused_after_ms: int = 0
    #: Whether a proxy stands before each node, so that its link can be interrupted.
    is_proxied: bool = False

    @property
    def node_count(self) -> int:
        return 1 + self.replica_count

    @property
    def quorum(self) -> int:
        """A majority of the sentinels."""
        return self.sentinel_count // 2 + 1


@dataclass(frozen=True, slots=True, kw_only=True)
class PortBases:
    """Where the search for free ports begins; `metrics` None switches metrics off."""

    node: int = NODE_PORT
    sentinel: int = SENTINEL_PORT
    metrics: int | None = METRICS_PORT


@dataclass(frozen=True, slots=True, kw_only=True)
class TlsFiles:
    """What a laboratory over TLS has its connections made by: PEM files, for all processes."""

    authority: Path
    certificate: Path
    key: Path


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessPlan:
    """One process: `name` is `node-1` or `sentinel-2`, `directory` its own and empty at first."""

    name: str
    part: Part
    kind: Kind
    #: Where everybody takes it to be, and where it listens: another port if a proxy is before it.
    port: int
    listen_port: int
    #: Where it serves /metrics, or None if it does not.
    metrics_port: int | None
    directory: Path
    config_text: str

    @property
    def address(self) -> Address:
        return Address(HOST, self.port)

    @property
    def direct_address(self) -> Address:
        """Where it can be reached whatever becomes of its link."""
        return Address(HOST, self.listen_port)

    @property
    def program(self) -> str:
        return PROGRAMS[self.part, self.kind]

    @property
    def is_ours(self) -> bool:
        return self.kind is Kind.VEDETTE

    @property
    def knows_coordinated(self) -> bool:
        # Neither redis-sentinel nor valkey-sentinel 8 do.
        return self.part is Part.SENTINEL and self.is_ours

    @property
    def config_path(self) -> Path:
        return self.directory / f"{self.part.value}.conf"

    @property
    def log_path(self) -> Path:
        return self.directory / "output.log"

    @property
    def metrics_url(self) -> str | None:
        if self.metrics_port is None:
            return None
        return f"http://{HOST}:{self.metrics_port}/metrics"


@dataclass(frozen=True, slots=True)
class LabPlan:
    """A whole laboratory; `nodes[0]` starts as the master."""

    topology: Topology
    nodes: tuple[ProcessPlan, ...]
    sentinels: tuple[ProcessPlan, ...]
    #: None: connections are plain.
    tls: TlsFiles | None = None

    @property
    def processes(self) -> tuple[ProcessPlan, ...]:
        return self.nodes + self.sentinels

    @property
    def master_name(self) -> str:
        return MASTER_NAME

    @property
    def quorum(self) -> int:
        return self.topology.quorum

    @property
    def down_after_ms(self) -> int:
        return self.topology.down_after_ms

    @property
    def failover_timeout_ms(self) -> int:
        return self.topology.failover_timeout_ms

    @property
    def parallel_syncs(self) -> int:
        return self.topology.parallel_syncs

    @property
    def programs(self) -> list[str]:
        """The programs needed, each once."""
        return sorted({process.program for process in self.processes})


def hand_out_kinds(text: str, process_count: int) -> list[Kind]:
    """Return the kind of each process: one for all, or a list of kinds handed out in turn.

    `mix` means `vedette,redis`; a list shorter than `process_count` begins anew.

    Raises:
        PlanError: a kind is unknown, or the list is longer than there are processes.
    """
    words = ["vedette", "redis"] if text == "mix" else text.split(",")
    try:
        kinds = [Kind(word.strip()) for word in words]
    except ValueError as error:
        raise PlanError(
            f"{text!r} is no list of kinds: use vedette, redis, valkey or mix"
        ) from error
    if text != "mix" and len(kinds) > process_count:
        raise PlanError(f"{text!r} names {len(kinds)} kinds for {process_count} processes")
    return list(islice(cycle(kinds), process_count))


def plan_lab(
    topology: Topology,
    directory: Path,
    ports: PortBases,
    is_free: Callable[[int], bool],
    tls: TlsFiles | None = None,
) -> LabPlan:
    """Return the plan of `topology` below `directory`, on free ports from `ports` upwards.

    With `tls` everything but /metrics goes over TLS.

    Raises:
        PlanError: the topology is impossible, or there are not enough free ports.
    """
    if topology.replica_count < 0 or topology.sentinel_count < 0:
        raise PlanError("a laboratory cannot have fewer than no replicas or sentinels")
    taken: set[int] = set()
    node_kinds = hand_out_kinds(topology.nodes, topology.node_count)
    sentinel_kinds = hand_out_kinds(topology.sentinels, topology.sentinel_count)
    node_ports = _find_ports(ports.node, topology.node_count, is_free, taken)
    listen_ports = node_ports
    if topology.is_proxied:
        listen_ports = _find_ports(ports.node, topology.node_count, is_free, taken)
    sentinel_ports = _find_ports(ports.sentinel, topology.sentinel_count, is_free, taken)
    kinds = [*node_kinds, *sentinel_kinds]
    metrics_ports = _metrics_ports(ports.metrics, kinds, is_free, taken)
    nodes = tuple(
        _plan_node(
            index, kind, node_ports, listen_ports[index], next(metrics_ports), directory, tls
        )
        for index, kind in enumerate(node_kinds)
    )
    sentinels = tuple(
        _plan_sentinel(
            index, kind, port, next(metrics_ports), directory, topology, node_ports[0], tls
        )
        for index, (kind, port) in enumerate(zip(sentinel_kinds, sentinel_ports, strict=True))
    )
    return LabPlan(topology, nodes, sentinels, tls)


def _find_ports(
    base: int, port_count: int, is_free: Callable[[int], bool], taken: set[int]
) -> list[int]:
    """Return the next free ports from `base` upwards and note them in `taken`."""
    found: list[int] = []
    for port in islice(count(base), PORT_ATTEMPTS):
        if len(found) == port_count or port > 65535:
            break
        if port not in taken and is_free(port):
            found.append(port)
            taken.add(port)
    if len(found) < port_count:
        raise PlanError(f"fewer than {port_count} free ports from {base} upwards")
    return found


def _metrics_ports(
    base: int | None, kinds: list[Kind], is_free: Callable[[int], bool], taken: set[int]
) -> Iterator[int | None]:
    """Return, for each kind in order, its port of /metrics; others' programs have none."""
    wanted = 0 if base is None else kinds.count(Kind.VEDETTE)
    found = iter(_find_ports(base or 0, wanted, is_free, taken))
    return iter([next(found, None) if kind is Kind.VEDETTE else None for kind in kinds])


def _plan_node(
    index: int,
    kind: Kind,
    ports: list[int],
    listen_port: int,
    metrics_port: int | None,
    directory: Path,
    tls: TlsFiles | None,
) -> ProcessPlan:
    name = f"node-{index + 1}"
    lines = _common_lines(listen_port, directory / name, metrics_port, tls)
    lines.append('save ""')
    # A master otherwise waits five seconds for more replicas before a full synchronisation.
    lines.append("repl-diskless-sync-delay 0")
    if index > 0:
        lines.append(f"replicaof {HOST} {ports[0]}")
    if listen_port != ports[index]:
        lines.append(f"replica-announce-port {ports[index]}")
    return ProcessPlan(
        name=name,
        part=Part.NODE,
        kind=kind,
        port=ports[index],
        listen_port=listen_port,
        metrics_port=metrics_port,
        directory=directory / name,
        config_text="\n".join(lines) + "\n",
    )


def _plan_sentinel(
    index: int,
    kind: Kind,
    port: int,
    metrics_port: int | None,
    directory: Path,
    topology: Topology,
    master_port: int,
    tls: TlsFiles | None,
) -> ProcessPlan:
    name = f"sentinel-{index + 1}"
    lines = _common_lines(port, directory / name, metrics_port, tls)
    lines += [
        f"sentinel monitor {MASTER_NAME} {HOST} {master_port} {topology.quorum}",
        f"sentinel down-after-milliseconds {MASTER_NAME} {topology.down_after_ms}",
        f"sentinel failover-timeout {MASTER_NAME} {topology.failover_timeout_ms}",
        f"sentinel parallel-syncs {MASTER_NAME} {topology.parallel_syncs}",
    ]
    if topology.refused_after_ms and kind is Kind.VEDETTE:
        lines.append(
            f"sentinel refused-after-milliseconds {MASTER_NAME} {topology.refused_after_ms}"
        )
    return ProcessPlan(
        name=name,
        part=Part.SENTINEL,
        kind=kind,
        port=port,
        listen_port=port,
        metrics_port=metrics_port,
        directory=directory / name,
        config_text="\n".join(lines) + "\n",
    )


def _common_lines(
    port: int, directory: Path, metrics_port: int | None, tls: TlsFiles | None
) -> list[str]:
    """Return the directives of every process."""
    lines = [f"bind {HOST}", f"dir {_quoted(directory)}"]
    if tls is None:
        lines.append(f"port {port}")
    else:
        lines += [
            "port 0",
            f"tls-port {port}",
            "tls-replication yes",
            f"tls-ca-cert-file {_quoted(tls.authority)}",
            f"tls-cert-file {_quoted(tls.certificate)}",
            f"tls-key-file {_quoted(tls.key)}",
        ]
    if metrics_port is not None:
        lines.append(f"metrics-port {metrics_port}")
    return lines


def _quoted(path: Path) -> str:
    """Return a path as configuration files have it: there may be spaces in it."""
    escaped = str(path).replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
