"""Users on disk, ours and Redis' beside each other, and a sentinel that is allowed the least."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.support.client import ReplyError
from tests.support.processes import ServerProcess, VedetteSentinel, VedetteServer, watching
from tests.support.redis import RedisSentinel, RedisServer, require_redis
from tests.support.waiting import wait_until

ACL_PAGE = Path(__file__).parents[2] / "docs" / "acl.md"
#: A line of each kind of rule; what is described is the same in both programs.
RULES = (
    *("on", ">secret", "~a:*", "%R~b", "resetchannels", "&c", "+@string", "+ping"),
    *("(~x +get)", "(%W~y &z +set)"),
)


def users_of(process: ServerProcess) -> list[list[bytes]]:
    """The users as sorted words; without the flag that a `user default` line brings about."""
    return [sorted({*line.split()} - {b"sanitize-payload"}) for line in process.call("ACL", "LIST")]


def check_kept(first: ServerProcess, second: ServerProcess, file: str) -> None:
    """Have `first` save its users, and `second` start with that file."""
    with first:
        first.call("ACL", "SETUSER", "alice", *RULES)
        first.call("ACL", "SETUSER", "default", "-flushdb")
        first.call(*(("ACL", "SAVE") if file == "users.acl" else ("CONFIG", "REWRITE")))
        expected = users_of(first)
        text = (first.directory / file).read_text()
        first.kill()
        lines = [line for line in text.splitlines() if line.startswith("user ")]
        if file == "users.acl":
            (second.directory / file).write_text(text)
        else:
            second.extra_lines = lines
        with second:
            assert users_of(second) == expected


@pytest.mark.parametrize("file", ["users.acl", "configuration"])
def test_saved_users_start_either_server(file: str) -> None:
    """Whichever wrote them."""
    require_redis("redis-server")
    for ours_first in (True, False):
        config = {"aclfile": "users.acl"} if file == "users.acl" else {}
        ours, theirs = VedetteServer(config), RedisServer(config)
        first, second = (ours, theirs) if ours_first else (theirs, ours)
        for process in (ours, theirs):
            if file == "users.acl":
                (process.directory / file).write_text("")

        check_kept(first, second, file if file == "users.acl" else first.config_name)


def test_rewritten_users_hold_after_a_restart() -> None:
    """In the administrator's file, whose lines stay where they are."""
    lines = ["user alice on nopass +get", "# mine", "user default on nopass ~* +@all -flushdb"]
    with VedetteServer(extra_lines=lines) as server:
        server.call("ACL", "DELUSER", "alice")
        server.call("ACL", "SETUSER", "bob", "on", "nopass", "+ping")
        server.call("CONFIG", "REWRITE")
        expected = server.call("ACL", "LIST")
        server.kill()
        server.start()

        assert server.call("ACL", "LIST") == expected
        with pytest.raises(ReplyError, match=r"^NOPERM"):
            server.call("FLUSHDB")
        text = server.config_path.read_text()
        assert "alice" not in text
        assert text.index("# mine") < text.index("user default on nopass sanitize-payload ~*")


@pytest.mark.parametrize("program", [VedetteServer, VedetteSentinel])
def test_users_that_cannot_be_used_stop_the_start(
    program: type[VedetteServer] | type[VedetteSentinel],
) -> None:
    """With code 1, and the line where there is one."""
    cases = [
        (
            {},
            ["user alice +nosuch"],
            r"at line \d+ of .*\n>>> 'user alice \+nosuch'\nError in user",
        ),
        ({}, ["user a", "user a"], "Duplicate user found"),
        ({"aclfile": "none.acl"}, [], "Error loading ACLs, opening file 'none.acl': No such file"),
        ({"aclfile": "none.acl"}, ["user a"], "but not both"),
    ]
    for config, lines, reason in cases:
        text = said(program, config, lines)
        assert "ended with code 1" in text
        assert re.search(reason, text), text


def said(
    program: type[VedetteServer] | type[VedetteSentinel], config: dict[str, str], lines: list[str]
) -> str:
    """What a program that does not start says."""
    with pytest.raises(AssertionError) as caught, program(config, extra_lines=lines):
        pass
    return str(caught.value)


def test_a_sentinel_keeps_users_in_its_file_and_redis_sentinel_takes_them() -> None:
    """With its next save, as redis-sentinel does."""
    require_redis("redis-sentinel")
    with VedetteSentinel() as ours:
        ours.call("ACL", "SETUSER", "alice", "on", ">secret", "&*", "+ping", "+sentinel|masters")
        ours.call("SENTINEL", "FLUSHCONFIG")
        expected = users_of(ours)
        ours.kill()
        ours.start()
        assert users_of(ours) == expected
        lines = [line for line in ours.config_path.read_text().splitlines() if "user" in line]
        with RedisSentinel(extra_lines=lines) as theirs:
            assert users_of(theirs) == expected


def least_rules(name: str) -> list[str]:
    """The rules that docs/acl.md gives as the least for the user `name`."""
    (line,) = re.findall(rf"^user {name} (on .*)$", ACL_PAGE.read_text(), re.MULTILINE)
    return str(line).split()


@pytest.mark.parametrize("server", [VedetteServer, RedisServer])
def test_a_sentinel_with_the_least_permissions_fails_over(
    server: type[VedetteServer] | type[RedisServer],
) -> None:
    """On its nodes and at its fellows; nothing it does is refused."""
    if server is RedisServer:
        require_redis("redis-server")
    on_nodes = least_rules("sentinel")
    if server is VedetteServer:
        on_nodes.remove("+script|kill")  # it has no scripts
    user = " ".join(["user sentinel", *on_nodes])
    fellow = " ".join(["user fellow", *least_rules("fellow")])
    with server(extra_lines=[user]) as master, server(extra_lines=[user]) as replica:
        replica.call("REPLICAOF", "127.0.0.1", master.port)
        wait_until(lambda: replica.info()["master_link_status"] == "up", 15, "replication")
        lines = [
            *watching(master.port, quorum=2, down_after_ms=500),
            "sentinel auth-user mymaster sentinel",
            "sentinel auth-pass mymaster secret",
            "sentinel sentinel-user fellow",
            "sentinel sentinel-pass secret",
            fellow,
        ]
        with VedetteSentinel(extra_lines=lines) as one, VedetteSentinel(extra_lines=lines) as two:
            sentinels = (one, two)

            def knows_all(sentinel: ServerProcess) -> bool:
                fields = sentinel.call("SENTINEL", "MASTER", "mymaster")
                known = dict(zip(fields[::2], fields[1::2], strict=True))
                counts = (known[b"num-slaves"], known[b"num-other-sentinels"])
                return counts == (b"1", b"1") and known[b"flags"] == b"master"

            wait_until(lambda: all(map(knows_all, sentinels)), 20, "all to be known")
            refused = [each.call("ACL", "LOG") for each in (master, replica, *sentinels)]
            assert refused == [[], [], [], []]
            master.kill()

            def has_switched(sentinel: ServerProcess) -> bool:
                address = sentinel.call("SENTINEL", "GET-MASTER-ADDR-BY-NAME", "mymaster")
                return bool(address[1] == str(replica.port).encode())

            wait_until(lambda: all(map(has_switched, sentinels)), 30, "the switch")
            replica.close_client()  # which the promotion has killed
            assert replica.info()["role"] == "master"
            assert [each.call("ACL", "LOG") for each in (replica, *sentinels)] == [[], [], []]
