"""Durable replacement of a file."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from vedette.runtime.durable_file import write_durably


def test_content_is_replaced_and_mode_kept(tmp_path: Path) -> None:
    """A configuration with passwords stays unreadable for others."""
    path = tmp_path / "state"
    path.write_bytes(b"old")
    path.chmod(0o600)

    write_durably(path, b"new")

    assert path.read_bytes() == b"new"
    assert path.stat().st_mode & 0o777 == 0o600
    assert os.listdir(tmp_path) == ["state"]


def test_file_is_synced_before_it_gets_its_name_and_the_directory_after(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In any other order a power cut can leave an empty file under the right name."""
    calls: list[str] = []
    real_fsync, real_rename = os.fsync, os.rename

    def fsync(descriptor: int) -> None:
        is_directory = os.path.isdir(f"/proc/self/fd/{descriptor}")
        calls.append("fsync directory" if is_directory else "fsync file")
        real_fsync(descriptor)

    def rename(source: str, target: str) -> None:
        calls.append("rename")
        real_rename(source, target)

    monkeypatch.setattr(os, "fsync", fsync)
    monkeypatch.setattr(os, "rename", rename)

    write_durably(tmp_path / "state", b"x" * 100_000)

    assert calls == ["fsync file", "rename", "fsync directory"]
    assert (tmp_path / "state").read_bytes() == b"x" * 100_000


def test_failure_leaves_the_old_content_and_no_temporary_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A full disk must not cost the state that was there."""
    path = tmp_path / "state"
    path.write_bytes(b"old")

    def fail(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", fail)

    with pytest.raises(OSError, match="No space left"):
        write_durably(path, b"new")

    assert path.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["state"]


def test_missing_directory_is_an_oserror(tmp_path: Path) -> None:
    """The caller decides what a state that cannot be saved means."""
    with pytest.raises(OSError, match="No such file"):
        write_durably(tmp_path / "none" / "state", b"x")
