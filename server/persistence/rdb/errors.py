"""What can be wrong with an RDB file, by whose fault it is.

    RdbError
    ├── CorruptRdbError               the bytes break the format; says where
    │   ├── TruncatedRdbError         the data end within what they began
    │   ├── EmptyValueError           a collection is empty; loading passes over it
    │   └── DumpFooterError           a DUMP payload's version or checksum is wrong
    ├── UnsupportedRdbVersionError    a newer Redis wrote it
    ├── UnsupportedRdbTypeError       it holds something this server does not have; says what
    └── UnsupportedDatabaseError      it holds a database beyond those configured

The decoder raises nothing else, whatever it is fed.
"""

from __future__ import annotations

from vedette.errors import VedetteError


class RdbError(VedetteError):
    """Root of the errors that reading an RDB file or a DUMP payload raises."""


class CorruptRdbError(RdbError):
    """The bytes are no RDB file. `offset` counts from the start of the decoded data."""

    def __init__(self, offset: int, reason: str) -> None:
        super().__init__(f"corrupt RDB data at offset {offset}: {reason}")
        self.offset = offset
        self.reason = reason


class TruncatedRdbError(CorruptRdbError):
    """The data end within what they began; where they arrive in pieces, more may mend it."""


class EmptyValueError(CorruptRdbError):
    """A collection without elements, which some Redis wrote by mistake; it ends at `end`."""

    def __init__(self, offset: int, end: int) -> None:
        super().__init__(offset, "a collection has no elements")
        self.end = end


class DumpFooterError(CorruptRdbError):
    """The version or checksum that ends a DUMP payload is wrong; its value was not looked at."""


class UnsupportedRdbVersionError(RdbError):
    """The file names a version outside the range that the decoder reads."""

    def __init__(self, version: int, newest: int) -> None:
        super().__init__(f"RDB version {version} is not supported: 1 to {newest} can be read")
        self.version = version


class UnsupportedRdbTypeError(RdbError):
    """The file holds something that is well known in Redis, but that the server does not have.

    `type_name` is what TYPE would answer (`list`, `stream`), a module's name, or what else stands
    there (`module auxiliary data`). `encoding` is Redis' name of its RDB type, without the
    `RDB_TYPE_` before it. `key` is None where it belongs to no key.
    """

    def __init__(self, type_name: str, encoding: str, key: bytes | None, offset: int) -> None:
        what = "there is" if key is None else f"key {key!r} is of type"
        super().__init__(
            f"{what} {type_name} (RDB type {encoding}, at offset {offset}), "
            "which this server does not have"
        )
        self.type_name = type_name
        self.encoding = encoding
        self.key = key
        self.offset = offset


class UnsupportedDatabaseError(RdbError):
    """The file holds keys in a database whose number the configuration does not allow."""

    def __init__(self, index: int, database_count: int) -> None:
        super().__init__(
            f"the file holds database {index}, but only {database_count} are configured"
        )
        self.index = index
