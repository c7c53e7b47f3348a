"""What only the sentinel itself can say of its masters, as metric families.

Instances, opinions, candidates and the last failover; an exporter that asks over Redis' protocol
has no part in it. The sentinel hands over records that fit the protocols below.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Final, Protocol

from vedette.types import Address

from .families import Families, Kind, Spec

_G: Final = Kind.GAUGE
_BY_MASTER: Final = ("master_name",)
_BY_INSTANCE: Final = ("master_name", "instance", "kind")


class InstanceView(Protocol):
    """A node or fellow sentinel of one master."""

    @property
    def name(self) -> str:
        """Its address, or a sentinel's run id."""

    @property
    def kind(self) -> str:
        """`master`, `replica` or `sentinel`."""

    @property
    def address(self) -> Address: ...

    @property
    def is_s_down(self) -> bool: ...

    @property
    def ok_ping_age_ms(self) -> int:
        """Since it last answered a PING well, or since it is watched."""

    @property
    def links(self) -> Mapping[str, bool]:
        """Whether each of its connections is up: `command` and `pubsub`."""

    @property
    def heard_age_ms(self) -> int | None:
        """Since its last INFO, or a sentinel's last hello; None: never."""

    @property
    def behind_bytes(self) -> int | None:
        """By how much a replica is behind the one that has most; None for others."""

    @property
    def pending_count(self) -> int:
        """Commands sent and not answered."""

    @property
    def hello_count(self) -> int | None:
        """Hello messages heard of a sentinel; None for others."""


class LastFailoverView(Protocol):
    """The newest record of a master's history."""

    @property
    def votes(self) -> int: ...

    @property
    def needed_votes(self) -> int: ...

    @property
    def lost_bytes(self) -> int | None: ...

    @property
    def discarded_bytes(self) -> int | None: ...

    @property
    def pause_s(self) -> float | None: ...


class MasterDetailView(Protocol):
    """A master as its own sentinel sees it."""

    @property
    def name(self) -> str: ...

    @property
    def status(self) -> str: ...

    @property
    def is_failing_over(self) -> bool: ...

    @property
    def failover_state_age_ms(self) -> int: ...

    @property
    def detection_margin(self) -> float:
        """The longest that a PING to the master waited lately, by down-after."""

    @property
    def leader_epoch(self) -> int: ...

    @property
    def has_quorum(self) -> bool: ...

    @property
    def has_majority(self) -> bool: ...

    @property
    def down_count(self) -> int: ...

    @property
    def ghost_count(self) -> int: ...

    @property
    def leaving_count(self) -> int: ...

    @property
    def differing_count(self) -> int: ...

    @property
    def instances(self) -> Sequence[InstanceView]: ...

    @property
    def excluded(self) -> Mapping[str, int]:
        """How many replicas may not be promoted, for every reason there is."""

    @property
    def last_failover(self) -> LastFailoverView | None: ...


def _spec(name: str, meaning: str, labels: tuple[str, ...] = _BY_MASTER, kind: Kind = _G) -> Spec:
    return Spec(f"vedette_{name}", kind, meaning, labels)


IN_PROGRESS: Final = _spec(
    "failover_in_progress", "1 while this sentinel stands for, or leads, a failover"
)
STATE_SINCE: Final = _spec(
    "failover_phase_start_timestamp_seconds",
    "While this sentinel stands for, or leads, a failover: when that came to its state, Unix time",
)
DETECTION_MARGIN: Final = _spec(
    "detection_margin_ratio",
    "The longest that a PING to the master waited in the last minutes, by down-after; 1 is down",
)
MASTER_DOWN: Final = _spec(
    "master_down",
    "1 if the master is down to this sentinel (subjective) or to a quorum (objective)",
    ("master_name", "scope"),
)
DOWN_OPINIONS: Final = _spec(
    "down_opinions", "Sentinels that hold the master down, this one included"
)
LEADER_EPOCH: Final = _spec("leader_epoch", "Epoch of this sentinel's last vote for the master")
QUORUM_REACHABLE: Final = _spec(
    "quorum_reachable", "1 if enough sentinels live to hold the master objectively down"
)
AUTHORIZABLE: Final = _spec("failover_authorizable", "1 if enough sentinels live to elect a leader")
GHOSTS: Final = _spec("ghost_sentinels", "Sentinels that count for the majority and do not answer")
LEAVING: Final = _spec(
    "leaving_sentinels", "Sentinels to be forgotten, on which not all have agreed"
)
SPLIT: Final = _spec(
    "split_config", "Sentinels whose last hello names another master than this one does"
)
INSTANCE_DOWN: Final = _spec(
    "instance_down", "1 if this sentinel holds the instance down", _BY_INSTANCE
)
LINK_UP: Final = _spec(
    "link_up", "1 if the connection to the instance is up", (*_BY_INSTANCE, "link")
)
PENDING: Final = _spec(
    "link_pending_commands", "Commands sent to the instance and not answered", _BY_INSTANCE
)
HELLOS: Final = _spec(
    "hello_received_total",
    "Hello messages heard of a fellow sentinel, by whichever way",
    ("master_name", "instance"),
    Kind.COUNTER,
)
LAST_HEARD: Final = _spec(
    "last_heard_timestamp_seconds",
    "When the node's INFO was last read, or the sentinel's hello came, Unix time",
    _BY_INSTANCE,
)
LAST_OK_PING: Final = _spec(
    "last_ok_ping_timestamp_seconds",
    "When the instance last answered a PING well, or began to be watched, Unix time",
    _BY_INSTANCE,
)
BEHIND: Final = _spec(
    "replica_behind_bytes",
    "By how much a replica is behind the replica that has most, by their last INFO",
    ("master_name", "instance"),
)
EXCLUDED: Final = _spec(
    "replicas_excluded",
    "Replicas that may not be promoted now, by reason",
    ("master_name", "reason"),
)
LAST_VOTES: Final = _spec("last_election_votes", "Votes for this sentinel when it was last elected")
LAST_NEEDED: Final = _spec("last_election_votes_needed", "Votes that that election took")
LOST_BYTES: Final = _spec(
    "last_failover_lost_bytes",
    "What the new master lacked of the old one's stream in the last failover, estimated",
)
DISCARDED_BYTES: Final = _spec(
    "last_failover_discarded_bytes",
    "What the old master of the last failover had when it was back, and the new one had not",
)
PAUSE: Final = _spec(
    "last_failover_pause_seconds", "How long the last coordinated failover held writes back"
)

SPECS: Final = (
    IN_PROGRESS,
    STATE_SINCE,
    DETECTION_MARGIN,
    PENDING,
    HELLOS,
    MASTER_DOWN,
    DOWN_OPINIONS,
    LEADER_EPOCH,
    QUORUM_REACHABLE,
    AUTHORIZABLE,
    GHOSTS,
    LEAVING,
    SPLIT,
    INSTANCE_DOWN,
    LINK_UP,
    LAST_HEARD,
    LAST_OK_PING,
    BEHIND,
    EXCLUDED,
    LAST_VOTES,
    LAST_NEEDED,
    LOST_BYTES,
    DISCARDED_BYTES,
    PAUSE,
)


def add_detail(families: Families, masters: Iterable[MasterDetailView], now_s: float) -> None:
    """Add what a sentinel alone knows of its masters; `now_s` is Unix time."""
    for master in masters:
        _add_master(families, master)
        if master.is_failing_over:
            since_s = now_s - master.failover_state_age_ms / 1000
            families.add(STATE_SINCE, since_s, master.name)
        for instance in master.instances:
            _add_instance(families, master.name, instance, now_s)
        if master.last_failover is not None:
            _add_last_failover(families, master.name, master.last_failover)


def _add_master(families: Families, master: MasterDetailView) -> None:
    for spec, value in (
        (IN_PROGRESS, float(master.is_failing_over)),
        (DOWN_OPINIONS, master.down_count),
        (LEADER_EPOCH, master.leader_epoch),
        (QUORUM_REACHABLE, float(master.has_quorum)),
        (AUTHORIZABLE, float(master.has_majority)),
        (GHOSTS, master.ghost_count),
        (LEAVING, master.leaving_count),
        (SPLIT, master.differing_count),
        (DETECTION_MARGIN, master.detection_margin),
    ):
        families.add(spec, value, master.name)
    families.add(MASTER_DOWN, float(master.status != "ok"), master.name, "subjective")
    families.add(MASTER_DOWN, float(master.status == "odown"), master.name, "objective")
    for reason, count in master.excluded.items():
        families.add(EXCLUDED, count, master.name, reason)


def _add_instance(families: Families, name: str, instance: InstanceView, now_s: float) -> None:
    labels = (name, instance.name, instance.kind)
    families.add(INSTANCE_DOWN, float(instance.is_s_down), *labels)
    for link, is_up in instance.links.items():
        families.add(LINK_UP, float(is_up), *labels, link)
    families.add(LAST_OK_PING, now_s - instance.ok_ping_age_ms / 1000, *labels)
    families.add(PENDING, instance.pending_count, *labels)
    if instance.hello_count is not None:
        families.add(HELLOS, instance.hello_count, name, instance.name)
    if instance.heard_age_ms is not None:
        families.add(LAST_HEARD, now_s - instance.heard_age_ms / 1000, *labels)
    if instance.behind_bytes is not None:
        families.add(BEHIND, instance.behind_bytes, name, instance.name)


def _add_last_failover(families: Families, name: str, last: LastFailoverView) -> None:
    families.add(LAST_VOTES, last.votes, name)
    families.add(LAST_NEEDED, last.needed_votes, name)
    if last.lost_bytes is not None:
        families.add(LOST_BYTES, last.lost_bytes, name)
    if last.discarded_bytes is not None:
        families.add(DISCARDED_BYTES, last.discarded_bytes, name)
    if last.pause_s is not None:
        families.add(PAUSE, last.pause_s, name)
