"""Snapshots and append-only files as bytes: codecs that know no files.

The codec proper, `rdb`, knows no store either. How the values of a type are written is told it by
the module of that type, `<type>_values`, of which importing this package loads all.
"""

from __future__ import annotations

from . import hash_values, list_values, set_values, sorted_set_values, stream_values

__all__ = ["hash_values", "list_values", "set_values", "sorted_set_values", "stream_values"]
