"""Random commands that change a dataset: of every type, over few keys, so that they meet.

For tests of what follows from writes (replicas, files): errors are as welcome as changes.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Final

__all__ = ["random_unit", "random_write"]

Command = list[str]

_TYPES: Final = ("s", "l", "h", "e", "z", "x", "b")


def random_write(rng: random.Random) -> Command:
    """Return one command; its key tells of which type it should be, and is of another sometimes."""
    kind = rng.choice(_TYPES)
    key = f"{rng.choice(_TYPES) if rng.random() < 0.02 else kind}:{rng.randrange(8)}"
    if rng.random() < 0.12:
        return rng.choice(_GENERIC)(key, rng)
    return rng.choice(_BY_TYPE[kind])(key, rng)


def random_unit(rng: random.Random) -> list[Command]:
    """Return one command, or some that belong together in MULTI and EXEC, or a script."""
    choice = rng.random()
    if choice < 0.1:
        inner = [random_write(rng) for _ in range(rng.randrange(1, 5))]
        return [["MULTI"], *inner, ["EXEC"]]
    if choice < 0.15:
        return [
            [
                "EVAL",
                "redis.call('INCR', KEYS[1]) redis.call('RPUSH', KEYS[2], ARGV[1])"
                " redis.call('SPOP', KEYS[3])",
                "3",
                "s:counter",
                "l:scripted",
                f"e:{rng.randrange(8)}",
                _word(rng),
            ]
        ]
    if choice < 0.18:
        return [["SELECT", str(rng.randrange(3))]]
    return [random_write(rng)]


def _word(rng: random.Random) -> str:
    return rng.choice(["", "a", "b", "7", "-300", "3.5", "x" * rng.randrange(100), "long" * 30])


def _number(rng: random.Random) -> str:
    return str(rng.choice([0, 1, -1, 2, 10, 1000, 2**40]))


def _score(rng: random.Random) -> str:
    return rng.choice(["0", "1", "-2.5", "0.1", "1e10", "inf", "-inf"])


def _other(key: str, rng: random.Random) -> str:
    return f"{key[0]}:{rng.randrange(8)}"


def _words(rng: random.Random, most: int = 6) -> list[str]:
    return [_word(rng) for _ in range(rng.randrange(1, most))]


_Maker = Callable[[str, random.Random], Command]

_GENERIC: Final[tuple[_Maker, ...]] = (
    lambda key, rng: ["DEL", key],
    lambda key, rng: ["UNLINK", key, _other(key, rng)],
    lambda key, rng: ["PEXPIRE", key, rng.choice(["1", "30", "100000"])],
    lambda key, rng: ["PERSIST", key],
    lambda key, rng: ["RENAME", key, _other(key, rng)],
    lambda key, rng: ["COPY", key, _other(key, rng), "REPLACE"],
    lambda key, rng: ["MOVE", key, str(rng.randrange(3))],
    lambda key, rng: ["SORT", key, "ALPHA", "STORE", f"l:{rng.randrange(8)}"],
    lambda key, rng: ["GETEX", key, "PX", "50"],
)
_BY_TYPE: Final[dict[str, tuple[_Maker, ...]]] = {
    "s": (
        lambda key, rng: ["SET", key, _word(rng)],
        lambda key, rng: ["SET", key, _number(rng), "PX", rng.choice(["1", "50", "100000"])],
        lambda key, rng: ["SET", key, _word(rng), "KEEPTTL", "GET"],
        lambda key, rng: ["APPEND", key, _word(rng)],
        lambda key, rng: ["INCRBY", key, _number(rng)],
        lambda key, rng: ["INCRBYFLOAT", key, "0.1"],
        lambda key, rng: ["SETRANGE", key, str(rng.randrange(50)), _word(rng)],
        lambda key, rng: ["GETDEL", key],
        lambda key, rng: ["MSET", key, _word(rng), _other(key, rng), _word(rng)],
    ),
    "b": (
        lambda key, rng: ["SETBIT", key, str(rng.randrange(500)), str(rng.randrange(2))],
        lambda key, rng: ["BITFIELD", key, "INCRBY", "u8", "#3", "200", "OVERFLOW", "SAT"],
        lambda key, rng: ["BITOP", "XOR", key, key, _other(key, rng)],
        lambda key, rng: ["PFADD", f"hll{key}", *_words(rng)],
        lambda key, rng: ["PFMERGE", f"hll{key}", f"hll{_other(key, rng)}"],
    ),
    "l": (
        lambda key, rng: ["RPUSH", key, *_words(rng)],
        lambda key, rng: ["LPUSH", key, *_words(rng, 60)],
        lambda key, rng: ["LPOP", key, str(rng.randrange(4))],
        lambda key, rng: ["LMOVE", key, _other(key, rng), "LEFT", "RIGHT"],
        lambda key, rng: ["BLPOP", key, _other(key, rng), "0.001"],
        lambda key, rng: ["LREM", key, "0", _word(rng)],
        lambda key, rng: ["LTRIM", key, "1", "-2"],
        lambda key, rng: ["LINSERT", key, "BEFORE", _word(rng), _word(rng)],
    ),
    "h": (
        lambda key, rng: ["HSET", key, _word(rng), _word(rng), _word(rng), _word(rng)],
        lambda key, rng: ["HINCRBY", key, "n", _number(rng)],
        lambda key, rng: ["HINCRBYFLOAT", key, "f", "0.3"],
        lambda key, rng: ["HDEL", key, _word(rng)],
    ),
    "e": (
        lambda key, rng: ["SADD", key, *_words(rng, 40)],
        lambda key, rng: ["SADD", key, *(str(rng.randrange(1000)) for _ in range(5))],
        lambda key, rng: ["SPOP", key, str(rng.randrange(4))],
        lambda key, rng: ["SREM", key, _word(rng)],
        lambda key, rng: ["SMOVE", key, _other(key, rng), _word(rng)],
        lambda key, rng: ["SUNIONSTORE", key, key, _other(key, rng)],
    ),
    "z": (
        lambda key, rng: ["ZADD", key, _score(rng), _word(rng), _score(rng), _word(rng)],
        lambda key, rng: ["ZADD", key, "XX", "INCR", "0.5", _word(rng)],
        lambda key, rng: ["ZPOPMIN", key],
        lambda key, rng: ["ZREMRANGEBYRANK", key, "0", "1"],
        lambda key, rng: ["ZUNIONSTORE", key, "2", key, _other(key, rng), "WEIGHTS", "0.5", "2"],
        lambda key, rng: ["ZRANGESTORE", key, _other(key, rng), "0", "3"],
        lambda key, rng: ["GEOADD", f"geo{key}", "13.361389", "38.115556", _word(rng)],
    ),
    "x": (
        lambda key, rng: ["XADD", key, "MAXLEN", "~", "50", "*", "f", _word(rng)],
        lambda key, rng: ["XADD", key, "*", "f", _word(rng), "g", _word(rng)],
        lambda key, rng: ["XTRIM", key, "MAXLEN", str(rng.randrange(20))],
        lambda key, rng: ["XGROUP", "CREATE", key, f"g{rng.randrange(2)}", "0", "MKSTREAM"],
        lambda key, rng: [
            *["XREADGROUP", "GROUP", f"g{rng.randrange(2)}", f"c{rng.randrange(2)}"],
            *["COUNT", "3", "STREAMS", key, ">"],
        ],
        lambda key, rng: ["XAUTOCLAIM", key, f"g{rng.randrange(2)}", "c9", "0", "0", "COUNT", "2"],
        lambda key, rng: ["XGROUP", "DELCONSUMER", key, "g0", "c0"],
    ),
}
