"""CONFIG SET beside the real server: what each directive takes, and in which words it refuses."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.client import ReplyError
from tests.support.processes import ServerProcess, VedetteServer
from tests.support.redis import RedisServer

VALUES = (
    *("", "yes", "no", "0", "1", "-1", "10", "010", "+1", "1.5", "abc", "9" * 20),
    *("1mb", "1k", "MB", "64gb", "100%", "1 2", "a b c", "1 2 3", "-2001 0 0"),
    *("{title} {port}", "{title", "{x}", "save nosave", "default", "everysec"),
)

#: Those that move the server elsewhere, or ask for what a test may not have.
_LEFT_OUT = {
    *("port", "tls-port", "bind", "dir", "unixsocket", "logfile", "loglevel", "daemonize"),
    *("requirepass", "masterauth", "masteruser", "replicaof", "slaveof", "maxclients"),
    *("maxmemory", "maxmemory-clients", "appendonly", "save", "enable-debug-command"),
}
#: Where docs/compat.md and docs/directives.md say that the two differ, and why.
_DIFFERENT = {
    "activedefrag",  # none here, each says so in its own words
    "tls-ciphersuites",  # cannot be chosen here
}


@pytest.fixture(scope="module")
def both() -> Iterator[tuple[ServerProcess, ServerProcess]]:
    """Yield ours and the real one."""
    with VedetteServer() as ours, RedisServer() as theirs:
        yield ours, theirs


def settings_of(server: ServerProcess, pattern: str = "*") -> dict[str, str]:
    reply = server.call("CONFIG", "GET", pattern)
    assert isinstance(reply, list)
    words = [word.decode() for word in reply if isinstance(word, bytes)]
    return dict(zip(words[::2], words[1::2], strict=True))


def outcome(server: ServerProcess, name: str, value: str) -> tuple[str, str]:
    """Return the reply to CONFIG SET, and what the directive is afterwards."""
    try:
        reply = server.call("CONFIG", "SET", name, value)
    except ReplyError as error:
        reply = str(error)
    return str(reply), settings_of(server, name)[name]


def test_each_directive_takes_and_refuses_what_the_real_one_does(
    both: tuple[ServerProcess, ServerProcess],
) -> None:
    """Values, texts of refusals, and what CONFIG GET says then."""
    ours, theirs = both
    common = settings_of(ours).keys() & settings_of(theirs).keys()
    names = sorted(common - _LEFT_OUT - _DIFFERENT)
    differences = []
    for name in names:
        for value in VALUES:
            expected = outcome(theirs, name, value)
            found = outcome(ours, name, value)
            if found != expected:
                differences.append((name, value, found, expected))

    assert len(names) > 100
    assert differences == []


def test_of_several_changes_all_or_none_are_made(
    both: tuple[ServerProcess, ServerProcess],
) -> None:
    """The refusal names the one that failed; the others are as before."""
    replies = []
    for server in both:
        before = settings_of(server)
        found: list[object] = []
        for words in (
            ("hz", "20", "timeout", "x"),
            ("hz", "20", "databases", "3"),
            ("hz", "20", "hz", "30"),
            ("hz", "20", "nosuch", "1"),
            ("hz", "20", "timeout"),
        ):
            with pytest.raises(ReplyError) as caught:
                server.call("CONFIG", "SET", *words)
            found.append(str(caught.value))
            assert settings_of(server) == before
        replies.append(found)

    assert replies[0] == replies[1]
