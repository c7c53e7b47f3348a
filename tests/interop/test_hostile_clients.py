"""Clients that are broken, slow or malicious, against real processes of ours.

Where Redis answers a bad request, its answer is ours; and whatever one client does, another one's
PINGs go on being answered, memory stays bounded and nothing is left behind.
"""

from __future__ import annotations

import contextlib
import hashlib
import socket
import struct
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.support.client import BlockingClient, ReplyError, encode
from tests.support.processes import ServerProcess, VedetteSentinel, VedetteServer
from tests.support.redis import RedisSentinel, RedisServer
from tests.support.waiting import wait_until

#: PINGs of a well-behaved client that must be answered while another one misbehaves.
PINGS = 100
MEGABYTE = 1024 * 1024

#: A master that nobody answers for: the sentinels here have something to watch, and never act.
WATCHING_NOBODY = ["sentinel monitor mymaster 127.0.0.1 1 1"]


@pytest.fixture(scope="module")
def server() -> Iterator[VedetteServer]:
    """Yield one vedette-server for all tests of this module that do not ask for their own."""
    with VedetteServer() as process:
        yield process


@pytest.fixture(scope="module")
def sentinel() -> Iterator[VedetteSentinel]:
    """Yield one vedette-sentinel for all tests of this module."""
    with VedetteSentinel(extra_lines=WATCHING_NOBODY) as process:
        yield process


@pytest.fixture(params=["server", "sentinel"])
def ours(request: pytest.FixtureRequest) -> ServerProcess:
    """Return our server, then our sentinel."""
    process: ServerProcess = request.getfixturevalue(request.param)
    return process


@pytest.fixture(scope="module")
def redis_server_of_module() -> Iterator[RedisServer]:
    """Yield one real redis-server."""
    with RedisServer() as process:
        yield process


@pytest.fixture(scope="module")
def redis_sentinel_of_module() -> Iterator[RedisSentinel]:
    """Yield one real redis-sentinel."""
    with RedisSentinel(extra_lines=WATCHING_NOBODY) as process:
        yield process


@pytest.fixture(params=["server", "sentinel"])
def both(request: pytest.FixtureRequest) -> tuple[ServerProcess, ServerProcess]:
    """Return one of our programs and Redis' own, servers first, then sentinels."""
    kind = request.param
    return (
        request.getfixturevalue(kind),
        request.getfixturevalue(f"redis_{kind}_of_module"),
    )


def connect(process: ServerProcess) -> socket.socket:
    """Return a plain connection; the caller closes it."""
    return socket.create_connection(("127.0.0.1", process.port), timeout=10)


def exchange(process: ServerProcess, data: bytes) -> bytes:
    """Send `data`, then the end of the stream; return all that comes back before the other end."""
    received = bytearray()
    with connect(process) as connection:
        # Who is refused is closed, perhaps with bytes of it unread, which is a reset.
        with contextlib.suppress(OSError):
            connection.sendall(data)
            connection.shutdown(socket.SHUT_WR)
        with contextlib.suppress(ConnectionResetError):
            while chunk := connection.recv(65536):
                received += chunk
    return bytes(received)


def check_others_are_served(process: ServerProcess) -> None:
    """Check that a client which behaves gets an answer to each of its PINGs (in 5 s at most)."""
    with process.connect() as client:
        assert [client.call("PING") for _ in range(PINGS)] == [b"PONG"] * PINGS


def peak_memory_bytes(process: ServerProcess) -> int:
    """Return the most resident memory the process ever had."""
    status = Path(f"/proc/{process.process.pid}/status").read_text()
    line = next(line for line in status.splitlines() if line.startswith("VmHWM:"))
    return int(line.split()[1]) * 1024


def wait_until_alone(process: ServerProcess) -> None:
    """Wait until only the client that asks is connected."""
    process.close_client()
    wait_until(
        lambda: process.info("clients").get("connected_clients") == "1",
        what="the misbehaving clients to be forgotten",
    )


def check_unharmed(process: ServerProcess) -> None:
    """Check that nothing is left of other clients, and that nothing went wrong inside."""
    wait_until_alone(process)
    check_others_are_served(process)
    assert "Traceback" not in process.log()
    assert "crashed" not in process.log()


# --- bad requests: Redis' own answers -------------------------------------------------------------

PING = b"*1\r\n$4\r\nPING\r\n"

BAD_REQUESTS = {
    "garbage": b"\x01\x02\xff\xfe garbage\r\n",
    "bytes of a TLS handshake": b"\x16\x03\x01\x02\x01\xfc\x03\x03\r\n",
    "HTTP GET": b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
    "HTTP POST": b"POST / HTTP/1.1\r\nHost: x\r\n\r\n",
    "multibulk count too large": b"*2147483648\r\n",
    "multibulk count as large as may be": b"*2147483647\r\n$4\r\nPING\r\n",
    "multibulk count beyond 64 bits": b"*99999999999999999999\r\n",
    "multibulk count negative": b"*-5\r\n",
    "multibulk count no number": b"*abc\r\n",
    "multibulk count with plus": b"*+1\r\n",
    "multibulk count with blank": b"* 1\r\n",
    "multibulk count missing": b"*\r\n",
    "multibulk of nothing": b"*0\r\n",
    "bulk length too large": b"*1\r\n$536870913\r\n",
    "bulk length beyond 64 bits": b"*1\r\n$99999999999999999999\r\n",
    "bulk length negative": b"*1\r\n$-1\r\n",
    "bulk length no number": b"*1\r\n$x\r\n",
    "bulk length missing": b"*1\r\n$\r\n",
    "array within": b"*1\r\n*1\r\n$4\r\nPING\r\n",
    "arrays within arrays": b"*1\r\n" * 5000,
    "integer within": b"*1\r\n:1\r\n",
    "simple string within": b"*1\r\n+PING\r\n",
    "RESP3 null within": b"*2\r\n$4\r\nPING\r\n_\r\n",
    "line feed as a type": b"*1\r\n\n$4\r\nPING\r\n",
    "byte beyond ASCII as a type": b"*1\r\n\xff\r\n",
    "RESP3 map as a request": b"%1\r\n",
    "RESP3 push as a request": b">1\r\n",
    "quotes unbalanced": b'ECHO "a\r\n',
    "quotes closed in a word": b'ECHO "a"b\r\n',
    "value longer than said": b"*1\r\n$3\r\nPING\r\n",
    "value not ended by CRLF": b"*1\r\n$4\r\nPINGxx",
    "empty command": b"*1\r\n$0\r\n\r\n",
    "unknown command": b"*3\r\n$3\r\nfoo\r\n$1\r\na\r\n$1\r\nb\r\n",
    "unknown command with line breaks": b"*2\r\n$4\r\nf\r\no\r\n$2\r\n\r\n\r\n",
    "unknown command with long words": encode(("y" * 300, "x" * 200)),
    "blank lines": b"\r\n\n \r\n",
    "lines ended by LF alone": b"PING\nPING\n",
    "good request before a bad one": PING + b"*1\r\n:1\r\n",
}


#: Lines that never end, so that nothing may follow them.
ENDLESS_REQUESTS = {
    "inline request": b"a" * 70_000,
    "multibulk header": b"*" + b"1" * 70_000,
    "bulk header": b"*1\r\n$" + b"1" * 70_000,
}


@pytest.mark.parametrize("request_bytes", BAD_REQUESTS.values(), ids=BAD_REQUESTS.keys())
def test_bad_request_is_answered_as_redis_answers_it(
    both: tuple[ServerProcess, ServerProcess], request_bytes: bytes
) -> None:
    """Text of the error, replies before it, and whether the PING behind it is still served."""
    ours, redis = both

    assert exchange(ours, request_bytes + PING) == exchange(redis, request_bytes + PING)
    assert "Traceback" not in ours.log()


@pytest.mark.parametrize("request_bytes", ENDLESS_REQUESTS.values(), ids=ENDLESS_REQUESTS.keys())
def test_line_without_end_is_cut_off_as_redis_cuts_it_off(
    both: tuple[ServerProcess, ServerProcess], request_bytes: bytes
) -> None:
    """64 KB of a line are enough."""
    ours, redis = both

    answer = exchange(ours, request_bytes)

    assert answer.startswith(b"-ERR Protocol error: too big ")
    assert answer == exchange(redis, request_bytes)


@pytest.mark.parametrize(
    "request_bytes",
    [b"*11\r\n", b"*1\r\n$16385\r\n", b"*1\r\n$10\r\n" + b"x" * 10 + b"\r\n"],
    ids=["many arguments", "a large argument", "an unknown command"],
)
def test_stranger_may_send_no_more_than_redis_lets_him(request_bytes: bytes) -> None:
    """Who has given no password must not make the server hold much."""
    with VedetteServer({"requirepass": "x"}) as ours, RedisServer({"requirepass": "x"}) as redis:
        assert exchange(ours, request_bytes) == exchange(redis, request_bytes)


@pytest.mark.parametrize(
    ("directive", "data"),
    [
        ("proto-max-bulk-len", b"*1\r\n$1048577\r\n"),
        ("client-query-buffer-limit", b"*2\r\n$4\r\nECHO\r\n$3000000\r\n" + b"x" * 2_000_000),
    ],
)
def test_limits_that_are_set_hold(
    server: VedetteServer, redis_server_of_module: RedisServer, directive: str, data: bytes
) -> None:
    """An argument larger than allowed is an error; a request that piles up is cut off."""
    pair: tuple[ServerProcess, ...] = (server, redis_server_of_module)
    before = [process.call("CONFIG", "GET", directive)[1] for process in pair]
    for process in pair:
        process.call("CONFIG", "SET", directive, "1mb")

    try:
        ours, theirs = (exchange(process, data) for process in pair)
    finally:
        for process, value in zip(pair, before, strict=True):
            process.call("CONFIG", "SET", directive, value)

    assert ours == theirs
    check_unharmed(server)


# --- connections that are not as they should be ---------------------------------------------------


def test_request_may_arrive_one_byte_at_a_time(ours: ServerProcess) -> None:
    """A network may cut a stream anywhere."""
    with ours.connect() as slow:
        for number in range(3):
            for byte in encode(("PING", f"message {number}\r\n")) + b"PING inline\r\n":
                slow.socket.send(bytes([byte]))
            check_others_are_served(ours)

            assert slow.receive() == f"message {number}\r\n".encode()
            assert slow.receive() == b"inline"


def test_half_closed_client_gets_its_replies(ours: ServerProcess) -> None:
    """`printf 'PING\\r\\n' | nc` says that it has ended before it is answered."""
    assert exchange(ours, PING * 1000) == b"+PONG\r\n" * 1000

    check_unharmed(ours)


def test_half_closed_in_the_midst_of_a_request_is_forgotten(ours: ServerProcess) -> None:
    """There will be no rest of it."""
    for cut in (b"*", b"*2\r\n$4\r\nPI", b"*2\r\n$4\r\nPING\r\n$100\r\nabc", b"PIN"):
        assert exchange(ours, cut) == b""

    check_unharmed(ours)


def test_resets_in_the_midst_of_a_request_are_forgotten(ours: ServerProcess) -> None:
    """A client's machine crashes, or a firewall drops what it knew."""
    for number in range(100):
        with connect(ours) as connection:
            connection.sendall((PING * 50 + b"*2\r\n$4\r\nPING\r\n$100\r\nabc")[number % 3 :])
            # Closing sends a reset, with replies unread.
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    check_unharmed(ours)


def test_many_idle_connections_cost_others_nothing(ours: ServerProcess) -> None:
    """Pools of clients hold far more connections than they use."""
    with contextlib.ExitStack() as stack:
        for _ in range(1000):
            stack.enter_context(connect(ours))
        wait_until(lambda: int(ours.info("clients")["connected_clients"]) > 1000)

        check_others_are_served(ours)

    check_unharmed(ours)


def test_huge_announced_request_takes_no_memory_in_advance(ours: ServerProcess) -> None:
    """A header costs its sender nothing, so it must cost us nothing."""
    before = peak_memory_bytes(ours)
    with contextlib.ExitStack() as stack:
        for header in (b"*2147483647\r\n", b"*2\r\n$4\r\nPING\r\n$536870912\r\n"):
            for _ in range(50):
                stack.enter_context(connect(ours)).sendall(header + b"$1\r\n")
        check_others_are_served(ours)

    check_unharmed(ours)
    assert peak_memory_bytes(ours) - before < 16 * MEGABYTE


class _FewDescriptors(VedetteServer):
    """A server whose system lets it have few files open."""

    def command(self) -> list[str]:
        return ["sh", "-c", 'ulimit -n 64; exec "$0" "$@"', *super().command()]


def test_clients_beyond_the_descriptors_are_turned_away() -> None:
    """As in Redis `maxclients` follows the limit of open files, or the last could only spin."""
    with _FewDescriptors() as server, contextlib.ExitStack() as stack:
        server.call("PING")
        allowed = int(server.call("CONFIG", "GET", "maxclients")[1])
        for _ in range(allowed - 1):
            stack.enter_context(server.connect()).call("PING")

        assert allowed == 32
        assert exchange(server, b"") == b"-ERR max number of clients reached\r\n"
        with pytest.raises(ReplyError, match="not able to handle the specified number of clients"):
            server.call("CONFIG", "SET", "maxclients", "1000")
        assert [server.call("PING") for _ in range(PINGS)] == [b"PONG"] * PINGS


# --- clients that do not read ---------------------------------------------------------------------


def send_until_full(connection: socket.socket, request: bytes) -> int:
    """Send `request` over and over until nobody takes more for half a second; return the bytes."""
    data = request * (65536 // len(request) + 1)
    connection.settimeout(0.5)
    sent = 0
    with contextlib.suppress(TimeoutError):
        while sent < 64 * MEGABYTE:
            # From where the last one stopped: requests must stay whole.
            sent += connection.send(data[sent % len(request) :])
    return sent


def prepare_value(server: ServerProcess) -> bytes:
    server.call("SET", "big", b"x" * 1_000_000)
    return encode(("GET", "big"))


def prepare_docs(sentinel: ServerProcess) -> bytes:
    return encode(("COMMAND", "DOCS"))


@pytest.mark.parametrize(
    ("kind", "prepare"), [("server", prepare_value), ("sentinel", prepare_docs)]
)
def test_client_that_never_reads_is_bounded(
    kind: str, prepare: Callable[[ServerProcess], bytes], request: pytest.FixtureRequest
) -> None:
    """Requests of a few bytes for large replies: Redis takes gigabytes for them."""
    process: ServerProcess = request.getfixturevalue(kind)
    asked = prepare(process)
    before = peak_memory_bytes(process)
    with connect(process) as slow:
        sent = send_until_full(slow, asked)

        assert 1000 * len(asked) < sent < 64 * MEGABYTE
        check_others_are_served(process)

    check_unharmed(process)
    assert peak_memory_bytes(process) - before < 48 * MEGABYTE


def test_client_that_reads_late_gets_every_reply(server: VedetteServer) -> None:
    """What was put off for it is not lost, and in order."""
    values = [bytes([65 + number]) * 200_000 for number in range(20)]
    for number, value in enumerate(values):
        server.call("SET", f"late:{number}", value)
    asked = [number % 20 for number in range(200)]
    expected = hashlib.sha256()
    for number in asked:
        expected.update(b"$200000\r\n" + values[number] + b"\r\n")
        expected.update(b":%d\r\n" % len(values[number]))
    length = 200 * (len(b"$200000\r\n\r\n:200000\r\n") + 200_000)
    with connect(server) as slow:
        for number in asked:
            slow.sendall(encode(("GET", f"late:{number}")) + encode(("STRLEN", f"late:{number}")))
        check_others_are_served(server)

        received = hashlib.sha256()
        while length and (chunk := slow.recv(MEGABYTE)):
            received.update(chunk)
            length -= len(chunk)

    assert length == 0
    assert received.digest() == expected.digest()


def test_subscriber_that_never_reads_is_given_up(server: VedetteServer) -> None:
    """`client-output-buffer-limit pubsub`: 32 MB, and the publisher is not held up."""
    before = peak_memory_bytes(server)
    message = b"m" * MEGABYTE
    with server.connect() as deaf, server.connect() as publisher:
        deaf.call("SUBSCRIBE", "news")

        receivers = [publisher.call("PUBLISH", "news", message) for _ in range(60)]

        assert receivers[0] == 1
        assert receivers[-1] == 0
        assert peak_memory_bytes(server) - before < 96 * MEGABYTE
    check_unharmed(server)


# --- all of it at once ----------------------------------------------------------------------------


def test_a_crowd_of_them_does_not_disturb_who_behaves(ours: ServerProcess) -> None:
    """Every kind of trouble is in the connections while PINGs are answered."""
    with contextlib.ExitStack() as stack:
        for data in [*BAD_REQUESTS.values(), *ENDLESS_REQUESTS.values()]:
            with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                stack.enter_context(connect(ours)).sendall(data)
        for cut in range(1, len(PING)):
            stack.enter_context(connect(ours)).sendall(PING[:cut])
        full = stack.enter_context(BlockingClient(ours.port))
        send_until_full(full.socket, encode(("COMMAND", "DOCS")))

        check_others_are_served(ours)

    check_unharmed(ours)
