"""The parser of requests: what it takes, what it refuses, in which words, in whatever pieces."""

from __future__ import annotations

import sys
import time
import timeit
from collections import Counter
from collections.abc import Callable, Iterable
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vedette.resp.encode import encode_command
from vedette.resp.requests import INLINE_MAX_SIZE_BYTES, RequestParser

PING = b"*1\r\n$4\r\nPING\r\n"

arguments = st.binary(max_size=40) | st.sampled_from(
    [b"", b"\r\n", b"*1\r\n", b"*12345\r\n", b"$3", b"+", b">", b"~", b"(1", b"+a\r\n+", b"%9"]
)
requests = st.lists(arguments, min_size=1, max_size=5)


def check_parses(pieces: Iterable[bytes], expected: list[list[bytes]], error: str = "") -> None:
    """Assert what a fresh parser makes of a stream that arrives in `pieces`."""
    parser = RequestParser()
    found: list[list[bytes]] = []
    said = ""
    for piece in pieces:
        more, failure = parser.parse(piece)
        found += more
        if failure is not None:
            said = str(failure)
            break

    assert found == expected
    assert said == error


def cut(data: bytes, places: Iterable[int]) -> list[bytes]:
    """Cut `data` at `places`, which are taken modulo its size."""
    at = sorted({place % (len(data) + 1) for place in places} | {0, len(data)})
    return [data[start:end] for start, end in pairwise(at)]


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (PING, [[b"PING"]]),
        (PING * 3, [[b"PING"]] * 3),
        (b"PING\r\n", [[b"PING"]]),
        (b"PING\n", [[b"PING"]]),
        (b"ECHO a\x0bb\x0c \x0b\r\n", [[b"ECHO", b"a\x0bb\x0c"]]),
        (b'SET key "a\\x41 b"\r\n', [[b"SET", b"key", b"aA b"]]),
        (b"\r\n" + PING, [[b"PING"]]),
        (b"*0\r\n*-1\r\n" + PING, [[b"PING"]]),
        (b"PING\r\n" + PING + b"ECHO x\r\n", [[b"PING"], [b"PING"], [b"ECHO", b"x"]]),
        (PING + b":0\r\n" + PING, [[b"PING"], [b":0"], [b"PING"]]),
        (b"*2\r\n$3\r\nGET\r\n$0\r\n\r\n", [[b"GET", b""]]),
        (b"*1\r\n$2\r\n\r\n\r\n", [[b"\r\n"]]),
        # What RESP3 has besides arrays is no request: these are inline commands.
        (PING + b"%1\r\n", [[b"PING"], [b"%1"]]),
        (PING + b"~1\r\n", [[b"PING"], [b"~1"]]),
        (PING + b">1\r\n", [[b"PING"], [b">1"]]),
        (PING + b"|1\r\n", [[b"PING"], [b"|1"]]),
        # Redis looks at the size of a value, not at what follows it.
        (b"*1\r\n$4\r\nPINGxx" + PING, [[b"PING"], [b"PING"]]),
        (b"*1\r\n$4\r\nPINGxx~1\r\n", [[b"PING"], [b"~1"]]),
        (b"*2\r\n$4\r\nECHO\r\n$3\r\n+x>xx" + PING, [[b"ECHO", b"+x>"], [b"PING"]]),
        # As many headers, and as many lines, as two requests have.
        (
            b"*2\r\n$4\r\nECHOxx$5\r\na\r\n*b\r\n>1\r\n$4\r\nPING\r\n",
            [[b"ECHO", b"a\r\n*b"], [b">1"], [b"$4"], [b"PING"]],
        ),
    ],
)
def test_requests_are_split_into_arguments(data: bytes, expected: list[list[bytes]]) -> None:
    """Pipelines of all kinds of requests come out whole, whether at once or byte by byte."""
    check_parses([data], expected)
    check_parses([bytes([byte]) for byte in data], expected)


@pytest.mark.parametrize(
    ("data", "error"),
    [
        (b"*x\r\n", "invalid multibulk length"),
        (b"*01\r\n", "invalid multibulk length"),
        (b"*2\r\n$3\r\nGET\r\r+1\r\nk\r\n", "expected '$', got '+'"),
        (b"*2\r\n$3\r\nGETxx+1\r\n", "expected '$', got '+'"),
        (b"*2\r\n$3\r\nGETxx(1\r\n" + PING, "expected '$', got '('"),
        (b"*+1\r\n", "invalid multibulk length"),
        (b"* 1\r\n", "invalid multibulk length"),
        (b"*2147483648\r\n", "invalid multibulk length"),
        (b"*99999999999999999999\r\n", "invalid multibulk length"),
        (b"*1\r\n+PING\r\n", "expected '$', got '+'"),
        (b"*1\r\n*1\r\n$4\r\nPING\r\n", "expected '$', got '*'"),
        (b"*1\r\n:1\r\n", "expected '$', got ':'"),
        (b"*2\r\n$4\r\nECHO\r\n=5\r\ntxt:x\r\n", "expected '$', got '='"),
        (b"*2\r\n$4\r\nECHO\r\n(1\r\n", "expected '$', got '('"),
        (b"*2\r\n$4\r\nECHO\r\n#t\r\n", "expected '$', got '#'"),
        (b"*2\r\n$4\r\nECHO\r\n_\r\n", "expected '$', got '_'"),
        (b"*1\r\n$-1\r\n", "invalid bulk length"),
        (b"*1\r\n$x\r\n", "invalid bulk length"),
        (b"*1\r\n$04\r\nPING\r\n", "invalid bulk length"),
        (b"*1\r\n$536870913\r\n", "invalid bulk length"),
        (b'ECHO "a\r\n', "unbalanced quotes in request"),
        (b"ECHO 'a'b\r\n", "unbalanced quotes in request"),
        (b"*" + b"1" * 70_000, "too big mbulk count string"),
        (b"*1\r\n$" + b"1" * 70_000, "too big bulk count string"),
        (b"x" * 70_000, "too big inline request"),
    ],
)
def test_what_is_no_request_is_refused_in_redis_words(data: bytes, error: str) -> None:
    """Operators and clients know these texts; each was compared with redis-server 7.0.15."""
    check_parses([PING + data], [[b"PING"]], f"Protocol error: {error}")
    check_parses(cut(data, range(0, len(data), 1000)), [], f"Protocol error: {error}")


def test_a_huge_count_allocates_nothing() -> None:
    """Two billion announced arguments must cost no more memory than the header itself."""
    parser = RequestParser()

    assert parser.parse(b"*2147483647\r\n$4\r\nPING\r\n") == ([], None)
    assert parser.buffered_bytes == 4
    for header in (b"%999999999", b"~999999999", b">999999999"):
        found, _ = RequestParser().parse(b"*1\r\n$1\r\n+\r\n" + header + b"\r\n")
        assert found == [[b"+"], [header]]  # an inline command


def test_headers_inside_headers_cost_no_time() -> None:
    """hiredis would build each announced array; sixteen kilobytes took it a third of a second."""
    data = b"*99999\r\n$1\r\na\r\n" * 1000

    assert RequestParser().parse(data)[1] is not None
    assert least_cpu_s(lambda: RequestParser().parse(data)) < 0.1


def test_before_authentication_requests_must_be_small() -> None:
    """Whoever has no password may not make the server hold large requests."""
    parser = RequestParser()
    parser.is_authenticated = False

    _, error = parser.parse(b"*11\r\n")
    assert str(error) == "Protocol error: unauthenticated multibulk length"

    parser = RequestParser()
    parser.is_authenticated = False
    _, error = parser.parse(b"*1\r\n$16385\r\n")
    assert str(error) == "Protocol error: unauthenticated bulk length"


def test_the_limits_for_strangers_end_with_authentication() -> None:
    """What follows AUTH in the same connection may be as large as anybody's."""
    parser = RequestParser()
    parser.is_authenticated = False
    assert parser.parse(PING) == ([[b"PING"]], None)
    parser.is_authenticated = True
    words = [b"DEL", *[b"k"] * 20]

    assert parser.parse(encode_command(words)) == ([words], None)


def test_the_size_of_a_value_is_limited() -> None:
    """proto-max-bulk-len is checked on the announcement, before any of the value is held."""
    parser = RequestParser(max_bulk_bytes=10)

    assert parser.parse(b"*1\r\n$10\r\n0123456789\r\n") == ([[b"0123456789"]], None)
    assert str(parser.parse(b"*1\r\n$11\r\n")[1]) == "Protocol error: invalid bulk length"


def test_an_inline_request_may_be_just_as_long_as_the_limit() -> None:
    """The limit counts the line, not its end."""
    word = b"x" * INLINE_MAX_SIZE_BYTES
    check_parses([word + b"\n"], [[word]])


def test_what_is_held_is_counted() -> None:
    """The query buffer limit rests on this number: unfinished requests are all of it."""
    parser = RequestParser()
    parser.parse(PING + b"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$10\r\n12345")

    assert parser.buffered_bytes == len(b"SET" + b"k" + b"12345")

    parser.parse(b"67890\r\n")
    assert parser.buffered_bytes == 0


def test_many_small_arguments_take_time_in_proportion() -> None:
    """A request of many arguments that arrives in pieces must not be gone through at each piece."""
    count = 200_000
    data = b"*%d\r\n" % count + b"$1\r\nx\r\n" * count
    parser = RequestParser()
    started = time.process_time()
    found: list[list[bytes]] = []
    for start in range(0, len(data), 1024):
        more, error = parser.parse(data[start : start + 1024])
        assert error is None
        found += more

    assert [len(request) for request in found] == [count]
    assert time.process_time() - started < 5


#: A long pipeline of values small and large, some with what looks like headers in them.
PIPELINE = [
    [b"SET", b"key:%d" % number, value * (1 + number % 3)]
    for number in range(200)
    for value in (b"x", b"y" * 300, b"z" * 3000, b"*" * 40, b"a\r\n*1\r\n", b"*12345" + b"w" * 600)
]


@pytest.mark.parametrize("piece_bytes", [97, 1448, 4096, 16384, 100_000])
@pytest.mark.parametrize(
    "kinds", [slice(0, None, 6), slice(1, None, 6), slice(2, None, 6), slice(None)]
)
def test_a_long_pipeline_comes_out_whole(kinds: slice, piece_bytes: int) -> None:
    """As clients that load data send it; the kernel cuts it wherever a buffer ends."""
    expected = PIPELINE[kinds][:300]
    data = b"".join(map(encode_command, expected))

    check_parses([data[at : at + piece_bytes] for at in range(0, len(data), piece_bytes)], expected)


def test_a_header_too_long_behind_large_values_is_not_for_hiredis() -> None:
    """It would allocate for two billion arguments before one has come."""
    request = encode_command([b"SET", b"k", b"v" * 5000])
    parser = RequestParser()

    assert parser.parse(request + b"*2147483647\r\n") == ([[b"SET", b"k", b"v" * 5000]], None)
    assert parser.parse(b"$1\r\nx\r\n" * 2) == ([], None)
    assert parser.buffered_bytes == 2


def least_cpu_s(act: Callable[[], object]) -> float:
    """Return the least processor time that `act` took of several tries, without collections."""
    return min(timeit.repeat(act, timer=time.process_time, number=1, repeat=7))


def calls_to_parse(data: bytes, piece_bytes: int, *, first_bytes: int) -> int:
    """Return how many calls of functions it takes: the same on every machine."""
    pieces = cut(data, range(first_bytes, len(data), piece_bytes))

    parser = RequestParser()
    calls: Counter[str] = Counter()
    sys.setprofile(lambda frame, event, argument: calls.update((event,)))
    try:
        for piece in pieces:
            parser.parse(piece)
    finally:
        sys.setprofile(None)
    return calls["call"] + calls["c_call"]


@pytest.mark.parametrize("short_by", [len("x\r\n"), len("xxx\r\n")])
def test_a_pipeline_in_pieces_goes_the_slow_way_with_few_requests(short_by: int) -> None:
    """Only the request that was cut, even behind one of its lines, takes the slow way."""
    request = encode_command([b"SET", b"key:000000012", b"xxx"])
    data = request * 8000
    whole = len(request) * 400

    cut_calls = calls_to_parse(data, whole, first_bytes=whole - short_by)
    # Were all 400 requests of a piece to go the slow way, it would be some hundred times.
    assert cut_calls < 5 * calls_to_parse(data, whole, first_bytes=whole)


def test_how_much_of_a_value_is_missing_is_known() -> None:
    """So that it can be received at once."""
    parser = RequestParser()
    parser.parse(PING)
    assert parser.missing_bytes == 0

    parser.parse(PING + b"*2\r\n$4\r\nECHO\r\n$100000\r\n" + b"x" * 10)
    assert parser.missing_bytes == 100_000 + 2 - 10

    parser.parse(b"x" * 99_990)
    assert parser.missing_bytes == 2

    parser.parse(b"\r\n")
    assert parser.missing_bytes == 0


@given(st.lists(requests, max_size=6), st.lists(st.integers(min_value=0)))
def test_how_bytes_arrive_does_not_matter(sent: list[list[bytes]], places: list[int]) -> None:
    """TCP may cut anywhere: the same requests come out of any pieces."""
    data = b"".join(encode_command(words) for words in sent)

    check_parses(cut(data, places), sent)


#: Beginnings and pieces of requests, and of what RESP has besides.
fragments = st.sampled_from(
    b'*3 *-1 * $5 $-1 $1_a PING " :0 +a =5_txt:x ~1 %1 >1 |1 (12 #t *1 *1_*1 *12345 !1_a'.split()
).map(lambda text: text.replace(b"_", b"\r\n") + b"\r\n")


def with_a_line_unended(words: list[bytes], number: int) -> bytes:
    """Return the request of `words` in which a header or a value does not end as a line."""
    lines = encode_command(words).split(b"\r\n")
    place = 1 + number % (len(lines) - 1)
    return b"\r\n".join(lines[:place]) + b"xx" + b"\r\n".join(lines[place:])


damaged = st.builds(with_a_line_unended, requests, st.integers(0, 20))


@given(
    st.lists(
        requests.map(encode_command) | st.binary(max_size=60) | fragments | damaged, max_size=8
    ),
    st.lists(st.integers(min_value=0)),
)
def test_garbage_is_parsed_alike_in_any_pieces(parts: list[bytes], places: list[int]) -> None:
    """Whatever arrives gives requests and at most one ProtocolError, never another exception."""
    data = b"".join(parts)
    parser = RequestParser()
    expected, failure = parser.parse(data)

    check_parses(cut(data, places), expected, "" if failure is None else str(failure))
    check_parses(
        [bytes([byte]) for byte in data], expected, "" if failure is None else str(failure)
    )
    assert all(request and all(type(word) is bytes for word in request) for request in expected)


def parse_bytewise(data: bytes) -> tuple[list[list[bytes]], bool]:
    """Return what the strict parser makes of `data`, and whether that is all there is to it."""
    parser = RequestParser()
    found: list[list[bytes]] = []
    for index in range(len(data)):
        more, failure = parser.parse(data[index : index + 1])
        found += more
        if failure is not None:
            return found, False
    return found, not parser.buffered_bytes


@given(requests)
def test_a_single_request_is_what_the_strict_parser_makes_of_it(request: list[bytes]) -> None:
    """Whoever does not pipeline is served by it; line ends in values send it to `parse`."""
    data = encode_command(request)
    has_line_end = any(b"\r\n" in argument for argument in request)

    single = RequestParser().parse_single(data)

    assert single == (None if has_line_end else request)


@given(
    requests,
    st.integers(min_value=0),
    st.sampled_from([b"", b"0", b"1", b"9", b"-", b"\r", b"\n", b"\r\n", b"$", b"*", b"x"]),
    st.booleans(),
)
def test_a_damaged_single_request_is_never_taken_for_a_whole_one(
    request: list[bytes], place: int, damage: bytes, is_insertion: bool
) -> None:
    """It is either exactly what the strict parser finds, alone and complete, or left to that."""
    data = encode_command(request)
    at = place % len(data)
    damaged = data[:at] + damage + data[at if is_insertion else at + 1 :]

    single = RequestParser().parse_single(damaged)

    assert single is None or ([single], True) == parse_bytewise(damaged)


@pytest.mark.parametrize(
    "data",
    [
        b"*2\r\n$3\r\nGET\r\n$2\r\nk\r\n",
        b"*2\r\n$4\r\nGET\r\n$1\r\nk\r\n",
        b"*2\r\n$03\r\nGET\r\n$1\r\nk\r\n",
        b"*3\r\n$3\r\nGET\r\n$1\r\nk\r\n",
        b"*2\r\n:3\r\nGET\r\n$1\r\nk\r\n",
        b"*2\r\n$3\r\nGET\r\n$1\r\nk",
        b"*2\r\n$3\r\nGET\r\n$1\r\nk\r\nx",
        PING * 2,
        b"PING\r\n",
        b"*0\r\n",
        b"",
    ],
)
def test_what_is_not_one_whole_request_is_left_to_the_other_parsers(data: bytes) -> None:
    """They word the errors and keep what is unfinished."""
    assert RequestParser().parse_single(data) is None


def test_strangers_and_unfinished_requests_get_no_short_cut() -> None:
    """Limits before authentication, and bytes held already, are the strict parser's business."""
    stranger = RequestParser()
    stranger.is_authenticated = False
    unfinished = RequestParser()
    unfinished.parse(PING[:-1])

    assert stranger.parse_single(PING) is None
    assert unfinished.parse_single(PING) is None
