"""The public client: takes commands through failovers.

Owns the client's options and lifetime. All tasks share one connection to the master: their commands
are pipelined by themselves, and there is one connection to close and one to open when the master
changes. So commands that block a connection or change its mode are refused, or have one of their
own. How commands run is `running.py`'s.
"""

from __future__ import annotations

import random
import ssl
from collections.abc import AsyncIterator, Awaitable, Coroutine, Iterable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from types import TracebackType
from typing import Any, Self

import trio

from vedette.resp.exchange import Argument, Received, encode_argument
from vedette.runtime.background import open_background_nursery
from vedette.types import Address

from ..commands import CommandMethods
from ..core.blocking import wait_of
from ..core.follower import Follower, Timing
from ..core.kinds import Kind, kind_of, reason_not_to_share
from ..core.options import address_of, check_numbers, check_times, parse_url
from ..core.units import Argv, Unit
from ..errors import ClientClosed, UnsupportedCommand
from ..statistics import ClientStatistics, Tally
from .nodes import NodeOptions
from .own import OwnConnection, open_own
from .pipeline import Commands, Pipeline
from .replicas import ReplicaReader, open_reader
from .running import CommandRunner
from .subscription import Subscription, open_subscription
from .tracker import MasterTracker
from .waiting import WaitingPool
from .watcher import WatchOptions


class FailoverClient(CommandMethods[Coroutine[Any, Any, Received]]):
    """A client of whichever node is master, for use as `async with FailoverClient(...) as client`.

    Every task below the block may use it. `client.get(...)` and the others of `CommandMethods` do
    what `execute` does with the command spelt out.

    Args:
        master_name: the name under which sentinels watch the master.
        sentinels: host and port of some sentinels; they tell of the others.
        username, password: for masters; `sentinel_username`, `sentinel_password` for sentinels.
        database: the number of the database, on every connection to a master.
        client_name: for CLIENT LIST.
        protocol: 3, or 2 for replies in their RESP2 shapes. A server without RESP3 gives those
            anyway.
        command_timeout_s: how long a command may take in all, failover included.
        reply_timeout_s: a master that owes replies and is silent for so long is given up. To be
            longer than the slowest command.
        connect_timeout_s: for connections to masters and sentinels, and for a sentinel's silence.
        ask_timeout_s: how long the fastest sentinels' answers may wait for a majority's.
        poll_interval_s: how often each sentinel is asked though it has announced nothing.
        repeat_last_wins: also repeat writes like `SET k v` whose outcome is unknown. The repetition
            may overwrite what others wrote in the meantime.
        max_pending: commands under way at once; more wait for their turn.
        tls_context: speak TLS with masters, by this context.
        sentinel_tls: the same for sentinels: a context of their own, True for that of the masters,
            False for none.
        address_map: where to connect to instead of an address that sentinels tell, as behind NAT.

    Raises:
        ValueError: no sentinel is given, or an option is out of its bounds.
    """

    def __init__(
        self,
        master_name: str,
        sentinels: Iterable[tuple[str, int]],
        *,
        username: str | None = None,
        password: str | None = None,
        sentinel_username: str | None = None,
        sentinel_password: str | None = None,
        database: int = 0,
        client_name: str | None = None,
        protocol: int = 3,
        command_timeout_s: float = 30.0,
        reply_timeout_s: float = 3.0,
        connect_timeout_s: float = 2.0,
        ask_timeout_s: float = 0.25,
        poll_interval_s: float = 2.0,
        repeat_last_wins: bool = False,
        max_pending: int = 65536,
        tls_context: ssl.SSLContext | None = None,
        sentinel_tls: ssl.SSLContext | bool = True,
        address_map: Mapping[tuple[str, int], tuple[str, int]] | None = None,
    ) -> None:
        check_times(
            command_timeout_s=command_timeout_s,
            reply_timeout_s=reply_timeout_s,
            connect_timeout_s=connect_timeout_s,
            ask_timeout_s=ask_timeout_s,
            poll_interval_s=poll_interval_s,
        )
        check_numbers(protocol=protocol, database=database, max_pending=max_pending)
        self.master_name = master_name
        self._command_timeout_s = command_timeout_s
        self._poll_interval_s = poll_interval_s
        self._repeat_last_wins = repeat_last_wins
        self._follower = Follower(
            [address_of(sentinel) for sentinel in sentinels],
            Timing(
                ask_timeout_ms=round(ask_timeout_s * 1000),
                poll_interval_ms=round(poll_interval_s * 1000),
            ),
            random.Random(),
        )
        addresses = {
            address_of(told): address_of(reached) for told, reached in (address_map or {}).items()
        }
        if isinstance(sentinel_tls, bool):
            sentinel_context = tls_context if sentinel_tls else None
        else:
            sentinel_context = sentinel_tls
        self._watch_options = WatchOptions(
            master_name=master_name,
            username=sentinel_username,
            password=sentinel_password,
            client_name=client_name,
            connect_timeout_s=connect_timeout_s,
            ping_interval_s=poll_interval_s * 2,
            tls_context=sentinel_context,
            address_map=addresses,
        )
        self._node_options = NodeOptions(
            username=username,
            password=password,
            client_name=client_name,
            database=database,
            protocol=protocol,
            connect_timeout_s=connect_timeout_s,
            reply_timeout_s=reply_timeout_s,
            max_pending=max_pending,
            tls_context=tls_context,
            address_map=addresses,
        )
        self._tracker = MasterTracker(self._follower, self._watch_options, self._node_options)
        self._is_open = False
        self._waiting: WaitingPool | None = None
        self._lifetime: AbstractAsyncContextManager[None] | None = None
        self._tally = Tally()
        self._runner = CommandRunner(self._follower, self._tally, command_timeout_s)
        self._readers: set[ReplicaReader] = set()

    @classmethod
    def from_url(cls, url: str, **options: Any) -> Self:
        """Return a client as `redis+sentinel://host:port,host:port/mymaster?option=value` says it.

        `options` override those of the URL. `rediss+sentinel://` without a `tls_context` trusts
        whom this machine trusts. See `core.options.parse_url`.

        Raises:
            ValueError: the URL is none, or an option is out of its bounds.
        """
        place = parse_url(url)
        merged: dict[str, Any] = {**place.options, **options}
        if place.uses_tls and merged.get("tls_context") is None:
            merged["tls_context"] = ssl.create_default_context()
        return cls(place.master_name, place.sentinels, **merged)

    async def __aenter__(self) -> Self:
        """Begin to follow. Returns at once; the first command waits for the master."""
        if self._lifetime is not None:
            raise ClientClosed("a client can be opened only once")
        # The block belongs to the caller, so the generator that holds the nursery is entered here
        # and left in `__aexit__`.
        self._lifetime = self._live()
        await self._lifetime.__aenter__()
        return self

    def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> Awaitable[bool | None]:
        """Close all connections. What still runs in other tasks ends with an error."""
        assert self._lifetime is not None
        return self._lifetime.__aexit__(exc_type, exc, traceback)

    @asynccontextmanager
    async def _live(self) -> AsyncIterator[None]:
        tracker = self._tracker
        async with open_background_nursery() as nursery:
            nursery.start_soon(tracker.run, name=f"follow {self.master_name}")
            waiting = WaitingPool(tracker, self._node_options, self._tally, nursery)
            self._waiting, self._is_open = waiting, True
            try:
                yield
            finally:
                self._waiting, self._is_open = None, False
                tracker.close()
                await waiting.drain()

    @property
    def _following(self) -> MasterTracker:
        if not self._is_open:
            raise ClientClosed("the client is used outside its `async with` block")
        return self._tracker

    async def execute(self, *arguments: Argument, repeat: bool | None = None) -> Received:
        """Run one command on the master and return its reply.

        A command that was certainly not executed (not sent, or refused by a node that is no master)
        is sent again until the deadline, and so is a read. `repeat` says whether to send it again
        after it was sent and no reply came; by default, if it is a read or waits for a pop.

        A command that waits for data, such as BLPOP, has a connection to itself meanwhile. It waits
        as long as it says, at the next master for what is left of its time; the deadline is for
        finding a master. A pop goes on by default though a reply, and what it brought, may have
        been lost: that is lost whoever asks again.

        Raises:
            ReplyError: the master's reply is an error.
            WriteUncertain: it was sent, no reply came, and it must not be repeated.
            MasterUnavailable: it was not executed before the deadline.
            UnsupportedCommand: it would change the shared connection.
            ClientClosed: used outside the block.
        """
        argv = _encoded(arguments)
        wait = wait_of(argv)
        if wait is not None:
            if self._waiting is None:
                raise ClientClosed("the client is used outside its `async with` block")
            return await self._waiting.run(
                argv, wait, repeat=repeat, patience_s=self._command_timeout_s
            )
        [result] = await self._runner.run(self._following, [self._unit(argv, repeat)])
        if isinstance(result, Exception):
            raise result
        return result

    async def execute_many(
        self, commands: Sequence[Sequence[Argument]], *, repeat: bool | None = None
    ) -> list[Received]:
        """Run commands in one go and return their replies in order, errors among them as values.

        Each is treated as by `execute`: those refused by a node that is no master run on the next
        one, in their order, while those before them keep their replies. Other tasks' commands may
        run in between. Values may be `ReplyError`, `WriteUncertain`, `MasterUnavailable`, and
        `ClientClosed` if the block ends meanwhile.

        Raises:
            UnsupportedCommand, ClientClosed: nothing was sent.
            ValueError: more commands than `max_pending`.
        """
        units = [self._unit(_encoded(command), repeat) for command in commands]
        return await self._runner.run(self._following, units)

    async def transaction(
        self, commands: Sequence[Sequence[Argument]], *, repeat: bool | None = None
    ) -> list[Received]:
        """Run commands within MULTI and EXEC and return their replies, errors as values.

        Raises:
            As `execute`, for the transaction as a whole; ReplyError if it was refused.
        """
        if not commands:
            await trio.lowlevel.checkpoint()
            return []
        unit = Unit.transaction([self._unit(_encoded(command), repeat) for command in commands])
        [result] = await self._runner.run(self._following, [unit])
        if isinstance(result, Exception):
            raise result
        assert isinstance(result, list)
        return result

    def pipeline(self, transaction: bool = True) -> Pipeline:
        """Return a collector of commands, for `execute_many` if `transaction` is false."""

        async def send(commands: Commands) -> list[Received]:
            if transaction:
                return await self.transaction(commands)
            return await self.execute_many(commands)

        return Pipeline(send)

    @asynccontextmanager
    async def replicas(self, *, or_master: bool = True) -> AsyncIterator[ReplicaReader]:
        """Give what reads from replicas, in turn, as long as the block; data may be old.

        Only replicas that say that their link to the master is up are read from. Where there is
        none the master is, or with `or_master` false the read waits for one.

        Raises:
            ClientClosed: used outside the block of the client.
        """
        async with open_reader(
            self._following,
            self._node_options,
            self._tally,
            timeout_s=self._command_timeout_s,
            check_interval_s=self._poll_interval_s,
            read_master=self.execute if or_master else None,
        ) as reader:
            self._readers.add(reader)
            try:
                yield reader
            finally:
                self._readers.remove(reader)

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[OwnConnection]:
        """Give a connection to the master that the block has to itself, as WATCH and WAIT need it.

        It ends when the client leaves that master; nothing on it is sent again.

        Raises:
            MasterUnavailable: no master was found within `command_timeout_s`.
            ClientClosed: used outside the block of the client.
        """
        deadline = trio.current_time() + self._command_timeout_s
        own = open_own(self._following, self._node_options, self._tally, deadline, "a connection")
        async with own as (link, connection), open_background_nursery() as nursery:
            nursery.start_soon(link.close_when_left, connection)
            yield OwnConnection(link, connection, self._tally)

    @asynccontextmanager
    async def subscribe(
        self, *channels: str | bytes, patterns: Iterable[str | bytes] = ()
    ) -> AsyncIterator[Subscription]:
        """Subscribe at the master, whichever it is, and give `Message`s and `Gap`s to iterate over.

        Raises:
            MasterUnavailable: no master was found within `command_timeout_s`.
            ReplyError: the master refuses.
            ClientClosed: used outside the block of the client.
            ValueError: neither a channel nor a pattern is given.
        """
        names, globs = _encoded(channels), _encoded([*patterns])
        if not names and not globs:
            raise ValueError("a subscription has at least one channel or pattern")
        deadline = trio.current_time() + self._command_timeout_s
        async with open_subscription(
            self._following, self._node_options, self._tally, names, globs, deadline
        ) as subscription:
            yield subscription

    async def wait_master(self) -> Address:
        """Wait until a verified master is connected, and return where it is. Has no deadline."""
        return (await self._following.wait_link()).address

    def statistics(self) -> ClientStatistics:
        """Return what the client has been through, also after its block."""
        tracker, follower, tally = self._tracker, self._follower, self._tally
        connection = tracker.link.connection if tracker.link is not None else None
        return ClientStatistics(
            master=tracker.link.address if tracker.link is not None else None,
            epoch=follower.highest_epoch,
            state=follower.state.value if self._is_open else "closed",
            sentinels_known=len(follower.sentinels),
            sentinels_connected=tracker.connected_sentinel_count,
            failovers=follower.failover_count,
            reconnects=max(0, tracker.verified_count - 1),
            retries=tally.retries.total(),
            retries_by_reason=dict(tally.retries),
            leavings=dict(follower.leavings),
            stale_claims=follower.stale_claim_count,
            topology_age_s=_age_s(follower.answered_ms) if self._is_open else None,
            outages=tally.outages.copy(),
            pending=0 if connection is None else connection.pending_count,
            uncertain_writes=tally.uncertain_writes,
            unavailable=tally.unavailable,
            own_connections=tally.own_connections,
            own_connections_made=tally.own_connections_made,
            subscriptions=tally.subscriptions,
            gaps=tally.gaps,
            gap_seconds=tally.gap_seconds,
            reads=dict(tally.reads),
            usable_replicas=sum(len(reader.addresses) for reader in self._readers),
        )

    def _issue(self, *arguments: Argument) -> Coroutine[Any, Any, Received]:
        return self.execute(*arguments)

    def _unit(self, argv: Argv, repeat: bool | None) -> Unit:
        if not argv:
            raise ValueError("a command has at least a name")
        objection = reason_not_to_share(argv)
        if objection is not None:
            raise UnsupportedCommand(argv[0].decode("utf-8", "replace").upper(), objection)
        kind = kind_of(argv)
        return Unit(argvs=[argv], kind=kind, may_repeat=self._may_repeat(kind, repeat))

    def _may_repeat(self, kind: Kind, repeat: bool | None) -> bool:
        if repeat is not None:
            return repeat
        return kind is Kind.READ or (kind is Kind.LAST_WINS and self._repeat_last_wins)


def _encoded(arguments: Iterable[Argument]) -> list[bytes]:
    return [encode_argument(argument) for argument in arguments]


def _age_s(at_ms: int | None) -> float | None:
    # The follower's times are rounded up to milliseconds.
    return None if at_ms is None else max(0.0, trio.current_time() - at_ms / 1000)
