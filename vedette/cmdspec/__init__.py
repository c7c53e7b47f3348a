"""The command table: one row a command, from which all that is said about commands derives."""

from __future__ import annotations

from .flags import Flag
from .row import CommandRow, Handler, Keys, command, container
from .table import CommandTable

__all__ = ["CommandRow", "CommandTable", "Flag", "Handler", "Keys", "command", "container"]
