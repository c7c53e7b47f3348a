"""Links over real sockets of the loopback interface: what is sent, reported, and told apart."""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from errno import ECONNREFUSED, EHOSTUNREACH, EIO, EPIPE, ETIMEDOUT

import pytest
import trio
import trio.lowlevel
import trio.testing

from sentinel.core.actions import Connect
from sentinel.core.events import (
    Event,
    LinkDown,
    LinkLoss,
    LinkUp,
    MessageReceived,
    RepliesReceived,
)
from sentinel.core.link_state import LinkId, LinkKind
from sentinel.runtime.link import OUTBOX_MAX_BYTES, Link, classify
from sentinel.runtime.poller import Poller
from vedette.types import Address

LINK = LinkId(1)


@dataclass
class Reports:
    """Takes a link's events, and lets a test wait for the next one."""

    events: list[Event] = field(default_factory=list)
    _changed: trio.Event = field(default_factory=trio.Event)

    def __call__(self, make_event: Callable[[int], Event]) -> None:
        self.events.append(make_event(0))
        self._changed.set()
        self._changed = trio.Event()

    async def next(self) -> Event:
        """Return the oldest event not taken yet."""
        with trio.fail_after(5):
            while not self.events:
                await self._changed.wait()
        return self.events.pop(0)


@contextmanager
def listening() -> Iterator[tuple[socket.socket, Address]]:
    """Yield a listening socket and its address."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener, Address("127.0.0.1", listener.getsockname()[1])


async def accept(listener: socket.socket) -> socket.socket:
    """Return the next connection, as a blocking socket with a time limit."""
    await trio.lowlevel.wait_readable(listener)
    connection, _ = listener.accept()
    connection.settimeout(5)
    return connection


async def give_up_in_time(link: Link) -> None:
    """Do what the driver does when the time of an attempt is over."""
    await trio.sleep(link.connect_timeout_s)
    link.give_up()


@asynccontextmanager
async def running(
    address: Address, *, timeout_ms: int = 5000, takes_task: bool = False
) -> AsyncIterator[tuple[Link, Reports]]:
    """Run a link to `address` while the block lasts; with a task of its own while it connects."""
    reports = Reports()
    poller = Poller()
    link = Link(Connect(LINK, LinkKind.COMMAND, address, timeout_ms), reports, poller)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(poller.run)
        if takes_task:
            nursery.start_soon(link.open)
        else:
            assert link.begin()
            nursery.start_soon(give_up_in_time, link)
        yield link, reports
        nursery.cancel_scope.cancel()
    link.close()
    poller.close()


async def test_replies_of_one_send_come_together() -> None:
    """The machine thinks in requests: INFO's reply belongs to the promotion it was sent with."""
    with listening() as (listener, address):
        async with running(address, takes_task=True) as (link, reports):
            peer = await accept(listener)
            up = await reports.next()
            link.send(7, [[b"PING"], [b"INFO"]])
            link.send(8, [[b"PING"]])
            link.flush()
            request = peer.recv(100)

            peer.sendall(b"+PONG\r\n$3\r\na:b")
            await trio.testing.wait_all_tasks_blocked()
            early = list(reports.events)
            peer.sendall(b"\r\n-ERR x\r\n")
            first, second = await reports.next(), await reports.next()
            peer.close()

    assert up == LinkUp(0, LINK, "127.0.0.1")
    assert request == b"*1\r\n$4\r\nPING\r\n*1\r\n$4\r\nINFO\r\n*1\r\n$4\r\nPING\r\n"
    assert early == []
    assert first == RepliesReceived(0, LINK, 7, (b"PONG", b"a:b"))
    assert isinstance(second, RepliesReceived)
    assert (second.token, str(second.replies[0])) == (8, "ERR x")


async def test_messages_are_reported_by_their_payload() -> None:
    """Hello messages of fellow sentinels arrive here."""
    with listening() as (listener, address):
        async with running(address) as (link, reports):
            peer = await accept(listener)
            await reports.next()
            link.send(1, [[b"SUBSCRIBE", b"c"]])
            link.flush()
            peer.recv(100)

            peer.sendall(b"*3\r\n$9\r\nsubscribe\r\n$1\r\nc\r\n:1\r\n")
            peer.sendall(b"*3\r\n$7\r\nmessage\r\n$1\r\nc\r\n$2\r\nhi\r\n")
            confirmed, message = await reports.next(), await reports.next()
            peer.close()

    assert isinstance(confirmed, RepliesReceived)
    assert message == MessageReceived(0, LINK, b"hi")


async def test_refused_connection_is_told_apart() -> None:
    """A refusal proves a living kernel without a listener; nothing else does."""
    with listening() as (_, address):
        pass

    async with running(address) as (_, reports):
        event = await reports.next()

    assert event == LinkDown(0, LINK, LinkLoss.REFUSED)


@pytest.mark.parametrize("takes_task", [True, False])
async def test_unanswered_connect_times_out(*, takes_task: bool) -> None:
    """A partition swallows the connection attempt; the machine must hear of it in time."""
    listener = socket.socket()
    with listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        address = Address("127.0.0.1", listener.getsockname()[1])
        # With its backlog full the kernel lets further connections wait.
        fillers = [socket.socket() for _ in range(3)]
        for filler in fillers:
            filler.setblocking(False)
            filler.connect_ex(address)

        async with running(address, timeout_ms=50, takes_task=takes_task) as (_, reports):
            event = await reports.next()

        for filler in fillers:
            filler.close()
    assert event == LinkDown(0, LINK, LinkLoss.TIMEOUT)


async def test_end_of_stream_is_told_from_a_reset() -> None:
    """A clean end and a dead process look different on the wire."""
    reasons = []
    for is_reset in (False, True):
        with listening() as (listener, address):
            async with running(address) as (link, reports):
                peer = await accept(listener)
                await reports.next()
                link.send(1, [[b"PING"]])
                link.flush()
                if not is_reset:
                    peer.recv(100)
                peer.close()  # with unread input the kernel resets the connection
                event = await reports.next()
                assert isinstance(event, LinkDown)
                reasons.append(event.reason)

    assert reasons == [LinkLoss.EOF, LinkLoss.RESET]


@pytest.mark.parametrize("garbage", [b"HTTP/1.1 400\r\n", b"+PONG\r\n"])
async def test_garbage_and_unasked_replies_end_the_link(garbage: bytes) -> None:
    """Whatever answers there is no Redis, or replies can no longer be matched."""
    with listening() as (listener, address):
        async with running(address) as (_, reports):
            peer = await accept(listener)
            await reports.next()

            peer.sendall(garbage)
            event = await reports.next()
            peer.close()

    assert event == LinkDown(0, LINK, LinkLoss.PROTOCOL)


async def test_reply_without_end_is_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody makes us hold more than a reply can reasonably be."""
    monkeypatch.setattr("sentinel.runtime.link.REPLY_MAX_BYTES", 100_000)
    with listening() as (listener, address):
        async with running(address) as (link, reports):
            peer = await accept(listener)
            await reports.next()
            link.send(1, [[b"INFO"]])
            link.flush()

            peer.sendall(b"$50000000\r\n" + b"x" * 150_000)
            event = await reports.next()
            peer.close()

    assert event == LinkDown(0, LINK, LinkLoss.PROTOCOL)


async def test_closed_link_reports_nothing() -> None:
    """The machine asked for it and has forgotten the link."""
    with listening() as (listener, address):
        async with running(address) as (link, reports):
            peer = await accept(listener)
            await reports.next()

            link.close()
            await trio.testing.wait_all_tasks_blocked()
            rest = peer.recv(10)
            peer.close()

    assert rest == b""
    assert reports.events == []


async def test_what_the_socket_does_not_take_is_sent_later_and_in_order() -> None:
    """A slow peer delays bytes, it does not mix them up."""
    with listening() as (listener, address):
        async with running(address) as (link, reports):
            peer = await accept(listener)
            await reports.next()
            argument = bytes(range(256)) * 400
            received = bytearray()
            expected = bytearray()
            with trio.fail_after(10):
                for _ in range(40):
                    link.send(1, [[b"X", argument]])
                    link.flush()
                    expected += b"*2\r\n$1\r\nX\r\n$%d\r\n%b\r\n" % (len(argument), argument)
                    peer.settimeout(0.01)
                    try:
                        while len(received) < len(expected):
                            received += peer.recv(65536)
                    except TimeoutError:
                        await trio.lowlevel.checkpoint()
                while len(received) < len(expected):
                    peer.setblocking(False)
                    await trio.lowlevel.wait_readable(peer)
                    received += peer.recv(65536)
            peer.close()

    assert received == expected


async def test_peer_that_never_reads_is_given_up() -> None:
    """What waits for a stopped process is bounded."""
    with listening() as (listener, address):
        async with running(address) as (link, reports):
            peer = await accept(listener)
            await reports.next()
            chunk = b"x" * (OUTBOX_MAX_BYTES // 2)
            for token in range(20):
                link.send(token, [[chunk]])
                link.flush()
            event = await reports.next()
            peer.close()

    assert event == LinkDown(0, LINK, LinkLoss.TIMEOUT)


def test_errors_are_classified() -> None:
    """Each kind of failure says something else about the other side."""

    found = [classify(OSError(c, "")) for c in (ECONNREFUSED, EHOSTUNREACH, ETIMEDOUT, EPIPE, EIO)]

    assert found == [
        LinkLoss.REFUSED,
        LinkLoss.UNREACHABLE,
        LinkLoss.TIMEOUT,
        LinkLoss.RESET,
        LinkLoss.OTHER,
    ]
    assert classify(socket.gaierror(-2, "")) is LinkLoss.UNREACHABLE
