"""How long commands wait on the server, and what they are with less time."""

from __future__ import annotations

import pytest

from ha_client.core.blocking import Takes, wait_of


@pytest.mark.parametrize(
    ("command", "time_s", "with_half_a_second"),
    [
        ("BLPOP a b 7", 7.0, "BLPOP a b 0.500"),
        ("brpop a 0", None, "brpop a 0.500"),
        ("BLMOVE a b LEFT RIGHT 1.5", 1.5, "BLMOVE a b LEFT RIGHT 0.500"),
        ("BZPOPMAX z 2", 2.0, "BZPOPMAX z 0.500"),
        ("BLMPOP 3 1 k LEFT", 3.0, "BLMPOP 0.500 1 k LEFT"),
        ("BZMPOP 0 1 k MIN", None, "BZMPOP 0.500 1 k MIN"),
        ("XREAD COUNT 1 BLOCK 2500 STREAMS s $", 2.5, "XREAD COUNT 1 BLOCK 500 STREAMS s $"),
        ("XREADGROUP GROUP g c BLOCK 0 STREAMS s >", None,
         "XREADGROUP GROUP g c BLOCK 500 STREAMS s >"),
        ("BLPOP a soon", None, "BLPOP a 0.500"),
    ],
)  # fmt: skip
def test_time_of_a_command_that_waits(
    command: str, time_s: float | None, with_half_a_second: str
) -> None:
    wait = wait_of(command.encode().split())

    assert wait is not None
    assert wait.time_s == time_s
    assert wait.with_time(0.5) == with_half_a_second.encode().split()


def test_the_last_moment_is_not_for_ever() -> None:
    """0 means for ever on the wire."""
    for command, expected in (("BLPOP a 7", b"0.001"), ("XREAD BLOCK 9 STREAMS s $", b"1")):
        wait = wait_of(command.encode().split())
        assert wait is not None
        assert expected in wait.with_time(0.0)


@pytest.mark.parametrize(
    "command", ["GET k", "BLPOP", "BLPOP k", "XREAD STREAMS block 0", "WAIT 1 0", "XREAD BLOCK"]
)
def test_the_rest_does_not_wait(command: str) -> None:
    """Nor do those that lack an argument: the server says what."""
    assert wait_of(command.encode().split()) is None


@pytest.mark.parametrize(
    ("takes", "commands"),
    [
        (Takes.NOTHING, ["XREAD BLOCK 1 STREAMS s $"]),
        (Takes.POPS, ["BLPOP q 1", "BRPOP q 1", "BLMPOP 1 1 q LEFT", "BZPOPMIN z 1",
                      "BZPOPMAX z 1", "BZMPOP 1 1 z MIN"]),
        (Takes.MOVES, ["BLMOVE a b LEFT LEFT 1", "BRPOPLPUSH a b 1",
                       "XREADGROUP GROUP g c BLOCK 1 STREAMS s >"]),
    ],
)  # fmt: skip
def test_where_that_is_which_was_taken(takes: Takes, commands: list[str]) -> None:
    """What lies in another list, or is pending, can be looked for before asking again."""
    for command in commands:
        wait = wait_of(command.encode().split())
        assert wait is not None
        assert wait.takes is takes, command
