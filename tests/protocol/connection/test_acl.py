"""ACL at the point through which every request passes: who may what, at once and at EXEC."""

from __future__ import annotations

import re

import pytest

from tests.support.engine import FakeAclFile
from tests.support.kernel import START_MS, KernelEngine
from vedette.clients import Session

OK = b"+OK\r\n"
PONG = b"+PONG\r\n"
NOAUTH = b"-NOAUTH Authentication required.\r\n"
NO_FILE = b"-ERR This Redis instance is not configured to use an ACL file."


def noperm(what: str) -> bytes:
    """The refusal of a command, or of a key or channel."""
    if what in ("keys", "channels"):
        return (
            b"-NOPERM this user has no permissions to access one of the %b used as arguments\r\n"
            % (what.encode())
        )
    return b"-NOPERM this user has no permissions to run the '%b' command\r\n" % what.encode()


def set_user(engine: KernelEngine, *rules: str, name: str = "alice") -> None:
    """Change a user as an administrator would, on a connection of his own."""
    admin = engine.client()
    admin.take_user(None, is_authenticated=True)
    assert engine.send(admin, ("ACL", "SETUSER", name, *rules)) == OK
    engine.disconnect(admin)


def as_alice(engine: KernelEngine) -> Session:
    """Open a connection of alice's, whose password is `p`."""
    session = engine.client()
    assert engine.send(session, ("AUTH", "alice", "p")) == OK
    return session


def test_who_may_do_everything_costs_the_hot_path_nothing() -> None:
    """Whoever may not is looked at, from the moment of the change."""
    engine = KernelEngine()
    set_user(engine, "on", ">p", "+@all", "~*", "&*")
    alice, default = as_alice(engine), engine.client()
    assert not any(each.needs_care for each in (alice, default, engine))

    set_user(engine, "-fetch")
    assert alice.needs_care
    assert not default.needs_care
    set_user(engine, "allcommands")
    assert not alice.needs_care


def test_requests_are_refused_by_command_key_and_channel() -> None:
    """In one batch, so that a log-in counts for what comes with it."""
    engine = KernelEngine()
    set_user(engine, "on", ">p", "~k", "&c", "+store", "+subscribe", "+acl|whoami")

    assert engine.send(
        engine.client(),
        ("FETCH", "other"),
        ("AUTH", "alice", "p"),
        ("ACL", "WHOAMI"),
        ("STORE", "k", "v"),
        ("STORE", "other", "v"),
        ("FETCH", "k"),
        ("SUBSCRIBE", "d"),
        ("ACL", "USERS"),
        ("RESET",),
        ("ACL", "WHOAMI"),
    ) == (
        b"$-1\r\n"
        + OK
        + b"$5\r\nalice\r\n"
        + OK
        + noperm("keys")
        + noperm("fetch")
        + noperm("channels")
        + noperm("acl|users")
        + b"+RESET\r\n$7\r\ndefault\r\n"
    )
    assert engine.stored == {b"k": b"v"}


def test_a_refusal_dooms_the_transaction() -> None:
    """As other faults at queueing do."""
    engine = KernelEngine()
    set_user(engine, "on", ">p", "~k", "+@all", "-fetch")
    alice = as_alice(engine)

    replies = engine.send(alice, ("MULTI",), ("STORE", "k", "v"), ("FETCH", "k"), ("EXEC",))

    assert replies.startswith(OK + b"+QUEUED\r\n" + noperm("fetch") + b"-EXECABORT")
    assert engine.stored == {}


def test_permissions_are_looked_at_again_when_a_transaction_runs() -> None:
    """What was allowed when it was queued may not be any more."""
    engine = KernelEngine()
    set_user(engine, "on", ">p", "~k", "~l", "+@all")
    alice = as_alice(engine)
    queued = (("STORE", "k", "1"), ("STORE", "l", "2"), ("FETCH", "k"))
    engine.send(alice, ("MULTI",), *queued)

    set_user(engine, "resetkeys", "~k", "-fetch")

    changed = (
        b"-NOPERM ACLs rules changed between the moment the transaction was accumulated and the"
    )
    reason = (
        b" EXEC call. This command is no longer allowed for the following reason: no permission "
    )
    assert engine.send(alice, ("EXEC",)) == (
        b"*3\r\n"
        + OK
        + changed
        + reason
        + b"to touch the specified keys\r\n"
        + changed
        + reason
        + b"to execute the command or subcommand\r\n"
    )
    assert engine.stored == {b"k": b"1"}


def test_the_connections_of_a_deleted_user_are_closed() -> None:
    """The one that asked for it has its reply first; others are cut, and may do nothing more."""
    engine = KernelEngine()
    set_user(engine, "on", ">p", "+@all", "~*")
    caller, other, stranger = as_alice(engine), as_alice(engine), engine.client()

    replies = engine.send(caller, ("PING",), ("ACL", "DELUSER", "alice"), ("STORE", "k", "v"))

    assert replies == PONG + b":1\r\n"
    assert caller.is_close_requested
    assert other.is_leaving
    assert not other.is_authenticated
    assert not stranger.is_close_requested
    assert engine.stored == {}


def test_subscribers_that_lose_a_channel_are_closed() -> None:
    """And no others of the same user."""
    engine = KernelEngine()
    set_user(engine, "on", ">p", "+@all", "&a", "&b*")
    subscriptions = {"SUBSCRIBE a": False, "SUBSCRIBE b1": True, "PSUBSCRIBE b*": True}
    sessions = {}
    for words in subscriptions:
        sessions[words] = as_alice(engine)
        engine.send(sessions[words], tuple(words.split()))
    idle = as_alice(engine)

    set_user(engine, "&c")
    assert not any(session.is_leaving for session in sessions.values())
    set_user(engine, "resetchannels", "&a")

    assert {words: session.is_leaving for words, session in sessions.items()} == subscriptions
    assert not idle.is_close_requested
    assert engine.pubsub.subscriber_count(b"a") == 1


def test_strangers_get_in_when_the_default_user_needs_no_password_any_more() -> None:
    """Those already there too."""
    engine = KernelEngine(password=b"secret")
    client = engine.client()
    assert engine.send(client, ("PING",)) == NOAUTH

    set_user(engine, "nopass", name="default")
    assert engine.send(client, ("PING",)) == PONG
    set_user(engine, "off", name="default")
    assert engine.send(client, ("PING",)) == NOAUTH
    assert engine.send(engine.client(), ("PING",)) == NOAUTH


def test_what_was_refused_is_logged_with_who_and_where() -> None:
    """And counted for INFO; a log-in that fails names whom it was for."""
    engine = KernelEngine()
    set_user(engine, "on", ">p", "~k", "+multi", "+fetch")
    alice, admin = as_alice(engine), engine.client()
    engine.send(alice, ("FETCH", "other"), ("MULTI",), ("STORE", "k", "v"))
    engine.send(admin, ("AUTH", "bob", "x"), ("HELLO", "3", "AUTH", "carol", "y"))
    engine.advance(1500)

    replies = engine.send(admin, ("ACL", "LOG")).decode()

    pattern = (
        r"reason\r\n\$\d+\r\n(.*)\r\n.*\r\ncontext\r\n.*\r\n(.*)\r\n.*\r\nobject\r\n.*\r\n(.*)\r"
    )
    assert re.findall(pattern, replies) == [
        ("auth", "toplevel", "HELLO"),
        ("auth", "toplevel", "AUTH"),
        ("command", "multi", "store"),
        ("key", "toplevel", "other"),
    ]
    assert re.findall(r"username\r\n.*\r\n(.*)\r\n", replies) == ["carol", "bob", "alice", "alice"]
    assert re.findall(r"age-seconds\r\n.*\r\n(.*)\r\n", replies) == ["1.5"] * 4
    assert re.findall(r"cmd=(\S+) user=(\S+)", replies) == [
        ("hello", "default"),
        ("auth", "default"),
        ("store", "alice"),
        ("fetch", "alice"),
    ]
    assert re.findall(r"entry-id\r\n:(\d+)", replies) == ["3", "2", "1", "0"]
    assert replies.count(f"timestamp-created\r\n:{START_MS}\r\n") == 4
    counts = {reason.value: count for reason, count in engine.access.denial_counts.items()}
    assert counts == {"auth": 2, "command": 1, "key": 1}
    assert engine.send(admin, ("ACL", "LOG", "RESET"), ("ACL", "LOG")) == OK + b"*0\r\n"


@pytest.mark.parametrize(("words", "size"), [((), 64), (("5",), 2), (("4096",), 1024)])
def test_passwords_are_drawn_in_hexadecimal_digits(words: tuple[str, ...], size: int) -> None:
    """Four bits each, rounded up; never the same twice."""
    engine = KernelEngine()
    client = engine.client()
    request = ("ACL", "GENPASS", *words)

    drawn = [engine.send(client, request).split(b"\r\n")[1] for _ in range(2)]

    assert all(re.fullmatch(rb"[0-9a-f]{%d}" % size, each) for each in drawn)
    assert size < 8 or drawn[0] != drawn[1]


def test_users_are_saved_to_their_file_and_loaded_from_it() -> None:
    """A load that fails changes nothing; one that works ends the old users' connections."""
    engine = KernelEngine()
    admin = engine.client()
    assert engine.send(admin, ("ACL", "SAVE")).startswith(NO_FILE)
    assert engine.send(admin, ("ACL", "LOAD")).startswith(NO_FILE)
    file = engine.access.file = FakeAclFile("users.acl")
    set_user(engine, "on", ">p", "+fetch", "~k")
    alice = as_alice(engine)

    assert engine.send(admin, ("ACL", "SAVE")) == OK
    assert file.text is not None
    assert b" ~k resetchannels -@all " in file.text.splitlines()[0]
    file.text += b"nonsense\n"
    assert engine.send(admin, ("ACL", "LOAD")).startswith(b"-ERR users.acl:3 should start with")
    assert not alice.is_leaving
    file.text = b"user alice on nopass\nuser default on nopass +@all\n"
    assert engine.send(admin, ("ACL", "LOAD"), ("FETCH", "k")) == OK + noperm("keys")
    assert alice.is_leaving
    file.error = OSError(28, "No space left on device")
    assert engine.send(admin, ("ACL", "SAVE")).startswith(b"-ERR There was an error trying to save")


def test_clients_of_one_user_can_be_killed() -> None:
    """The user, not whoever had that name before."""
    engine = KernelEngine()
    set_user(engine, "on", ">p", "+@all")
    alice, admin = as_alice(engine), engine.client()

    assert engine.send(admin, ("CLIENT", "KILL", "USER", "alice")) == b":1\r\n"
    assert alice.is_leaving
    assert engine.send(admin, ("CLIENT", "KILL", "USER", "x")) == b"-ERR No such user 'x'\r\n"


def test_a_connection_without_a_user_may_do_everything() -> None:
    """The link to our master is one."""
    engine = KernelEngine()
    set_user(engine, "reset", name="default")
    session = engine.clients.open(address="m:1", local_address="", now_ms=START_MS)

    assert engine.send(session, ("STORE", "k", "v"), ("ACL", "WHOAMI")) == OK + b"$-1\r\n"
    assert b" user=(superuser) " in engine.send(session, ("CLIENT", "INFO"))
