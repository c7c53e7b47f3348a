"""What a sentinel does in odd states, over real nodes: busy scripts, reboots, simulated crashes."""

from __future__ import annotations

import pytest

from tests.support.client import BlockingClient, ReplyError
from tests.support.processes import ServerProcess, VedetteSentinel, watching
from tests.support.redis import RedisServer, require_redis
from tests.support.waiting import wait_until


def fields_of(sentinel: ServerProcess) -> dict[str, str]:
    """Return SENTINEL MASTER as a map."""
    words = [word.decode() for word in sentinel.call("SENTINEL", "MASTER", "mymaster")]
    return dict(zip(words[::2], words[1::2], strict=True))


def wait_for_replica(sentinel: ServerProcess) -> None:
    """Wait until the sentinel could promote the one replica."""

    def is_fit() -> bool:
        replicas = sentinel.call("SENTINEL", "REPLICAS", "mymaster")
        return len(replicas) == 1 and {b"slave", b"ok"} <= set(replicas[0])

    wait_until(is_fit, 20, "the replica to be known and well")


def test_script_that_never_ends_is_killed_once() -> None:
    """BUSY is no answer to PING; when that has made the node down, its script is ended."""
    require_redis("redis-server")
    lines = ["busy-reply-threshold 50"]
    with RedisServer(extra_lines=lines) as master:
        watch = watching(master.port, quorum=2, down_after_ms=500)
        with (
            VedetteSentinel(extra_lines=watch) as sentinel,
            BlockingClient(master.port, 20) as client,
        ):
            wait_until(lambda: fields_of(sentinel)["flags"] == "master", 20, "the master to be up")

            with pytest.raises(ReplyError, match=r"[Kk]illed"):
                client.call("EVAL", "while true do end", 0)

            wait_until(lambda: fields_of(sentinel)["flags"] == "master", 20, "the master to be up")
            assert "+sdown" in sentinel.log()


@pytest.mark.parametrize("moment", ["crash-after-election", "crash-after-promotion"])
def test_simulated_failure_ends_the_process_with_code_99(moment: str) -> None:
    """After the promotion the replica is a master already, though nobody has been told."""
    require_redis("redis-server")
    with RedisServer() as master, RedisServer() as replica:
        replica.replicate(master)
        watch = watching(master.port, quorum=1, down_after_ms=500)
        with VedetteSentinel(extra_lines=watch) as sentinel:
            wait_for_replica(sentinel)
            assert sentinel.call("SENTINEL", "SIMULATE-FAILURE", moment) == b"OK"
            assert sentinel.info("sentinel")["sentinel_simulate_failure_flags"] != "0"

            master.kill()

            assert sentinel.process.wait(20) == 99
            is_promoted = moment == "crash-after-promotion"
            role = b"master" if is_promoted else b"slave"
            wait_until(lambda: replica.call("ROLE")[0] == role, 20, f"the replica to be {role!r}")


def test_master_that_reboots_and_loads_for_long_is_down() -> None:
    """LOADING counts as a sign of life; `master-reboot-down-after-period` bounds it."""
    require_redis("redis-server")
    with RedisServer({"save": '""', "enable-debug-command": "yes"}) as master:
        master.call("DEBUG", "POPULATE", 8_000)
        master.call("SAVE")
        master.call("CONFIG", "SET", "key-load-delay", 400)
        master.call("CONFIG", "SET", "loading-process-events-interval-bytes", 1024)
        master.call("CONFIG", "REWRITE")
        watch = watching(master.port, quorum=2, down_after_ms=10_000)
        watch.append("sentinel master-reboot-down-after-period mymaster 500")
        with VedetteSentinel(extra_lines=watch) as sentinel:
            wait_until(lambda: fields_of(sentinel)["flags"] == "master", 20, "the master to be up")

            master.kill()
            master.start()

            def is_down_and_rebooted() -> bool:
                flags = fields_of(sentinel)["flags"].split(",")
                return {"s_down", "master_reboot"} <= set(flags)

            wait_until(is_down_and_rebooted, 20, "the loading master to be down")
            wait_until(lambda: fields_of(sentinel)["flags"] == "master", 40, "it to be up again")
            assert "+reboot" in sentinel.log()
