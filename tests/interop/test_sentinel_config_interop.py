"""sentinel.conf beside redis-sentinel: what both refuse, what both read, what either writes."""

from __future__ import annotations

import contextlib
import subprocess
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from sentinel.config import World, read_config
from tests.support.processes import ServerProcess, VedetteSentinel, free_port, watching
from tests.support.redis import RedisSentinel, RedisServer, require_redis
from tests.support.waiting import wait_until
from vedette.conf import parse_text
from vedette.errors import ConfigError
from vedette.types import RunId

MASTER = "sentinel monitor m 127.0.0.1 6379 2\n"
PEER = "a" * 40
WORLD = World(lambda: RunId("f" * 40), lambda path: path == "/bin/true")


def refused_by_redis(text: str, directory: Path) -> list[str]:
    """Return what redis-sentinel prints when it refuses a configuration, without its version."""
    require_redis("redis-sentinel")
    path = directory / "sentinel.conf"
    path.write_text(text)
    done = subprocess.run(
        ["redis-sentinel", str(path), "--port", str(free_port())],
        capture_output=True,
        text=True,
        timeout=20,
        check=False,
    )
    assert done.returncode == 1, done
    printed = done.stderr.strip().splitlines()
    assert printed[0].startswith("*** FATAL CONFIG FILE ERROR (Redis ")
    return printed[1:]


@pytest.mark.parametrize(
    "lines",
    [
        "sentinel monitor m 127.0.0.1 6379 0",
        "sentinel monitor m 127.0.0.1 6379 x",
        "sentinel monitor m 127.0.0.1 6379",
        "sentinel monitor m 127.0.0.1 70000 1",
        MASTER + "sentinel monitor m 127.0.0.2 6379 2",
        "sentinel monitor m no-such-host 6379 1",
        "sentinel down-after-milliseconds nobody 1000",
        MASTER + "sentinel down-after-milliseconds m 0",
        MASTER + "sentinel failover-timeout m -5",
        MASTER + "sentinel notification-script m /nonexistent",
        MASTER + "sentinel client-reconfig-script m /nonexistent",
        MASTER + "sentinel rename-command m CONFIG x\nsentinel rename-command m config y",
        MASTER + "sentinel known-replica m 127.0.0.2 1\nsentinel known-slave m 127.0.0.2 1",
        MASTER + f"sentinel known-sentinel m 127.0.0.2 1 {PEER}\n"
        f"sentinel known-sentinel m 127.0.0.3 1 {PEER}",
        MASTER + "sentinel known-replica m 127.0.0.2 -1",
        MASTER + "sentinel master-reboot-down-after-period m -1",
        "sentinel myid 12",
        "sentinel deny-scripts-reconfig maybe",
        "sentinel resolve-hostnames maybe",
        "sentinel announce-hostnames maybe",
        "sentinel nonsense m 1",
        MASTER + "sentinel auth-pass m",
        "sentinel auth-pass nobody",
        "sentinel down-after-milliseconds nobody 1 2",
        "sentinel known-replica nobody 127.0.0.1",
        "sentinel known-sentinel nobody 127.0.0.1",
        "sentinel rename-command nobody CONFIG",
        "sentinel rename-command nobody CONFIG other",
        "sentinel myid",
        "no-such-directive 1",
        'sentinel auth-pass m "unbalanced',
    ],
)
def test_bad_lines_are_refused_with_redis_sentinels_line_and_text(
    lines: str, tmp_path: Path
) -> None:
    """People search the web for these words."""
    where, statement, *reason = refused_by_redis(f"# a comment\n{lines}\n", tmp_path)

    with pytest.raises(ConfigError) as caught:
        read_config(parse_text(f"# a comment\n{lines}\n", "x"), WORLD)

    error = caught.value
    assert where == f"Reading the configuration file, at line {error.line}"
    assert statement == f">>> '{error.statement}'"
    assert reason == [error.reason]


ODD = 'p "q" \\ # ü $'


@contextlib.contextmanager
def succeeded_by(before: ServerProcess, kind: type[ServerProcess]) -> Iterator[ServerProcess]:
    """Stop a sentinel, and run one of `kind` from the file that it leaves."""
    assert before.stop() == 0
    after = kind(port=before.port, directory=before.directory)
    after.config_name = before.config_name
    after.write_config = lambda: None  # type: ignore[method-assign]  # the file is the other's
    with after:
        yield after


def told(sentinel: ServerProcess) -> dict[str, object]:
    """Return what a restart must not change."""
    master = sentinel.call("SENTINEL", "MASTER", "mymaster")
    fields = dict(zip(master[::2], master[1::2], strict=True))
    options = [b"config-epoch", b"quorum", b"failover-timeout", b"parallel-syncs"]
    options += [b"down-after-milliseconds", b"notification-script", b"client-reconfig-script"]
    return {
        "id": sentinel.call("SENTINEL", "MYID"),
        "address": sentinel.call("SENTINEL", "GET-MASTER-ADDR-BY-NAME", "mymaster"),
        "options": [fields[name] for name in options],
        # One pattern and no `loglevel` with 7.0.
        "globals": sentinel.call("SENTINEL", "CONFIG", "GET", "*")[:12],
        "replicas": sorted(each[1] for each in sentinel.call("SENTINEL", "REPLICAS", "mymaster")),
        "sentinels": sorted(each[1] for each in sentinel.call("SENTINEL", "SENTINELS", "mymaster")),
    }


@pytest.mark.parametrize("first", [RedisSentinel, VedetteSentinel])
def test_state_moves_from_one_program_to_the_other_and_back(first: type[ServerProcess]) -> None:
    """Identity, epochs, votes, what is known and set: nothing is lost on the way."""
    second = VedetteSentinel if first is RedisSentinel else RedisSentinel
    port = free_port()
    lines = [
        "# mine, to be kept",
        *watching(port, down_after_ms=60_000, failover_timeout_ms=7_000, parallel_syncs=3),
        f"sentinel known-replica mymaster 127.0.0.1 {free_port()}",
        f"sentinel known-sentinel mymaster 127.0.0.1 {free_port()} {PEER}",
        "sentinel config-epoch mymaster 3",
        "sentinel leader-epoch mymaster 4",
        "sentinel current-epoch 4",
        "sentinel notification-script mymaster /bin/true",
        "sentinel client-reconfig-script mymaster /bin/true",
        "sentinel rename-command mymaster CONFIG other",
        "sentinel auth-user mymaster someone",
        "sentinel auth-pass mymaster secret",
        "sentinel announce-ip 203.0.113.7",
        "sentinel announce-port 7777",
        "sentinel deny-scripts-reconfig no",
    ]
    voter = b"b" * 40
    ask = ("SENTINEL", "IS-MASTER-DOWN-BY-ADDR", "127.0.0.1", port, 9)
    with first(extra_lines=lines) as sentinel:
        sentinel.call("SENTINEL", "SET", "mymaster", "quorum", "5")
        vote = sentinel.call(*ask, voter)
        before = told(sentinel)
        with succeeded_by(sentinel, second) as successor:
            after = told(successor)
            rival = successor.call(*ask, b"c" * 40)
            with succeeded_by(successor, first) as last:
                again = told(last)
        text = last.config_path.read_text()

    assert vote[1:] == [voter, 9]
    assert after == before
    assert again == before
    assert rival[1] != b"c" * 40, "the vote of epoch 9 was given before the restart"
    assert text.startswith("port ") or "# mine, to be kept" in text
    assert text.count("sentinel monitor mymaster ") == 1
    assert "sentinel auth-pass mymaster secret" in text
    assert "sentinel rename-command mymaster CONFIG other" in text
    assert "sentinel leader-epoch mymaster 9" in text


def test_odd_password_written_by_vedette_is_read_by_redis_sentinel() -> None:
    """redis-sentinel 7.0 itself writes it so that it cannot be read again."""
    with VedetteSentinel(extra_lines=["sentinel announce-ip 1.2.3.4"]) as sentinel:
        sentinel.call("SENTINEL", "CONFIG", "SET", "sentinel-pass", ODD)
        with succeeded_by(sentinel, RedisSentinel) as successor:
            got = successor.call("SENTINEL", "CONFIG", "GET", "sentinel-pass")

    assert got == [b"sentinel-pass", ODD.encode()]


@pytest.mark.parametrize("announces", ["no", "yes"])
def test_host_name_is_told_as_redis_sentinel_tells_it(announces: str) -> None:
    """The address that clients get, the fields, and a master that is really watched."""
    with contextlib.ExitStack() as stack:
        master = stack.enter_context(RedisServer())
        replica = stack.enter_context(RedisServer())
        replica.replicate(master)
        lines = [
            "sentinel resolve-hostnames yes",
            f"sentinel announce-hostnames {announces}",
            f"sentinel monitor mymaster localhost {master.port} 1",
            "sentinel down-after-milliseconds mymaster 2000",
        ]
        pair = [
            stack.enter_context(kind(extra_lines=lines))
            for kind in (RedisSentinel, VedetteSentinel)
        ]
        for sentinel in pair:
            wait_until(partial(sees_replica, sentinel), 20, f"{sentinel!r} to see the replica")

        replies = [
            (
                sentinel.call("SENTINEL", "GET-MASTER-ADDR-BY-NAME", "mymaster"),
                sentinel.call("SENTINEL", "MASTER", "mymaster")[:6],
                sentinel.call("SENTINEL", "REPLICAS", "mymaster")[0][:6],
                sentinel.info("sentinel")["master0"].split(",")[:3],
            )
            for sentinel in pair
        ]
        text = pair[1].config_path.read_text()

    assert replies[1] == replies[0]
    host = b"localhost" if announces == "yes" else b"127.0.0.1"
    assert replies[1][0] == [host, str(master.port).encode()]
    assert f"sentinel monitor mymaster localhost {master.port} 1" in text


def sees_replica(sentinel: ServerProcess) -> bool:
    """Whether a sentinel sees a healthy master with a healthy replica."""
    replicas = sentinel.call("SENTINEL", "REPLICAS", "mymaster")
    master = sentinel.call("SENTINEL", "MASTER", "mymaster")
    return master[9] == b"master" and [each[9] for each in replicas] == [b"slave"]


@pytest.mark.parametrize("announces", ["no", "yes"])
def test_mixed_sentinels_fail_over_nodes_known_by_name(announces: str) -> None:
    """Replicas announce names, too; all agree on the new master, and the old one comes back."""
    with contextlib.ExitStack() as stack:
        named = {"replica-announce-ip": "localhost"}
        nodes = [stack.enter_context(RedisServer(named)) for _ in range(3)]
        for replica in nodes[1:]:
            replica.replicate(nodes[0])
        lines = [
            "sentinel resolve-hostnames yes",
            f"sentinel announce-hostnames {announces}",
            f"sentinel monitor mymaster localhost {nodes[0].port} 2",
            "sentinel down-after-milliseconds mymaster 1500",
        ]
        kinds = (VedetteSentinel, VedetteSentinel, RedisSentinel)
        sentinels = [stack.enter_context(kind(extra_lines=lines)) for kind in kinds]
        for sentinel in sentinels:
            wait_until(partial(sees, sentinel, 2, 2), 30, f"{sentinel!r} to see all others")

        old = nodes[0]
        old.kill()

        host = b"localhost" if announces == "yes" else b"127.0.0.1"
        ports = {str(node.port).encode() for node in nodes[1:]}
        wait_until(lambda: all(names(each) in ports for each in sentinels), 30, "a new master")
        answers = {
            tuple(each.call("SENTINEL", "GET-MASTER-ADDR-BY-NAME", "mymaster"))
            for each in sentinels
        }
        old.start()
        wait_until(lambda: old.call("ROLE")[0] == b"slave", 30, "the old master to follow")
        told_host = old.call("ROLE")[1]
        replicas = [
            sorted(replica[1] for replica in each.call("SENTINEL", "REPLICAS", "mymaster"))
            for each in sentinels[:2]
        ]

    assert len(answers) == 1
    assert answers.pop()[0] == host
    assert told_host == host
    assert [len(each) for each in replicas] == [2, 2], "nobody is known twice"


def sees(sentinel: ServerProcess, replica_count: int, peer_count: int) -> bool:
    """Whether a sentinel sees a healthy group of that size."""
    words = sentinel.call("SENTINEL", "MASTER", "mymaster")
    fields = dict(zip(words[::2], words[1::2], strict=True))
    counts = fields[b"num-slaves"], fields[b"num-other-sentinels"]
    expected = str(replica_count).encode(), str(peer_count).encode()
    return fields[b"flags"] == b"master" and counts == expected


def names(sentinel: ServerProcess) -> bytes:
    """Return the port of the master that a sentinel names."""
    port: bytes = sentinel.call("SENTINEL", "GET-MASTER-ADDR-BY-NAME", "mymaster")[1]
    return port
