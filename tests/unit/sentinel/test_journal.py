"""The journal's lines: every record survives the way to JSON and back, secrets do not."""

from __future__ import annotations

import pytest

from sentinel.core.durable import DurableMaster, DurableState
from sentinel.core.events import (
    Event,
    ForgetRequested,
    ForgetStep,
    ForgetStepRequested,
    GlobalOptionsRequested,
    LinkDown,
    LinkLoss,
    LinkUp,
    MessageReceived,
    MonitorRequested,
    OptionsRequested,
    Persisted,
    RepliesReceived,
    RequestId,
    ResetRequested,
    Started,
    VoteRequested,
)
from sentinel.core.link_state import LinkId
from sentinel.core.options import GlobalOptions, MasterOptions
from sentinel.journal import JournalError, StartRecord, decode_line, encode_line
from vedette.resp.exchange import ReplyError
from vedette.types import Address, RunId

ADDRESS = Address("::1", 6379)
RUN_ID = RunId("a" * 40)
OPTIONS = MasterOptions(quorum=2, renamed_commands={b"CONFIG": b"x\xff"})
STATE = DurableState(
    my_id=RUN_ID,
    current_epoch=3,
    options=GlobalOptions(announce_port=1),
    masters=(
        DurableMaster(
            name="m",
            address=ADDRESS,
            options=OPTIONS,
            replicas=(ADDRESS,),
            sentinels=((RUN_ID, ADDRESS),),
        ),
    ),
)


@pytest.mark.parametrize(
    "record",
    [
        StartRecord(1, 2**63, STATE),
        Started(1),
        LinkUp(2, LinkId(3), "127.0.0.1"),
        LinkDown(2, LinkId(3), LinkLoss.REFUSED),
        RepliesReceived(
            4, LinkId(3), 5, (b"a\xff\r\n", 1, None, [b"x", [1, ReplyError("ERR y")]], True)
        ),
        MessageReceived(4, LinkId(3), b"\x00\x80"),
        Persisted(5, 6, False, "No space left on device"),
        VoteRequested(7, RequestId(8), ADDRESS, 9, None, b"sentinel-aaaaaaaa-cmd"),
        MonitorRequested(7, RequestId(8), "m", ADDRESS, 2),
        OptionsRequested(7, RequestId(8), "m", OPTIONS, ((b"quorum", b"2"),), b"ERR z"),
        ResetRequested(7, RequestId(8), ("a", "b")),
        ForgetRequested(7, RequestId(8), "m", (RUN_ID,), (ADDRESS,)),
        ForgetStepRequested(
            7, RequestId(8), "m", ForgetStep.DONE, RUN_ID, 9, (RUN_ID,), (RUN_ID,), ()
        ),
    ],
)
def test_record_survives_the_journal(record: StartRecord | Event) -> None:
    """A replay must see what the machine saw."""
    line = encode_line(record)

    assert "\n" not in line
    assert line.isascii()
    assert decode_line(line) == record


def test_passwords_are_not_written() -> None:
    """A journal is handed around to be looked at."""
    options = MasterOptions(quorum=1, auth_user=b"user", auth_pass=b"secret1")
    events: list[Event] = [
        OptionsRequested(1, RequestId(1), "m", options, ()),
        GlobalOptionsRequested(
            1, RequestId(1), GlobalOptions(announce_port=1, sentinel_pass=b"secret2")
        ),
    ]

    text = "".join(encode_line(event) for event in events)

    assert "secret" not in text
    assert text.count("******") == 2


@pytest.mark.parametrize("line", ["", "{}", "[]", "1", '{"is":"Nothing"}', '{"is":"Started"}'])
def test_other_lines_are_refused(line: str) -> None:
    """A file that is no journal must say so, not replay as nothing."""
    with pytest.raises(JournalError):
        decode_line(line)
