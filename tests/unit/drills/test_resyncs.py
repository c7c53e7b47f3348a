"""How replicas were synchronised, by their own logs."""

from __future__ import annotations

import pytest

from drills.resyncs import Resyncs, count_resyncs

VEDETTE = """
timestamp=2026-11-30T13:15:42.003291Z pid=6205 level=info event=link.established \
master=127.0.0.1:19302 kind=partial replid=8f82 offset=39064
timestamp=2026-11-30T13:15:42.069122Z pid=6206 level=info event=replica.synchronised \
replica=127.0.0.1 port=19300
timestamp=2026-11-30T13:15:43.077887Z pid=6204 level=info event=link.established \
master=127.0.0.1:19302 kind=full replid=8f82 offset=40756
""".replace("\\\n", "")
REDIS = """
6399:S 30 Nov 2026 13:16:01.380 * Trying a partial resynchronization (request 4cb6:56946).
6399:S 30 Nov 2026 13:16:01.380 * Full resync from master: 237f:93324
6404:S 30 Nov 2026 13:15:50.238 * Successful partial resynchronization with master.
6404:S 30 Nov 2026 * MASTER <-> REPLICA sync: Master accepted a Partial Resynchronization.
6403:M 30 Nov 2026 13:15:50.235 * Partial resynchronization request from 127.0.0.1:19642 accepted.
6399:M 30 Nov 2026 13:15:43.692 * Full resync requested by replica 127.0.0.1:19642
"""
VALKEY = REDIS.replace("master", "primary").replace("MASTER", "PRIMARY")


@pytest.mark.parametrize("log", [VEDETTE, REDIS, VALKEY])
def test_each_synchronisation_counts_once_and_those_served_to_others_do_not(log: str) -> None:
    """Of several lines about one, one is taken; a master's lines are about its replicas."""
    assert count_resyncs(log) == Resyncs(full=1, partial=1)


@pytest.mark.parametrize(
    ("resyncs", "text"),
    [(Resyncs(0, 0), "none"), (Resyncs(2, 0), "2 full"), (Resyncs(1, 3), "1 full and 3 partial")],
)
def test_only_kinds_that_happened_are_told_in_words(resyncs: Resyncs, text: str) -> None:
    assert str(resyncs) == text
