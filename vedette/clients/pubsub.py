"""Who is subscribed to what, and the delivery of messages (Redis' `pubsub.c`)."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial

from ..glob import matches_glob
from ..resp.encode import encode_reply
from ..resp.replies import PushReply, Reply
from .session import Session


class PubSub:
    """Subscriptions of one server's clients.

    `on_delivery(session)` is called for each session that got bytes into its outbox, so that
    whoever sends learns of them. `put_off(session, act)` has `act` done later and returns True if
    `session` runs a command: what that makes it hear comes behind the reply, as by Redis 7.2.
    """

    def __init__(
        self,
        on_delivery: Callable[[Session], None],
        put_off: Callable[[Session, Callable[[], None]], bool] = lambda session, act: False,
    ) -> None:
        self._on_delivery = on_delivery
        self._put_off = put_off
        self._by_channel: dict[bytes, dict[Session, None]] = {}
        self._by_pattern: dict[bytes, dict[Session, None]] = {}
        self._by_shard_channel: dict[bytes, dict[Session, None]] = {}

    @property
    def channel_count(self) -> int:
        """Channels with at least one subscriber."""
        return len(self._by_channel)

    @property
    def pattern_count(self) -> int:
        """Distinct patterns with at least one subscriber."""
        return len(self._by_pattern)

    @property
    def shard_channel_count(self) -> int:
        """Shard channels with at least one subscriber."""
        return len(self._by_shard_channel)

    def channels(self, pattern: bytes | None = None, *, is_shard: bool = False) -> list[bytes]:
        """Return active channels, those that match the glob `pattern` if given."""
        names = self._by_shard_channel if is_shard else self._by_channel
        return [name for name in names if pattern is None or matches_glob(pattern, name)]

    def subscriber_count(self, channel: bytes, *, is_shard: bool = False) -> int:
        """Return how many are subscribed to `channel` itself, patterns left out."""
        index = self._by_shard_channel if is_shard else self._by_channel
        return len(index.get(channel, ()))

    def subscribe(self, session: Session, channels: Iterable[bytes]) -> list[Reply]:
        """Subscribe and return one confirmation for each of `channels`."""
        return self._add(session, channels, session.channels, self._by_channel, b"subscribe")

    def subscribe_patterns(self, session: Session, patterns: Iterable[bytes]) -> list[Reply]:
        """Subscribe to globs and return one confirmation for each of `patterns`."""
        return self._add(session, patterns, session.patterns, self._by_pattern, b"psubscribe")

    def unsubscribe(self, session: Session, channels: Iterable[bytes]) -> list[Reply]:
        """Unsubscribe from `channels` (empty: from all) and return the confirmations."""
        return self._remove(session, channels, session.channels, self._by_channel, b"unsubscribe")

    def unsubscribe_patterns(self, session: Session, patterns: Iterable[bytes]) -> list[Reply]:
        """Unsubscribe from `patterns` (empty: from all) and return the confirmations."""
        return self._remove(session, patterns, session.patterns, self._by_pattern, b"punsubscribe")

    def subscribe_shard(self, session: Session, channels: Iterable[bytes]) -> list[Reply]:
        """Subscribe to shard channels and return one confirmation for each of `channels`."""
        own = session.shard_channels
        return self._add(session, channels, own, self._by_shard_channel, b"ssubscribe")

    def unsubscribe_shard(self, session: Session, channels: Iterable[bytes]) -> list[Reply]:
        """Unsubscribe from shard channels (empty: from all) and return the confirmations."""
        own = session.shard_channels
        return self._remove(session, channels, own, self._by_shard_channel, b"sunsubscribe")

    def forget(self, session: Session) -> None:
        """Drop every subscription of a session that is gone, without confirmations."""
        for names, index in (
            (session.channels, self._by_channel),
            (session.patterns, self._by_pattern),
            (session.shard_channels, self._by_shard_channel),
        ):
            for name in names:
                _discard(index, name, session)
            names.clear()
        session.recheck()

    def publish(self, channel: bytes, message: bytes) -> int:
        """Deliver `message` to all who listen; return how many deliveries were made."""
        receivers = 0
        direct = self._by_channel.get(channel)
        if direct:
            receivers += self._deliver(direct, [b"message", channel, message])
        for pattern, sessions in self._by_pattern.items():
            if matches_glob(pattern, channel):
                receivers += self._deliver(sessions, [b"pmessage", pattern, channel, message])
        return receivers

    def publish_to_shard(self, channel: bytes, message: bytes) -> int:
        """Deliver `message` to all who listen to a shard channel; return how many those are."""
        listeners = self._by_shard_channel.get(channel, {})
        return self._deliver(listeners, [b"smessage", channel, message])

    def _deliver(self, sessions: Iterable[Session], items: list[Reply]) -> int:
        encoded: dict[int, bytes] = {}
        count = 0
        for session in sessions:
            count += 1
            data = encoded.get(session.protocol)
            if data is None:
                data = encoded[session.protocol] = encode_reply(PushReply(items), session.protocol)
            # In RESP2 whoever is subscribed can run nothing that would be heard by anyone.
            if session.protocol == 2 or not self._put_off(
                session, partial(self._send, session, data)
            ):
                self._send(session, data)
        return count

    def _send(self, session: Session, data: bytes) -> None:
        if not session.is_close_requested:
            session.outbox.append(data)
            self._on_delivery(session)

    @staticmethod
    def _add(
        session: Session,
        names: Iterable[bytes],
        own: dict[bytes, None],
        index: dict[bytes, dict[Session, None]],
        verb: bytes,
    ) -> list[Reply]:
        confirmations: list[Reply] = []
        for name in names:
            own[name] = None
            index.setdefault(name, {})[session] = None
            confirmations.append(PushReply([verb, name, _count(session, own)]))
        session.recheck()
        return confirmations

    @staticmethod
    def _remove(
        session: Session,
        names: Iterable[bytes],
        own: dict[bytes, None],
        index: dict[bytes, dict[Session, None]],
        verb: bytes,
    ) -> list[Reply]:
        confirmations: list[Reply] = []
        for name in list(names) or list(own):
            own.pop(name, None)
            _discard(index, name, session)
            confirmations.append(PushReply([verb, name, _count(session, own)]))
        session.recheck()
        # Redis answers even when there was nothing to leave, with a null in the name's place.
        return confirmations or [PushReply([verb, None, _count(session, own)])]


def _count(session: Session, own: dict[bytes, None]) -> int:
    """Return the number that a confirmation tells: shard channels are counted by themselves."""
    return len(own) if own is session.shard_channels else session.subscription_count


def _discard(index: dict[bytes, dict[Session, None]], name: bytes, session: Session) -> None:
    sessions = index.get(name)
    if sessions is None:
        return
    sessions.pop(session, None)
    if not sessions:
        del index[name]
