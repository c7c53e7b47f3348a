"""The truth table of PSYNC, row by row and at each edge."""

from __future__ import annotations

import pytest

from server.replication.backlog import Backlog
from server.replication.identity import NO_REPLID, Identity
from server.replication.psync import Continue, FullSync, FullSyncReason, PsyncRequest, decide
from vedette.errors import CommandError

MINE, OLD, OTHER = b"a" * 40, b"b" * 40, b"f" * 40
#: Promoted after 120 bytes of the history OLD.
IDENTITY = Identity(MINE, OLD, 121)


def backlog_100_to_150() -> Backlog:
    backlog = Backlog(50, start_offset=90)
    backlog.append(b"x" * 60)
    return backlog


@pytest.mark.parametrize(
    ("replid", "wanted_byte", "expected"),
    [
        (b"?", -1, FullSyncReason.REQUESTED),
        (b"?anything", 120, FullSyncReason.REQUESTED),
        (OTHER, 120, FullSyncReason.UNKNOWN_HISTORY),
        (NO_REPLID, 120, FullSyncReason.UNKNOWN_HISTORY),
        (MINE, 100, FullSyncReason.TOO_OLD),
        (MINE, 101, 100),
        (MINE, 130, 129),
        (MINE, 150, 149),
        (MINE, 151, 150),
        (MINE, 152, FullSyncReason.AHEAD),
        (MINE, -1, FullSyncReason.TOO_OLD),
        (OLD, 100, FullSyncReason.TOO_OLD),
        (OLD, 101, 100),
        (OLD, 121, 120),
        (OLD, 122, FullSyncReason.BEYOND_SECOND_OFFSET),
        (MINE.upper(), 130, 129),
        (OLD.upper(), 110, 109),
    ],
)
def test_psync_is_decided_as_its_truth_table_says(
    replid: bytes, wanted_byte: int, expected: int | FullSyncReason
) -> None:
    """A wrong Continue corrupts a replica, a wrong FullSync costs a snapshot."""
    outcome = decide(
        PsyncRequest(replid, wanted_byte), IDENTITY, backlog_100_to_150(), knows_psync2=True
    )

    if isinstance(expected, FullSyncReason):
        assert outcome == FullSync(expected)
    else:
        assert outcome == Continue(expected, b"+CONTINUE " + MINE + b"\r\n")


def test_without_a_backlog_nothing_can_be_continued() -> None:
    """A master that never had a replica keeps no history."""
    outcome = decide(PsyncRequest(MINE, 1), IDENTITY, None, knows_psync2=True)

    assert outcome == FullSync(FullSyncReason.NO_BACKLOG)


def test_the_end_of_an_empty_backlog_can_be_continued() -> None:
    """A restarted replica of a restarted master needs nothing: it is up to date."""
    outcome = decide(
        PsyncRequest(MINE, 501), Identity(MINE), Backlog(10, start_offset=500), knows_psync2=True
    )

    assert isinstance(outcome, Continue)
    assert outcome.offset == 500


def test_a_replica_without_psync2_is_not_told_an_id() -> None:
    """It would take the ID for garbage."""
    outcome = decide(PsyncRequest(MINE, 130), IDENTITY, backlog_100_to_150(), knows_psync2=False)

    assert outcome == Continue(129, b"+CONTINUE\r\n")


def test_parses_the_command() -> None:
    """The offset may be -1."""
    assert PsyncRequest.parse([b"PSYNC", b"?", b"-1"]) == PsyncRequest(b"?", -1)


@pytest.mark.parametrize("offset", [b"", b"1_0", b" 1", b"x", b"9" * 30, b"+1"])
def test_refuses_an_offset_that_is_no_integer(offset: bytes) -> None:
    """With Redis' words."""
    with pytest.raises(CommandError) as caught:
        PsyncRequest.parse([b"PSYNC", MINE, offset])

    assert caught.value.text == b"ERR value is not an integer or out of range"
