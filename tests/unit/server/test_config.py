"""The server's configuration: what starts it, what stops the start, and what a change does."""

from __future__ import annotations

import pytest

from server import directives
from server.config import ChangeRefused, Configuration, apply_to_serving, load_configuration
from vedette.clients import ClientKind, ServingSettings
from vedette.conf import BufferLimit, SavePoint, parse_text
from vedette.errors import CommandError, ConfigError
from vedette.types import Address


def load(text: str) -> Configuration:
    return load_configuration(parse_text(text, "vedette.conf"))


def refusal(text: str) -> ConfigError:
    with pytest.raises(ConfigError) as caught:
        load(text)
    return caught.value


def test_defaults_are_those_of_redis() -> None:
    """Whoever starts a server without a file gets what redis-server would be."""
    configuration = load("")

    assert configuration[directives.PORT] == 6379
    assert configuration[directives.SAVE] == (
        SavePoint(3600, 1),
        SavePoint(300, 100),
        SavePoint(60, 10_000),
    )
    assert configuration[directives.REPLICA_OF] is None


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("nosuch 1", "Bad directive or wrong number of arguments"),
        ("port", "wrong number of arguments"),
        ("port 65536", "argument must be between 0 and 65535 inclusive"),
        ("port http", "argument couldn't be parsed into an integer"),
        ("replicaof 127.0.0.1", "wrong number of arguments"),
        ("slaveof 127.0.0.1 http", "Invalid master port"),
        ("dbfilename data/dump.rdb", "dbfilename can't be a path, just a filename"),
        ("save 60", "Invalid save parameters"),
        ("shutdown-on-sigterm save nosave", "SAVE and NOSAVE can't be used"),
        ("shutdown-on-sigint now then", "argument(s) must be one of the following"),
        ("cluster-enabled yes", "no cluster mode"),
        ("locale-collate de_DE.UTF-8", "ordered by its bytes"),
        ("tls-ciphersuites TLS_AES_128_GCM_SHA256", "cannot be chosen"),
        ("loadmodule /lib/x.so", "no modules"),
    ],
)
def test_what_cannot_be_used_stops_the_start(line: str, reason: str) -> None:
    """With the file, the line and why; nothing is dropped in silence."""
    error = refusal(f"# a comment\n\n{line}\n")

    assert (error.file, error.line) == ("vedette.conf", 3)
    assert error.statement == line
    assert reason in error.reason


def test_old_names_mean_the_same() -> None:
    """Files written for Redis 4 are still about."""
    configuration = load("slaveof 10.0.0.1 6380\nslave-priority 7\nmin-slaves-to-write 2")

    assert configuration[directives.REPLICA_OF] == Address("10.0.0.1", 6380)
    assert configuration[directives.REPLICA_PRIORITY] == 7
    assert configuration[directives.MIN_REPLICAS_TO_WRITE] == 2
    assert load("replicaof NO one")[directives.REPLICA_OF] is None


def test_a_hook_runs_once_for_a_change_of_several_directives() -> None:
    """It sees all the new values, not the first of them."""
    configuration = load("")
    seen: list[tuple[int, int]] = []
    configuration.on_change(
        lambda: seen.append(
            (configuration[directives.TIMEOUT], configuration[directives.MAX_CLIENTS])
        ),
        directives.TIMEOUT,
        directives.MAX_CLIENTS,
    )

    configuration.set([(b"timeout", b"5"), (b"maxclients", b"7"), (b"hz", b"20")])
    configuration.set([(b"hz", b"30")])

    assert seen == [(5, 7)]


def test_a_refused_change_is_undone_in_every_hook() -> None:
    """All or none: a hook that had its way is told to go back."""
    configuration = load("")
    applied: list[int] = []

    def refuse() -> None:
        if configuration[directives.MAX_CLIENTS] > 100_000:
            raise ChangeRefused("too many")

    configuration.on_change(
        lambda: applied.append(configuration[directives.TIMEOUT]), directives.TIMEOUT
    )
    configuration.on_change(refuse, directives.MAX_CLIENTS)

    with pytest.raises(CommandError) as caught:
        configuration.set([(b"timeout", b"5"), (b"MaxClients", b"200000")])

    assert caught.value.text == (
        b"ERR CONFIG SET failed (possibly related to argument 'maxclients') - too many"
    )
    assert applied == [5, 0]
    assert configuration[directives.MAX_CLIENTS] == 10_000


def test_a_change_that_cannot_be_undone_either_keeps_no_other_from_it() -> None:
    """The client hears both reasons, as an answer and not as a command that crashed."""
    configuration = load("")
    applied: list[int] = []

    def refuse() -> None:
        raise ChangeRefused("the disk is gone")

    configuration.on_change(refuse, directives.MAX_CLIENTS)
    configuration.on_change(
        lambda: applied.append(configuration[directives.TIMEOUT]), directives.TIMEOUT
    )

    with pytest.raises(CommandError) as caught:
        configuration.set([(b"timeout", b"5"), (b"maxclients", b"7")])

    assert caught.value.text == (
        b"ERR CONFIG SET failed (possibly related to argument 'maxclients') - the disk is gone;"
        b" and to undo it: the disk is gone"
    )
    assert applied == [5, 0]
    assert configuration[directives.MAX_CLIENTS] == 10_000


def test_a_wrong_value_changes_nothing_and_calls_nobody() -> None:
    """Values are checked before any of them is in force."""
    configuration = load("")
    calls: list[None] = []
    configuration.on_change(lambda: calls.append(None), directives.TIMEOUT)

    with pytest.raises(CommandError):
        configuration.set([(b"timeout", b"5"), (b"hz", b"often")])

    assert (configuration[directives.TIMEOUT], calls) == (0, [])


def test_rewriting_keeps_the_file_and_adds_what_changed() -> None:
    """What the server decided itself, such as its master, is written like the rest."""
    configuration = load("port 7000\n# mine\nsave 60 1\n")
    configuration.set([(b"save", b""), (b"timeout", b"9")])
    configuration.put(directives.REPLICA_OF, Address("10.0.0.1", 6380))

    assert configuration.rewrite("port 7000\n# mine\nsave 60 1\n") == (
        'port 7000\n# mine\nsave ""\n\n# Generated by CONFIG REWRITE\n'
        "timeout 9\nreplicaof 10.0.0.1 6380\n"
    )


def test_serving_settings_follow_the_configuration() -> None:
    """The kernel knows no directives; it is told."""
    configuration = load("proto-max-bulk-len 2mb\nclient-output-buffer-limit slave 1mb 1kb 9")
    serving = ServingSettings()

    apply_to_serving(configuration, serving)

    assert serving.max_bulk_bytes == 2 * 1024 * 1024
    assert serving.output_limits[ClientKind.REPLICA] == BufferLimit(1024 * 1024, 1024, 9)
    assert serving.output_limits[ClientKind.NORMAL] == BufferLimit(0, 0, 0)


def test_save_without_a_value_means_no_save_points() -> None:
    """Redis takes such a line for `save ""`; no other directive may be without a value."""
    assert load("save 60 1\nsave\n")[directives.SAVE] == ()
    with pytest.raises(ConfigError, match="wrong number of arguments"):
        load("logfile\n")
