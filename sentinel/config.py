"""sentinel.conf: from its statements to the machine's durable state.

Owns which file says what; the statements themselves are read by `statement_reader.py`, and
`state_lines.py` is the way back. It reads no file and resolves no name.

One file is the sentinel's *memory*: the only one it writes. It is the configuration file, or what
`sentinel state-file` names. All else is *outside*: files read by `include`, standard input, the
command line, and the configuration file where there is a state file. What the memory says of a
master or an option takes the place of what files outside say, and is overruled only by options on
the command line. `Outside` keeps what was said there, so that the memory need not repeat it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from vedette.acl.directives import USER
from vedette.conf import COMMAND_LINE, Settings, Statement, parse_text
from vedette.types import RunId

from . import directives
from .core.durable import DurableState
from .core.options import GlobalOptions, MasterOptions
from .statement_reader import Layer, Reader
from .statements import FACTS, MASTER_STATEMENTS, statement_name, told


@dataclass(frozen=True, slots=True)
class World:
    """What reading a configuration needs to know from outside."""

    #: Return a fresh run id, for a first start.
    draw_id: Callable[[], RunId]
    #: Whether a script can be run.
    is_executable: Callable[[str], bool]


@dataclass(frozen=True, slots=True, kw_only=True)
class Outside:
    """What was said outside of the memory, and so need not be written into it."""

    options: GlobalOptions = field(default_factory=GlobalOptions)
    #: By name, of every master that something was said about; of the options alone.
    masters: Mapping[str, MasterOptions] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class SentinelConfig:
    """All that sentinel.conf and the command line say."""

    settings: Settings
    #: The `user` directives.
    users: tuple[Statement, ...] = ()
    durable: DurableState
    #: SENTINEL SET may not change script paths.
    denies_scripts_reconfig: bool
    outside: Outside


def read_config(
    statements: Iterable[Statement], world: World, *, memory: str | None = None
) -> SentinelConfig:
    """Return the configuration that `statements` make.

    `memory` is the `file` of those that stand in the sentinel's own file; None: all do.

    Raises:
        ConfigError: a statement is unknown, wrong, or names a master that is not monitored.
    """
    settings = Settings(directives.TABLE)
    queue: list[Statement] = []
    users: list[Statement] = []
    statements = [each for each in statements if not _asks_for_nothing(each)]
    settings.load(statements, {"sentinel": queue.append, USER: users.append})
    layered = [(_layer(statement, memory), statement) for statement in queue]
    reader = Reader(settings, world.is_executable)
    reader.read(layered)
    return SentinelConfig(
        settings=settings,
        users=tuple(users),
        durable=reader.finish(world.draw_id),
        denies_scripts_reconfig=reader.denies_scripts_reconfig,
        outside=_read_outside(layered, settings, world),
    )


def _asks_for_nothing(statement: Statement) -> bool:
    """Whether a directive is one that a sentinel cannot follow, with the value that needs nothing.

    Raises:
        ConfigError: it has another value.
    """
    reason = directives.refusal(statement.name, statement.values)
    if reason:
        raise statement.error(reason)
    return reason is not None


def _layer(statement: Statement, memory: str | None) -> Layer:
    if memory is None or statement.file == memory:
        return Layer.MEMORY
    # Which node is master now is nothing that a command line of long ago may overrule.
    is_option = not (statement.values and statement_name(statement.values[0]) in FACTS)
    if statement.file == COMMAND_LINE and is_option:
        return Layer.COMMAND_LINE
    return Layer.OUTSIDE


def _read_outside(
    layered: Sequence[tuple[Layer, Statement]], settings: Settings, world: World
) -> Outside:
    reader = Reader(settings, world.is_executable)
    outside = [entry for entry in layered if entry[0] is not Layer.MEMORY]
    for _, statement in outside:
        name, *values = statement.values or ("",)
        if statement_name(name) in MASTER_STATEMENTS and values:
            reader.expect_master(values[0])
    reader.read([entry for entry in outside if told(entry[1]) not in FACTS])
    options, masters = reader.options()
    return Outside(options=options, masters=masters)


def state_file_of(statements: Iterable[Statement]) -> Statement | None:
    """Return the `sentinel state-file` that counts, the last one; None if the state has no file
    of its own.
    """
    found = None
    for statement in statements:
        if statement.name == "sentinel" and told(statement) == "state-file":
            found = statement
    return found


def parse_state_file(text: str, path: str) -> list[Statement]:
    """Return the statements of a state file.

    Raises:
        ConfigError: a line is malformed, or is none that a sentinel writes into such a file.
    """
    statements = parse_text(text, path)
    for statement in statements:
        if statement.name != "sentinel" or told(statement) == "state-file":
            raise statement.error("A state file holds nothing but the state of a sentinel")
    return statements
