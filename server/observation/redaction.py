"""Requests as others may see them: without passwords (Redis' `redactClientCommandArgument`)."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Final

from vedette.cmdspec import CommandRow
from vedette.conf import DirectiveTable, Flag

REDACTED: Final = b"(redacted)"


class Redaction:
    """What of a request is secret, by the command it is of."""

    def __init__(self, directives: DirectiveTable) -> None:
        self._secret_directives = frozenset(
            name.encode()
            for name, directive in directives.names()
            if Flag.SENSITIVE in directive.flags
        )
        self._secrets: dict[str, Callable[[list[bytes]], Collection[int]]] = {
            "auth": lambda argv: range(1, len(argv)),
            "hello": _hello_secrets,
            "acl|setuser": lambda argv: range(2, len(argv)),
            "migrate": _migrate_secrets,
            "config|set": self._config_secrets,
        }

    def of(self, row: CommandRow, argv: list[bytes]) -> list[bytes]:
        """Return `argv`, or a copy in which what is secret is covered."""
        secrets_of = self._secrets.get(row.full_name)
        if secrets_of is None:
            return argv
        positions = secrets_of(argv)
        return [REDACTED if index in positions else word for index, word in enumerate(argv)]

    def _config_secrets(self, argv: list[bytes]) -> Collection[int]:
        return [
            index + 1
            for index in range(2, len(argv), 2)
            if argv[index].lower() in self._secret_directives
        ]


def _hello_secrets(argv: list[bytes]) -> Collection[int]:
    for index, word in enumerate(argv):
        if index > 1 and word.upper() == b"AUTH":
            return (index + 1, index + 2)
    return ()


def _migrate_secrets(argv: list[bytes]) -> Collection[int]:
    options = iter(range(6, len(argv)))
    secrets: list[int] = []
    for index in options:
        match argv[index].upper():
            case b"KEYS":
                break
            case b"AUTH":
                secrets.append(next(options, index))
            case b"AUTH2":
                secrets += [next(options, index), next(options, index)]
    return secrets
