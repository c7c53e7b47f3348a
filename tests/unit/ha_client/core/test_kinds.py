"""What may be repeated, and what may share a connection."""

from __future__ import annotations

import pytest

from ha_client.core.kinds import Kind, kind_of, reason_not_to_share

KINDS = [
    ("GET k", Kind.READ),
    ("hgetall k", Kind.READ),
    ("XREAD COUNT 1 STREAMS s 0", Kind.READ),
    ("EVAL_RO return 0", Kind.READ),
    ("OBJECT ENCODING k", Kind.READ),
    ("CONFIG GET *", Kind.READ),
    ("CONFIG SET a b", Kind.WRITE),
    ("CONFIG RESETSTAT", Kind.WRITE),
    ("SCRIPT LOAD x", Kind.WRITE),
    ("COMMAND", Kind.READ),
    ("SET k v", Kind.LAST_WINS),
    ("SET k v EX 10", Kind.LAST_WINS),
    ("SET k v NX", Kind.WRITE),
    ("SET k v PX 5 xx", Kind.WRITE),
    ("SET k v GET", Kind.WRITE),
    ("SET nx xx", Kind.LAST_WINS),
    ("SETEX k 1 nx", Kind.LAST_WINS),
    ("MSET a nx b get", Kind.LAST_WINS),
    ("EXPIREAT k 99 GT", Kind.WRITE),
    ("EXPIREAT k 99", Kind.LAST_WINS),
    ("EXPIRE k 9", Kind.WRITE),
    ("INCR k", Kind.WRITE),
    ("DEL k", Kind.WRITE),
    ("SADD k v", Kind.WRITE),
    ("GETDEL k", Kind.WRITE),
    ("GETEX k", Kind.WRITE),
    ("SORT k STORE j", Kind.WRITE),
    ("EVAL return 0", Kind.WRITE),
    ("PUBLISH c m", Kind.WRITE),
    ("NO.SUCH k", Kind.WRITE),
]


@pytest.mark.parametrize(("command", "kind"), KINDS)
def test_what_is_not_known_to_be_safe_is_a_write(command: str, kind: Kind) -> None:
    """What is not known to be safe is a WRITE."""
    assert kind_of(command.encode().split()) is kind


@pytest.mark.parametrize(
    ("command", "word"),
    [
        ("BLPOP k 0", "block"),
        ("blmove a b LEFT LEFT 0", "block"),
        ("XREAD COUNT 1 BLOCK 0 STREAMS s $", "block"),
        ("XREADGROUP GROUP g c BLOCK 5 STREAMS s >", "block"),
        ("WAIT 1 0", "block"),
        ("MULTI", "change"),
        ("WATCH k", "change"),
        ("SELECT 1", "change"),
        ("SUBSCRIBE c", "change"),
        ("CLIENT REPLY OFF", "change"),
        ("HELLO 3", "change"),
    ],
)
def test_command_that_cannot_share_a_connection(command: str, word: str) -> None:
    """One task's BLPOP would hold up every other task."""
    assert word in (reason_not_to_share(command.encode().split()) or "")


@pytest.mark.parametrize(
    "command", ["GET k", "XREAD STREAMS block 0", "CLIENT LIST", "SET blpop 1", "LMPOP 1 k LEFT"]
)
def test_what_changes_nothing_for_others_may_share_the_connection(command: str) -> None:
    """The rest shares."""
    assert reason_not_to_share(command.encode().split()) is None
