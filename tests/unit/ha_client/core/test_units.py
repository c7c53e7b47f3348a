"""Batches of commands across attempts: what is settled, repeated, uncertain."""

from __future__ import annotations

from ha_client.core.kinds import Kind
from ha_client.core.units import Batch, Unit
from vedette.resp.exchange import ReplyError

READONLY = ReplyError("READONLY You can't write against a read only replica.")
GET = Unit(argvs=[[b"GET", b"k"]], kind=Kind.READ, may_repeat=True)
INCR = Unit(argvs=[[b"INCR", b"k"]], kind=Kind.WRITE, may_repeat=False)


def test_batch_is_settled_by_its_replies() -> None:
    """Errors that are answers stay in place as values."""
    error = ReplyError("WRONGTYPE no")
    batch = Batch([INCR, GET])

    taken = batch.take([error, b"1"], was_sent=True)

    assert (taken.refusal, list(taken.unsettled), list(taken.uncertain)) == (None, [], [])
    assert batch.results == [error, b"1"]
    assert not batch.remaining


def test_refused_commands_remain_in_their_order() -> None:
    """On a replica reads are answered and writes are not; only the writes go elsewhere."""
    batch = Batch([INCR, GET, INCR])

    taken = batch.take([READONLY, b"1", READONLY], was_sent=True)

    assert taken.refusal == READONLY.text
    assert list(batch.remaining) == [0, 2]
    batch.take([5, 6], was_sent=True)
    assert batch.results == [5, b"1", 6]


def test_break_leaves_reads_to_repeat_and_writes_uncertain() -> None:
    """Of five commands two were answered before the connection broke."""
    batch = Batch([INCR, GET, INCR, GET, INCR])

    taken = batch.take([1, b"1"], was_sent=True)

    assert batch.results[:2] == [1, b"1"]
    assert (list(taken.uncertain), list(taken.pending)) == ([2, 4], [])
    assert list(batch.remaining) == [3]
    assert batch.argvs() == [[b"GET", b"k"]]


def test_break_before_sending_leaves_everything_to_repeat() -> None:
    """Nothing was executed."""
    batch = Batch([INCR, GET])

    taken = batch.take([], was_sent=False)

    assert (list(taken.uncertain), list(taken.pending)) == ([], [])
    assert list(batch.remaining) == [0, 1]


def test_repeated_write_stays_in_doubt_until_it_is_answered() -> None:
    """It may have been executed; a caller told "not executed" at the deadline would be misled."""
    repeated = Unit(argvs=[[b"SET", b"k", b"v"]], kind=Kind.LAST_WINS, may_repeat=True)
    batch = Batch([repeated, GET])

    taken = batch.take([], was_sent=True)

    assert (list(taken.uncertain), list(taken.pending)) == ([], [0])
    assert list(batch.remaining) == [0, 1]


def test_transaction_of_reads_is_a_read() -> None:
    """It may be repeated, and is never in doubt."""
    unit = Unit.transaction([GET, GET])

    assert (unit.kind, unit.may_repeat) == (Kind.READ, True)
    assert (TRANSACTION.kind, TRANSACTION.may_repeat) == (Kind.WRITE, False)


TRANSACTION = Unit.transaction([INCR, GET])


def test_transaction_is_sent_whole_and_answered_by_exec() -> None:
    """MULTI and QUEUED are nobody's business."""
    batch = Batch([TRANSACTION])
    assert batch.argvs() == [[b"MULTI"], [b"INCR", b"k"], [b"GET", b"k"], [b"EXEC"]]

    batch.take([b"OK", b"QUEUED", b"QUEUED", [1, b"1"]], was_sent=True)

    assert batch.results == [[1, b"1"]]


def test_transaction_refused_by_a_replica_is_repeated_whole() -> None:
    """Redis 7 refuses when queueing; older ones execute and answer READONLY inside."""
    aborted = ReplyError("EXECABORT Transaction discarded because of previous errors.")
    for replies in (
        [b"OK", READONLY, b"QUEUED", aborted],
        [b"OK", b"QUEUED", b"QUEUED", [READONLY, b"1"]],
        [b"OK", READONLY],
    ):
        batch = Batch([TRANSACTION])
        taken = batch.take(replies, was_sent=True)

        assert taken.refusal == READONLY.text
        assert list(batch.remaining) == [0]


def test_transaction_without_the_reply_of_exec_is_uncertain() -> None:
    """Queued is not executed, and not seen to be executed is not refused."""
    batch = Batch([TRANSACTION])

    taken = batch.take([b"OK", b"QUEUED", b"QUEUED"], was_sent=True)

    assert list(taken.uncertain) == [0]


def test_error_in_queueing_says_more_than_execabort() -> None:
    """`wrong number of arguments` is what the caller has to read."""
    arity = ReplyError("ERR wrong number of arguments for 'incr' command")
    aborted = ReplyError("EXECABORT Transaction discarded because of previous errors.")
    batch = Batch([TRANSACTION])

    batch.take([b"OK", arity, b"QUEUED", aborted], was_sent=True)

    assert batch.results == [arity]
