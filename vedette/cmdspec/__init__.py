"""The command table: one row a command, from which all that is said about commands derives."""

from __future__ import annotations

from .categories import CATEGORIES, categories_of
from .flags import Flag
from .keys import Channels, Keys, KeySpec
from .row import CommandRow, Handler, command, container
from .table import CommandTable

__all__ = [
    "CATEGORIES",
    "Channels",
    "CommandRow",
    "CommandTable",
    "Flag",
    "Handler",
    "KeySpec",
    "Keys",
    "categories_of",
    "command",
    "container",
]
