"""From replies of servers and sentinels to the records that metrics are made of.

Replies are what `vedette.resp.exchange` yields: flat lists of names and values in RESP2. Unknown
fields are passed over, absent ones have a default, for sentinels of many versions are asked.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from vedette.resp.exchange import Received, ReplyError
from vedette.types import Address

#: What Redis gives a replica whose priority it has not read.
_DEFAULT_PRIORITY = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplicaSeen:
    """A replica as another sentinel sees it."""

    is_s_down: bool
    is_connected: bool
    priority: int


@dataclass(frozen=True, slots=True, kw_only=True)
class MasterSeen:
    """A master as another sentinel sees it; see `sentinel_families.MasterView`."""

    name: str
    address: Address
    status: str
    quorum: int
    down_after_ms: int
    failover_timeout_ms: int
    parallel_syncs: int
    config_epoch: int
    failover_state: str
    last_ok_ping_age_ms: int
    usable_sentinels: int
    known_sentinels: int
    quorum_text: str
    replicas: Sequence[ReplicaSeen]

    @property
    def needed_sentinels(self) -> int:
        """How many sentinels have to live for a failover: the quorum and a majority."""
        return max(self.quorum, self.known_sentinels // 2 + 1)


@dataclass(frozen=True, slots=True)
class SlowLog:
    """The slow log's size and its newest entry; zeros if it is empty."""

    length: int
    last_id: int
    last_duration_s: float


@dataclass(frozen=True, slots=True)
class Answers:
    """All that was asked of one server or sentinel; what it refused to say is left out."""

    info: Mapping[str, str]
    #: Directives by name.
    config: Mapping[str, str] = field(default_factory=dict)
    slow_log: SlowLog | None = None
    masters: Sequence[MasterSeen] = ()


def config_of(replies: Sequence[Received]) -> dict[str, str]:
    """Return the directives that replies to CONFIG GET hold; refusals hold none."""
    config: dict[str, str] = {}
    for reply in replies:
        config |= fields_of(reply)
    return config


def slow_log_of(length: Received, newest: Received) -> SlowLog | None:
    """Return what SLOWLOG LEN and SLOWLOG GET 1 say; None if they were refused."""
    if not isinstance(length, int) or not isinstance(newest, list):
        return None
    match newest:
        case [[int(number), int(), int(duration_us), *_]]:
            return SlowLog(length, number, duration_us / 1e6)
        case _:
            return SlowLog(length, 0, 0.0)


def fields_of(reply: Received) -> dict[str, str]:
    """Return the fields of one instance, as text by name; empty for what is none."""
    if not isinstance(reply, list):
        return {}
    words = [_text(word) for word in reply]
    return dict(zip(words[::2], words[1::2], strict=False))


def instances_of(reply: Received) -> list[dict[str, str]]:
    """Return the instances that SENTINEL MASTERS, REPLICAS or SENTINELS lists."""
    return [fields_of(item) for item in reply] if isinstance(reply, list) else []


def master_seen(
    master: Mapping[str, str], ckquorum: Received, sentinels: Received, replicas: Received
) -> MasterSeen:
    """Return the record of one entry of SENTINEL MASTERS and the three replies about it.

    `ckquorum` may be an error, which is one of its regular answers.
    """
    flags = _flags(master)
    peers = instances_of(sentinels)
    return MasterSeen(
        name=master.get("name", ""),
        address=Address(master.get("ip", ""), _integer(master, "port")),
        status="odown" if "o_down" in flags else "sdown" if "s_down" in flags else "ok",
        quorum=_integer(master, "quorum"),
        down_after_ms=_integer(master, "down-after-milliseconds"),
        failover_timeout_ms=_integer(master, "failover-timeout"),
        parallel_syncs=_integer(master, "parallel-syncs"),
        config_epoch=_integer(master, "config-epoch"),
        failover_state=master.get("failover-state", "none"),
        last_ok_ping_age_ms=_integer(master, "last-ok-ping-reply"),
        usable_sentinels=1 + sum(not _is_down(peer) for peer in peers),
        known_sentinels=1 + _integer(master, "num-other-sentinels"),
        quorum_text=ckquorum.text if isinstance(ckquorum, ReplyError) else _text(ckquorum),
        replicas=[_replica(replica) for replica in instances_of(replicas)],
    )


def _replica(replica: Mapping[str, str]) -> ReplicaSeen:
    return ReplicaSeen(
        is_s_down=_is_down(replica),
        is_connected="disconnected" not in _flags(replica),
        priority=_integer(replica, "slave-priority", _DEFAULT_PRIORITY),
    )


def _flags(instance: Mapping[str, str]) -> set[str]:
    return set(instance.get("flags", "").split(","))


def _is_down(instance: Mapping[str, str]) -> bool:
    return bool(_flags(instance) & {"s_down", "o_down"})


def _integer(instance: Mapping[str, str], name: str, default: int = 0) -> int:
    try:
        return int(instance[name])
    except (KeyError, ValueError):
        return default


def _text(word: Received) -> str:
    return word.decode("utf-8", "replace") if isinstance(word, bytes) else str(word)
