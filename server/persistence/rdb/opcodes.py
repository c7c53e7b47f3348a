"""The numbers of the RDB format: versions, opcodes, value types (reference: redis rdb.h).

A record begins with one byte. Small values name the type of a value that belongs to a key; the
top of the range says something about the file, the database or the key that follows.
"""

from __future__ import annotations

from typing import Final, NamedTuple

MAGIC: Final = b"REDIS"
#: The version written: the newest that redis-server 7.0 loads.
WRITTEN_VERSION: Final = 10
OLDEST_VERSION: Final = 1
#: The newest version read (Redis 7.2, Valkey 7.2 and 8).
NEWEST_VERSION: Final = 11
#: Files of this version and later end with a checksum.
CHECKSUM_SINCE_VERSION: Final = 5

# Opcodes, by what they say.
SLOT_INFO: Final = 0xF4
FUNCTION: Final = 0xF5
FUNCTION_PRE_RELEASE: Final = 0xF6
MODULE_AUX: Final = 0xF7
IDLE: Final = 0xF8
FREQUENCY: Final = 0xF9
AUX: Final = 0xFA
RESIZE_DB: Final = 0xFB
EXPIRE_AT_MS: Final = 0xFC
EXPIRE_AT_S: Final = 0xFD
SELECT_DB: Final = 0xFE
END_OF_FILE: Final = 0xFF

#: The opcodes that describe the key that follows, and so never end a run of entries.
KEY_ATTRIBUTES: Final = frozenset({IDLE, FREQUENCY, EXPIRE_AT_MS, EXPIRE_AT_S})

# The types whose number the codec itself speaks.
STRING: Final = 0
MODULE_PRE_RELEASE: Final = 6
MODULE: Final = 7


class ValueType(NamedTuple):
    """One known value type: what TYPE answers for it, and Redis' name of its encoding."""

    name: str
    encoding: str


#: Every value type that versions 1 to 11 can hold. Which of them can be read is said by
#: `decode.VALUE_DECODERS`; the others are refused by the names given here.
VALUE_TYPES: Final = {
    STRING: ValueType("string", "STRING"),
    1: ValueType("list", "LIST"),
    2: ValueType("set", "SET"),
    3: ValueType("zset", "ZSET"),
    4: ValueType("hash", "HASH"),
    5: ValueType("zset", "ZSET_2"),
    MODULE_PRE_RELEASE: ValueType("module", "MODULE_PRE_GA"),
    MODULE: ValueType("module", "MODULE_2"),
    9: ValueType("hash", "HASH_ZIPMAP"),
    10: ValueType("list", "LIST_ZIPLIST"),
    11: ValueType("set", "SET_INTSET"),
    12: ValueType("zset", "ZSET_ZIPLIST"),
    13: ValueType("hash", "HASH_ZIPLIST"),
    14: ValueType("list", "LIST_QUICKLIST"),
    15: ValueType("stream", "STREAM_LISTPACKS"),
    16: ValueType("hash", "HASH_LISTPACK"),
    17: ValueType("zset", "ZSET_LISTPACK"),
    18: ValueType("list", "LIST_QUICKLIST_2"),
    19: ValueType("stream", "STREAM_LISTPACKS_2"),
    20: ValueType("set", "SET_LISTPACK"),
    21: ValueType("stream", "STREAM_LISTPACKS_3"),
}

#: From how many elements on (nodes, where the encoding counts those) a value takes tens of
#: milliseconds to decode. A value of another type is one string, or counts nothing in front.
LARGE_COUNTS: Final = {
    1: 20_000,
    2: 20_000,
    3: 20_000,
    4: 10_000,
    5: 20_000,
    14: 100,
    15: 500,
    18: 100,
    19: 500,
    21: 500,
}
