"""The server's configuration: reading it at start, changing it while running, writing it back.

`Configuration` holds the values in force and knows who is to be told of a change; what a directive
does is for those hooks. The directives are in `directives/`. Reads no file itself. Follows Redis
7.0 `config.c`: a CONFIG SET of several directives takes effect as a whole or not at all.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import Any, TypeVar

from vedette.acl.directives import USER, key_of_user
from vedette.clients import ServingSettings
from vedette.clients.output_limits import limits_by_kind
from vedette.conf import (
    Change,
    ConfigLine,
    Directive,
    Settings,
    Statement,
    config_set_failed,
    rewrite_text,
)
from vedette.errors import VedetteError

from . import directives
from .directives import TABLE

__all__ = ["TABLE", "ChangeRefused", "Configuration", "apply_to_serving", "load_configuration"]

T = TypeVar("T")


class ChangeRefused(VedetteError):
    """A new value cannot be put into effect; `str(error)` is the reason for the client."""


class Configuration:
    """The directives' values in force, and the hooks that put a change of them into effect.

    `path` is the file that was read at start and that CONFIG REWRITE writes, or empty. `users` are
    the `user` directives and `renames` the `rename-command` ones, as they were read at start.
    """

    def __init__(
        self,
        settings: Settings | None = None,
        *,
        path: str = "",
        users: Sequence[Statement] = (),
        renames: Sequence[Statement] = (),
    ) -> None:
        self.settings = settings or Settings(TABLE)
        self.path = path
        self.users = tuple(users)
        self.renames = tuple(renames)
        self._hooks: dict[str, list[Callable[[], None]]] = {}

    def __getitem__(self, directive: Directive[T]) -> T:
        """Return the value of a directive, typed as the directive is."""
        return self.settings.value_of(directive)

    def on_change(self, hook: Callable[[], None], *watched: Directive[Any]) -> None:
        """Have `hook` called, once for each CONFIG SET, after any of the directives was set.

        It may raise `ChangeRefused`: then all values are set back and the hooks called again. One
        that refuses that, too, keeps none of the others from it.
        """
        for directive in watched:
            self._hooks.setdefault(directive.name, []).append(hook)

    def set(self, pairs: Sequence[tuple[bytes, bytes]], *, allows_protected: bool = False) -> None:
        """Set directives as CONFIG SET does, all or none.

        Raises:
            CommandError: a name or value is wrong, or a hook refused.
        """
        change = self.settings.plan(pairs, allows_protected=allows_protected)
        undo = self.settings.commit(change)
        done: list[Callable[[], None]] = []
        for name, hook in self._hooks_of(change):
            done.append(hook)
            try:
                hook()
            except ChangeRefused as refusal:
                self.settings.commit(undo)
                reasons = [str(refusal), *_call_again(done)]
                text = "; and to undo it: ".join(reasons)
                raise config_set_failed(change.asked_as[name], text) from refusal

    def _hooks_of(self, change: Change) -> list[tuple[str, Callable[[], None]]]:
        """Return the hooks to call, each once, with a name whose change they follow."""
        hooks: dict[Callable[[], None], str] = {}
        for name in change.values:
            for hook in self._hooks.get(name, ()):
                hooks.setdefault(hook, name)
        return [(name, hook) for hook, name in hooks.items()]

    def put(self, directive: Directive[T], value: T) -> None:
        """Set a value that the server itself decided (REPLICAOF), without calling hooks."""
        self.settings.put(directive, value)

    def rewrite(
        self, text: str, user_lines: Sequence[ConfigLine] = (), *, is_complete: bool = False
    ) -> str:
        """Return the text of the configuration file with the values and users in force in it.

        If `is_complete`, every directive has its line.
        """
        lines = self.settings.config_lines()
        if is_complete:
            lines = [replace(line, is_needed=True) for line in lines]

        def key_of(words: Sequence[str]) -> tuple[str, ...] | None:
            return key_of_user(words) or self.settings.key_of(words)

        return rewrite_text(text, [*lines, *user_lines], key_of)


def _call_again(hooks: Iterable[Callable[[], None]]) -> list[str]:
    """Call `hooks`, now that the values are set back; return the reasons of those that refuse."""
    reasons = []
    for hook in hooks:
        try:
            hook()
        except ChangeRefused as refusal:
            reasons.append(str(refusal))
    return reasons


def load_configuration(statements: Iterable[Statement], *, path: str = "") -> Configuration:
    """Return the configuration that `statements` describe, in their order.

    Raises:
        ConfigError: a directive is unknown, its value wrong, or it asks for what is not there.
    """
    settings = Settings(TABLE)
    users: list[Statement] = []
    renames: list[Statement] = []
    settings.load(
        statements,
        {USER: users.append, "loadmodule": _no_modules, "rename-command": renames.append},
    )
    return Configuration(settings, path=path, users=users, renames=renames)


def _no_modules(statement: Statement) -> None:
    raise statement.error("this server loads no modules")


def apply_to_serving(configuration: Configuration, serving: ServingSettings) -> None:
    """Write what the serving of connections depends on into its settings."""
    serving.query_buffer_limit_bytes = configuration[directives.QUERY_LIMIT]
    serving.max_bulk_bytes = configuration[directives.BULK_LIMIT]
    serving.output_limits = limits_by_kind(configuration[directives.OUTPUT_LIMITS])
