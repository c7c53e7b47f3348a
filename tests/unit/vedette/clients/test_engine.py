"""The running of requests: order, gates, accounting, waits, pauses and the end of connections."""

from __future__ import annotations

import pytest

from tests.support.kernel import KernelEngine, as_request
from vedette.clients import ClientKind, Session
from vedette.clients.session import RECEIVE_MAX_BYTES
from vedette.cmdspec import CommandRow

PONG = b"+PONG\r\n"
PING = as_request("PING")


def row_of(engine: KernelEngine, name: str) -> CommandRow:
    row = engine.table.named(name.encode())
    assert row is not None
    return row


def test_requests_run_in_order_and_their_replies_follow_in_order() -> None:
    """A pipeline is answered reply by reply, whatever mixture of replies it gives."""
    engine = KernelEngine()
    client = engine.client()

    replies = engine.send(
        client, ("STORE", "k", "v"), ("FETCH", "k"), ("FETCH", "none"), ("REFUSED",), ("PING",)
    )

    assert replies == b"+OK\r\n$1\r\nv\r\n$-1\r\n-TOY not today\r\n" + PONG


def test_names_may_be_sent_in_any_case() -> None:
    """Only the usual spellings are looked up directly; the others are found all the same."""
    engine = KernelEngine()

    assert engine.send(engine.client(), ("ping",), ("pInG",), ("client", "GetName")) == (
        PONG * 2 + b"$-1\r\n"
    )


def test_a_request_that_arrives_in_pieces_runs_once_whole() -> None:
    """What is left of an unfinished request waits in the parser."""
    engine = KernelEngine()
    client = engine.client()
    data = PING + as_request("FETCH", "k")

    replies = [engine.arrive(client, data[index : index + 1]) for index in range(len(data))]

    assert b"".join(replies) == PONG + b"$-1\r\n"
    assert [index for index, reply in enumerate(replies) if reply] == [
        len(PING) - 1,
        len(data) - 1,
    ]


def test_the_rest_of_a_large_value_is_received_in_large_pieces() -> None:
    """A system call for every 16 KB cost more than all else; the size bounds what is asked for."""
    engine = KernelEngine()
    client = engine.client()
    small = client.receive_bytes
    data = as_request("STORE", "k", b"v" * 100_000)

    engine.arrive(client, data[:small])
    assert client.receive_bytes == len(data) - small
    assert engine.arrive(client, data[small:] + PING) == b"+OK\r\n" + PONG
    assert client.receive_bytes == small

    engine.arrive(client, b"*1\r\n$500000000\r\n")
    assert client.receive_bytes == RECEIVE_MAX_BYTES


def test_a_protocol_error_is_answered_after_what_came_before_and_closes() -> None:
    """The client learns what was wrong; the replies it had earned are not lost."""
    engine = KernelEngine()
    client = engine.client()

    assert engine.arrive(client, PING + b"*1\r\n+PING\r\n" + PING) == (
        PONG + b"-ERR Protocol error: expected '$', got '+'\r\n"
    )
    assert client.is_close_requested
    assert engine.errors_by_code == {b"ERR": 1}


def test_what_is_unknown_or_of_wrong_arity_is_refused_with_the_rest_going_on() -> None:
    """One bad request of a pipeline costs just its own reply."""
    engine = KernelEngine()

    assert (
        engine.send(engine.client(), ("NOPE", "x"), ("FETCH",), ("CLIENT", "NOPE"), ("PING",))
        == (
            b"-ERR unknown command 'NOPE', with args beginning with: 'x' \r\n"
            b"-ERR wrong number of arguments for 'fetch' command\r\n"
            b"-ERR unknown subcommand 'NOPE'. Try CLIENT HELP.\r\n"
        )
        + PONG
    )


def test_a_browser_is_cut_off_before_its_request_body_is_read() -> None:
    """A page that makes a browser post to our port must not get commands in with the body."""
    for line in (b"POST / HTTP/1.1\r\n", b"Host: example.org\r\n"):
        engine = KernelEngine()
        client = engine.client()

        assert engine.arrive(client, line + b"STORE k v\r\n") == b""
        assert client.is_close_requested
        assert engine.stored == {}


def test_before_authentication_only_the_handshake_runs() -> None:
    """Strangers learn no more than Redis tells them: unknown names and arity come before NOAUTH."""
    engine = KernelEngine(password=b"secret")
    client = engine.client()

    assert engine.send(client, ("FETCH", "k"), ("FETCH",), ("NOPE",)) == (
        b"-NOAUTH Authentication required.\r\n"
        b"-ERR wrong number of arguments for 'fetch' command\r\n"
        b"-ERR unknown command 'NOPE', with args beginning with: \r\n"
    )
    assert engine.send(client, ("AUTH", "secret"), ("FETCH", "k")) == b"+OK\r\n$-1\r\n"


def test_calls_refusals_and_failures_are_told_apart() -> None:
    """INFO commandstats is what operators find a misbehaving client by."""
    engine = KernelEngine()
    client = engine.client()
    engine.send(client, ("FETCH", "a"), ("FETCH",), ("NOPE",), ("REFUSED",), ("FETCH", "b"))

    fetch, refused = row_of(engine, "fetch"), row_of(engine, "refused")

    assert (fetch.calls, fetch.rejected_calls, fetch.failed_calls) == (2, 1, 0)
    assert (refused.calls, refused.rejected_calls, refused.failed_calls) == (1, 0, 1)
    assert fetch.seconds > 0
    assert engine.commands_processed == 3
    assert engine.error_replies == 3
    assert engine.errors_by_code == {b"ERR": 2, b"TOY": 1}
    for text in (b"nothing-but-a-word", b"A" * 31 + b" x", b"A" * 30 + b" x"):
        engine.error_reply(text)
    assert engine.errors_by_code == {b"ERR": 4, b"TOY": 1, b"A" * 30: 1}


def test_the_time_of_a_pipeline_is_shared_out_once() -> None:
    """Calls of one command in a row are timed together, and no moment counts for two commands."""
    engine = KernelEngine()
    engine.send(
        engine.client(), ("FETCH", "a"), ("FETCH", "a"), ("STORE", "a", "1"), ("FETCH", "a")
    )

    fetch, store = row_of(engine, "fetch"), row_of(engine, "store")

    # The clock goes on by a millisecond whenever it is read.
    assert (fetch.calls, store.calls) == (3, 1)
    assert (fetch.seconds, store.seconds) == pytest.approx((0.002, 0.001))


def test_calls_before_a_transaction_are_counted_once() -> None:
    """What MULTI makes a client's next commands pass is accounted for apart from the loop's."""
    engine = KernelEngine()
    engine.send(engine.client(), ("FETCH", "a"), ("MULTI",), ("EXEC",), ("FETCH", "a"))

    assert row_of(engine, "fetch").calls == 2
    assert row_of(engine, "multi").calls == 1
    assert row_of(engine, "exec").calls == 1
    assert engine.commands_processed == 4


def test_calls_before_a_subscription_are_counted_once() -> None:
    """A command may itself put its client among those that are looked at with care."""
    engine = KernelEngine()
    engine.send(engine.client(), ("SUBSCRIBE", "a"), ("SUBSCRIBE", "b"), ("SUBSCRIBE", "c"))

    assert row_of(engine, "subscribe").calls == 3


def test_writes_are_accounted_for_once_each() -> None:
    """What propagates hangs on it."""
    engine = KernelEngine()
    client = engine.client()
    engine.send(client, ("STORE", "a", "1"), ("FETCH", "a"), ("STORE", "b", "2"))

    assert engine.written == [(client.id, "store")] * 2


def test_a_crashing_command_closes_its_own_client_only() -> None:
    """A bug must neither end the server nor leave a client with an unknown state going on."""
    crashes: list[tuple[int, str, str]] = []

    def note(session: Session, row: CommandRow, error: Exception) -> None:
        crashes.append((session.id, row.full_name, str(error)))

    engine = KernelEngine(on_crash=note)
    client, other = engine.client(), engine.client()

    assert engine.send(client, ("CRASH",), ("STORE", "k", "v")) == (
        b"-ERR internal error, see the log\r\n"
    )
    assert crashes == [(client.id, "crash", "a bug")]
    assert client.is_close_requested
    assert engine.stored == {}
    assert engine.send(other, ("PING",)) == PONG


def test_a_crash_is_raised_where_nobody_hears_of_it() -> None:
    """Tests see bugs as what they are."""
    engine = KernelEngine()

    with pytest.raises(ZeroDivisionError):
        engine.send(engine.client(), ("CRASH",))


def test_nothing_is_answered_behind_quit() -> None:
    """Neither known nor unknown commands that came in the same segment."""
    engine = KernelEngine()
    client = engine.client()

    assert engine.send(client, ("QUIT",), ("STORE", "k", "v"), ("NOPE",), ("FETCH",)) == b"+OK\r\n"
    assert client.is_close_requested
    assert engine.stored == {}


def test_the_query_buffer_is_bounded() -> None:
    """Whoever announces a huge value and keeps sending is closed without a word, as in Redis."""
    engine = KernelEngine()
    engine.settings.query_buffer_limit_bytes = 1000
    client, other = engine.client(), engine.client()
    engine.arrive(client, b"*1\r\n$100000\r\n" + b"x" * 900)
    assert not client.is_close_requested

    assert engine.arrive(client, b"x" * 200) == b""
    assert client.is_leaving
    assert engine.send(other, ("PING",)) == PONG


# --- transactions --------------------------------------------------------------------------------


def test_queued_commands_count_when_they_run() -> None:
    """QUEUED is no call; the transaction's commands are counted by EXEC."""
    engine = KernelEngine()
    client = engine.client()

    assert engine.send(client, ("MULTI",), ("STORE", "k", "v")) == b"+OK\r\n+QUEUED\r\n"
    assert row_of(engine, "store").calls == 0

    assert engine.send(client, ("EXEC",)) == b"*1\r\n+OK\r\n"
    assert row_of(engine, "store").calls == 1
    assert engine.commands_processed == 3


@pytest.mark.parametrize("bad", [("NOPE",), ("FETCH",), ("ONLYOUTSIDE",), ("CLIENT", "NOPE")])
def test_a_refused_command_dooms_the_transaction(bad: tuple[str, ...]) -> None:
    """A client that does not look at each reply must not have half its commands run."""
    engine = KernelEngine()
    client = engine.client()
    replies = engine.send(client, ("MULTI",), bad, ("STORE", "k", "v"), ("EXEC",))

    assert replies.endswith(
        b"+QUEUED\r\n-EXECABORT Transaction discarded because of previous errors.\r\n"
    )
    assert engine.stored == {}


def test_a_refused_exec_ends_the_transaction() -> None:
    """Its client must not go on queueing into what it believes to be over."""
    engine = KernelEngine()
    client = engine.client()

    assert engine.send(client, ("MULTI",), ("STORE", "k", "v"), ("EXEC", "x"), ("PING",)) == (
        b"+OK\r\n+QUEUED\r\n-EXECABORT Transaction discarded because of: "
        b"wrong number of arguments for 'exec' command\r\n+PONG\r\n"
    )


def test_a_command_does_not_wait_inside_a_transaction() -> None:
    """It answers as if its timeout had passed."""
    engine = KernelEngine()

    assert engine.send(engine.client(), ("MULTI",), ("HOLD",), ("EXEC",)) == (
        b"+OK\r\n+QUEUED\r\n*1\r\n*-1\r\n"
    )


# --- waiting -------------------------------------------------------------------------------------


def test_requests_behind_a_wait_run_after_it_and_in_order() -> None:
    """Those of the same segment as well as those that arrive while it lasts."""
    engine = KernelEngine()
    client = engine.client()

    assert engine.send(client, ("HOLD",), ("STORE", "k", "1")) == b""
    assert engine.send(client, ("FETCH", "k")) == b""
    assert engine.stored == {}

    engine.release(7)

    assert engine.sent_to(client) == b":7\r\n+OK\r\n$1\r\n1\r\n"


def test_a_protocol_error_is_not_answered_where_the_next_reply_is_to_be_left_out() -> None:
    """It is a reply like any other; the client is closed all the same."""
    engine = KernelEngine()
    client = engine.client()
    data = as_request("CLIENT", "REPLY", "SKIP") + b"*1\r\n+PING\r\n"

    assert engine.arrive(client, data) == b""
    assert client.is_close_requested


def test_a_protocol_error_behind_a_wait_is_answered_after_it() -> None:
    """What the client waits for is still to come, and it is closed only then, as by Redis."""
    engine = KernelEngine()
    client = engine.client()
    assert engine.arrive(client, as_request("HOLD") + PING + b"*1\r\n+PING\r\n") == b""
    assert engine.arrive(client, PING) == b""
    assert not client.is_close_requested

    engine.release(5)
    assert engine.sent_to(client) == (
        b":5\r\n" + PONG + b"-ERR Protocol error: expected '$', got '+'\r\n"
    )
    assert client.is_close_requested


def test_a_protocol_error_that_arrives_during_a_wait_is_answered_after_it() -> None:
    """Also where nothing else waits behind."""
    engine = KernelEngine()
    client = engine.client()
    assert engine.arrive(client, as_request("HOLD")) == b""
    assert engine.arrive(client, b"*1\r\n+PING\r\n") == b""

    engine.release(5)
    assert engine.sent_to(client) == b":5\r\n-ERR Protocol error: expected '$', got '+'\r\n"
    assert client.is_close_requested


def test_a_client_that_is_to_be_closed_is_served_no_more() -> None:
    """What it would take from a list would be lost with it."""
    engine = KernelEngine()
    client = engine.client()
    engine.send(client, ("HOLD",))
    wait = client.blocked
    assert wait is not None
    engine.clients.request_close(client)

    engine.release(5)
    assert client.blocked is wait


def test_others_are_served_while_a_client_waits() -> None:
    """A wait is the business of one connection."""
    engine = KernelEngine()
    engine.send(engine.client(), ("HOLD",))

    assert engine.send(engine.client(), ("PING",)) == PONG


def test_waits_end_in_the_order_in_which_they_began() -> None:
    """Redis serves blocked clients first come, first served; a second wait queues up again."""
    engine = KernelEngine()
    clients = [engine.client() for _ in range(3)]
    for client in clients:
        engine.send(client, ("HOLD",), ("STORE", "last", client.id))

    engine.release(1)

    assert [number for number, _ in engine.written] == [client.id for client in clients]


def test_a_wait_that_is_not_over_goes_on() -> None:
    """Being woken is no promise."""
    engine = KernelEngine()
    client = engine.client()
    engine.send(client, ("HOLD",))
    engine.wake("hold")
    engine.wake("something else")
    engine.end_batch()

    assert engine.sent_to(client) == b""
    assert client.blocked is not None


def test_a_wait_ends_at_its_deadline() -> None:
    """The reply is then what the command gives for a timeout; what waited behind it runs."""
    engine = KernelEngine()
    client, other = engine.client(), engine.client()
    engine.send(client, ("HOLD", 500), ("PING",))
    engine.send(other, ("HOLD",))
    assert engine.next_deadline_ms() == engine.now_ms + 500

    engine.advance(499)
    assert engine.sent_to(client) == b""

    engine.advance(1)
    assert engine.sent_to(client) == b"*-1\r\n" + PONG
    assert engine.next_deadline_ms() is None
    assert list(engine.blocked_sessions()) == [other]


def test_a_command_that_ends_another_clients_wait_finishes_first() -> None:
    """Were the other's requests run in between, the caller's next ones would run in its name."""
    engine = KernelEngine()
    waiting, caller = engine.client(), engine.client()
    engine.send(waiting, ("HOLD",), ("STORE", "by", "waiting"))

    replies = engine.send(
        caller, ("CLIENT", "UNBLOCK", waiting.id), ("FETCH", "by"), ("CLIENT", "ID")
    )

    assert replies == b":1\r\n$-1\r\n:%d\r\n" % caller.id
    assert engine.written == [(waiting.id, "store")]


def test_a_client_that_leaves_is_no_longer_waited_for() -> None:
    """Nor are the requests it left behind run."""
    engine = KernelEngine()
    client = engine.client()
    engine.send(client, ("HOLD", 500), ("STORE", "k", "v"))

    engine.disconnect(client)
    engine.release(1)
    engine.advance(1000)

    assert engine.stored == {}
    assert client.outbox == []
    assert list(engine.clients) == []


def test_what_arrives_for_a_waiting_client_is_bounded() -> None:
    """Requests kept behind a wait count like unfinished ones."""
    engine = KernelEngine()
    engine.settings.query_buffer_limit_bytes = 1000
    client = engine.client()
    engine.send(client, ("HOLD",))
    for _ in range(5):
        engine.send(client, ("STORE", "k", "x" * 300))

    assert client.is_leaving


# --- CLIENT PAUSE --------------------------------------------------------------------------------


def test_writes_wait_for_the_end_of_a_pause() -> None:
    """A planned failover pauses writes while the replica catches up."""
    engine = KernelEngine()
    client = engine.client()
    engine.pause(engine.now_ms + 1000, writes_only=True)

    assert engine.send(client, ("FETCH", "k"), ("STORE", "k", "v"), ("FETCH", "k")) == b"$-1\r\n"
    assert row_of(engine, "store").calls == 0

    engine.advance(1000)

    assert engine.sent_to(client) == b"+OK\r\n$1\r\nv\r\n"
    assert row_of(engine, "store").calls == 1
    assert not engine.needs_care


def test_a_pause_of_everything_spares_client_commands() -> None:
    """In Redis such a pause cannot be ended before its time, for UNPAUSE waits as well."""
    engine = KernelEngine()
    client = engine.client()
    engine.pause(engine.now_ms + 1_000_000, writes_only=False)

    assert engine.send(client, ("CLIENT", "ID"), ("FETCH", "k")) == b":%d\r\n" % client.id

    engine.unpause()
    engine.end_batch()
    assert engine.sent_to(client) == b"$-1\r\n"


def test_a_pause_is_only_made_longer_and_wider() -> None:
    """As in Redis 7.0: a second CLIENT PAUSE cannot cut short what the first asked for."""
    engine = KernelEngine()
    client = engine.client()
    engine.pause(engine.now_ms + 1000, writes_only=False)
    engine.pause(engine.now_ms + 10, writes_only=True)
    engine.send(client, ("FETCH", "k"))

    engine.advance(999)
    assert engine.sent_to(client) == b""

    engine.advance(1)
    assert engine.sent_to(client) == b"$-1\r\n"


def test_a_longer_pause_holds_what_already_waits() -> None:
    """The deadline known when the wait began is not the last word."""
    engine = KernelEngine()
    client = engine.client()
    engine.pause(engine.now_ms + 100, writes_only=True)
    engine.send(client, ("STORE", "k", "v"))
    engine.pause(engine.now_ms + 1000, writes_only=True)

    engine.advance(100)
    assert engine.stored == {}

    engine.advance(900)
    assert engine.stored == {b"k": b"v"}


def test_a_paused_command_meets_the_gates_when_it_runs() -> None:
    """The node may have been demoted in the meantime."""
    engine = KernelEngine(password=b"secret")
    client = engine.client()
    assert engine.send(client, ("AUTH", "secret")) == b"+OK\r\n"
    engine.pause(engine.now_ms + 100, writes_only=True)
    engine.send(client, ("STORE", "k", "v"))
    engine.gate.take_default_user(client)

    engine.advance(100)

    assert engine.sent_to(client) == b"-NOAUTH Authentication required.\r\n"
    assert engine.stored == {}


def test_transactions_are_paused_by_what_they_queue() -> None:
    """Redis holds back a write already when it is to be queued."""
    engine = KernelEngine()
    client = engine.client()
    engine.send(client, ("MULTI",), ("STORE", "k", "v"))
    engine.pause(engine.now_ms + 100, writes_only=True)

    assert engine.send(client, ("FETCH", "k"), ("EXEC",)) == b"+QUEUED\r\n"

    engine.advance(100)
    assert engine.sent_to(client) == b"*2\r\n+OK\r\n$1\r\nv\r\n"


@pytest.mark.parametrize("kind", [ClientKind.REPLICA, ClientKind.MASTER])
def test_replication_is_not_paused(kind: ClientKind) -> None:
    """REPLCONF ACK of a replica is what a planned failover waits for."""
    engine = KernelEngine()
    client = engine.client(kind=kind)
    engine.pause(engine.now_ms + 100, writes_only=False)

    assert engine.send(client, ("PING",)) == PONG


def test_a_client_leaves_while_it_is_paused() -> None:
    """Its command is not run, and the others go on."""
    engine = KernelEngine()
    client, other = engine.client(), engine.client()
    engine.pause(engine.now_ms + 100, writes_only=True)
    engine.send(client, ("STORE", "a", "1"))
    engine.send(other, ("STORE", "b", "2"))
    engine.disconnect(client)

    engine.advance(100)

    assert engine.stored == {b"b": b"2"}


def test_lone_requests_are_run_and_accounted_for_as_pipelined_ones() -> None:
    """A request that comes alone takes a shorter way through the engine, to the same end."""
    words = [
        ("FETCH", "a"),
        ("STORE", "a", "1"),
        ("FETCH", "a"),
        ("REFUSED",),
        ("FETCH",),
        ("NOPE",),
        ("client", "id"),
        ("FETCH", "a"),
    ]
    alone, together = KernelEngine(), KernelEngine()
    lone_client, pipelining_client = alone.client(), together.client()

    one_by_one = b"".join(alone.send(lone_client, each) for each in words)
    at_once = together.send(pipelining_client, *words)

    assert one_by_one == at_once
    assert lone_client.last_command == pipelining_client.last_command == "fetch"
    assert alone.commands_processed == together.commands_processed == 6
    assert alone.errors_by_code == together.errors_by_code
    assert alone.written == together.written
    for name in ("fetch", "store", "refused", "client|id"):
        one, other = row_of(alone, name), row_of(together, name)
        assert (one.calls, one.rejected_calls, one.failed_calls) == (
            other.calls,
            other.rejected_calls,
            other.failed_calls,
        )


def test_a_client_that_went_away_in_the_middle_of_a_batch_runs_nothing_more() -> None:
    """A slow script serves others meanwhile, and a wait of nobody would take what others need."""
    engine = KernelEngine()
    gone, left = engine.client(), engine.client()
    engine.disconnect(gone)

    store = as_request("STORE", "k", "v")
    engine.receive_all([(gone, store), (left, PING), (gone, store + PING)])

    assert gone.outbox == []
    assert engine.send(left, ("FETCH", "k")) == PONG + b"$-1\r\n"
