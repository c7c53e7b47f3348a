"""Where a command's keys stand among its arguments, and what it does to them.

Follows Redis 7.0 `db.c: getKeysUsingKeySpecs`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace


@dataclass(frozen=True, slots=True)
class KeySpec:
    """One group of keys that is accessed in one way.

    The group begins at the argument `index`. `last` is the distance from there to the last key (0:
    just one key; negative counts from the end of the arguments, -1 being the last), `step` the
    distance between two. With `is_counted` the argument at `index` is the number of keys, which
    follow it. With `is_unknown` no rule says where the keys stand: `find(argv)` gives their
    indexes, None if the arguments do not name them at all. With a `keyword` (upper case) the keys
    stand behind that word, which is to be looked for from the argument `index` on; that is what
    COMMAND shows, and `find` knows which of several such words counts.

    `access` is what COMMAND shows, upper case: RO, RW, OW (overwritten) or RM (removed), then what
    is done to the value: ACCESS, UPDATE, INSERT, DELETE; VARIABLE_FLAGS where that depends on the
    other arguments; NOT_KEY alone for words that stand where keys would, as for clients of a
    cluster the names of shard channels do. `notes` explains the oddities.
    """

    index: int
    access: tuple[str, ...] = ()
    last: int = 0
    step: int = 1
    #: How many times more keys the range would have than there are (XREAD: 2, for the IDs); 0: 1.
    limit: int = 0
    is_counted: bool = False
    is_unknown: bool = False
    find: Callable[[list[bytes]], range] | None = None
    keyword: bytes = b""
    notes: str = ""

    def positions(self, argv: list[bytes]) -> range:
        """Return the indexes of the keys in `argv`.

        None where there are fewer arguments than that takes, or the count makes no sense.
        """
        if self.find is not None:
            return self.find(argv)
        if self.is_unknown:
            return range(0)
        size = len(argv)
        if self.is_counted:
            try:
                count = int(argv[self.index])
            except (ValueError, IndexError):
                return range(0)
            first = self.index + 1
            end = first + count * self.step
        else:
            first = self.index
            end = (first + self.last if self.last >= 0 else size + self.last) + 1
        return range(first, end, self.step) if first < end <= size else range(0)


@dataclass(frozen=True, slots=True)
class Keys:
    """Where a command's keys stand in its arguments.

    `first` is the index of the first key (0: no keys), `last` that of the last (negative counts
    from the end), `step` the distance between two; these three are what COMMAND shows and what
    older clients go by. `access` is as in `KeySpec`. `keynum_index`, if not 0, is the index of an
    argument that says how many keys follow it.

    A command whose keys are not all accessed in one way (RENAME reads one and overwrites another)
    says so in `groups`, which then replace what the other fields say of the keys' whereabouts.

    Where `access` has VARIABLE_FLAGS, `narrow` returns what a given request does to its keys.
    """

    first: int = 0
    last: int = 0
    step: int = 0
    access: tuple[str, ...] = ()
    keynum_index: int = 0
    groups: tuple[KeySpec, ...] = ()
    notes: str = ""
    narrow: Callable[[list[bytes]], tuple[str, ...]] | None = None
    #: The key specifications, as COMMAND shows them.
    specs: tuple[KeySpec, ...] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "specs", self.groups or self._single_spec())

    def _single_spec(self) -> tuple[KeySpec, ...]:
        if self.keynum_index:
            spec = KeySpec(self.keynum_index, self.access, is_counted=True, notes=self.notes)
        elif self.first:
            last = self.last - self.first if self.last >= 0 else self.last
            spec = KeySpec(self.first, self.access, last, self.step or 1, notes=self.notes)
        else:
            return ()
        return (spec,)

    def accesses(self, argv: list[bytes]) -> Iterator[tuple[bytes, KeySpec]]:
        """Iterate over the keys in `argv` with the group each belongs to."""
        for position, spec in self.positions(argv):
            yield argv[position], spec

    def positions(self, argv: list[bytes]) -> list[tuple[int, KeySpec]]:
        """Return the indexes of the keys in `argv` with the group each belongs to.

        Words that are no keys (NOT_KEY) are left out. There are none at all where a group does not
        fit the arguments: the command will refuse them. What a group says of the access is what
        this very request does.
        """
        found: list[tuple[int, KeySpec]] = []
        for spec in self.specs:
            if "NOT_KEY" in spec.access:
                continue
            places = spec.positions(argv)
            if not places and spec.find is None and not spec.is_unknown:
                return []
            if self.narrow is not None:
                spec = replace(spec, access=self.narrow(argv))
            found += [(position, spec) for position in places]
        return found

    def of(self, argv: list[bytes]) -> list[bytes]:
        """Return the keys in `argv`; an unusable key count gives none."""
        return [key for key, _ in self.accesses(argv)]


NO_KEYS = Keys()


@dataclass(frozen=True, slots=True)
class Channels:
    """Where the channels stand that a command publishes to or begins to listen to.

    From the argument `first` to `last` (negative counts from the end, -1 being the last).
    `is_pattern`: they are globs.
    """

    first: int
    last: int
    is_pattern: bool = False

    def positions(self, argv: list[bytes]) -> range:
        """Return the indexes of the channels in `argv`."""
        end = self.last if self.last >= 0 else len(argv) + self.last
        return range(self.first, min(end, len(argv) - 1) + 1)
