"""What an RDB file holds, without keeping any of it: for checking files and backups.

Everything is decoded, so a file that passes can be loaded. The number of keys that it announces for
each database must be the number that it has; that tells of a loss which a writer made before it
computed the checksum.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

from .rdb.decode import RdbDecoder
from .rdb.errors import CorruptRdbError
from .rdb.lengths import RdbData
from .rdb.records import Aux, EndOfFile, Entries, FunctionLibrary, ResizeDb, SelectDb


@dataclass(slots=True)
class RdbSurvey:
    """What was found so far; all of it once `end_offset` is known."""

    aux: dict[str, str] = field(default_factory=dict)
    #: Keys by type, as TYPE names them.
    keys_by_type: Counter[str] = field(default_factory=Counter)
    #: Keys by database.
    keys_by_database: Counter[int] = field(default_factory=Counter)
    #: Keys that have an expiry time, and those of them for which it has passed.
    expiring_count: int = 0
    expired_count: int = 0
    library_count: int = 0
    #: Where the file ended; bytes may follow it.
    end_offset: int | None = None

    @property
    def key_count(self) -> int:
        """Keys of all databases."""
        return self.keys_by_database.total()


def survey_rdb(data: RdbData, survey: RdbSurvey, now_ms: int) -> Iterator[int]:
    """Decode the file that `data` begins with into `survey`; yield the offset, now and then.

    Raises:
        RdbError: it is damaged, too new, or holds what this server does not have.
    """
    decoder = RdbDecoder(data)
    database = 0
    announced: Counter[int] = Counter()
    for record in decoder:
        match record:
            case Entries():
                _count(survey, record, database, now_ms)
            case SelectDb(index):
                database = index
            case ResizeDb(key_count):
                announced[database] += key_count
            case Aux(name, value):
                survey.aux[name.decode("utf-8", "replace")] = value.decode("utf-8", "replace")
            case FunctionLibrary():
                survey.library_count += 1
            case EndOfFile(end_offset):
                _compare(survey, announced, end_offset)
                survey.end_offset = end_offset
            case _:
                pass
        yield decoder.position


def _count(survey: RdbSurvey, entries: Entries, database: int, now_ms: int) -> None:
    survey.keys_by_database[database] += len(entries.values)
    survey.expiring_count += len(entries.expire_at_ms)
    survey.expired_count += sum(at_ms <= now_ms for at_ms in entries.expire_at_ms.values())
    for value in entries.values.values():
        name = "string" if type(value) is bytes else value.type_name.decode()
        survey.keys_by_type[name] += 1


def _compare(survey: RdbSurvey, announced: Counter[int], end_offset: int) -> None:
    for database, key_count in announced.items():
        found = survey.keys_by_database[database]
        if found != key_count:
            raise CorruptRdbError(
                end_offset, f"database {database} announces {key_count} keys and has {found}"
            )
