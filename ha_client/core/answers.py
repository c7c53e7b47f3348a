"""Reading what sentinels and masters say about roles.

Knows the shapes of their replies in RESP2 and RESP3, nothing of what follows from them. Shapes are
those of Redis' `sentinel.c: sentinelCommand, addReplySentinelRedisInstance` and
`replication.c: roleCommand`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from vedette.errors import ProtocolError
from vedette.resp.exchange import Received, ReplyError
from vedette.types import Address

#: The event that tells of a new master, to everybody, with both addresses.
SWITCH_CHANNEL: Final = b"+switch-master"
#: Events after which the sentinel that sends them is asked anew: it may know a new master already
#: (the leader says `+promoted-slave` long before `+switch-master` if many replicas must be
#: reconfigured), or other replicas to read from.
HINT_CHANNELS: Final = (
    b"+promoted-slave",
    b"+config-update-from",
    b"+reset-master",
    b"+monitor",
    b"+sdown",
    b"-sdown",
    b"+slave",
)


@dataclass(frozen=True, slots=True)
class Claim:
    """A sentinel's word: in configuration epoch `epoch` the master is at `address`."""

    address: Address
    epoch: int


@dataclass(frozen=True, slots=True)
class Fellow:
    """A sentinel that another one knows of; `sentinel_id` is empty if that is not known yet."""

    address: Address
    sentinel_id: str


@dataclass(frozen=True, slots=True)
class SentinelAnswer:
    """All that one sentinel was asked; `claim` is None if it does not know the master's name."""

    claim: Claim | None
    #: Empty for sentinels before 6.2, which have no SENTINEL MYID.
    sentinel_id: str
    fellows: tuple[Fellow, ...]
    #: Replicas that it holds to be up and linked to their master.
    replicas: tuple[Address, ...] = ()


@dataclass(frozen=True, slots=True)
class Switch:
    """The content of `+switch-master`."""

    name: str
    old: Address
    new: Address


def questions(master_name: str) -> list[tuple[str, ...]]:
    """Return the commands whose replies `read_answer` takes.

    The epoch is asked before the address. If a failover falls between the two, the new address is
    seen with the old epoch and not believed; the other order would lend the new epoch to the old
    address. The address must be that of GET-MASTER-ADDR-BY-NAME: SENTINEL MASTER keeps naming the
    old one until every replica is reconfigured.
    """
    return [
        ("SENTINEL", "MASTER", master_name),
        ("SENTINEL", "GET-MASTER-ADDR-BY-NAME", master_name),
        ("SENTINEL", "SENTINELS", master_name),
        ("SENTINEL", "MYID"),
        ("SENTINEL", "REPLICAS", master_name),
    ]


def read_answer(replies: Sequence[Received]) -> SentinelAnswer:
    """Read the replies to `questions`.

    Raises:
        ReplyError: the sentinel refused to answer (it wants a password).
        ProtocolError: a reply has an unexpected shape.
    """
    master, address, sentinels, my_id, replicas = replies
    sentinel_id = "" if isinstance(my_id, ReplyError) else _text(my_id)
    if isinstance(address, ReplyError):
        raise address
    if address is None:
        return SentinelAnswer(None, sentinel_id, ())
    if isinstance(master, ReplyError):
        raise master
    if not isinstance(address, list) or len(address) != 2:
        raise ProtocolError("an address is a list of host and port")
    claim = Claim(_address(*address), _integer(_fields(master).get("config-epoch", b"")))
    fellows = _fellows(sentinels) if isinstance(sentinels, list) else ()
    # Without the permission to ask for them there are none to read from.
    usable = _usable(replicas) if isinstance(replicas, list) else ()
    return SentinelAnswer(claim, sentinel_id, fellows, usable)


def read_switch(payload: Received) -> Switch:
    """Read the payload of `+switch-master`: name, old host and port, new host and port.

    Raises:
        ProtocolError: it is not that.
    """
    words = _text(payload).split()
    if len(words) != 5:
        raise ProtocolError("+switch-master has five words")
    return Switch(words[0], _address(words[1], words[2]), _address(words[3], words[4]))


def hint_is_about(master_name: str, payload: Received) -> bool:
    """Return whether an event tells of `master_name`.

    Events name their instance as `<type> <name> <ip> <port>`, followed by `@ <master> <ip> <port>`
    if the instance is no master itself.
    """
    words = _text(payload).split()
    return master_name in (words[1:2] if "@" not in words else words[words.index("@") + 1 :][:1])


def read_role(reply: Received) -> str:
    """Return the role that ROLE tells: `master`, `slave` or `sentinel`.

    Raises:
        ProtocolError: the reply has another shape.
    """
    if not isinstance(reply, list) or not reply:
        raise ProtocolError("ROLE answers a list")
    return _text(reply[0])


def read_greeted_role(reply: Received) -> str:
    """Return the role that HELLO tells, in the words of ROLE: `master`, `slave` or `sentinel`.

    For users that may not ask ROLE, which is among the dangerous commands: HELLO is everybody's.

    Raises:
        ProtocolError: the reply has another shape.
    """
    role = _text(_fields(reply).get("role", b""))
    if not role:
        raise ProtocolError("HELLO tells no role")
    return "slave" if role == "replica" else role


def read_link(reply: Received) -> tuple[str, str]:
    """Return the role that ROLE tells, and of a replica the state of its link: `connected`, ...

    Raises:
        ProtocolError: the reply has another shape.
    """
    role = read_role(reply)
    return role, _text(reply[3]) if role == "slave" and len(reply) > 3 else ""


def _fellows(entries: list[Received]) -> tuple[Fellow, ...]:
    """Return the sentinels listed; those not yet reachable by an address are left out."""
    fellows = []
    for entry in entries:
        fields = _fields(entry)
        address = _address(fields.get("ip", b""), fields.get("port", b""))
        if address.host and address.port:
            fellows.append(Fellow(address, _text(fields.get("runid", b""))))
    return tuple(fellows)


def _usable(entries: list[Received]) -> tuple[Address, ...]:
    """Return the replicas that are up, and linked to their master by their own word."""
    usable = []
    for entry in entries:
        fields = _fields(entry)
        flags = set(_text(fields.get("flags", b"")).split(","))
        is_linked = fields.get("master-link-status") == b"ok"
        if is_linked and not flags & {"s_down", "o_down", "disconnected"}:
            usable.append(_address(fields.get("ip", b""), fields.get("port", b"")))
    return tuple(usable)


def _fields(reply: Received) -> dict[str, Received]:
    """Return a map of RESP3, or the flat list that RESP2 has in its place."""
    if isinstance(reply, dict):
        pairs = list(reply.items())
    elif isinstance(reply, list) and len(reply) % 2 == 0:
        pairs = list(zip(reply[::2], reply[1::2], strict=True))
    else:
        raise ProtocolError("an instance is described by pairs of field and value")
    return {_text(name): value for name, value in pairs}


def _address(host: Received, port: Received) -> Address:
    number = _integer(port)
    if not 0 <= number <= 65535:
        raise ProtocolError(f"{number} is no port")
    return Address(_text(host), number)


def _integer(value: Received) -> int:
    try:
        return int(value)
    except (TypeError, ValueError) as error:
        raise ProtocolError("an integer was expected") from error


def _text(value: Received) -> str:
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    if isinstance(value, str):
        return value
    raise ProtocolError("text was expected")
