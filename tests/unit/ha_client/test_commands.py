"""The methods named after commands send what redis-py's of the same name send."""

from __future__ import annotations

import pytest

from ha_client.commands import CommandMethods
from vedette.resp.exchange import Argument


class Spelt(CommandMethods[list[Argument]]):
    """Gives the arguments instead of sending them."""

    def _issue(self, *arguments: Argument) -> list[Argument]:
        return list(arguments)


COMMANDS = Spelt()


@pytest.mark.parametrize(
    ("spelt", "expected"),
    [
        (COMMANDS.get("k"), "GET k"),
        (COMMANDS.set("k", "v"), "SET k v"),
        (COMMANDS.set("k", "v", ex=5, nx=True), "SET k v EX 5 NX"),
        (
            COMMANDS.set("k", 1, px=5, xx=True, keepttl=True, get=True),
            "SET k 1 PX 5 XX KEEPTTL GET",
        ),
        (COMMANDS.set("k", "v", ex=0), "SET k v EX 0"),
        (COMMANDS.incr("k"), "INCRBY k 1"),
        (COMMANDS.decr("k", 3), "DECRBY k 3"),
        (COMMANDS.delete("a", "b"), "DEL a b"),
        (COMMANDS.mset({"a": 1, "b": 2}), "MSET a 1 b 2"),
        (COMMANDS.hset("h", {"f": "v"}), "HSET h f v"),
        (COMMANDS.lrange("l", 0, -1), "LRANGE l 0 -1"),
        (COMMANDS.eval("return 1", 1, "k", "a"), "EVAL script 1 k a"),
    ],
)
def test_parameters_become_the_words_of_the_command(spelt: list[Argument], expected: str) -> None:
    """Zero is a value: `ex=0` must reach the server, which refuses it."""
    assert " ".join(map(str, spelt)).replace("return 1", "script") == expected
