"""The server's commands: plain functions with a row of the command table over each."""

from __future__ import annotations

from .table import command_table

__all__ = ["command_table"]
