"""`vedette check-aof` and `check-rdb`: what they find, what they change, and their exit codes."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from server.persistence.aof.manifest import Manifest
from server.persistence.rdb.encode import encode_records
from server.persistence.rdb.records import Aux, Entries, FunctionLibrary, Record, ResizeDb, SelectDb
from server.store.lists import List
from vedette.resp.encode import encode_command
from vedette_cli.main import cli


def encoded(*commands: str) -> bytes:
    return b"".join(encode_command(command.encode().split()) for command in commands)


SET_A = encoded("SET a 1")
SNAPSHOT = b"".join(
    encode_records(
        [
            Aux(b"redis-ver", b"7.2.4"),
            FunctionLibrary(b"#!lua name=mine\n"),
            SelectDb(0),
            ResizeDb(2, 1),
            Entries(values={b"s": b"1", b"l": List(deque([b"1"]))}, expire_at_ms={b"s": 1}),
        ]
    )
)
NAME = "appendonly.aof"


def run(*words: str | Path, text: str = "") -> Result:
    return CliRunner().invoke(cli, [str(word) for word in words], input=text)


def lay_out(directory: Path, base: bytes, increments: Sequence[bytes]) -> Path:
    """Make an append-only file and return its manifest."""
    manifest = Manifest().with_base(NAME, is_rdb=base.startswith(b"REDIS"))
    for _ in increments:
        manifest = manifest.with_increment(NAME)
    for part, data in zip(manifest.parts, [base, *increments], strict=True):
        (directory / part.name).write_bytes(data)
    path = directory / f"{NAME}.manifest"
    path.write_bytes(manifest.format())
    return path


# --- check-rdb ------------------------------------------------------------------------------------


def test_a_snapshot_that_is_well_is_described(tmp_path: Path) -> None:
    """By what can be told apart: types, databases, lifetimes, functions."""
    path = tmp_path / "dump.rdb"
    path.write_bytes(SNAPSHOT)
    result = run("check-rdb", path)

    assert result.exit_code == 0
    assert "redis-ver: 7.2.4" in result.output
    assert "2 keys in 1 database: 1 list, 1 string" in result.output
    assert "1 key of them with an expiry time, which has passed for 1" in result.output
    assert "1 function library" in result.output
    assert result.output.endswith("dump.rdb is well.\n")


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "the signature of an RDB file is missing"),
        (SNAPSHOT[:-9], "corrupt RDB data at offset"),
        (SNAPSHOT[:-1] + b"x", "the checksum is"),
        (SNAPSHOT[:60], "corrupt RDB data at offset"),
        (SNAPSHOT.replace(b"REDIS0010", b"REDIS0099"), "RDB version 99 is not supported"),
    ],
)
def test_a_damaged_snapshot_has_code_1_and_the_reason(
    data: bytes, reason: str, tmp_path: Path
) -> None:
    """A script that makes backups goes by the code."""
    path = tmp_path / "dump.rdb"
    path.write_bytes(data)
    result = run("check-rdb", path)

    assert result.exit_code == 1
    assert reason in result.output


def test_a_snapshot_with_fewer_keys_than_it_announces_is_damaged(tmp_path: Path) -> None:
    """Its checksum is right: the writer lost them before."""
    path = tmp_path / "dump.rdb"
    records: list[Record] = [SelectDb(0), ResizeDb(3, 0), Entries(values={b"a": b"1"})]
    path.write_bytes(b"".join(encode_records(records)))
    result = run("check-rdb", path)

    assert result.exit_code == 1
    assert "database 0 announces 3 keys and has 1" in result.output


def test_a_file_that_is_not_there_has_code_1(tmp_path: Path) -> None:
    result = run("check-rdb", tmp_path / "none")

    assert result.exit_code == 1
    assert "No such file or directory" in result.output


# --- check-aof ------------------------------------------------------------------------------------


@pytest.mark.parametrize("base", [SNAPSHOT, SET_A])
def test_all_files_of_a_manifest_are_checked(base: bytes, tmp_path: Path) -> None:
    """Named by the manifest or by the directory."""
    manifest = lay_out(tmp_path, base, [SET_A, b"", encoded("MULTI", "SET b 1", "EXEC")])
    for named in (manifest, tmp_path):
        result = run("check-aof", named)
        assert result.exit_code == 0
        assert "3.incr.aof: 56 bytes, 3 commands, whole up to offset 56" in result.output
        assert result.output.endswith("All files are well.\n")


@pytest.mark.parametrize("tail", [SET_A[:-1], b"!!!", encoded("MULTI", "SET b 1"), encoded("EXEC")])
def test_what_is_not_whole_is_cut_off_on_request_only(tail: bytes, tmp_path: Path) -> None:
    """Asked for first, or --yes given."""
    path = tmp_path / "old.aof"
    path.write_bytes(SET_A + tail)
    assert run("check-aof", path).exit_code == 1
    assert run("check-aof", "--fix", path, text="n\n").exit_code == 1
    assert path.read_bytes() == SET_A + tail
    result = run("check-aof", "--fix", path, text="y\n")

    assert result.exit_code == 0
    assert path.read_bytes() == SET_A
    path.write_bytes(SET_A + tail)
    assert run("check-aof", "--fix", "--yes", path).exit_code == 0
    assert run("check-aof", path).exit_code == 0


def test_the_tail_behind_a_snapshot_is_cut_and_the_snapshot_never(tmp_path: Path) -> None:
    """A file of Redis before 7.0 begins with one; damaged, there is nothing to go back to."""
    path = tmp_path / "old.aof"
    path.write_bytes(SNAPSHOT + SET_A + b"*1")
    assert run("check-aof", "--fix", "--yes", path).exit_code == 0
    assert path.read_bytes() == SNAPSHOT + SET_A
    path.write_bytes(SNAPSHOT[:-9])
    result = run("check-aof", "--fix", "--yes", path)

    assert result.exit_code == 1
    assert "its snapshot is damaged" in result.output
    assert path.read_bytes() == SNAPSHOT[:-9]


def test_only_the_last_file_is_cut_off(tmp_path: Path) -> None:
    """What follows a gap was meant for another dataset."""
    manifest = lay_out(tmp_path, SET_A + b"*1", [SET_A])
    result = run("check-aof", "--fix", "--yes", manifest)

    assert result.exit_code == 1
    assert "is not the last file" in result.output
    assert (tmp_path / f"{NAME}.1.base.aof").read_bytes() == SET_A + b"*1"


def test_a_file_can_be_gone_back_in_to_a_time(tmp_path: Path) -> None:
    """To before the first annotation of a later one."""
    stamped = [b"#TS:%d\r\n" % number + SET_A for number in (100, 200, 300)]
    manifest = lay_out(tmp_path, SET_A, [b"".join(stamped)])
    path = tmp_path / f"{NAME}.1.incr.aof"
    for until, kept in ((300, 3), (250, 2), (100, 1)):
        assert run("check-aof", "--truncate-to-timestamp", str(until), manifest).exit_code == 0
        assert path.read_bytes() == b"".join(stamped[:kept])
    result = run("check-aof", "--truncate-to-timestamp", "99", manifest)

    assert result.exit_code == 1
    assert "has nothing before 99" in result.output
    lay_out(tmp_path, b"".join(stamped), [SET_A])
    result = run("check-aof", "--truncate-to-timestamp", "150", manifest)
    assert result.exit_code == 1
    assert "is not the last file" in result.output


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (b"", "Found an empty AOF manifest"),
        (b"x y z\n", "line 1: Invalid AOF manifest file format"),
        (b"file none.aof seq 1 type i\n", "No such file or directory"),
    ],
)
def test_a_manifest_that_cannot_be_used_has_code_1(
    text: bytes, reason: str, tmp_path: Path
) -> None:
    path = tmp_path / "a.manifest"
    path.write_bytes(text)
    result = run("check-aof", path)

    assert result.exit_code == 1
    assert reason in result.output


def test_a_backup_from_rediss_is_taken_over_tls_or_not_at_all(tmp_path: Path) -> None:
    """The scheme alone says so: a copy must not travel, nor a password, in the open."""
    result = CliRunner().invoke(cli, ["backup", "rediss://127.0.0.1:1", str(tmp_path / "copy.rdb")])

    assert result.exit_code == 2
    assert "must say whom to trust" in result.output
