"""A sentinel's disk: its configuration file, read and written by the real reader and writer.

A save takes time and goes through the steps of `vedette.runtime.durable_file`: temporary file,
fsync, rename, fsync of the directory. A crash cuts it anywhere; a loss of power may take back the
rename that was not yet synced. What is on it is kept as a record, and goes through the text
whenever a sentinel starts from it.
"""

from __future__ import annotations

from dataclasses import replace

from sentinel.config import Outside, read_config
from sentinel.config import World as ConfigWorld
from sentinel.core.durable import DurableState
from sentinel.state_lines import key_of, state_lines
from tests.sim.network import World
from vedette.conf import parse_text, rewrite_text
from vedette.types import RunId

_COMMENT = "# the administrator's own line"
#: Up to this part of its time a save is not visible; then the rename is done, but not yet synced.
_RENAMED_AT = 0.7


class Disk:
    """One sentinel's disk."""

    def __init__(self, world: World, text: str) -> None:
        self.world = world
        self._text = f"{_COMMENT}\n{text}"
        self.state: DurableState
        self.is_broken = False
        #: How long a save takes at least and at most.
        self.fast_us = 300
        self.slow_us = 8_000
        self._begun_us = 0
        self._takes_us = 0
        self._saving: DurableState | None = None
        self._before: DurableState
        self._read()

    def _read(self) -> None:
        self.state = read_config(parse_text(self._text, "sentinel.conf"), _WORLD).durable

    def load(self) -> DurableState:
        """Return the state that a start finds, through the text of the file."""
        written = self.state
        self._text = rewrite_text(self._text, state_lines(written, Outside()), key_of)
        self._read()
        said, meant = _unordered(self.state), _unordered(written)
        assert said == meant, f"the file says {said}, not {meant}"
        assert self._text.startswith(f"{_COMMENT}\n"), "the administrator's line is lost"
        return self.state

    def begin(self, state: DurableState) -> int:
        """Begin a save; return how long it takes, in us."""
        assert self._saving is None
        self._saving = state
        self._begun_us = self.world.now_us
        self._takes_us = self.world.between(self.fast_us, self.slow_us)
        return self._takes_us

    def end(self) -> bool:
        """The save at hand is over; return whether it is certain to be on disk."""
        assert self._saving is not None
        if not self.is_broken:
            self.state = self._saving
        self._saving = None
        return not self.is_broken

    def crash(self, *, is_power_lost: bool) -> None:
        """Cut the save that is under way: the old content stays, or the new one is there."""
        saving, self._saving = self._saving, None
        if saving is None or self.is_broken:
            return
        progress = (self.world.now_us - self._begun_us) / max(self._takes_us, 1)
        if progress >= _RENAMED_AT and not (is_power_lost and self.world.chance(0.5)):
            self.state = saving


def _unordered(state: DurableState) -> DurableState:
    """The same record for the same content: a rewritten file keeps its lines where they were."""
    masters = tuple(
        replace(
            master,
            replicas=tuple(sorted(master.replicas)),
            sentinels=tuple(sorted(master.sentinels)),
        )
        for master in sorted(state.masters, key=lambda master: master.name)
    )
    return replace(state, masters=masters)


def _draw_id() -> RunId:
    raise AssertionError("a simulated sentinel's file names its id")


_WORLD = ConfigWorld(draw_id=_draw_id, is_executable=lambda path: True)
