"""The ledger: what elections change is found again, and nothing that does not belong there."""

from __future__ import annotations

import zlib
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sentinel.core.durable import DurableMaster, DurableState
from sentinel.core.options import GlobalOptions, MasterOptions
from sentinel.ledger import (
    Entry,
    LedgerRecord,
    base_of,
    decode_records,
    encode_record,
    record_of,
    restored,
)
from vedette.types import Address, RunId

MY_ID = RunId("a" * 40)
BASE = base_of(b"the file")
NODES = [Address("10.0.0.1", port) for port in range(1, 5)]


def master(name: str, **changes: object) -> DurableMaster:
    return replace(
        DurableMaster(
            name=name,
            address=NODES[0],
            options=MasterOptions(quorum=2),
            replicas=tuple(NODES[1:]),
        ),
        **changes,  # type: ignore[arg-type]  # a test's keywords
    )


STATE = DurableState(
    my_id=MY_ID, current_epoch=3, options=GlobalOptions(), masters=(master("m"), master("n"))
)


def changed(state: DurableState, name: str, **changes: object) -> DurableState:
    """Return `state` with one master, or the epoch, changed."""
    masters = tuple(
        replace(each, **changes) if each.name == name else each  # type: ignore[arg-type]
        for each in state.masters
    )
    return replace(state, masters=masters)


def switched(state: DurableState, name: str, address: Address, epoch: int) -> DurableState:
    """Return `state` after a switch as `core/switch.py` makes it."""
    (old,) = (each for each in state.masters if each.name == name)
    replicas = [each for each in old.replicas if each != address]
    return changed(
        state, name, address=address, config_epoch=epoch, replicas=(*replicas, old.address)
    )


def read_back(records: list[LedgerRecord], base: str = BASE) -> DurableState:
    """Return what a start finds beside a file that holds `STATE`."""
    content = b"".join(encode_record(record).ljust(512) for record in records)
    return restored(STATE, decode_records(content), base)


@given(
    st.lists(
        st.lists(
            st.tuples(
                st.sampled_from(["vote", "switch", "epoch"]),
                st.sampled_from(["m", "n"]),
                st.sampled_from(NODES),
            ),
            min_size=1,
            max_size=2,
        ),
        max_size=8,
    )
)
def test_what_was_noted_is_what_a_start_finds(
    saves: list[list[tuple[str, str, Address]]],
) -> None:
    """Whatever was saved together: all of it is on disk, or the ledger says that it cannot."""
    before, records = STATE, []
    for changes in saves:
        after = before
        for kind, name, address in changes:
            epoch = after.current_epoch + 1
            after = replace(after, current_epoch=epoch)
            (old,) = (each for each in after.masters if each.name == name)
            if kind == "vote":
                after = changed(after, name, leader_epoch=epoch)
            elif kind == "switch" and address != old.address:
                after = switched(after, name, address, epoch)
        record = record_of(before, after, BASE)
        if record is None:
            return  # two switches of one master in one save: for the file
        records.append(record)
        before = after

    assert read_back(records) == before


@pytest.mark.parametrize(
    "after",
    [
        STATE,
        replace(STATE, options=GlobalOptions(announce_ip="10.0.0.9")),
        replace(STATE, masters=STATE.masters[:1]),
        replace(STATE, masters=(*STATE.masters, master("o"))),
        replace(STATE, masters=STATE.masters[::-1]),
        replace(STATE, current_epoch=2),
        changed(STATE, "m", replicas=()),
        changed(STATE, "m", options=MasterOptions(quorum=1)),
        changed(STATE, "m", sentinels=((RunId("b" * 40), NODES[3]),)),
        changed(STATE, "m", address=NODES[1], replicas=(NODES[0], NODES[2], NODES[3])),
    ],
)
def test_all_else_is_for_the_file(after: DurableState) -> None:
    """Also what is saved without any change: whoever asks for that wants the file written."""
    assert record_of(STATE, after, BASE) is None


def test_beside_another_file_votes_count_and_addresses_do_not() -> None:
    """A file that somebody changed is no worse a witness of addresses; a vote stays given."""
    after = changed(switched(STATE, "m", NODES[2], 5), "n", leader_epoch=6)
    record = record_of(STATE, replace(after, current_epoch=6), BASE)
    assert record is not None

    found = read_back([record], base_of(b"another file"))

    assert found == changed(replace(STATE, current_epoch=6), "n", leader_epoch=6)


def test_ledger_of_another_sentinel_is_passed_over() -> None:
    """Files get copied; a vote of somebody else's is none of ours."""
    entry = Entry("m", 9, 9, NODES[1])
    record = LedgerRecord(my_id=RunId("b" * 40), base=BASE, current_epoch=9, entries=(entry,))

    assert read_back([record]) == STATE


def test_epochs_never_fall() -> None:
    """Lines of an earlier time stay behind those that count."""
    old = LedgerRecord(
        my_id=MY_ID, base=BASE, current_epoch=1, entries=(Entry("m", 1, 0, NODES[0]),)
    )
    new = LedgerRecord(
        my_id=MY_ID, base=BASE, current_epoch=7, entries=(Entry("m", 7, 0, NODES[0]),)
    )

    found = read_back([new, old])

    assert found == changed(replace(STATE, current_epoch=7), "m", leader_epoch=7)


@given(st.binary(max_size=600))
def test_damage_is_passed_over(garbage: bytes) -> None:
    """A line that is torn, or none, harms none behind it."""
    record = LedgerRecord(my_id=MY_ID, base=BASE, current_epoch=8)
    line = encode_record(record)

    assert decode_records(garbage + b"\n" + line)[-1] == record
    assert decode_records(line[:-2].ljust(512, b"\0") + line) == [record]
    assert decode_records(b"%b00000000 \n%b" % (line, line)) == [record, record]


def test_whole_line_of_another_version_is_passed_over() -> None:
    """The checksum is right, the content is none of ours."""
    for body in (b"{}", b"[1]", b"x", b'["a","b",1,[["m"]]]'):
        line = b"%08x %b\n" % (zlib.crc32(body), body)

        assert decode_records(line) == []
