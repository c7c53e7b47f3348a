"""Streams against a plain list of entries, and their nodes' limits."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from server.store.encoding_limits import EncodingLimits
from server.store.stream_groups import UNKNOWN_COUNT, Consumer, Group, Pending, PendingEntries
from server.store.stream_ids import MAX_ID, UINT64_MAX, format_id, make_id
from server.store.stream_node import StreamNode
from server.store.streams import Entry, Stream, entry_of

LIMITS = EncodingLimits(stream_node_max_entries=4)

fields = st.sampled_from([b"f", b"f", b"f", b"field", b"7"])
values = st.sampled_from([b"", b"v", b"1", b"-4096", b"70000", b"-9223372036854775808", b"x" * 70])
entry_words = st.lists(st.tuples(fields, values), min_size=1, max_size=3).map(
    lambda pairs: [word for pair in pairs for word in pair]
)
#: How far a new ID is from the last one: mostly near, sometimes in another time.
steps = st.sampled_from([1, 1, 2, 300, 1 << 20, 1 << 64, (1 << 64) + 7, (5 << 64) - 3, 1 << 110])
small = st.integers(0, 20)
actions = st.one_of(
    st.tuples(st.just("add"), steps, entry_words),
    st.tuples(st.just("add"), steps, entry_words),
    st.tuples(st.just("delete"), small, small),
    st.tuples(st.just("trim"), small, st.booleans()),
    st.tuples(st.just("cut"), small, st.booleans()),
    st.tuples(st.just("reload"), small, small),
)


@dataclass(slots=True)
class Model:
    """What a stream is, without nodes; `all_ids` are all that ever were."""

    entries: list[Entry] = field(default_factory=list)
    all_ids: list[int] = field(default_factory=list)

    def id_near(self, place: int) -> int:
        """Return one of the IDs that there were, or one behind them."""
        return self.all_ids[place] if place < len(self.all_ids) else place << 64

    def without(self, ids: set[int]) -> None:
        self.entries = [entry for entry in self.entries if entry[0] not in ids]


def reloaded(stream: Stream) -> Stream:
    """Return a stream of nodes that went through their packed form."""
    nodes = [StreamNode.of_listpack(node.key, node.listpack(), None) for node in stream.nodes]
    copy = Stream(nodes)
    copy.last_id = stream.last_id
    copy.first_id = stream.first_id
    copy.max_deleted_id = stream.max_deleted_id
    copy.entries_added = stream.entries_added
    return copy


def apply(stream: Stream, model: Model, action: tuple[str, int, object]) -> Stream:
    """Do the same to both; an approximate trimming shows by how much it was."""
    kind, number, other = action
    match kind:
        case "add":
            stream_id = stream.last_id + number
            assert isinstance(other, list)
            if stream_id <= MAX_ID:
                stream.append(stream_id, other, LIMITS)
                model.entries.append((stream_id, other))
                model.all_ids.append(stream_id)
        case "delete":
            assert isinstance(other, int)
            ids = [model.id_near(number), model.id_near(other)]
            expected = len({each for each, _ in model.entries} & set(ids))
            assert stream.delete(ids) == expected
            model.without(set(ids))
        case "trim":
            removed = stream.trim(max_length=number, is_approximate=bool(other))
            excess = max(len(model.entries) - number, 0)
            assert removed <= excess if other else removed == excess
            model.entries = model.entries[removed:]
        case "cut":
            least = model.id_near(number)
            removed = stream.trim(min_id=least, is_approximate=bool(other))
            older = sum(stream_id < least for stream_id, _ in model.entries)
            assert removed <= older if other else removed == older
            model.entries = model.entries[removed:]
        case "reload":
            return reloaded(stream).copy()
    return stream


@settings(max_examples=150)
@given(st.lists(actions, max_size=60), small, small)
def test_streams_hold_what_a_list_would(
    taken: list[tuple[str, int, object]], first: int, second: int
) -> None:
    """Whatever was added, deleted, trimmed and packed, in whatever order."""
    stream, model = Stream(), Model()
    for action in taken:
        stream = apply(stream, model, action)
    ids = [stream_id for stream_id, _ in model.entries]
    start, end = sorted((model.id_near(first), model.id_near(second)))
    within = [entry for entry in model.entries if start <= entry[0] <= end]

    assert list(stream.entries()) == model.entries
    assert list(stream.entries(is_reversed=True)) == model.entries[::-1]
    assert list(stream.entries(start, end)) == within
    assert list(stream.entries(start, end, is_reversed=True)) == within[::-1]
    for most in (1, 2, 5):
        rows = stream.rows(start, end, most)
        assert list(map(entry_of, rows)) == within[:most]
        rows = stream.rows(start, end, most, is_reversed=True)
        assert list(map(entry_of, rows)) == within[::-1][:most]
    there = dict(model.entries)
    asked = sorted({*model.all_ids, *(each + 1 for each in model.all_ids), 0, MAX_ID})
    assert [row and entry_of(row) for row in stream.rows_at(asked)] == [
        (each, there[each]) if each in there else None for each in asked
    ]
    assert [stream.contains(each) for each in model.all_ids] == [
        each in set(ids) for each in model.all_ids
    ]
    assert len(stream) == len(ids)
    assert stream.first_id == (ids[0] if ids else 0)
    assert stream.newest_id() == (ids[-1] if ids else 0)
    assert stream.entries_added == len(model.all_ids)
    assert all(len(node) <= 4 for node in stream.nodes)
    for node in stream.nodes:
        assert node.listpack_bytes == len(node.listpack())


def test_nodes_are_full_by_size_or_by_count() -> None:
    """And a limit of 0 is none."""

    def nodes_of(limits: EncodingLimits) -> list[int]:
        stream = Stream()
        for number in range(1, 31):
            stream.append(number, [b"f", b"v" * 90], limits)
        return [len(node) for node in stream.nodes]

    by_size = EncodingLimits(stream_node_max_bytes=1000, stream_node_max_entries=0)
    by_count = EncodingLimits(stream_node_max_bytes=0, stream_node_max_entries=10)
    unlimited = EncodingLimits(stream_node_max_bytes=0, stream_node_max_entries=0)

    assert nodes_of(by_size) == [9, 9, 9, 3]
    assert nodes_of(by_count) == [10, 10, 10]
    assert nodes_of(unlimited) == [30]


def test_large_nodes_stay_in_pieces() -> None:
    """Sealing one of a megabyte would have every deletion copy it."""
    limits = EncodingLimits(stream_node_max_bytes=1 << 20, stream_node_max_entries=0)
    stream = Stream()
    for number in range(1, 101):
        stream.append(number, [b"f", b"v" * 20_000], limits)
    assert len(stream.nodes) == 2
    again = reloaded(stream)
    assert stream.delete([3, 99]) == again.delete([3, 99]) == 2

    assert [each for each, _ in stream.entries()] == [n for n in range(1, 101) if n not in (3, 99)]
    assert list(again.entries()) == list(stream.entries())


def test_approximate_trimming_stops_at_its_limit() -> None:
    """Whole nodes, together no more than that."""
    stream = Stream()
    for number in range(1, 21):
        stream.append(number, [b"f", b"v"], LIMITS)

    assert stream.trim(max_length=3, is_approximate=True, limit=9) == 8
    assert stream.trim(max_length=3, is_approximate=True, limit=3) == 0
    assert stream.trim(max_length=3, is_approximate=True) == 8
    assert stream.trim(min_id=18, is_approximate=True) == 0
    assert stream.trim(min_id=18) == 1
    assert stream.trim(max_length=0, is_approximate=True) == 3
    assert stream.nodes == []


def test_a_copy_shares_nothing_that_changes() -> None:
    """COPY, and then both are written to."""
    stream = Stream()
    stream.append(1, [b"f", b"v"], LIMITS)
    group = stream.groups[b"g"] = Group(0)
    group.assign(1, group.add_consumer(b"c", 5), 5, 1)
    copy = stream.copy()
    copy.append(2, [b"f", b"w"], LIMITS)
    copy.delete([1])
    copy.groups[b"g"].release(1)

    assert list(stream.entries()) == [(1, [b"f", b"v"])]
    assert len(group.pending) == len(group.consumers[b"c"].pending) == 1
    assert len(copy.groups[b"g"].pending) == 0


def test_all_that_takes_memory_can_be_let_go_of_bit_by_bit() -> None:
    """UNLINK of a large stream empties its containers between batches; MEMORY USAGE knows both."""
    stream = Stream()
    group = stream.groups[b"g"] = Group(0)
    consumer = group.add_consumer(b"c", 0)
    for number in range(1, 1001):
        stream.append(number, [b"f", b"v" * 50], LIMITS)
        group.assign(number, consumer, 0, 1)
    assert stream.size_bytes(5) > 1000 * 200
    assert abs(stream.size_bytes(5) - stream.size_bytes(0)) < 1000 * 20
    for container in stream.containers():
        container.clear()

    assert stream.size_bytes(0) < 1500


def test_what_a_group_has_read_is_lost_and_found() -> None:
    """With gaps ahead nobody can tell, until it has come past them."""
    stream = Stream()
    for number in range(1, 11):
        stream.append(number, [b"f", b"v"], LIMITS)
    group = Group(0, 0)
    assert stream.lag_of(group) == 10
    stream.advance(group, 1)
    assert (group.entries_read, stream.lag_of(group)) == (1, 9)
    stream.delete([5])
    assert stream.lag_of(group) is None
    assert [stream.has_gaps_from(each) for each in (4, 5, 6)] == [True, True, False]
    for number in (2, 3, 4, 6, 7):
        stream.advance(group, number)
    assert group.entries_read == UNKNOWN_COUNT
    stream.advance(group, 10)
    assert (group.entries_read, stream.lag_of(group)) == (10, 0)
    stream.trim(max_length=2)
    assert stream.count_up_to(8) == 8
    assert stream.count_up_to(9) == 9
    assert Stream().lag_of(Group(7)) == 0


@pytest.mark.parametrize(
    ("keys", "count"),
    [
        ([], 1),
        ([5 << 64], 2),
        # One byte differs, the last: a run of 15, where they part, and two leaves.
        ([1, 2], 4),
        # The first byte differs: where they part, two runs of 15, two leaves.
        ([1 << 120, 2 << 120], 5),
        # Parting in the 8th byte, and one of them again in the last.
        ([1 << 64, 2 << 64, (2 << 64) + 1], 8),
    ],
)
def test_the_radix_tree_is_counted_without_there_being_one(keys: list[int], count: int) -> None:
    """XINFO STREAM tells of it; the other tests compare it with the real one."""
    stream = Stream()
    limits = EncodingLimits(stream_node_max_entries=1)
    for key in keys:
        stream.append(key, [b"f", b"v"], limits)

    assert stream.tree_node_count() == count


@given(st.lists(st.tuples(st.booleans(), st.integers(1, 60)), max_size=150), st.integers(0, 61))
def test_pending_entries_are_in_order_however_they_come(
    taken: list[tuple[bool, int]], start: int
) -> None:
    """Claims and reset groups add them out of order, and again after they went."""
    entries = PendingEntries()
    pending = Pending(Consumer(b"c", 0), 0, 1)
    expected: set[int] = set()
    for is_put, stream_id in taken:
        if is_put:
            entries.put(stream_id, pending)
            expected.add(stream_id)
        elif stream_id in expected:
            entries.remove(stream_id)
            expected.discard(stream_id)
    if expected:
        assert (entries.first(), entries.last()) == (min(expected), max(expected))

    assert [each for each, _ in entries.items_from(start)] == sorted(
        each for each in expected if each >= start
    )
    assert len(entries) == len(expected)


def test_pending_entries_may_go_while_they_are_listed() -> None:
    """XAUTOCLAIM takes out what was deleted as it comes upon it."""
    entries = PendingEntries()
    for stream_id in range(1000):
        entries.put(stream_id, Pending(Consumer(b"c", 0), 0, 1))
    seen = []
    for stream_id, _ in entries.items_from():
        seen.append(stream_id)
        entries.remove(stream_id)

    assert seen == list(range(1000))
    assert len(entries) == 0


def test_parts_of_ids_wrap_around_within_a_node() -> None:
    """A node keeps distances of 64 bits, and the sequence begins anew with each millisecond."""
    ids = [make_id(5, UINT64_MAX - 1), make_id(6, 3), make_id(7, 0), make_id(UINT64_MAX, 1)]
    stream = Stream()
    for stream_id in ids:
        stream.append(stream_id, [b"f", b"v"], LIMITS)

    for each in (stream, reloaded(stream)):
        assert [stream_id for stream_id, _ in each.entries()] == ids
        assert all(map(each.contains, ids))
        assert not each.contains(make_id(7, 3))


def test_ids_are_two_numbers() -> None:
    """Of 64 bits each."""
    assert format_id(make_id(5, 3)) == b"5-3"
    assert format_id(MAX_ID) == b"%d-%d" % (UINT64_MAX, UINT64_MAX)
    stream = Stream()
    stream.last_id = make_id(7, UINT64_MAX)
    assert stream.next_id(7) == make_id(8, 0)
    assert stream.next_id(9) == make_id(9, 0)
