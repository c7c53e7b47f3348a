"""What one INFO says, as plain values.

Pure text work over `vedette.info`; what follows from it is decided in `discovery.py`. A field that
is missing or makes no sense is None, never a guess: INFO comes from processes of many makes.
Reference: `sentinel.c: sentinelRefreshInstanceInfo`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from vedette.info import parse_info, parse_info_line
from vedette.types import RUN_ID_LENGTH, Address

from .dataset import UNKNOWN, Dataset
from .model import Role

_PORT_MAX: Final = 65535
#: How the lines begin that are read below. INFO has ten times as many, and is most of what arrives.
_BEGINNINGS: Final = frozenset(
    {b"run_", b"role", b"mast", b"slav", b"repl", b"seco", b"load", b"asyn", b"aof_", b"rdb_"}
    | {b"upti"}
)
_KEYSPACE: Final = b"# Keyspace"
#: For so long the data of a process that loaded none are no more than what it was sent since.
_NEWBORN_S: Final = 3
_NO_REPLID: Final = "0" * RUN_ID_LENGTH
_ROLES: Final = {role.value: role for role in Role}


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """The part of INFO that a sentinel reads."""

    run_id: str | None = None
    role: Role | None = None
    #: Replicas that a master lists.
    replicas: tuple[Address, ...] = ()
    master_address: Address | None = None
    is_master_link_up: bool | None = None
    master_link_down_ms: int = 0
    priority: int | None = None
    repl_offset: int | None = None
    is_announced: bool | None = None
    #: `master_failover_state`; None: the node does not know FAILOVER.
    failover_state: str | None = None
    dataset: Dataset = UNKNOWN


def read_facts(text: bytes) -> Facts:
    """Read INFO's text; never raises."""
    fields = parse_info(b"\n".join([line for line in text.split(b"\n") if line[:4] in _BEGINNINGS]))
    run_id = fields.get("run_id", "")
    link_status = fields.get("master_link_status")
    down_since_s = _number(fields.get("master_link_down_since_seconds"))
    announced = fields.get("replica_announced")
    replicas = _listed_replicas(fields)
    return Facts(
        run_id=run_id if len(run_id) == RUN_ID_LENGTH else None,
        role=_ROLES.get(fields.get("role", "")),
        replicas=replicas,
        master_address=_address(fields.get("master_host"), fields.get("master_port")),
        is_master_link_up=None if link_status is None else link_status == "up",
        master_link_down_ms=max(down_since_s or 0, 0) * 1000,
        priority=_number(fields.get("slave_priority")),
        repl_offset=_number(fields.get("slave_repl_offset")),
        is_announced=None if announced is None else announced != "0",
        failover_state=fields.get("master_failover_state"),
        dataset=Dataset(
            replid=_replid(fields.get("master_replid")),
            replid2=_replid(fields.get("master_replid2")),
            end_of_previous=_offset(fields.get("second_repl_offset")),
            offset=_offset(fields.get("master_repl_offset")),
            key_count=_key_count(text),
            has_aof=fields.get("aof_enabled") == "1",
            is_newborn=_is_newborn(fields),
            is_loading="1" in (fields.get("loading"), fields.get("async_loading")),
            is_syncing=fields.get("master_sync_in_progress") == "1",
            is_never_linked=down_since_s == -1,
            replicas=replicas,
        ),
    )


def _is_newborn(fields: dict[str, str]) -> bool:
    uptime_s = _number(fields.get("uptime_in_seconds"))
    loaded = _number(fields.get("rdb_last_load_keys_loaded"))
    return uptime_s is not None and uptime_s <= _NEWBORN_S and loaded == 0


def _replid(text: str | None) -> str:
    """A replication id, "" for none."""
    if text is None or len(text) != RUN_ID_LENGTH or text == _NO_REPLID:
        return ""
    return text


def _offset(text: str | None) -> int | None:
    number = _number(text)
    return number if number is not None and number >= 0 else None


def _key_count(text: bytes) -> int | None:
    """The keys in all databases; a section without a line means none, no section: not known."""
    start = text.find(_KEYSPACE)
    if start < 0:
        return None
    count = 0
    for line in text[start + len(_KEYSPACE) :].splitlines():
        if line.startswith(b"#"):
            break
        if line.startswith(b"db"):
            pairs = parse_info_line(line.partition(b":")[2].decode("utf-8", "replace"))
            count += _number(pairs.get("keys")) or 0
    return count


def _listed_replicas(fields: dict[str, str]) -> tuple[Address, ...]:
    """The `slave<N>` lines, `ip=..,port=..` or the older `ip,port,..`."""
    found = []
    for name, value in fields.items():
        if not (name.startswith("slave") and name[5:].isdigit()):
            continue
        if "ip=" in value:
            pairs = parse_info_line(value)
            address = _address(pairs.get("ip"), pairs.get("port"))
        else:
            host, _, rest = value.partition(",")
            address = _address(host, rest.partition(",")[0])
        if address is not None and address not in found:
            found.append(address)
    return tuple(found)


def _address(host: str | None, port: str | None) -> Address | None:
    number = _number(port)
    if not host or number is None or not 0 < number <= _PORT_MAX:
        return None
    if any(character.isspace() or character in ",\0" for character in host):
        return None  # would break the line it is written to in sentinel.conf
    return Address(host, number)


def _number(text: str | None) -> int | None:
    if text is None:
        return None
    digits = text.removeprefix("-")
    if not (digits.isascii() and digits.isdigit()) or len(digits) > 19:
        return None
    return int(text)
