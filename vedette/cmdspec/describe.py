"""What COMMAND tells of a row, in the shapes of Redis 7.0 (`server.c: addReplyCommand*`)."""

from __future__ import annotations

from ..resp.replies import MapReply, Reply, SetReply, SimpleString
from .categories import categories_of
from .flags import SHOWN_FLAGS
from .keys import KeySpec
from .row import CommandRow
from .syntax import describe_arguments

#: Words of `KeySpec.access` that COMMAND spells in capitals.
_CAPITALS = ("RO", "RW", "OW", "RM")


def info_of(row: CommandRow) -> Reply:
    """Return the ten elements of COMMAND INFO."""
    keys = row.keys
    return [
        row.full_name.encode(),
        row.arity,
        SetReply([SimpleString(name) for flag, name in SHOWN_FLAGS if row.flags & flag]),
        keys.first,
        keys.last,
        keys.step,
        SetReply([SimpleString(b"@" + name.encode()) for name in categories_of(row)]),
        SetReply([tip.encode() for tip in row.tips]),
        SetReply([_key_spec(spec) for spec in keys.specs]),
        _subcommands(row),
    ]


def _subcommands(row: CommandRow) -> Reply:
    listed = [sub for sub in row.subcommands.values() if not sub.is_hidden]
    return [info_of(sub) for sub in listed] if listed else SetReply([])


def access_flags(spec: KeySpec) -> SetReply:
    """Return what is done to the keys of `spec`, as COMMAND spells it."""
    return SetReply(
        [
            SimpleString((word if word in _CAPITALS else word.lower()).encode())
            for word in spec.access
        ]
    )


def _key_spec(spec: KeySpec) -> Reply:
    pairs: list[tuple[Reply, Reply]] = [(b"notes", spec.notes.encode())] if spec.notes else []
    if spec.is_unknown:
        unknown = MapReply([(b"type", b"unknown"), (b"spec", MapReply([]))])
        return MapReply(
            [
                *pairs,
                (b"flags", access_flags(spec)),
                (b"begin_search", unknown),
                (b"find_keys", unknown),
            ]
        )
    if spec.is_counted:
        kind = b"keynum"
        find = MapReply([(b"keynumidx", 0), (b"firstkey", 1), (b"keystep", spec.step)])
    else:
        kind = b"range"
        find = MapReply([(b"lastkey", spec.last), (b"keystep", spec.step), (b"limit", spec.limit)])
    begin: tuple[bytes, Reply] = (b"index", MapReply([(b"index", spec.index)]))
    if spec.keyword:
        places: list[tuple[Reply, Reply]] = [(b"keyword", spec.keyword), (b"startfrom", spec.index)]
        begin = (b"keyword", MapReply(places))
    return MapReply(
        [
            *pairs,
            (b"flags", access_flags(spec)),
            (b"begin_search", MapReply([(b"type", begin[0]), (b"spec", begin[1])])),
            (b"find_keys", MapReply([(b"type", kind), (b"spec", find)])),
        ]
    )


def docs_of(row: CommandRow) -> Reply:
    """Return the map of COMMAND DOCS."""
    texts = (
        (b"summary", row.summary),
        (b"since", row.since),
        (b"group", row.group),
        (b"complexity", row.complexity),
    )
    pairs: list[tuple[Reply, Reply]] = [(name, text.encode()) for name, text in texts if text]
    flags: list[Reply] = [SimpleString(b"deprecated")] if row.deprecated_since else []
    if row.is_system_command:
        flags.append(SimpleString(b"syscmd"))
    if flags:
        pairs.append((b"doc_flags", SetReply(flags)))
    if row.deprecated_since:
        pairs.append((b"deprecated_since", row.deprecated_since.encode()))
    if row.replaced_by:
        pairs.append((b"replaced_by", row.replaced_by.encode()))
    if row.history:
        changes: list[Reply] = [[version.encode(), text.encode()] for version, text in row.history]
        pairs.append((b"history", SetReply(changes)))
    if row.syntax:
        pairs.append((b"arguments", describe_arguments(row.syntax)))
    listed = [sub for sub in row.subcommands.values() if not sub.is_hidden]
    if listed:
        subcommands = MapReply([(sub.full_name.encode(), docs_of(sub)) for sub in listed])
        pairs.append((b"subcommands", subcommands))
    return MapReply(pairs)
