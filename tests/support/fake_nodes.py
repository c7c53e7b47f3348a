"""Masters and sentinels that do as a test says: claim anything, hang, refuse, drop connections.

They run in the test's own trio loop on free ports of 127.0.0.1, keep every command they were sent,
and share no code with what they test.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any

import hiredis
import trio

__all__ = ["FakeMaster", "FakeNode", "FakeSentinel", "opened"]


def bulk(value: bytes | str | int) -> bytes:
    data = value if isinstance(value, bytes) else str(value).encode()
    return b"$%d\r\n%b\r\n" % (len(data), data)


def array(*items: bytes, mark: bytes = b"*") -> bytes:
    """An array (or, by its mark, a push) of items that are encoded already."""
    return mark + b"%d\r\n" % len(items) + b"".join(items)


def confirmations(kind: bytes, protocol: int, names: tuple[bytes, ...]) -> bytes:
    """What a first SUBSCRIBE or PSUBSCRIBE is answered."""
    mark = b">" if protocol == 3 else b"*"
    return b"".join(
        array(bulk(kind), bulk(name), b":%d\r\n" % (index + 1), mark=mark)
        for index, name in enumerate(names)
    )


def described_replica(node: FakeNode) -> bytes:
    """A replica that is well, as SENTINEL REPLICAS has it."""
    host, port = node.address
    return array(
        *(bulk("ip"), bulk(host), bulk("port"), bulk(port)),
        *(bulk("flags"), bulk("slave"), bulk("master-link-status"), bulk("ok")),
    )


class FakeNode:
    """A TCP server that answers commands by methods named `on_<command>`."""

    def __init__(self) -> None:
        self.port = 0
        #: All commands received, in order, name in upper case.
        self.commands: list[list[bytes]] = []
        self.connection_count = 0
        #: While true, commands are received and not answered.
        self.is_hanging = False
        #: How long each command waits before it is looked at: a slow network.
        self.delay_s = 0.0
        self.knows_resp3 = True
        self.password: bytes | None = None
        self._streams: dict[trio.SocketStream, int] = {}
        self._subscribers: list[trio.SocketStream] = []
        self._locks: dict[trio.SocketStream, trio.Lock] = {}

    @property
    def address(self) -> tuple[str, int]:
        return ("127.0.0.1", self.port)

    def count(self, name: bytes) -> int:
        """How many commands of that name were received."""
        return sum(command[0] == name for command in self.commands)

    @property
    def subscriber_count(self) -> int:
        return sum(stream in self._streams for stream in self._subscribers)

    async def drop_connections(self) -> None:
        """Close all connections, as a process that ends does."""
        for stream in [*self._streams]:
            await trio.aclose_forcefully(stream)

    async def publish(self, channel: str, data: str) -> None:
        """Send a message to all subscribers, whatever they subscribed to."""
        for stream in self._subscribers:
            if stream in self._streams:
                mark = b">" if self._streams[stream] == 3 else b"*"
                message = array(bulk("message"), bulk(channel), bulk(data), mark=mark)
                # It leaves, which may be the test's point.
                with suppress(trio.BrokenResourceError, trio.ClosedResourceError):
                    await self._send(stream, message)

    async def listen(self, nursery: trio.Nursery) -> None:
        """Serve from now on, by tasks of `nursery`; sets `port`."""
        listeners = await trio.open_tcp_listeners(self.port, host="127.0.0.1")
        self.port = listeners[0].socket.getsockname()[1]
        await nursery.start(trio.serve_listeners, self._serve_connection, listeners)

    async def _serve_connection(self, stream: trio.SocketStream) -> None:
        self.connection_count += 1
        self._streams[stream] = 2
        self._locks[stream] = trio.Lock()
        reader = hiredis.Reader()
        is_welcome = self.password is None
        try:
            while data := await stream.receive_some(65536):
                reader.feed(bytes(data))
                while (command := reader.gets()) is not False:
                    command[0] = command[0].upper()
                    self.commands.append(command)
                    if self.is_hanging:
                        continue
                    await trio.sleep(self.delay_s)
                    is_welcome = is_welcome or self.password in command[1:]
                    if not is_welcome:
                        await self._send(stream, b"-NOAUTH Authentication required.\r\n")
                        continue
                    reply = self.reply_to(stream, command)
                    if reply is None:
                        return
                    await self._send(stream, reply)
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            pass  # the test dropped it, or the client did: both are what this is for
        finally:
            self._streams.pop(stream)
            await trio.aclose_forcefully(stream)

    async def _send(self, stream: trio.SocketStream, data: bytes) -> None:
        """Send, after what another task is sending."""
        async with self._locks[stream]:
            await stream.send_all(data)

    def reply_to(self, stream: trio.SocketStream, command: list[bytes]) -> bytes | None:
        """The encoded reply, or None to close the connection instead."""
        # Any: looked up by the command's name.
        method: Any = getattr(self, f"on_{command[0].decode().lower()}", None)
        if method is None:
            return b"-ERR unknown command\r\n"
        reply: bytes | None = method(stream, *command[1:])
        return reply

    def on_ping(self, stream: trio.SocketStream) -> bytes:
        return b"+PONG\r\n"

    def on_auth(self, stream: trio.SocketStream, *words: bytes) -> bytes:
        return b"+OK\r\n"

    def on_hello(self, stream: trio.SocketStream, *words: bytes) -> bytes:
        if not self.knows_resp3:
            return b"-ERR unknown command 'HELLO'\r\n"
        self._streams[stream] = 3
        return b"%1\r\n" + bulk("proto") + b":3\r\n"


class FakeMaster(FakeNode):
    """Strings and counters, and a role that it only claims to have."""

    def __init__(self) -> None:
        super().__init__()
        self.role = b"master"
        #: Whether ROLE is allowed; HELLO without arguments always tells the role.
        self.may_ask_role = True
        #: What it says of its link, as a replica.
        self.link_state = b"connected"
        self.values: dict[bytes, bytes] = {}
        #: An error reply without `-` for every command that writes.
        self.write_error: bytes | None = None
        #: Execute writes, but close the connection instead of replying.
        self.drops_after_write = False
        #: What BLPOP is answered in turn, encoded; b"" for nothing at all, as when nothing comes.
        self.blpop_replies: list[bytes] = []
        #: Where BLPOP came.
        self._blocked: list[trio.SocketStream] = []
        #: Commands queued since MULTI; one connection at a time is enough here.
        self._queue: list[list[bytes]] | None = None

    def reply_to(self, stream: trio.SocketStream, command: list[bytes]) -> bytes | None:
        name = command[0]
        if self._queue is not None and name != b"EXEC":
            self._queue.append(command)
            return b"+QUEUED\r\n"
        if name in (b"SET", b"INCRBY"):
            if self.write_error is not None:
                return b"-%b\r\n" % self.write_error
            reply = super().reply_to(stream, command)
            return None if self.drops_after_write else reply
        return super().reply_to(stream, command)

    def on_multi(self, stream: trio.SocketStream) -> bytes:
        self._queue = []
        return b"+OK\r\n"

    def on_exec(self, stream: trio.SocketStream) -> bytes | None:
        assert self._queue is not None
        queue, self._queue = self._queue, None
        replies = [self.reply_to(stream, command) for command in queue]
        if any(reply is None for reply in replies):
            return None
        return array(*[reply for reply in replies if reply is not None])

    def on_hello(self, stream: trio.SocketStream, *words: bytes) -> bytes:
        if words:
            return super().on_hello(stream, *words)
        role = b"replica" if self.role == b"slave" else self.role
        return b"%1\r\n" + bulk("role") + bulk(role)

    def on_role(self, stream: trio.SocketStream) -> bytes:
        if not self.may_ask_role:
            return b"-NOPERM this user has no permissions to run the 'role' command\r\n"
        if self.role == b"slave":
            link = bulk(self.link_state)
            return array(bulk("slave"), bulk("127.0.0.1"), b":1\r\n", link, b":0\r\n")
        return array(bulk(self.role), b":0\r\n", array())

    def on_select(self, stream: trio.SocketStream, number: bytes) -> bytes:
        return b"+OK\r\n" if int(number) < 16 else b"-ERR DB index is out of range\r\n"

    def on_blpop(self, stream: trio.SocketStream, key: bytes, time_s: bytes) -> bytes:
        self._blocked.append(stream)
        return self.blpop_replies.pop(0)

    def on_blmove(self, stream: trio.SocketStream, *words: bytes) -> bytes:
        return self.on_blpop(stream, words[0], words[-1])

    async def answer_all(self, data: bytes) -> None:
        """Send the same on every connection on which BLPOP came."""
        for stream in self._blocked:
            await self._send(stream, data)
        self._blocked.clear()

    def on_subscribe(self, stream: trio.SocketStream, *channels: bytes) -> bytes:
        self._subscribers.append(stream)
        return confirmations(b"subscribe", self._streams[stream], channels)

    def on_get(self, stream: trio.SocketStream, key: bytes) -> bytes:
        value = self.values.get(key)
        return b"$-1\r\n" if value is None else bulk(value)

    def on_set(self, stream: trio.SocketStream, key: bytes, value: bytes) -> bytes:
        self.values[key] = value
        return b"+OK\r\n"

    def on_incrby(self, stream: trio.SocketStream, key: bytes, amount: bytes) -> bytes:
        value = int(self.values.get(key, b"0")) + int(amount)
        self.values[key] = b"%d" % value
        return b":%d\r\n" % value


class FakeSentinel(FakeNode):
    """Claims that `master` is master in `epoch`, and announces what it is told to."""

    def __init__(self, master: FakeNode, epoch: int = 1) -> None:
        super().__init__()
        self.master = master
        self.epoch = epoch
        self.fellows: list[FakeSentinel] = []
        self.replicas: list[FakeNode] = []

    async def switch(self, master: FakeNode, epoch: int, *, is_silent: bool = False) -> None:
        """Adopt a new master and, unless silent, publish `+switch-master`."""
        old, self.master, self.epoch = self.master, master, epoch
        if is_silent:
            return
        payload = f"mymaster 127.0.0.1 {old.port} 127.0.0.1 {master.port}"
        for stream in self._subscribers:
            if stream in self._streams:
                mark = b">" if self._streams[stream] == 3 else b"*"
                await self._send(
                    stream,
                    array(bulk("message"), bulk("+switch-master"), bulk(payload), mark=mark),
                )

    def on_subscribe(self, stream: trio.SocketStream, *channels: bytes) -> bytes:
        self._subscribers.append(stream)
        return confirmations(b"subscribe", self._streams[stream], channels)

    def on_sentinel(self, stream: trio.SocketStream, verb: bytes, *names: bytes) -> bytes:
        if self._streams[stream] == 2 and stream in self._subscribers:
            return b"-ERR Can't execute 'sentinel' in this context\r\n"
        if verb == b"MYID":
            return bulk(f"id-{self.port}")
        if names != (b"mymaster",):
            is_address = verb == b"GET-MASTER-ADDR-BY-NAME"
            return b"*-1\r\n" if is_address else b"-ERR No such master with that name\r\n"
        host, port = self.master.address
        if verb == b"GET-MASTER-ADDR-BY-NAME":
            return array(bulk(host), bulk(port))
        if verb == b"MASTER":
            return array(bulk("port"), bulk(port), bulk("config-epoch"), bulk(self.epoch))
        if verb == b"REPLICAS":
            return array(*map(described_replica, self.replicas))
        assert verb == b"SENTINELS"
        return array(
            *[
                array(
                    *(bulk("ip"), bulk("127.0.0.1"), bulk("port"), bulk(fellow.port)),
                    *(bulk("runid"), bulk(f"id-{fellow.port}")),
                )
                for fellow in self.fellows
            ]
        )


@asynccontextmanager
async def opened(*nodes: FakeNode) -> AsyncIterator[None]:
    """Serve `nodes` while the block runs; their ports are known when it begins."""
    async with trio.open_nursery() as nursery:
        for node in nodes:
            await node.listen(nursery)
        yield
        nursery.cancel_scope.cancel()
