"""Finds the deployment of a master by asking its sentinels, as a client would.

Every sentinel must answer: those that were named, and the fellows that the first of them tells of.
So must every node. Addresses are taken as sentinels tell them: through a network that translates
them no drill can be run.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Final

from vedette.errors import VedetteError
from vedette.info import parse_info
from vedette.resp.exchange import Received, ReplyError
from vedette.runtime.connection import Connection
from vedette.types import Address

from ..deployment import ExistingDeployment, ExistingMember, Member, Part
from ..settings import DrillError
from .connector import Connector

#: After so much silence a process is taken not to answer.
_ANSWER_TIMEOUT_S: Final = 5.0
#: Under no such name is a master watched: asks what a sentinel knows without moving anything.
_NO_MASTER: Final = "vedette-drill-no-such-master"


async def discover(
    connector: Connector, sentinels: Sequence[Address], master_name: str
) -> ExistingDeployment:
    """Return the deployment that the sentinels at these addresses know as `master_name`.

    Raises:
        DrillError: somebody does not answer or refuses, or there is no such master.
    """
    named: dict[str, Address] = {}
    for address in sentinels:
        async with asking(connector, _unknown(Part.SENTINEL, address)) as connection:
            named.setdefault(_text(await connection.execute("SENTINEL", "MYID")), address)
    async with asking(connector, _unknown(Part.SENTINEL, sentinels[0])) as connection:
        master, replicas, fellows = [
            [_fields(entry) for entry in entries]
            for entries in (
                [await connection.execute("SENTINEL", "MASTER", master_name)],
                await connection.execute("SENTINEL", "REPLICAS", master_name),
                await connection.execute("SENTINEL", "SENTINELS", master_name),
            )
        ]
    told = {fields["runid"]: _address_in(fields) for fields in fellows}
    places = {**told, **named}.values()
    views = [await _look_at_sentinel(connector, place, master_name) for place in sorted(places)]
    hosts = sorted(_address_in(fields) for fields in (*master, *replicas))
    nodes = [await _look_at_node(connector, host) for host in hosts]
    return ExistingDeployment(
        master_name=master_name,
        nodes=tuple(nodes),
        sentinels=tuple(member for member, _ in views),
        quorum=_most(views, "quorum"),
        down_after_ms=_most(views, "down-after-milliseconds"),
        failover_timeout_ms=_most(views, "failover-timeout"),
        parallel_syncs=_most(views, "parallel-syncs"),
    )


@asynccontextmanager
async def asking(connector: Connector, member: Member) -> AsyncIterator[Connection]:
    """Open a connection to a member whose silence or refusal ends the drill before it began.

    Raises:
        DrillError: it cannot be reached, does not answer, or refuses.
    """
    try:
        async with connector.open(
            member, _ANSWER_TIMEOUT_S, reply_timeout_s=_ANSWER_TIMEOUT_S
        ) as connection:
            yield connection
    except DrillError:
        raise
    except ReplyError as error:
        raise DrillError(f"the {member.part.value} {member.name} refuses: {error}") from error
    except VedetteError as error:
        raise DrillError(f"the {member.part.value} {member.name}: {error}") from error


async def _look_at_sentinel(
    connector: Connector, address: Address, master_name: str
) -> tuple[ExistingMember, Mapping[str, str]]:
    """Return a sentinel, and what it says of the master."""
    async with asking(connector, _unknown(Part.SENTINEL, address)) as connection:
        info = parse_info(await connection.execute("INFO", "server"))
        fields = _fields(await connection.execute("SENTINEL", "MASTER", master_name))
        knows_coordinated = await _knows_coordinated(connection)
    member = ExistingMember(
        part=Part.SENTINEL,
        address=address,
        program=_program_of(info, "sentinel"),
        is_ours="vedette_version" in info,
        knows_coordinated=knows_coordinated,
    )
    return member, fields


async def _knows_coordinated(connection: Connection) -> bool:
    try:
        await connection.execute("SENTINEL", "FAILOVER", _NO_MASTER, "COORDINATED")
    except ReplyError as error:
        return "no such master" in error.text.lower()
    return False


async def _look_at_node(connector: Connector, address: Address) -> ExistingMember:
    async with asking(connector, _unknown(Part.NODE, address)) as connection:
        info = parse_info(await connection.execute("INFO", "server"))
    return ExistingMember(
        part=Part.NODE,
        address=address,
        program=_program_of(info, "server"),
        is_ours="vedette_version" in info,
    )


def _program_of(info: Mapping[str, str], kind: str) -> str:
    """Return which program and version answers, by its INFO: `redis-server 7.0.15`."""
    for maker in ("vedette", "valkey", "redis"):
        version = info.get(f"{maker}_version")
        if version is not None:
            return f"{maker}-{kind} {version}"
    return f"unknown {kind}"


def _unknown(part: Part, address: Address) -> ExistingMember:
    """Return a member of which only the address is known yet."""
    return ExistingMember(part=part, address=address, program="", is_ours=False)


def _most(views: Iterable[tuple[ExistingMember, Mapping[str, str]]], name: str) -> int:
    return max(int(fields[name]) for _, fields in views)


def _fields(reply: Received) -> dict[str, str]:
    """Return a flat array of names and values as a mapping."""
    words = [_text(word) for word in reply]
    return dict(zip(words[::2], words[1::2], strict=True))


def _address_in(fields: Mapping[str, str]) -> Address:
    return Address(fields["ip"], int(fields["port"]))


def _text(word: bytes) -> str:
    return word.decode("utf-8", "replace")
