"""Who is subscribed to what, and what they get."""

from __future__ import annotations

from vedette.clients import PubSub, Session
from vedette.resp.replies import PushReply


def make() -> tuple[PubSub, list[Session]]:
    """Return a registry and the list that notes who got something to send."""
    told: list[Session] = []
    return PubSub(told.append), told


def test_confirmations_count_channels_and_patterns_together() -> None:
    """Clients tell by the number whether they have left subscribed mode."""
    pubsub, _ = make()
    session = Session(1)

    assert pubsub.subscribe(session, [b"a", b"b", b"a"]) == [
        PushReply([b"subscribe", b"a", 1]),
        PushReply([b"subscribe", b"b", 2]),
        PushReply([b"subscribe", b"a", 2]),
    ]
    assert pubsub.subscribe_patterns(session, [b"*"]) == [PushReply([b"psubscribe", b"*", 3])]
    assert pubsub.unsubscribe(session, [b"b"]) == [PushReply([b"unsubscribe", b"b", 2])]


def test_leaving_everything_goes_in_the_order_of_joining() -> None:
    """The order must not depend on hash seeds."""
    pubsub, _ = make()
    session = Session(1)
    names = [b"c%d" % index for index in range(20)]
    pubsub.subscribe(session, names)

    confirmations = pubsub.unsubscribe(session, [])

    assert confirmations == [
        PushReply([b"unsubscribe", name, 19 - index]) for index, name in enumerate(names)
    ]
    assert pubsub.unsubscribe(session, []) == [PushReply([b"unsubscribe", None, 0])]


def test_a_message_reaches_channels_and_patterns_in_each_protocol() -> None:
    """One client may get a message twice, by name and by pattern; both deliveries count."""
    pubsub, told = make()
    old, new = Session(1), Session(2)
    new.protocol = 3
    pubsub.subscribe(old, [b"news"])
    pubsub.subscribe(new, [b"news"])
    pubsub.subscribe_patterns(new, [b"n*", b"x*"])

    assert pubsub.publish(b"news", b"hi") == 3
    assert old.outbox == [b"*3\r\n$7\r\nmessage\r\n$4\r\nnews\r\n$2\r\nhi\r\n"]
    assert new.outbox == [
        b">3\r\n$7\r\nmessage\r\n$4\r\nnews\r\n$2\r\nhi\r\n",
        b">4\r\n$8\r\npmessage\r\n$2\r\nn*\r\n$4\r\nnews\r\n$2\r\nhi\r\n",
    ]
    assert told == [old, new, new]


def test_a_client_that_is_to_be_closed_gets_nothing_more() -> None:
    """Behind the reply to QUIT nothing follows; Redis counts the receiver all the same."""
    pubsub, told = make()
    session = Session(1)
    pubsub.subscribe(session, [b"a"])
    session.is_close_requested = True

    assert pubsub.publish(b"a", b"x") == 1
    assert session.outbox == []
    assert told == []


def test_a_session_that_is_gone_is_forgotten() -> None:
    """Channels nobody listens to any more are not listed."""
    pubsub, _ = make()
    session, other = Session(1), Session(2)
    pubsub.subscribe(session, [b"a", b"b"])
    pubsub.subscribe_patterns(session, [b"p"])
    pubsub.subscribe(other, [b"b"])

    pubsub.forget(session)

    assert pubsub.channels() == [b"b"]
    assert pubsub.pattern_count == 0
    assert session.subscription_count == 0


def test_channels_are_listed_by_pattern() -> None:
    """PUBSUB CHANNELS and NUMSUB ask for these."""
    pubsub, _ = make()
    pubsub.subscribe(Session(1), [b"news.it", b"news.fr", b"chat"])
    pubsub.subscribe(Session(2), [b"chat"])

    assert pubsub.channels(b"news.*") == [b"news.it", b"news.fr"]
    assert pubsub.channel_count == 3
    assert [pubsub.subscriber_count(name) for name in (b"chat", b"none")] == [2, 0]


def test_subscribed_clients_are_looked_at_more_closely() -> None:
    """RESP2 ones may do little else; what RESP3 ones cause themselves comes behind the reply."""
    pubsub, _ = make()
    old, new = Session(1), Session(2)
    new.protocol = 3
    for session in (old, new):
        pubsub.subscribe(session, [b"a"])

    assert (old.needs_care, new.needs_care) == (True, True)

    for session in (old, new):
        pubsub.unsubscribe(session, [])
    assert (old.needs_care, new.needs_care) == (False, False)
