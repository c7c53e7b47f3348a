"""Reading what sentinels and masters say, in the shapes of both protocols."""

from __future__ import annotations

from typing import Any

import pytest

from ha_client.core.answers import (
    Claim,
    Fellow,
    SentinelAnswer,
    Switch,
    hint_is_about,
    read_answer,
    read_greeted_role,
    read_link,
    read_role,
    read_switch,
)
from vedette.errors import ProtocolError
from vedette.resp.exchange import ReplyError
from vedette.types import Address

MASTER = {b"name": b"mymaster", b"ip": b"127.0.0.1", b"port": b"6379", b"config-epoch": b"7"}
FELLOW = {b"name": b"x", b"ip": b"127.0.0.1", b"port": b"26380", b"runid": b"abc"}
ADDRESS = [b"127.0.0.1", b"6380"]


def flat(fields: dict[bytes, bytes]) -> list[bytes]:
    """How RESP2 sends a map."""
    return [part for pair in fields.items() for part in pair]


@pytest.mark.parametrize(("master", "fellow"), [(MASTER, FELLOW), (flat(MASTER), flat(FELLOW))])
def test_answer_joins_the_address_in_force_with_the_epoch(master: Any, fellow: Any) -> None:
    """The address is GET-MASTER-ADDR-BY-NAME's: SENTINEL MASTER keeps the old one for long."""
    answer = read_answer([master, ADDRESS, [fellow], b"my-id", []])

    assert answer == SentinelAnswer(
        Claim(Address("127.0.0.1", 6380), 7), "my-id", (Fellow(Address("127.0.0.1", 26380), "abc"),)
    )


def test_unknown_name_is_an_answer_without_a_claim() -> None:
    """The sentinel works; it only does not watch this master."""
    unknown = ReplyError("ERR No such master with that name")

    assert read_answer([unknown, None, unknown, b"id", unknown]) == SentinelAnswer(None, "id", ())


def test_sentinel_without_ids_is_understood() -> None:
    """SENTINEL MYID came with 6.2."""
    error = ReplyError("ERR Unknown sentinel subcommand 'MYID'")

    assert read_answer([MASTER, ADDRESS, [], error, []]).sentinel_id == ""


def test_fellow_without_an_address_is_left_out() -> None:
    """A sentinel that was never reached is listed with port 0."""
    unreached = {**FELLOW, b"port": b"0"}

    assert read_answer([MASTER, ADDRESS, [unreached], b"id", []]).fellows == ()


def test_only_replicas_that_are_up_and_linked_are_to_be_read_from() -> None:
    def replica(port: int, flags: bytes, link: bytes = b"ok") -> dict[bytes, bytes]:
        fields = {b"ip": b"127.0.0.1", b"port": b"%d" % port}
        return {**fields, b"flags": flags, b"master-link-status": link}

    told = [
        replica(1, b"slave"),
        replica(2, b"s_down,slave"),
        replica(3, b"slave,disconnected"),
        replica(4, b"slave", b"err"),
        {b"flags": b"slave"},
    ]
    refused = ReplyError("NOPERM no permissions")

    assert read_answer([MASTER, ADDRESS, [], b"id", told]).replicas == (Address("127.0.0.1", 1),)
    assert read_answer([MASTER, ADDRESS, [], b"id", refused]).replicas == ()


@pytest.mark.parametrize(
    ("reply", "expected"),
    [
        ([b"master", 3, []], ("master", "")),
        ([b"slave", b"127.0.0.1", 6379, b"connected", 99], ("slave", "connected")),
        ([b"slave", b"127.0.0.1", 6379, b"sync", -1], ("slave", "sync")),
        ([b"slave"], ("slave", "")),
    ],
)
def test_link_of_a_replica_is_read(reply: list[Any], expected: tuple[str, str]) -> None:
    assert read_link(reply) == expected


@pytest.mark.parametrize("refused", [[0], [1], [0, 1, 2, 3, 4]])
def test_refusal_is_raised(refused: list[int]) -> None:
    """NOAUTH is the reason to show, not a shape error; so is a permission for one command only."""
    replies: list[Any] = [MASTER, ADDRESS, [], b"abc", []]
    for index in refused:
        replies[index] = ReplyError("NOAUTH Authentication required.")

    with pytest.raises(ReplyError, match="NOAUTH"):
        read_answer(replies)


@pytest.mark.parametrize(
    ("master", "address"),
    [
        (b"OK", ADDRESS),
        ([b"ip"], ADDRESS),
        ({}, ADDRESS),
        ({b"config-epoch": b"x"}, ADDRESS),
        (MASTER, [b"127.0.0.1"]),
        (MASTER, [b"127.0.0.1", b"65536"]),
        (MASTER, [7, b"1"]),
        (MASTER, b"127.0.0.1:1"),
    ],
)
def test_other_shapes_are_protocol_errors(master: Any, address: Any) -> None:
    """Something else answers on that port."""
    with pytest.raises(ProtocolError):
        read_answer([master, address, [], b"id", []])


def test_switch_is_read() -> None:
    """The payload of `+switch-master`."""
    payload = b"mymaster 127.0.0.1 6379 ::1 6380"

    assert read_switch(payload) == Switch(
        "mymaster", Address("127.0.0.1", 6379), Address("::1", 6380)
    )


@pytest.mark.parametrize("payload", [b"", b"mymaster 127.0.0.1 6379", b"m a b c d", 7])
def test_broken_switch_is_a_protocol_error(payload: Any) -> None:
    """To act on half of it would be worse."""
    with pytest.raises(ProtocolError):
        read_switch(payload)


@pytest.mark.parametrize(
    ("payload", "is_about"),
    [
        (b"slave 127.0.0.1:2 127.0.0.1 2 @ mymaster 127.0.0.1 1", True),
        (b"slave 127.0.0.1:2 127.0.0.1 2 @ other 127.0.0.1 1", False),
        (b"slave mymaster 127.0.0.1 2 @ other 127.0.0.1 1", False),
        (b"master mymaster 127.0.0.1 1", True),
        (b"master mymaster 127.0.0.1 1 quorum 2", True),
        (b"master other 127.0.0.1 1", False),
        (b"", False),
        (b"sentinel x 127.0.0.1 2 @", False),
    ],
)
def test_hint_is_told_from_those_about_other_masters(payload: bytes, is_about: bool) -> None:
    """Sentinels watch many masters; each client asks only about its own."""
    assert hint_is_about("mymaster", payload) is is_about


def test_role_is_the_first_word() -> None:
    """A master's and a replica's ROLE differ in all that follows."""
    assert read_role([b"master", 0, []]) == "master"
    assert read_role([b"slave", b"127.0.0.1", 6379, b"connected", 5]) == "slave"


def test_hello_tells_the_role_in_words_of_its_own() -> None:
    assert read_greeted_role({b"server": b"redis", b"role": b"master"}) == "master"
    assert read_greeted_role([b"server", b"redis", b"role", b"replica"]) == "slave"
    for reply in ({b"server": b"redis"}, [b"role"], b"role"):
        with pytest.raises(ProtocolError):
            read_greeted_role(reply)


@pytest.mark.parametrize("reply", [[], b"master", None, [1]])
def test_no_role_is_a_protocol_error(reply: Any) -> None:
    """A node that does not tell must not be used."""
    with pytest.raises(ProtocolError):
        read_role(reply)
