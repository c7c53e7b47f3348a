"""The manifest of an append-only file: its text, and what a rewrite makes of it."""

from __future__ import annotations

import pytest

from server.persistence.aof.manifest import Manifest, ManifestError

NAME = "appendonly.aof"


def lines(manifest: Manifest) -> list[str]:
    return manifest.format().decode().splitlines()


def test_a_manifest_is_read_as_it_was_written() -> None:
    """Whatever the file is called, and with history in it."""
    manifest = (
        Manifest().with_base(" a\n\"b' \\é", is_rdb=True).with_increment("x y").with_increment("z")
    )
    manifest = manifest.with_base("c", is_rdb=False).with_increments_rewritten(but_last=True)

    assert Manifest.parse(manifest.format()) == manifest


def test_the_text_is_that_of_redis() -> None:
    """Another server reads it."""
    manifest = Manifest().with_base(NAME, is_rdb=True).with_increment(NAME)

    assert lines(manifest) == [
        "file appendonly.aof.1.base.rdb seq 1 type b",
        "file appendonly.aof.1.incr.aof seq 1 type i",
    ]


def test_a_rewrite_makes_history_of_all_but_the_file_that_is_written_to() -> None:
    """The latest history comes first, between base and increments, as in Redis."""
    manifest = Manifest().with_base(NAME, is_rdb=True).with_increment(NAME)
    for _ in range(2):
        manifest = manifest.with_increment(NAME)
        manifest = manifest.with_base(NAME, is_rdb=True).with_increments_rewritten(but_last=True)

    assert lines(manifest) == [
        "file appendonly.aof.3.base.rdb seq 3 type b",
        "file appendonly.aof.2.incr.aof seq 2 type h",
        "file appendonly.aof.2.base.rdb seq 2 type h",
        "file appendonly.aof.1.incr.aof seq 1 type h",
        "file appendonly.aof.1.base.rdb seq 1 type h",
        "file appendonly.aof.3.incr.aof seq 3 type i",
    ]
    assert lines(manifest.without_history()) == [lines(manifest)[0], lines(manifest)[-1]]


def test_numbers_go_on_from_what_was_read() -> None:
    """Gaps are no fault: files may have been removed by hand."""
    manifest = Manifest.parse(
        b"file a.4.base.rdb seq 4 type b\nfile a.2.incr.aof seq 2 type i\n"
        b"file a.9.incr.aof seq 9 type i\n"
    )

    assert manifest.with_base("a", is_rdb=False).base.name == "a.5.base.aof"  # type: ignore[union-attr]
    assert manifest.with_increment("a").increments[-1].name == "a.10.incr.aof"


def test_comments_and_keys_of_newer_versions_are_passed_over() -> None:
    """So that a downgrade is possible."""
    text = b"# by hand\nfile a seq 1 type b startoffset 77\n"

    assert [part.name for part in Manifest.parse(text).parts] == ["a"]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (b"", "Found an empty AOF manifest"),
        (b"\n", "Invalid AOF manifest file format"),
        (b"file a seq 1 type b extra\n", "Invalid AOF manifest file format"),
        (b"file a seq 1\n", "Invalid AOF manifest file format"),
        (b"file a seq x type b\n", "Invalid AOF manifest file format"),
        (b'file "a seq 1 type b\n', "Invalid AOF manifest file format"),
        (b"filx a seq 1 type b\n", "Invalid AOF manifest file format"),
        (b"file a/b seq 1 type b\n", "File can't be a path, just a filename"),
        (b"file a seq 1 type x\n", "Unknown AOF file type"),
        (b"file a seq 1 type b", "The AOF manifest file contains too long line"),
        (b"file a seq 1 type b" + b" k v" * 300 + b"\n", "too long line"),
        (b"file a seq 1 type b\nfile b seq 2 type b\n", "Found duplicate base file information"),
        (b"file a seq 2 type i\nfile b seq 2 type i\n", "Found a non-monotonic sequence number"),
    ],
)
def test_what_is_no_manifest_is_refused(text: bytes, reason: str) -> None:
    """To go on with a part of the dataset would be to lose the rest."""
    with pytest.raises(ManifestError, match=reason):
        Manifest.parse(text)
