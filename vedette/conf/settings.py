"""The typed table of directives, and the values a process runs with.

Owns names, aliases, flags and the rules of CONFIG GET and CONFIG SET (several at once, all or
none); start-up reads through the same table. It must not know what any directive does: a shell
commits a `Change`, applies it, and commits what undoes it when that fails. Texts and rules are
Redis 7.0's (`config.c: configSetCommand`).
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar, cast

from ..errors import CommandError, quotable
from ..glob import matches_glob
from .kinds import BadValueError, Kind
from .quoting import UnbalancedQuotesError, decode_word, encode_word, split_words
from .rewrite import ConfigLine
from .statements import Statement

T = TypeVar("T")

BAD_DIRECTIVE = "Bad directive or wrong number of arguments"


class Flag(enum.Flag):
    """What may be done with a directive beyond reading it from a file."""

    NONE = 0
    #: CONFIG SET refuses it.
    IMMUTABLE = enum.auto()
    #: CONFIG GET shows it only when asked by its exact name.
    HIDDEN = enum.auto()
    #: CONFIG SET refuses it unless the administrator allowed protected configs.
    PROTECTED = enum.auto()
    #: Its value must never be logged.
    SENSITIVE = enum.auto()
    #: CONFIG REWRITE leaves it alone.
    NOT_REWRITTEN = enum.auto()
    #: CONFIG SET refuses it while a dataset is being loaded.
    NOT_WHILE_LOADING = enum.auto()


@dataclass(frozen=True, slots=True, eq=False)
class Directive(Generic[T]):
    """One directive: `Directive("port", Integer(0, 65535), 6379)`.

    `validate` looks at a parsed value and returns the reason to refuse it, or None.
    """

    name: str
    kind: Kind[T]
    default: T
    flags: Flag = Flag.NONE
    aliases: tuple[str, ...] = ()
    validate: Callable[[T], str | None] | None = None

    def parse(self, words: Sequence[str]) -> T:
        """Return the value of the words after the name.

        Raises:
            BadValueError: they make none, or it is refused.
        """
        value = self.kind.parse(words)
        reason = self.validate(value) if self.validate is not None else None
        if reason is not None:
            raise BadValueError(reason)
        return value

    def render(self, value: T) -> str:
        """Return `value` as CONFIG GET shows it."""
        return " ".join(self.kind.render(value))


class DirectiveTable:
    """All directives of one program, by name and alias, in the order they were given."""

    def __init__(self, directives: Iterable[Directive[Any]]) -> None:
        self.directives = tuple(directives)
        self._by_name: dict[str, Directive[Any]] = {}
        for directive in self.directives:
            for name in (directive.name, *directive.aliases):
                assert name not in self._by_name, f"directive {name} is defined twice"
                self._by_name[name] = directive

    def find(self, name: str) -> Directive[Any] | None:
        """Return the directive of that name or alias, in any case."""
        return self._by_name.get(name.lower())

    def names(self) -> Iterable[tuple[str, Directive[Any]]]:
        """Return every name and alias with its directive."""
        return self._by_name.items()


@dataclass(frozen=True, slots=True)
class Change:
    """New values that passed every check and are not in force yet."""

    #: By the directive's canonical name, in the order given.
    values: Mapping[str, Any]
    #: The name the client used, by canonical name; error replies repeat it.
    asked_as: Mapping[str, str] = field(default_factory=dict)


class Settings:
    """The values in force. One writer: whoever owns the process' configuration."""

    def __init__(self, table: DirectiveTable) -> None:
        self.table = table
        self._values: dict[str, Any] = {each.name: each.default for each in table.directives}
        self._loaded: set[str] = set()

    # Reading values.

    def value_of(self, directive: Directive[T]) -> T:
        """Return the value of a directive, typed as the directive is."""
        return cast(T, self._values[directive.name])

    def __getitem__(self, name: str) -> Any:
        """Return the value of the directive with that canonical name; its type is its kind's."""
        return self._values[name]

    def is_default(self, name: str) -> bool:
        """Whether the value is the directive's default."""
        directive = self.table.find(name)
        assert directive is not None, name
        return bool(self._values[directive.name] == directive.default)

    # Start-up.

    def load(
        self,
        statements: Iterable[Statement],
        handlers: Mapping[str, Callable[[Statement], None]] | None = None,
    ) -> None:
        """Take the values of `statements`, in order.

        `handlers` take the statements whose names the table does not hold (`sentinel`, `user`, ...)
        and may raise ConfigError themselves.

        Raises:
            ConfigError: a directive is unknown or its value wrong.
        """
        for statement in statements:
            handler = (handlers or {}).get(statement.name)
            if handler is not None:
                handler(statement)
                continue
            directive = self.table.find(statement.name)
            if directive is None:
                raise statement.error(BAD_DIRECTIVE)
            self._load_one(directive, statement)

    def _load_one(self, directive: Directive[Any], statement: Statement) -> None:
        words: Sequence[str] = statement.values
        try:
            if not words and not directive.kind.takes_none:
                raise BadValueError("wrong number of arguments")
            if directive.kind.takes_list and len(words) == 1 and words[0]:
                words = split_words(words[0])
            value = directive.parse(words)
        except BadValueError as error:
            raise statement.error(str(error)) from error
        except UnbalancedQuotesError as error:
            raise statement.error("Unbalanced quotes in configuration line") from error
        current = self._values[directive.name]
        is_first = directive.name not in self._loaded
        self._values[directive.name] = directive.kind.combine(current, value, is_first=is_first)
        self._loaded.add(directive.name)

    def put(self, directive: Directive[T], value: T) -> None:
        """Set a value that the process itself has decided (REPLICAOF does so for `replicaof`)."""
        self._values[directive.name] = value

    # CONFIG GET and SET.

    def matching(self, patterns: Iterable[bytes]) -> list[tuple[bytes, bytes]]:
        """Return name and value of every directive that CONFIG GET `patterns` shows, each once."""
        found: dict[str, Directive[Any]] = {}
        for pattern in patterns:
            wanted = pattern.lower()
            exact = self.table.find(decode_word(wanted))
            if exact is not None:
                found.setdefault(decode_word(wanted), exact)
            elif any(character in b"*?[" for character in wanted):
                for name, directive in self.table.names():
                    is_hidden = Flag.HIDDEN in directive.flags
                    if not is_hidden and matches_glob(wanted, name.encode("ascii")):
                        found.setdefault(name, directive)
        return [
            (encode_word(name), encode_word(directive.render(self._values[directive.name])))
            for name, directive in found.items()
        ]

    def plan(
        self, pairs: Sequence[tuple[bytes, bytes]], *, allows_protected: bool = False
    ) -> Change:
        """Return the change that CONFIG SET asks for; nothing is in force before `commit`.

        Raises:
            CommandError: a name is unknown or given twice, a value wrong, or a directive fixed.
        """
        values: dict[str, Any] = {}
        asked_as: dict[str, str] = {}
        chosen: list[tuple[str, Directive[Any], bytes]] = []
        for name_bytes, value in pairs:
            name = decode_word(name_bytes)
            directive = self.table.find(name)
            if directive is None:
                raise CommandError(
                    b"ERR Unknown option or number of arguments for CONFIG SET - '%b'"
                    % quotable(name_bytes)
                )
            shown = name.lower()
            if Flag.IMMUTABLE in directive.flags:
                raise config_set_failed(shown, "can't set immutable config")
            if Flag.PROTECTED in directive.flags and not allows_protected:
                raise config_set_failed(shown, "can't set protected config")
            if directive.name in asked_as:
                raise config_set_failed(shown, "duplicate parameter")
            asked_as[directive.name] = shown
            chosen.append((shown, directive, value))
        for shown, directive, value in chosen:
            values[directive.name] = self._planned_value(shown, directive, decode_word(value))
        return Change(values, asked_as)

    def _planned_value(self, shown: str, directive: Directive[Any], value: str) -> Any:
        words = [value]
        if directive.kind.takes_list and value:
            words = value.split(" ")
        try:
            parsed = directive.parse(words)
        except BadValueError as error:
            raise config_set_failed(shown, str(error)) from error
        return directive.kind.combine(self._values[directive.name], parsed, is_first=True)

    def commit(self, change: Change) -> Change:
        """Put `change` in force; return the change that undoes it."""
        previous = {name: self._values[name] for name in change.values}
        self._values.update(change.values)
        return Change(previous, change.asked_as)

    # CONFIG REWRITE.

    def config_lines(self) -> list[ConfigLine]:
        """Return the lines a rewritten file needs: a default only keeps a line that is there."""
        lines = []
        for directive in self.table.directives:
            if Flag.NOT_REWRITTEN in directive.flags:
                continue
            value = self._values[directive.name]
            kind = directive.kind
            is_default = value == directive.default
            implied = kind.render_lines(directive.default) if kind.has_lines_apart else []
            for words in kind.render_lines(value):
                is_needed = not is_default and words not in implied
                line = (directive.name, *words)
                lines.append(ConfigLine((directive.name,), line, is_needed=is_needed))
        return lines

    def key_of(self, words: Sequence[str]) -> tuple[str, ...] | None:
        """Return the key under which a line of the file is rewritten, None for a line to keep."""
        directive = self.table.find(words[0])
        if directive is None or Flag.NOT_REWRITTEN in directive.flags:
            return None
        return (directive.name,)


def config_set_failed(name: str, reason: str) -> CommandError:
    """Return the error of a CONFIG SET that failed because of the argument `name`."""
    text = f"ERR CONFIG SET failed (possibly related to argument '{name}') - {reason}"
    return CommandError(encode_word(text))
