"""LOLWUT: a picture, another one each time, and the version (Redis 7.0 `lolwut.c`).

Ours is the sea at night as a lookout sees it: stars, a lighthouse, ships and their wakes.
"""

from __future__ import annotations

import random
from typing import Final

from vedette import REDIS_VERSION, __version__
from vedette.cmdspec import Flag, command
from vedette.resp.replies import Reply, VerbatimReply

from ..engine import ServerContext
from .arguments import INT64_MAX, INT64_MIN, NOT_AN_INTEGER, parse_integer_between

_DEFAULT_SIZE: Final = (66, 12)
_LARGEST_SIZE: Final = (160, 60)
_SMALLEST_SIZE: Final = (24, 8)
_STARS: Final = ".  .   *    +     '"
_TOWER: Final = ("  _|_  ", "  |o|  ", "  |#|  ", "  | |  ", " /###\\ ")
_SHIPS: Final = ((" |\\ ", "\\__/"), (" /|\\ ", "\\___/"), (" _n_ ", "\\___)"))


@command(
    "LOLWUT",
    arity=-1,
    flags=Flag.READONLY | Flag.FAST,
    group="server",
    since="5.0.0",
    summary="Draws a picture and tells the version; VERSION and a size may be given.",
)
def lolwut(ctx: ServerContext, argv: list[bytes]) -> Reply:
    words = argv[1:]
    if len(words) > 1 and words[0].upper() == b"VERSION":
        # Each version of Redis has a picture of its own; here there is one for all.
        parse_integer_between(words[1], INT64_MIN, INT64_MAX, NOT_AN_INTEGER)
        words = words[2:]
    sizes = [int(word) for word in words if word.removeprefix(b"-").isdigit()]
    width, height = (
        max(low, min(high, size))
        for size, low, high in zip(
            [*sizes[:2], *_DEFAULT_SIZE[len(sizes) :]], _SMALLEST_SIZE, _LARGEST_SIZE, strict=True
        )
    )
    picture = "\n".join(_draw(width, height, ctx.random))
    caption = f"The watch is kept. Redis ver. {REDIS_VERSION}, Vedette {__version__}"
    return VerbatimReply(f"{picture}\n\n{caption}\n".encode())


def _draw(width: int, height: int, generator: random.Random) -> list[str]:
    horizon = height * 2 // 3
    rows = [[" "] * width for _ in range(height)]
    for row in rows[: horizon - 1]:
        for column in range(width):
            if generator.random() < 0.03:
                row[column] = generator.choice(_STARS)
    for index, row in enumerate(rows[horizon:]):
        for column in range(width):
            if generator.random() < 0.15 + 0.1 * index:
                row[column] = "~"
    _put(rows, _TOWER, horizon - len(_TOWER), generator.randrange(width - len(_TOWER[0])))
    for depth in range(horizon, height - 1, 2):
        ship = generator.choice(_SHIPS)
        _put(rows, ship, depth - 1, generator.randrange(width - len(ship[0])))
    return ["".join(row).rstrip() for row in rows]


def _put(rows: list[list[str]], figure: tuple[str, ...], top: int, left: int) -> None:
    for row, line in zip(rows[max(0, top) :], figure, strict=False):
        for offset, character in enumerate(line):
            if character != " ":
                row[left + offset] = character
