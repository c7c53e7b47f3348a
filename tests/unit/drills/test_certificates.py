"""The certificates of a laboratory."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from drills.lab import PlanError
from drills.runtime.certificates import context_of, make_certificates


def test_the_key_is_its_owners_alone_and_connections_can_be_made(tmp_path: Path) -> None:
    """The directory may be one that is kept."""
    files = make_certificates(tmp_path / "tls")

    assert files.key.stat().st_mode & 0o777 == 0o600
    assert context_of(files) is not None
    assert context_of(None) is None


def test_without_the_library_it_is_said_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is an extra, which most have no use for."""
    monkeypatch.setitem(sys.modules, "trustme", None)

    with pytest.raises(PlanError, match=r"pip install 'vedette\[certificates\]'"):
        make_certificates(tmp_path)
