"""Failovers of real redis-servers whose users may not do all that a sentinel does."""

from __future__ import annotations

from contextlib import ExitStack

import pytest

from tests.support.client import BlockingClient
from tests.support.processes import VedetteSentinel, watching
from tests.support.redis import RedisServer
from tests.support.waiting import wait_until

pytestmark = pytest.mark.timeout(60)

#: What Redis' documentation gives a sentinel's user, but for what stands around SLAVEOF.
USER = (
    "user watcher on >pw allchannels -@all +multi +ping +exec +subscribe +publish +info "
    "+slaveof +client|setname +script|kill +psync +replconf"
)


@pytest.mark.parametrize(
    ("allowed", "missing"),
    [("+client|kill", "CONFIG REWRITE"), ("+config|rewrite", "CLIENT KILL"), ("", "both")],
)
def test_master_is_replaced_where_parts_of_the_transaction_are_forbidden(
    allowed: str, missing: str
) -> None:
    """Its ACL rejects a command while it is queued, and EXEC throws away SLAVEOF with it."""
    with ExitStack() as stack:
        lines = [f"{USER} {allowed}"]
        master, replica = (stack.enter_context(RedisServer(extra_lines=lines)) for _ in range(2))
        replica.replicate(master)
        sentinel = stack.enter_context(
            VedetteSentinel(
                extra_lines=[
                    *watching(master.port, quorum=1, down_after_ms=500),
                    "sentinel auth-user mymaster watcher",
                    "sentinel auth-pass mymaster pw",
                ]
            )
        )
        wait_until(lambda: len(sentinel.call("SENTINEL", "REPLICAS", "mymaster")) == 1, 20, "it")
        wait_until(
            lambda: sentinel.call("SENTINEL", "CKQUORUM", "mymaster").startswith(b"OK"), 20, "votes"
        )
        master.kill()

        wait_until(
            lambda: (
                int(sentinel.call("SENTINEL", "GET-MASTER-ADDR-BY-NAME", "mymaster")[1])
                == replica.port
            ),
            20,
            "the replica to be master",
        )

        with BlockingClient(replica.port) as client:  # one that was not killed
            assert client.call("ROLE")[0] == b"master"
        events = sentinel.call("SENTINEL", "EVENTS", "SINCE", 0, "COUNT", 1000)
        told = b" ".join(word for word in _words(events))
        for command in (b"CONFIG REWRITE", b"CLIENT KILL"):
            is_missing = missing in ("both", command.decode())
            assert (b"#" + command + b": NOPERM" in told) is is_missing


def _words(reply: object) -> list[bytes]:
    """All strings of a nested reply."""
    if isinstance(reply, list):
        return [word for entry in reply for word in _words(entry)]
    return [reply] if isinstance(reply, bytes) else []
