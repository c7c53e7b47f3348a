"""From what a sentinel knows of its masters to metric families.

A sentinel of ours hands over its own records, which fit the protocols below; what others answer to
SENTINEL MASTERS is brought into the same shape (`replies.py`). `redis_sentinel_*`
are redis_exporter's names, types and labels.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Final, Protocol

from vedette.types import Address

from .families import Families, Kind, Spec

_G, _C = Kind.GAUGE, Kind.COUNTER
_MASTER: Final = ("master_name", "master_address")


class ReplicaView(Protocol):
    """A replica as a sentinel sees it."""

    @property
    def is_s_down(self) -> bool: ...

    @property
    def is_connected(self) -> bool: ...

    @property
    def priority(self) -> int: ...


class MasterView(Protocol):
    """A master as a sentinel sees it."""

    @property
    def name(self) -> str: ...

    @property
    def address(self) -> Address: ...

    @property
    def status(self) -> str:
        """`ok`, `sdown` or `odown`."""

    @property
    def quorum(self) -> int: ...

    @property
    def down_after_ms(self) -> int: ...

    @property
    def failover_timeout_ms(self) -> int: ...

    @property
    def parallel_syncs(self) -> int: ...

    @property
    def config_epoch(self) -> int: ...

    @property
    def failover_state(self) -> str:
        """Redis' name of the state this sentinel's own failover is in, `none` outside of one."""

    @property
    def last_ok_ping_age_ms(self) -> int: ...

    @property
    def usable_sentinels(self) -> int:
        """Sentinels that live, the one that is asked included."""

    @property
    def known_sentinels(self) -> int:
        """Sentinels heard of, the one that is asked included."""

    @property
    def needed_sentinels(self) -> int:
        """How many have to live for a failover: the quorum and a majority."""

    @property
    def quorum_text(self) -> str:
        """The answer to SENTINEL CKQUORUM, which begins with OK or NOQUORUM."""

    @property
    def replicas(self) -> Sequence[ReplicaView]: ...


class SavesView(Protocol):
    """How saving its state has gone for a sentinel."""

    @property
    def saved_count(self) -> int: ...

    @property
    def failed_count(self) -> int: ...

    @property
    def last_duration_s(self) -> float: ...

    @property
    def is_failing(self) -> bool: ...


class SentinelView(Protocol):
    """A sentinel as it sees itself."""

    @property
    def current_epoch(self) -> int: ...

    @property
    def tilted_s(self) -> float: ...

    @property
    def votes_for_us(self) -> int: ...

    @property
    def votes_for_others(self) -> int: ...

    @property
    def info(self) -> Mapping[str, str]: ...

    @property
    def masters(self) -> Sequence[MasterView]: ...

    @property
    def conflicts(self) -> Mapping[str, bool]:
        """By master: whether another sentinel names another address in the same epoch."""

    @property
    def foreign_nodes(self) -> Mapping[str, int]:
        """By master: how many of its addresses are answered by another master's nodes."""

    @property
    def saves(self) -> SavesView: ...

    @property
    def event_counts(self) -> Mapping[str, int]: ...

    @property
    def refused_inputs(self) -> Mapping[str, int]:
        """By kind: how often others sent what was not believed."""


def _of_master(name: str, meaning: str, *more: str) -> Spec:
    return Spec(f"redis_sentinel_master_{name}", _G, meaning, (*_MASTER, *more))


STATUS: Final = _of_master(
    "status", "1 if the master is ok, 0 if it is sdown or odown", "master_status"
)
SLAVES: Final = _of_master("slaves", "Replicas of the master")
OK_SLAVES: Final = _of_master("ok_slaves", "Replicas of the master that are not down")
SENTINELS: Final = _of_master("sentinels", "Sentinels that watch the master, this one included")
OK_SENTINELS: Final = _of_master("ok_sentinels", "Sentinels of the master that are not down")
CONFIG_EPOCH: Final = _of_master("config_epoch", "Epoch in which the master became master")
LAST_OK_PING: Final = _of_master(
    "last_ok_ping_reply_seconds", "Age of the master's last good answer to PING"
)
QUORUM: Final = _of_master("setting_ckquorum", "The master's quorum")
FAILOVER_TIMEOUT: Final = _of_master(
    "setting_failover_timeout", "The master's failover-timeout in milliseconds"
)
PARALLEL_SYNCS: Final = _of_master("setting_parallel_syncs", "The master's parallel-syncs")
DOWN_AFTER: Final = _of_master(
    "setting_down_after_milliseconds", "The master's down-after-milliseconds"
)
CKQUORUM: Final = Spec(
    "redis_sentinel_master_ckquorum_status",
    _G,
    "1 if SENTINEL CKQUORUM answers OK, 0 if not; `message` is its answer",
    ("master_name", "message"),
)

USABLE: Final = Spec(
    "vedette_usable_sentinels", _G, "Sentinels not down, this one included", ("master_name",)
)
MARGIN: Final = Spec(
    "vedette_quorum_margin",
    _G,
    "Sentinels that may be lost before no failover is possible; below 0 none is",
    ("master_name",),
)
PROMOTABLE: Final = Spec(
    "vedette_promotable_replicas",
    _G,
    "Replicas that are up, connected and have a priority above 0",
    ("master_name",),
)
FAILOVER_STATE: Final = Spec(
    "vedette_failover_state",
    _G,
    "1 for the state that this sentinel's own failover is in, 0 for the others",
    ("master_name", "state"),
)
CONFLICT: Final = Spec(
    "vedette_config_conflict",
    _G,
    "1 while another sentinel names another master in the same epoch",
    ("master_name",),
)
FOREIGN: Final = Spec(
    "vedette_foreign_nodes",
    _G,
    "Addresses of the master's nodes at which another's data are found",
    ("master_name",),
)
EPOCH: Final = Spec("vedette_current_epoch", _G, "The highest epoch this sentinel knows of")
TILT_TIME: Final = Spec(
    "vedette_tilt_seconds_total", _C, "How long this sentinel has distrusted its clock"
)
VOTES_RECEIVED: Final = Spec(
    "vedette_votes_received_total",
    _C,
    "Votes that fellow sentinels told of: for this one, or for a peer",
    ("candidate",),
)
PERSISTS: Final = Spec(
    "vedette_config_persists_total", _C, "Saves of this sentinel's state, by outcome", ("result",)
)
PERSIST_TIME: Final = Spec(
    "vedette_config_last_persist_seconds",
    _G,
    "How long the last save of this sentinel's state took",
)
PERSIST_FAILING: Final = Spec(
    "vedette_config_persist_failing",
    _G,
    "1 while this sentinel cannot save its state, and so casts no vote",
)
REFUSED_INPUTS: Final = Spec(
    "vedette_refused_inputs_total", _C, "What others sent that was not believed, by kind", ("kind",)
)
EVENTS: Final = Spec("vedette_events_total", _C, "Events announced, by name", ("event",))

SPECS: Final = (
    STATUS,
    SLAVES,
    OK_SLAVES,
    SENTINELS,
    OK_SENTINELS,
    CONFIG_EPOCH,
    LAST_OK_PING,
    QUORUM,
    FAILOVER_TIMEOUT,
    PARALLEL_SYNCS,
    DOWN_AFTER,
    CKQUORUM,
    USABLE,
    MARGIN,
    PROMOTABLE,
    FAILOVER_STATE,
    CONFLICT,
    FOREIGN,
    EPOCH,
    TILT_TIME,
    VOTES_RECEIVED,
    PERSISTS,
    PERSIST_TIME,
    PERSIST_FAILING,
    REFUSED_INPUTS,
    EVENTS,
)

FAILOVER_STATES: Final = (
    "none",
    "wait_start",
    "select_slave",
    "send_slaveof_noone",
    "wait_promotion",
    "reconf_slaves",
    "update_config",
)

#: Events that alerts are made of: counted from 0, so that the first one is seen as a rise.
EVENTS_FROM_ZERO: Final = (
    "+sdown",
    "-sdown",
    "+odown",
    "-odown",
    "+new-epoch",
    "+try-failover",
    "+vote-for-leader",
    "+elected-leader",
    "+selected-slave",
    "-selected-slave",
    "+promoted-slave",
    "+switch-master",
    "+failover-end",
    "+failover-end-for-timeout",
    "-failover-abort-not-elected",
    "-failover-abort-no-good-slave",
    "-failover-abort-slave-timeout",
    "+config-update-from",
    "+config-conflict",
    "+foreign-node",
    "+convert-to-slave",
    "+reboot",
    "+tilt",
    "-tilt",
)


def add_masters(families: Families, masters: Iterable[MasterView]) -> None:
    """Add what a sentinel knows of each of its masters."""
    for master in masters:
        _add_master(families, master)
        _add_margins(families, master)


def _add_master(families: Families, master: MasterView) -> None:
    labels = (master.name, f"{master.address.host}:{master.address.port}")
    families.add(STATUS, float(master.status == "ok"), *labels, master.status)
    for spec, value in (
        (SLAVES, len(master.replicas)),
        (OK_SLAVES, sum(not replica.is_s_down for replica in master.replicas)),
        (SENTINELS, master.known_sentinels),
        (OK_SENTINELS, master.usable_sentinels),
        (CONFIG_EPOCH, master.config_epoch),
        (LAST_OK_PING, master.last_ok_ping_age_ms / 1000),
        (QUORUM, master.quorum),
        (FAILOVER_TIMEOUT, master.failover_timeout_ms),
        (PARALLEL_SYNCS, master.parallel_syncs),
        (DOWN_AFTER, master.down_after_ms),
    ):
        families.add(spec, value, *labels)
    is_ok = master.quorum_text.startswith("OK")
    families.add(CKQUORUM, float(is_ok), master.name, master.quorum_text)


def _add_margins(families: Families, master: MasterView) -> None:
    families.add(USABLE, master.usable_sentinels, master.name)
    families.add(MARGIN, master.usable_sentinels - master.needed_sentinels, master.name)
    promotable = sum(
        replica.is_connected and not replica.is_s_down and replica.priority > 0
        for replica in master.replicas
    )
    families.add(PROMOTABLE, promotable, master.name)
    for state in FAILOVER_STATES:
        families.add(FAILOVER_STATE, float(state == master.failover_state), master.name, state)


def add_own(families: Families, sentinel: SentinelView) -> None:
    """Add what a sentinel knows of itself and tells nobody over Redis' protocol."""
    for name, is_in_conflict in sentinel.conflicts.items():
        families.add(CONFLICT, float(is_in_conflict), name)
    for name, count in sentinel.foreign_nodes.items():
        families.add(FOREIGN, count, name)
    families.add(EPOCH, sentinel.current_epoch)
    families.add(TILT_TIME, sentinel.tilted_s)
    families.add(VOTES_RECEIVED, sentinel.votes_for_us, "self")
    families.add(VOTES_RECEIVED, sentinel.votes_for_others, "peer")
    families.add(PERSISTS, sentinel.saves.saved_count, "saved")
    families.add(PERSISTS, sentinel.saves.failed_count, "failed")
    families.add(PERSIST_TIME, sentinel.saves.last_duration_s)
    families.add(PERSIST_FAILING, float(sentinel.saves.is_failing))
    for kind, count in sentinel.refused_inputs.items():
        families.add(REFUSED_INPUTS, count, kind)
    counts = dict.fromkeys(EVENTS_FROM_ZERO, 0) | dict(sentinel.event_counts)
    for event, count in counts.items():
        families.add(EVENTS, count, event)
