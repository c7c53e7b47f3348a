"""How large a collection may grow before Redis would keep it in another encoding.

What the encodings are for in Redis, memory, does not matter here: the containers are the same for
all of them. They are reported by OBJECT ENCODING, and decide the order of small replies.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(slots=True)
class EncodingLimits:
    """The directives' values in force; each field is named after its directive.

    Sizes (`_value`) are those of single elements in bytes.
    """

    hash_max_listpack_entries: int = 512
    hash_max_listpack_value: int = 64
    set_max_intset_entries: int = 512
    #: 0: small sets are `hashtable`, as in Redis 7.0; 7.2 has 128.
    set_max_listpack_entries: int = 0
    set_max_listpack_value: int = 64
    zset_max_listpack_entries: int = 128
    zset_max_listpack_value: int = 64
    stream_node_max_bytes: int = 4096
    stream_node_max_entries: int = 100
