"""Values of `sentinel ...` statements: numbers, times, ports, yes or no, addresses.

Numbers are read as Redis reads them there (C's `atoi`); the texts of refusals are Redis'
(`sentinel.c: sentinelHandleConfiguration`).
"""

from __future__ import annotations

import re

from vedette.conf import BadValueError
from vedette.types import Address, is_ip

_LEADING_NUMBER = re.compile(r"\s*[+-]?[0-9]+")
_PORT_MAX = 65535


def leading_number(word: str) -> int:
    """Return the number a word begins with, 0 if none (as C's `atoi`)."""
    match = _LEADING_NUMBER.match(word)
    return int(match[0]) if match else 0


def positive_time(word: str) -> int:
    """Return a time in milliseconds, 1 or more.

    Raises:
        BadValueError: it is less.
    """
    time_ms = leading_number(word)
    if time_ms < 1:
        raise BadValueError("negative or zero time parameter.")
    return time_ms


def port_number(word: str) -> int:
    """Return a port, 0 to 65535.

    Raises:
        BadValueError: it is none.
    """
    port = leading_number(word)
    if not 0 <= port <= _PORT_MAX:
        raise BadValueError("Invalid port number.")
    return port


def yes_or_no(word: str, reason: str) -> bool:
    """Return whether `word` is yes.

    Raises:
        BadValueError: it is neither yes nor no; the text is `reason`.
    """
    if word.lower() not in ("yes", "no"):
        raise BadValueError(reason)
    return word.lower() == "yes"


def is_text(word: str) -> bool:
    """Whether the bytes that a word was are UTF-8: what is spoken, logged and measured must be."""
    return not any("\ud800" <= character <= "\udfff" for character in word)


def utf8_text(word: str) -> str:
    """Return a word that is UTF-8.

    Raises:
        BadValueError: it is not.
    """
    if not is_text(word):
        raise BadValueError("Names and addresses must be UTF-8.")
    return word


def instance_address(host: str, port: str, *, may_be_name: bool) -> Address:
    """Return the address of an instance; a name stays a name and is looked up later.

    Raises:
        BadValueError: `host` is a name where only addresses are allowed, or the port is none.
    """
    if not is_ip(host) and not (may_be_name and host and is_text(host)):
        raise BadValueError("Can't resolve instance hostname.")
    return Address(host, port_number(port))
