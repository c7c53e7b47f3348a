"""What stands around the commands in a replication stream: SELECT, MULTI and EXEC."""

from __future__ import annotations

from server.replication.propagation import EXEC, GETACK, MULTI, PING, StreamEncoder, encode_effect
from vedette.resp.encode import encode_command

SET = encode_command([b"SET", b"k", b"v"])
SELECT_0 = b"*2\r\n$6\r\nSELECT\r\n$1\r\n0\r\n"
SELECT_3 = b"*2\r\n$6\r\nSELECT\r\n$1\r\n3\r\n"


def test_the_first_command_brings_its_database() -> None:
    """A reader that begins here does not know which database it is in."""
    assert StreamEncoder().encode(0, SET) == SELECT_0 + SET


def test_select_comes_only_when_the_database_changes() -> None:
    """It costs bytes in each replica's stream."""
    encoder = StreamEncoder()

    stream = b"".join(encoder.encode(database, SET) for database in (0, 0, 3, 3, 0))

    assert stream == SELECT_0 + SET + SET + SELECT_3 + SET + SET + SELECT_0 + SET


def test_select_comes_again_for_a_new_reader() -> None:
    """A snapshot does not say which database the stream is in."""
    encoder = StreamEncoder()
    encoder.encode(3, SET)
    encoder.forget_database()

    assert encoder.encode(3, SET) == SELECT_3 + SET


def test_databases_beyond_the_prepared_ones_are_selected_too() -> None:
    """`databases` may be any number."""
    assert StreamEncoder().encode(1234, SET) == encode_command([b"SELECT", b"1234"]) + SET


def test_a_transaction_stands_between_multi_and_exec_with_select_before_it() -> None:
    """So a replica applies it whole, and its MULTI belongs to the right database."""
    encoder = StreamEncoder()

    stream = encoder.encode_transaction([(0, SET), (3, SET), (3, SET)])

    assert stream == SELECT_0 + MULTI + SET + SELECT_3 + SET + SET + EXEC


def test_a_single_effect_needs_no_transaction() -> None:
    """One command is atomic alone."""
    assert StreamEncoder().encode_transaction([(0, SET)]) == SELECT_0 + SET


def test_a_transaction_without_effects_leaves_nothing() -> None:
    """Read-only transactions do not concern replicas."""
    encoder = StreamEncoder()

    assert encoder.encode_transaction([]) == b""
    assert encoder.selected_database == -1


def test_the_masters_own_commands_are_spelt_as_redis_spells_them() -> None:
    """Their size counts in the offset of every replica."""
    assert PING == b"*1\r\n$4\r\nPING\r\n"
    assert GETACK == b"*3\r\n$8\r\nREPLCONF\r\n$6\r\nGETACK\r\n$1\r\n*\r\n"


def test_the_quick_way_to_encode_gives_the_same_bytes() -> None:
    """At every count of arguments and around the sizes it is made for."""
    for count in range(1, 6):
        for size in (0, 1, 9, 10, 1023, 1024, 70_000):
            for position in range(count):
                command = [b"SET"] * count
                command[position] = b"x" * size
                assert encode_effect(command) == encode_command(command)
