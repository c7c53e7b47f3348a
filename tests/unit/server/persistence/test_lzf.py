"""The plain LZF decoder, which reads snapshots where the compiled one is not installed."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.persistence.rdb.lzf import decompress_plainly


@given(st.lists(st.sampled_from([b"a", b"ab", b"\0\xff", b"redis"]), min_size=12, max_size=400))
def test_plain_decoder_reads_what_the_compiled_one_wrote(pieces: list[bytes]) -> None:
    """Files are the same whoever reads them, overlapping back references included."""
    lzf = pytest.importorskip("lzf", reason="the extra lzf is not installed")
    text = b"".join(pieces)
    packed = lzf.compress(text, len(text) * 2)

    assert packed is not None
    assert text == decompress_plainly(packed, len(text))


@given(st.binary(max_size=60), st.integers(0, 300))
def test_plain_decoder_refuses_damage_with_value_error_alone(packed: bytes, size: int) -> None:
    """A damaged file must give an error that the reader of snapshots turns into its own."""
    try:
        text = decompress_plainly(packed, size)
    except ValueError:
        return
    assert text is None or len(text) <= size


def test_plain_decoder_reads_runs_and_references() -> None:
    """A fixed sample of the compiled encoder, for machines that do not have it."""
    packed = bytes.fromhex("08766564657474652076e08e0702616263e00402016263")

    assert decompress_plainly(packed, 178) == b"vedette " * 20 + b"abc" * 6


@pytest.mark.parametrize("packed", [b"\x05ab", b"\x20", b"\x20\x05", b"\xe0\x01"])
def test_truncated_or_dangling_input_is_an_error(packed: bytes) -> None:
    """Neither a short literal nor a reference to nowhere may be guessed at."""
    with pytest.raises(ValueError, match=r".+"):
        decompress_plainly(packed, 40)
