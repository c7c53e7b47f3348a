"""Commands out of an append-only file: exact offsets, damage told from an early end."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.persistence.aof.reading import AofReader, CorruptAofError, TruncatedAofError
from vedette.resp.encode import encode_command

SET = encode_command([b"SET", b"key", b"value"])


def read_all(data: bytes, window_bytes: int = 64) -> tuple[list[list[bytes]], list[int]]:
    reader = AofReader(data)
    commands: list[list[bytes]] = []
    ends: list[int] = []
    while True:
        more, more_ends = reader.read(window_bytes)
        if not more:
            return commands, ends
        commands += more
        ends += more_ends


values = st.one_of(
    st.binary(max_size=40), st.sampled_from([b"*123456\r\n", b"\r\n$3\r\n", b"#TS:1\r\n"])
)


@given(
    st.lists(st.lists(values, min_size=1, max_size=5), max_size=30),
    st.integers(1, 300),
    st.data(),
)
def test_commands_and_offsets_are_those_that_were_written(
    commands: list[list[bytes]], window_bytes: int, data: st.DataObject
) -> None:
    """Whatever is in them, wherever windows end, with annotations in between."""
    encoded: list[bytes] = []
    ends: list[int] = []
    for command in commands:
        if data.draw(st.booleans()):
            encoded.append(b"#TS:1700000000\r\n")
        encoded.append(encode_command(command))
        ends.append(sum(map(len, encoded)))

    assert read_all(b"".join(encoded), window_bytes) == (commands, ends)


@given(st.lists(st.lists(values, min_size=1, max_size=4), min_size=1, max_size=5), st.data())
def test_a_file_cut_anywhere_is_truncated_and_nothing_else(
    commands: list[list[bytes]], data: st.DataObject
) -> None:
    """A crash is to be told from damage at every byte."""
    encoded = [encode_command(command) for command in commands]
    last = len(encoded[-1])
    cut = data.draw(st.integers(1, last - 1))
    whole = sum(map(len, encoded[:-1]))

    with pytest.raises(TruncatedAofError) as caught:
        read_all(b"".join(encoded)[:-cut])
    assert caught.value.offset == whole


@pytest.mark.parametrize(
    ("damage", "offset"),
    [
        (b"!!!", 0),
        (b"!!!\r\n", 0),
        (b"\r\n", 0),
        (b"*0\r\n", 0),
        (b"*x\r\n", 0),
        (b"*1\r\n+OK\r\n", 4),
        (b"*1\r\n$-1\r\n", 4),
        (b"*1\r\n$2\r\nPINGxx", 10),
        (b"*99999999999\r\n", 0),
        (b"*1\r\n$9999999999999\r\n", 4),
        (b"\0" * 40, 0),
        (b"#" + b"x" * 2000, 0),
        (b"*1\r\n:1\r\n", 4),
        (b"*1\r\n*1\r\n$4\r\nPING\r\n", 4),
    ],
)
def test_damage_is_refused_with_its_offset(damage: bytes, offset: int) -> None:
    """What comes before it is given first."""
    reader = AofReader(SET + damage)

    assert reader.read() == ([[b"SET", b"key", b"value"]], [len(SET)])
    with pytest.raises(CorruptAofError) as caught:
        reader.read()
    assert caught.value.offset == len(SET) + offset


@pytest.mark.parametrize("value", [b"v", b"with\r\nline ends\r\n"])
def test_a_line_end_that_is_missing_anywhere_is_found(value: bytes) -> None:
    """hiredis passes over the two bytes behind an argument; they are all that shows the damage."""
    command = encode_command([b"SET", b"key", value])
    data = 20 * command
    for end in range(len(command) - 2, len(data), len(command)):
        with pytest.raises(CorruptAofError) as caught:
            read_all(data[:end] + b"\r\x0b" + data[end + 2 :], window_bytes=400)
        assert caught.value.offset == end


@given(st.binary(max_size=200))
def test_no_input_makes_it_fail_otherwise(data: bytes) -> None:
    """Neither a crash nor a command that is not there."""
    try:
        commands, ends = read_all(data)
    except (CorruptAofError, TruncatedAofError):
        return
    assert len(commands) == len(ends)


def test_a_claim_of_many_arguments_costs_nothing() -> None:
    """hiredis would allocate them before the first has come."""
    with pytest.raises(TruncatedAofError):
        read_all(b"*2000000000\r\n$1\r\na\r\n")


def test_annotated_times_are_given_with_their_offsets() -> None:
    """By them a file can be gone back in."""
    reader = AofReader(b"#TS:1700000001\r\n" + SET + b"#other\r\n#TS:1700000002\r\n" + SET)
    reader.read()
    assert reader.annotations == [(0, 1700000001)]
    reader.read()
    assert reader.annotations == [(16 + len(SET) + 8, 1700000002)]
