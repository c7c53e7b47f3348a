"""What the kernel is told of how soon to kill a server and its children."""

from __future__ import annotations

from pathlib import Path

import pytest

from server import directives
from server.config import Configuration, load_configuration
from server.runtime.oom_score import OomScore
from tests.support.engine import TestEngine
from vedette.conf import parse_text
from vedette.errors import CommandError
from vedette.types import Address

CHILD = 4711


class Rig:
    """A server, whose own score was `base`, and a child of it."""

    def __init__(self, root: Path, config: str = "", base: int = 5) -> None:
        self.configuration: Configuration = load_configuration(parse_text(config, "v.conf"))
        self._root = root
        for process in ("self", str(CHILD)):
            (root / process).mkdir()
            self.path(process).write_text(f"{base}\n")
        self.score = OomScore(self.configuration, str(root))

    def path(self, process: str) -> Path:
        return self._root / process / "oom_score_adj"

    def set(self, *words: bytes) -> None:
        self.configuration.set(list(zip(words[::2], words[1::2], strict=True)))

    @property
    def own(self) -> int:
        return int(self.path("self").read_text())

    @property
    def of_child(self) -> int:
        self.score.adjust_child(CHILD)
        return int(self.path(str(CHILD)).read_text())


@pytest.mark.parametrize(
    ("mode", "base", "scores"),
    [
        ("no", 5, (5, 5, 5)),
        ("yes", 5, (15, 25, 1000)),
        ("relative", -900, (-890, -880, 1000)),
        ("absolute", 5, (10, 20, 1000)),
    ],
)
def test_scores_follow_the_role(
    tmp_path: Path, mode: str, base: int, scores: tuple[int, int, int]
) -> None:
    """A child goes before a replica, a replica before a master; the kernel's limit is kept."""
    rig = Rig(tmp_path, f"oom-score-adj {mode}\noom-score-adj-values 10 20 2000", base)
    rig.score.adjust()
    as_master = rig.own
    rig.configuration.put(directives.REPLICA_OF, Address("10.0.0.1", 6379))

    rig.score.adjust()

    assert scores == (as_master, rig.own, rig.of_child)


def test_what_the_score_was_is_put_back(tmp_path: Path) -> None:
    """It is that of when it was last turned on, whatever was set by others before."""
    rig = Rig(tmp_path)
    rig.set(b"oom-score-adj", b"yes", b"oom-score-adj-values", b"100 200 300")
    assert rig.own == 105

    rig.set(b"oom-score-adj-values", b"7 200 300")
    assert rig.own == 12
    rig.set(b"oom-score-adj", b"no")

    assert rig.own == 5
    rig.path("self").write_text("44\n")
    rig.set(b"oom-score-adj-values", b"8 200 300")
    assert rig.own == 44
    rig.set(b"oom-score-adj", b"relative")
    assert rig.own == 52


def test_a_refusal_is_told_and_changes_nothing(tmp_path: Path) -> None:
    """Without privileges the kernel lets no score be lowered."""
    rig = Rig(tmp_path)
    rig.path("self").unlink()

    with pytest.raises(CommandError, match="Failed to set current oom_score_adj"):
        rig.set(b"oom-score-adj", b"absolute")

    assert rig.configuration[directives.OOM_SCORE_ADJ] == "no"
    assert not rig.path("self").exists()


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        (b"0 200", "wrong number of arguments"),
        (b"0 200 2001", "must be between -2000 and 2000"),
        (b"-2001 0 0", "must be between -2000 and 2000"),
        (b"0 x 0", "must be between -2000 and 2000"),
    ],
)
def test_values_that_are_none_are_refused(tmp_path: Path, values: bytes, reason: str) -> None:
    """Redis' limits, so that a relative score can reach from one end to the other."""
    rig = Rig(tmp_path)

    with pytest.raises(CommandError, match=reason):
        rig.set(b"oom-score-adj-values", values)


def test_a_change_of_role_is_told() -> None:
    """A promoted replica is worth as much as the master was, at once."""
    client = TestEngine()
    client.call("REPLICAOF", "127.0.0.1", 1)
    client.call("REPLICAOF", "127.0.0.1", 2)
    assert client.host.asked == ["oom score of server"]

    client.call("REPLICAOF", "NO", "ONE")

    assert client.host.asked == ["oom score of server"] * 2
