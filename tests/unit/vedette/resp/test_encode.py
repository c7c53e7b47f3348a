"""Replies and commands as bytes, in both protocols."""

from __future__ import annotations

import hiredis
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vedette.resp.encode import encode_bulk, encode_command, encode_reply
from vedette.resp.replies import (
    NO_REPLY,
    NULL_ARRAY,
    OK,
    BoolReply,
    DoubleReply,
    ErrorReply,
    MapReply,
    PushReply,
    Reply,
    ReplySequence,
    SetReply,
    SimpleString,
    VerbatimReply,
)


@pytest.mark.parametrize(
    ("reply", "resp2", "resp3"),
    [
        (b"", b"$0\r\n\r\n", None),
        (b"ab\r\n", b"$4\r\nab\r\n\r\n", None),
        (b"x" * 1023, b"$1023\r\n" + b"x" * 1023 + b"\r\n", None),
        (b"x" * 1024, b"$1024\r\n" + b"x" * 1024 + b"\r\n", None),
        (0, b":0\r\n", None),
        (-1, b":-1\r\n", None),
        (1023, b":1023\r\n", None),
        (1024, b":1024\r\n", None),
        (2**63 - 1, b":9223372036854775807\r\n", None),
        (None, b"$-1\r\n", b"_\r\n"),
        (NULL_ARRAY, b"*-1\r\n", b"_\r\n"),
        ([], b"*0\r\n", None),
        ([b"a", [1, None]], b"*2\r\n$1\r\na\r\n*2\r\n:1\r\n$-1\r\n", None),
        ((b"a",), b"*1\r\n$1\r\na\r\n", None),
        (SimpleString(b"hi"), b"+hi\r\n", None),
        (ErrorReply(b"ERR no"), b"-ERR no\r\n", None),
        (ErrorReply(b"ERR \r\n+OK"), b"-ERR   +OK\r\n", None),
        (ErrorReply(b"ERR option a\r\nb\r\n"), b"-ERR option a  b\r\n", None),
        (OK, b"+OK\r\n", None),
        (NO_REPLY, b"", None),
        (MapReply([(b"a", 1)]), b"*2\r\n$1\r\na\r\n:1\r\n", b"%1\r\n$1\r\na\r\n:1\r\n"),
        (SetReply([1]), b"*1\r\n:1\r\n", b"~1\r\n:1\r\n"),
        (PushReply([b"x"]), b"*1\r\n$1\r\nx\r\n", b">1\r\n$1\r\nx\r\n"),
        (DoubleReply(1.5), b"$3\r\n1.5\r\n", b",1.5\r\n"),
        (DoubleReply(3.0), b"$1\r\n3\r\n", b",3\r\n"),
        (DoubleReply(0.1), b"$19\r\n0.10000000000000001\r\n", b",0.10000000000000001\r\n"),
        (DoubleReply(float("inf")), b"$3\r\ninf\r\n", b",inf\r\n"),
        (DoubleReply(float("-inf")), b"$4\r\n-inf\r\n", b",-inf\r\n"),
        (BoolReply(True), b":1\r\n", b"#t\r\n"),
        (BoolReply(False), b":0\r\n", b"#f\r\n"),
        (VerbatimReply(b"ab"), b"$2\r\nab\r\n", b"=6\r\ntxt:ab\r\n"),
        (ReplySequence([1, b"a"]), b":1\r\n$1\r\na\r\n", None),
    ],
)
def test_each_kind_of_reply_has_its_spelling(
    reply: Reply, resp2: bytes, resp3: bytes | None
) -> None:
    """A client that said HELLO 3 gets types RESP2 has no sign for; None: no difference."""
    if resp3 is None and isinstance(reply, list) and reply:
        resp3 = resp2.replace(b"$-1\r\n", b"_\r\n")

    assert encode_reply(reply, 2) == resp2
    assert encode_reply(reply, 3) == (resp2 if resp3 is None else resp3)


def test_a_python_bool_is_refused() -> None:
    """Whoever returns one forgot to say whether it is an integer or a RESP3 boolean."""
    with pytest.raises(TypeError, match="bool is no reply"):
        encode_reply(True)


def test_what_is_no_reply_is_refused() -> None:
    """Text has to be encoded by whoever knows how."""
    with pytest.raises(TypeError, match="str is no reply"):
        encode_reply("text")  # type: ignore[arg-type]  # the very mistake


@given(st.recursive(st.binary() | st.integers(-(2**63), 2**63 - 1) | st.none(), st.lists))
def test_a_foreign_parser_reads_what_is_encoded(reply: Reply) -> None:
    """hiredis, which shares no code with the encoder, gives back what went in."""
    for protocol in (2, 3):
        reader = hiredis.Reader()
        reader.feed(encode_reply(reply, protocol))
        assert reader.gets() == reply


@pytest.mark.parametrize("sizes", [[3] * 9, [3, 3, 4] * 4, [0] * 8, [1023] * 8, [1024] * 8, [4, 5]])
def test_arrays_of_any_sizes_are_written_item_by_item(sizes: list[int]) -> None:
    """Those of one size take a short cut, and those with a large item must not."""
    items = [b"x" * size for size in sizes]

    expected = b"*%d\r\n" % len(items) + b"".join(map(encode_bulk, items))
    assert expected == encode_reply(list(items))


def test_an_array_that_only_begins_and_ends_with_bytes_is_written_item_by_item() -> None:
    """Its first items have one size, as those of the short cut do."""
    items: list[Reply] = [b"a", b"b", *[b"c"] * 6, 7, None, b"d"]

    bulks = b"".join(map(encode_bulk, [b"a", b"b", *[b"c"] * 6]))
    assert b"*11\r\n" + bulks + b":7\r\n$-1\r\n$1\r\nd\r\n" == encode_reply(items)


def test_a_command_is_an_array_of_bulk_strings() -> None:
    """Replication offsets count these bytes: they must be just those that Redis writes."""
    assert encode_command([b"SET", b"k", b""]) == b"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$0\r\n\r\n"
