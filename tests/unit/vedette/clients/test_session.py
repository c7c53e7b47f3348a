"""A client's state, and the registry of all clients."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from vedette.clients import Block, ClientKind, ClientRegistry, ReplyMode, Session
from vedette.resp.replies import NO_REPLY


def open_session(registry: ClientRegistry) -> Session:
    return registry.open(address="a:1", local_address="b:2", now_ms=5)


def set_reply_mode(session: Session) -> None:
    session.reply_mode = ReplyMode.SKIP_NEXT


def set_kind(session: Session) -> None:
    session.kind = ClientKind.REPLICA


def set_deaf(session: Session) -> None:
    session.is_deaf = True


def set_queue(session: Session) -> None:
    session.queued_commands = []


def set_blocked(session: Session) -> None:
    session.blocked = Block(("x",), lambda now_ms: NO_REPLY)


def set_closing(session: Session) -> None:
    session.is_close_requested = True


def set_stranger(session: Session) -> None:
    session.is_authenticated = False


def set_subscribed(session: Session) -> None:
    session.channels[b"a"] = None


@pytest.mark.parametrize(
    "change",
    [
        set_reply_mode,
        set_kind,
        set_deaf,
        set_queue,
        set_blocked,
        set_closing,
        set_stranger,
        set_subscribed,
    ],
)
def test_whatever_is_out_of_the_ordinary_calls_for_care(change: Callable[[Session], None]) -> None:
    """The fast path looks at this one flag; what it does not say does not happen."""
    session = Session(1)
    assert not session.needs_care
    change(session)
    session.recheck()

    assert session.needs_care


@pytest.mark.parametrize(
    "change",
    [set_reply_mode, set_kind, set_deaf, set_blocked, set_closing, set_stranger, set_subscribed],
)
def test_a_transaction_needs_no_care_but_queueing_unless_there_is_more(
    change: Callable[[Session], None],
) -> None:
    """What is queued without a look at any gate would otherwise pass those that concern it."""
    session = Session(1)
    session.recheck()
    assert not session.is_only_queueing
    set_queue(session)
    session.recheck()
    assert session.is_only_queueing
    change(session)
    session.recheck()

    assert not session.is_only_queueing


def test_subscriptions_make_a_normal_client_one_of_pubsub() -> None:
    """A replica stays a replica, whatever it listens to."""
    plain, replica = Session(1), Session(2)
    replica.kind = ClientKind.REPLICA
    for session in (plain, replica):
        session.patterns[b"*"] = None

    assert (plain.kind, replica.kind) == (ClientKind.PUBSUB, ClientKind.REPLICA)


def test_what_the_parser_allows_follows_authentication() -> None:
    """Small requests only, until then."""
    session = Session(1, is_authenticated=False)
    assert not session.parser.is_authenticated
    session.take_user(None, is_authenticated=True)
    assert session.parser.is_authenticated
    session.take_user(None, is_authenticated=False)

    assert not session.parser.is_authenticated
    assert session.needs_care


def test_nobody_who_is_gone_or_silent_is_replied_to() -> None:
    """An outbox that nobody empties would grow."""
    for change in (set_deaf, set_closing):
        session = Session(1)
        change(session)
        session.add_reply(1)
        assert session.outbox == []
    session = Session(1)
    session.add_reply(1)

    assert session.outbox == [b":1\r\n"]


def test_a_session_leaves_once_nothing_is_owed() -> None:
    """Until then it is listed, and can be killed."""
    session = Session(1)
    session.backlog.append(b"x")
    session.is_close_requested = True
    assert not session.is_leaving
    session.drop_output()

    assert session.is_leaving


def test_a_client_that_is_killed_is_found_no_more() -> None:
    """Not by what follows in the same batch either; one that is still owed a reply is."""
    registry = ClientRegistry()
    killed, answered = open_session(registry), open_session(registry)
    answered.outbox.append(b"+OK\r\n")

    registry.request_close(killed, is_abrupt=True)
    registry.request_close(answered)

    assert registry.by_id(killed.id) is None
    assert registry.by_id(answered.id) is answered


def test_ids_only_rise() -> None:
    """CLIENT KILL ID must never hit a newcomer."""
    registry = ClientRegistry()
    first = open_session(registry)
    registry.remove(first)
    second = open_session(registry)

    assert second.id > first.id
    assert registry.by_id(first.id) is None
    assert registry.by_id(second.id) is second
    assert list(registry) == [second]
    assert registry.accepted_count == 2
    assert first.is_closed


def test_sessions_with_output_are_handed_out_once() -> None:
    """In the order in which they first had some."""
    registry = ClientRegistry()
    first, second = open_session(registry), open_session(registry)
    for session in (second, first, second):
        registry.note_unsent(session)

    assert registry.take_unsent() == [second, first]
    assert registry.take_unsent() == []

    registry.note_unsent(first)
    assert registry.take_unsent() == [first]


def test_closing_is_noted_for_whoever_owns_the_socket() -> None:
    """Gently once all is sent, or abruptly with everything dropped."""
    registry = ClientRegistry()
    gentle, abrupt = open_session(registry), open_session(registry)
    for session in (gentle, abrupt):
        session.outbox.append(b"x")
    registry.request_close(gentle)
    registry.request_close(abrupt, is_abrupt=True)

    assert registry.take_unsent() == [gentle, abrupt]
    assert (gentle.has_output, abrupt.has_output) == (True, False)


def test_reset_forgets_what_the_client_had_chosen() -> None:
    """A pool gives its connections back as if they were new."""
    session = Session(1)
    session.name = b"me"
    session.protocol = 3
    session.database_index = 5
    session.is_no_touch = True
    session.is_no_evict = True

    session.reset()
    assert (session.name, session.protocol, session.database_index) == (b"", 2, 0)
    assert not session.is_no_touch
    assert not session.is_no_evict
