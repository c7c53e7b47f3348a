"""Which replies say "not here", and what a lost reply allows."""

from __future__ import annotations

from typing import Any

import pytest

from ha_client.core.verdicts import Verdict, find_refusal, judge_loss, tells_of_no_master
from vedette.resp.exchange import ReplyError

#: Forms found in the wild; the second column: whether nothing was executed and the master is
#: elsewhere (or not ready).
FORMS = [
    ("READONLY You can't write against a read only replica.", True),
    ("READONLY You can't write against a read only slave.", True),
    ("READONLY", True),
    ("READONLY You can't write against a read only replica. script: 1, on @user_script:1.", True),
    (
        "ERR Error running script (call to f_6b1): @user_script:1: @user_script: 1: "
        "-READONLY You can't write against a read only replica.",
        True,
    ),
    ("ERR READONLY You can't write against a read only replica.", True),
    ("ERR -READONLY no writes here", True),
    ("EXECABORT Transaction discarded because of: READONLY You can't write against a read only "
     "replica.", True),
    ("LOADING Redis is loading the dataset in memory", True),
    ("MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to 'no'.", True),
    ("REDIRECT 127.0.0.1:6380", True),
    ("ERR unknown command 'READONLY'", False),
    ("ERR the READONLY flag is not set", False),
    ("MYERR READONLY You can't write against a read only replica.", False),
    ("READONLYISH no", False),
    ("EXECABORT Transaction discarded because of previous errors.", False),
    ("OOM command not allowed when used memory > 'maxmemory'.", False),
    ("NOREPLICAS Not enough good replicas to write.", False),
    ("MISCONF Redis is configured to save RDB snapshots", False),
    ("WRONGTYPE Operation against a key holding the wrong kind of value", False),
    ("", False),
]  # fmt: skip


@pytest.mark.parametrize(("text", "expected"), FORMS)
def test_refusal_by_a_node_that_is_no_master(text: str, expected: bool) -> None:
    """A form that is missed shows users an error; one too many repeats what was executed."""
    assert tells_of_no_master(ReplyError(text)) is expected


READONLY = ReplyError("READONLY You can't write against a read only replica.")


@pytest.mark.parametrize(
    ("reply", "may_hold_errors", "refusal"),
    [
        (b"OK", True, None),
        (None, True, None),
        (READONLY, False, READONLY),
        ([b"v", READONLY], True, READONLY),
        ([b"v", READONLY], False, None),
        ([b"v", ReplyError("WRONGTYPE no")], True, None),
        ([b"READONLY You can't write against a read only replica."], True, None),
    ],
)
def test_refusal_is_found(reply: Any, may_hold_errors: bool, refusal: ReplyError | None) -> None:
    """EXEC on old servers answers READONLY inside its list."""
    assert find_refusal(reply, may_hold_errors=may_hold_errors) == refusal


@pytest.mark.parametrize(
    ("was_sent", "may_repeat", "verdict"),
    [
        (False, False, Verdict.AGAIN),
        (False, True, Verdict.AGAIN),
        (True, True, Verdict.AGAIN),
        (True, False, Verdict.UNCERTAIN),
    ],
)
def test_loss_is_judged(was_sent: bool, may_repeat: bool, verdict: Verdict) -> None:
    """Only what may have been executed and must not be twice is uncertain."""
    assert judge_loss(was_sent=was_sent, may_repeat=may_repeat) is verdict
