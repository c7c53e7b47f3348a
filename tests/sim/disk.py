"""A sentinel's disk: its configuration file and the ledger beside it, by the real code of both.

What is saved goes where the runtime would put it (`sentinel.runtime.state_file`): into the ledger
if that can hold it, else into the file, which follows a ledger a moment later. A save takes time.
The file goes through the steps of `vedette.runtime.durable_file`: temporary file, fsync, rename,
fsync of the directory. A line of the ledger is written over what was there, and then synced. A
crash cuts either anywhere; a loss of power may take back a rename that was not synced, and leave of
a line what it likes. Every start reads the text of the file, and the ledger's bytes, with the real
readers.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from sentinel.config import Outside, read_config
from sentinel.config import World as ConfigWorld
from sentinel.core.durable import DurableState
from sentinel.ledger import base_of, decode_records, encode_record, record_of, restored
from sentinel.state_lines import key_of, state_lines
from tests.sim.network import World
from vedette.conf import parse_text, rewrite_text
from vedette.types import RunId

_COMMENT = "# the administrator's own line"
#: Up to this part of its time a save is not visible; then the rename or the write is done, but not
#: yet synced.
_VISIBLE_AT = 0.7
#: Small, so that a day sees it full.
_LEDGER_BYTES = 4 * 512
_SECTOR_BYTES = 512
#: A line takes so much of the time that a file takes.
_LINE_SHARE = 0.3


@dataclass
class _Save:
    """What is on its way: the state, and its line where it goes into the ledger."""

    state: DurableState
    line: bytes | None
    begun_us: int
    takes_us: int


class Disk:
    """One sentinel's disk."""

    def __init__(self, world: World, text: str) -> None:
        self.world = world
        self._text = f"{_COMMENT}\n{text}"
        self.is_broken = False
        #: How long a save of the file takes at least and at most.
        self.fast_us = 300
        self.slow_us = 8_000
        #: What the file says; the ledger may be ahead of it.
        self.file = self._read()
        self._ledger = bytearray(_LEDGER_BYTES)
        self._position = 0
        #: What names the file's content, and whether this process knows that it is as it left it.
        self._base = ""
        self._is_certain = False
        #: What is durable, in whichever of the two.
        self.state: DurableState = self.file
        self._save: _Save | None = None

    def _read(self) -> DurableState:
        return read_config(parse_text(self._text, "sentinel.conf"), _WORLD).durable

    @property
    def is_behind(self) -> bool:
        """Whether the file lacks what the ledger has."""
        return self.state is not self.file

    def put(self, state: DurableState) -> None:
        """Have the file hold `state` and nothing beside it, as an operator can while none runs."""
        self._ledger = bytearray(_LEDGER_BYTES)
        self.file = self.state = state

    def load(self) -> DurableState:
        """Return the state that a start finds; as it does, write it into the file."""
        written = self.file
        self._text = rewrite_text(self._text, state_lines(written, Outside()), key_of)
        said, meant = _unordered(self._read()), _unordered(written)
        assert said == meant, f"the file says {said}, not {meant}"
        assert self._text.startswith(f"{_COMMENT}\n"), "the administrator's line is lost"
        found = self._restore()
        said, meant = _unordered(found), _unordered(self.state)
        assert said == meant, f"file and ledger say {said}, not {meant}"
        self.state = found
        self._is_certain = False
        if not self.is_broken:
            self._replace_file(found)
        return found

    def _restore(self) -> DurableState:
        """What file and ledger say together."""
        return restored(self.file, decode_records(bytes(self._ledger)), self._base)

    def _replace_file(self, state: DurableState) -> None:
        """The file holds `state`; lines go to the ledger's beginning again, over the old ones."""
        self.file = self.state = state
        self._base = base_of(repr(state).encode())
        self._is_certain = True
        self._position = 0

    def begin(self, state: DurableState) -> int:
        """Begin a save; return how long it takes, in us."""
        line = self._line_for(state)
        takes_us = self.world.between(self.fast_us, self.slow_us)
        if line is not None:
            takes_us = int(takes_us * _LINE_SHARE)
        self._begin(_Save(state, line, self.world.now_us, takes_us))
        return takes_us

    def begin_file(self) -> int:
        """Begin to have the file follow its ledger; return how long that takes, in us."""
        takes_us = self.world.between(self.fast_us, self.slow_us)
        self._begin(_Save(self.state, None, self.world.now_us, takes_us))
        return takes_us

    def _begin(self, save: _Save) -> None:
        assert self._save is None
        self._save = save

    def _line_for(self, state: DurableState) -> bytes | None:
        """The line that makes `state` durable, None if that takes the file."""
        record = record_of(self.state, state, self._base) if self._is_certain else None
        if record is None:
            return None
        line = encode_record(record)
        line = line.ljust(-(-len(line) // _SECTOR_BYTES) * _SECTOR_BYTES)
        return line if self._position + len(line) <= _LEDGER_BYTES else None

    def end(self) -> bool:
        """The save at hand is over; return whether it is certain to be on disk."""
        save, self._save = self._save, None
        assert save is not None
        if self.is_broken:
            self._is_certain = False  # so the next save goes to the file, whatever it is
            return False
        if save.line is None:
            self._replace_file(save.state)
        else:
            self._write(save.line)
            self._position += len(save.line)
            self.state = save.state
        return True

    def drop_line(self) -> bool:
        """Lose the line at hand, if it is one, as if never synced: for a planted mistake."""
        if self._save is None or self._save.line is None:
            return False
        self._save = None
        return True

    def _write(self, data: bytes) -> None:
        self._ledger[self._position : self._position + len(data)] = data

    def crash(self, *, is_power_lost: bool) -> None:
        """Cut the save that is under way: the old content stays, or the new one is there."""
        save, self._save = self._save, None
        if save is None or self.is_broken:
            return
        progress = (self.world.now_us - save.begun_us) / max(save.takes_us, 1)
        if progress < _VISIBLE_AT:
            return
        if save.line is not None:
            cut = self.world.between(0, len(save.line)) if is_power_lost else len(save.line)
            self._write(save.line[:cut])
            self.state = self._restore()
        elif not (is_power_lost and self.world.chance(0.5)):
            self._replace_file(save.state)


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
