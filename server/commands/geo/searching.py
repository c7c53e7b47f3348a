"""Members near a place: what is asked for, and GEOSEARCH, which asks."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice
from operator import itemgetter
from typing import Final, TypeAlias

from vedette.cmdspec import Flag, Keys, KeySpec, command
from vedette.errors import CommandError
from vedette.resp.replies import Reply

from ...engine import ServerContext
from ...store.geohash import Box, Circle, Position, covering_cells, decode, find
from ...store.sorted_sets import SortedSet
from ..arguments import parse_integer, syntax_error
from ..doubles import parse_double
from ..sorted_sets.shared import store
from .shared import distance_reply, parse_position, parse_unit, position_reply

_READ_KEY: Final = Keys(1, 1, 1, ("RO", "ACCESS"))
_NO_MEMBER: Final = b"ERR could not decode requested zset member"


#: A member inside of the area: its distance from the centre in metres, its score, and itself.
_Found: TypeAlias = tuple[float, float, bytes]


@dataclass(slots=True)
class Search:
    """What is asked for, as the arguments say it one after the other.

    `zset` is what is searched, None where the key is missing: members cannot be looked up then.
    """

    zset: SortedSet | None
    centre: Position | None = None
    #: Makes the area out of its centre; None: not given.
    shape: Callable[[Position], Circle | Box] | None = None
    unit_m: float = 1.0
    with_distance: bool = False
    with_hash: bool = False
    with_position: bool = False
    #: ASC or DESC; empty: as they are found.
    order: bytes = b""
    count: int = 0
    takes_any: bool = False
    store_key: bytes | None = None
    stores_distances: bool = False
    #: How the centre and the area were given, for they can be given in one way only.
    centre_option: bytes = b""
    shape_option: bytes = b""

    @property
    def wants_details(self) -> bool:
        """Whether more is to be told of a member than that it is there."""
        return self.with_distance or self.with_hash or self.with_position

    def take_common(self, option: bytes, rest: deque[bytes]) -> bool:
        """Read an option that all commands have, and its value off `rest`. False: it is none.

        Raises:
            CommandError: its value makes no sense.
        """
        match option:
            case b"WITHDIST":
                self.with_distance = True
            case b"WITHHASH":
                self.with_hash = True
            case b"WITHCOORD":
                self.with_position = True
            case b"ANY":
                self.takes_any = True
            case b"ASC" | b"DESC":
                self.order = option
            case b"COUNT" if rest:
                self.count = parse_integer(rest.popleft())
                if self.count <= 0:
                    raise CommandError(b"ERR COUNT must be > 0")
            case _:
                return False
        return True

    def take_area(self, option: bytes, rest: deque[bytes]) -> bool:
        """Read an option of GEOSEARCH that says where to look. False: it is none, or has no place.

        Raises:
            CommandError: its values make no sense.
        """
        match option:
            case b"FROMMEMBER" if rest and self.centre_option in (b"", option):
                member = rest.popleft()
                if self.zset is not None:
                    self.centre = position_of(self.zset, member)
                self.centre_option = option
            case b"FROMLONLAT" if len(rest) >= 2 and self.centre_option in (b"", option):
                self.centre = parse_position(rest.popleft(), rest.popleft())
                self.centre_option = option
            case b"BYRADIUS" if len(rest) >= 2 and self.shape_option in (b"", option):
                self.take_radius(rest.popleft(), rest.popleft())
                self.shape_option = option
            case b"BYBOX" if len(rest) >= 3 and self.shape_option in (b"", option):
                self.take_box(rest.popleft(), rest.popleft(), rest.popleft())
                self.shape_option = option
            case _:
                return False
        return True

    def take_radius(self, radius_text: bytes, unit: bytes) -> None:
        """Look in a circle.

        Raises:
            CommandError: it has no size.
        """
        radius = parse_double(radius_text, b"ERR need numeric radius")
        if radius < 0:
            raise CommandError(b"ERR radius cannot be negative")
        unit_m = self.unit_m = parse_unit(unit)
        self.shape = lambda centre: Circle(centre, radius * unit_m)

    def take_box(self, width_text: bytes, height_text: bytes, unit: bytes) -> None:
        """Look in a rectangle.

        Raises:
            CommandError: it has no size.
        """
        width = parse_double(width_text, b"ERR need numeric width")
        height = parse_double(height_text, b"ERR need numeric height")
        if height < 0 or width < 0:
            raise CommandError(b"ERR height or width cannot be negative")
        unit_m = self.unit_m = parse_unit(unit)
        self.shape = lambda centre: Box(centre, width, height, unit_m)

    def check(self, storing_name: bytes) -> None:
        """Check that the options go together.

        Raises:
            CommandError: they do not; `storing_name` is what stores in the error.
        """
        if self.store_key is not None and self.wants_details:
            raise CommandError(
                b"ERR %b is not compatible with WITHDIST, WITHHASH and WITHCOORD options"
                % storing_name
            )

    def check_area(self, name: bytes) -> None:
        """Check that GEOSEARCH or GEOSEARCHSTORE, sent as `name`, was told where to look.

        Raises:
            CommandError: it was not.
        """
        if not self.centre_option:
            raise CommandError(
                b"ERR exactly one of FROMMEMBER or FROMLONLAT can be specified for %b" % name
            )
        if not self.shape_option:
            raise CommandError(
                b"ERR exactly one of BYRADIUS and BYBOX can be specified for %b" % name
            )

    def answer(self, ctx: ServerContext, event: bytes) -> Reply:
        """Search, and return or store what is found; `event` tells of the latter.

        Raises:
            CommandError: ANY stands without COUNT.
        """
        if self.takes_any and not self.count:
            raise CommandError(b"ERR the ANY argument requires COUNT argument")
        found = self._find()
        if self.store_key is None:
            if not self.wants_details:
                return [member for _, _, member in found]
            return [self._detailed(ctx, each) for each in found]
        pairs = [
            (distance_m / self.unit_m if self.stores_distances else score, member)
            for distance_m, score, member in found
        ]
        store(ctx, self.store_key, pairs, event)
        if pairs:
            ctx.changes = len(pairs)
        return len(pairs)

    def _find(self) -> list[_Found]:
        """Return the members in the area: the nearest or farthest first if so asked."""
        if self.zset is None or self.centre is None or self.shape is None:
            return []
        candidates = _members_within(self.zset, self.shape(self.centre))
        found = list(islice(candidates, self.count) if self.takes_any else candidates)
        order = self.order or (b"ASC" if self.count and not self.takes_any else b"")
        if order:
            found.sort(key=itemgetter(0), reverse=order == b"DESC")
        return found[: self.count] if self.count else found

    def _detailed(self, ctx: ServerContext, found: _Found) -> Reply:
        """Return a member with what is to be told of it."""
        distance_m, score, member = found
        details: list[Reply] = [member]
        if self.with_distance:
            details.append(distance_reply(distance_m, self.unit_m))
        if self.with_hash:
            details.append(int(score))
        if self.with_position:
            details.append(position_reply(ctx, decode(score)))
        return details


def position_of(zset: SortedSet, member: bytes) -> Position:
    """Return where `member` is.

    Raises:
        CommandError: it is not in `zset`.
    """
    score = zset.score(member)
    if score is None:
        raise CommandError(_NO_MEMBER)
    return decode(score)


def _members_within(zset: SortedSet, shape: Circle | Box) -> Iterator[_Found]:
    """Iterate over the members in `shape`, cell by cell, without an order between those."""
    for cell in covering_cells(shape):
        low, high = cell.scores()
        start, stop = zset.position(low), zset.position(high)
        if start < stop:
            yield from find(shape, zset.slice(start, stop))


@command(
    "GEOSEARCH",
    arity=-7,
    flags=Flag.READONLY,
    keys=_READ_KEY,
    group="geo",
    since="6.2.0",
    summary="Returns the members in a circle or a box around a member or a place.",
)
def geosearch(ctx: ServerContext, argv: list[bytes]) -> Reply:
    return _search(ctx, argv, 1, None)


@command(
    "GEOSEARCHSTORE",
    arity=-8,
    flags=Flag.WRITE | Flag.DENYOOM,
    keys=Keys(1, 2, 1, groups=(KeySpec(1, ("OW", "UPDATE")), KeySpec(2, ("RO", "ACCESS")))),
    group="geo",
    since="6.2.0",
    summary="Stores what GEOSEARCH would return, with geohashes or distances as scores.",
)
def geosearchstore(ctx: ServerContext, argv: list[bytes]) -> Reply:
    return _search(ctx, argv, 2, argv[1])


def _search(
    ctx: ServerContext, argv: list[bytes], key_index: int, store_key: bytes | None
) -> Reply:
    search = Search(ctx.read_as(argv[key_index], SortedSet), store_key=store_key)
    rest = deque(argv[key_index + 1 :])
    while rest:
        option = rest.popleft().upper()
        if search.take_common(option, rest) or search.take_area(option, rest):
            continue
        if option != b"STOREDIST" or store_key is None:
            raise syntax_error()
        search.stores_distances = True
    search.check(b"GEOSEARCHSTORE")
    search.check_area(argv[0])
    return search.answer(ctx, b"geosearchstore")
