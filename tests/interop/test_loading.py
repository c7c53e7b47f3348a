"""Loading a dataset keeps nobody waiting: INFO is answered, and most others are told LOADING."""

from __future__ import annotations

from pathlib import Path

import pytest

from server.persistence.rdb.encode import encode_records
from server.persistence.rdb.records import Entries, SelectDb
from tests.support.client import ReplyError
from tests.support.processes import VedetteServer
from tests.support.waiting import wait_until

KEY_COUNT = 3000
#: So long that the test decides when loading ends, and not the clock.
DELAY_US = "100000"


def write_snapshot(directory: Path) -> int:
    """Write a snapshot for the server to find, and return its size."""
    values = {b"key:%d" % number: b"v" * 100 for number in range(KEY_COUNT)}
    data = b"".join(encode_records([SelectDb(0), Entries(values=values)], compress=False))
    (directory / "dump.rdb").write_bytes(data)
    return len(data)


def test_a_server_that_loads_answers_what_needs_no_data(tmp_path: Path) -> None:
    """Supervisors and sentinels must see it alive, and clients that it has nothing for them yet."""
    size_bytes = write_snapshot(tmp_path)
    config = {"dir": str(tmp_path), "key-load-delay": DELAY_US}
    server = VedetteServer(config, directory=tmp_path)
    server.awaits_loading = False
    with server:
        wait_until(lambda: int(server.info("persistence")["loading_loaded_bytes"]) > 0)
        fields = server.info("persistence")
        assert (fields["loading"], fields["async_loading"]) == ("1", "0")
        assert int(fields["loading_total_bytes"]) == size_bytes
        assert 0 < int(fields["loading_loaded_bytes"]) < size_bytes
        assert 0 < float(fields["loading_loaded_perc"]) < 100
        assert int(fields["loading_start_time"]) > 1_700_000_000
        assert int(fields["loading_eta_seconds"]) >= 0
        for command in ("PING", "GET key:1", "SET a b", "DBSIZE", "SAVE", "BGSAVE", "PSYNC ? -1"):
            with pytest.raises(ReplyError, match="LOADING Redis is loading the dataset in memory"):
                server.call(*command.split())
        with pytest.raises(ReplyError, match="LOADING"):
            server.call("CONFIG", "SET", "dir", str(tmp_path))
        assert server.call("SELECT", "1") == b"OK"
        server.call("SELECT", "0")

        server.call("CONFIG", "SET", "key-load-delay", "0")
        wait_until(lambda: server.info("persistence")["loading"] == "0", what="loading to end")
        assert server.call("DBSIZE") == KEY_COUNT
        fields = server.info("persistence")
        assert "loading_start_time" not in fields
        assert fields["rdb_last_load_keys_loaded"] == str(KEY_COUNT)


def test_the_first_base_is_written_while_clients_are_answered(tmp_path: Path) -> None:
    """A snapshot that is turned into an append-only file, which may take as long as saving it."""
    values = {b"key:%d" % number: b"value" for number in range(20)}
    data = b"".join(encode_records([SelectDb(0), Entries(values=values)]))
    (tmp_path / "dump.rdb").write_bytes(data)
    config = {"dir": str(tmp_path), "appendonly": "yes", "rdb-key-save-delay": "50000"}
    server = VedetteServer(config, directory=tmp_path)
    server.awaits_loading = False
    with server:
        wait_until(lambda: server.info("persistence")["current_save_keys_total"] == "20")
        with pytest.raises(ReplyError, match="LOADING"):
            server.call("SET", "key:1", "changed")

        wait_until(lambda: server.info("persistence")["loading"] == "0", what="loading to end")
        server.call("SET", "key:1", "changed")
        server.kill()
        (tmp_path / "dump.rdb").unlink()
        server.start()

        wait_until(lambda: server.info("persistence")["loading"] == "0", what="loading to end")
        assert server.call("DBSIZE") == 20
        assert server.call("GET", "key:1") == b"changed"


def test_a_stop_while_loading_leaves_the_file_as_it_is(tmp_path: Path) -> None:
    """What is not loaded yet must not be saved over what is."""
    write_snapshot(tmp_path)
    before = (tmp_path / "dump.rdb").read_bytes()
    config = {"dir": str(tmp_path), "key-load-delay": DELAY_US, "save": "3600 1"}
    server = VedetteServer(config, directory=tmp_path)
    server.awaits_loading = False
    with server:
        assert server.info("persistence")["loading"] == "1"
        assert server.stop() == 0

    assert (tmp_path / "dump.rdb").read_bytes() == before
