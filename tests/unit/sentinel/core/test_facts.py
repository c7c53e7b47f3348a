"""INFO is read field by field, and what is missing stays unknown."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sentinel.core.dataset import Dataset
from sentinel.core.facts import Facts, read_facts
from sentinel.core.model import Role
from vedette.types import Address

RUN_ID = "c" * 40


def info(*lines: str) -> bytes:
    """Lines as INFO sends them."""
    return ("# Replication\r\n" + "\r\n".join(lines) + "\r\n").encode()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (info(f"run_id:{RUN_ID}", "role:master"), Facts(run_id=RUN_ID, role=Role.MASTER)),
        (info("run_id:short", "role:master"), Facts(role=Role.MASTER)),
        (info("role:sentinel"), Facts()),
        (
            info(
                "role:master",
                "slave0:ip=10.0.0.2,port=6380,state=online,offset=14,lag=0",
                "slave1:ip=10.0.0.3,port=none,state=online",
                "slave2:10.0.0.4,6381,online",
                "slave3:ip=10.0.0.2,port=6380,state=online",
                "slave_read_only:1",
            ),
            Facts(
                role=Role.MASTER,
                replicas=(Address("10.0.0.2", 6380), Address("10.0.0.4", 6381)),
                dataset=Dataset(replicas=(Address("10.0.0.2", 6380), Address("10.0.0.4", 6381))),
            ),
        ),
        (
            info(
                "role:master",
                f"master_replid:{'a' * 40}",
                f"master_replid2:{'b' * 40}",
                "master_repl_offset:4711",
                "second_repl_offset:17",
                "aof_enabled:1",
                "loading:1",
                "# Keyspace",
                "db0:keys=3,expires=0,avg_ttl=0",
                "db12:keys=4,expires=1,avg_ttl=9",
            ),
            Facts(
                role=Role.MASTER,
                dataset=Dataset(
                    replid="a" * 40,
                    replid2="b" * 40,
                    end_of_previous=17,
                    offset=4711,
                    key_count=7,
                    has_aof=True,
                    is_loading=True,
                ),
            ),
        ),
        (
            info(
                "uptime_in_seconds:2",
                "role:master",
                f"master_replid:{'a' * 40}",
                f"master_replid2:{'0' * 40}",
                "second_repl_offset:-1",
                "rdb_last_load_keys_loaded:0",
                "# Keyspace",
            ),
            Facts(
                role=Role.MASTER,
                dataset=Dataset(replid="a" * 40, key_count=0, is_newborn=True),
            ),
        ),
        (
            info("role:slave", "master_sync_in_progress:1", "master_replid:short"),
            Facts(role=Role.REPLICA, dataset=Dataset(is_syncing=True)),
        ),
        (
            info(
                "role:slave",
                "master_host:10.0.0.1",
                "master_port:6379",
                "master_link_status:down",
                "master_link_down_since_seconds:12",
                "slave_repl_offset:4711",
                "slave_priority:0",
                "replica_announced:0",
            ),
            Facts(
                role=Role.REPLICA,
                master_address=Address("10.0.0.1", 6379),
                is_master_link_up=False,
                master_link_down_ms=12_000,
                priority=0,
                repl_offset=4711,
                is_announced=False,
            ),
        ),
        (
            info("role:slave", "master_link_status:up", "master_link_down_since_seconds:-1"),
            Facts(
                role=Role.REPLICA,
                is_master_link_up=True,
                dataset=Dataset(is_never_linked=True),
            ),
        ),
        (info("role:slave", "master_host:?", "master_port:0"), Facts(role=Role.REPLICA)),
        (
            info("role:slave", "master_host:evil host", "master_port:1"),
            Facts(role=Role.REPLICA),
        ),
    ],
)
def test_info_is_read(text: bytes, expected: Facts) -> None:
    """By the names and shapes Redis gives them."""
    assert read_facts(text) == expected


@given(st.binary(max_size=200))
def test_no_bytes_raise(text: bytes) -> None:
    """INFO comes from processes of many makes."""
    read_facts(text)
