"""Entries of streams are encoded at once; it is what encoding them one by one would give."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from server.commands.streams.shared import entries_reply, entry_reply
from server.store.stream_node import Row
from server.store.streams import entry_of
from vedette.resp.encode import encode_reply

words = st.sampled_from([b"", b"a", b"100%d", b"%", b"%%b\r\n", b"x" * 2000]) | st.binary()
fields = st.lists(st.tuples(words, words), min_size=1, max_size=4)


@given(st.lists(st.tuples(fields, st.booleans()), max_size=5))
def test_entries_are_encoded_as_lists_of_them_would_be(drawn: list[tuple[object, bool]]) -> None:
    """Whether their fields are the very same list, as within a node, or others."""
    rows: list[Row] = []
    for number, (pairs, has_common_names) in enumerate(drawn):
        assert isinstance(pairs, list)
        names = [name for name, _ in pairs]
        values = [value for _, value in pairs]
        if has_common_names and rows and len(rows[-1][2]) == len(names):
            names = rows[-1][2]
        rows.append((1_700_000_000_000, number, names, values))

    reply = entries_reply(rows)

    assert encode_reply([entry_reply(*entry_of(row)) for row in rows]) == reply.data
